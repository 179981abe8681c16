"""What a worker is asked: the tests of a problem, and the programs that are to meet them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from . import codec, output, zygote

LITERAL, CODE, SCRIPT = "literal", "code", "script"  # kinds of tests
FOR_GOOD = 1 << 60
"""Stands for the CPU microseconds of a cell that sleeps, or goes round in circles: no budget is large enough."""

Program = tuple[str | None, str]
"""Its code, if it was planned, and its source."""
Outcome = tuple[int, int]  # a verdict, and microseconds of CPU


class Asked(NamedTuple):
    """A program, the tests it is to meet, and when it is given up.

    patience: runs that may be late, 0 for any number; above 1, a program that ended on a test is given up only when it
        is late on more than half of all, too.
    num_late, has_ended: what came of the tests that it has met before.
    in_order: test by test as listed; else literal tests first, all at once.
    sealed: whether it leaves nothing behind (sealed.py).
    watched: whether it can be proven to be endless (endless.py).
    """

    code: str | None
    source: str
    cells: list[int]
    patience: int
    num_late: int
    has_ended: bool
    in_order: bool
    sealed: bool
    watched: bool

    @property
    def program(self) -> Program:
        return self.code, self.source


@dataclass(frozen=True)
class Work:
    """The tests of a problem and what a program may use on each (see Limits and Job)."""

    entry: str
    tests: list[tuple[Any, ...]]  # (CODE, source, sealed) | (LITERAL, source, calls, checks) | (SCRIPT, stdin, stdout)
    cpu_seconds: float  # the most that a round gives
    memory_bytes: int
    output_bytes: int
    patience_seconds: float  # of the wall clock
    process_each: bool  # a runner a cell
    first_failure: bool
    output_rule: str = output.LINES  # of scripts
    checker: str | None = None  # likewise; in the rule's place

    @classmethod
    def decoded(cls, entry: str, tests: list[tuple[Any, ...]], *limits: Any) -> Work:
        """From a request, in which the checks of literal tests are encoded, as the planner wrote them."""
        return cls(entry, [with_checks(test) for test in tests], *limits)

    def allowance(self, cpu_seconds: float) -> zygote.Allowance:
        return zygote.Allowance(self.memory_bytes, int(cpu_seconds) + 2, self.output_bytes)


NOTHING = Work("", [], 0.0, 0, 0, 0.0, False, False)
"""Before the first problem."""


def with_checks(test: tuple[Any, ...]) -> tuple[Any, ...]:
    """A test as the warden takes it, from one as the planner wrote it."""
    if test[0] != LITERAL:
        return test
    try:
        return LITERAL, test[1], bytes.fromhex(test[2]), codec.loads(test[3].encode("ascii"))
    except codec.Unsupported:  # expected values that take too long to build
        return CODE, test[1], False
