"""DyB4's recalibration: how the current policy does on the labelled problems -> the selector's next hyperparameters.

The paper's section 3.3: before a step, sample solutions and tests for the calibration problems with the current
policy, build their matrices, and choose the configuration whose selected solutions are most often correct.
"""

from __future__ import annotations

from collections.abc import Sequence

from zerocoder.config import TestUnit
from zerocoder.execution import Executor
from zerocoder.interaction import check_against_labels, interact
from zerocoder.problems import Problem
from zerocoder.rollout.sampler import Sampler
from zerocoder.selection.dyb4 import Calibration, DyB4


def recalibrate(
    selector: DyB4, problems: Sequence[Problem], sampler: Sampler, executor: Executor, unit: TestUnit, step: int
) -> Calibration:
    """Choose the selector's (beta0, alpha_xy) anew for `step`; `problems` must carry labels."""
    interactions = interact(sampler, executor, problems, ("calibration", step), unit)
    labelled = check_against_labels(executor, [(i.problem, i.group.programs) for i in interactions])
    matrices, correct = [], []
    for interaction, truth in zip(interactions, labelled, strict=True):
        rows = interaction.matrix.solutions_shown & truth.known
        matrices.append(interaction.matrix.passed[rows][:, interaction.matrix.tests_shown])
        correct.append(truth.correct[rows])
    return selector.recalibrate(matrices, correct)
