"""The fork server of a worker: forked off before any job arrives, so what it forks inherits no expected value.

The warden asks over a socket pair with one fixed-size request and hands over the descriptors of the new process; the
zygote forks, answers with the pid, and later reaps by pid when told to, so a pid is never reused while it is watched.
"""

from __future__ import annotations

import gc
import os
import resource
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

from . import isolation, judge, planner, runner, script, seccomp, syscalls
from .wire import FrameStream

_REQUEST = struct.Struct("<BqqqI")  # role, bytes of memory, seconds of CPU, pid to reap, bytes of output
_ANSWER = struct.Struct("<qi")
_MAX_FDS = 3
_CHANNEL = 3  # the descriptor of a forked process's connection to the warden
_PATIENCE = 60.0
_NUM_FILES = 64
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
    REAP = 10  # wait for a killed process; no answer
    STATUS = 11  # exit status of a process, or that it still runs


_MAIN: dict[Role, Callable[[FrameStream, int], None]] = {
    Role.RUNNER: runner.serve,
    Role.JUDGE: judge.serve,
    Role.PLANNER: planner.serve,
    Role.SCRIPT: script.serve,
}


@dataclass(frozen=True)
class Allowance:
    """What one forked process may use: memory on top of the interpreter's own, CPU as a backstop, bytes of output."""

    memory_bytes: int | None
    cpu_seconds: int
    output_bytes: int


class Client:
    """The warden's side."""

    RUNNING = 1 << 20  # not an exit status

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._connection.settimeout(_PATIENCE)

    def fork(self, role: Role, allowance: Allowance, fds: list[int]) -> int:
        """Forks a process whose channel is `fds[0]` (a script: then standard input and output). Returns its pid."""
        request = _REQUEST.pack(role, allowance.memory_bytes or 0, allowance.cpu_seconds, 0, allowance.output_bytes)
        socket.send_fds(self._connection, [request], fds)
        return self._answer()[0]

    def reap(self, pid: int) -> None:
        """Forgets a process that was killed."""
        self._connection.sendall(_REQUEST.pack(Role.REAP, 0, 0, pid, 0))

    def status(self, pid: int) -> int:
        """Exit status as of `os.waitstatus_to_exitcode`, or RUNNING. Forgets the process unless it runs."""
        self._connection.sendall(_REQUEST.pack(Role.STATUS, 0, 0, pid, 0))
        return self._answer()[1]

    def _answer(self) -> tuple[int, int]:
        data = self._connection.recv(_ANSWER.size, socket.MSG_WAITALL)
        if len(data) != _ANSWER.size:
            raise ConnectionError("the zygote is gone")
        pid, status = _ANSWER.unpack(data)
        return pid, status


def serve(connection: socket.socket, level: isolation.Level, interpreter_bytes: int | None) -> None:
    """Never returns; ends when the warden does. `interpreter_bytes` of address space come on top of each allowance."""
    isolation.die_with_parent()
    os.dup2(0, 2)  # /dev/null since the start: what programs print goes nowhere
    lid = None
    if level.seccomp:
        syscalls.install_filter(seccomp.allow_list())
        lid = seccomp.lid(level.files)
    _limit_all()
    runner.warm_up()
    gc.collect()
    gc.freeze()
    while True:
        request, fds, _, _ = socket.recv_fds(connection, _REQUEST.size, _MAX_FDS, socket.MSG_WAITALL)
        if len(request) != _REQUEST.size:
            os._exit(0)
        role, memory, cpu, pid, output = _REQUEST.unpack(request)
        if role == Role.REAP:
            os.waitpid(pid, 0)
        elif role == Role.STATUS:
            ended, status = os.waitpid(pid, os.WNOHANG)
            code = os.waitstatus_to_exitcode(status) if ended else Client.RUNNING
            connection.sendall(_ANSWER.pack(pid, code))
        else:
            child = syscalls.fork()
            if child == 0:
                connection.close()
                memory = None if interpreter_bytes is None else interpreter_bytes + memory
                _become(Role(role), fds, Allowance(memory, cpu, output), lid)
            for fd in fds:
                os.close(fd)
            connection.sendall(_ANSWER.pack(child, 0))


def _become(role: Role, fds: list[int], allowance: Allowance, lid: object) -> None:
    """In the fork: descriptors, limits, lid, then the role. Never returns."""
    try:
        isolation.die_with_parent()
        for fd, wanted in zip(fds, (_CHANNEL, 0, 1), strict=False):
            os.dup2(fd, wanted)
        os.closerange(_CHANNEL + 1, _NUM_FILES)
        if allowance.memory_bytes is not None:
            _lower("RLIMIT_AS", allowance.memory_bytes)
        _lower("RLIMIT_CPU", allowance.cpu_seconds)
        if lid is not None:
            syscalls.install_filter(lid)  # type: ignore[arg-type]
        _MAIN[role](FrameStream(_CHANNEL), allowance.output_bytes)
    finally:
        os._exit(1)


def _limit_all() -> None:
    for name, value in _LIMITS.items():
        _lower(name, value)


def _lower(name: str, value: int) -> None:
    """Sets a limit for good, where the system has it and does not already allow less."""
    if (number := getattr(resource, name, None)) is not None:
        hard = resource.getrlimit(number)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (value, value))
