"""The run's progress bar: step, whose turn, rewards, and what each stage took; the stage at work is named."""

from __future__ import annotations

from typing import Any

import lightning as L
from rich.progress import Progress, TaskID

from callbacks.metrics import STAGES, Metrics
from zerocoder.console import new_progress, say
from zerocoder.module import ZeroCoderModule
from zerocoder.problems import Role


class ProgressBar(L.Callback):
    """A bar over the steps with the rollouts of the current step nested below; one plain line a step without a TTY."""

    def __init__(self, metrics: Metrics) -> None:
        self.metrics = metrics
        self.progress: Progress | None = None
        self.steps: TaskID | None = None
        self.answers: TaskID | None = None

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, ZeroCoderModule)
        self.progress = new_progress()
        self.progress.start()
        self.steps = self.progress.add_task("training", total=trainer.max_steps, completed=trainer.global_step, note="")
        self.answers = self.progress.add_task("  answers", total=None, note="", visible=False)
        pl_module.clock.listeners.append(self._stage)
        pl_module.sampler.listeners.append(self._answered)

    def _stage(self, stage: str) -> None:
        if self.progress is not None and self.steps is not None and self.answers is not None:
            self.progress.update(self.steps, description=f"training: {stage:<11}")
            self.progress.update(self.answers, visible=False)

    def _answered(self, done: int, total: int) -> None:
        if self.progress is not None and self.answers is not None:
            self.progress.update(self.answers, completed=done, total=total, visible=done < total)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, ZeroCoderModule)
        result = pl_module.result
        if self.progress is None or self.steps is None or result is None:
            return
        say(step_line(result.step + 1, trainer.max_steps, result.role, self.metrics.latest))
        self.progress.update(self.steps, completed=trainer.global_step)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._stop()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        self._stop()

    def _stop(self) -> None:
        if self.progress is not None:
            self.progress.stop()
            self.progress = None


def step_line(step: int, steps: int, role: Role, metrics: dict[str, float]) -> str:
    """One step in one line."""
    width = len(str(steps))
    reward = metrics.get(f"reward/{role.value}", float("nan"))
    detail = ""
    if role is Role.TESTER:
        detail = f" (valid {metrics['reward/tester_valid']:.2f}, mutation {metrics['reward/tester_mutation']:.2f})"
    true = f"  true {metrics[f'truth/{role.value}']:.2f}" if f"truth/{role.value}" in metrics else ""
    times = ", ".join(f"{s} {metrics[f'time/{s}']:.1f}" for s in STAGES if metrics.get(f"time/{s}", 0) >= 0.05)
    calibrated = ""
    if "selector/calibration_accuracy" in metrics:
        calibrated = (
            f"  b4 ({metrics['selector/log10_beta0']:.0f},{metrics['selector/log10_alpha_xy']:.0f})"
            f" {metrics['selector/calibration_accuracy']:.2f}"
        )
    rank = f"  rank {metrics['matrix/rank']:.1f}" if "matrix/rank" in metrics else ""
    return (
        f"step {step:>{width}}/{steps} {role.value:<6} reward {reward:5.2f}{detail}{true}{rank}{calibrated}"
        f"  {metrics['time/step']:.1f}s ({times})"
    )
