"""`rollout=transformers`: sampling with the policy's own transformers module, in the trainer's process.

The engine that needs nothing but PyTorch: it decodes with the very weights that are trained, so there is nothing to
copy when they change; on a CPU it can have more processes, with copies, beside it. Importing this file loads no torch;
the decoding loop is in `decoding`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from zerocoder.config import require
from zerocoder.rollout.settings import RolloutSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from zerocoder.rollout.engine import RolloutEngine

SMALL = 2**25
"""Parameters below which several processes decode faster than threads of one."""
MOST_PROCESSES = 4
"""That are started unasked: each takes some hundred MB."""


@dataclass(frozen=True)
class TransformersRollout(RolloutSettings):
    """Settings of the engine."""

    processes: int | None = None
    """On a CPU, so many decode at once, the trainer's among them; None decides by the policy's size."""

    speed_only: ClassVar[tuple[str, ...]] = (*RolloutSettings.speed_only, "processes")

    def __post_init__(self) -> None:
        super().__post_init__()
        positive = self.processes is None or self.processes > 0
        require(positive, "rollout.processes", "> 0, or null to decide by the policy's size", self.processes)

    def check(self, ranks: int) -> str:
        return "transformers, in the trainer's process"

    def start(self, policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> RolloutEngine:
        from zerocoder.rollout.decoding import TransformersEngine

        engine = TransformersEngine(policy, tokenizer, self.batch_size)
        processes = _processes_for(policy) if self.processes is None else self.processes
        if processes == 1 or policy.device.type != "cpu":
            return engine
        from zerocoder.rollout.processes import ProcessesEngine

        return ProcessesEngine(engine, processes)


def _processes_for(policy: PreTrainedModel) -> int:
    """A small policy's products are too short for threads; a large one's weights are read once for all rows at hand."""
    import torch

    return min(torch.get_num_threads(), MOST_PROCESSES) if policy.num_parameters() < SMALL else 1
