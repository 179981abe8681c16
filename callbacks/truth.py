"""The truth beside the reward, at every step: how many of the answers are right, by labels that training never sees.

A problem that is trained on without a label gets its label back here, by its id. Programs meet the official tests and
tests the reference while the policy is being updated, after the step's rewards are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import lightning as L
import numpy as np
from numpy.typing import NDArray

from callbacks.alarms import Credit
from callbacks.labels import LabelCheck, Truth, mean_known
from callbacks.metrics import Metrics
from zerocoder.assessment import Assessed
from zerocoder.module import ZeroCoderModule
from zerocoder.problems import Problem, Role


@dataclass(frozen=True, slots=True)
class Judged:
    """A problem of the step and what is true of it."""

    truth: Truth
    consensus: NDArray[np.bool_]  # [N]
    paid: NDArray[np.float64]  # [n] validity term of the reward, for the answers of the role whose turn it was
    right: NDArray[np.float64]  # [n] what they deserve, NaN where that is not known


class TrueRates(L.Callback):
    """Logs truth/* of the step's answers to `problems`, which carry labels, every `every` turns of each role.

    `credit` is what the role whose turn it was got for its answers; None where it was not measured. It is known to
    rank 0 alone.
    """

    def __init__(self, problems: Sequence[Problem], metrics: Metrics, every: int = 1) -> None:
        self.problems = {p.id: p for p in problems}
        self.metrics = metrics
        self.every = every
        self.credit: Credit | None = None
        self._due = False
        self._running: list[tuple[Assessed, LabelCheck | None]] = []

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, ZeroCoderModule)
        executor = pl_module.executor

        def check(problems: Sequence[Assessed]) -> None:
            """While the policy is updated."""
            for assessed in problems if self._due else ():
                problem = self.problems.get(assessed.interaction.problem.id)
                check = None if problem is None else LabelCheck(executor, problem, assessed.interaction)
                self._running.append((assessed, check))

        pl_module.listeners.append(check)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self._due = trainer.global_step // len(Role) % self.every == 0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, ZeroCoderModule)
        assert pl_module.result is not None
        self.credit = None
        if not self._due:
            return
        role, step, world = pl_module.result.role, pl_module.result.step, pl_module.world
        with pl_module.clock("truth"):
            own = [None if check is None else judged(role, a, check.result()) for a, check in self._running]
            self._running.clear()
            parts = world.gather_on_main(own)
        problems = [p for p in world.merge(parts) if p is not None] if world.is_main else []
        if problems:
            self.credit = credit(step, problems)
            self.metrics.write(trainer, truth_scalars(role, problems, self.credit), step)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        for _, check in self._running:
            if check is not None:
                check.cancel()


def judged(role: Role, assessed: Assessed, truth: Truth) -> Judged:
    """The truth beside what the answers of `role` were paid."""
    interaction, rewards = assessed.interaction, assessed.rewards
    if role is Role.CODER:
        right = _shares(truth.solutions.correct, truth.solutions.known, np.arange(len(truth.solutions.correct)))
    elif truth.tests is not None:
        right = _shares(truth.tests.correct, truth.tests.known, interaction.owners)
    else:
        right = np.full(len(rewards.valid), np.nan)
    right = np.where(rewards.mask, right, np.nan)
    return Judged(truth, assessed.consensus.solutions, rewards.valid, right)


def _shares(correct: NDArray[np.bool_], known: NDArray[np.bool_], owners: NDArray[np.int64]) -> NDArray[np.float64]:
    """[n] of each answer the share of its columns [K] that are right; NaN where one of them is not known."""
    sizes = np.bincount(owners)
    shares = np.bincount(owners, weights=correct) / sizes
    return np.where(np.bincount(owners, weights=~known) > 0, np.nan, shares)


def credit(step: int, problems: Sequence[Judged]) -> Credit | None:
    """What all answers of the role were paid and deserve; None where nothing is known."""
    paid, right = (np.concatenate(values) for values in zip(*((p.paid, p.right) for p in problems), strict=True))
    known = ~np.isnan(right)
    if not known.any():
        return None
    paid, right = paid[known], right[known]
    precision = float((paid * right).sum() / paid.sum()) if paid.any() else float("nan")
    return Credit(step, float(paid.mean()), float(right.mean()), precision)


def truth_scalars(role: Role, problems: Sequence[Judged], credit: Credit | None) -> dict[str, float]:
    """The step's truth/*; what cannot be known is left out."""
    chosen = [(p.truth.solutions, p.consensus & p.truth.solutions.known) for p in problems]
    shares = [float(truth.correct[rows].mean()) for truth, rows in chosen if rows.any()]
    scalars: dict[str, float | None] = {
        "truth/coder": mean_known([p.truth.solutions for p in problems]),
        "truth/tester": mean_known([p.truth.tests for p in problems if p.truth.tests is not None]),
        "truth/consensus": float(np.mean(shares)) if shares else None,
    }
    if credit is not None:
        scalars[f"truth/overpaid_{role.value}"] = credit.paid - credit.right
        scalars[f"truth/precision_{role.value}"] = None if np.isnan(credit.precision) else credit.precision
    return {name: value for name, value in scalars.items() if value is not None}
