"""Recalibrate DyB4 on the labelled problems before training steps (the paper's section 3.3)."""

from __future__ import annotations

from typing import Any

import lightning as L

from zerocoder.module import ZeroCoderModule
from zerocoder.problems import Problem
from zerocoder.selection.dyb4 import DyB4


class Recalibration(L.Callback):
    """Says when, and on which problems; the step draws their answers together with its own.

    Owns the selector's configuration across restarts; does nothing to selectors with fixed rules.
    """

    def __init__(self, problems: list[Problem], every: int = 1) -> None:
        self.problems = problems
        self.every = every
        self._state: dict[str, Any] = {}  # the selector's after the last complete step

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, ZeroCoderModule)
        if self._state and isinstance(pl_module.selector, DyB4):
            pl_module.selector.load_state_dict(self._state)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, ZeroCoderModule)
        pl_module.calibration_problems = () if trainer.global_step % self.every else self.problems

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, ZeroCoderModule)
        if isinstance(pl_module.selector, DyB4):
            self._state = pl_module.selector.state_dict()

    def state_dict(self) -> dict[str, Any]:
        return self._state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._state = state_dict
