"""A short training of zerocoder-nano without labels, and what it did to answers whose truth is known.

The measure: a pool of answers is drawn from the initial policy and checked against the labels, which the training never
sees. What was learnt is how much likelier the right answers of a problem have become than its wrong ones, in nats. Both
are the same texts before and after, so that the measure has none of sampling's noise.
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
from zerocoder.execution import Executor, Job, Verdict
from zerocoder.experience import TrainingSample, collate
from zerocoder.interaction import check_against_labels
from zerocoder.logprobs import completion_logprobs
from zerocoder.module import ZeroCoderModule
from zerocoder.problems import Program, Role
from zerocoder.rollout.sampler import Rollout, RolloutGroup
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
    """Mean over problems of (mean change of log-prob of the better answers) - (that of the worse), in nats."""

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
    labelled = {p.id: p for p in data.candidates}
    problems = [labelled[p.id] for p in data.training]
    pool = [g for n in range(ATTEMPTS) for g in module.sampler.sample(problems, ("pool", n))]
    rows = [(role, answers, quality) for g in pool for role, answers, quality in _judged(executor, g)]
    before = [_logprobs(module, answers) for _, answers, _ in rows]
    if sabotage is not None:
        sabotage(module)
    callbacks: list[L.Callback] = [
        WeightSync(), RewardSchedule(config.algorithm.lambda_low, config.algorithm.lambda_high)
    ]  # fmt: skip
    plain_trainer(STEPS, callbacks).fit(module, datamodule=data)
    after = [_logprobs(module, answers) for _, answers, _ in rows]
    gains: dict[Role, list[float]] = {role: [] for role in Role}
    for (role, _, quality), old, new in zip(rows, before, after, strict=True):
        better = quality > quality.mean()
        if better.any():
            gains[role].append(float((new - old)[better].mean() - (new - old)[~better].mean()))
    return Learnt(float(np.mean(gains[Role.CODER])), float(np.mean(gains[Role.TESTER])))


def _judged(executor: Executor, group: RolloutGroup) -> list[tuple[Role, list[Rollout], NDArray[np.float64]]]:
    """The parsed answers of each role with their true quality: whether they are right."""
    problem, label = group.problem, group.problem.label
    assert label is not None
    solutions = [(r, p) for r, p in zip(group.solutions, group.programs, strict=True) if p is not None]
    (truth,) = check_against_labels(executor, [(problem, [p for _, p in solutions])])
    tests = [(r, t) for r, t in zip(group.tests, group.test_cases, strict=True) if t is not None]
    job = Job((Program(label.solution),), tuple(t for _, t in tests), problem.entry_point, cancel=False)
    (verdicts,) = executor.run([job])
    return [
        (Role.CODER, [r for r, _ in solutions], truth.correct.astype(np.float64)),
        (Role.TESTER, [r for r, _ in tests], (verdicts[0] == Verdict.PASS).astype(np.float64)),
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
