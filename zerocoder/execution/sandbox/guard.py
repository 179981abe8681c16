"""A worker's outermost process: isolates, forks the warden, and from then on only waits for one of three ends.

The warden exits (the trainer closed the connection, or it crashed): reap it and follow. The trainer asks for the end
(SIGTERM) or dies (parent-death signal): kill the warden, and with it, as first process of its pid namespace, everything
inside. It exists so that nothing untrusted is ever a direct child of the trainer, and so that killing one pid ends all.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import sys

from . import isolation, preload, warden, zygote
from .wire import FrameStream

_TRAINER_GONE = signal.SIGUSR1


def main(fd: int, trainer: int, floor: str, numpy_home: str) -> None:
    """Never returns. `fd` is the connection to the trainer, `trainer` its pid, `numpy_home` as for `preload.load`."""
    ends = {signal.SIGCHLD, signal.SIGTERM, _TRAINER_GONE}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C at the terminal is the trainer's to handle
    isolation.die_with_parent(_TRAINER_GONE)
    if os.getppid() != trainer:
        os._exit(1)
    os.environ.clear()
    trainer_stream = FrameStream(fd)
    try:
        level = isolation.choose(floor)
        preload.load(everything=level.seccomp and not level.namespaces, numpy_home=numpy_home)
        interpreter_bytes = _address_space()
        isolation.enter(level)
    except isolation.Refused as error:
        trainer_stream.write(json.dumps({"refused": str(error)}).encode())
        os._exit(1)
    pid = os.fork()
    if pid == 0:
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        _run_warden(trainer_stream, level, interpreter_bytes)
    os.close(fd)
    while True:
        received = signal.sigwait(ends)
        if received == signal.SIGCHLD:
            if os.waitpid(pid, os.WNOHANG)[0] == pid:
                os._exit(0)
        elif received == signal.SIGTERM or os.getppid() != trainer:
            # the parent-death signal also comes when only the thread that started us ended
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            os._exit(0)


def _run_warden(trainer: FrameStream, level: isolation.Level, interpreter_bytes: int | None) -> None:
    try:
        isolation.settle(level)
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            os.close(trainer.fd)
            ours.close()
            zygote.serve(theirs, level, interpreter_bytes)
        theirs.close()
        trainer.write(json.dumps({"isolation": level.describe()}).encode())
        warden.serve(trainer, zygote.Client(ours, pid, level))
    except EOFError:
        os._exit(0)
    except BaseException as error:
        # one line on the trainer's standard error: the trainer sees the connection close and starts another worker
        sys.__stderr__ and print(f"zerocoder: a worker ends after {error!r}", file=sys.__stderr__)
        os._exit(1)


def _address_space() -> int | None:
    """Bytes of address space that the interpreter takes by itself; None where the system does not tell."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None
