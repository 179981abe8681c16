"""The callbacks of a run, in the order in which they see a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import lightning as L

from callbacks.checkpoints import Checkpoints
from callbacks.metrics import Metrics
from callbacks.progress import ProgressBar
from callbacks.recalibration import Recalibration
from callbacks.reward_schedule import RewardSchedule
from callbacks.samples import Samples
from callbacks.selection_noise import SelectionNoise
from callbacks.truth import TrueRates
from callbacks.watch import Watch
from callbacks.weight_sync import WeightSync
from zerocoder.config import Config
from zerocoder.datamodule import ProblemDataModule
from zerocoder.extra import build_extra
from zerocoder.module import ZeroCoderModule
from zerocoder.runs import RunFolder


def build_callbacks(
    config: Config, run: RunFolder, module: ZeroCoderModule, data: ProblemDataModule
) -> list[L.Callback]:
    """What every run needs, then what watches it; Checkpoints has to be the last."""
    chosen = config.callbacks
    every, keep = (chosen.checkpoints.every, chosen.checkpoints.keep) if chosen.checkpoints else (None, 1)
    return [
        WeightSync(),
        Recalibration(data.calibration, chosen.recalibration.every),
        RewardSchedule(config.algorithm.lambda_low, config.algorithm.lambda_high),
        *_watching(config, run, module, data),
        *build_extra(chosen.extra),
        Checkpoints(run, module.sampler.tokenizer, every, keep),
    ]


def _watching(config: Config, run: RunFolder, module: ZeroCoderModule, data: ProblemDataModule) -> list[L.Callback]:
    """They decide nothing of what is learnt. Those that measure together are there on all ranks."""
    chosen, metrics, truth = config.callbacks, Metrics(), None
    callbacks: list[L.Callback] = [metrics]
    if chosen.truth is not None and (labelled := data.labelled_training()):
        truth = TrueRates(labelled, metrics, chosen.truth.every)
        callbacks.append(truth)
    if chosen.samples is not None and module.world.is_main:
        callbacks.append(Samples(run, chosen.samples.every, chosen.samples.problems))
    if chosen.selection_noise is not None:
        probe = data.labelled_probe(chosen.selection_noise.problems)
        callbacks.append(SelectionNoise(probe, chosen.selection_noise.every, metrics))
    if chosen.progress and module.world.is_main:
        callbacks.append(ProgressBar(metrics))
    if chosen.warnings is not None:
        callbacks.append(Watch(metrics, truth, chosen.warnings.window))
    return callbacks


def seen_by(callbacks: Sequence[L.Callback]) -> dict[str, Any]:
    """What the callbacks have for a run's summary: the last step's numbers, and the warnings."""
    seen: dict[str, Any] = {}
    for callback in callbacks:
        if isinstance(callback, Metrics):
            seen["last_step"] = callback.latest
        elif isinstance(callback, Watch):
            seen["warnings"] = callback.raised
    return seen
