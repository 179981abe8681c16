"""What the parts hand to each other: problems, programs, tests and the verdicts' passing matrix.

Every carrier is frozen and needs nothing but numpy, so that execution, selection, mutation and rewards can be used
without torch, Lightning or a model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import ClassVar


class Style(StrEnum):
    """How a problem's programs are called."""

    FUNCTION = "function"  # a named function, tested by assert statements
    STDIN = "stdin"  # a script that reads standard input, tested by its standard output


class Role(StrEnum):
    """Which of its two turns the policy takes."""

    CODER = "coder"
    TESTER = "tester"


class ZeroCoderError(Exception):
    """A user's mistake: one line that says what is wrong, where, and what to do instead.

    The command lines print it without a traceback and exit with status 2. Everything else that is raised is a bug.
    """


@dataclass(frozen=True, slots=True)
class Program:
    """One candidate solution: the source of a Python module."""

    source: str


@dataclass(frozen=True, slots=True)
class TestCase:
    """One column of a passing matrix.

    Function style: `code` holds assert statements (and what they need), which must all hold. Standard-input style:
    `stdin` is fed to the program and its output is compared with `stdout`.
    """

    __test__: ClassVar[bool] = False  # not a pytest class

    code: str = ""
    stdin: str | None = None
    stdout: str | None = None

    def __post_init__(self) -> None:
        if (self.stdin is None) != (self.stdout is None):
            raise ValueError("a standard-input test needs both stdin and stdout")
        if self.stdin is not None and self.code:
            raise ValueError("a test has either code or stdin/stdout, not both")

    @property
    def style(self) -> Style:
        return Style.FUNCTION if self.stdin is None else Style.STDIN


class OutputMatch(StrEnum):
    """When a standard output counts as the expected one. White space at the end never matters."""

    LINES = "lines"  # line by line, white space at the end of a line aside
    # LiveCodeBench's: line by line, white space at both ends aside; lines of nothing but numbers are equal as decimals
    DECIMALS = "decimals"
    # token by token; numbers with a point or exponent may differ by 1e-6, absolutely or relatively (testlib, APPS)
    NUMBERS = "numbers"


@dataclass(frozen=True, slots=True)
class Grading:
    """How the official tests of a problem are judged.

    output: of standard-input tests without a checker.
    seconds: what the official grader gives a test on its machine; None leaves it to `verifier.cpu_seconds`.
    memory_mb: likewise; None leaves it to `verifier.memory_mb`.
    checker: Python source of a program that judges an output, called with the names of three files (input, expected
        output, printed output) and printing 1, or a share of 1, for a right one: for problems with many right answers.
    prelude: Python source that the official grader puts before a program, in the program's own namespace.
    """

    output: OutputMatch = OutputMatch.LINES
    seconds: float | None = None
    memory_mb: int | None = None
    checker: str | None = None
    prelude: str = ""


@dataclass(frozen=True, slots=True)
class Label:
    """Ground truth of a problem. Only the calibration set, the oracle and the evaluation may read it."""

    solution: str
    tests: tuple[TestCase, ...]
    grading: Grading = Grading()


@dataclass(frozen=True, slots=True)
class Problem:
    """A programming problem as the policy sees it, plus its label where one exists.

    `signature` is shown below the statement: a `def` line or starter code; empty for standard-input problems.
    `origins` says where it was first published, alike in every data set that took it over (`codeforces/1259/D`).
    """

    id: str
    statement: str
    style: Style = Style.FUNCTION
    entry_point: str | None = None
    signature: str = ""
    label: Label | None = None
    source: str = ""
    difficulty: str = ""
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.style is Style.FUNCTION) != (self.entry_point is not None):
            raise ValueError(f"problem {self.id}: function-style problems, and only they, have an entry point")

    def unlabelled(self) -> Problem:
        """The same problem without its ground truth."""
        return replace(self, label=None)
