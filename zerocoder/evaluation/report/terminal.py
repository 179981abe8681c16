"""The report in the terminal, by Rich: the paper's table, and every benchmark with its intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from zerocoder.evaluation.columns import COLUMNS
from zerocoder.evaluation.records import Scores
from zerocoder.evaluation.report.sheet import Cell, Sheet, make_sheet
from zerocoder.evaluation.report.wording import (
    INTERVALS_NOTE,
    NOTHING,
    difference,
    notes,
    percent,
    published_name,
    span,
    spread,
)


def comparison_table(columns: Mapping[str, Scores], title: str = "") -> Table:
    """One benchmark's scores side by side, such as {"before": ..., "after": ...}."""
    return benchmarks_table(make_sheet({name: {"": scores} for name, scores in columns.items()}), title)


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
            texts = [[str(count)] if n == 0 else [str(count), ""] for n, count in enumerate(counts)]
            table.add_row(*label, name, *sum(texts, []))
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
    """The paper's Table 1 with one's own models: a row a model where that fits the terminal, else a column a model."""

    sheet: Sheet

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        wide = self._table(wide=True)
        fits = Measurement.get(console, options.update_width(10_000), wide).minimum <= options.max_width
        yield Group(wide if fits else self._table(wide=False), *(Text(note, style="dim") for note in notes(self.sheet)))

    def _table(self, wide: bool) -> Table:
        """The rows of `_rows`, or their columns."""
        rows = self._rows(with_spread=wide)
        table = Table(title="the paper's columns, percent")
        if wide:
            table.add_column("model", overflow="fold", min_width=16)
            for column in COLUMNS:
                table.add_column(f"{column.data}\n{column.name}".strip(), justify="right", no_wrap=True)
            for name, cells in rows:
                table.add_row(name, *cells)
            return table
        table.add_column("column", no_wrap=True)
        for name, _ in rows:
            table.add_column(name, justify="right", overflow="fold")
        for n, column in enumerate(COLUMNS):
            table.add_row(column.title, *(cells[n] for _, cells in rows), end_section=bool(column.of))
        return table

    def _rows(self, with_spread: bool) -> list[tuple[Text, list[Text]]]:
        rows = []
        for model, cells in zip(self.sheet.models, self.sheet.columns, strict=True):
            rows.append((Text(model, style="bold"), [_column(cells.get(c.key), with_spread) for c in COLUMNS]))
        for row in self.sheet.published:
            values = [Text(percent(row.values.get(c.key)), style="italic") for c in COLUMNS]
            rows.append((Text(published_name(row), style="italic"), values))
        return rows

def _column(cell: Cell | None, with_spread: bool) -> Text:
    if cell is None:
        return Text(NOTHING, style="dim")
    below = spread(cell.interval) if with_spread else span(cell.interval)
    return Text.assemble(percent(cell.value), (f"\n{below}" if below else "", "dim"))
