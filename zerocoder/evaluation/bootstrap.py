"""95 % intervals of scores by the bootstrap over problems (Efron and Tibshirani, 1993, percentile method).

A score says something about problems like those it was measured on, so problems are drawn again, with replacement, not
answers or tests: the tests of one answer stand or fall together. Measures over the same problems are drawn in step,
which makes the interval of a difference between two models a paired one, and that of an average of columns one that
knows which columns share their problems. Everything is a function of the numbers and a fixed seed.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

K = TypeVar("K")

RESAMPLES = 10_000
LEVEL = 0.95
_CELLS = 4_000_000  # draws held at a time
_NOISE = 1e-9  # differences below it are rounding


@dataclass(frozen=True, slots=True)
class Measure:
    """A score as what each problem adds to it: the sum of parts over the sum of wholes.

    Example: Pass@1 has (1, 1) for a solved problem and (0, 1) for another; the accuracy of tests has (valid tests,
    tests), which pools the tests of all problems.
    """

    problems: Mapping[str, tuple[float, float]]  # problem -> (part, whole); problems it says nothing about are absent

    @property
    def value(self) -> float:
        """The score; NaN when nothing was measured."""
        whole = math.fsum(w for _, w in self.problems.values())
        return math.fsum(p for p, _ in self.problems.values()) / whole if whole else math.nan


@dataclass(frozen=True, slots=True)
class Interval:
    low: float
    high: float


def replicates(measures: Mapping[K, Measure], resamples: int = RESAMPLES) -> dict[K, NDArray[np.float64]]:
    """The values [resamples] that each measure takes on problems drawn again, the same draws for all of them.

    A draw has as many problems as all measures speak of together; one in which a measure finds none of its problems is
    NaN there. The draws depend on the problems' names alone.
    """
    names = sorted({name for measure in measures.values() for name in measure.problems})
    if not names:
        return {key: np.full(resamples, np.nan) for key in measures}
    rows = [[m.problems.get(name, (0.0, 0.0)) for name in names] for m in measures.values()]
    parts, wholes = np.moveaxis(np.array(rows, dtype=np.float64), (2, 1, 0), (0, 1, 2))  # each [P, measures]
    rng = np.random.default_rng(list(hashlib.blake2b("\0".join(names).encode(errors="replace")).digest()))
    step = max(1, _CELLS // len(names))
    sizes = [min(step, resamples - done) for done in range(0, resamples, step)]
    with np.errstate(invalid="ignore"):
        drawn = (_draws(rng, size, len(names)) for size in sizes)
        values = np.concatenate([(counts @ parts) / (counts @ wholes) for counts in drawn])
    return dict(zip(measures, values.T, strict=True))


def interval(values: NDArray[np.float64]) -> Interval | None:
    """The middle 95 % of replicates; None where they do not differ, which says nothing about the spread."""
    known = values[~np.isnan(values)]
    if not known.size or np.ptp(known) < _NOISE:
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(low), float(high))


def _draws(rng: np.random.Generator, resamples: int, problems: int) -> NDArray[np.float64]:
    """How often each problem is drawn [resamples, P]; every row adds up to P."""
    drawn = rng.integers(problems, size=(resamples, problems)) + problems * np.arange(resamples)[:, None]
    counts = np.bincount(drawn.ravel(), minlength=resamples * problems)
    return counts.reshape(resamples, problems).astype(np.float64)
