"""A benchmark: the held-out problems of a data set, the sample of them that counts, and the roles they measure.

Each is a file of conf/benchmark/: a new one is a source in zerocoder/datasets and one YAML file. `benchmarks=` takes
their names, `mbpp:mbpp.jsonl` to read one from a file of yours, `paper` for those of the paper's table and `all` for
every one whose data can be found; `benchmark.mbpp.source.show_tests=3` changes what a file says for one evaluation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from zerocoder.binding import MISSING, bind, known_keys, nearest
from zerocoder.datasets.base import ProblemSource
from zerocoder.datasets.hub import MissingDataError
from zerocoder.evaluation.questions import BOTH_ROLES, Task
from zerocoder.problems import Problem, Role, ZeroCoderError
from zerocoder.rollout.engine import request_seed

DEFAULT = ("builtin",)
PAPER = ("livecodebench", "mbpp", "apps", "codeforces", "livecodebench_tests")
"""Behind the columns of the paper's table, in their order; MBPP measures both roles."""
ALL = "all"
GROUPS: Mapping[str, Sequence[str]] = {"paper": PAPER}
FILE_FIELDS = ("heldout_path", "path")
"""Settings of sources that name the file of the held-out problems; `name:file` sets the first that a source has."""


@dataclass(frozen=True)
class BenchmarkConfig:
    """A file of conf/benchmark/."""

    title: str
    source: Any
    """The data set, a node with `_target_`, as in conf/data/."""
    roles: list[Role] = field(default_factory=lambda: list(BOTH_ROLES))
    sample: str = "all"
    """In words: which of the data set's problems the source's settings take."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The held-out problems of a source under a name; `spec` is what chose it."""

    name: str
    title: str
    source: ProblemSource
    roles: tuple[Role, ...] = BOTH_ROLES
    sample: str = "all"
    spec: str = ""

    def problems(self) -> list[Problem]:
        """The labelled problems in the source's order. Raises ZeroCoderError where there are none."""
        try:
            problems = self.source.heldout()
        except ZeroCoderError as error:
            # The sources speak of the settings of train.py.
            told = re.sub(r"data\.source\.(heldout_)?path=", f"benchmarks={self.name}:", str(error))
            raise type(error)(re.sub(r"^data=\w+:", f"benchmark {self.name}:", told)) from error
        if not problems:
            raise ZeroCoderError(f"benchmark {self.name} has no held-out problems")
        unlabelled = next((p.id for p in problems if p.label is None or not p.label.tests), None)
        if unlabelled is not None:
            raise ZeroCoderError(f"benchmark {self.name}: problem {unlabelled} has no tests to be scored by")
        return problems


@dataclass(frozen=True, slots=True)
class Selection:
    """A benchmark and those of its problems that are measured."""

    benchmark: Benchmark
    problems: tuple[Problem, ...]
    sample: str
    """In words: which problems these are."""

    @property
    def task(self) -> Task:
        return Task(self.benchmark.name, self.problems, self.benchmark.roles)


def select(
    specs: Sequence[str],
    folder: Path,
    changes: Mapping[str, Any],
    limit: int | None,
    seed: int,
    told: Callable[[str], None],
) -> list[Selection]:
    """The benchmarks that `specs` choose, with their problems: a seeded sample of `limit` where one is given.

    `changes` are laid over the benchmarks' files, by name.

    `all` leaves out what cannot be found, and `told` gets a line that says what to put where; so it does for tests
    that nothing is there to judge by. Raises ZeroCoderError where a benchmark that was named cannot be found, and where
    nothing is left.
    """
    selections: list[Selection] = []
    left_out: list[str] = []
    for benchmark, problems in read_benchmarks(specs, folder, changes, left_out.append):
        if Role.CODER not in benchmark.roles:
            problems = [p for p in problems if p.label is not None and p.label.solution]
            if not problems:
                left_out.append(_without_references(benchmark))
                continue
        some = sample(problems, limit, seed, benchmark.name)
        words = drawn_in_words(len(some), len(problems), seed, benchmark.sample)
        selections.append(Selection(benchmark, tuple(some), words))
    if not selections:
        raise ZeroCoderError("; ".join(left_out) or f"{', '.join(specs)}: there is no such benchmark")
    for line in left_out:
        told(f"left out: {line}")
    return selections


def read_benchmarks(
    specs: Sequence[str], folder: Path, changes: Mapping[str, Any], left_out: Callable[[str], None]
) -> list[tuple[Benchmark, list[Problem]]]:
    """The benchmarks that `specs` choose with all their problems; `left_out` gets a line for what `all` cannot find.

    Raises ZeroCoderError where a benchmark that was named cannot be found.
    """
    found = []
    for benchmark, optional in load_benchmarks(specs, folder, changes):
        try:
            found.append((benchmark, benchmark.problems()))
        except MissingDataError as error:
            if not optional:
                raise
            left_out(str(error))
    return found


