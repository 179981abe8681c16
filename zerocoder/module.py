"""ZeroCoderModule: one training step of co-evolution, in the order of the paper's Figure 1.

    problems -> rollouts of both roles -> passing matrices -> consensus -> rewards of the role whose turn it is
             -> group-relative advantages -> one GRPO step

Coder and tester take turns step by step (the paper's section 3.2: updating both in one step would train the second on
data of a policy that is gone). What a stage does lives in that stage's part; this file only puts them in order, and
`zerocoder.algorithms` says who answers and what is rewarded. Steps are Lightning's `global_step`: one optimizer step
each, however many micro-batches it took.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import lightning as L
import numpy as np
import torch
from torch import Tensor

from zerocoder.algorithms.base import Algorithm
from zerocoder.assessment import Assessed, Assessment, Turn
from zerocoder.calibration import Recalibration
from zerocoder.config import AlgorithmConfig, TrainerConfig
from zerocoder.console import Clock, Times
from zerocoder.execution import Executor
from zerocoder.experience import Experience, MicroBatch, TrainingSample
from zerocoder.grpo import group_advantages
from zerocoder.interrupts import interrupts
from zerocoder.learner import Learner, TokenSums
from zerocoder.oom import out_of_memory
from zerocoder.problems import Problem, Role, ZeroCoderError
from zerocoder.reference import Reference
from zerocoder.rewarding import Rewarder
from zerocoder.rollout.sampler import RolloutGroup, Sampler
from zerocoder.selection.base import Selector
from zerocoder.selection.dyb4 import Calibration, DyB4
from zerocoder.strategies import adamw, stepping_of
from zerocoder.world import World, current

if TYPE_CHECKING:
    from transformers import PreTrainedModel

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class UpdateStats:
    """Means over the completion tokens of a step on all ranks, and the gradient's norm before clipping."""

    loss: float
    kl: float
    entropy: float  # nats
    clip_fraction: float
    importance: float  # weights of the truncated importance sampling
    grad_norm: float
    logprob_gap_mean: float  # |engine - trainer| log-prob
    logprob_gap_max: float


@dataclass(frozen=True, slots=True)
class StepResult:
    """Everything that one training step saw and did, for callbacks to log.

    On rank 0 the whole batch's, in its order; on other ranks `problems` and `advantages` are their own share's.
    """

    step: int
    role: Role
    problems: tuple[Assessed, ...]
    advantages: tuple[np.ndarray, ...]
    calibration: Calibration | None  # None where the selector was not calibrated in this step
    update: UpdateStats
    times: Times


