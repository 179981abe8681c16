"""Rewards and the GRPO step."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from zerocoder.config.rules import require

if TYPE_CHECKING:
    from zerocoder.algorithms.base import Algorithm


class TestUnit(StrEnum):
    """What one column of the passing matrix is (the paper's text leaves it open)."""

    __test__ = False  # not a pytest class

    ANSWER = "answer"  # all asserts of a tester's answer together
    ASSERTION = "assertion"  # each assert on its own; the answer's reward is the mean over its columns


def _zerocoder() -> Algorithm:
    from zerocoder.algorithms.zerocoder import ZeroCoder  # which is made of parts that know the config

    return ZeroCoder()


@dataclass(frozen=True)
class AlgorithmConfig:
    """Rewards and the GRPO step (DESIGN: section 3; the paper's sections 3.2 and 4)."""

    learning_rate: float = 1e-6
    """Constant. The paper's value was lost from its text; 1e-6 is what its framework (verl) and its peers use."""
    weight_decay: float = 0.0
    adam_betas: tuple[float, float] = (0.9, 0.999)
    max_grad_norm: float = 1.0
    """Gradients are clipped to this global norm."""
    clip: float = 0.2
    """PPO clip range of the importance ratio."""
    kl_coefficient: float = 0.001
    """Weight of the k3 estimate of KL(policy || initial policy); 0 loads no reference model."""
    format_penalty: float = -1.0
    """Reward of an answer that does not parse. Lost from the paper's text; -1 sets it clearly below a wrong answer."""
    lambda_low: float = 0.1
    """Weight of the mutation term at the first step (lost from the paper's text: validity first)."""
    lambda_high: float = 0.9
    """Weight of the mutation term at the last step (lost from the paper's text: a tenth of validity stays)."""
    max_mutants: int = 16
    """At most so many mutants of a proxy solution are run, a seeded sample of them (the paper saw 13.4 on average)."""
    test_unit: TestUnit = TestUnit.ANSWER
    labelled_rewards: bool = True
    """Train on the labelled calibration problems too, when a calibration set is kept: with ground-truth rewards where
    the algorithm uses labels at all."""
    method: Any = field(default_factory=_zerocoder)
    """Who answers and what is rewarded: a node with `_target_`, see zerocoder/algorithms/."""

    def __post_init__(self) -> None:
        require(self.learning_rate >= 0, "algorithm.learning_rate", ">= 0", self.learning_rate)
        require(self.weight_decay >= 0, "algorithm.weight_decay", ">= 0", self.weight_decay)
        require(
            len(self.adam_betas) == 2 and all(0 <= b < 1 for b in self.adam_betas),
            "algorithm.adam_betas",
            "two numbers in [0, 1)",
            self.adam_betas,
        )
        require(self.max_grad_norm > 0, "algorithm.max_grad_norm", "> 0", self.max_grad_norm)
        require(0 < self.clip < 1, "algorithm.clip", "between 0 and 1", self.clip)
        require(self.kl_coefficient >= 0, "algorithm.kl_coefficient", ">= 0", self.kl_coefficient)
        require(self.format_penalty <= 0, "algorithm.format_penalty", "<= 0", self.format_penalty)
        for key in ("lambda_low", "lambda_high"):
            require(0 <= getattr(self, key) <= 1, f"algorithm.{key}", "between 0 and 1", getattr(self, key))
        require(self.max_mutants >= 0, "algorithm.max_mutants", ">= 0", self.max_mutants)
