"""Intervals and rules, against numbers worked out by hand and from printed tables of Student's t."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocoder.miniature.statistics import (
    SMALL,
    Among,
    Estimate,
    Verdict,
    above,
    alike,
    estimate,
    every,
    not_behind,
    positive,
    some,
)

YES, NO, OPEN = Verdict.REPRODUCED, Verdict.NOT, Verdict.UNDECIDED
MARGIN = 5.0


def test_three_seeds_alone_are_judged_by_students_t_with_two_degrees_of_freedom() -> None:
    found = estimate([1.0, 2.0, 3.0])
    assert found.mean == 2.0 and found.from_seeds == pytest.approx(1 / 3) and found.positive == 3
    low, high = found.interval()  # type: ignore[misc]
    assert (low, high) == pytest.approx((2 - 4.3027 / math.sqrt(3), 2 + 4.3027 / math.sqrt(3)), abs=1e-3)


def test_equal_seeds_leave_the_problems_noise_which_is_normal() -> None:
    low, high = Estimate((4.0, 4.0, 4.0), 2.25).interval()  # type: ignore[misc]
    assert (low, high) == pytest.approx((4 - 1.95996 * 1.5, 4 + 1.95996 * 1.5), abs=1e-4)


def test_both_noises_add_up_and_share_their_degrees_of_freedom() -> None:
    """1/3 from the seeds, 2/3 from the problems: (3 - 1) * (1 / (1/3))**2 = 18 degrees, t = 2.1009."""
    low, high = Estimate((1.0, 2.0, 3.0), 2 / 3).interval()  # type: ignore[misc]
    assert (low, high) == pytest.approx((2 - 2.1009, 2 + 2.1009), abs=1e-3)


def test_two_comparisons_widen_the_interval_to_the_level_of_both() -> None:
    """Each at 97.5 %: t = 6.2053 at two degrees of freedom."""
    low, high = estimate([1.0, 2.0, 3.0]).interval(2)  # type: ignore[misc]
    assert high - low == pytest.approx(2 * 6.2053 / math.sqrt(3), abs=1e-3)


def test_the_problems_share_is_the_variance_of_the_mean_over_the_seeds() -> None:
    draws = [np.array([0.0, 2.0, 4.0]), np.array([4.0, 2.0, 0.0])]
    assert estimate([1.0, 1.0], draws).from_problems == 0  # what one seed loses on a draw, the other wins
    assert estimate([1.0, 1.0], [draws[0], draws[0]]).from_problems == 4.0
    assert estimate([1.0], [np.array([0.0, np.nan, 4.0])]).from_problems == 8.0  # a draw without any of its problems


def test_one_seed_decides_nothing() -> None:
    found = estimate([30.0], [np.array([20.0, 40.0])])
    assert found.interval() is None
    assert {positive(found), positive(None)} == {OPEN}
    judged = {rule(e, MARGIN) for rule in (alike, not_behind) for e in (found, None)}
    assert judged | {above(found), above(None)} == {OPEN}


def test_seeds_that_do_not_differ_say_nothing_about_the_noise() -> None:
    assert estimate([30.0, 30.0]).interval() is None and above(estimate([30.0, 30.0])) is OPEN


SURE = 1e-6  # a variance that leaves the mean


def test_a_claim_is_sunk_by_the_interval_of_all_that_could_sink_it() -> None:
    """Standard error 1 around -0.5: below 1.46 alone, as one of eight (t at 99.69 %: 2.73) only below 2.23."""
    found = Estimate((-0.5, -0.5), 1.0)
    assert (above(found), above(found, Among(sunk=8)), above(found, Among(shown=8))) == (NO, OPEN, NO)
    shown = Estimate((2.5, 2.5), 1.0)  # above 0.54 alone, as one of eight only above -0.23
    assert (above(shown), above(shown, Among(sunk=8)), above(shown, Among(shown=8))) == (YES, YES, OPEN)


@pytest.mark.parametrize(
    ("mean", "more", "behind", "same"),
    [
        (10.0, YES, YES, NO),
        (0.5, YES, YES, YES),
        (-1.0, NO, YES, YES),
        (-MARGIN - 1, NO, NO, NO),
    ],
)
def test_rules_on_a_sure_difference(mean: float, more: Verdict, behind: Verdict, same: Verdict) -> None:
    found = Estimate((mean, mean), SURE)
    assert (above(found), not_behind(found, MARGIN), alike(found, MARGIN)) == (more, behind, same)


def test_rules_on_a_vague_difference() -> None:
    """Twice the standard error of 4 leaves everything open around zero; of 1 it rules out much."""
    assert above(Estimate((1.0, 1.0), 16.0)) is OPEN and alike(Estimate((1.0, 1.0), 16.0), MARGIN) is OPEN
    assert not_behind(Estimate((1.0, 1.0), 16.0), MARGIN) is OPEN
    assert above(Estimate((-0.5, -0.5), 1.0)) is NO  # below 1.5, hence below SMALL
    assert positive(Estimate((-0.5, -0.5), 1.0)) is OPEN
    assert (positive(Estimate((-3.0, -3.0), 1.0)), positive(Estimate((3.0, 3.0), 1.0))) == (NO, YES)
    assert above(Estimate((SMALL, SMALL), 1.44)) is OPEN
    assert alike(Estimate((1.0, 1.0), 1.0), MARGIN) is YES and not_behind(Estimate((1.0, 1.0), 1.0), MARGIN) is YES


@pytest.mark.parametrize(
    ("parts", "all_of", "one_of"),
    [
        ([YES, YES], YES, YES),
        ([YES, OPEN], OPEN, YES),
        ([YES, NO], NO, YES),
        ([NO, OPEN], NO, OPEN),
        ([NO, NO], NO, NO),
        ([OPEN], OPEN, OPEN),
        ([], OPEN, OPEN),
    ],
)
def test_joined_claims(parts: list[Verdict], all_of: Verdict, one_of: Verdict) -> None:
    assert (every(parts), some(parts)) == (all_of, one_of)


def test_noise_alone_is_seldom_taken_for_an_improvement() -> None:
    """Three seeds of pure noise: the one-sided error of a 95 % interval is 2.5 %; with 1.96 it would be 9 %."""
    rng = np.random.default_rng(0)
    wrong = sum(above(estimate(rng.normal(size=3).tolist())) is YES for _ in range(4000))
    assert 0.015 < wrong / 4000 < 0.035


@given(st.lists(st.integers(-50, 50), min_size=2, max_size=5), st.integers(0, 100))
def test_intervals_hold_their_mean_and_widen_with_comparisons(values: list[int], noise: int) -> None:
    found = Estimate(tuple(values), noise)
    between = found.interval()
    if between is None:
        assert len(set(values)) == 1 and noise == 0
        return
    low, high = between
    assert low <= found.mean + 1e-9 and high >= found.mean - 1e-9
    wide = found.interval(3)
    assert wide is not None and wide[0] <= low + 1e-9 and wide[1] >= high - 1e-9
