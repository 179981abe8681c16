"""A training step's result with everything in it, made by hand."""

from __future__ import annotations

import numpy as np
from scripted import DOUBLE, DOUBLE_SOLUTIONS, DOUBLE_TESTS, scripted_sampler

from zerocoder.assessment import Assessed
from zerocoder.console import Times
from zerocoder.execution import Verdict
from zerocoder.interaction import Interaction
from zerocoder.matrix import PassingMatrix
from zerocoder.module import StepResult, UpdateStats
from zerocoder.problems import Role
from zerocoder.rewards import Rewards
from zerocoder.selection.base import Consensus


def result(role: Role) -> StepResult:
    (group,) = scripted_sampler({"Double x.": DOUBLE_SOLUTIONS}, {"Double x.": DOUBLE_TESTS}).sample([DOUBLE], ("t",))
    p, f, s = Verdict.PASS, Verdict.FAIL, Verdict.SKIPPED
    verdicts = np.array([[p, p, f, s], [p, p, f, s], [p, f, p, s], [s, s, s, s]], dtype=np.int8)
    interaction = Interaction(group, group.test_cases, np.arange(4), PassingMatrix(verdicts))
    spread = Rewards(
        total=np.array([1.0, 0.5, 0.0, -1.0]),
        valid=np.array([1.0, 1.0, 0.0, 0.0]),
        mutation=np.array([1.0, 0.0, 0.0, 0.0]),
        format=np.array([0.0, 0.0, 0.0, -1.0]),
        mask=np.array([True, True, True, False]),
        lam=0.5,
    )
    flat = Rewards(np.zeros(4), np.zeros(4), np.zeros(4), np.zeros(4), np.ones(4, dtype=bool), 0.5)
    consensus = Consensus(np.array([True, True, False, False]), np.array([True, True, False, False]), 1.0)
    return StepResult(
        step=7,
        role=role,
        problems=(Assessed(interaction, consensus, spread, None), Assessed(interaction, consensus, flat, None)),
        advantages=(np.array([1.0, 0.0, -1.0, 0.0]), np.zeros(4)),
        update=UpdateStats(0.1, 0.0, 1.0, 0.0, 1.0, 2.0, 0.0, 0.0),
        calibration=None,
        times=Times({"rollout": 4.0, "execution": 0.5}, {"rollout": 4.0, "execution": 3.0, "mutation": 1.0}),
    )