class ZeroCoderModule(L.LightningModule):
    """The policy with its two roles. `reference` is None when the KL term is off."""

    def __init__(
        self,
        policy: PreTrainedModel,
        reference: Reference | None,
        sampler: Sampler,
        executor: Executor,
        selector: Selector,
        algorithm: AlgorithmConfig,
        trainer: TrainerConfig,
        world: World | None = None,
    ) -> None:
        super().__init__()
        self.world = world or current()
        self.automatic_optimization = False
        self.policy = policy
        self._frozen = {name for name, p in self.named_parameters(remove_duplicate=False) if not p.requires_grad}
        self.strict_loading = not self._frozen
        self.learner = Learner(policy, reference, algorithm, trainer, sampler.config.temperature, self.world)
        self.sampler = sampler
        self.executor = executor
        self.selector = selector
        self.algorithm = algorithm
        self.method: Algorithm = copy.deepcopy(algorithm.method)  # it may come to know something, the config does not
        self.settings = trainer
        self.rewarder = Rewarder(executor, algorithm, trainer.seed)
        self.mutation_weight = algorithm.lambda_low  # lambda of this step, set by the reward schedule
        self.calibration_problems: Sequence[Problem] = ()  # of this step, set by callbacks/recalibration.py
        self.clock = Clock()
        self.interrupts = interrupts(self.world)
        self.result: StepResult | None = None
        self.listeners: list[Callable[[Sequence[Assessed]], None]] = []  # told this rank's problems with their rewards

    @property
    def role(self) -> Role:
        """Whose turn it is."""
        return self.method.role(self.global_step)

    def training_step(self, batch: list[Problem], batch_idx: int) -> None:
        turn = Turn(self.global_step, self.role, self.mutation_weight)
        with self.assessment(turn) as assessment:
            with out_of_memory(self.device, "rollout"):
                groups = assessment.sample(batch)
            self.sampler.engine.pause()  # until its next weights, which callbacks/weight_sync.py brings
            with self.clock("reference"):
                samples = self.learner.with_reference(training_samples(turn.role, groups), self.device)
            problems = assessment.collect()
        for listener in self.listeners:
            listener(problems)
        advantages = [group_advantages(p.rewards.total, p.rewards.mask) for p in problems]
        with self.clock("training"):
            update = self.update(experience(samples, advantages), turn.step)
        calibration, times = assessment.calibration, self.clock.reset()
        problems, advantages = self._gathered(problems), self._gathered(advantages)
        self.result = StepResult(turn.step, turn.role, tuple(problems), tuple(advantages), calibration, update, times)

    def _gathered(self, share: list[T]) -> list[T]:
        """What the ranks have of a list, on rank 0; the others keep their share."""
        parts = self.world.gather_on_main(share)
        return self.world.merge(parts) if self.world.is_main else share

    def assessment(self, turn: Turn) -> Assessment:
        """What turns a batch into rewards, with the recalibration that is due before the step."""
        recalibration = None
        if self.method.selects and self.calibration_problems and isinstance(self.selector, DyB4):
            unit = self.algorithm.test_unit
            recalibration = Recalibration(self.selector, self.calibration_problems, self.executor, unit, self.world)
        return Assessment(
            self.sampler,
            self.executor,
            self.selector,
            self.rewarder,
            self.algorithm.test_unit,
            turn,
            self.clock,
            recalibration,
            self.settings.overlap,
            self.method,
        )

    def update(self, experience: Experience, step: int) -> UpdateStats:
        """One optimizer step on the experience of all ranks, in as many micro-batches as memory asks for.

        What it refuses, it refuses on all ranks alike: it looks at sums over all of them.
        """
        stepping = stepping_of(self)
        (tokens,) = self.world.sum(experience.tokens)
        scale = self.world.size / tokens  # gradients are averaged over the ranks
        own = TokenSums()
        with out_of_memory(self.device, "forward and backward pass"):
            for batch, last in self.learner.micro_batches(experience, self.device):
                own.add(stepping.accumulate(batch, scale, last))
        sums = TokenSums.total(self.world.gather(own))
        self._refuse_non_finite(step, "loss", sums.loss)
        self._refuse_stale(step, sums.gap / tokens)
        self.interrupts.hold()  # until the step's bookkeeping is done, see callbacks/checkpoints.py
        with out_of_memory(self.device, "optimizer step"):
            norm = stepping.step(self.algorithm.max_grad_norm)
        self._refuse_non_finite(step, "gradient", norm)
        return UpdateStats(
            loss=sums.loss / tokens,
            kl=sums.kl / tokens,
            entropy=sums.entropy / tokens,
            clip_fraction=sums.clipped / tokens,
            importance=sums.importance / tokens,
            grad_norm=norm,
            logprob_gap_mean=sums.gap / tokens,
            logprob_gap_max=sums.gap_max,
        )

    def forward(self, batch: MicroBatch) -> tuple[Tensor, TokenSums]:
        """See `Learner.loss`: a forward pass of this module is that of a micro-batch."""
        return self.learner.loss(batch)

    def _refuse_non_finite(self, step: int, name: str, value: float) -> None:
        if not np.isfinite(value):
            self.policy.zero_grad(set_to_none=True)
            raise ZeroCoderError(
                f"step {step}: {name} {value} is not finite; the weights were not changed. Resume from the last "
                "checkpoint with a lower algorithm.learning_rate or a wider trainer.precision"
            )

    def _refuse_stale(self, step: int, gap: float) -> None:
        limit = self.settings.max_logprob_gap
        if limit is not None and gap > limit:
            self.policy.zero_grad(set_to_none=True)
            raise ZeroCoderError(
                f"step {step}: the rollout engine's log-probs are {gap:.3g} away from the policy's on the average "
                f"token, trainer.max_logprob_gap is {limit:g}: it samples from other weights than are trained. The "
                "weights were not changed. Resume with trainer.resume=latest; raise trainer.max_logprob_gap only "
                "where the engine computes in a coarser number format than the trainer"
            )

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return adamw([p for p in self.policy.parameters() if p.requires_grad], self.algorithm, self.settings)

    def on_train_start(self) -> None:
        self.policy.train()  # gradient checkpointing needs it; there is no dropout, see `models`
        self.interrupts.begin()

    def on_train_end(self) -> None:
        self.interrupts.end()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # Beside adapters the policy is the one that model.path names: what does not train need not be kept.
        weights = checkpoint["state_dict"]
        checkpoint["state_dict"] = {name: value for name, value in weights.items() if name not in self._frozen}
        # No stage of ours draws from the global generators; models with dropout and users' callbacks may. One rank may
        # write for all.
        kind, keys, *rest = np.random.get_state(legacy=True)
        # Plain values only: checkpoints are loaded without unpickling code.
        own = {
            "python": random.getstate(),
            "numpy": (
                kind,
                np.asarray(keys).tolist(),
                *rest,
            ),
            "torch": torch.get_rng_state(),
        }
        checkpoint["rng"] = self.world.gather(own)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        states = checkpoint["rng"]
        own = states[self.world.rank % len(states)]  # with another number of ranks any state is as good as the other
        random.setstate(own["python"])
        np.random.set_state(own["numpy"])
        torch.set_rng_state(own["torch"])


def training_samples(role: Role, groups: Sequence[RolloutGroup]) -> list[TrainingSample]:
    """The answers of `role` as sequences to learn from, problem by problem."""
    return [
        TrainingSample(r.prompt, r.completion.token_ids, r.completion.logprobs)
        for group in groups
        for r in group.of(role)
    ]


def experience(samples: Sequence[TrainingSample], advantages: Sequence[np.ndarray]) -> Experience:
    """The samples with the advantages of their groups, in the same order."""
    flat = np.concatenate(list(advantages)).tolist()
    return Experience(tuple(replace(s, advantage=a) for s, a in zip(samples, flat, strict=True)))
