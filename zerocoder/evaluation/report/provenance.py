"""What decided the scores, as names and texts, whatever `records.Provenance` holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from zerocoder.evaluation.records import Provenance, Provenances

_NAMES = {
    "title": "benchmark",
    "data_set": "data set",
    "data_hash": "hash of the problems",
    "left_out": "rows left out",
    "n": "answers a problem and role",
    "max_new_tokens": "new tokens at most",
    "prompts": "hash of the prompts",
    "cpu_seconds": "CPU seconds a test (least, most)",
    "seconds": "seconds it took",
}


def facts(provenance: Provenances) -> dict[str, list[tuple[str, str]]]:
    """benchmark -> (name, text) of everything that decided its scores; models are told apart where they differ."""
    benchmarks = dict.fromkeys(name for by_benchmark in provenance.values() for name in by_benchmark)
    return {
        benchmark: _facts(
            {m: by_benchmark[benchmark] for m, by_benchmark in provenance.items() if benchmark in by_benchmark}
        )
        for benchmark in benchmarks
    }


def _facts(models: Mapping[str, Provenance]) -> list[tuple[str, str]]:
    rows = []
    for field in fields(Provenance):
        texts = {model: _text(getattr(found, field.name)) for model, found in models.items()}
        if len(set(texts.values())) == 1:
            text = next(iter(texts.values()))
        else:
            text = "; ".join(f"{model}: {text or 'none'}" for model, text in texts.items())
        rows.append((_NAMES.get(field.name, field.name.replace("_", " ")), text))
    return [(name, text) for name, text in rows if text]


def _text(value: Any) -> str:
    """A value in words; nothing for what is not known or empty."""
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_text(item)}" for key, item in value.items())
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ", ".join(map(_text, value))
    return str(value)
