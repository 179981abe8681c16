"""Answers -> executed matrices, on answers whose verdicts are known by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from scripted import DOUBLE, DOUBLE_SOLUTIONS, DOUBLE_TESTS, fenced, scripted_sampler

from zerocoder.config import TestUnit
from zerocoder.execution import Executor, ProcessExecutor, Verdict
from zerocoder.interaction import Encounters, check_against_labels, columns_of, interact
from zerocoder.problems import Program, Role, TestCase
from zerocoder.rollout.engine import Request
from zerocoder.rollout.sampler import Draw, RolloutGroup


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with ProcessExecutor(workers=1) as running:
        yield running


def test_matrix_of_known_answers(executor: Executor) -> None:
    sampler = scripted_sampler({"Double x.": DOUBLE_SOLUTIONS}, {"Double x.": DOUBLE_TESTS})
    (interaction,) = interact(sampler, executor, [DOUBLE], ("t",), TestUnit.ANSWER)
    assert interaction.matrix.passed.astype(int).tolist() == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
    assert interaction.matrix.verdicts[3].tolist() == [Verdict.SKIPPED] * 4
    assert interaction.matrix.solutions_shown.tolist() == [True, True, True, False]
    assert interaction.matrix.tests_shown.tolist() == [True, True, True, False]
    assert interaction.matrix.rank == 2


def test_programs_stay_known_when_no_test_parses(executor: Executor) -> None:
    sampler = scripted_sampler({"Double x.": DOUBLE_SOLUTIONS}, {"Double x.": ["nothing"]})
    (interaction,) = interact(sampler, executor, [DOUBLE], ("t",), TestUnit.ANSWER)
    assert interaction.matrix.programs.tolist() == [True, True, True, False]
    assert interaction.matrix.rank == 0


def test_assertions_as_columns_remember_their_answer(executor: Executor) -> None:
    two = fenced("assert double(3) == 6\nassert double(1) == 3")
    sampler = scripted_sampler(
        {"Double x.": DOUBLE_SOLUTIONS}, {"Double x.": [two, "none", fenced("assert double(0) == 0")]}, n=3
    )
    (interaction,) = interact(sampler, executor, [DOUBLE], ("t",), TestUnit.ASSERTION)
    assert interaction.owners.tolist() == [0, 0, 1, 2]
    assert interaction.matrix.passed.astype(int).tolist() == [[1, 0, 0, 1], [1, 0, 0, 1], [0, 0, 0, 1]]


def test_columns_of_answers_are_the_answers() -> None:
    test = TestCase("assert f(1) == 1\nassert f(2) == 2")
    columns, owners = columns_of([test, None], TestUnit.ANSWER)
    assert columns == (test, None) and owners.tolist() == [0, 1]


def test_labels_decide_correctness(executor: Executor) -> None:
    programs = [Program("def double(x):\n    return x * 2"), Program("def double(x):\n    return x ** 2"), None]
    (truth,) = check_against_labels(executor, [(DOUBLE, programs)])
    assert truth.correct.tolist() == [True, False, False] and truth.known.all()
    with pytest.raises(ValueError, match="has no label"):
        check_against_labels(executor, [(DOUBLE.unlabelled(), programs)])


def test_only_the_roles_that_are_asked_answer_with_the_seeds_they_always_have() -> None:
    other = replace(DOUBLE, id="other", statement="Twice x.")
    sampler = scripted_sampler(
        {p.statement: DOUBLE_SOLUTIONS for p in (DOUBLE, other)}, {p.statement: DOUBLE_TESTS for p in (DOUBLE, other)}
    )
    seeds: list[dict[str, tuple[int, ...]]] = []
    generate = sampler.engine.generate

    def remembering(requests: Sequence[Request], *args: Any) -> Any:
        seeds.append({sampler.tokenizer.decode(r.prompt).split("\n")[0]: r.seeds for r in requests})
        return generate(requests, *args)

    sampler.engine.generate = remembering  # type: ignore[method-assign]
    done: list[int] = []
    draws = [Draw(other, ("t",), (Role.TESTER,)), Draw(DOUBLE, ("t",)), Draw(other, ("t",), (Role.CODER,))]
    tests, both, solutions = sampler.draw(draws, lambda index, group: done.append(index))
    assert done == [0, 1, 2]
    assert [(len(g.solutions), len(g.tests)) for g in (tests, both, solutions)] == [(0, 4), (4, 4), (4, 0)]
    assert tests.tests[0].role is Role.TESTER and tests.test_cases[1] == both.test_cases[1] is not None
    sampler.sample([other, DOUBLE], ("t",))
    assert seeds[0] == seeds[1] and len(seeds[0]) == 4


def test_a_problem_is_run_while_the_next_one_is_still_being_answered(executor: Executor) -> None:
    """Handed over with its last answer, which is before the first answer to the other problem."""
    other = replace(DOUBLE, id="other", statement="Twice x.")
    sampler = scripted_sampler(
        {p.statement: DOUBLE_SOLUTIONS for p in (DOUBLE, other)}, {p.statement: DOUBLE_TESTS for p in (DOUBLE, other)}
    )
    events: list[str] = []
    sampler.listeners.append(lambda done, total: events.append(f"{done} of {total}"))
    with Encounters(executor, TestUnit.ANSWER) as encounters:

        def add(index: int, group: RolloutGroup) -> None:
            events.append(group.problem.id)
            encounters.add(index, group)

        sampler.sample([DOUBLE, other], ("t",), add)
        interactions = encounters.collect()
    assert [i.problem.id for i in interactions] == ["double", "other"]
    assert events.index("double") < events.index("9 of 16") < events.index("other")
    assert (interactions[0].matrix.passed == interactions[1].matrix.passed).all()
