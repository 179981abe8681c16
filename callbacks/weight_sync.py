"""Hand the policy's weights to the rollout engine: before the first step, after a resume, after each update."""

from __future__ import annotations

from typing import Any

import lightning as L

from zerocoder.module import ZeroCoderModule


class WeightSync(L.Callback):
    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._sync(pl_module)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._sync(pl_module)

    @staticmethod
    def _sync(module: L.LightningModule) -> None:
        assert isinstance(module, ZeroCoderModule)
        module.sampler.engine.sync_weights(module.policy)
