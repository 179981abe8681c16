"""Hand the policy's weights to the rollout engine: before the first step, after a resume, after each update."""

from __future__ import annotations

from typing import Any

import lightning as L

from zerocoder.module import ZeroCoderModule


class WeightSync(L.Callback):
    """The one place that syncs during training; it has to be the first of the callbacks, for others sample."""

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        # The strategy sets the optimizer up next, which wants the memory.
        assert isinstance(pl_module, ZeroCoderModule)
        pl_module.sampler.engine.pause()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._sync(pl_module)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._sync(pl_module)

    @staticmethod
    def _sync(module: L.LightningModule) -> None:
        assert isinstance(module, ZeroCoderModule)
        with module.clock("sync"):
            module.sampler.engine.sync_weights(module.policy)
