"""Duplicates and ranks, counted by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scripted import DOUBLE, fenced, scripted_sampler
from step_result import result

from callbacks.diversity import diversity_scalars, duplicate_share
from zerocoder.execution import Verdict
from zerocoder.execution.sandbox import planner
from zerocoder.interaction import Interaction
from zerocoder.matrix import PassingMatrix
from zerocoder.problems import Program, Role, TestCase

PLAIN = Program("def f(x):\n    return x + 1")
LAID_OUT = Program("# plus one\ndef f( x ):\n\n    return (x\n        + 1)\n")
RENAMED = Program("def f(y):\n    return y + 1")
OTHER = Program("def f(x):\n    return x + 2")


@pytest.mark.parametrize(
    ("answers", "share"),
    [
        ([PLAIN, PLAIN, LAID_OUT, OTHER], 1 - 2 / 4),
        ([PLAIN, RENAMED, OTHER], 0.0),  # names tell programs apart
        ([PLAIN, None, LAID_OUT, None], 1 - 1 / 2),  # of what parsed
        ([None, None], None),
        ([], None),
        ([TestCase("assert f(1) == 2"), TestCase("assert f( 1 )==2 # yes"), TestCase("assert f(1) == 3")], 1 - 2 / 3),
        ([TestCase(stdin="1\n", stdout="2\n")] * 3 + [TestCase(stdin="1\n", stdout="3\n")], 1 - 2 / 4),
        ([Program("not python at all"), Program("not python at all"), PLAIN], 1 - 2 / 3),
    ],
)
def test_answers_that_compile_to_the_same_are_duplicates(
    answers: list[Program | TestCase | None], share: float
) -> None:
    assert duplicate_share(answers) == (None if share is None else pytest.approx(share))


def test_equal_means_what_it_means_to_the_executor() -> None:
    sources = [
        PLAIN.source,
        LAID_OUT.source,
        RENAMED.source,
        OTHER.source,
        "def f(x):\n    'says so'\n    return x + 1",
    ]
    groups = planner._programs(sources)["groups"]
    assert groups == [0, 0, 2, 3, 4]
    assert duplicate_share([Program(source) for source in sources]) == pytest.approx(1 - len(set(groups)) / 5)


def matrix_of_rank(rank: int, size: int = 10) -> PassingMatrix:
    verdicts = np.full((size, size), Verdict.FAIL, dtype=np.int8)
    verdicts[np.arange(rank), np.arange(rank)] = Verdict.PASS
    return PassingMatrix(verdicts)


def test_ranks_are_shares_and_the_last_bin_is_open() -> None:
    step = result(Role.CODER)
    problems = tuple(
        replace(step.problems[0], interaction=replace(step.problems[0].interaction, matrix=matrix_of_rank(rank)))
        for rank in (0, 1, 1, 8, 10)
    )
    scalars = diversity_scalars(replace(step, problems=problems))
    ranks = [scalars[f"ranks/{rank}"] for rank in range(9)]
    assert ranks == [0.2, 0.4, 0, 0, 0, 0, 0, 0, 0.4]


def test_duplicates_of_a_step_are_means_over_problems() -> None:
    programs = [fenced("def double(x):\n    return 2 * x")] * 3 + ["no program"]
    same = [fenced("assert double(2) == 4"), fenced("assert double(2)==4"), fenced("assert double(3) == 6"), "no test"]
    (group,) = scripted_sampler({"Double x.": programs}, {"Double x.": same}).sample([DOUBLE], ("t",))
    step = result(Role.CODER)  # its two problems have three different programs and tests each
    interaction = Interaction(group, group.test_cases, np.arange(4), step.problems[0].interaction.matrix)
    scalars = diversity_scalars(
        replace(step, problems=(step.problems[0], replace(step.problems[1], interaction=interaction)))
    )
    assert scalars["matrix/duplicate_programs"] == pytest.approx((0 + 2 / 3) / 2)
    assert scalars["matrix/duplicate_tests"] == pytest.approx((0 + 1 / 3) / 2)
