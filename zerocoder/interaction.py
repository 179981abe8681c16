"""Solutions meet tests: rollout groups -> executed passing matrices.

With `test_unit=answer` a tester's answer is one column; with `assertion` each of its asserts is a column of its own
and `owners` says which answer a column came from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zerocoder.answers import split_asserts
from zerocoder.config import TestUnit
from zerocoder.execution import Executor, Job
from zerocoder.matrix import PassingMatrix
from zerocoder.problems import Problem, Program, TestCase
from zerocoder.rollout.sampler import RolloutGroup


@dataclass(frozen=True, slots=True)
class Interaction:
    """A rollout group and what came of running every solution against every test."""

    group: RolloutGroup
    columns: tuple[TestCase | None, ...]  # [K] tests as they were run
    owners: NDArray[np.int64]  # [K] the tester's answer that column k belongs to
    matrix: PassingMatrix  # [N, K]

    @property
    def problem(self) -> Problem:
        return self.group.problem


def columns_of(
    tests: Sequence[TestCase | None], unit: TestUnit
) -> tuple[tuple[TestCase | None, ...], NDArray[np.int64]]:
    """The matrix's columns and the answer each one belongs to; an unparsable answer keeps one empty column."""
    columns: list[TestCase | None] = []
    owners: list[int] = []
    for answer, test in enumerate(tests):
        pieces = (test,) if test is None or unit is TestUnit.ANSWER else split_asserts(test)
        columns += pieces
        owners += [answer] * len(pieces)
    return tuple(columns), np.array(owners, dtype=np.int64)


def interact(
    executor: Executor,
    groups: Sequence[RolloutGroup],
    unit: TestUnit,
    on_done: Callable[[int], None] | None = None,
) -> list[Interaction]:
    """Run every solution of a group against every test of it."""
    columns = [columns_of(g.test_cases, unit) for g in groups]
    jobs = [Job(g.programs, tests, g.problem.entry_point) for g, (tests, _) in zip(groups, columns, strict=True)]
    interactions = []
    for group, (tests, owners), verdicts in zip(groups, columns, executor.run(jobs, on_done), strict=True):
        matrix = PassingMatrix(verdicts, _present(group.programs), _present(tests))
        interactions.append(Interaction(group, tests, owners, matrix))
    return interactions


def _present(answers: Sequence[Program | TestCase | None]) -> NDArray[np.bool_]:
    return np.array([a is not None for a in answers], dtype=bool)


@dataclass(frozen=True, slots=True)
class Labelled:
    """Which programs pass all official tests: `correct` [N]; `known` [N] is False where a failure of ours hid it."""

    correct: NDArray[np.bool_]
    known: NDArray[np.bool_]


def check_against_labels(
    executor: Executor, items: Sequence[tuple[Problem, Sequence[Program | None]]]
) -> list[Labelled]:
    """Run programs against their problems' official tests. Only for problems whose label may be read."""
    jobs = []
    for problem, programs in items:
        if problem.label is None:
            raise ValueError(f"problem {problem.id} has no label")
        jobs.append(Job(tuple(programs), problem.label.tests, problem.entry_point))
    matrices = [PassingMatrix(v) for v in executor.run(jobs)]
    return [Labelled(np.asarray(m.passed.all(axis=1)), ~m.solutions_masked) for m in matrices]
