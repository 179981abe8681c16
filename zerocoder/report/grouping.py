"""Runs by setting: runs whose configs differ in nothing but the seed, and in what does not decide what is learnt."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zerocoder.report.logs import RunLog
from zerocoder.runs import MAY_CHANGE, flat

_LENGTH = "trainer.max_steps"  # a resume may have another one, but it is no repetition of the same run
_NO_SETTING = ("trainer.seed", "experiment", *(key for key in MAY_CHANGE if key != _LENGTH))
_CLASS = "_target_"
_EMPTY_NAMES = (_CLASS, "path", "method", "source")  # last parts of a key that say less than the part before


@dataclass(frozen=True, slots=True)
class Grouping:
    """groups: label -> its runs. keys: the settings in which the groups differ; values: of each, label -> text."""

    groups: Mapping[str, Sequence[RunLog]]
    keys: Sequence[str]
    values: Mapping[str, Mapping[str, str]]


def group(runs: Sequence[RunLog]) -> Grouping:
    """The runs by setting, both in the order of their first appearance.

    A label says in which settings a group differs from others, in the words of the command line where it has any:
    `selector=dyb4, tau=2`. Runs of one setting are labelled with their experiment's name.
    """
    configs = [flat(run.config) for run in runs]
    keys = _differing(configs)
    names = _short(keys)
    groups: dict[str, list[RunLog]] = {}
    values: dict[str, dict[str, str]] = {}
    for run, config in zip(runs, configs, strict=True):
        texts = {key: _text(key, config[key]) for key in keys if key in config}
        label = ", ".join(f"{names[key]}={text}" for key, text in texts.items()) or str(run.config["experiment"])
        groups.setdefault(label, []).append(run)
        values.setdefault(label, texts)
    if not keys:
        experiments = sorted({str(run.config["experiment"]) for run in runs})
        groups = {", ".join(experiments): list(runs)} if runs else {}
    return Grouping(groups, keys, values)


def names_of(runs: Sequence[RunLog]) -> dict[Path, str]:
    """Folder -> a name for each run: `<experiment>/<date-time>`, or its path from where the runs' paths part."""
    names = [run.name for run in runs]
    if len(set(names)) == len(names):
        return {run.folder: run.name for run in runs}
    above = os.path.commonpath([run.folder for run in runs])
    return {run.folder: run.folder.relative_to(above).as_posix() for run in runs}


def _differing(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys with several values. A class' own settings are compared among the runs with that class only."""
    keys = dict.fromkeys(key for config in configs for key in config if not key.startswith(_NO_SETTING))
    differing = []
    for key in keys:
        found: dict[tuple[str, ...], set[str]] = {}
        for config in configs:
            found.setdefault(_classes(key, config), set()).add(json.dumps(config.get(key), default=str))
        if any(len(texts) > 1 for texts in found.values()):
            differing.append(key)
    return differing


def _classes(key: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """The classes that a key's sections belong to, the outermost first."""
    parts = key.removesuffix(f".{_CLASS}").split(".")
    sections = [".".join(parts[:n]) for n in range(1, len(parts))]
    return tuple(str(config.get(f"{section}.{_CLASS}")) for section in sections)


def _short(keys: Sequence[str]) -> dict[str, str]:
    """Key -> its last telling part, where no other key has the same."""
    short = {}
    for key in keys:
        parts = key.split(".")
        while len(parts) > 1 and parts[-1] in _EMPTY_NAMES:
            parts.pop()
        short[key] = parts[-1]
    return {key: name if list(short.values()).count(name) == 1 else key for key, name in short.items()}


def _text(key: str, value: Any) -> str:
    """A value as it would be typed; of a class, its module's name: `dyb4`."""
    if key.endswith(_CLASS) and isinstance(value, str):
        return value.split(".")[-2] if "." in value else value
    if isinstance(value, float):
        return f"{value:g}"
    return value if isinstance(value, str) else json.dumps(value, default=str)
