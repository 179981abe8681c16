"""The files of a report, each written whole or not at all."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from zerocoder.evaluation.paper import PublishedRow, citation
from zerocoder.evaluation.records import Provenances, Results, Scores, file_names
from zerocoder.evaluation.report.html import html
from zerocoder.evaluation.report.latex import latex
from zerocoder.evaluation.report.markdown import markdown
from zerocoder.evaluation.report.sheet import Cell, Sheet, make_sheet
from zerocoder.files import write_json, write_text
from zerocoder.problems import Problem


def write_report(
    folder: Path | str,
    results: Results,
    provenance: Provenances,
    settings: Mapping[str, Any],
    problems: Mapping[str, Sequence[Problem]],
    published: Sequence[PublishedRow] = (),
) -> Sheet:
    """Write the report into `folder`, which may exist and hold the saved answers; returns what the tables show.

    items/<model>/<benchmark>.jsonl has every answer with its verdicts; results.md, .tex and .html are for people;
    results.json comes last: where it is, everything is. `problems` by benchmark are what the page shows beside the
    answers, `settings` by model what was set.
    """
    folder = Path(folder)
    sheet = make_sheet(results, published)
    names = file_names(list(results))
    for model, benchmarks in results.items():
        files = file_names(list(benchmarks))
        for benchmark, scores in benchmarks.items():
            lines = (json.dumps(asdict(item)) + "\n" for item in scores.items)
            write_text(folder / "items" / names[model] / f"{files[benchmark]}.jsonl", "".join(lines))
    write_text(folder / "results.md", markdown(sheet, provenance))
    write_text(folder / "results.tex", latex(sheet))
    write_text(folder / "results.html", html(sheet, results, provenance, settings, problems))
    write_json(folder / "results.json", _document(sheet, results, provenance, settings))
    return sheet


def summary(scores: Scores) -> dict[str, Any]:
    """The scores without their items, ready for JSON: what was not measured is None."""
    values = {f.name: _or_none(getattr(scores, f.name)) for f in fields(scores) if f.name != "items"}
    return values | {"pass_at": {str(k): _or_none(v) for k, v in scores.pass_at.items()}}


def _document(sheet: Sheet, results: Results, provenance: Provenances, settings: Mapping[str, Any]) -> dict[str, Any]:
    """results.json: the scores, their intervals and differences, the paper's columns and what decided them."""
    estimates: dict[str, dict[str, dict[str, Any]]] = {model: {} for model in sheet.models}
    for section in sheet.sections:
        for line in section.lines:
            for model, cell in zip(sheet.models, line.cells, strict=True):
                estimates[model].setdefault(section.benchmark, {})[line.key] = _cell(cell)
    columns = zip(sheet.models, sheet.columns, strict=True)
    return {
        "models": {m: {name: summary(scores) for name, scores in found.items()} for m, found in results.items()},
        "estimates": estimates,
        "columns": {model: {key: _cell(cell) for key, cell in cells.items()} for model, cells in columns},
        "published": [
            {
                "model": r.model,
                "row": r.row,
                "table": r.table,
                "values": dict(r.values),
                "note": r.note,
                "from": citation(),
            }
            for r in sheet.published
        ],
        "provenance": {
            model: {name: _provenance(asdict(found)) for name, found in by_benchmark.items()}
            for model, by_benchmark in provenance.items()
        },
        "settings": dict(settings),
    }


def _cell(cell: Cell) -> dict[str, Any]:
    return {
        "value": _or_none(cell.value),
        "problems": cell.problems,
        "interval": cell.interval and [cell.interval.low, cell.interval.high],
        "difference": cell.delta,
        "difference_interval": cell.delta_interval and [cell.delta_interval.low, cell.delta_interval.high],
    }


def _provenance(values: dict[str, Any]) -> dict[str, Any]:
    return {key: dict(value) if isinstance(value, Mapping) else value for key, value in values.items()}


def _or_none(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value
