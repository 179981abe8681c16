"""The warden's end of one forked process: frames without blocking, and budgets by the process' own CPU clock.

A wall clock says nothing under load: a neighbour on the same cores makes right programs late. So a budget counts the
CPU time of the watched processes, read from their clocks by the kernel. The wall clock only catches what sleeps: a
process that is late by the wall clock and has not had an eighth of a core in all that time. Before that is believed,
the warden looks at how much of a core a busy process gets just now, and waits longer where that is little.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import socket
import struct
import sys
import time

from . import clocks, endless, zygote
from .homecore import TURN_MILLISECONDS
from .wire import FrameBuffer, Oversized, framed

_WALL_FACTOR = 4.0
_WALL_FLOOR_SECONDS = 2.0  # so that small budgets do not count a busy machine's hiccups
_ASLEEP_FACTOR = 8.0  # less than one part in this many of a core is sleep
_PROBE_SECONDS = 0.02
_MAX_SLOWDOWN = 64.0
_CHUNK = 1 << 16
_WAITS_IN_READ = sys.platform == "linux"  # elsewhere a socket that does not wait to send does not wait to read
_ONE_TURN = struct.pack("ll", 0, 1000 * TURN_MILLISECONDS)  # a timeval
_STATUS_PAUSE = 0.001
_LOOK_AGAIN = 4  # times as late as the last look, and so on


class Late(Exception):
    """The budget is spent: CPU time, or the patience of the wall clock, which no more CPU time helps: `for_good`."""

    def __init__(self, for_good: bool) -> None:
        super().__init__(for_good)
        self.for_good = for_good


class Gone(Exception):
    """The process ended or closed its channel, or, where not `ended`, sent more than it may."""

    def __init__(self, ended: bool = True) -> None:
        super().__init__(ended)
        self.ended = ended


def patience_seconds(cpu_seconds: float) -> float:
    """How long a process may sleep by the wall clock whose cells may use `cpu_seconds`."""
    return max(_WALL_FLOOR_SECONDS, _WALL_FACTOR * cpu_seconds)


def longest_wall_seconds(cpu_seconds: float) -> float:
    """What a budget can take by the wall clock at the very most."""
    return max(_WALL_FLOOR_SECONDS, _ASLEEP_FACTOR * cpu_seconds)


class Budget:
    """CPU seconds for each of some processes, from now on, and `patience` seconds by the wall clock for all of them."""

    def __init__(self, pids: list[int], cpu_seconds: float, patience: float | None = None) -> None:
        self.cpu_seconds = cpu_seconds
        self._clocks = [(clock, clocks.read(clock)) for clock in map(clocks.cpu_clock, pids)]
        self._start = time.monotonic()
        self._given_patience = patience_seconds(cpu_seconds) if patience is None else patience
        self._patience = self._given_patience

    def left(self) -> float:
        """Seconds that may pass until the budget can be spent at the earliest. Raises Late when it is."""
        used = [clocks.read(clock) - start for clock, start in self._clocks]
        cpu_left = self.cpu_seconds - max(used)
        if cpu_left <= 0:
            raise Late(for_good=False)
        wall_left = self._wall_left(sum(used))
        if wall_left <= 0:
            self._patience = max(self._patience, self._given_patience * min(_slowdown(), _MAX_SLOWDOWN))
            wall_left = self._wall_left(sum(used))
            if wall_left <= 0:
                raise Late(for_good=True)
        return min(cpu_left, wall_left)

    def _wall_left(self, used: float) -> float:
        return max(self._patience, _ASLEEP_FACTOR * used) - (time.monotonic() - self._start)

    def used_micros(self) -> int:
        """Microseconds of CPU that the process that used most has used so far."""
        return max(0, *(int(1e6 * (clocks.read(clock) - start)) for clock, start in self._clocks))

    def poll_milliseconds(self) -> int:
        """`left`, rounded up to what `poll` takes."""
        return max(1, math.ceil(1000 * self.left()))


def _slowdown() -> float:
    """How much longer by the wall clock a busy process takes just now than it computes."""
    start, wall_start = time.thread_time(), time.monotonic()
    while (used := time.thread_time() - start) < _PROBE_SECONDS:
        pass
    return (time.monotonic() - wall_start) / used


class Peer:
    """One forked process and the channel to it."""

    def __init__(self, server: zygote.Client, role: zygote.Role, allowance: zygote.Allowance, extra: list[int]) -> None:
        """`extra`: descriptors for standard input and output of a script. The caller closes them."""
        self._server = server
        self._reaped = False
        self._socket, theirs = socket.socketpair()
        if _WAITS_IN_READ:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _ONE_TURN)
        else:
            self._socket.setblocking(False)
        self._inbox = FrameBuffer(allowance.output_bytes + 4096)
        self._outbox = bytearray()
        self._poll = select.poll()
        self._poll.register(self._socket, select.POLLIN)
        try:
            self.pid = server.fork(role, allowance, [theirs.fileno(), *extra])
        finally:
            theirs.close()

    def send(self, *payloads: bytes) -> None:
        """Queues frames; what does not fit the socket now leaves while `receive` waits."""
        for payload in payloads:
            self._outbox += framed(payload)
        self.flush()

    def deliver(self, budget: Budget) -> None:
        """Waits until the queue is empty. Raises Late."""
        while self._outbox:
            self._poll.modify(self._socket, select.POLLOUT)
            self._poll.poll(budget.poll_milliseconds())
            self.flush()

    def receive(self, budget: Budget, watched: bool = False) -> bytes:
        """The next frame. Raises Late, Gone. `watched`: a runner that takes long is asked to look at its program."""
        wait = TURN_MILLISECONDS
        # Most answers take one system call.
        waits_in_read = _WAITS_IN_READ and not self._outbox and 1000 * budget.cpu_seconds > wait
        try:
            while (payload := self._inbox.next()) is None:
                waited, waits_in_read = waits_in_read, False
                if not waited:
                    budget.left()  # what arrives in drips may be late, too
                if self._read(0 if waited else socket.MSG_DONTWAIT):
                    continue
                patience = budget.poll_milliseconds()
                events = 0 if waited else self._events(min(patience, wait))
                if not events and patience > wait:
                    self._server.core.spread()
                    if watched:
                        os.kill(self.pid, endless.SIGNAL)
                    wait = _LOOK_AGAIN * wait if watched else patience
                if events & select.POLLOUT:
                    self.flush()
        except Oversized as error:
            raise Gone(ended=False) from error
        return payload

    def was_killed(self, patience: float) -> bool:
        """Whether a process that is Gone was killed from outside (by a system out of memory, or by somebody).

        Where programs cannot kill themselves, that says nothing about the program. Waits at most `patience` seconds for
        the process to have ended: one that only closed its channel has not.
        """
        end = time.monotonic() + patience
        while (status := self._server.status(self.pid)) == zygote.Client.RUNNING:
            if time.monotonic() >= end:
                return False
            time.sleep(_STATUS_PAUSE)
        self._reaped = True
        return self._server.kills_are_foreign and status == -signal.SIGKILL

    def end(self) -> None:
        """Kills the process and forgets it."""
        if not self._reaped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self._server.reap(self.pid)
        self._socket.close()

    def forget(self) -> None:
        """Closes the channel of a process that has already been reaped."""
        self._socket.close()

    def _events(self, milliseconds: int) -> int:
        """What the channel has become ready for after at most so long."""
        self._poll.modify(self._socket, select.POLLIN | (select.POLLOUT if self._outbox else 0))
        return next((event for _, event in self._poll.poll(milliseconds)), 0)

    def _read(self, flags: int) -> bool:
        """Takes in what has arrived. Waits for it, one turn at the most, unless told not to. Raises Gone."""
        try:
            data = self._socket.recv(_CHUNK, flags)
        except BlockingIOError:
            return False
        except OSError as error:
            raise Gone from error
        if not data:
            raise Gone
        self._inbox.feed(data)
        return True

    def flush(self) -> None:
        """Sends as much of the queue as fits now."""
        try:
            while self._outbox:
                del self._outbox[: self._socket.send(self._outbox[:_CHUNK], socket.MSG_DONTWAIT)]
        except BlockingIOError:
            pass
        except OSError:  # nobody listens any more: `receive` finds out
            self._outbox.clear()
