"""DyB4's recalibration: how the current policy does on the labelled problems -> the selector's next hyperparameters.

The paper's section 3.3: before a step, sample solutions and tests for the calibration problems with the current
policy, build their matrices, and choose the configuration whose selected solutions are most often correct. The
answers can be drawn in one batch with those of the step itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from zerocoder.config import TestUnit
from zerocoder.execution import Executor
from zerocoder.interaction import Encounter, label_job, labelled
from zerocoder.problems import Problem
from zerocoder.rollout.sampler import Draw, RolloutGroup
from zerocoder.selection.dyb4 import Calibration, DyB4
from zerocoder.world import World


class Recalibration:
    """One recalibration of `selector` on `problems`, which must carry labels.

    Draw `draws(step)`, hand each group to `add` as it is complete, then `finish`. With several ranks each draws its
    share of the problems, which may be none, and all choose the same.
    """

    def __init__(
        self, selector: DyB4, problems: Sequence[Problem], executor: Executor, unit: TestUnit, world: World
    ) -> None:
        self.selector = selector
        self.problems = world.share(problems)
        self._world = world
        self._executor = executor
        self._unit = unit
        self._encounters: dict[int, Encounter] = {}
        self._labels: dict[int, Future[NDArray[np.int8]]] = {}

    def draws(self, step: int) -> list[Draw]:
        """What this rank draws."""
        return [Draw(problem, ("calibration", step)) for problem in self.problems]

    def add(self, index: int, group: RolloutGroup) -> None:
        """Problem `index` of this rank's has all its answers."""
        self._encounters[index] = Encounter(self._executor, group, self._unit)
        self._labels[index] = self._executor.submit(label_job(group.problem, group.programs))

    @property
    def complete(self) -> bool:
        """Whether all problems have their answers."""
        return len(self._encounters) == len(self.problems)

    def finish(self) -> Calibration:
        """Wait for the matrices of all ranks and choose the selector's (beta0, alpha_xy) anew."""
        own = []
        for index in sorted(self._encounters):
            matrix, truth = self._encounters[index].result().matrix, labelled(self._labels[index].result())
            rows = matrix.solutions_shown & truth.known
            own.append((matrix.passed[rows][:, matrix.tests_shown], truth.correct[rows]))
        matrices, correct = zip(*self._world.merge(self._world.gather(own)), strict=True)
        return self.selector.recalibrate(matrices, correct)

    def cancel(self) -> None:
        """End what runs for it; does nothing to what is done."""
        for encounter in self._encounters.values():
            encounter.cancel()
        for label in self._labels.values():
            label.cancel()
