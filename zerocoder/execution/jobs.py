"""What an executor is asked: the programs and tests of one problem."""

from __future__ import annotations

from dataclasses import dataclass

from zerocoder.execution.limits import Limits
from zerocoder.problems import Program, TestCase


@dataclass(frozen=True)
class Job:
    """One problem: every program is to meet every test.

    programs: [N], tests: [K]; None stands for an answer that did not parse, whose row or column reads SKIPPED.
    entry_point: the function that assert-style tests call; None for scripts.
    limits: of each cell; None for the executor's own.
    """

    programs: tuple[Program | None, ...]
    tests: tuple[TestCase | None, ...]
    entry_point: str | None
    limits: Limits | None = None
