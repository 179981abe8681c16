"""A short training of zerocoder-nano without labels, and what it did to a fixed pool of answers.

The measure: answers are drawn from the initial policy, run against each other, and CodeT says which of them it believes.
What was learnt is how much likelier the believed answers of a problem have become than its others, in nats. Both are
the same texts before and after, so that the measure has none of sampling's noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from tiny import plain_trainer

import train
from callbacks.reward_schedule import RewardSchedule
from callbacks.weight_sync import WeightSync
from zerocoder.compose import load
from zerocoder.execution import Executor
from zerocoder.experience import TrainingSample, collate
from zerocoder.interaction import Interaction, interact
from zerocoder.logprobs import completion_logprobs
from zerocoder.module import ZeroCoderModule
from zerocoder.problems import Role
from zerocoder.rollout.sampler import Rollout
from zerocoder.selection.base import select_shown
from zerocoder.selection.codet import CodeT
from zerocoder.world import World

STEPS = 12
SETTINGS = (
    "selector=codet",
    "data.calibration=0",
    "data.limit=40",
    "data.batch_size=8",
    f"trainer.max_steps={STEPS}",
    "trainer.overlap=false",
)
ATTEMPTS = 2  # pools of 8 answers a problem and role


@dataclass(frozen=True)
class Learnt:
    """Mean over problems of (mean change of log-prob of the believed answers) - (that of the others), in nats."""

    coder: float
    tester: float


def practise(
    executor: Executor, seed: int, cache: Path, sabotage: Callable[[ZeroCoderModule], None] | None = None
) -> Learnt:
    """Train for STEPS steps, label-free, after `sabotage` has been at the module."""
    config = load([*SETTINGS, f"trainer.seed={seed}", f"data.cache={cache}"])
    module, data = train.build(config, executor, World())
    data.load()
    data.prepare(module.policy, module.sampler, executor)
    pool = [
        interaction
        for n in range(ATTEMPTS)
        for interaction in interact(module.sampler, executor, data.training, ("pool", n), config.algorithm.test_unit)
    ]
    rows = [(role, answers, worth) for i in pool for role, answers, worth in _judged(i)]
    before = [_logprobs(module, answers) for _, answers, _ in rows]
    if sabotage is not None:
        sabotage(module)
    callbacks: list[L.Callback] = [
        WeightSync(), RewardSchedule(config.algorithm.lambda_low, config.algorithm.lambda_high)
    ]  # fmt: skip
    plain_trainer(STEPS, callbacks).fit(module, datamodule=data)
    after = [_logprobs(module, answers) for _, answers, _ in rows]
    gains: dict[Role, list[float]] = {role: [] for role in Role}
    for (role, _, worth), old, new in zip(rows, before, after, strict=True):
        better = worth > worth.mean()
        if better.any():
            gains[role].append(float((new - old)[better].mean() - (new - old)[~better].mean()))
    return Learnt(float(np.mean(gains[Role.CODER])), float(np.mean(gains[Role.TESTER])))


def _judged(interaction: Interaction) -> list[tuple[Role, list[Rollout], NDArray[np.float64]]]:
    """The parsed answers of each role, and whether they are believed: of a test, the share of its asserts."""
    believed = select_shown(CodeT(), interaction.matrix)
    group, owners = interaction.group, interaction.owners
    tests = np.bincount(owners, weights=believed.tests) / np.bincount(owners)
    return [
        (role, [r for r in group.of(role) if r.parsed], worth[[r.parsed for r in group.of(role)]])
        for role, worth in ((Role.CODER, believed.solutions.astype(np.float64)), (Role.TESTER, tests))
    ]


@torch.no_grad()
def _logprobs(module: ZeroCoderModule, answers: Sequence[Rollout]) -> NDArray[np.float64]:
    """Log-probs of whole answers under the policy as it is, in nats."""
    if not answers:
        return np.zeros(0)
    samples = [TrainingSample(r.prompt, r.completion.token_ids, r.completion.logprobs) for r in answers]
    tokens = completion_logprobs(module.policy, collate(samples, 0, torch.device("cpu")), 1.0, 4096).logprobs
    pieces = tokens.split([len(s.completion) for s in samples])
    return np.array([float(piece.sum()) for piece in pieces])
