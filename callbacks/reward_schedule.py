"""The tester's curriculum: lambda, the weight of the mutation term, rises along a cosine (the paper's 3.2)."""

from __future__ import annotations

from typing import Any

import lightning as L

from zerocoder.module import ZeroCoderModule
from zerocoder.rewards import cosine_lambda


class RewardSchedule(L.Callback):
    """Sets the module's mutation weight from validity (`low`, first step) to discriminativeness (`high`, last)."""

    def __init__(self, low: float, high: float) -> None:
        self.low = low
        self.high = high

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, ZeroCoderModule)
        pl_module.mutation_weight = cosine_lambda(trainer.global_step, trainer.max_steps, self.low, self.high)
