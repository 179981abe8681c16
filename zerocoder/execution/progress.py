"""One job in progress: its distinct programs and tests, the rounds they run in, and the verdict matrix they fill.

Equal texts are joined when a job is opened, texts that compile to the same code once a worker has planned it. What
needs no execution is settled here: SKIPPED for absent programs and tests, ERROR for what is no text, too large, a test
without a statement or does not compile, and what the cache knows. Every other cell reads INFRA until a worker answers.

A program that is late on a test waits until the others are through (FIRST). Then it meets the tests that most of them
ended on, before the others (REST): so few late ones are enough to take it for endless, and tests that no program ends
on, or only wrong ones do, cannot keep it from the rest.
"""

from __future__ import annotations

import re
import statistics
from typing import Any

import numpy as np

from zerocoder.execution import machine
from zerocoder.execution.cache import Entry, VerdictCache, digest
from zerocoder.execution.cells import Distinct, Outcome, Round, Row, distinct, joined, parts, placed
from zerocoder.execution.jobs import Job
from zerocoder.execution.limits import Limits
from zerocoder.execution.sandbox import warden
from zerocoder.execution.sandbox.peer import patience_seconds
from zerocoder.execution.sandbox.work import CODE, FOR_GOOD, LITERAL, SCRIPT
from zerocoder.execution.verdicts import Verdict
from zerocoder.problems import Program, Style, TestCase

MAX_SOURCE_CHARS = 1 << 20  # of a program
MAX_TEST_CHARS = 16 << 20  # of a test's code: official ones may hold long lists
MAX_STDIN_CHARS = 64 << 20
MAX_FAMILY = 16
"""Programs of a family that one task holds: enough to spread a fork's price, few enough to keep many workers busy."""
MAX_SHARED = 8
"""The same of strangers, which end where a family's members may not."""
_NO_STATEMENT = re.compile(r"(?:#[^\r\n]*+|\s++)*+")  # nothing but comments and white space
_NEVER_CACHED = (Verdict.INFRA, Verdict.SKIPPED, Verdict.CANCELLED, Verdict.BROKEN)


