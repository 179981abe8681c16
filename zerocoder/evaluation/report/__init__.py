"""Scores for people and programs: a table in the terminal, Markdown, JSON, and every item as JSON lines.

Columns are models (or moments, such as before and after), the first of which the others are compared with.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from zerocoder.evaluation.records import Item, Scores, file_names
from zerocoder.files import write_json, write_text

METRICS = {
    "pass_at_1": "coder Pass@1",
    "test_accuracy": "test accuracy",
    "mutation_score": "mutation score",
    "coder_format_errors": "coder format errors",
    "tester_format_errors": "tester format errors",
}
"""Shown metrics (all shares) -> their names."""

_COUNTS = {
    "problems": "problems",
    "tests": "tests",
    "too_long": "prompts over the limit",
    "infra": "hidden by failures",
}


@dataclass(frozen=True, slots=True)
class Grid:
    """A table before it is drawn: `rows` hold a benchmark, a name and one cell a column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, str, tuple[str, ...]], ...]


def comparison_table(columns: Mapping[str, Scores], title: str = "") -> Table:
    """One benchmark's scores side by side, such as {"before": ..., "after": ...}, for the terminal."""
    return results_table({name: {"": scores} for name, scores in columns.items()}, title)


def results_table(results: Mapping[str, Mapping[str, Scores]], title: str = "") -> Table:
    """Model -> benchmark -> scores, for the terminal."""
    grid = _grid(results)
    table = Table(title=title or None)
    named = any(benchmark for benchmark, _, _ in grid.rows)
    for header in (["benchmark"] if named else []) + ["metric"]:
        table.add_column(header)
    for column in grid.columns:
        table.add_column(Text(column), justify="right", overflow="fold")
    last = None
    for benchmark, name, cells in grid.rows:
        if last is not None and benchmark != last:
            table.add_section()
        table.add_row(*([benchmark if benchmark != last else ""] if named else []), name, *cells)
        last = benchmark
    return table


def markdown(results: Mapping[str, Mapping[str, Scores]]) -> str:
    """The same table as GitHub Markdown."""
    grid = _grid(results)
    header = ["benchmark", "metric", *grid.columns]
    rules = ["---", "---", *["---:"] * len(grid.columns)]
    lines = [header, rules, *([benchmark, name, *cells] for benchmark, name, cells in grid.rows)]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def summary(scores: Scores) -> dict[str, Any]:
    """The scores without their items, ready for JSON: what was not measured is None."""
    values = {f.name: getattr(scores, f.name) for f in fields(scores) if f.name != "items"}
    pass_at = {str(k): _or_none(v) for k, v in scores.pass_at.items()}
    return {k: _or_none(v) for k, v in values.items()} | {"pass_at": pass_at}


def _or_none(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def item_row(item: Item) -> dict[str, Any]:
    """One item, ready for JSON."""
    return asdict(item)


def write_report(
    folder: Path | str, results: Mapping[str, Mapping[str, Scores]], settings: Mapping[str, Any] | None = None
) -> None:
    """Write results.json, results.md and items/<model>/<benchmark>.jsonl into `folder`, each whole or not at all.

    The folder may exist: it holds the saved answers. results.json comes last: where it is, everything is.
    """
    document = {
        "settings": dict(settings or {}),
        "models": {
            model: {benchmark: summary(scores) for benchmark, scores in benchmarks.items()}
            for model, benchmarks in results.items()
        },
    }
    names = file_names(list(results))
    folder = Path(folder)
    for model, benchmarks in results.items():
        files = file_names(list(benchmarks))
        for benchmark, scores in benchmarks.items():
            lines = (json.dumps(item_row(item)) + "\n" for item in scores.items)
            write_text(folder / "items" / names[model] / f"{files[benchmark]}.jsonl", "".join(lines))
    write_text(folder / "results.md", markdown(results))
    write_json(folder / "results.json", document)


def _grid(results: Mapping[str, Mapping[str, Scores]]) -> Grid:
    models = list(results)
    rows: list[tuple[str, str, tuple[str, ...]]] = []
    for benchmark in dict.fromkeys(b for benchmarks in results.values() for b in benchmarks):
        scores = [results[model].get(benchmark) for model in models]
        for key, name in METRICS.items():
            values = [math.nan if s is None else float(getattr(s, key)) for s in scores]
            if not all(map(math.isnan, values)):
                rows.append((benchmark, name, tuple(_cell(v, values[0], n) for n, v in enumerate(values))))
        for key, name in _COUNTS.items():
            counts = [0 if s is None else int(getattr(s, key)) for s in scores]
            if any(counts):
                rows.append((benchmark, name, tuple(map(str, counts))))
    return Grid(tuple(models), tuple(rows))


def _cell(value: float, first: float, column: int) -> str:
    """A share as a percentage, with the difference from the first column in points."""
    if math.isnan(value):
        return "-"
    text = f"{100 * value:.1f} %"
    return text if column == 0 or math.isnan(first) else f"{text} ({100 * (value - first):+.1f})"
