"""Mutants meet tests: which test kills which mutant of a program, and what became of each mutant.

All mutants of a program run in one process, each with a fresh namespace, and one that is late once is taken for
endless: it costs its CPU budget once, and the tests it did not meet count as having killed it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from zerocoder.execution import Job, Verdict
from zerocoder.execution.verdicts import UNKNOWN
from zerocoder.mutation import mutants
from zerocoder.problems import Program, TestCase

_NOT_RUN = (*UNKNOWN, Verdict.SKIPPED)
_LATE = (Verdict.TIMEOUT, Verdict.CANCELLED)


class Fate(StrEnum):
    """What became of a mutant on all tests that were put to it."""

    KILLED = "killed"  # a test failed, or raised
    TIMEOUT = "timeout"  # it was late, and nothing else killed it
    SURVIVED = "survived"  # it passed every test
    UNKNOWN = "unknown"  # not run: no test, or a failure of ours


def mutant_job(source: str, tests: Sequence[TestCase | None], entry_point: str | None, limit: int, seed: int) -> Job:
    """At most `limit` mutants of a program against tests, to be run; without programs where it has no mutants.

    Mutants that do not compile, equal the program or each other are never made: see `zerocoder.mutation.mutants`.
    """
    programs = tuple(Program(mutant) for mutant in mutants(source, limit, seed))
    return Job(programs, tuple(tests), entry_point, family=True)


def killed_from_verdicts(verdicts: NDArray[np.int8]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which mutants a test kills, out of the verdicts [M, K] of a program's mutants.

    Returns:
        killed [M, K]: the mutant did not pass (a timeout or an error kills too).
        counted [M, K]: False where that is not known (a failure of ours, or no test).
    """
    counted = np.asarray(~np.isin(verdicts, _NOT_RUN))
    return np.asarray(counted & (verdicts != Verdict.PASS)), counted


def fates(verdicts: NDArray[np.int8]) -> list[Fate]:
    """[M] what became of each mutant, out of its verdicts [M, K]."""
    return [_fate({Verdict(int(v)) for v in row}) for row in verdicts]


def _fate(verdicts: set[Verdict]) -> Fate:
    verdicts -= set(_NOT_RUN)
    if not verdicts:
        return Fate.UNKNOWN
    if verdicts == {Verdict.PASS}:
        return Fate.SURVIVED
    return Fate.TIMEOUT if verdicts <= {Verdict.PASS, *_LATE} else Fate.KILLED


def fate_shares(verdicts: Sequence[NDArray[np.int8]]) -> dict[Fate, float]:
    """The share of each fate among the mutants of several programs; empty without mutants."""
    counts = Counter(fate for matrix in verdicts for fate in fates(matrix))
    return {fate: counts[fate] / counts.total() for fate in Fate} if counts else {}
