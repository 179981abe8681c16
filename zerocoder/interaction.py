"""Solutions meet tests: rollout groups -> executed passing matrices.

With `test_unit=answer` a tester's answer is one column; with `assertion` each of its asserts is a column of its own
and `owners` says which answer a column came from. What tells no two programs apart (`zerocoder.scrutiny`) is no test:
it is left out, and an answer that consists of nothing else did not parse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from zerocoder.answers import FormatError, split_asserts
from zerocoder.config import TestUnit
from zerocoder.execution import Executor, Job, Verdict
from zerocoder.matrix import PassingMatrix
from zerocoder.problems import Problem, Program, TestCase
from zerocoder.rollout.sampler import RolloutGroup, Sampler
from zerocoder.scrutiny import blind, strangers_job

BLIND = FormatError("no two programs are told apart")


@dataclass(frozen=True, slots=True)
class Interaction:
    """A rollout group and what came of running every solution against every test."""

    group: RolloutGroup
    columns: tuple[TestCase | None, ...]  # [K] tests as they were run
    owners: NDArray[np.int64]  # [K] the test, a tester's answer as a rule, that column k belongs to
    matrix: PassingMatrix  # [N, K]

    @property
    def problem(self) -> Problem:
        return self.group.problem


def columns_of(
    tests: Sequence[TestCase | None], unit: TestUnit
) -> tuple[tuple[TestCase | None, ...], NDArray[np.int64]]:
    """The matrix's columns and the answer each one belongs to; an unparsable answer keeps one empty column.

    An assert that an answer repeats is one column: whoever writes it eight times has no eight votes.
    """
    columns: list[TestCase | None] = []
    owners: list[int] = []
    for answer, test in enumerate(tests):
        pieces = (test,) if test is None or unit is TestUnit.ANSWER else tuple(dict.fromkeys(split_asserts(test)))
        columns += pieces
        owners += [answer] * len(pieces)
    return tuple(columns), np.array(owners, dtype=np.int64)


class Encounter:
    """The solutions of a group meet tests, its own unless others are given: run at once, `result` waits."""

    def __init__(
        self,
        executor: Executor,
        group: RolloutGroup,
        unit: TestUnit,
        tests: Sequence[TestCase | None] | None = None,
    ) -> None:
        self.group = group
        self._columns, self._owners = columns_of(group.test_cases if tests is None else tests, unit)
        # The first assert of every answer, then the second ones, ...: a program that is late on all of one answer's
        # meets those of others before it is taken for endless.
        self._order = np.argsort(_numbers(self._owners), kind="stable")
        entry_point, columns = group.problem.entry_point, tuple(self._columns[k] for k in self._order)
        self._verdicts = executor.submit(Job(group.programs, columns, entry_point))
        self._scrutiny = None if entry_point is None else executor.submit(strangers_job(columns, entry_point))

    def result(self) -> Interaction:
        back = np.argsort(self._order)
        verdicts = self._verdicts.result()[:, back]
        if self._scrutiny is None:
            return _interaction(self.group, self._columns, self._owners, verdicts)
        seeing = ~blind(self._scrutiny.result())[back]
        return _interaction(*_only(seeing, self.group, self._columns, self._owners, verdicts))

    def cancel(self) -> None:
        """End what runs for it; does nothing to what is done."""
        self._verdicts.cancel()
        if self._scrutiny is not None:
            self._scrutiny.cancel()


class Encounters:
    """Solutions meet tests while the rest of a batch is still being written.

    `add` hands a problem's group to the executor and returns at once, `collect` waits. Leaving the block early, by an
    exception or an interrupt, cancels what is running.
    """

    def __init__(self, executor: Executor, unit: TestUnit) -> None:
        self._executor = executor
        self._unit = unit
        self._by_problem: dict[int, Encounter] = {}

    def add(self, index: int, group: RolloutGroup) -> None:
        """Problem `index` of the batch has all its answers."""
        self._by_problem[index] = Encounter(self._executor, group, self._unit)

    def collect(self) -> list[Interaction]:
        """One interaction a problem, in the batch's order, when all have been run."""
        return [self._by_problem[index].result() for index in sorted(self._by_problem)]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for encounter in self._by_problem.values():
            encounter.cancel()


def interact(
    sampler: Sampler, executor: Executor, problems: Sequence[Problem], key: tuple[int | str, ...], unit: TestUnit
) -> list[Interaction]:
    """Both roles answer every problem, and every solution meets every test. `key` is the sampler's."""
    with Encounters(executor, unit) as encounters:
        sampler.sample(problems, key, encounters.add)
        return encounters.collect()


def _interaction(
    group: RolloutGroup,
    columns: tuple[TestCase | None, ...],
    owners: NDArray[np.int64],
    verdicts: NDArray[np.int8],
) -> Interaction:
    return Interaction(group, columns, owners, PassingMatrix(verdicts, _present(group.programs), _present(columns)))


def _only(
    seeing: NDArray[np.bool_],
    group: RolloutGroup,
    columns: tuple[TestCase | None, ...],
    owners: NDArray[np.int64],
    verdicts: NDArray[np.int8],
) -> tuple[RolloutGroup, tuple[TestCase | None, ...], NDArray[np.int64], NDArray[np.int8]]:
    """The columns that are tests; an answer without any has `BLIND` in its place, and keeps one empty column."""
    lost = np.bincount(owners, weights=seeing) == 0
    answers = zip(group.tests, lost.tolist(), strict=False)  # tests of another origin are no answers of the group's
    tests = tuple(replace(r, answer=BLIND) if nothing and r.parsed else r for r, nothing in answers)
    emptied = lost[owners] & (_numbers(owners) == 0)
    kept = np.flatnonzero(seeing | emptied)
    verdicts = np.where(emptied, np.int8(Verdict.SKIPPED), verdicts)[:, kept]
    columns = tuple(None if emptied[k] else columns[k] for k in kept)
    return replace(group, tests=tests), columns, owners[kept], verdicts


def _numbers(owners: NDArray[np.int64]) -> NDArray[np.int64]:
    """[K] the number of each column among those of its answer, whose columns follow each other."""
    return np.arange(len(owners)) - np.searchsorted(owners, owners)


def _present(answers: Sequence[Program | TestCase | None]) -> NDArray[np.bool_]:
    return np.array([a is not None for a in answers], dtype=bool)


@dataclass(frozen=True, slots=True)
class Labelled:
    """Which programs pass all official tests: `correct` [N]; `known` [N] is False where a failure of ours hid it."""

    correct: NDArray[np.bool_]
    known: NDArray[np.bool_]


def label_job(problem: Problem, programs: Sequence[Program | None]) -> Job:
    """Programs against their problem's official tests. Only for problems whose label may be read."""
    if problem.label is None:
        raise ValueError(f"problem {problem.id} has no label")
    label = problem.label
    return Job(tuple(programs), label.tests, problem.entry_point, first_failure=True, grading=label.grading)


def labelled(verdicts: NDArray[np.int8]) -> Labelled:
    """What the verdicts [N, K] of a `label_job` say of its programs."""
    matrix = PassingMatrix(verdicts)
    return Labelled(np.asarray(matrix.passed.all(axis=1)), ~matrix.solutions_masked)


def check_against_labels(
    executor: Executor, items: Sequence[tuple[Problem, Sequence[Program | None]]]
) -> list[Labelled]:
    """Run the programs of several problems against their official tests."""
    return [labelled(verdicts) for verdicts in executor.run([label_job(*item) for item in items])]
