"""Metrics against values worked out by hand and by enumeration, and their merging over ranks."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchmetrics import Metric

from zerocoder.evaluation.metrics import MutationScore, PassAtK, TestAccuracy

pytestmark = pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")


def test_pass_at_1_is_the_share_of_correct_answers() -> None:
    metric = PassAtK(1)
    metric.update(torch.tensor([1, 0, 1]), torch.tensor([1, 1, 1]))
    metric.update(torch.tensor([0]), torch.tensor([1]))
    assert metric.compute().item() == 0.5


def test_pass_at_k_by_hand() -> None:
    metric = PassAtK(2)
    # 1 - C(2,2)/C(3,2) = 2/3;  0 correct: 0;  3 of 4 correct leaves no wrong pair: 1
    metric.update(torch.tensor([1, 0, 3]), torch.tensor([3, 3, 4]))
    assert metric.compute().item() == pytest.approx((2 / 3 + 0 + 1) / 3)


@given(st.integers(1, 8).flatmap(lambda n: st.tuples(st.just(n), st.integers(0, n), st.integers(1, n))))
def test_pass_at_k_is_the_share_of_draws_with_a_correct_answer(case: tuple[int, int, int]) -> None:
    n, c, k = case
    draws = list(combinations([True] * c + [False] * (n - c), k))
    metric = PassAtK(k)
    metric.update(torch.tensor([c]), torch.tensor([n]))
    assert metric.compute().item() == pytest.approx(sum(map(any, draws)) / len(draws))


def test_pass_at_k_refuses_too_few_answers() -> None:
    with pytest.raises(ValueError, match="needs at least 3 answers a problem, got 2"):
        PassAtK(3).update(torch.tensor([1, 1]), torch.tensor([3, 2]))
    with pytest.raises(ValueError, match="k must be at least 1"):
        PassAtK(0)


def test_accuracy_and_mutation_score_are_means_over_tests() -> None:
    accuracy, mutation = TestAccuracy(), MutationScore()
    accuracy.update(torch.tensor([True, True, False, True]))
    mutation.update(torch.tensor([0.5, 1.0, 0.0]))
    mutation.update(torch.tensor([0.25]))
    assert accuracy.compute().item() == 0.75
    assert mutation.compute().item() == 0.4375


@pytest.mark.parametrize("metric", [PassAtK(1), TestAccuracy(), MutationScore()])
def test_nothing_measured_is_not_a_number(metric: Metric) -> None:
    assert math.isnan(metric.compute().item())


@given(st.lists(st.lists(st.integers(0, 3), max_size=5), min_size=1, max_size=4))
def test_ranks_merge_to_the_mean_of_all(ranks: list[list[int]]) -> None:
    def measured(correct: list[int]) -> PassAtK:
        metric = PassAtK(2)
        metric.update(torch.tensor(correct, dtype=torch.long), torch.full((len(correct),), 3))
        return metric

    merged = PassAtK(2)
    for values in ranks:
        merged.merge_state(measured(values))
    whole = measured(sum(ranks, []))
    assert merged.compute().item() == pytest.approx(whole.compute().item(), nan_ok=True)
