"""A step's problems on their way from answers to rewards, each as far as it can get while others are being written.

    answers complete -> passing matrix -> (DyB4 is calibrated) -> consensus -> rewards, for a tester by way of mutants

Who answers, what the answers meet and what they are worth is the algorithm's (`zerocoder.algorithms`); the stages are
the same for all. The answers to DyB4's calibration problems are drawn in one batch with the step's own, and their
share of its tokens is what calibration is told to have taken of that time. What a
problem's rewards are does not depend on the order in which problems get through: without `overlap` the same is done
stage after stage.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from zerocoder.algorithms.base import Algorithm
from zerocoder.algorithms.zerocoder import ZeroCoder
from zerocoder.calibration import Recalibration
from zerocoder.config import TestUnit
from zerocoder.console import Clock
from zerocoder.execution import Executor
from zerocoder.interaction import Encounter, Interaction
from zerocoder.problems import Problem, Role
from zerocoder.rewarding import Rewarder
from zerocoder.rewards import Rewards
from zerocoder.rollout.sampler import Draw, RolloutGroup, Sampler
from zerocoder.selection.base import Consensus, Selector
from zerocoder.selection.dyb4 import Calibration


@dataclass(frozen=True, slots=True)
class Assessed:
    """A problem of the step with everything that its rewards come from."""

    interaction: Interaction
    consensus: Consensus  # empty, too, where the algorithm does not select
    rewards: Rewards
    mutants: NDArray[np.int8] | None  # [M, K] verdicts of the proxy's mutants, where the tester was rewarded by them


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose answers are rewarded in a step, and the weight of the mutation term."""

    step: int
    role: Role
    mutation_weight: float


class Assessment:
    """`sample` draws the answers, `collect` waits for the rewards of the role whose turn it is.

    Every problem has a thread, which mostly waits for the executor. Leaving the block early cancels what is running.
    """

    def __init__(
        self,
        sampler: Sampler,
        executor: Executor,
        selector: Selector,
        rewarder: Rewarder,
        unit: TestUnit,
        turn: Turn,
        clock: Clock,
        recalibration: Recalibration | None,
        overlap: bool,
        algorithm: Algorithm = ZeroCoder(),  # noqa: B008
    ) -> None:
        self.calibration: Calibration | None = None
        self._algorithm = algorithm
        self._sampler = sampler
        self._executor = executor
        self._selector = selector
        self._rewarder = rewarder
        self._unit = unit
        self._turn = turn
        self._clock = clock
        self._recalibration = recalibration
        self._overlap = overlap
        self._threads = ThreadPoolExecutor(max_workers=256, thread_name_prefix="assessment")
        self._encounters: list[Encounter] = []
        self._assessed: dict[int, Future[Assessed]] = {}
        self._calibrated: Future[Calibration | None] = Future()
        if recalibration is None:
            self._calibrated.set_result(None)

    def sample(self, problems: Sequence[Problem]) -> list[RolloutGroup]:
        """The algorithm's roles answer the problems, and both those of the calibration where one is due."""
        step = self._turn.step
        first = [] if self._recalibration is None else self._recalibration.draws(step)
        self._calibrate_if_complete()  # it is where other ranks have all its problems
        roles = self._algorithm.answering(self._turn.role)
        draws = [Draw(problem, ("train", step), roles) for problem in problems]
        if self._overlap:
            start = time.perf_counter()
            with self._clock("rollout"):  # first what the consensus of all others waits for
                groups = self._sampler.draw([*first, *draws], lambda n, g: self._take(n - len(first), g))
            if first:
                share = _num_tokens(groups[: len(first)]) / _num_tokens(groups)
                self._clock.move("rollout", "calibration", share * (time.perf_counter() - start))
            return groups[len(first) :]
        if self._recalibration is not None:
            with self._clock("calibration"):
                self._sampler.draw(first, lambda n, g: self._take(n - len(first), g))
                self._calibrated.result()
        with self._clock("rollout"):
            groups = self._sampler.draw(draws)
        for index, group in enumerate(groups):
            self._take(index, group)
        self.collect()
        return groups

    def collect(self) -> list[Assessed]:
        """The problems in their order, when all have their rewards."""
        with self._clock("execution"):
            for encounter in self._encounters:
                encounter.result()
        if self._recalibration is not None:
            with self._clock("calibration"):
                self.calibration = self._calibrated.result()
        with self._clock("mutation" if self._turn.role is Role.TESTER else "execution"):
            return [self._assessed[index].result() for index in sorted(self._assessed)]

    def _take(self, index: int, group: RolloutGroup) -> None:
        """All answers to a problem are there: to one of the step, or, counted from below 0, of the calibration."""
        if index >= 0:
            encounter = Encounter(self._executor, group, self._unit, self._algorithm.tests(group))
            self._encounters.append(encounter)
            self._assessed[index] = self._threads.submit(self._assess, encounter)
        elif self._recalibration is not None:
            self._recalibration.add(index, group)
            self._calibrate_if_complete()

    def _calibrate_if_complete(self) -> None:
        if self._recalibration is not None and self._recalibration.complete:
            self._threads.submit(self._calibrate, self._recalibration)

    def _calibrate(self, recalibration: Recalibration) -> None:
        if not self._calibrated.set_running_or_notify_cancel():
            return
        try:
            with self._clock.busy("calibration"):
                self._calibrated.set_result(recalibration.finish())
        except BaseException as error:  # whoever waits is told
            self._calibrated.set_exception(error)

    def _assess(self, encounter: Encounter) -> Assessed:
        with self._clock.busy("execution"):
            interaction = encounter.result()
        self._calibrated.result()
        consensus = self._algorithm.consensus(self._selector, interaction.matrix)
        if self._turn.role is Role.CODER:
            with self._clock.busy("execution"):
                rewards = self._algorithm.coder_rewards(self._rewarder, interaction, consensus)
            return Assessed(interaction, consensus, rewards, None)
        with self._clock.busy("mutation"):
            step, lam = self._turn.step, self._turn.mutation_weight
            rewards, mutants = self._algorithm.tester_rewards(self._rewarder, interaction, consensus, step, lam)
        return Assessed(interaction, consensus, rewards, mutants)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for encounter in self._encounters:
            encounter.cancel()  # does nothing to those that are done
        if self._recalibration is not None:
            self._recalibration.cancel()
        self._calibrated.cancel()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _num_tokens(groups: Sequence[RolloutGroup]) -> int:
    return sum(len(rollout.completion.token_ids) for group in groups for rollout in (*group.solutions, *group.tests))
