"""Runs by setting: runs whose configs differ in nothing but the seed, and in what does not decide what is learnt."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zerocoder.report.logs import RunLog
from zerocoder.runs import MAY_CHANGE, flat

_LENGTH = "trainer.max_steps"  # a resume may have another one, but it is no repetition of the same run
_NO_SETTING = ("trainer.seed", "experiment", *(key for key in MAY_CHANGE if key != _LENGTH))
_CLASS = "_target_"
LABEL = 48  # characters; if one label has more, all are numbers
COMMON = "the common setting"
_EMPTY_NAMES = (_CLASS, "path", "method", "source")  # last parts of a key that say less than the part before


@dataclass(frozen=True, slots=True)
class Grouping:
    """groups: label -> its runs. keys: the settings in which the groups differ; values: of each, label -> text.

    common: what labels leave out because most groups have it, name -> text.
    """

    groups: Mapping[str, Sequence[RunLog]]
    keys: Sequence[str]
    values: Mapping[str, Mapping[str, str]]
    common: Mapping[str, str]


def group(runs: Sequence[RunLog]) -> Grouping:
    """The runs by setting, both in the order of their first appearance.

    A label says in which settings a group differs from others, in the words of the command line where it has any:
    `selector=dyb4, tau=2`. What most groups share is left out, and what follows from another setting of its section;
    labels that are long all the same become `setting 1`, `setting 2`, ... Runs of one setting are labelled with their
    experiment's name.
    """
    configs = [flat(run.config) for run in runs]
    keys = _differing(configs)
    if not keys:
        experiments = sorted({str(run.config["experiment"]) for run in runs})
        return Grouping({", ".join(experiments): list(runs)} if runs else {}, keys, {}, {})
    found: dict[tuple[tuple[str, str], ...], list[RunLog]] = {}
    for run, config in zip(runs, configs, strict=True):
        texts = tuple((key, _text(key, config[key])) for key in keys if key in config)
        found.setdefault(texts, []).append(run)
    settings = [dict(texts) for texts in found]
    labels, common = _labels(settings, keys)
    return Grouping(
        dict(zip(labels, found.values(), strict=True)), keys, dict(zip(labels, settings, strict=True)), common
    )


def names_of(runs: Sequence[RunLog]) -> dict[Path, str]:
    """Folder -> a name for each run: `<experiment>/<date-time>`, or its path from where the runs' paths part."""
    names = [run.name for run in runs]
    if len(set(names)) == len(names):
        return {run.folder: run.name for run in runs}
    above = os.path.commonpath([run.folder for run in runs])
    return {run.folder: run.folder.relative_to(above).as_posix() for run in runs}


def _labels(settings: Sequence[Mapping[str, str]], keys: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """A label for each setting, no two alike, and what they leave out because most settings have it."""
    names = _short(keys)
    told = [key for key in keys if not _follows(key, keys, settings)]
    common = _common(settings, told)

    def labels(left_out: Mapping[str, str]) -> list[str]:
        parts = [[f"{names[k]}={s[k]}" for k in told if k in s and s[k] != left_out.get(k)] for s in settings]
        return [", ".join(words) or COMMON for words in parts]

    short = labels(common)
    if len(set(short)) < len(short):  # a setting that others do not even have was left out
        short, common = labels({}), {}
    if len(short) > 1 and max(map(len, short)) > LABEL:
        return [f"setting {n}" for n in range(1, len(short) + 1)], {}
    return short, {names[key]: text for key, text in common.items()}


def _common(settings: Sequence[Mapping[str, str]], keys: Sequence[str]) -> dict[str, str]:
    """Key -> the value that more than two thirds of the settings with the key have, of four and more."""
    found = {}
    for key in keys:
        having = [setting[key] for setting in settings if key in setting]
        text, count = Counter(having).most_common(1)[0]
        if len(having) > 3 and 3 * count > 2 * len(having):
            found[key] = text
    return found


def _follows(key: str, keys: Sequence[str], settings: Sequence[Mapping[str, str]]) -> bool:
    """Whether another key of its section tells its value; of two that tell each other's, the first is kept."""
    if key.endswith(_CLASS):
        return False
    section = key.rpartition(".")[0]
    others = [other for other in keys if other != key and other.rpartition(".")[0] == section]
    return any(
        _tells(other, key, settings) and (keys.index(other) < keys.index(key) or not _tells(key, other, settings))
        for other in others
    )


def _tells(one: str, other: str, settings: Sequence[Mapping[str, str]]) -> bool:
    """Whether settings that are alike in `one` are alike in `other`."""
    seen: dict[str | None, str | None] = {}
    return all(seen.setdefault(s.get(one), s.get(other)) == s.get(other) for s in settings)


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
