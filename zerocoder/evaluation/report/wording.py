"""Numbers in words, the same in every form of the report."""

from __future__ import annotations

import math

from zerocoder.evaluation.bootstrap import RESAMPLES, Interval
from zerocoder.evaluation.columns import AVERAGES_NOTE, COLUMNS
from zerocoder.evaluation.paper import PublishedRow, citation
from zerocoder.evaluation.report.sheet import Cell, Sheet

NOTHING = "-"
PUBLISHED = "(paper)"
INTERVALS_NOTE = (
    f"Percent, with 95 % intervals by resampling the problems ({RESAMPLES:,} times); differences are "
    "from the first, on the same problems. No interval is shown where every problem scored the same."
)


def percent(share: float | None) -> str:
    """`51.8`; a dash where nothing was measured."""
    return NOTHING if share is None or math.isnan(share) else f"{100 * share:.1f}"


def points(delta: float | None) -> str:
    """`+3.0`, a difference in percentage points."""
    return "" if delta is None else f"{100 * delta:+.1f}"


def span(between: Interval | None, signed: bool = False) -> str:
    """`[46.1, 57.2]`, or nothing."""
    if between is None:
        return ""
    low, high = (points(x) if signed else percent(x) for x in (between.low, between.high))
    return f"[{low}, {high}]"


def spread(between: Interval | None) -> str:
    """`±5.6`: half the interval, for where there is no room for both its ends."""
    return "" if between is None else f"±{50 * (between.high - between.low):.1f}"


def with_interval(cell: Cell) -> str:
    """`51.8 [46.1, 57.2]`."""
    return f"{percent(cell.value)} {span(cell.interval)}".strip()


def difference(cell: Cell) -> str:
    """`+3.0 [-1.0, +7.1]`, with a star where the interval leaves out zero."""
    star = " *" if cell.differs else ""
    return f"{points(cell.delta)} {span(cell.delta_interval, signed=True)}".strip() + star


def published_name(row: PublishedRow) -> str:
    """`Qwen3-4B Base Model (paper)`."""
    return f"{row.name} {PUBLISHED}"


def notes(sheet: Sheet) -> list[str]:
    """What a reader of the paper's columns has to know."""
    labelled = any("†" in row.row for row in sheet.published)
    return [
        AVERAGES_NOTE,
        *_problems(sheet),
        *(
            [f"Rows marked {PUBLISHED} are published results, not measured here: {citation()}."]
            if sheet.published
            else []
        ),
        *(["† Trained with ten labelled problems."] if labelled else []),
        *(f"{row.name}: {row.note}." for row in sheet.published if row.note),
    ]


def _problems(sheet: Sheet) -> list[str]:
    """How many problems are behind each column, where there is one."""
    counted = []
    for column in COLUMNS:
        counts = {cells[column.key].problems for cells in sheet.columns if column.key in cells and not column.of}
        if counts:
            counted.append(f"{column.title} {' / '.join(map(str, sorted(counts)))} ({column.in_paper})")
    return [f"Problems behind the columns (and in the paper): {', '.join(counted)}."] if counted else []
