"""The evaluation's numbers as torchmetrics: sums and counts, so that ranks and batches merge exactly.

Pass@k of the coder by the unbiased estimator of Chen et al., 2021 ("Evaluating Large Language Models Trained on Code"),
which for one greedy answer is the share of correct ones; accuracy and mutation score of the tester (the paper's
section 4.1).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric


class _Mean(Metric):
    """A mean over everything it was updated with; NaN while that is nothing."""

    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.add_state("total", default=torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", default=torch.tensor(0, dtype=torch.long), dist_reduce_fx="sum")

    def _add(self, values: Tensor) -> None:
        self.total += values.to(self.total).sum()
        self.count += values.numel()

    def compute(self) -> Tensor:
        return self.total / self.count


class PassAtK(_Mean):
    """The chance that at least one of k answers drawn from n is correct, by the unbiased estimator, mean of problems.

    With c correct answers out of n it is 1 - C(n - c, k) / C(n, k).

    Example: 1 correct of 3 answers has Pass@2 = 1 - C(2, 2) / C(3, 2) = 2/3.
    """

    def __init__(self, k: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if k < 1:
            raise ValueError(f"k must be at least 1, got {k}")
        self.k = k

    def update(self, num_correct: Tensor, num_samples: Tensor) -> None:
        """`num_correct` [P] and `num_samples` [P]: correct and all answers of each problem."""
        n, c = num_samples.double(), num_correct.double()
        if bool((n < self.k).any()):
            raise ValueError(f"Pass@{self.k} needs at least {self.k} answers a problem, got {int(n.min())}")
        # C(n - c, k) / C(n, k) is the product of (n - c - i) / (n - i), which 0 ends when fewer than k are wrong.
        draws = torch.arange(self.k, dtype=torch.float64, device=n.device)
        all_wrong = ((n - c)[:, None] - draws).clamp(min=0) / (n[:, None] - draws)
        self._add(1 - all_wrong.prod(dim=1))


class TestAccuracy(_Mean):
    """Share of generated tests that the reference solution passes."""

    __test__ = False  # not a pytest class

    def update(self, valid: Tensor) -> None:
        """`valid` [T], bool."""
        self._add(valid)


class MutationScore(_Mean):
    """Mean over generated tests of the share of the reference's mutants that the test fails."""

    def update(self, killed: Tensor) -> None:
        """`killed` [T]: the share of mutants each test kills, 0 for a test that the reference fails."""
        self._add(killed)
