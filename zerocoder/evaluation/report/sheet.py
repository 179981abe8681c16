"""The numbers of a report before they are drawn: scores with their intervals and differences.

Models (or moments, such as before and after) stand side by side, and the first is what the others are compared with.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zerocoder.evaluation.bootstrap import Interval, interval, replicates
from zerocoder.evaluation.columns import COLUMNS, Estimate, column_estimates
from zerocoder.evaluation.measures import measure
from zerocoder.evaluation.names import METRICS
from zerocoder.evaluation.paper import PublishedRow
from zerocoder.evaluation.records import Scores

_COUNTS = {
    "problems": "problems",
    "tests": "tests",
    "too_long": "prompts over the limit",
    "infra": "hidden by failures",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A share, its 95 % interval and what it is more than the first model's; NaN or None where there is nothing."""

    value: float
    interval: Interval | None = None
    delta: float | None = None
    delta_interval: Interval | None = None
    problems: int = 0  # behind the value

    @property
    def differs(self) -> bool:
        """The interval of the difference leaves out zero."""
        return self.delta_interval is not None and not self.delta_interval.low <= 0 <= self.delta_interval.high


@dataclass(frozen=True, slots=True)
class Line:
    """A metric of one benchmark, one cell a model."""

    key: str
    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """One benchmark: its metrics, and its counts by model."""

    benchmark: str
    lines: tuple[Line, ...]
    counts: tuple[tuple[str, tuple[int, ...]], ...]


@dataclass(frozen=True, slots=True)
class Sheet:
    """Everything that the tables show."""

    models: tuple[str, ...]
    sections: tuple[Section, ...]
    columns: tuple[Mapping[str, Cell], ...]  # a model each: the paper's columns that were measured
    published: tuple[PublishedRow, ...]

    @property
    def has_columns(self) -> bool:
        """Whether there is anything to show in the paper's table."""
        return bool(self.published) or any(self.columns)


def make_sheet(results: Mapping[str, Mapping[str, Scores]], published: Sequence[PublishedRow] = ()) -> Sheet:
    """The sheet of model -> benchmark -> scores. Scores without items, read from a summary, have no intervals."""
    benchmarks = dict.fromkeys(name for scores in results.values() for name in scores)
    sections = [_section(name, [scores.get(name) for scores in results.values()]) for name in benchmarks]
    return Sheet(tuple(results), tuple(sections), tuple(_columns(results)), tuple(published))


def _section(benchmark: str, scores: Sequence[Scores | None]) -> Section:
    ks = sorted({k for s in scores if s is not None for k in s.pass_at})
    names = {f"pass_at_{k}": f"coder Pass@{k}" for k in ks} | METRICS
    measures = {
        (n, key): measure(s.items, key) for n, s in enumerate(scores) if s is not None and s.items for key in names
    }
    drawn = replicates({at: m for at, m in measures.items() if m.problems})
    lines = []
    for key, name in names.items():
        values = [_value(s, key) for s in scores]
        if not all(map(math.isnan, values)):
            problems = [len(measures[n, key].problems) if (n, key) in measures else 0 for n in range(len(scores))]
            cells = _cells(values, [drawn.get((n, key)) for n in range(len(scores))], problems)
            lines.append(Line(key, name, cells))
    counts = [(name, tuple(0 if s is None else int(getattr(s, key)) for s in scores)) for key, name in _COUNTS.items()]
    return Section(benchmark, tuple(lines), tuple((name, row) for name, row in counts if any(row)))


def _value(scores: Scores | None, key: str) -> float:
    if scores is None:
        return math.nan
    if key.startswith("pass_at_"):
        return float(scores.pass_at.get(int(key.removeprefix("pass_at_")), math.nan))
    return float(getattr(scores, key))


def _columns(results: Mapping[str, Mapping[str, Scores]]) -> list[dict[str, Cell]]:
    estimates = list(column_estimates(results).values())
    columns: list[dict[str, Cell]] = [{} for _ in estimates]
    for column in COLUMNS:
        found = [row.get(column.key) for row in estimates]
        cells = _cells(
            [math.nan if e is None else e.value for e in found],
            [None if e is None else e.replicates for e in found],
            [0 if e is None else e.problems for e in found],
        )
        for row, estimate, cell in zip(columns, found, cells, strict=True):
            if isinstance(estimate, Estimate):
                row[column.key] = cell
    return columns


def _cells(
    values: Sequence[float], drawn: Sequence[NDArray[np.float64] | None], problems: Sequence[int]
) -> tuple[Cell, ...]:
    """One cell a model; the first has no difference."""
    cells = []
    for n, (value, replicated) in enumerate(zip(values, drawn, strict=True)):
        compared = n > 0 and not math.isnan(value) and not math.isnan(values[0])
        paired = compared and replicated is not None and drawn[0] is not None
        cells.append(
            Cell(
                value,
                None if replicated is None else interval(replicated),
                value - values[0] if compared else None,
                interval(replicated - drawn[0]) if paired else None,  # type: ignore[operator]
                problems[n],
            )
        )
    return tuple(cells)
