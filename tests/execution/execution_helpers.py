"""A short way to write jobs and matrices down."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zerocoder.execution import Job, Limits
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
