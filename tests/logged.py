"""Runs' folders for the tests of the report, written by the writers that train.py uses."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from torch.utils.tensorboard import SummaryWriter

CONFIG: dict[str, Any] = {
    "experiment": "nano",
    "algorithm": {"learning_rate": 0.0002, "max_mutants": 16},
    "selector": {"_target_": "zerocoder.selection.dyb4.DyB4", "beta0": 10000.0},
    "model": {"path": "nano"},
    "data": {"source": {"_target_": "zerocoder.datasets.builtin.Builtin"}, "tau": 2, "calibration": 10},
    "trainer": {"max_steps": 4, "seed": 0, "root": "runs", "resume": None},
}
ENVIRONMENT: dict[str, Any] = {
    "command": ["train.py", "selector=dyb4"],
    "python": "3.11.7",
    "packages": {"torch": "2.13.0", "lightning": "2.6.6"},
    "git": {"revision": "8e5a4b67f98b96517948372ad284a957011b05b7", "changed": False},
    "isolation": "strict",
    "hardware": {"cores": 2, "memory_gib": 23.5, "machine": "x86_64", "system": "Linux", "gpus": []},
}
Points = Sequence[tuple[int, float]]


def config(**changes: Any) -> dict[str, Any]:
    """CONFIG with dotted keys set, dots written as two underscores: `config(trainer__seed=1)`."""
    made = copy.deepcopy(CONFIG)
    for name, value in changes.items():
        *above, last = name.split("__")
        node = made
        for key in above:
            node = node[key]
        node[last] = value
    return made


def write_scalars(run: Path, scalars: Mapping[str, Points], purge_step: int | None = None) -> None:
    """One more event file, as a run or its resume from `purge_step` writes one."""
    with SummaryWriter(run / "tensorboard", purge_step=purge_step) as writer:
        for name, points in scalars.items():
            for step, value in points:
                writer.add_scalar(name, value, step)


def write_run(
    folder: Path,
    scalars: Mapping[str, Points],
    settings: Mapping[str, Any] | None = None,
    summary: Mapping[str, Any] | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    log: str = "",
) -> Path:
    """A run's folder; what is left out is not there, as in a run that has not come so far."""
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(dict(settings or CONFIG)))
    (folder / "environment.json").write_text(json.dumps(ENVIRONMENT))
    (folder / "log.txt").write_text(log)
    for name, content in {"summary": summary, "evaluation_before": before, "evaluation_after": after}.items():
        if content is not None:
            (folder / f"{name}.json").write_text(json.dumps(content))
    if scalars:
        write_scalars(folder, scalars)
    return folder
