"""What each problem adds to each score, taken out of an evaluation's items: the ground of intervals and columns.

The sums are those of `records.score`: a measure's value is the score that is printed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

from zerocoder.evaluation.bootstrap import Measure
from zerocoder.evaluation.records import Item

Share = tuple[float, float]
"""(part, whole) of one problem."""


def measure(items: Iterable[Item], metric: str) -> Measure:
    """`metric` (a key of `METRICS`, or `pass_at_<k>`) of the items; of several with one id the first counts."""
    of = _pass_at(int(metric.removeprefix("pass_at_"))) if metric.startswith("pass_at_") else METRICS[metric]
    shares: dict[str, Share] = {}
    for item in items:
        share = of(item)
        if share is not None and item.problem not in shares:
            shares[item.problem] = share
    return Measure(shares)


def _pass_at(k: int) -> Callable[[Item], Share | None]:
    """The unbiased estimate of Pass@k from the n answers whose outcome is known (Chen et al., 2021)."""

    def of(item: Item) -> Share | None:
        known = [c.correct for c in item.coder if c.correct is not None]
        if len(known) < k:
            return None
        wrong = known.count(False)
        return 1 - math.comb(wrong, k) / math.comb(len(known), k), 1.0

    return of


def _accuracy(item: Item) -> Share | None:
    return _mean([v for t in item.tester for v in (t.valid if t.tests else (False,))])


def _mutation(item: Item) -> Share | None:
    return _mean([k for t in item.tester if t.mutants for k in (t.kills if t.tests else (0.0,))])


def _coder_errors(item: Item) -> Share | None:
    return _mean([c.answer.format_error is not None for c in item.coder])


def _tester_errors(item: Item) -> Share | None:
    return _mean([t.answer.format_error is not None for t in item.tester])


def _mean(values: Sequence[float | None]) -> Share | None:
    known = [v for v in values if v is not None]
    return (math.fsum(known), float(len(known))) if known else None


METRICS: Mapping[str, Callable[[Item], Share | None]] = {
    "test_accuracy": _accuracy,
    "mutation_score": _mutation,
    "coder_format_errors": _coder_errors,
    "tester_format_errors": _tester_errors,
}
