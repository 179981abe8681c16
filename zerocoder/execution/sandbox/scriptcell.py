"""One script on one standard input, seen from the warden: feed, collect, wait for the end, compare the output."""

from __future__ import annotations

import io
import marshal
import os
import select
import signal
import time

from . import script, zygote
from .peer import Budget, Peer
from .verdict import Verdict

_CHUNK = 1 << 16
_STATUS_PAUSE = 0.0002


def run(
    server: zygote.Client,
    program: tuple[str | None, str],
    stdin: bytes,
    expected: str,
    allowance: zygote.Allowance,
    cpu_seconds: float,
    patience: float,
) -> tuple[Verdict, int]:
    """The verdict of a program (its code or source) that reads `stdin` and should print `expected`, and its CPU time.

    In microseconds. Raises Late.
    """
    stdin_reader, stdin_writer = os.pipe()
    stdout_reader, stdout_writer = os.pipe()
    try:
        peer = Peer(server, zygote.Role.SCRIPT, allowance, [stdin_reader, stdout_writer])
    finally:
        os.close(stdin_reader)
        os.close(stdout_writer)
    status = None
    with open(stdin_writer, "wb", buffering=0) as feed, open(stdout_reader, "rb", buffering=0) as printed:
        try:
            peer.send(marshal.dumps(program))
            budget = Budget([peer.pid], cpu_seconds, patience)
            peer.deliver(budget)
            output = _exchange(feed, stdin, printed, allowance.output_bytes, budget)
            micros = budget.used_micros()
            if output is None:
                return Verdict.ERROR, micros
            status = _wait(server, peer, budget)
        finally:
            peer.end() if status is None else peer.forget()
    if status == -signal.SIGKILL and server.kills_are_foreign:
        return Verdict.INFRA, micros
    if status != 0:
        return Verdict.MEMORY if status == script.OUT_OF_MEMORY else Verdict.ERROR, micros
    same = _lines(output.decode(errors="replace")) == _lines(expected)
    return Verdict.PASS if same else Verdict.FAIL, micros


def _exchange(feed: io.FileIO, stdin: bytes, printed: io.FileIO, cap: int, budget: Budget) -> bytes | None:
    """Feeds standard input and collects standard output until it is closed. None when it is more than `cap` bytes."""
    os.set_blocking(feed.fileno(), False)
    unsent, output = memoryview(stdin), bytearray()
    poll = select.poll()
    poll.register(printed, select.POLLIN)
    poll.register(feed, select.POLLOUT)
    while True:
        ready = {fd for fd, _ in poll.poll(budget.poll_milliseconds())}
        if not feed.closed and feed.fileno() in ready:
            unsent = unsent[_written(feed, unsent) :]
            if not unsent:
                poll.unregister(feed)
                feed.close()
        if printed.fileno() in ready:
            data = printed.read(_CHUNK)
            if not data:
                return bytes(output)
            output += data
            if len(output) > cap:
                return None


def _written(feed: io.FileIO, data: memoryview) -> int:
    """Bytes that went in; all of them when nobody reads any more."""
    try:
        return feed.write(data[:_CHUNK]) or 0
    except BrokenPipeError:
        return len(data)


def _wait(server: zygote.Client, peer: Peer, budget: Budget) -> int:
    """The exit status. Output is closed, so the end is near, unless the script closed it itself and goes on."""
    while (status := server.status(peer.pid)) == zygote.Client.RUNNING:
        time.sleep(min(_STATUS_PAUSE, budget.left()))
    return status


def _lines(text: str) -> list[str]:
    """Lines without trailing white space, without empty ones at the end: what graders compare."""
    return [line.rstrip() for line in text.rstrip().split("\n")]
