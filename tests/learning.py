"""A short training of zerocoder-nano without labels, and what it did to a fixed pool of answers.

The measure: answers are drawn from the initial policy and run against each other, and CodeT says how much it believes
each of them (a program: 0 or 1; a test: the share of its asserts). What was learnt is how much more of that the policy
would earn with the same answers at the probabilities it gives them now. The pool is the same before and after, so that
the measure has none of sampling's noise, and it is a share, so that no single answer outweighs the others.
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

STEPS = 16
SETTINGS = (
    "selector=codet",
    "data.calibration=0",
    "data.limit=14",  # few problems, seen often: what is learnt about them is plain after minutes
    "data.batch_size=8",
    "algorithm.learning_rate=3e-4",
    "algorithm.lambda_low=0.5",  # the measure counts tests that hold, so that has to be worth something
    "algorithm.lambda_high=0.9",
    f"trainer.max_steps={STEPS}",
    "trainer.overlap=false",
)
POOLS = 2  # of 8 answers a problem and role


@dataclass(frozen=True)
class Learnt:
    """Mean over problems of the rise of the expected belief in an answer, in [-1, 1]."""

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
        for n in range(POOLS)
        for interaction in interact(module.sampler, executor, data.training, ("pool", n), config.algorithm.test_unit)
    ]
    rows = [row for interaction in pool for row in _believed(interaction)]
    before = [_logprobs(module, answers) for _, answers, _ in rows]
    if sabotage is not None:
        sabotage(module)
    callbacks: list[L.Callback] = [
        WeightSync(), RewardSchedule(config.algorithm.lambda_low, config.algorithm.lambda_high)
    ]  # fmt: skip
    plain_trainer(STEPS, callbacks).fit(module, datamodule=data)
    rises: dict[Role, list[float]] = {role: [] for role in Role}
    for (role, answers, belief), old in zip(rows, before, strict=True):
        change = _logprobs(module, answers) - old
        rises[role].append(float(np.average(belief, weights=np.exp(change - change.max())) - belief.mean()))
    return Learnt(float(np.mean(rises[Role.CODER])), float(np.mean(rises[Role.TESTER])))


def _believed(interaction: Interaction) -> list[tuple[Role, list[Rollout], NDArray[np.float64]]]:
    """The parsed answers of each role and how much they are believed, where that tells them apart."""
    consensus = select_shown(CodeT(), interaction.matrix)
    group, owners = interaction.group, interaction.owners
    tests = np.bincount(owners, weights=consensus.tests) / np.bincount(owners)
    rows = []
    for role, belief in ((Role.CODER, consensus.solutions.astype(np.float64)), (Role.TESTER, tests)):
        parsed = np.array([rollout.parsed for rollout in group.of(role)])
        if len(np.unique(belief[parsed])) > 1:
            rows.append((role, [r for r in group.of(role) if r.parsed], belief[parsed]))
    return rows


@torch.no_grad()
def _logprobs(module: ZeroCoderModule, answers: Sequence[Rollout]) -> NDArray[np.float64]:
    """Log-probs of whole answers under the policy as it is, in nats."""
    samples = [TrainingSample(r.prompt, r.completion.token_ids, r.completion.logprobs) for r in answers]
    tokens = completion_logprobs(module.policy, collate(samples, 0, torch.device("cpu")), 1.0, 4096).logprobs
    pieces = tokens.split([len(s.completion) for s in samples])
    return np.array([float(piece.sum()) for piece in pieces])
