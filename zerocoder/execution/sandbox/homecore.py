"""Keeps the processes that serve one request on one core for as long as they take turns.

Warden, zygote, runner and judge wait for one another, so at most one of them computes at a time. Left to itself the
system moves each to whatever core is idle when it is woken: waking a core from its sleep and filling its caches costs
more than most cells do. Where the request goes is the system's choice: the warden stays where it was woken. A process
that computes for long is let go, so that it never shares a core while others are idle.
"""

from __future__ import annotations

import contextlib
import os

from . import syscalls

TURN_MILLISECONDS = 5
"""Who computes for longer than this is not taking turns."""


class HomeCore:
    """The core of one worker's processes. Does nothing on systems without a say in it."""

    def __init__(self, zygote: int) -> None:
        self._members = {0, zygote}  # 0 is the caller, the warden
        self._everywhere = os.sched_getaffinity(0) if syscalls.knows_cores() else set()
        self._home: int | None = None

    def settle(self) -> None:
        """Gathers all members where the caller runs. Processes forked by members from now on stay there, too."""
        if len(self._everywhere) < 2:
            return
        core = syscalls.current_core()
        if core != self._home:
            self._place(self._members, {core})
        else:
            self._place({0}, {core})
        self._home = core

    def leave(self) -> None:
        """Lets the caller be woken elsewhere for the next request."""
        self._place({0}, self._everywhere)

    def spread(self) -> None:
        """Lets all members go, until the next `settle`."""
        if self._home is not None:
            self._place(self._members, self._everywhere)
            self._home = None

    def join(self, pid: int) -> None:
        """A process forked by a member."""
        self._members.add(pid)

    def part(self, pid: int) -> None:
        """A process that has ended, or is about to."""
        self._members.discard(pid)

    def _place(self, pids: set[int], cores: set[int]) -> None:
        if len(self._everywhere) < 2:
            return
        for pid in pids:
            with contextlib.suppress(OSError):  # it has ended, or the cores we may use have changed: no harm
                os.sched_setaffinity(pid, cores)
