"""Warnings of a run that goes wrong: one line in the terminal when something begins, kept for summary.json."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import lightning as L

from callbacks.alarms import WATCHED, Alarm, Credit, alarms
from callbacks.metrics import Metrics
from callbacks.truth import TrueRates
from zerocoder.console import say
from zerocoder.module import ZeroCoderModule
from zerocoder.problems import Role


class Watch(L.Callback):
    """Looks at windows of `window` steps after every step and warns when one of the `alarms` begins.

    What holds on is not said again, unless it was quiet for two windows. `raised` are the warnings so far, with the
    step that each began at and the last at which it held, counted from 0. Rank 0 does it for all; what it has seen
    survives a restart.
    """

    def __init__(self, metrics: Metrics, truth: TrueRates | None, window: int) -> None:
        self.metrics = metrics
        self.truth = truth
        self.window = window
        self.raised: list[dict[str, Any]] = []
        self._history: dict[str, list[float]] = defaultdict(list)
        self._credits: dict[Role, list[Credit]] = {role: [] for role in Role}

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, ZeroCoderModule)
        assert pl_module.result is not None
        if not pl_module.world.is_main:
            return
        for name in WATCHED:
            if name in self.metrics.latest:
                self._history[name].append(self.metrics.latest[name])
        if self.truth is not None and self.truth.credit is not None:
            self._credits[pl_module.result.role].append(self.truth.credit)
        for alarm in alarms(self._history, self._credits, self.window):
            self._note(trainer, alarm, pl_module.result.step)

    def _note(self, trainer: L.Trainer, alarm: Alarm, step: int) -> None:
        of_its_kind = [w for w in self.raised if w["kind"] == alarm.kind]
        if of_its_kind and step - of_its_kind[-1]["until"] <= 2 * len(Role) * self.window:
            of_its_kind[-1]["until"] = step
            return
        self.raised.append({"kind": alarm.kind, "step": step, "until": step, "text": alarm.text})
        say(f"warning: after step {step + 1}: {alarm.text}")
        if isinstance(trainer.logger, L.pytorch.loggers.TensorBoardLogger):
            trainer.logger.experiment.add_text("warnings", alarm.text, step)

    def state_dict(self) -> dict[str, Any]:
        credits = {r.value: [(c.step, c.paid, c.right, c.precision) for c in own] for r, own in self._credits.items()}
        return {"history": dict(self._history), "credits": credits, "raised": self.raised}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._history = defaultdict(list, state_dict["history"])
        self._credits = {role: [Credit(*values) for values in state_dict["credits"][role.value]] for role in Role}
        self.raised = state_dict["raised"]
