"""Rewards of both roles, worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from zerocoder.execution.verdicts import Verdict
from zerocoder.matrix import PassingMatrix
from zerocoder.mutation_testing import killed_from_verdicts
from zerocoder.rewards import (
    choose_proxy,
    coder_rewards,
    cosine_lambda,
    labelled_coder_rewards,
    unanimous_coder_rewards,
)
from zerocoder.rewards import tester_rewards as rewards_of_tests  # pytest takes `test...` for a test
from zerocoder.selection import Consensus

P, F, S, T = Verdict.PASS, Verdict.FAIL, Verdict.SKIPPED, Verdict.TIMEOUT
INFRA = Verdict.INFRA


def flags(text: str) -> NDArray[np.bool_]:
    return np.array([c == "1" for c in text], dtype=bool)


def test_coder() -> None:
    matrix = PassingMatrix(np.array([[P, P], [F, P], [S, S], [P, INFRA], [P, P]], dtype=np.int8))
    rewards = coder_rewards(matrix, Consensus(flags("10001"), flags("11"), 2.0), format_penalty=-0.5)
    assert rewards.total.tolist() == [1, 0, -0.5, 0, 1]
    assert rewards.valid.tolist() == [1, 0, 0, 0, 1]
    assert rewards.format.tolist() == [0, 0, -0.5, 0, 0]
    assert rewards.mutation.tolist() == [0] * 5
    assert rewards.mask.tolist() == [True, True, True, False, True]
    assert rewards.lam == 0


def test_coder_without_consensus_keeps_only_the_format_penalty() -> None:
    matrix = PassingMatrix(np.array([[F, F], [S, S]], dtype=np.int8))
    assert coder_rewards(matrix, Consensus.none(2, 2)).total.tolist() == [0, -1]


def test_labelled_coder() -> None:
    rewards = labelled_coder_rewards(flags("1011"), flags("1101"), -2.0, mask=flags("1001"))
    assert rewards.total.tolist() == [1, 0, -2, 1]
    # What did not parse is known without running anything, whatever the executor did.
    assert rewards.mask.tolist() == [True, False, True, True]
    assert labelled_coder_rewards(flags("10"), flags("11")).mask.all()


def test_unanimous_coder() -> None:
    broken = Verdict.BROKEN
    verdicts = [[P, P, S], [P, F, S], [S, S, S], [P, INFRA, S], [T, P, S], [broken, P, S]]
    rewards = unanimous_coder_rewards(PassingMatrix(np.array(verdicts, dtype=np.int8)), format_penalty=-0.5)
    assert rewards.total.tolist() == [1, 0, -0.5, 0, 0, 0]  # the third test did not parse, and counts for nothing
    assert rewards.mask.tolist() == [True, True, True, False, True, False]
    assert rewards.mutation.tolist() == [0] * 6


def test_unanimous_coder_without_a_test_keeps_only_the_format_penalty() -> None:
    for verdicts in (np.full((3, 2), S, dtype=np.int8), np.zeros((3, 0), dtype=np.int8)):
        matrix = PassingMatrix(verdicts, flags("110"), np.zeros(verdicts.shape[1], dtype=bool))
        assert unanimous_coder_rewards(matrix, -1.0).total.tolist() == [0, 0, -1]


def test_tester() -> None:
    killed = np.array([[1, 1, 1, 0], [1, 0, 1, 0], [1, 0, 0, 0], [0, 0, 1, 0]], dtype=bool)
    rewards = rewards_of_tests(flags("1100"), flags("1110"), killed, lam=0.25, format_penalty=-1)
    assert rewards.valid.tolist() == [1, 1, 0, 0]
    assert rewards.mutation.tolist() == [0.75, 0.25, 0, 0]  # the third fails on the original: it kills nothing
    assert rewards.total.tolist() == [0.75 + 0.25 * 0.75, 0.75 + 0.25 * 0.25, 0, -1]
    assert rewards.mask.all() and rewards.lam == 0.25


@pytest.mark.parametrize("killed", [None, np.zeros((0, 3), dtype=bool)])
def test_tester_without_mutants_uses_validity_alone(killed: NDArray[np.bool_] | None) -> None:
    rewards = rewards_of_tests(flags("101"), flags("111"), killed, lam=0.9)
    assert rewards.total.tolist() == [1, 0, 1] and rewards.lam == 0


def test_cells_that_never_ran_neither_kill_nor_survive() -> None:
    verdicts = np.array([[P, F, INFRA, P], [T, INFRA, INFRA, S], [F, F, INFRA, S]], dtype=np.int8)
    killed, counted = killed_from_verdicts(verdicts)
    assert killed.astype(int).tolist() == [[0, 1, 0, 0], [1, 0, 0, 0], [1, 1, 0, 0]]
    assert counted.astype(int).tolist() == [[1, 1, 0, 1], [1, 0, 0, 0], [1, 1, 0, 0]]
    rewards = rewards_of_tests(flags("1110"), flags("1111"), killed, 0.5, counted=counted)
    assert rewards.mutation.tolist() == pytest.approx([2 / 3, 1, 0, 0])
    assert rewards.mask.tolist() == [True, True, False, True]  # the third column was never run at all


def test_an_invalid_test_needs_no_mutants_to_be_scored() -> None:
    killed, counted = killed_from_verdicts(np.array([[S]], dtype=np.int8))
    rewards = rewards_of_tests(flags("0"), flags("1"), killed, 0.5, counted=counted)
    assert rewards.total.tolist() == [0] and rewards.mask.all()


def test_tester_mask() -> None:
    rewards = rewards_of_tests(flags("000"), flags("110"), None, 0.5, mask=flags("100"))
    assert rewards.mask.tolist() == [True, False, True]


@given(st.data())
def test_rewards_stay_in_range_and_better_tests_earn_more(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, 6))
    bits = st.lists(st.booleans(), min_size=size, max_size=size)
    valid, parsed = np.array(data.draw(bits)), np.array(data.draw(bits))
    killed = np.array(data.draw(st.lists(bits, min_size=1, max_size=5)))
    lam = data.draw(st.floats(0, 1))
    rewards = rewards_of_tests(valid, parsed, killed, lam)
    assert ((rewards.total >= -1) & (rewards.total <= 1 + 1e-12)).all()
    assert (rewards.total[~parsed] == -1).all()
    assert (rewards.total[parsed & ~valid] == 0).all()
    assert rewards.total == pytest.approx(rewards.format + (1 - lam) * rewards.valid + lam * rewards.mutation)


def test_proxy() -> None:
    consensus = Consensus(flags("01011"), flags("1"), 1.0)
    drawn = [choose_proxy(consensus, np.random.default_rng(seed)) for seed in range(60)]
    assert set(drawn) == {1, 3, 4}
    assert drawn == [choose_proxy(consensus, np.random.default_rng(seed)) for seed in range(60)]
    assert choose_proxy(Consensus.none(3, 2), np.random.default_rng(0)) is None


@pytest.mark.parametrize(
    ("step", "expected"),
    [(0, 0.1), (25, 0.1 + 0.8 * (1 - math.sqrt(0.5)) / 2), (50, 0.5), (100, 0.9), (150, 0.9), (-3, 0.1)],
)
def test_cosine_lambda(step: int, expected: float) -> None:
    assert cosine_lambda(step, 100, 0.1, 0.9) == pytest.approx(expected)


def test_cosine_lambda_needs_steps() -> None:
    with pytest.raises(ValueError, match="at least 1 step"):
        cosine_lambda(0, 0, 0.1, 0.9)
