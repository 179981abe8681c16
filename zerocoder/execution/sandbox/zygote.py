"""The fork server of a worker: forked off before any job arrives, so what it forks inherits no expected value.

The warden asks over a socket pair with one fixed-size request and hands over the descriptors of the new process; the
zygote forks, answers with the pid, and later reaps by pid when told to, so a pid is never reused while it is watched.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from . import checker, endless, isolation, judge, nowhere, planner, runner, script, seccomp, syscalls
from .homecore import HomeCore
from .wire import FrameStream

_REQUEST = struct.Struct("<BqqqI")  # role, bytes of memory, seconds of CPU, pid to reap, bytes of output
_ANSWER = struct.Struct("<qi")
_MAX_FDS = 3
_CHANNEL = 3  # the descriptor of a forked process's connection to the warden
_PATIENCE = 60.0
_NUM_FILES = 64
_ADDRESS_SPACE, _CPU_TIME = resource.RLIMIT_AS, resource.RLIMIT_CPU
_LIMITS = {
    "RLIMIT_FSIZE": 0,
    "RLIMIT_CORE": 0,
    "RLIMIT_NPROC": 4096,  # threads
    "RLIMIT_MEMLOCK": 0,
    "RLIMIT_MSGQUEUE": 0,
    "RLIMIT_STACK": 64 << 20,
    "RLIMIT_NOFILE": _NUM_FILES,
}


class Role(IntEnum):
    """What a request asks for: a new process of a kind, or news of an old one."""

    RUNNER = 1
    JUDGE = 2
    PLANNER = 3
    SCRIPT = 4
    CHECKER = 5
    REAP = 10  # wait for a killed process; no answer
    STATUS = 11  # exit status of a process, or that it still runs


_MAIN: dict[int, Callable[[FrameStream, int], None]] = {
    int(Role.RUNNER): runner.serve,
    int(Role.JUDGE): judge.serve,
    int(Role.PLANNER): planner.serve,
    int(Role.SCRIPT): script.serve,
    int(Role.CHECKER): checker.serve,
}
_REAP, _STATUS = int(Role.REAP), int(Role.STATUS)


@dataclass(frozen=True)
class Allowance:
    """What one forked process may use: memory on top of the interpreter's own, CPU as a backstop, bytes of output."""

    memory_bytes: int | None
    cpu_seconds: int
    output_bytes: int


class Client:
    """The warden's side."""

    RUNNING = 1 << 20  # not an exit status

    def __init__(self, connection: socket.socket, pid: int, level: isolation.Level) -> None:
        self.core = HomeCore(pid)
        self.kills_are_foreign = level.seccomp  # which lets nobody inside kill anyone, itself included
        self._connection = connection
        self._connection.settimeout(_PATIENCE)

    def fork(self, role: Role, allowance: Allowance, fds: list[int]) -> int:
        """Forks a process whose channel is `fds[0]` (then a script's standard input, output). Returns its pid."""
        request = _REQUEST.pack(role, allowance.memory_bytes or 0, allowance.cpu_seconds, 0, allowance.output_bytes)
        socket.send_fds(self._connection, [request], fds)
        pid = self._answer()[0]
        self.core.join(pid)
        return pid

    def reap(self, pid: int) -> None:
        """Forgets a process that was killed."""
        self.core.part(pid)
        self._connection.sendall(_REQUEST.pack(Role.REAP, 0, 0, pid, 0))

    def status(self, pid: int) -> int:
        """Exit status as of `os.waitstatus_to_exitcode`, or RUNNING. Forgets the process unless it runs."""
        used = self.core.used(pid)  # once it is reaped there is nothing to read
        self._connection.sendall(_REQUEST.pack(Role.STATUS, 0, 0, pid, 0))
        status = self._answer()[1]
        if status != self.RUNNING:
            self.core.part(pid, used)
        return status

    def _answer(self) -> tuple[int, int]:
        data = self._connection.recv(_ANSWER.size, socket.MSG_WAITALL)
        if len(data) != _ANSWER.size:
            raise ConnectionError("the zygote is gone")
        pid, status = _ANSWER.unpack(data)
        return pid, status


def serve(connection: socket.socket, level: isolation.Level, interpreter_bytes: int | None) -> None:
    """Never returns; ends when the warden does. `interpreter_bytes` of address space come on top of each allowance."""
    isolation.die_with_parent()
    os.dup2(0, 2)  # /dev/null since the start
    nowhere.open_streams()
    signal.signal(endless.SIGNAL, signal.SIG_IGN)  # it may come before a runner is ready for it
    lid = None
    if level.seccomp:
        syscalls.install_filter(seccomp.allow_list())
        lid = seccomp.lid(level.files)
    _limit_all()
    runner.Room.interpreter_bytes = interpreter_bytes or 0
    runner.warm_up()
    gc.collect()
    gc.freeze()
    own = connection.fileno()
    interpreter = interpreter_bytes or 0
    while True:
        request, fds, _, _ = socket.recv_fds(connection, _REQUEST.size, _MAX_FDS, socket.MSG_WAITALL)
        if len(request) != _REQUEST.size:
            os._exit(0)
        role, memory, cpu, pid, output = _REQUEST.unpack(request)
        if role == _REAP:
            os.waitpid(pid, 0)
        elif role == _STATUS:
            ended, status = os.waitpid(pid, os.WNOHANG)
            code = os.waitstatus_to_exitcode(status) if ended else Client.RUNNING
            connection.sendall(_ANSWER.pack(pid, code))
        else:
            child = syscalls.fork()
            if child == 0:
                os.close(own)
                _become(role, fds, interpreter and interpreter + memory, cpu, output, lid)
            for fd in fds:
                os.close(fd)
            connection.sendall(_ANSWER.pack(child, 0))


def _become(role: int, fds: list[int], memory: int, cpu: int, output: int, lid: object) -> None:
    """In the fork: descriptors, limits, lid, then the role. Never returns. `memory` of 0 is without limit.

    Whatever is touched here is a page to copy, for every process: so no enum, no dataclass and no loop that can go.
    """
    try:
        isolation.die_with_parent()
        os.dup2(fds[0], _CHANNEL)
        if len(fds) > 1:
            os.dup2(fds[1], 0)
            os.dup2(fds[2], 1)
        os.closerange(_CHANNEL + 1, _NUM_FILES)
        if memory:
            _lower(_ADDRESS_SPACE, memory)
        _lower(_CPU_TIME, cpu)
        if lid is not None:
            syscalls.install_filter(lid)  # type: ignore[arg-type]
        _MAIN[role](FrameStream(_CHANNEL), output)
    finally:
        os._exit(1)


def _limit_all() -> None:
    for name, value in _LIMITS.items():
        if (number := getattr(resource, name, None)) is not None:  # not every system has them all
            _lower(number, value)


def _lower(number: int, value: int) -> None:
    """Sets a limit for good, where it does not already allow less."""
    hard = resource.getrlimit(number)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(number, (value, value))
