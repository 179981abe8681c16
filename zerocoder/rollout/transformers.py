"""`rollout=transformers`: sampling with the policy's own transformers module, in the trainer's process.

The engine that needs nothing but PyTorch: it decodes with the very weights that are trained, so there is nothing to
copy when they change. Importing this file loads no torch; the decoding loop is in `decoding`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zerocoder.problems import ZeroCoderError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from zerocoder.rollout.engine import RolloutEngine


@dataclass(frozen=True)
class TransformersRollout:
    """Settings of the engine. The paper samples 8 + 8 answers at temperature 0.7 and top-p 0.8."""

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

    def __post_init__(self) -> None:
        rules = {
            "temperature": (self.temperature > 0, "> 0"),
            "top_p": (0 < self.top_p <= 1, "above 0 and at most 1"),
            "top_k": (self.top_k >= 0, ">= 0"),
            "max_new_tokens": (self.max_new_tokens > 0, "> 0"),
            "solutions": (self.solutions > 1, "> 1 (advantages compare the answers of a group)"),
            "tests": (self.tests > 1, "> 1 (advantages compare the answers of a group)"),
            "batch_size": (self.batch_size > 0, "> 0"),
        }
        for key, (holds, must) in rules.items():
            if not holds:
                raise ZeroCoderError(f"rollout.{key} must be {must}, got {getattr(self, key)}")

    def start(self, policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> RolloutEngine:
        from zerocoder.rollout.decoding import TransformersEngine

        return TransformersEngine(policy, tokenizer, self.batch_size)
