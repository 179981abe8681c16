"""One script on one standard input, seen from the warden: feed, collect, wait for the end, judge the output.

The output is compared here, or handed to the problem's own checker, which runs in a process and on a budget of its own.
"""

from __future__ import annotations

import io
import marshal
import os
import select
import signal
import time
from dataclasses import dataclass

from . import output, script, zygote
from .peer import Budget, Late, Peer, patience_seconds
from .verdict import Verdict

CHECKER_CPU_SECONDS = 10.0
_CHECKER_ALLOWANCE = zygote.Allowance(1 << 30, int(CHECKER_CPU_SECONDS) + 2, 1 << 16)
_CHUNK = 1 << 16
_STATUS_PAUSE = 0.0002


@dataclass(frozen=True)
class Examination:
    """A test: what the script reads, what it should print, and who says whether it did."""

    stdin: bytes
    expected: str
    rule: str  # of output.py
    checker: str | None  # source; then the rule does not matter


@dataclass(frozen=True)
class _End:
    """How a process ended: its exit status (None if it printed more than it may), its output, its CPU time."""

    status: int | None
    output: bytes
    micros: int


def run(
    server: zygote.Client,
    program: tuple[str | None, str],
    test: Examination,
    allowance: zygote.Allowance,
    cpu_seconds: float,
    patience: float,
) -> tuple[Verdict, int]:
    """The verdict of a program (its code or source) on a test, and its CPU time in microseconds. Raises Late.

    Where the expected output is long, what may be printed is twice as long, whatever the allowance says.
    """
    most = max(allowance.output_bytes, 2 * len(test.expected))
    message = marshal.dumps(program)
    end = _ended(server, zygote.Role.SCRIPT, message, test.stdin, allowance, most, cpu_seconds, patience)
    if _was_killed(server, end):
        return Verdict.INFRA, end.micros
    if end.status != 0:
        return Verdict.MEMORY if end.status == script.OUT_OF_MEMORY else Verdict.ERROR, end.micros
    if test.checker is not None:
        return _checked(server, test, test.checker, end.output), end.micros
    same = output.matches(end.output.decode(errors="replace"), test.expected, test.rule)
    return Verdict.PASS if same else Verdict.FAIL, end.micros


def _checked(server: zygote.Client, test: Examination, checker: str, printed: bytes) -> Verdict:
    """What the checker says.

    One that fails may have met an output that no sound program prints. It has, if it accepts the expected output in the
    same test; if it does not, the checker says nothing about any program.
    """
    expected = test.expected.encode()
    score = _score(server, checker, test.stdin, expected, printed)
    if isinstance(score, Verdict):
        return score
    if score is None:
        score = _score(server, checker, test.stdin, expected, expected)
        if isinstance(score, Verdict):
            return score
        return Verdict.FAIL if score == 1 else Verdict.BROKEN
    return Verdict.PASS if score == 1 else Verdict.FAIL


def _score(
    server: zygote.Client, checker: str, stdin: bytes, expected: bytes, printed: bytes
) -> float | Verdict | None:
    """What the checker prints, from 0 to 1; None where it fails, INFRA where it was killed from outside."""
    message = marshal.dumps((checker, stdin, expected, printed))
    most = _CHECKER_ALLOWANCE.output_bytes
    patience = patience_seconds(CHECKER_CPU_SECONDS)
    try:
        end = _ended(server, zygote.Role.CHECKER, message, b"", _CHECKER_ALLOWANCE, most, CHECKER_CPU_SECONDS, patience)
    except Late:
        return None
    if _was_killed(server, end):
        return Verdict.INFRA
    try:
        score = float(end.output.decode("ascii"))
    except ValueError:
        return None
    return score if end.status == 0 and 0 <= score <= 1 else None


def _was_killed(server: zygote.Client, end: _End) -> bool:
    return end.status == -signal.SIGKILL and server.kills_are_foreign


def _ended(
    server: zygote.Client,
    role: zygote.Role,
    message: bytes,
    stdin: bytes,
    allowance: zygote.Allowance,
    most: int,
    cpu_seconds: float,
    patience: float,
) -> _End:
    """The end of a process that is sent `message` and `stdin`, and may print `most` bytes. Raises Late."""
    stdin_reader, stdin_writer = os.pipe()
    stdout_reader, stdout_writer = os.pipe()
    try:
        peer = Peer(server, role, allowance, [stdin_reader, stdout_writer])
    finally:
        os.close(stdin_reader)
        os.close(stdout_writer)
    status = None
    with open(stdin_writer, "wb", buffering=0) as feed, open(stdout_reader, "rb", buffering=0) as printed:
        try:
            peer.send(message)
            budget = Budget([peer.pid], cpu_seconds, patience)
            peer.deliver(budget)
            collected = _exchange(feed, stdin, printed, most, budget)
            micros = budget.used_micros()
            if collected is None:
                return _End(None, b"", micros)
            status = _wait(server, peer, budget)
        finally:
            peer.end() if status is None else peer.forget()
    return _End(status, collected, micros)


def _exchange(feed: io.FileIO, stdin: bytes, printed: io.FileIO, cap: int, budget: Budget) -> bytes | None:
    """Feeds standard input and collects standard output until it is closed. None when it is more than `cap` bytes."""
    os.set_blocking(feed.fileno(), False)
    unsent, collected = memoryview(stdin), bytearray()
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
                return bytes(collected)
            collected += data
            if len(collected) > cap:
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
