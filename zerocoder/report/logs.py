"""A run's logs as numbers: what train.py wrote into its folder, be the run at work, killed or through."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from zerocoder.evaluation.names import METRICS
from zerocoder.problems import ZeroCoderError

MOMENTS = ("before", "after")
BOARD = "tensorboard"
_WARNING = "warning: "
_STAMP = len("19:37:46 ")


@dataclass(frozen=True, slots=True)
class Series:
    """A scalar over the steps at which it was logged.

    steps: [n], rising, counted from 0: what step 0 logs was measured in the run's first step.
    values: [n], NaN where a step had nothing to measure.
    """

    steps: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class RunLog:
    """One run as its folder tells it; what the run has not written (yet) is empty.

    name: `<experiment>/<date-time>`.
    config: the resolved config.yaml. environment: environment.json. summary: summary.json, which the last step brings.
    scalars: by TensorBoard name.
    evaluation: held-out scores `before` and `after`, as `zerocoder.evaluation.report.summary` makes them.
    warnings: what log.txt warns of, in its order, each once.
    """

    folder: Path
    name: str
    config: dict[str, Any]
    environment: dict[str, Any]
    scalars: dict[str, Series]
    summary: dict[str, Any]
    evaluation: dict[str, dict[str, Any]]
    warnings: tuple[str, ...]

    @property
    def seed(self) -> int:
        return int(self.config["trainer"]["seed"])

    @property
    def steps(self) -> int:
        """Steps that were logged."""
        return len(self.scalars["time/step"].steps) if "time/step" in self.scalars else 0

    def score(self, moment: str, metric: str) -> float | None:
        """A held-out score of `zerocoder.evaluation.names.METRICS`, 0 to 1; None where it was not measured."""
        scores = self.evaluation.get(moment, {})
        value = scores.get("pass_at", {}).get("1") if metric == "pass_at_1" else scores.get(metric)
        return None if value is None else float(value)

    @property
    def finished(self) -> bool:
        return bool(self.summary)


def is_run(folder: Path) -> bool:
    """Whether `folder` is one that train.py made."""
    return (folder / "config.yaml").is_file()


def find_runs(places: Iterable[Path | str]) -> list[Path]:
    """The runs' folders that `places` name, sorted within each place, each once.

    A place is a run's folder, a link to one (`latest`), or a folder above runs, whose links are not followed. Raises
    ZeroCoderError for a place that does not exist or holds no run.
    """
    found: dict[Path, None] = {}
    for place in places:
        path = Path(place).expanduser()
        if not path.is_dir():
            raise ZeroCoderError(f"{place}: {_why_missing(path)}")
        runs = [path.resolve()] if is_run(path) else _below(path.resolve())
        if not runs:
            raise ZeroCoderError(f"{place}: no run's folder, and none below it (a run's folder has a config.yaml)")
        found |= dict.fromkeys(runs)
    return list(found)


def read_run(folder: Path | str) -> RunLog:
    """Everything that a run's folder holds for a report.

    A run that is being written can be read at any time: a record that is half there is left for the next reading.
    Raises ZeroCoderError where there is no run, or one of its files is damaged.
    """
    place = Path(folder).expanduser().resolve()
    if not is_run(place):
        raise ZeroCoderError(f"{folder}: no run's folder (it has no config.yaml)")
    evaluation = {moment: _scores(place / f"evaluation_{moment}.json") for moment in MOMENTS}
    return RunLog(
        folder=place,
        name=f"{place.parent.name}/{place.name}",
        config=_config(place / "config.yaml"),
        environment=_environment(place / "environment.json"),
        scalars=read_scalars(place / BOARD),
        summary=_json(place / "summary.json"),
        evaluation={moment: scores for moment, scores in evaluation.items() if scores},
        warnings=_warnings(place / "log.txt"),
    )


def read_scalars(folder: Path) -> dict[str, Series]:
    """Every scalar of a TensorBoard folder, by name; nothing where there is no folder.

    What was logged after the checkpoint that a run was resumed from is left out, as TensorBoard does: those steps were
    run again.
    """
    if not folder.is_dir():
        return {}
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logging.getLogger("tensorboard").setLevel(logging.ERROR)  # a resume is nothing to warn of
    one = ("images", "tensors", "audio", "histograms", "compressedHistograms")
    board = EventAccumulator(str(folder), size_guidance={"scalars": 0, **dict.fromkeys(one, 1)})
    board.Reload()
    scalars = {}
    for tag in sorted(board.Tags()["scalars"]):
        points = {event.step: event.value for event in board.Scalars(tag)}  # of a step told twice, the last
        steps = sorted(points)
        scalars[tag] = Series(np.array(steps, np.int64), np.array([points[step] for step in steps], np.float64))
    return scalars


def _below(top: Path) -> list[Path]:
    """Runs below a folder; what is inside of one is not looked through."""
    runs = []
    for folder, names, _ in os.walk(top):
        if is_run(Path(folder)):
            runs.append(Path(folder))
            names.clear()
        names[:] = [name for name in names if not name.startswith(".")]
    return sorted(runs)


def _why_missing(path: Path) -> str:
    if path.is_symlink():
        return f"the link points to {os.readlink(path)}, which is gone"
    if path.exists():
        return "a file; name a run's folder, or one above several"
    have = next(parent for parent in path.absolute().parents if parent.is_dir())
    names = sorted(entry.name for entry in have.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    there = f"; {have} has {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}" if names else ""
    return f"there is no such folder{there}"


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ZeroCoderError(f"{file}: cannot be read: {error.strerror}") from error


def _config(file: Path) -> dict[str, Any]:
    text = _text(file)
    try:
        config = yaml.safe_load(text)
        int(config["trainer"]["seed"])
        if not all(isinstance(key, str) for key in config):
            raise ValueError("a key that is no word")
    except (yaml.YAMLError, ValueError, TypeError, KeyError) as error:
        raise ZeroCoderError(f"{file}: not the config of a run of train.py") from error
    if "experiment" not in config:
        raise ZeroCoderError(f"{file}: not the config of a run of train.py (it has no experiment)")
    return dict(config)


def _scores(file: Path) -> dict[str, Any]:
    """Held-out scores: shares, None where there was nothing to measure."""
    scores = _json(file)
    pass_at = scores.get("pass_at", {})
    shares = [scores.get(metric) for metric in METRICS] + list(pass_at.values() if isinstance(pass_at, dict) else "?")
    if not all(share is None or isinstance(share, int | float) for share in shares):
        raise ZeroCoderError(f"{file}: damaged, these are no scores; remove it to leave it out")
    return scores


def _environment(file: Path) -> dict[str, Any]:
    environment = _json(file)
    if not isinstance(environment.get("packages", {}), dict):
        raise ZeroCoderError(f"{file}: damaged, its packages are no object; remove it to leave it out")
    return environment


def _json(file: Path) -> dict[str, Any]:
    """The object of a file that is written whole or not at all; empty while it is not there."""
    if not file.exists():
        return {}
    try:
        return dict(json.loads(_text(file)))
    except (ValueError, TypeError) as error:
        raise ZeroCoderError(f"{file}: damaged, no JSON object; remove it to leave it out") from error


def _warnings(file: Path) -> tuple[str, ...]:
    if not file.exists():
        return ()
    lines = (line[_STAMP:] for line in _text(file).splitlines())
    return tuple(dict.fromkeys(line.removeprefix(_WARNING) for line in lines if line.startswith(_WARNING)))
