"""What each algorithm asks, runs and rewards, on scripted answers whose rewards are worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from scripted import DOUBLE, DOUBLE_SOLUTIONS, DOUBLE_TESTS, fenced, scripted_sampler

from zerocoder.algorithms.base import Algorithm, require_labels
from zerocoder.algorithms.offline import Offline
from zerocoder.algorithms.online import Online
from zerocoder.algorithms.oracle import Oracle
from zerocoder.algorithms.zerocoder import ZeroCoder
from zerocoder.assessment import Assessed, Assessment, Turn
from zerocoder.config import AlgorithmConfig, TestUnit
from zerocoder.console import Clock
from zerocoder.execution import Executor, ProcessExecutor
from zerocoder.problems import Problem, Role, TestCase, ZeroCoderError
from zerocoder.rewarding import Rewarder
from zerocoder.rollout.sampler import Sampler
from zerocoder.selection.codet import CodeT

PLAIN = DOUBLE.unlabelled()
SQUARING = fenced("assert double(3) == 9")
"""A test that of DOUBLE_SOLUTIONS only the misreading passes."""
RIGHT = [fenced("assert double(2) == 4"), fenced("assert double(3) == 6"), "no test"]


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with ProcessExecutor(workers=1) as running:
        yield running


def sampler(tests: list[str]) -> Sampler:
    return scripted_sampler({PLAIN.statement: DOUBLE_SOLUTIONS}, {PLAIN.statement: tests})


def assess(
    executor: Executor,
    algorithm: Algorithm,
    problem: Problem,
    tests: list[str],
    role: Role = Role.CODER,
    lam: float = 0.0,
    unit: TestUnit = TestUnit.ANSWER,
) -> tuple[Assessed, list[str]]:
    """The problem as `algorithm` assesses it, and the first words of what was asked for it."""
    asked = sampler(tests)
    rewarder = Rewarder(executor, AlgorithmConfig(), seed=0)
    turn = Turn(0, role, lam)
    with Assessment(asked, executor, CodeT(), rewarder, unit, turn, Clock(), None, True, algorithm) as assessment:
        assessment.sample([problem])
        (assessed,) = assessment.collect()
    return assessed, [prompt.split(":")[0] for prompt in set(asked.engine.asked)]  # type: ignore[attr-defined]


def offline(test: TestCase | None) -> Offline:
    algorithm = Offline()
    algorithm.fixed[PLAIN.id] = test
    return algorithm


@pytest.mark.parametrize(
    ("algorithm", "roles"),
    [
        (ZeroCoder(), [Role.CODER, Role.TESTER, Role.CODER, Role.TESTER]),
        (Oracle(), [Role.CODER, Role.TESTER, Role.CODER, Role.TESTER]),
        (Online(), [Role.CODER] * 4),
        (Offline(), [Role.CODER] * 4),
    ],
)
def test_whose_turn_it_is(algorithm: Algorithm, roles: list[Role]) -> None:
    assert [algorithm.role(step) for step in range(4)] == roles


@pytest.mark.parametrize("unit", list(TestUnit))
def test_online_rewards_what_passes_all_of_the_steps_tests(executor: Executor, unit: TestUnit) -> None:
    assessed, asked = assess(executor, Online(), PLAIN, RIGHT, unit=unit)
    # x + x and x * 2 pass both parsed tests, x ** 2 the first alone; the fourth answer is no program.
    assert assessed.rewards.total.tolist() == [1, 1, 0, -1]
    assert assessed.consensus.empty and sorted(asked) == ["Solve", "Test"]
    all_of_them, _ = assess(executor, Online(), PLAIN, [*RIGHT[:2], SQUARING], unit=unit)
    assert all_of_them.rewards.total.tolist() == [0, 0, 0, -1]  # nothing passes both 3 -> 6 and 3 -> 9


def test_offline_rewards_what_passes_the_fixed_tests(executor: Executor) -> None:
    both = TestCase("assert double(2) == 4\nassert double(3) == 9")
    assessed, asked = assess(executor, offline(both), PLAIN, RIGHT, unit=TestUnit.ASSERTION)
    assert assessed.rewards.total.tolist() == [0, 0, 1, -1]  # the fixed tests are those of the misreading
    assert assessed.interaction.matrix.passed.astype(int).tolist() == [[1, 0], [1, 0], [1, 1], [0, 0]]
    assert asked == ["Solve"] and assessed.interaction.group.tests == ()


@pytest.mark.parametrize("algorithm", [offline(None), Online()])
def test_without_a_parsed_test_only_the_format_counts(executor: Executor, algorithm: Algorithm) -> None:
    assessed, _ = assess(executor, algorithm, PLAIN, ["no test"])
    assert assessed.rewards.total.tolist() == [0, 0, 0, -1] and assessed.rewards.mask.all()
    assert not assessed.interaction.matrix.tests_shown.any()


def test_oracle_rewards_programs_by_the_official_tests_and_asks_for_no_others(executor: Executor) -> None:
    assessed, asked = assess(executor, Oracle(), DOUBLE, [SQUARING])
    assert assessed.rewards.total.tolist() == [1, 1, 0, -1]
    assert asked == ["Solve"] and assessed.consensus.empty and assessed.interaction.matrix.shape == (4, 0)


def test_oracle_rewards_tests_by_the_official_solution_and_asks_for_no_other(executor: Executor) -> None:
    assessed, asked = assess(executor, Oracle(), DOUBLE, DOUBLE_TESTS, Role.TESTER)
    assert assessed.rewards.total.tolist() == [1, 1, 0, -1]
    assert asked == ["Test"] and assessed.interaction.matrix.shape == (0, 4)
    weighed, _ = assess(executor, Oracle(), DOUBLE, DOUBLE_TESTS, Role.TESTER, lam=1.0)
    assert weighed.mutants is not None and weighed.mutants.shape[1] == 4
    killed = (weighed.mutants[:, :2] != 1).mean(axis=0)
    assert weighed.rewards.total.tolist() == pytest.approx([*killed, 0, -1]) and killed[1] > 0


def test_the_same_problem_without_its_label_is_zerocoders(executor: Executor) -> None:
    """With no other test than the misreading's, the misreading is the consensus; a label needs none."""
    misled, _ = assess(executor, ZeroCoder(), PLAIN, [SQUARING])
    assert misled.rewards.total.tolist() == [0, 0, 1, -1] and not misled.consensus.empty
    labelled, _ = assess(executor, ZeroCoder(), DOUBLE, [SQUARING])
    assert labelled.rewards.total.tolist() == [1, 1, 0, -1]


def test_without_mutation_reward_a_test_is_worth_its_validity(executor: Executor) -> None:
    """lambda_low = lambda_high = 0 is the paper's "w/o mutation"."""
    assessed, _ = assess(executor, ZeroCoder(), PLAIN, DOUBLE_TESTS, Role.TESTER, lam=0.0)
    assert assessed.mutants is not None and assessed.rewards.mutation.any()
    assert assessed.rewards.total.tolist() == [1, 1, 0, -1]


def test_only_the_oracle_needs_a_label_everywhere() -> None:
    problems = [DOUBLE, replace(PLAIN, id="bare"), replace(PLAIN, id="other")]
    for algorithm in (ZeroCoder(), Online(), Offline()):
        require_labels(algorithm, problems)
    require_labels(Oracle(), problems[:1])
    with pytest.raises(ZeroCoderError, match=r"algorithm=oracle .* 2 of 3 training problems \('bare' is the first\)"):
        require_labels(Oracle(), problems)


def test_settings_of_an_algorithm_are_its_fields() -> None:
    assert repr(Offline()) == "Offline()" and offline(None).fixed and not Offline().fixed
    made: Any = AlgorithmConfig().method
    assert isinstance(made, ZeroCoder)
