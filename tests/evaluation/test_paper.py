"""The published rows against the paper's own text, and against each other."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from zerocoder.evaluation.columns import COLUMNS, Column
from zerocoder.evaluation.paper import citation, published
from zerocoder.problems import ZeroCoderError

MODELS = ("qwen2.5-1.5b", "qwen3-4b", "qwen2.5-coder-7b")
PAPER = Path(__file__).resolve().parents[3] / "shared" / "papers" / "zerocoder.txt"


def printed(columns: int) -> list[list[float]]:
    """The rows of `columns` numbers in the paper's text, in its order."""
    if not PAPER.exists():
        pytest.skip(f"the paper's text is not at {PAPER}")
    rows = []
    for line in PAPER.read_text(encoding="utf-8").splitlines():
        numbers = [float(cell) for cell in line.split("|") if re.fullmatch(r"\s*\d+\.\d\s*", cell)]
        if len(numbers) == columns and line.startswith("|"):
            rows.append(numbers)
    return rows


def percent(values: dict[str, float], keys: list[str]) -> list[float]:
    return [round(100 * values[key], 1) for key in keys]


def test_every_number_is_the_papers() -> None:
    keys = [c.key for c in COLUMNS]
    first = [percent(dict(r.values), keys) for m in MODELS for r in published(m) if r.table == 1]
    # Table 2 prints each base model again before its rows.
    second = [
        percent(dict(r.values), keys)
        for m in MODELS
        for r in [published(f"{m}/base")[0], *(r for r in published(m) if r.table == 2)]
    ]
    assert first + second == printed(13)


def test_the_averages_of_table_3_are_the_papers() -> None:
    keys = ["cavg", "tavg", "avg"]
    rows = [
        percent(dict(published(f"{m}/{row}")[0].values), keys)
        for m in MODELS
        for row in ("base", "dyb4-no-mutation", "dyb4", "oracle")
    ]
    assert rows == [row for row in printed(3) if len(row) == 3][: len(rows)]


@pytest.mark.parametrize("model", MODELS)
def test_averages_follow_from_their_columns_but_for_what_is_noted(model: str) -> None:
    for row in published(model):
        for column in COLUMNS:
            if column.of and all(key in row.values for key in column.of):
                mean = sum(row.values[key] for key in column.of) / len(column.of)
                follows = abs(mean - row.values[column.key]) < 0.0011  # both are rounded to 0.1 %
                assert follows or (row.note and column.key == "tavg"), (row.name, column.key, mean)


@pytest.mark.parametrize("column", [c for c in COLUMNS if c.metric == "pass_at_1"], ids=lambda c: c.key)
def test_the_papers_pass_at_1_are_shares_of_so_many_problems(column: Column) -> None:
    """And of no smaller number of more than 50: MBPP's is neither the 500 of its test split nor the 427 sanitized."""
    printed = {
        round(100 * row.values[column.key], 1) for m in MODELS for row in published(m) if column.key in row.values
    }

    def fits(problems: int) -> bool:
        return printed <= {round(100 * solved / problems, 1) for solved in range(problems + 1)}

    assert next(n for n in range(50, 1_000) if fits(n)) == column.in_paper


def test_names() -> None:
    assert [r.row for r in published("qwen2.5-coder-7b")][:2] == ["Base Model", "+Offline"]
    [row] = published("qwen2.5-coder-7b/dyb4")
    assert (row.model, row.row, row.table) == ("Qwen2.5-Coder-7B-Instruct", "+ZeroCoder†, DyB4", 2)
    assert row.values["avg"] == pytest.approx(0.482)
    [oracle] = published("qwen3-4b/oracle")
    assert set(oracle.values) == {"cavg", "tavg", "avg"}
    assert "arXiv:2604.07864" in citation()


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(
        ZeroCoderError, match=r"paper=qwen2.5-coder: no such model; known: qwen2.5-1.5b, .*did you mean"
    ):
        published("qwen2.5-coder")
    with pytest.raises(ZeroCoderError, match=r"paper=qwen3-4b/dyb: .* known: base, .*did you mean 'dyb4'"):
        published("qwen3-4b/dyb")
