"""What the settings of all rollout engines have in common: how answers are drawn, and how many."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from zerocoder.config import require


@dataclass(frozen=True)
class RolloutSettings:
    """How answers are drawn. The paper samples 8 + 8 answers at temperature 0.7 and top-p 0.8."""

    temperature: float = 0.7
    top_p: float = 0.8
    top_k: int = 0
    """Keep only the k likeliest tokens; 0 keeps all."""
    max_new_tokens: int = 2048
    solutions: int = 8
    """N, coder answers a problem."""
    tests: int = 8
    """K, tester answers a problem."""
    batch_size: int = 64
    """Completions decoded at once."""

    speed_only: ClassVar[tuple[str, ...]] = ("batch_size",)
    """Settings that decide how fast answers come, and not what they say."""

    def __post_init__(self) -> None:
        group = "> 1 (advantages compare the answers of a group)"
        require(self.temperature > 0, "rollout.temperature", "> 0", self.temperature)
        require(0 < self.top_p <= 1, "rollout.top_p", "above 0 and at most 1", self.top_p)
        require(self.top_k >= 0, "rollout.top_k", ">= 0", self.top_k)
        require(self.max_new_tokens > 0, "rollout.max_new_tokens", "> 0", self.max_new_tokens)
        require(self.solutions > 1, "rollout.solutions", group, self.solutions)
        require(self.tests > 1, "rollout.tests", group, self.tests)
        require(self.batch_size > 0, "rollout.batch_size", "> 0", self.batch_size)

    @property
    def deciding(self) -> dict[str, Any]:
        """Everything that decides what an answer says: the engine and its settings, less those that are `speed_only`.

        What was measured with answers of one such set must not be taken for another's.
        """
        settings = {key: value for key, value in asdict(self).items() if key not in self.speed_only}
        return {"engine": type(self).__name__, **settings}
