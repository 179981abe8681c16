"""Keeps the processes that serve one request on one core for as long as they take turns.

Warden, zygote, runner and judge wait for one another, so at most one of them computes at a time. Left to itself the
system moves each to whatever core is idle when it is woken: waking a core from its sleep and filling its caches costs
more than most cells do. Where the request goes is the system's choice: the warden stays where it was woken. A process
that computes for long is let go, so that it never shares a core while others are idle. So are all of them, for one
request, after one in which they had much less than a core to themselves: another worker may have settled on the same
core, and a warden that always finds its next request waiting is never woken elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import time

from . import clocks, syscalls

TURN_MILLISECONDS = 5
"""Who computes for longer than this is not taking turns."""
_LEAST_SECONDS = 0.004  # of a request: a shorter one does not tell
_LEAST_SHARE = 0.75  # of the core's time, else somebody else has the rest


class HomeCore:
    """The core of one worker's processes. Does nothing on systems without a say in it."""

    def __init__(self, zygote: int) -> None:
        self._members = {0, zygote}  # 0 is the caller, the warden
        self._everywhere = os.sched_getaffinity(0) if syscalls.knows_cores() else set()
        self._home: int | None = None
        self._start = 0.0  # of the request
        self._used_before: dict[int, float] = {}  # CPU seconds of its members
        self._used_by_ended = 0.0  # in the request
        self._moves = False  # whether the next request is for the system to place

    def settle(self) -> None:
        """Gathers all members where the caller runs. Processes forked by members from now on stay there, too."""
        if len(self._everywhere) < 2:
            return
        if self._moves:
            self._moves = False
            return
        core = syscalls.current_core()
        if core != self._home:
            self._place(self._members, {core})
        else:
            self._place({0}, {core})
        self._home = core
        self._start, self._used_by_ended = time.monotonic(), 0.0
        self._used_before = {pid: _cpu_seconds(pid) for pid in self._members}

    def leave(self) -> None:
        """Lets the caller be woken elsewhere for the next request."""
        if self._home is not None and self._has_to_share():
            self.spread()
            self._moves = True
        else:
            self._place({0}, self._everywhere)

    def spread(self) -> None:
        """Lets all members go, until the next `settle`."""
        if self._home is not None:
            self._place(self._members, self._everywhere)
            self._home = None

    def join(self, pid: int) -> None:
        """A process forked by a member."""
        self._members.add(pid)

    def part(self, pid: int, used: float | None = None) -> None:
        """A process that has ended, or is about to. `used`: what `used` said of it, where it says nothing any more."""
        self._members.discard(pid)
        self._used_by_ended += self.used(pid) if used is None else used

    def used(self, pid: int) -> float:
        """CPU seconds of a member since `settle`."""
        return max(0.0, _cpu_seconds(pid) - self._used_before.get(pid, 0.0))

    def _has_to_share(self) -> bool:
        """Whether the members had much less than their core's time since `settle`."""
        seconds = time.monotonic() - self._start
        used = self._used_by_ended + sum(map(self.used, self._members))
        return seconds > _LEAST_SECONDS and used < _LEAST_SHARE * seconds

    def _place(self, pids: set[int], cores: set[int]) -> None:
        if len(self._everywhere) < 2:
            return
        for pid in pids:
            with contextlib.suppress(OSError):  # it has ended, or the cores we may use have changed: no harm
                os.sched_setaffinity(pid, cores)


def _cpu_seconds(pid: int) -> float:
    return clocks.read(clocks.cpu_clock(pid))
