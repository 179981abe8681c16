"""A step's problems from answers to rewards: the same with and without overlap, told in order, ended without a trace."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scripted import DOUBLE, DOUBLE_SOLUTIONS, DOUBLE_TESTS, fenced, scripted_sampler

from zerocoder import assessment
from zerocoder.assessment import Assessed, Assessment, Turn
from zerocoder.calibration import Recalibration
from zerocoder.config import AlgorithmConfig, TestUnit
from zerocoder.console import Clock
from zerocoder.execution import Executor, Job, ProcessExecutor
from zerocoder.problems import Problem, Role
from zerocoder.rewarding import Rewarder
from zerocoder.rollout.sampler import Draw, Sampler
from zerocoder.selection.codet import CodeT
from zerocoder.selection.dyb4 import DyB4

PLAIN = DOUBLE.unlabelled()
OTHER = replace(PLAIN, id="other", statement="Twice x.")
LABELLED = replace(DOUBLE, id="labelled", statement="Two times x.")
# Two of the three programs share the misreading, and pass the two tests that follow it.
MISREAD = [
    fenced("def double(x):\n    return x * x"),
    fenced("def double(x):\n    return x ** 2"),
    fenced("def double(x):\n    return 2 * x"),
    "no code",
]


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with ProcessExecutor(workers=1) as running:
        yield running


def sampler() -> Sampler:
    solutions = {p.statement: DOUBLE_SOLUTIONS for p in (PLAIN, OTHER)} | {LABELLED.statement: MISREAD}
    return scripted_sampler(solutions, {p.statement: DOUBLE_TESTS for p in (PLAIN, OTHER, LABELLED)})


def assess(
    executor: Executor, role: Role, overlap: bool, calibrate: bool, problems: list[Problem]
) -> tuple[list[Assessed], DyB4, Clock]:
    selector, clock = DyB4(beta0=1.0, alpha_xy=1.0), Clock()
    recalibration = Recalibration(selector, [LABELLED], executor, TestUnit.ANSWER) if calibrate else None
    rewarder = Rewarder(executor, AlgorithmConfig(), seed=0)
    turn = Turn(3, role, 0.5)
    with Assessment(
        sampler(), executor, selector, rewarder, TestUnit.ANSWER, turn, clock, recalibration, overlap
    ) as assessment:
        groups = assessment.sample(problems)
        assessed = assessment.collect()
        assert (assessment.calibration is not None) == calibrate
    assert [g.problem.id for g in groups] == [a.interaction.problem.id for a in assessed] == [p.id for p in problems]
    return assessed, selector, clock


@pytest.mark.parametrize("role", list(Role))
def test_rewards_do_not_depend_on_the_overlap(executor: Executor, role: Role) -> None:
    problems = [PLAIN, LABELLED, OTHER]
    (one, chosen, _), (other, chosen_after, _) = (assess(executor, role, o, True, problems) for o in (True, False))
    assert (chosen.beta0, chosen.alpha_xy) == (chosen_after.beta0, chosen_after.alpha_xy)
    for a, b in zip(one, other, strict=True):
        assert (a.interaction.matrix.verdicts == b.interaction.matrix.verdicts).all()
        assert a.consensus.solutions.tolist() == b.consensus.solutions.tolist()
        assert a.rewards.total.tolist() == b.rewards.total.tolist()
        assert (a.mutants is None) == (b.mutants is None) == (role is Role.CODER)


def test_rewards_by_hand(executor: Executor) -> None:
    (plain, labelled), _, _ = assess(executor, Role.CODER, True, False, [PLAIN, LABELLED])
    assert plain.rewards.total.tolist() == [1, 1, 0, -1]
    assert labelled.rewards.total.tolist() == [0, 0, 1, -1]  # by its label, whatever the consensus


def test_a_consensus_waits_for_the_calibration(executor: Executor) -> None:
    """Priors that make larger groups win would choose the misreading on the labelled problem; they are moved first."""
    (assessed,), selector, clock = assess(executor, Role.CODER, True, True, [PLAIN])
    fresh, _, _ = assess(executor, Role.CODER, False, True, [PLAIN])
    assert assessed.consensus.solutions.tolist() == fresh[0].consensus.solutions.tolist()
    assert assessed.consensus.score == selector.select(assessed.interaction.matrix.passed[:3, :3]).score
    times = clock.reset()
    assert {"rollout", "execution", "calibration"} <= times.busy.keys() and times.hidden > 0


def test_calibration_is_told_its_share_of_what_was_drawn(executor: Executor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one draw of ten seconds for both, by tokens; a step without calibration is told nothing."""
    answers = sampler().draw([Draw(LABELLED, ("a",)), Draw(PLAIN, ("b",))])
    tokens = [sum(len(r.completion.token_ids) for r in (*g.solutions, *g.tests)) for g in answers]
    moved: list[tuple[str, str, float]] = []
    monkeypatch.setattr(Clock, "move", lambda self, *booked: moved.append(booked))
    moments = itertools.count(0, 10)
    monkeypatch.setattr(assessment, "time", SimpleNamespace(perf_counter=lambda: float(next(moments))))
    assess(executor, Role.CODER, True, False, [PLAIN])
    assert moved == []
    assess(executor, Role.CODER, True, True, [PLAIN])
    assert moved == [("rollout", "calibration", pytest.approx(10 * tokens[0] / sum(tokens)))]


class Stuck(Executor):
    """Never answers, and knows what was cancelled."""

    def __init__(self) -> None:
        self.futures: list[Future[np.ndarray]] = []

    def submit(self, job: Job) -> Future[np.ndarray]:
        self.futures.append(Future())
        return self.futures[-1]


@pytest.mark.parametrize("calibrate", [True, False])
def test_leaving_early_cancels_and_ends_every_thread(calibrate: bool) -> None:
    executor, before = Stuck(), threading.active_count()
    recalibration = Recalibration(DyB4(), [LABELLED], executor, TestUnit.ANSWER) if calibrate else None
    rewarder, turn = Rewarder(executor, AlgorithmConfig(), 0), Turn(0, Role.CODER, 0.5)
    with (
        pytest.raises(KeyboardInterrupt),
        Assessment(
            sampler(), executor, CodeT(), rewarder, TestUnit.ANSWER, turn, Clock(), recalibration, True
        ) as assessment,
    ):
        assessment.sample([PLAIN, OTHER])
        assert threading.active_count() > before
        raise KeyboardInterrupt
    assert len(executor.futures) == (7 if calibrate else 4) and all(f.cancelled() for f in executor.futures)
    for thread in threading.enumerate():
        if thread.name.startswith("assessment"):
            thread.join(10)
            assert not thread.is_alive()


def test_a_failure_behind_the_step_is_raised_in_it(executor: Executor) -> None:
    class Broken(CodeT):
        def select(self, matrix: np.ndarray) -> None:
            raise RuntimeError("selector")

    rewarder, turn = Rewarder(executor, AlgorithmConfig(), 0), Turn(0, Role.CODER, 0.5)
    with Assessment(sampler(), executor, Broken(), rewarder, TestUnit.ANSWER, turn, Clock(), None, True) as assessment:
        assessment.sample([PLAIN])
        with pytest.raises(RuntimeError, match="selector"):
            assessment.collect()
