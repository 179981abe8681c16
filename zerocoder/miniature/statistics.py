"""Differences with their uncertainty, and the rules by which a claim about them is judged. Pure functions of numbers.

Two things would come out otherwise another time: the seeds of training and the problems of the test split. The seeds'
share in a mean's variance is the variance between the paired seeds over their number; the problems' share is the
variance of the mean over bootstrap draws of the problems. Both are added up. The interval is Student's t with the
degrees of freedom of Welch and Satterthwaite: the few seeds count for their number less one, the problems for many.
With three seeds and nothing but noise between them the factor is 4.3, not 1.96. What chance decides within a seed on a
problem counts in both shares, so that the intervals are a little too wide rather than too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95
SMALL = 2.0
"""Percentage points: an improvement that is below it for certain is none."""
_ROUNDING = 1e-18  # a variance below it is none


class Verdict(StrEnum):
    REPRODUCED = "reproduced"
    NOT = "not reproduced"
    UNDECIDED = "not decidable here"


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds, in percentage points, and the square of its standard error in two parts.

    values: [n], one a seed. from_problems: 0 where no problems were drawn.
    """

    values: tuple[float, ...]
    from_problems: float = 0.0

    @property
    def mean(self) -> float:
        return math.fsum(self.values) / len(self.values) if self.values else math.nan

    @property
    def from_seeds(self) -> float:
        return float(np.var(self.values, ddof=1)) / len(self.values) if len(self.values) > 1 else math.nan

    def interval(self, comparisons: int = 1) -> tuple[float, float] | None:
        """The 95 % interval, for each of so many comparisons that all of them hold together (Bonferroni).

        None from a single seed, and where nothing differs: that says nothing about the noise.
        """
        variance = self.from_seeds + self.from_problems  # NaN from a single seed
        if not variance > _ROUNDING:
            return None
        seeds = max(self.from_seeds, _ROUNDING)
        freedom = (len(self.values) - 1) * (variance / seeds) ** 2
        half = float(stats.t.ppf(1 - (1 - LEVEL) / 2 / comparisons, min(freedom, 1e9))) * math.sqrt(variance)
        return self.mean - half, self.mean + half

    @property
    def positive(self) -> int:
        """Seeds whose value is above zero."""
        return sum(value > 0 for value in self.values)


def estimate(values: Sequence[float], draws: Sequence[NDArray[np.float64]] = ()) -> Estimate:
    """Of one value a seed and, where there are any, the values [resamples] of each on problems drawn again."""
    if not draws:
        return Estimate(tuple(values))
    return Estimate(tuple(values), float(np.nanvar(np.mean(np.stack(list(draws)), axis=0), ddof=1)))


@dataclass(frozen=True, slots=True)
class Among:
    """Of how many comparisons one is enough: to bear a claim out, and to sink it."""

    shown: int = 1
    sunk: int = 1


ALONE = Among()


def above(found: Estimate | None, among: Among = ALONE) -> Verdict:
    """ "It is more than zero": shown, ruled out but for a small rest, or open."""
    return _judged(found, among, lambda low, high: low > 0, lambda low, high: high < SMALL)


def positive(found: Estimate | None, among: Among = ALONE) -> Verdict:
    """ "It is on this side of the line": of a share and the line it is compared with, for which no rest is small."""
    return _judged(found, among, lambda low, high: low > 0, lambda low, high: high < 0)


def not_behind(found: Estimate | None, margin: float, among: Among = ALONE) -> Verdict:
    """ "It is comparable or better": the difference is above -margin for certain, below it for certain, or open."""
    return _judged(found, among, lambda low, high: low > -margin, lambda low, high: high < -margin)


def alike(found: Estimate | None, margin: float, among: Among = ALONE) -> Verdict:
    """ "It makes no difference that counts": within `margin` on both sides, outside of it for certain, or open."""
    return _judged(
        found,
        among,
        lambda low, high: -margin < low and high < margin,
        lambda low, high: high < -margin or low > margin,
    )


def _judged(
    found: Estimate | None, among: Among, shows: Callable[[float, float], bool], sinks: Callable[[float, float], bool]
) -> Verdict:
    """Both by intervals that hold for all comparisons of which one would be enough."""
    narrow = found.interval(among.shown) if found is not None else None
    wide = found.interval(among.sunk) if found is not None else None
    if narrow is None or wide is None:
        return Verdict.UNDECIDED
    return Verdict.REPRODUCED if shows(*narrow) else Verdict.NOT if sinks(*wide) else Verdict.UNDECIDED


def every(verdicts: Iterable[Verdict]) -> Verdict:
    """Of a claim that all parts must bear out: one that fails sinks it."""
    parts = list(verdicts)
    if not parts or (Verdict.UNDECIDED in parts and Verdict.NOT not in parts):
        return Verdict.UNDECIDED
    return Verdict.NOT if Verdict.NOT in parts else Verdict.REPRODUCED


def some(verdicts: Iterable[Verdict]) -> Verdict:
    """Of a claim that one part is enough for: all must fail to sink it."""
    parts = list(verdicts)
    if Verdict.REPRODUCED in parts:
        return Verdict.REPRODUCED
    return Verdict.NOT if parts and all(part is Verdict.NOT for part in parts) else Verdict.UNDECIDED
