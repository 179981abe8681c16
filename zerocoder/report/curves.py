"""Numbers over several runs: means with their spread, and curves over the steps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray

from zerocoder.report.logs import RunLog, Series

POINTS = 16  # a smoothed curve is a running mean over about the n-th part of a run
FEW = 12  # a series of fewer points is shown as it is


@dataclass(frozen=True, slots=True)
class Stat:
    """A mean over runs, its spread (the sample's standard deviation; None of one run) and the number of runs."""

    mean: float
    spread: float | None
    count: int


@dataclass(frozen=True, slots=True)
class Curve:
    """Mean over runs at each step that any of them has.

    steps, mean: [n]. spread: [n], the standard deviation over runs, NaN where there is but one. raw: whether every
    point was measured as it is, none a running mean.
    """

    steps: NDArray[np.int64]
    mean: NDArray[np.float64]
    spread: NDArray[np.float64]
    raw: bool


def stat(values: Sequence[float]) -> Stat | None:
    """Of the values that are numbers; None where there is none."""
    known = np.array([v for v in values if np.isfinite(v)], np.float64)
    if not len(known):
        return None
    return Stat(float(known.mean()), float(known.std(ddof=1)) if len(known) > 1 else None, len(known))


def known(series: Series) -> Series:
    """Without the steps that measured nothing."""
    kept = np.isfinite(series.values)
    return Series(series.steps[kept], series.values[kept])


def has(runs: Sequence[RunLog], name: str) -> bool:
    """Whether any of the runs measured `name`."""
    return any(name in run.scalars and np.isfinite(run.scalars[name].values).any() for run in runs)


def smoothed(series: Series) -> Series:
    """A running mean over the points around each, three or a POINTS-th of all, where there are as many on both sides.

    Fewer than FEW points stay as they are. The outermost two count half, so that what differs between the coder's and
    the tester's steps evens out.
    """
    count = len(series.values)
    if count < FEW:
        return series
    weights = np.ones(max(count // POINTS | 1, 3))
    weights[[0, -1]] = 0.5
    means = np.convolve(series.values, weights / weights.sum(), "valid")
    return Series(series.steps[len(weights) // 2 : -(len(weights) // 2)], means)


def curve(runs: Sequence[RunLog], name: str, smooth: bool = False) -> Curve | None:
    """The mean of a scalar, step by step over the runs that have the step; each run is smoothed on its own.

    None where no run has measured it.
    """
    logged = [series for run in runs if name in run.scalars and len((series := known(run.scalars[name])).steps)]
    found = [smoothed(series) if smooth else series for series in logged]
    if not found:
        return None
    steps = np.unique(np.concatenate([series.steps for series in found]))
    table = np.full((len(found), len(steps)), np.nan)  # [runs, n]
    for row, series in zip(table, found, strict=True):
        row[np.searchsorted(steps, series.steps)] = series.values
    counts = np.isfinite(table).sum(axis=0)
    mean = np.nansum(table, axis=0) / counts
    squares = np.nansum((table - mean) ** 2, axis=0)
    spread = np.sqrt(np.divide(squares, counts - 1, out=np.full(len(steps), np.nan), where=counts > 1))
    raw = all(shown is series for shown, series in zip(found, logged, strict=True))
    return Curve(steps, mean, spread, raw)


def part(series: Series, start: float, end: float) -> float:
    """Mean of a curve's points, of which there is at least one, from share `start` to share `end` of them."""
    count = len(series.values)
    return float(series.values[min(int(count * start), count - 1) : ceil(count * end)].mean())
