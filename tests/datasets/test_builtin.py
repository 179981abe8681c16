"""The built-in problems: enough, sound, and disjoint."""

from __future__ import annotations

import pytest

from zerocoder.datasets.builtin import _FIRST_TEST, Builtin, _drawn, draw_pipelines
from zerocoder.datasets.families.core import Split, compile_function
from zerocoder.problems import Problem, Style, ZeroCoderError


def everything() -> tuple[list[Problem], list[Problem], list[Problem]]:
    source = Builtin()
    return source.train(), source.heldout(), Builtin(heldout_split="validation").heldout()


def test_sizes_and_ids() -> None:
    splits = everything()
    assert [len(split) >= least for split, least in zip(splits, (300, 150, 150), strict=True)] == [True] * 3
    together = [p for split in splits for p in split]
    assert len({p.id for p in together}) == len({p.statement for p in together}) == len(together)
    assert Builtin().train() == splits[0]


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ZeroCoderError, match="heldout_split must be one of test, validation, got valid"):
        Builtin(heldout_split="valid")


def test_no_composition_is_in_two_splits_nor_in_the_first_test() -> None:
    sizes = {Split.TRAIN: 320, Split.VALIDATION: 150, Split.HELDOUT: 150}
    groups = [draw_pipelines(split, size) for split, size in sizes.items()]
    compositions = [{pipeline.composition for pipeline in group} for group in (*groups, _drawn(*_FIRST_TEST))]
    assert [len(group) for group in compositions] == [*sizes.values(), 150]
    assert len(set().union(*compositions)) == 770
    assert not any(p.id.startswith("builtin/heldout-") for split in everything() for p in split)


def test_every_reference_passes_its_own_tests() -> None:
    for problem in [p for split in everything() for p in split]:
        assert problem.style is Style.FUNCTION and problem.label is not None and problem.entry_point
        assert len(problem.label.tests) >= 6, problem.id
        for test in problem.label.tests:
            scope = {problem.entry_point: compile_function(problem.label.solution, problem.entry_point)}
            exec(test.code, scope)


def test_tests_are_not_trivial() -> None:
    """A function that returns its argument or a constant fails almost everywhere; a few problems are that simple."""
    survivors = 0
    problems = [p for split in everything() for p in split]
    for problem in problems:
        assert problem.label is not None and problem.entry_point
        for stub in (lambda *a: a[0], lambda *a: 0, lambda *a: []):
            try:
                for test in problem.label.tests:
                    exec(test.code, {problem.entry_point: stub})
            except AssertionError:
                continue
            survivors += 1
    assert survivors <= 0.02 * len(problems)
