"""Means, spreads and running means, against numbers worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from logged import CONFIG

from zerocoder.report.curves import curve, has, part, smoothed, stat
from zerocoder.report.logs import RunLog, Series
from zerocoder.report.timing import TOTAL, breakdown

NAN = math.nan


def series(*values: float, start: int = 0, every: int = 1) -> Series:
    return Series(np.arange(start, start + every * len(values), every), np.array(values, np.float64))


def run(**scalars: Series) -> RunLog:
    named = {name.replace("__", "/"): found for name, found in scalars.items()}
    return RunLog(Path("/runs/nano/1"), "nano/1", CONFIG, {}, named, {}, {}, ())


def test_a_mean_and_its_spread() -> None:
    found = stat([1.0, 3.0, NAN])
    assert found is not None and (found.mean, found.count) == (2.0, 2)
    assert found.spread == pytest.approx(math.sqrt(2))  # (1 + 1) / (2 - 1)
    one = stat([4.0])
    assert one is not None and (one.mean, one.spread) == (4.0, None)
    assert stat([NAN]) is None


def test_the_mean_of_curves_step_by_step() -> None:
    runs = [run(x=series(1.0, 2.0, NAN)), run(x=series(3.0, 6.0)), run(y=series(9.0))]
    found = curve(runs, "x")
    assert found is not None
    assert found.steps.tolist() == [0, 1]  # nothing was measured at step 2
    assert found.mean.tolist() == [2.0, 4.0]
    assert found.spread == pytest.approx([math.sqrt(2), math.sqrt(8)])
    longer = curve([*runs, run(x=series(5.0, start=7))], "x")
    assert longer is not None and longer.steps.tolist() == [0, 1, 7] and longer.mean[2] == 5.0
    assert math.isnan(longer.spread[2])
    assert curve(runs, "z") is None
    assert found.raw
    unlike = curve([run(x=series(*[1.0] * 11)), run(x=series(*[1.0] * 20))], "x", smooth=True)
    assert unlike is not None and not unlike.raw
    assert has(runs, "y") and not has([run(y=series(NAN))], "y")


def test_running_means_even_out_what_alternates() -> None:
    short = series(1.0, 5.0, 1.0)
    assert smoothed(short) is short
    calibrated = series(*[0.5, 0.75] * 5, 0.5, every=5)  # eleven points
    assert smoothed(calibrated) is calibrated
    flat = smoothed(series(*[1.0, 5.0] * 6))
    assert flat.steps.tolist() == list(range(1, 11))
    assert flat.values == pytest.approx([3.0] * 10)
    step = smoothed(series(*[0.0] * 6, *[8.0] * 6, every=2))
    assert step.steps[0] == 2
    assert step.values == pytest.approx([0, 0, 0, 0, 2, 6, 8, 8, 8, 8])
    assert smoothed(series(*[1.0, 5.0] * 48)).values == pytest.approx([3.0] * 90)  # 7 points: 3 fewer at each end


def test_parts_of_a_curve() -> None:
    values = series(*map(float, range(8)))
    assert part(values, 0.0, 0.25) == 0.5
    assert part(values, 0.75, 1.0) == 6.5
    assert part(series(3.0), 0.0, 0.25) == part(series(3.0), 0.75, 1.0) == 3.0


def test_the_parts_of_a_step() -> None:
    one = run(
        time__rollout=series(2.0, 4.0), time__busy_rollout=series(2.0, 4.0),
        time__execution=series(0.0, 0.0), time__busy_execution=series(1.0, 3.0),
        time__reference=series(1.0, 1.0), time__training=series(1.0, 2.0), time__sync=series(0.5, 0.5),
        time__probe=series(9.0, 0.0), time__step=series(13.5, 7.5), time__hidden=series(1.0, 3.0),
    )  # fmt: skip
    shares = {share.component: share for share in breakdown([one])}
    assert list(shares) == ["Rollout", "Execution", "RL Training", TOTAL]
    assert shares["Rollout"].waited.mean == 3.0 and shares["Rollout"].fraction == 0.5
    assert shares["Execution"].waited.mean == 0.0 and shares["Execution"].busy.mean == 2.0
    assert shares["RL Training"].waited.mean == 3.0  # 1 + 1.5 + 0.5
    assert shares[TOTAL].waited.mean == 6.0 and shares[TOTAL].busy.mean == 8.0 and shares[TOTAL].fraction == 1.0
    two = run(time__rollout=series(5.0), time__strange=series(1.0))
    both = {share.component: share for share in breakdown([one, two])}
    assert both["Rollout"].waited.mean == 4.0 and both["Rollout"].waited.spread == pytest.approx(math.sqrt(2))
    assert both["Other"].waited.mean == 0.5
    assert both[TOTAL].waited.mean == 6.0
    assert sum(both[name].fraction for name in both if name != TOTAL) == pytest.approx(1.0)
    assert breakdown([run(x=series(1.0))]) == []
