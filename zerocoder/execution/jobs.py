"""What an executor is asked: the programs and tests of one problem."""

from __future__ import annotations

from dataclasses import dataclass, field

from zerocoder.execution.limits import Limits
from zerocoder.problems import Grading, Program, TestCase


@dataclass(frozen=True)
class Job:
    """One problem: every program is to meet every test.

    programs: [N], tests: [K]; None stands for an answer that did not parse, whose row or column reads SKIPPED.
    entry_point: the function that assert-style tests call; None for scripts.
    limits: of each cell; None for the executor's own.
    grading: how the tests are judged. Where it names seconds, each cell is given so many at once, times the factor by
        which this machine is slower than the reference (machine.py); where it names memory, so much of it.
    family: the programs are variants of one (its mutants) and share a process, each with a fresh namespace. That saves
        a fork a program; a variant may spoil the interpreter for the next, as tests of one program may for each other.
    first_failure: all that is asked is whether a program passes every test: what follows its first test that it does
        not pass reads CANCELLED.
    cancel: False runs every cell, whatever Limits.cancel_after says: for a reference, whose late cells are the tests'
        fault.
    """

    programs: tuple[Program | None, ...]
    tests: tuple[TestCase | None, ...]
    entry_point: str | None
    limits: Limits | None = None
    family: bool = False
    first_failure: bool = False
    cancel: bool = True
    grading: Grading = field(default_factory=Grading)
