"""A benchmark: the held-out problems of a data set, and the roles they measure.

The benchmarks are the files of conf/data/: a new one is a source in zerocoder/datasets and one YAML file, and the same
data set can then be trained on and evaluated on. `benchmarks=mbpp:mbpp.jsonl` names a file for a data set that ships
without one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from zerocoder.binding import MISSING, bind, nearest
from zerocoder.config import DataConfig
from zerocoder.datasets.base import ProblemSource
from zerocoder.problems import Problem, Role, ZeroCoderError
from zerocoder.rollout.engine import request_seed

BOTH_ROLES = (Role.CODER, Role.TESTER)


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The held-out problems of a source under a name."""

    name: str
    source: ProblemSource
    roles: tuple[Role, ...] = BOTH_ROLES

    def problems(self, limit: int | None = None, seed: int = 0) -> list[Problem]:
        """The labelled problems in the source's order, a seeded sample of `limit` of them where one is given."""
        problems = self.source.heldout()
        if not problems:
            raise ZeroCoderError(f"benchmark {self.name} has no held-out problems")
        unlabelled = next((p.id for p in problems if p.label is None), None)
        if unlabelled is not None:
            raise ZeroCoderError(f"benchmark {self.name}: problem {unlabelled} has no tests to be scored by")
        if limit is None or limit >= len(problems):
            return problems
        order = np.random.default_rng(request_seed(seed, "benchmark", self.name)).permutation(len(problems))
        return [problems[i] for i in sorted(order[:limit])]


def load_benchmarks(specs: Sequence[str], folder: Path) -> list[Benchmark]:
    """The benchmarks that `specs` (`name` or `name:file`) choose from the YAML files of `folder` (conf/data).

    Two of one name, with different files, are called by their whole spec.
    """
    unique = list(dict.fromkeys(specs))
    names = [spec.partition(":")[0] for spec in unique]
    return [
        Benchmark(name if names.count(name) == 1 else spec, _source(spec, folder))
        for name, spec in zip(names, unique, strict=True)
    ]


def _source(spec: str, folder: Path) -> ProblemSource:
    name, _, file = spec.partition(":")
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise ZeroCoderError(f"unknown benchmark '{name}'; known: {', '.join(known)}{nearest(name, known)}")
    values: Any = OmegaConf.to_container(OmegaConf.load(folder / f"{name}.yaml"))
    source = _with_file(name, file, values["source"])
    data: DataConfig = bind(DataConfig, {"source": source})
    checked: ProblemSource = data.source
    return checked


def _with_file(name: str, file: str, source: Mapping[str, Any]) -> dict[str, Any]:
    """The source's node with `file` put where the YAML file asks for one."""
    wanted = {key for key, value in source.items() if value == MISSING}
    if wanted and not file:
        raise ZeroCoderError(f"benchmark {name} needs its file: benchmarks={name}:<file>")
    if file and not wanted:
        raise ZeroCoderError(f"benchmark {name} takes no file, got '{file}'")
    if "heldout_path" in source and file:
        wanted.add("heldout_path")
    return dict(source) | dict.fromkeys(wanted, file)
