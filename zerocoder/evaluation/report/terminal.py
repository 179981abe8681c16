"""The report in the terminal, by Rich: the paper's table, and every benchmark with its intervals."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.box import SIMPLE_HEAD
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.table import Table
from rich.text import Text

from zerocoder.evaluation.columns import CODE, COLUMNS, TEST, Column
from zerocoder.evaluation.records import Scores
from zerocoder.evaluation.report.sheet import Cell, Sheet, make_sheet
from zerocoder.evaluation.report.wording import (
    INTERVALS_NOTE,
    NOTHING,
    PUBLISHED,
    difference,
    notes,
    percent,
    span,
    spread,
)

_WIDE = 106
"""Characters that the whole of the paper's table takes."""


def comparison_table(columns: Mapping[str, Scores], title: str = "") -> Table:
    """One benchmark's scores side by side, such as {"before": ..., "after": ...}."""
    return benchmarks_table(make_sheet({name: {"": scores} for name, scores in columns.items()}), title)


def terminal_report(sheet: Sheet) -> Group:
    """The paper's table where there is something to put into it, then every benchmark."""
    return Group(*([PaperTable(sheet)] if sheet.has_columns else []), benchmarks_table(sheet))


def benchmarks_table(sheet: Sheet, title: str = "") -> Table:
    """Every metric of every benchmark: a line each, a column (and its difference from the first) a model."""
    table = Table(title=title or None, caption=INTERVALS_NOTE, caption_justify="left")
    named = any(section.benchmark for section in sheet.sections)
    for header in (["benchmark"] if named else []) + ["metric"]:
        table.add_column(header)
    for n, model in enumerate(sheet.models):
        table.add_column(Text(model), justify="right", overflow="fold")
        if n:
            table.add_column("difference", justify="right")
    for section in sheet.sections:
        label = [Text(section.benchmark)] if named else []
        for line in section.lines:
            table.add_row(*label, line.name, *_cells(line.cells))
            label = [Text("")] if named else []
        for name, counts in section.counts:
            table.add_row(*label, name, str(counts[0]), *(text for count in counts[1:] for text in (str(count), "")))
        table.add_section()
    return table


def _cells(cells: Sequence[Cell]) -> list[Text]:
    texts = []
    for n, cell in enumerate(cells):
        texts.append(Text.assemble(percent(cell.value), (f" {span(cell.interval)}".rstrip(), "dim")))
        if n:
            texts.append(Text(difference(cell), style="bold" if cell.differs else ""))
    return texts


@dataclass(frozen=True, slots=True)
class PaperTable:
    """The paper's Table 1 with one's own models in it; a narrow terminal gets its two halves one below the other."""

    sheet: Sheet

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        halves = [COLUMNS] if options.max_width >= _WIDE else [_group(CODE), _group(TEST)]
        yield Group(*map(self._table, halves), *(Text(note, style="dim") for note in notes(self.sheet)))

    def _table(self, columns: Sequence[Column]) -> Table:
        groups = " and ".join(dict.fromkeys(c.group.lower() for c in columns if c.group))
        table = Table(title=f"{groups}, percent", box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        table.add_column("", overflow="fold", min_width=20)
        for column in columns:
            table.add_column(f"{column.data}\n{column.name}".strip(), justify="right", no_wrap=True)
        for model, cells in zip(self.sheet.models, self.sheet.columns, strict=True):
            table.add_row(Text(model, style="bold"), *(_column(cells.get(c.key)) for c in columns))
        for model, rows in itertools.groupby(self.sheet.published, key=lambda row: row.model):
            table.add_section()
            table.add_row(Text(f"{model} {PUBLISHED}", style="italic"))
            for row in rows:
                values = [Text(percent(row.values.get(c.key)), style="italic") for c in columns]
                table.add_row(Text(f"  {row.row}", style="italic"), *values)
        return table


def _group(name: str) -> list[Column]:
    """The columns of a group, and those of none."""
    return [c for c in COLUMNS if c.group in (name, "")]


def _column(cell: Cell | None) -> Text:
    if cell is None:
        return Text(NOTHING, style="dim")
    below = spread(cell.interval)
    return Text.assemble(percent(cell.value), (f"\n{below}" if below else "", "dim"))
