"""Intervals against independent routes: every possible draw of tiny sets, normal theory for large ones, scipy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from zerocoder.evaluation.bootstrap import Interval, Measure, interval, replicates


def shares(values: list[float], wholes: list[float] | None = None) -> Measure:
    return Measure(
        {f"p{n}": (v, w) for n, (v, w) in enumerate(zip(values, wholes or [1.0] * len(values), strict=True))}
    )


def one(measure: Measure, resamples: int = 10_000) -> np.ndarray:
    return replicates({"m": measure}, resamples)["m"]


def test_the_value_pools_the_parts() -> None:
    assert shares([1, 0, 3], [1, 1, 4]).value == pytest.approx(4 / 6)
    assert math.isnan(Measure({}).value)
    assert np.isnan(one(Measure({}))).all()


@pytest.mark.parametrize("parts, wholes", [([1, 0, 0], [1, 1, 1]), ([2, 1, 0, 3], [2, 4, 1, 5])])
def test_tiny_sets_have_the_distribution_of_every_possible_draw(parts: list[float], wholes: list[float]) -> None:
    draws = itertools.product(range(len(parts)), repeat=len(parts))
    exact = [sum(parts[i] for i in draw) / sum(wholes[i] for i in draw) for draw in draws]
    values, counts = np.unique(np.round(exact, 9), return_counts=True)
    drawn = np.round(one(shares(parts, wholes), 200_000), 9)
    assert set(np.unique(drawn)) <= set(values)
    found = np.array([(drawn == value).mean() for value in values])
    # five standard deviations of a share of 200,000
    assert np.abs(found - counts / len(exact)).max() < 5 * math.sqrt(0.25 / 200_000)


def test_large_sets_follow_normal_theory() -> None:
    rng = np.random.default_rng(0)
    solved = (rng.random(2_000) < 0.3).astype(float)
    found = interval(one(shares(list(solved))))
    assert found is not None
    half = 1.96 * math.sqrt(solved.mean() * (1 - solved.mean()) / solved.size)
    assert (found.low, found.high) == pytest.approx((solved.mean() - half, solved.mean() + half), abs=0.001)


def test_pooled_tests_are_resampled_by_problem() -> None:
    """Ten tests of one problem stand or fall together: the interval is that of 300 problems, not of 3,000 tests."""
    rng = np.random.default_rng(1)
    valid = 10 * (rng.random(300) < 0.5).astype(float)
    found = interval(one(shares(list(valid), [10.0] * 300)))
    assert found is not None
    assert found.high - found.low == pytest.approx(2 * 1.96 * math.sqrt(0.25 / 300), rel=0.05)


def test_ratios_agree_with_scipy() -> None:
    rng = np.random.default_rng(2)
    wholes = rng.integers(1, 8, 80).astype(float)
    parts = np.floor(wholes * rng.random(80))
    ours = interval(one(shares(list(parts), list(wholes))))
    theirs = stats.bootstrap(
        (parts, wholes),
        lambda p, w, axis: p.sum(axis) / w.sum(axis),
        paired=True,
        method="percentile",
        n_resamples=10_000,
        rng=np.random.default_rng(3),
    ).confidence_interval
    assert ours is not None
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.006)


def test_differences_are_paired() -> None:
    """Two models that differ on one problem of 50: the difference is known far better than either score."""
    first = [float(n % 2) for n in range(50)]
    second = [1.0, *first[1:]]
    drawn = replicates({"a": shares(first), "b": shares(second)})
    difference = drawn["b"] - drawn["a"]
    # How often the one problem is drawn, of 50: binomial.
    exact = stats.binom(50, 1 / 50)
    for n in range(4):
        assert np.isclose(difference, n / 50).mean() == pytest.approx(exact.pmf(n), abs=0.02)
    found = interval(difference)
    assert found is not None
    assert (found.low, found.high) == pytest.approx((0.0, exact.ppf(0.975) / 50))


def test_problems_that_a_measure_says_nothing_about_are_not_counted() -> None:
    both = {"a": shares([1, 0, 1]), "b": Measure({"p0": (1.0, 1.0)})}
    drawn = replicates(both)
    assert np.nanmin(drawn["b"]) == np.nanmax(drawn["b"]) == 1.0
    assert np.isnan(drawn["b"]).mean() == pytest.approx((2 / 3) ** 3, abs=0.02)
    assert not np.isnan(drawn["a"]).any()


def test_no_interval_without_a_difference() -> None:
    assert interval(one(shares([1, 1, 1]))) is None
    assert interval(one(shares([0.0]))) is None
    assert interval(one(Measure({}))) is None
    assert interval(np.array([0.0, np.nan, 1.0])) == Interval(pytest.approx(0.025), pytest.approx(0.975))


def test_the_same_numbers_give_the_same_interval_in_chunks_or_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from zerocoder.evaluation import bootstrap

    measure = shares([1, 0, 1, 0, 0])
    assert np.array_equal(one(measure), one(measure))
    monkeypatch.setattr(bootstrap, "_CELLS", 5 * 7)
    assert one(measure).mean() == pytest.approx(0.4, abs=0.01)
    assert one(measure, 20).shape == (20,)
