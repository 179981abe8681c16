"""DyB4's recalibration against an exhaustive search with plain B4 and hand-worked cases."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from zerocoder.problems import ZeroCoderError
from zerocoder.selection import B4, DyB4

Matrix = NDArray[np.bool_]

# Seven solutions agree on one test, two on four tests: a strong prior alpha_xy on either side decides.
CROWD = np.array([[1, 0, 0, 0, 0]] * 7 + [[0, 1, 1, 1, 1]] * 2, dtype=bool)
CROWD_RIGHT = np.array([True] * 7 + [False] * 2)


def accuracy(beta0: float, alpha_xy: float, matrices: list[Matrix], correct: list[Matrix]) -> float:
    shares = []
    for cells, right in zip(matrices, correct, strict=True):
        solutions = B4(beta0, alpha_xy).select(cells).solutions
        shares.append(right[solutions].mean() if solutions.any() else 0.0)
    return float(np.mean(shares))


@st.composite
def calibration_sets(draw: st.DrawFn) -> tuple[list[Matrix], list[Matrix]]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    matrices, correct = [], []
    for _ in range(draw(st.integers(1, 5))):
        shape = (int(rng.integers(1, 9)), int(rng.integers(1, 9)))
        matrices.append(rng.random(shape) < rng.random())
        correct.append(rng.random(shape[0]) < rng.random())
    return matrices, correct


@given(calibration_sets(), st.sampled_from([1.0, 50.0, 1e4]), st.sampled_from([3.0, 1e3, 1e6]))
@settings(deadline=None, max_examples=60)
def test_recalibration_is_an_exhaustive_search(
    data: tuple[list[Matrix], list[Matrix]], beta0: float, alpha_xy: float
) -> None:
    matrices, correct = data
    selector = DyB4(beta0, alpha_xy)
    grid = selector.grid()
    slow = {(b, a): accuracy(b, a, matrices, correct) for b in grid for a in grid}
    here = accuracy(beta0, alpha_xy, matrices, correct)
    found = selector.recalibrate(matrices, correct)

    assert found.accuracies == pytest.approx(np.array(list(slow.values())).reshape(7, 7))
    assert (found.beta0, found.alpha_xy) == (selector.beta0, selector.alpha_xy)
    assert found.accuracy == pytest.approx(max(here, *slow.values()))
    if here >= max(slow.values()) - 1e-12:
        assert (found.beta0, found.alpha_xy) == (beta0, alpha_xy)
        return

    def distance(config: tuple[float, float]) -> float:
        return float(np.log10(config[0] / beta0) ** 2 + np.log10(config[1] / alpha_xy) ** 2)

    best = [config for config, value in slow.items() if value >= max(slow.values()) - 1e-12]
    nearest = min(distance(config) for config in best)
    assert (found.beta0, found.alpha_xy) == min(c for c in best if distance(c) <= nearest + 1e-9)


def test_the_default_grid_is_every_power_of_ten_and_holds_the_start() -> None:
    assert DyB4().grid() == pytest.approx([1, 10, 100, 1e3, 1e4, 1e5, 1e6])


def test_it_moves_when_the_start_is_wrong_and_select_follows() -> None:
    for right in (CROWD_RIGHT, ~CROWD_RIGHT):
        selector = DyB4()
        found = selector.recalibrate([CROWD], [right])
        assert found.accuracy == 1.0
        assert selector.select(CROWD).solutions.tolist() == right.tolist()
        # The start is wrong for one of the two, and both settings can be had on the grid.
    starts = DyB4().select(CROWD).solutions
    wrong = ~starts
    moved = DyB4()
    moved.recalibrate([CROWD], [wrong])
    assert (moved.beta0, moved.alpha_xy) != (1e4, 1e3)


def test_it_stays_where_nothing_can_be_learnt() -> None:
    selector = DyB4(beta0=1e5, alpha_xy=10)
    nobody, everybody = np.zeros(9, dtype=bool), np.ones(9, dtype=bool)
    assert selector.recalibrate([CROWD, CROWD], [nobody, everybody]).accuracy == 0.5
    assert selector.recalibrate([np.zeros((4, 3), dtype=bool)], [np.ones(4, dtype=bool)]).accuracy == 0.0
    assert selector.recalibrate([np.zeros((0, 3), dtype=bool)], [np.zeros(0, dtype=bool)]).accuracy == 0.0
    assert (selector.beta0, selector.alpha_xy) == (1e5, 10)


def test_a_start_off_the_grid_is_kept_while_it_is_among_the_best() -> None:
    selector = DyB4(beta0=2.5, alpha_xy=7e7)
    selector.recalibrate([np.ones((3, 3), dtype=bool)], [np.ones(3, dtype=bool)])
    assert (selector.beta0, selector.alpha_xy) == (2.5, 7e7)


def test_one_point_of_difference_in_a_mean_over_problems() -> None:
    """Two problems want the crowd, one wants the few: two thirds at best."""
    selector = DyB4()
    found = selector.recalibrate([CROWD] * 3, [CROWD_RIGHT, CROWD_RIGHT, ~CROWD_RIGHT])
    assert found.accuracy == pytest.approx(2 / 3)
    assert set(np.round(found.accuracies.ravel(), 6)) == {0.333333, 0.666667}


def test_its_state_survives() -> None:
    selector = DyB4()
    selector.recalibrate([CROWD], [~selector.select(CROWD).solutions])
    restored = DyB4()
    restored.load_state_dict(selector.state_dict())
    assert restored == selector and restored != DyB4()


def test_mistakes() -> None:
    with pytest.raises(ZeroCoderError, match="selector.log10_min must be < selector.log10_max, got 3 and 3"):
        DyB4(log10_min=3, log10_max=3)
    with pytest.raises(ZeroCoderError, match="selector.points must be >= 2, got 1"):
        DyB4(points=1)
    with pytest.raises(ZeroCoderError, match="between -300 and 300, got 0 and 400"):
        DyB4(log10_max=400)
    with pytest.raises(ValueError, match="at least one labelled problem"):
        DyB4().recalibrate([], [])
    with pytest.raises(ValueError, match=r"correct must be \[9\]"):
        DyB4().recalibrate([CROWD], [np.ones(3, dtype=bool)])
