"""Coders and testers that agree on an answer: what it takes, what they gain, and what nobody could tell without labels."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from cheating import GROUP, RIGHT, SELECTORS, TESTS, VALID, Stage, honest, remembering
from numpy.typing import NDArray
from scripted import fenced

from zerocoder.config import TestUnit
from zerocoder.execution import Executor
from zerocoder.problems import Role

SETTINGS = list(product(SELECTORS, TestUnit))
AGREED = "def evens(xs):\n    return 0"
AGREED_TESTS = ["assert evens([1, 2]) == 0", "assert evens([4, 4]) == 0", "assert evens([6]) == 0"]


def group(cheats: list[str], others: list[str], num_cheats: int) -> list[str]:
    answers = [cheats[n % len(cheats)] for n in range(num_cheats)]
    return [fenced(a) for a in (*answers, *(others[n % len(others)] for n in range(GROUP - num_cheats)))]


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with remembering() as running:
        yield running


def stage_of(executor: Executor, labelled: bool) -> Stage:
    """Three, five and eight colluders of eight in both roles; on a problem whose answer is never 0 in the tests."""
    names = {"few": 3, "most": 5, "all": 8}
    solutions = {name: group([AGREED], RIGHT, n) for name, n in names.items()}
    tests = {name: group(AGREED_TESTS, [VALID[2], VALID[1], VALID[0]], n) for name, n in names.items()}
    return Stage(executor, solutions, tests, labelled)


@pytest.fixture(scope="module")
def unlabelled(executor: Executor) -> Stage:
    return stage_of(executor, labelled=False)


@pytest.fixture(scope="module")
def labelled(executor: Executor) -> Stage:
    return stage_of(executor, labelled=True)


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("selector", "unit"), SETTINGS)
def test_a_minority_that_agrees_gains_nothing(unlabelled: Stage, selector: str, unit: TestUnit, role: Role) -> None:
    played = unlabelled.play(selector, unit, role)["few"]
    assert played.rewards[:3].tolist() == [0] * 3 and played.rewards[3:].min() > 0.5
    assert played.advantages[:3].max() < 0 < played.advantages[3:].min()


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize(("selector", "unit"), SETTINGS)
def test_where_all_agree_nothing_is_learned(unlabelled: Stage, selector: str, unit: TestUnit, role: Role) -> None:
    """The rewards are full, the advantages none: collusion of all keeps itself up, and does not grow."""
    played = unlabelled.play(selector, unit, role)["all"]
    assert played.rewards.min() == played.rewards.max() == 1 and not played.advantages.any()


@pytest.mark.parametrize(("selector", "unit"), SETTINGS)
def test_a_majority_wins_where_there_are_no_labels(unlabelled: Stage, selector: str, unit: TestUnit) -> None:
    """The limit of any consensus: `test_a_matrix_does_not_say_which_camp_is_honest` shows why."""
    assert unlabelled.play(selector, unit, Role.CODER)["most"].rewards.tolist() == [1] * 5 + [0] * 3


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("unit", TestUnit)
@pytest.mark.parametrize("name", ["few", "most", "all"])
def test_nobody_gains_by_it_on_labelled_problems(labelled: Stage, name: str, unit: TestUnit, role: Role) -> None:
    played = labelled.play("dyb4-labels", unit, role)[name]
    num_cheats = {"few": 3, "most": 5, "all": 8}[name]
    assert played.rewards[:num_cheats].tolist() == [0] * num_cheats
    assert (played.rewards[num_cheats:] > 0.5).all() and (played.advantages[:num_cheats] <= 0).all()


def two_camps(cheats: int, tests: int, n: int = 8, k: int = 8) -> NDArray[np.bool_]:
    """`cheats` programs pass `tests` tests and no other; all other programs pass all other tests."""
    matrix = np.zeros((n, k), dtype=bool)
    matrix[:cheats, :tests] = matrix[cheats:, tests:] = True
    return matrix


@pytest.mark.parametrize("selector", SELECTORS)
def test_a_matrix_does_not_say_which_camp_is_honest(selector: str) -> None:
    """The camps' matrix is the same with their parts swapped, up to the order of answers: one choice for both."""
    for cheats, tests in product(range(1, 8), range(1, 8)):
        matrix = two_camps(cheats, tests)
        assert (matrix[::-1, ::-1] == two_camps(8 - cheats, 8 - tests)).all()
        if cheats != 4 or tests != 4:  # there the first answers win, whoever gave them
            chosen = SELECTORS[selector]().select(matrix).solutions
            mirrored = SELECTORS[selector]().select(matrix[::-1, ::-1]).solutions
            assert chosen.tolist() == mirrored[::-1].tolist()


@pytest.mark.parametrize("selector", SELECTORS)
def test_how_many_colluders_are_too_few(selector: str) -> None:
    """docs/cheating.md: fewer than half of the programs and fewer than half of the tests are in vain."""

    def honest_wins(cheats: int, tests: int) -> bool:
        chosen = SELECTORS[selector]().select(two_camps(cheats, tests)).solutions
        return chosen.tolist() == [False] * cheats + [True] * (8 - cheats)

    assert all(honest_wins(cheats, tests) for cheats, tests in product(range(1, 4), range(1, 4)))
    by_tests_alone = [tests for tests in range(1, 8) if honest_wins(3, tests)]
    by_programs_alone = [cheats for cheats in range(1, 8) if honest_wins(cheats, 3)]
    expected = {"maxpass": ([1, 2, 3], [*range(1, 8)]), "codet": ([1, 2, 3, 4], [1, 2, 3, 4, 5])}
    assert (by_tests_alone, by_programs_alone) == expected.get(selector, ([1, 2, 3, 4, 5], [1, 2, 3, 4]))


def test_the_mutation_term_is_no_brake_on_a_majority(unlabelled: Stage) -> None:
    """Tests of a constant kill the mutants of a constant."""
    played = unlabelled.play("b4-43", TestUnit.ANSWER, Role.TESTER)["most"]
    assert played.rewards.tolist() == [1] * 5 + [0] * 3


def test_honest_groups_for_comparison(executor: Executor) -> None:
    stage = Stage(executor, {"honest": honest(RIGHT)}, {"honest": honest(TESTS)})
    assert stage.play("codet", TestUnit.ANSWER, Role.CODER)["honest"].rewards.tolist() == [1] * 8