def _without_references(benchmark: Benchmark) -> str:
    fix = ""
    if hasattr(benchmark.source, "references"):
        key = f"benchmark.{benchmark.spec.partition(':')[0]}.source.references"
        fix = f": sample some with `python -m zerocoder.datasets references` and set {key}=<file>"
    return f"benchmark {benchmark.name} judges tests, and no problem has a reference solution{fix}"


def sample(problems: Sequence[Problem], limit: int | None, seed: int, name: str) -> list[Problem]:
    """`limit` of the problems at random, in their order; all where there is no limit."""
    if limit is None or limit >= len(problems):
        return list(problems)
    order = np.random.default_rng(request_seed(seed, "benchmark", name)).permutation(len(problems))
    return [problems[i] for i in sorted(order[:limit])]


def drawn_in_words(count: int, total: int, seed: int, words: str) -> str:
    """Which problems a seeded sample of `total` are, `words` saying what those are."""
    if count == total:
        return words
    return f"{count} of {total} (seed {seed})" + (f", {words}" if words != ALL else "")


def known_benchmarks(folder: Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yaml"))


def load_benchmarks(
    specs: Sequence[str], folder: Path, changes: Mapping[str, Any] = MappingProxyType({})
) -> list[tuple[Benchmark, bool]]:
    """The benchmarks that `specs` choose from the YAML files of `folder`, and whether only `all` asked for them.

    Two of one name, with different files, are called by their whole spec.
    """
    for name in changes:
        _require_known(name, known_benchmarks(folder))
    named = list(dict.fromkeys(name for spec in specs for name in _expanded(spec, folder)))
    rest = [name for name in known_benchmarks(folder) if ALL in specs and name not in named]
    stems = [spec.partition(":")[0] for spec in named]
    benchmarks = []
    for spec, optional in [*((s, False) for s in named), *((name, True) for name in rest)]:
        stem, _, file = spec.partition(":")
        node = _read(stem, folder, changes.get(stem, {}))
        if optional and MISSING in node["source"].values():
            continue  # it takes a file that only the user can name
        node["source"] = _with_file(stem, file, node["source"])
        try:
            config: BenchmarkConfig = bind(BenchmarkConfig, node)
        except ZeroCoderError as error:
            raise ZeroCoderError(f"benchmark.{stem}: {error}") from error
        name = spec if stems.count(stem) > 1 else stem
        benchmark = Benchmark(name, config.title, config.source, tuple(config.roles), config.sample, spec)
        benchmarks.append((benchmark, optional))
    return benchmarks


def _require_known(name: str, known: Sequence[str]) -> None:
    if name not in known:
        raise ZeroCoderError(f"unknown benchmark '{name}'; known: {', '.join(known)}{nearest(name, known)}")


def _expanded(spec: str, folder: Path) -> Sequence[str]:
    """The names behind one that the user typed; for `all` those are not certain to be there."""
    name, _, file = spec.partition(":")
    known = [*known_benchmarks(folder), *GROUPS, ALL]
    if file and name in (*GROUPS, ALL):
        raise ZeroCoderError(f"{name} is several benchmarks and takes no file, got '{file}'")
    if spec == ALL:
        return ()
    _require_known(name, known)
    return GROUPS.get(spec, (spec,))


def _read(name: str, folder: Path, changes: Any) -> dict[str, Any]:
    file = folder / f"{name}.yaml"
    try:
        node: Any = OmegaConf.to_container(OmegaConf.merge(OmegaConf.load(file), changes), resolve=True)
    except (OmegaConfBaseException, YAMLError, OSError) as error:
        raise ZeroCoderError(f"cannot read {file}: {' '.join(str(error).split())}") from error
    if not isinstance(node, dict) or not isinstance(node.get("source"), dict):
        raise ZeroCoderError(f"{file} is no benchmark: title and source (a node with _target_) are expected")
    return node


def _with_file(name: str, file: str, node: Mapping[str, Any]) -> dict[str, Any]:
    """The source's node with `file` put where a source of its class takes the file of its held-out problems."""
    wanted = {key for key, value in node.items() if value == MISSING}
    if wanted and not file:
        raise ZeroCoderError(f"benchmark {name} needs its file: benchmarks={name}:<file>")
    if not file:
        return dict(node)
    having = _settings_of(node)
    place = next((key for key in FILE_FIELDS if key in having), None)
    if place is None:
        raise ZeroCoderError(f"benchmark {name} takes no file, got '{file}'")
    return dict(node) | dict.fromkeys([place, *wanted], file)


def _settings_of(node: Mapping[str, Any]) -> list[str]:
    """The settings that the class of a source has."""
    return [key.removeprefix("source.") for key in known_keys(BenchmarkConfig, {"source": node}) if "." in key]
