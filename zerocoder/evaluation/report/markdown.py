"""The report as GitHub Markdown."""

from __future__ import annotations

from zerocoder.evaluation.columns import COLUMNS
from zerocoder.evaluation.records import Provenances
from zerocoder.evaluation.report.provenance import facts
from zerocoder.evaluation.report.sheet import Sheet
from zerocoder.evaluation.report.wording import (
    INTERVALS_NOTE,
    NOTHING,
    difference,
    notes,
    percent,
    published_name,
    spread,
    with_interval,
)
from zerocoder.pages.markdown import escaped, table


def markdown(sheet: Sheet, provenance: Provenances) -> str:
    """The paper's table where there is something to put into it, every benchmark, and what decided the numbers."""
    parts = ["# Evaluation\n"]
    if sheet.has_columns:
        parts += ["## The paper's columns\n", _paper(sheet), *(f"{escaped(note)}\n" for note in notes(sheet))]
    parts += ["## Benchmarks\n", _benchmarks(sheet), f"{INTERVALS_NOTE}\n"]
    if provenance:
        parts += ["## What decided these numbers\n", *_provenance(provenance)]
    return "\n".join(parts)


def _paper(sheet: Sheet) -> str:
    header = ["model", *(column.title for column in COLUMNS)]
    rows = []
    for model, cells in zip(sheet.models, sheet.columns, strict=True):
        shown = [cells.get(c.key) for c in COLUMNS]
        texts = [NOTHING if c is None else f"{percent(c.value)} {spread(c.interval)}".strip() for c in shown]
        rows.append([f"**{escaped(model)}**", *texts])
    for row in sheet.published:
        texts = [percent(row.values.get(c.key)) for c in COLUMNS]
        rows.append([f"*{escaped(published_name(row))}*", *texts])
    return table(header, ["---", *["---:"] * len(COLUMNS)], rows)


def _benchmarks(sheet: Sheet) -> str:
    models = [escaped(model) for model in sheet.models]
    header = ["benchmark", "metric", models[0], *(h for model in models[1:] for h in (model, "difference"))]
    rows = []
    for section in sheet.sections:
        benchmark = escaped(section.benchmark)
        for line in section.lines:
            texts = [with_interval(line.cells[0])]
            for cell in line.cells[1:]:
                texts += [with_interval(cell), escaped(difference(cell))]
            rows.append([benchmark, line.name, *texts])
        for name, counts in section.counts:
            rows.append([benchmark, name, str(counts[0]), *(t for count in counts[1:] for t in (str(count), ""))])
    return table(header, ["---", "---", *["---:"] * (len(header) - 2)], rows)


def _provenance(provenance: Provenances) -> list[str]:
    parts = []
    for benchmark, rows in facts(provenance).items():
        parts.append(f"### {escaped(benchmark)}\n")
        parts.append(table(["", ""], ["---", "---"], [[escaped(name), escaped(text)] for name, text in rows]))
    return parts
