"""The CPU time of processes, read from their clocks by the kernel."""

from __future__ import annotations

import time


def cpu_clock(pid: int) -> int:
    """The id of a process' clock, 0 for the caller's own (Linux: see clock_getcpuclockid)."""
    return ((~pid) << 3) | 2


def read(clock: int) -> float:
    """Seconds; 0 where the process is gone, or this system has no such clocks."""
    try:
        return time.clock_gettime(clock)
    except OSError:
        return 0.0
