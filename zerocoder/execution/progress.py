"""One job in progress: its distinct programs and tests, and the verdict matrix they fill.

Equal texts are joined when a job is opened, texts that compile to the same code once a worker has planned it. What
needs no execution is settled here: SKIPPED for absent programs and tests, ERROR for what is no text, too large or does
not compile. Every other cell reads INFRA until a worker answers.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np

from zerocoder.execution.jobs import Job
from zerocoder.execution.limits import Limits
from zerocoder.execution.sandbox import warden
from zerocoder.execution.verdicts import Verdict
from zerocoder.problems import Program, Style, TestCase

MAX_SOURCE_CHARS = 1 << 20
MAX_STDIN_CHARS = 64 << 20

Item = TypeVar("Item", bound=Hashable)


@dataclass
class Distinct(Generic[Item]):
    """A program's source or a test, and the rows or columns of the matrix it stands for."""

    item: Item
    places: list[int]
    compiled: Any = None  # the planner's: a program's code, a literal test's calls and checks; opaque here


class Progress:
    """A job, from opened over planned to done."""

    def __init__(self, job: Job, default_limits: Limits) -> None:
        self.limits = job.limits or default_limits
        self.entry = job.entry_point or ""
        self.matrix = np.full((len(job.programs), len(job.tests)), Verdict.INFRA, dtype=np.int8)  # [N, K]
        self.programs = _distinct(
            (row, program.source)
            for row, program in enumerate(job.programs)
            if program is not None and _runnable(program)
        )
        self.tests = _distinct(
            (column, test)
            for column, test in enumerate(job.tests)
            if test is not None and _usable(test, job.entry_point)
        )
        known_rows = [row for program in self.programs for row in program.places]
        known_columns = [column for test in self.tests for column in test.places]
        self.matrix[np.setdiff1d(np.arange(len(job.programs)), known_rows), :] = Verdict.ERROR
        self.matrix[:, np.setdiff1d(np.arange(len(job.tests)), known_columns)] = Verdict.ERROR
        self.matrix[[row for row, program in enumerate(job.programs) if program is None], :] = Verdict.SKIPPED
        self.matrix[:, [column for column, test in enumerate(job.tests) if test is None]] = Verdict.SKIPPED

    @property
    def idle(self) -> bool:
        """Whether nothing (more) can be run."""
        return not self.programs or not self.tests

    def plan_request(self) -> tuple[Any, ...]:
        """Asks a worker's planner about all sources."""
        codes = [test.item.code for test in self.tests if test.item.style is Style.FUNCTION]
        return warden.PLAN, [program.item for program in self.programs], codes, self.entry

    def apply_plan(self, plan: Any) -> None:
        """Takes the planner's answer in; None leaves every source to be compiled in its own sandbox."""
        if plan is None:
            return
        for program, code in zip(self.programs, plan["programs"]["codes"], strict=True):
            program.compiled = code
        functions = [index for index, test in enumerate(self.tests) if test.item.style is Style.FUNCTION]
        test_groups = list(range(len(self.tests)))
        for index, group, calls in zip(functions, plan["tests"]["groups"], plan["tests"]["plans"], strict=True):
            test_groups[index] = functions[group] if group >= 0 else -1
            self.tests[index].compiled = calls
        rows = [row for program in self.programs for row in program.places]
        columns = [column for test in self.tests for column in test.places]
        self.programs, broken_rows = _joined(self.programs, plan["programs"]["groups"])
        self.tests, broken_columns = _joined(self.tests, test_groups)
        self.matrix[np.ix_(broken_rows, columns)] = Verdict.ERROR
        self.matrix[np.ix_(rows, broken_columns)] = Verdict.ERROR

    def work(self) -> tuple[Any, ...]:
        """The tests and limits as a worker takes them (warden.Work.decoded)."""
        tests = [_as_work(test) for test in self.tests]
        limits = self.limits
        cells = (float(limits.cpu_seconds), int(limits.memory_mb * (1 << 20)), int(limits.output_kb * 1024))
        return (self.entry, tests, *cells)

    def write_row(self, row: int, verdicts: list[Verdict]) -> None:
        """The verdicts of one distinct program, to every row and column they stand for."""
        for test, verdict in zip(self.tests, verdicts, strict=True):
            self.matrix[np.ix_(self.programs[row].places, test.places)] = verdict


def _distinct(items: Iterable[tuple[int, Item]]) -> list[Distinct[Item]]:
    found: dict[Item, Distinct[Item]] = {}
    for place, item in items:
        found.setdefault(item, Distinct(item, [])).places.append(place)
    return list(found.values())


def _joined(items: list[Distinct[Item]], groups: list[int]) -> tuple[list[Distinct[Item]], list[int]]:
    """One item a group (the index of its first member), and the places of those in no group (-1)."""
    broken: list[int] = []
    for index, group in enumerate(groups):
        if group < 0:
            broken += items[index].places
        elif group != index:
            items[group].places += items[index].places
    return [item for index, item in enumerate(items) if groups[index] == index], broken


def _as_work(test: Distinct[TestCase]) -> tuple[Any, ...]:
    case = test.item
    if case.style is Style.STDIN:
        return warden.SCRIPT, (case.stdin or "").encode(), case.stdout
    return (warden.CODE, case.code) if test.compiled is None else (warden.LITERAL, case.code, *test.compiled)


def _runnable(program: Program) -> bool:
    return isinstance(program.source, str) and len(program.source) <= MAX_SOURCE_CHARS


def _usable(test: TestCase, entry_point: str | None) -> bool:
    if test.style is Style.FUNCTION:
        return bool(entry_point) and isinstance(test.code, str) and len(test.code) <= MAX_SOURCE_CHARS
    return _is_stream(test.stdin) and _is_stream(test.stdout)


def _is_stream(text: object) -> bool:
    """Whether a text can travel through a pipe: lone surrogates cannot."""
    if not isinstance(text, str) or len(text) > MAX_STDIN_CHARS:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
