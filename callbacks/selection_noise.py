"""Selection noise: how often the consensus is wrong, on fixed labelled problems (the paper's section 5.1, Figure 5).

The labels are looked at for this measurement only; the probe's rollouts are thrown away.
"""

from __future__ import annotations

from typing import Any

import lightning as L
import numpy as np

from zerocoder.interaction import check_against_labels, interact
from zerocoder.module import ZeroCoderModule
from zerocoder.problems import Problem
from zerocoder.selection.base import select_shown


class SelectionNoise(L.Callback):
    """Logs selector/noise before the first step and after every `every` steps."""

    def __init__(self, problems: list[Problem], every: int) -> None:
        self.problems = problems
        self.every = every

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, ZeroCoderModule)
        step = trainer.global_step
        if step % self.every or not self.problems or trainer.logger is None or not pl_module.method.selects:
            return
        with pl_module.clock("probe"):
            noise = selection_noise(pl_module, self.problems, step)
        if noise is not None:  # on every rank the same; rank 0's logger writes it
            trainer.logger.log_metrics({"selector/noise": noise}, step=step)


def selection_noise(module: ZeroCoderModule, problems: list[Problem], step: int) -> float | None:
    """1 - mean share of selected solutions that pass the official tests; None when nothing was selected."""
    shares = module.world.merge(module.world.gather(_correct_shares(module, module.world.share(problems), step)))
    known = [share for share in shares if share is not None]
    return 1 - float(np.mean(known)) if known else None


def _correct_shares(module: ZeroCoderModule, problems: list[Problem], step: int) -> list[float | None]:
    """Of each problem, the share of its selected solutions that are correct; None where nothing was selected."""
    interactions = interact(module.sampler, module.executor, problems, ("probe", step), module.algorithm.test_unit)
    truths = check_against_labels(module.executor, [(i.problem, i.group.programs) for i in interactions])
    shares: list[float | None] = []
    for interaction, truth in zip(interactions, truths, strict=True):
        chosen = select_shown(module.selector, interaction.matrix).solutions & truth.known
        shares.append(float(truth.correct[chosen].mean()) if chosen.any() else None)
    return shares
