"""Every step's numbers in TensorBoard, under the names of the metrics table in the README."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import lightning as L
import numpy as np

from callbacks.diversity import diversity_scalars
from zerocoder.execution import Verdict
from zerocoder.module import StepResult, ZeroCoderModule
from zerocoder.mutation_testing import fate_shares
from zerocoder.problems import Role
from zerocoder.selection.b4 import B4
from zerocoder.selection.dyb4 import DyB4

STAGES = ("rollout", "execution", "mutation", "calibration", "reference", "training", "truth", "sync", "probe")


class Metrics(L.Callback):
    """Logs scalars of a step's result, and what other callbacks measure.

    `latest` holds the last step's for the progress bar and the run's summary, on rank 0.
    """

    def __init__(self) -> None:
        self.latest: dict[str, float] = {}

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, ZeroCoderModule)
        assert pl_module.result is not None
        if not pl_module.world.is_main:
            return  # it has seen a part of the batch only
        result = pl_module.result
        scalars = {
            **reward_scalars(result),
            **matrix_scalars(result),
            **diversity_scalars(result),
            **mutant_scalars(result),
            **selector_scalars(pl_module, result),
            **schedule_scalars(pl_module),
            **update_scalars(result),
            **rollout_scalars(result),
            **time_scalars(result),
        }
        self.latest = {}
        self.write(trainer, scalars, result.step)

    def write(self, trainer: L.Trainer, scalars: dict[str, float], step: int) -> None:
        """Write scalars down; of several ranks only the first does."""
        self.latest |= scalars
        if trainer.logger is not None:
            trainer.logger.log_metrics(scalars, step=step)


def reward_scalars(result: StepResult) -> dict[str, float]:
    """Mean rewards of the role whose turn it was; masked samples left out."""
    rewards = [p.rewards for p in result.problems]

    def mean(term: str) -> float:
        values = np.concatenate([getattr(r, term)[r.mask] for r in rewards])
        return float(values.mean()) if len(values) else math.nan

    masked = sum(int((~r.mask).sum()) for r in rewards)
    flat = sum(not a.any() for a in result.advantages) / len(result.advantages)
    common = {"reward/flat_groups": flat, "reward/masked": float(masked)}
    if result.role is Role.CODER:
        return {"reward/coder": mean("total"), **common}
    # A problem without mutants uses lambda = 0; the schedule's value is the largest one used.
    return {
        "reward/tester": mean("total"),
        "reward/tester_valid": mean("valid"),
        "reward/tester_mutation": mean("mutation"),
        **common,
    }


def matrix_scalars(result: StepResult) -> dict[str, float]:
    """Nothing for algorithms whose solutions meet no tests of the policy's."""
    matrices = [p.interaction.matrix for p in result.problems]
    if not any(m.verdicts.size for m in matrices):
        return {}
    counts: Counter[str] = Counter()
    for matrix in matrices:
        counts.update(matrix.counts())
    cells = max(sum(counts.values()), 1)
    return {
        "matrix/density": float(np.mean([m.density for m in matrices])),
        "matrix/rank": float(np.mean([m.rank for m in matrices])),
        "matrix/degenerate": float(np.mean([m.degenerate for m in matrices])),
        "matrix/no_tests": float(np.mean([not m.tests_shown.any() for m in matrices])),
        **{f"verdict/{v.name.lower()}": counts[v.name.lower()] / cells for v in Verdict},
    }


def selector_scalars(module: ZeroCoderModule, result: StepResult) -> dict[str, float]:
    """Nothing for algorithms that do not select."""
    if not module.method.selects:
        return {}
    chosen = [p.consensus for p in result.problems]
    scalars = {
        "selector/consensus_size": float(np.mean([c.solutions.sum() for c in chosen])),
        "selector/consensus_tests": float(np.mean([c.tests.sum() for c in chosen])),
        "selector/empty": float(np.mean([c.empty for c in chosen])),
    }
    if isinstance(module.selector, B4 | DyB4):
        scalars["selector/log10_beta0"] = math.log10(module.selector.beta0)
        scalars["selector/log10_alpha_xy"] = math.log10(module.selector.alpha_xy)
    if result.calibration is not None:
        scalars["selector/calibration_accuracy"] = result.calibration.accuracy
    return scalars


def schedule_scalars(module: ZeroCoderModule) -> dict[str, float]:
    """Nothing for algorithms whose tester never learns."""
    return {"reward/lambda": module.mutation_weight} if Role.TESTER in module.method.turns else {}


def mutant_scalars(result: StepResult) -> dict[str, float]:
    verdicts = [p.mutants for p in result.problems if p.mutants is not None]
    return {f"mutants/{fate}": share for fate, share in fate_shares(verdicts).items()}


def time_scalars(result: StepResult) -> dict[str, float]:
    """Seconds that the step waited for each stage, that each was at work for, and what that hid in all."""
    times = result.times
    return {
        **{f"time/{stage}": times.waited.get(stage, 0.0) for stage in STAGES},
        **{f"time/busy_{stage}": times.busy.get(stage, 0.0) for stage in STAGES},
        "time/hidden": times.hidden,
        "time/step": times.step,
    }


def update_scalars(result: StepResult) -> dict[str, float]:
    update = result.update
    return {
        "policy/loss": update.loss,
        "policy/kl": update.kl,
        "policy/entropy": update.entropy,
        "policy/clip_fraction": update.clip_fraction,
        "policy/importance": update.importance,
        "policy/grad_norm": update.grad_norm,
        "rollout/engine_logprob_gap": update.logprob_gap_mean,
        "rollout/engine_logprob_gap_max": update.logprob_gap_max,
    }


def rollout_scalars(result: StepResult) -> dict[str, float]:
    """Of all answers, whoever's turn it was."""
    scalars = {}
    for role in Role:
        rollouts = [r for p in result.problems for r in p.interaction.group.of(role)]
        if not rollouts:
            continue  # the algorithm did not ask it
        scalars[f"rollout/length_{role.value}"] = float(np.mean([len(r.completion.token_ids) for r in rollouts]))
        scalars[f"rollout/format_errors_{role.value}"] = float(np.mean([not r.parsed for r in rollouts]))
    both = [r for p in result.problems for role in Role for r in p.interaction.group.of(role)]
    scalars["rollout/length"] = float(np.mean([len(r.completion.token_ids) for r in both]))
    scalars["rollout/truncated"] = float(np.mean([r.completion.truncated for r in both]))
    scalars["rollout/format_errors"] = float(np.mean([not r.parsed for r in both]))
    return scalars
