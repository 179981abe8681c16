"""Rewards of both roles: passing matrix + consensus -> one number an answer (ZeroCoder, section 3).

Every function returns the terms beside the total, so that they can be logged. Samples hit by a failure of ours are
masked: they get neither reward nor advantage. Needs numpy only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zerocoder.matrix import PassingMatrix
from zerocoder.selection.base import Consensus


@dataclass(frozen=True, slots=True)
class Rewards:
    """Rewards of one group: total = format + (1 - lam) * valid + lam * mutation."""

    total: NDArray[np.float64]  # [n]
    valid: NDArray[np.float64]  # [n] coder: in the consensus (or correct); tester: the proxy passes the test
    mutation: NDArray[np.float64]  # [n] tester: share of the proxy's mutants that the test kills; coder: 0
    format: NDArray[np.float64]  # [n] the penalty where the answer did not parse, else 0
    mask: NDArray[np.bool_]  # [n] False where a failure of ours hid the outcome: must get no advantage
    lam: float  # weight of the mutation term that was used

    @classmethod
    def of(
        cls,
        valid: NDArray[np.bool_],
        mutation: NDArray[np.float64],
        parsed: NDArray[np.bool_],
        format_penalty: float,
        mask: NDArray[np.bool_],
        lam: float,
    ) -> Rewards:
        """Put the terms together; an answer that did not parse has only its format penalty."""
        validity = (valid & parsed).astype(np.float64)
        format_term = np.where(parsed, 0.0, format_penalty)
        total = format_term + (1 - lam) * validity + lam * mutation
        return cls(total, validity, mutation, format_term, mask, lam)


def coder_rewards(matrix: PassingMatrix, consensus: Consensus, format_penalty: float = -1.0) -> Rewards:
    """1 for every solution in the consensus, else 0; the penalty where there is no program; [N] each.

    With an empty consensus no program is rewarded; the format penalty, which needs no consensus, stays.
    """
    return labelled_coder_rewards(consensus.solutions, matrix.programs, format_penalty, ~matrix.solutions_masked)


def unanimous_coder_rewards(matrix: PassingMatrix, format_penalty: float = -1.0) -> Rewards:
    """1 for every solution that passes all parsed tests, else 0; the penalty where there is no program; [N] each.

    Where no test parsed none has been passed: no program is rewarded.
    """
    tested = matrix.tests_shown
    passed = matrix.passed[:, tested].all(axis=1) & tested.any()
    return labelled_coder_rewards(np.asarray(passed), matrix.programs, format_penalty, ~matrix.solutions_masked)


def labelled_coder_rewards(
    correct: NDArray[np.bool_],
    parsed: NDArray[np.bool_],
    format_penalty: float = -1.0,
    mask: NDArray[np.bool_] | None = None,
) -> Rewards:
    """1 for every program that passes all labelled tests, else 0; [N] each.

    Args:
        correct: [N].
        parsed: [N] whether the answer has a program.
        mask: [N] False where a failure of ours hid the outcome; None masks nothing.
    """
    counts = np.ones(len(parsed), dtype=bool) if mask is None else mask | ~parsed
    return Rewards.of(correct, np.zeros(len(parsed)), parsed, format_penalty, counts, 0.0)


def choose_proxy(consensus: Consensus, rng: np.random.Generator) -> int | None:
    """The proxy s*: a solution drawn uniformly from the consensus; None when it is empty."""
    members = np.flatnonzero(consensus.solutions)
    return int(rng.choice(members)) if len(members) else None


def tester_rewards(
    valid: NDArray[np.bool_],
    parsed: NDArray[np.bool_],
    killed: NDArray[np.bool_] | None,
    lam: float,
    format_penalty: float = -1.0,
    mask: NDArray[np.bool_] | None = None,
    counted: NDArray[np.bool_] | None = None,
) -> Rewards:
    """(1 - lam) * validity + lam * mutation score, plus the format penalty; [K] each.

    A test that fails on the proxy itself kills nothing. Without mutants the problem uses lam = 0. A valid test none
    of whose mutants could be run is masked.

    Args:
        valid: [K] whether the proxy passes the test.
        parsed: [K] whether the answer has a test.
        killed: [M, K] whether the test fails on the mutant; None or M = 0 when there are no mutants.
        lam: weight of the mutation term, in [0, 1].
        mask: [K] False where a failure of ours hid the outcome; None masks nothing.
        counted: [M, K] mutants that were really run (see `zerocoder.mutation_testing`); None counts all.
    """
    counts = np.ones(len(parsed), dtype=bool) if mask is None else mask | ~parsed
    valid = valid & parsed
    if killed is None or not len(killed):
        return Rewards.of(valid, np.zeros(len(parsed)), parsed, format_penalty, counts, 0.0)
    counted = np.ones_like(killed) if counted is None else counted
    num_counted = counted.sum(axis=0)
    share = (killed & counted).sum(axis=0) / np.maximum(num_counted, 1)
    mutation = np.where(valid, share, 0.0)
    return Rewards.of(valid, mutation, parsed, format_penalty, counts & ~(valid & (num_counted == 0)), lam)


def cosine_lambda(step: int, total: int, lo: float, hi: float) -> float:
    """The mutation term's weight at `step` of `total`: from lo (validity first) to hi along half a cosine."""
    if total < 1:
        raise ValueError(f"total must be at least 1 step, got {total}")
    t = min(max(step / total, 0.0), 1.0)
    return lo + (hi - lo) * (1 - math.cos(math.pi * t)) / 2
