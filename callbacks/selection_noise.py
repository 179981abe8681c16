"""A fixed labelled probe: how often the consensus is wrong (the paper's section 5.1, Figure 5), how good the roles.

The labels are looked at for these measurements only; the probe's rollouts are thrown away.
"""

from __future__ import annotations

from typing import Any

import lightning as L
import numpy as np

from callbacks.labels import LabelCheck, Truth, mean_known
from callbacks.metrics import Metrics
from zerocoder.interaction import interact
from zerocoder.module import ZeroCoderModule
from zerocoder.problems import Problem
from zerocoder.selection.base import Consensus


class SelectionNoise(L.Callback):
    """Logs selector/noise and probe/* before the first step, after every `every` steps and at the end."""

    def __init__(self, problems: list[Problem], every: int, metrics: Metrics) -> None:
        self.problems = problems
        self.every = every
        self.metrics = metrics

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step % self.every == 0:
            self._measure(trainer, pl_module)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._measure(trainer, pl_module)

    def _measure(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        assert isinstance(module, ZeroCoderModule)
        if not self.problems:
            return
        with module.clock("probe"):
            scalars = probe(module, self.problems, trainer.global_step)
        if module.world.is_main:
            self.metrics.write(trainer, scalars, trainer.global_step)


def probe(module: ZeroCoderModule, problems: list[Problem], step: int) -> dict[str, float]:
    """The policy as it is on labelled `problems`; what cannot be known is left out. All ranks get the same.

    selector/noise: 1 - mean share of selected solutions that pass the official tests.
    probe/consensus_recall: mean share of those that pass the official tests that are selected.
    probe/coder, probe/tester: share of programs that pass the official tests, of tests that the reference passes.
    """
    own = _answered(module, module.world.share(problems), step)
    everyone = module.world.merge(module.world.gather(own))
    truths = [truth for truth, _ in everyone]
    selected = everyone if module.method.selects else []
    known = [(t.solutions.correct[t.solutions.known], c.solutions[t.solutions.known]) for t, c in selected]
    right = [float(correct[chosen].mean()) for correct, chosen in known if chosen.any()]
    found = [float(chosen[correct].mean()) for correct, chosen in known if correct.any()]
    scalars = {
        "selector/noise": 1 - float(np.mean(right)) if right else None,
        "probe/consensus_recall": float(np.mean(found)) if found else None,
        "probe/coder": mean_known([t.solutions for t in truths]),
        "probe/tester": mean_known([t.tests for t in truths if t.tests is not None]),
    }
    return {name: value for name, value in scalars.items() if value is not None}


def _answered(module: ZeroCoderModule, problems: list[Problem], step: int) -> list[tuple[Truth, Consensus]]:
    """Of each problem, what is true of its answers and what is selected of them."""
    interactions = interact(module.sampler, module.executor, problems, ("probe", step), module.algorithm.test_unit)
    checks = [LabelCheck(module.executor, i.problem, i) for i in interactions]
    consensus = [module.method.consensus(module.selector, i.matrix) for i in interactions]
    return [(check.result(), chosen) for check, chosen in zip(checks, consensus, strict=True)]