class Progress:
    """A job, from opened over planned and some rounds to done."""

    def __init__(self, job: Job, default_limits: Limits, cache: VerdictCache | None, salt: str) -> None:
        """`salt` names what else a verdict depends on: the isolation reached, the interpreter."""
        self.grading = job.grading
        factor = 1.0 if job.grading.seconds is None else machine.factor()
        self.limits = (job.limits or default_limits).graded(job.grading, factor)
        self.entry = job.entry_point or ""
        self.family = job.family
        self._first_failure = job.first_failure
        self._cancel_after = 0 if not job.cancel else 1 if job.family else self.limits.cancel_after
        self._cache = cache
        self.matrix = np.full((len(job.programs), len(job.tests)), Verdict.INFRA, dtype=np.int8)  # [N, K]
        runnable = [(n, p) for n, p in enumerate(job.programs) if p is not None and _runnable(p)]
        programs = distinct((n, _completed(program, job)) for n, program in runnable)
        self.tests = distinct((k, t) for k, t in enumerate(job.tests) if t is not None and _usable(t, job.entry_point))
        self.rows = [Row(program, [None] * len(self.tests)) for program in programs]
        self._settle_without_running(job)
        self._keys = self._cache_keys(salt) if cache is not None else []
        self._round = Round.FIRST
        self._num_ended = [0] * len(self.tests)  # programs that had ended on each test when the round began
        self.cpu_seconds = self.limits.first_seconds(job.family)  # of the round
        self._look_up()

    @property
    def idle(self) -> bool:
        """Whether nothing is open."""
        return not any(None in row.cells for row in self.rows)

    def plan_request(self) -> tuple[Any, ...]:
        """Asks a worker's planner about all sources."""
        codes = [test.item.code for test in self.tests if test.item.style is Style.FUNCTION]
        return warden.PLAN, [row.program.item for row in self.rows], codes, self.entry

    def apply_plan(self, plan: Any) -> None:
        """Takes the planner's answer in; None leaves every source to be compiled in its own sandbox."""
        if plan is None:
            return
        planned = plan["programs"]
        flags = zip(planned["codes"], planned["sealed"], planned["watched"], strict=True)
        for row, (code, sealed, watched) in zip(self.rows, flags, strict=True):
            row.program.compiled, row.sealed, row.watched = code, bool(sealed), bool(watched)
        functions = [index for index, test in enumerate(self.tests) if test.item.style is Style.FUNCTION]
        test_groups = list(range(len(self.tests)))
        for index, group, calls in zip(functions, plan["tests"]["groups"], plan["tests"]["plans"], strict=True):
            test_groups[index] = functions[group] if group >= 0 else -1
            self.tests[index].compiled = calls
        self._join(planned["groups"], test_groups)

    def open_rows(self) -> list[int]:
        """The rows that have open cells."""
        return [number for number, row in enumerate(self.rows) if row.open_cells]

    def batches(self) -> list[list[int]]:
        """The open rows, those together that may run in one process after each other.

        Once a program was late each is alone: a process ends with the first late test.
        """
        rows = self.open_rows()
        if self.family:
            return parts(rows, MAX_FAMILY)
        if self._round is not Round.FIRST or self.limits.state == "process":
            return [[row] for row in rows]
        sealed = [row for row in rows if self.rows[row].sealed]
        return [*parts(sealed, MAX_SHARED), *([row] for row in rows if not self.rows[row].sealed)]

    def work(self) -> tuple[Any, ...]:
        """The tests and limits as a worker takes them (rows.Work.decoded)."""
        limits = self.limits
        return (
            self.entry,
            [_as_work(test) for test in self.tests],
            float(limits.cpu_seconds),
            int(limits.memory_mb * (1 << 20)),
            int(limits.output_kb * 1024),
            patience_seconds(limits.cpu_seconds),
            limits.state == "process",
            self._first_failure,
            self.grading.output.value,
            self.grading.checker,
        )

    def rows_request(self, numbers: list[int]) -> tuple[Any, ...]:
        """The open cells of some rows as a worker takes them (rows.Asked), and the round's budget."""
        return float(self.cpu_seconds), [self._asked(number) for number in numbers]

    def write_rows(self, numbers: list[int], answer: Any) -> list[int]:
        """Takes the answer to `rows_request` in; the rows it does not reach to are returned.

        Raises ValueError for one out of shape.
        """
        if not answer:
            raise ValueError("an answer about no row")
        reached = numbers[: len(answer)]
        taken: list[tuple[Row, bool, dict[int, Outcome]]] = []
        for number, (has_ended, outcomes) in zip(reached, answer, strict=True):
            pairs = zip(self._order(number), outcomes, strict=True)
            met = {cell: Outcome(Verdict(o[0]), int(o[1])) for cell, o in pairs if o is not None}
            taken.append((self.rows[number], bool(has_ended), met))
        unmet = None if self._waits else Outcome(Verdict.CANCELLED, 0)
        for row, has_ended, met in taken:
            row.has_ended = row.has_ended or has_ended
            row.fresh.update(met)
            row.cells = [met.get(cell, unmet) if known is None else known for cell, known in enumerate(row.cells)]
        return numbers[len(reached) :]

    def write_infra(self, numbers: list[int]) -> None:
        """Gives rows up: their open cells are our failure."""
        for number in numbers:
            self.rows[number].cells = [Outcome(Verdict.INFRA, 0) if o is None else o for o in self.rows[number].cells]

    def next_round(self) -> bool:
        """Opens what is to be run yet: what waited, then what was late, where it gets more time. False at the end."""
        if self._round is Round.AGAIN:
            return False
        if self._round is Round.FIRST and not self.idle:
            self._round = Round.REST
            self._count_ended()
            return True
        self._round = Round.AGAIN
        budget = self._second_budget()
        if budget <= self.cpu_seconds:
            return False
        self.cpu_seconds = budget
        self._count_ended()
        for row in self.rows:
            if any(o is not None and self._is_late(o) for o in row.cells):
                row.cells = [
                    None if o is not None and (self._is_late(o) or o.verdict is Verdict.CANCELLED) else o
                    for o in row.cells
                ]
        return not self.idle

    def finish(self) -> None:
        """Writes the matrix, and what was run into the cache."""
        if self.rows and self.tests:
            cells = [[int(Verdict.INFRA if o is None else o.verdict) for o in row.cells] for row in self.rows]
            rows, numbers = placed([row.program for row in self.rows])
            columns, tests = placed(self.tests)
            self.matrix[np.ix_(rows, columns)] = np.array(cells, dtype=np.int8)[np.ix_(numbers, tests)]
        if self._cache is not None:
            self._cache.put(
                (self._keys[number][cell], (int(outcome.verdict), outcome.micros))
                for number, row in enumerate(self.rows)
                for cell in row.fresh
                if (outcome := row.cells[cell]) is not None
                and outcome.verdict not in _NEVER_CACHED
                and outcome.micros < FOR_GOOD  # how long a program sleeps says nothing about the next time
            )

    def _count_ended(self) -> None:
        self._num_ended = [
            sum(len(row.program.places) for row in self.rows if (outcome := row.cells[test]) and outcome.ended)
            for test in range(len(self.tests))
        ]

    @property
    def _waits(self) -> bool:
        """Whether a program that is late waits until the others are through."""
        return self._round is Round.FIRST and self._cancel_after > 1 and not self._first_failure

    def _asked(self, number: int) -> tuple[Any, ...]:
        """A row as a worker takes it."""
        row, cells = self.rows[number], self._order(number)
        patience, num_late = self._cancel_after, 0
        if self._waits:
            patience = 1
        elif self._round is not Round.FIRST:
            num_late = int(self._round is Round.REST)  # it waits since its first
            if patience > 1 and not self._is_telling(row, cells[0]):
                patience = max(patience, len(self.tests) // 2 + 1)
        in_order = self._round is not Round.FIRST
        program = row.program.compiled, row.program.item
        return *program, cells, patience, num_late, row.has_ended, in_order, row.sealed, row.watched

    def _order(self, number: int) -> list[int]:
        """The open cells of a row, those to be met first before the others.

        At first each program begins with another test, as a slow one could hold all of them up; later those come first
        that most programs ended on.
        """
        cells = self.rows[number].open_cells
        if self._waits:
            start = number % len(cells)
            return cells[start:] + cells[:start]
        return cells if self._round is Round.FIRST else sorted(cells, key=lambda cell: -self._num_ended[cell])

    def _is_telling(self, row: Row, first: int) -> bool:
        """Whether at least half of all programs ended on the test `first`, or on one that this one was late on."""
        late = [cell for cell, outcome in enumerate(row.cells) if outcome and outcome.verdict is Verdict.TIMEOUT]
        num_programs = sum(len(row.program.places) for row in self.rows)
        return any(2 * self._num_ended[cell] >= num_programs for cell in (first, *late))

    def _settle_without_running(self, job: Job) -> None:
        known_rows = {place for row in self.rows for place in row.program.places}
        known_columns = {place for test in self.tests for place in test.places}
        self.matrix[[n for n in range(len(job.programs)) if n not in known_rows], :] = Verdict.ERROR
        self.matrix[:, [k for k in range(len(job.tests)) if k not in known_columns]] = Verdict.ERROR
        self.matrix[[n for n, program in enumerate(job.programs) if program is None], :] = Verdict.SKIPPED
        self.matrix[:, [k for k, test in enumerate(job.tests) if test is None]] = Verdict.SKIPPED

    def _cache_keys(self, salt: str) -> list[list[bytes]]:
        limits = self.limits
        common = digest(salt, self.entry, repr((limits.memory_mb, limits.output_kb, limits.state)))
        judged = repr((self.grading.output.value, self.grading.checker))
        tests = [
            digest(t.item.code)
            if t.item.style is Style.FUNCTION
            else digest(t.item.stdin or "", t.item.stdout or "", judged)
            for t in self.tests
        ]
        programs = [digest(row.program.item) for row in self.rows]
        return [[digest((common + program + test).hex()) for test in tests] for program in programs]

    def _look_up(self) -> None:
        if self._cache is None or not self._keys:
            return
        found = self._cache.get([key for row in self._keys for key in row])
        for row, keys in zip(self.rows, self._keys, strict=True):
            row.cells = [self._known(found[key]) if key in found else None for key in keys]

    def _known(self, entry: Entry) -> Outcome | None:
        """A cached outcome under this job's budgets."""
        outcome = Outcome(Verdict(entry[0]), entry[1])
        limit = 1e6 * (self.limits.cpu_seconds if outcome.verdict is not Verdict.TIMEOUT else self.cpu_seconds)
        if outcome.verdict is Verdict.TIMEOUT:
            return outcome if outcome.micros >= limit else None  # it was given less than it gets now
        return outcome if outcome.micros <= limit else None  # it took more than it may now

    def _join(self, program_groups: list[int], test_groups: list[int]) -> None:
        """One row and column a group (named by its first member); those in no group (-1) do not compile."""
        rows = [place for row in self.rows for place in row.program.places]
        columns = [place for test in self.tests for place in test.places]
        broken_rows = joined([row.program for row in self.rows], program_groups)
        broken_columns = joined(self.tests, test_groups)
        self.matrix[np.ix_(broken_rows, columns)] = Verdict.ERROR
        self.matrix[np.ix_(rows, broken_columns)] = Verdict.ERROR
        kept = [index for index, group in enumerate(test_groups) if group == index]
        self.tests = [self.tests[index] for index in kept]
        if self._keys:
            self._keys = [
                [self._keys[number][index] for index in kept]
                for number, group in enumerate(program_groups)
                if group == number
            ]
        self.rows = [row for number, row in enumerate(self.rows) if program_groups[number] == number]
        for row in self.rows:
            row.cells = [row.cells[index] for index in kept]

    def _is_late(self, outcome: Outcome) -> bool:
        """Whether it was late, but might not be with the round's budget."""
        return outcome.verdict is Verdict.TIMEOUT and outcome.micros < min(FOR_GOOD, 1e6 * self.cpu_seconds)

    def _second_budget(self) -> float:
        """CPU seconds: a multiple of what the median passing cell took; of any that ended, where none passes."""
        ended = [o for row in self.rows for o in row.cells if o is not None and o.verdict <= Verdict.ERROR]
        sample = [o.micros for o in ended if o.verdict is Verdict.PASS] or [o.micros for o in ended]
        if not sample:
            return self.limits.cpu_seconds
        return min(self.limits.cpu_seconds, self.limits.cpu_multiple * statistics.median(sample) / 1e6)


def _as_work(test: Distinct[TestCase]) -> tuple[Any, ...]:
    case = test.item
    if case.style is Style.STDIN:
        return SCRIPT, (case.stdin or "").encode(), case.stdout
    if isinstance(test.compiled, list):
        return LITERAL, case.code, *test.compiled
    return CODE, case.code, bool(test.compiled)


def _completed(program: Program, job: Job) -> str:
    """The source as the official grader runs it."""
    return f"{job.grading.prelude}\n\n{program.source}" if job.grading.prelude else program.source


def _runnable(program: Program) -> bool:
    return isinstance(program.source, str) and len(program.source) <= MAX_SOURCE_CHARS


def _usable(test: TestCase, entry_point: str | None) -> bool:
    if test.style is Style.FUNCTION:
        is_code = isinstance(test.code, str) and len(test.code) <= MAX_TEST_CHARS
        return bool(entry_point) and is_code and not _NO_STATEMENT.fullmatch(test.code)
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
