"""`rollout=transformers`: sampling with the policy's own transformers module, in the trainer's process.

The engine that needs nothing but PyTorch: it decodes with the very weights that are trained, so there is nothing to
copy when they change. Importing this file loads no torch; the decoding loop is in `decoding`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zerocoder.rollout.settings import RolloutSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from zerocoder.rollout.engine import RolloutEngine


@dataclass(frozen=True)
class TransformersRollout(RolloutSettings):
    """Settings of the engine."""

    def check(self, ranks: int) -> str:
        return "transformers, in the trainer's process"

    def start(self, policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> RolloutEngine:
        from zerocoder.rollout.decoding import TransformersEngine

        return TransformersEngine(policy, tokenizer, self.batch_size)
