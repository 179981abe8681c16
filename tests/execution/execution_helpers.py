"""A short way to write jobs and matrices down, and to see which processes there are."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from zerocoder.execution import Job, Limits, Verdict
from zerocoder.problems import Program, TestCase

Matrix = list[list[str]]
RunMatrix = Callable[..., Matrix]
RunCell = Callable[..., str]


def as_job(
    programs: Sequence[str | None],
    tests: Sequence[str | tuple[str, str] | None],
    entry: str | None = "f",
    limits: Limits | None = None,
) -> Job:
    """A job from sources; a pair is a script's standard input and output."""
    cases = [
        None if test is None else TestCase(stdin=test[0], stdout=test[1]) if isinstance(test, tuple) else TestCase(test)
        for test in tests
    ]
    return Job(tuple(None if p is None else Program(p) for p in programs), tuple(cases), entry, limits)


def descendants(pid: int) -> list[int]:
    """Processes below a process, parents first. By parent pids: /proc/PID/task/TID/children skips some while others end."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for member in found:
        found += sorted(children.get(member, []))
    return found[1:]


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def all_gone(pids: list[int]) -> bool:
    def alive(pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    return not any(map(alive, pids))


def names(verdicts: np.ndarray) -> list[list[str]]:
    return [[Verdict(v).name for v in row] for row in verdicts]


def forked(guard: int) -> list[int]:
    """What the zygote of a worker has forked."""
    return descendants(guard)[2:]


def computing(guard: int) -> set[int]:
    """Those of them that have computed for a while."""
    found = set()
    for pid in forked(guard):
        with contextlib.suppress(OSError):
            if time.clock_gettime(((~pid) << 3) | 2) > 0.05:  # its CPU clock
                found.add(pid)
    return found
