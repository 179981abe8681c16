"""The rows that the paper prints, to be put beside one's own: `published("qwen2.5-coder-7b")`.

The numbers and where they stand are data (paper.yaml). They were measured by the paper's authors with their own
prompts, extraction, samples and machine, so every table marks them as published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import yaml

from zerocoder.binding import nearest
from zerocoder.problems import ZeroCoderError


@dataclass(frozen=True, slots=True)
class PublishedRow:
    """One row of a table of the paper."""

    model: str  # as the paper names it
    row: str  # the row's name, method and selector
    table: int
    values: Mapping[str, float]  # column key (`columns.COLUMNS`) -> share in [0, 1]; columns not printed are absent
    note: str = ""  # what is odd about it

    @property
    def name(self) -> str:
        return f"{self.model} {self.row}"


def citation() -> str:
    """Where the rows come from."""
    return str(_document()["citation"])


def published(name: str) -> list[PublishedRow]:
    """The rows called `name`: a model's (`qwen2.5-coder-7b`) all, or one of them (`qwen2.5-coder-7b/dyb4`).

    An unknown name is a `ZeroCoderError` that lists the known ones.
    """
    model, _, row = name.partition("/")
    models = _document()["models"]
    if model not in models:
        raise ZeroCoderError(f"paper={name}: no such model; known: {', '.join(models)}{nearest(model, list(models))}")
    rows = models[model]["rows"]
    if row and row not in rows:
        raise ZeroCoderError(
            f"paper={name}: {model} has no such row; known: {', '.join(rows)}{nearest(row, list(rows))}"
        )
    return [_row(models[model]["model"], rows[key]) for key in ([row] if row else rows)]


def _row(model: str, row: Mapping[str, Any]) -> PublishedRow:
    document = _document()
    names = document["columns"] if len(row["values"]) == len(document["columns"]) else document["averages"]
    values = {key: value / 100 for key, value in zip(names, row["values"], strict=True)}
    return PublishedRow(model, row["row"], row["table"], MappingProxyType(values), row.get("note", ""))


@cache
def _document() -> Any:
    return yaml.safe_load(files("zerocoder.evaluation").joinpath("paper.yaml").read_text(encoding="utf-8"))
