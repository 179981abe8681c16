"""The settings of the paper's tables and figures, and the runs that they need: no two with the same settings.

A run is known by a digest of all that decides what it learns and logs: its resolved config, the initial weights, the
problems. The digest is in the run's folder, so that runs with other settings or of another model never meet.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from zerocoder.compose import CONF, load, load_evaluation, quoted, to_dict
from zerocoder.config import Config
from zerocoder.evaluation.benchmarks import select
from zerocoder.models import resolve
from zerocoder.problems import Problem, ZeroCoderError
from zerocoder.runs import flat

SCRIPTS = CONF.parent
BASE = "base"
BENCHMARK = "builtin"
SELECTORS = ("maxpass", "codet", "b4-4-3", "b4-5-3")
TAUS = (0, 1, 2, 3, 4)
LABELS = (5, 10, 20, 50)
LIGHTER = ("data.batch_size=16", "trainer.max_steps=40", "algorithm.learning_rate=1.5e-4")
"""Of every run: a third of the default run's answers and as many updates times their size, so that sixty runs take two
hours on two cores."""
FIXED = ("trainer.threads=1", "trainer.evaluate=false", "verifier.workers=1", "callbacks.checkpoints.keep=1",
         "callbacks.progress=true")  # fmt: skip
"""Of every run: one core each, and the held-out problems are read once, at the end."""
_HOW_NOT_WHAT = ("dry_run", "trainer.root", "trainer.resume", "trainer.eval", "trainer.threads",
                 "callbacks.progress", "callbacks.checkpoints", "verifier.workers", "verifier.cache_mb",
                 "rollout.processes", "data.cache")  # fmt: skip
"""Settings that decide neither what a run learns nor what it logs."""
_EASIEST_FIRST = "two steps, three steps, hand-written"
_OF_RANKS = ("model.", "rollout.", "verifier.", "data.source.", "algorithm.test_unit", "trainer.seed")
"""Settings that decide a problem's rank under the initial policy."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One row or point of a table or figure."""

    name: str  # of its folder, and of the paper's row in evaluation/paper.yaml where it has one
    title: str
    overrides: tuple[str, ...]  # of train.py


def _settings() -> tuple[Setting, ...]:
    priors = {"b4-4-3": ("selector=b4", "selector.beta0=1e4", "selector.alpha_xy=1e3"),
              "b4-5-3": ("selector=b4", "selector.beta0=1e5", "selector.alpha_xy=1e3")}  # fmt: skip
    titles = {"maxpass": "MaxPass", "codet": "CodeT", "b4-4-3": "B4 (4,3)", "b4-5-3": "B4 (5,3)"}
    chosen = {name: priors.get(name, (f"selector={name}",)) for name in SELECTORS}
    dyb4, free, labelled = ("selector=dyb4",), "data.calibration=0", "data.calibration=10"
    return (
        Setting("dyb4", "+ZeroCoder†, DyB4", (*dyb4, labelled)),
        *(Setting(n, f"+ZeroCoder, {titles[n]}", (*chosen[n], free)) for n in SELECTORS),
        *(Setting(n, f"+{n.capitalize()}", (f"algorithm={n}", free)) for n in ("offline", "online")),
        *(Setting(f"{n}-labelled", f"+ZeroCoder†, {titles[n]}", (*chosen[n], labelled)) for n in SELECTORS),
        Setting("dyb4-no-mutation", "+ZeroCoder† (DyB4) w/o mutation reward",
                (*dyb4, labelled, "algorithm.lambda_low=0", "algorithm.lambda_high=0")),
        Setting("oracle", "+Oracle (w/ GT)", ("algorithm=oracle", free)),
        *(Setting(tau_name(n), f"tau = {n}", (*dyb4, labelled, f"data.tau={n}")) for n in TAUS),
        *(Setting(labels_name(n), f"L = {n}", (*dyb4, f"data.calibration={n}")) for n in LABELS),
    )  # fmt: skip


def tau_name(tau: int) -> str:
    return f"tau-{tau}"


def labels_name(labels: int) -> str:
    return f"labels-{labels}"


SETTINGS = _settings()
"""Whatever stands first is run first: the method itself, then the tables in the paper's order."""


@dataclass(frozen=True, slots=True)
class Run:
    """One training run; several settings may be names of it."""

    settings: tuple[str, ...]
    seed: int
    overrides: tuple[str, ...]
    steps: int
    digest: str
    ranks: str | None  # same for runs that filter the same problems by the same policy; None where nothing is filtered
    folder: Path  # <root>/<setting>/seed<k>/<digest>: everything of this run is below

    @property
    def name(self) -> str:
        return f"{self.settings[0]} seed {self.seed}"

    @property
    def latest(self) -> Path | None:
        """What train.py wrote last, finished or not."""
        links = list(self.folder.glob("*/latest"))
        return links[0].resolve() if links and links[0].exists() else None

    @property
    def finished(self) -> Path | None:
        """train.py's folder of the run, when all its steps are done."""
        folder = self.latest
        if folder is None or not (folder / "summary.json").is_file():
            return None
        done = json.loads((folder / "summary.json").read_text(encoding="utf-8"))["steps"]
        return folder if done == self.steps else None

    @property
    def command(self) -> tuple[str, ...]:
        """The arguments of train.py: a run that has a checkpoint goes on from it."""
        folder = self.latest
        begun = folder is not None and any((folder / "checkpoints").glob("step_*"))
        root = f"trainer.root={quoted(str(self.folder))}"
        return (*self.overrides, *FIXED, root, *(["trainer.resume=latest"] if begun else []))


@dataclass(frozen=True, slots=True)
class Plan:
    """All runs of some seeds, and how their checkpoints are evaluated."""

    runs: tuple[Run, ...]
    seeds: tuple[int, ...]
    model: str  # model.path of the initial policy
    evaluation: tuple[str, ...]  # arguments of evaluate.py beside the model and the output
    answers: int  # of a checkpoint to a problem, in each role
    evaluation_digest: str
    root: Path
    problems: Mapping[str, int]  # difficulty -> held-out problems, the easiest first
    extra: tuple[str, ...]  # overrides of every run whose setting says nothing else; each key once, as it holds

    def run(self, setting: str, seed: int) -> Run:
        return next(r for r in self.runs if setting in r.settings and r.seed == seed)

    def scores_folder(self, run: Run | None) -> Path:
        """evaluate.py's output for a run's last checkpoint, or for the initial policy."""
        home = self.root / BASE / self.base_digest if run is None else run.folder
        return home / f"test-{self.evaluation_digest}"

    @property
    def base_digest(self) -> str:
        return weights_digest(self.model)[:10]


def make_plan(root: Path, seeds: Sequence[int], steps: int | None, overrides: Sequence[str], limit: int | None) -> Plan:
    """The runs of all settings for `seeds`; `overrides` hold where a setting says nothing else.

    steps: instead of those of the settings. limit: evaluate on only so many problems. Raises ZeroCoderError for
    settings that train.py would refuse.
    """
    root = root.absolute()
    extra = (*LIGHTER, *overrides, *([f"trainer.max_steps={steps}"] if steps is not None else []))
    runs: dict[str, Run] = {}
    for setting in SETTINGS:
        config = _checked(setting, [*extra, *setting.overrides, *FIXED])
        for seed in seeds:
            add(runs, setting, replace(config, trainer=replace(config.trainer, seed=seed)), extra, root)
    rollout = config.rollout
    evaluation = [f"benchmarks={BENCHMARK}", "threads=1", "verifier.workers=1"]
    evaluation += [f"n={rollout.solutions}", f"temperature={rollout.temperature}", f"top_p={rollout.top_p}"]
    evaluation += [f"accelerator={config.trainer.accelerator}", *([f"limit={limit}"] if limit else [])]
    problems = _heldout(evaluation)
    counts = Counter(problem.difficulty for problem in problems)
    return Plan(
        tuple(runs.values()),
        tuple(seeds),
        config.model.path,
        tuple(evaluation),
        rollout.solutions,
        _digest([to_dict(load_evaluation(evaluation)), [asdict(problem) for problem in problems]]),
        root,
        {name: counts[name] for name in sorted(counts, key=lambda name: (_EASIEST_FIRST.find(name), name))},
        tuple({override.partition("=")[0]: override for override in extra}.values()),
    )


def add(runs: dict[str, Run], setting: Setting, config: Config, extra: Sequence[str], root: Path) -> None:
    """Put the run of `setting` into `runs` (by digest), or its name to a run that is the same."""
    digest, seed = _digest(deciding(config)), config.trainer.seed
    if digest in runs:
        runs[digest] = replace(runs[digest], settings=(*runs[digest].settings, setting.name))
        return
    overrides = (*extra, *setting.overrides, f"trainer.seed={seed}")
    folder = root / setting.name / f"seed{seed}" / digest
    runs[digest] = Run((setting.name,), seed, overrides, config.trainer.max_steps, digest, _ranks_key(config), folder)


def deciding(config: Config) -> dict[str, Any]:
    """All that decides what a run learns and logs."""
    settings = {k: v for k, v in flat(to_dict(config)).items() if not k.startswith(_HOW_NOT_WHAT)}
    return {"settings": settings, "weights": weights_digest(config.model.path), "problems": _training(config)}


def _checked(setting: Setting, overrides: Sequence[str]) -> Config:
    try:
        return load(overrides)
    except ZeroCoderError as error:
        raise ZeroCoderError(f"setting {setting.name}: {error}") from error


def _ranks_key(config: Config) -> str | None:
    if not config.data.tau:
        return None
    settings = flat(to_dict(config))
    return _digest({key: value for key, value in settings.items() if key.startswith(_OF_RANKS)})


@cache
def weights_digest(model: str) -> str:
    """Of every file of a model's folder but its card; a hub's model goes by its name."""
    folder = resolve(model)
    if isinstance(folder, str):
        return _digest(folder)
    digest = hashlib.blake2b(digest_size=16)
    for file in sorted(path for path in folder.iterdir() if path.is_file() and path.suffix != ".md"):
        digest.update(file.name.encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


_read: dict[str, str] = {}


def _training(config: Config) -> str:
    """A digest of the problems that a run may train on; sources with the same settings are read once."""
    source = config.data.source
    key = json.dumps(to_dict(config)["data"]["source"], sort_keys=True)
    if key not in _read:
        _read[key] = _digest([asdict(problem) for problem in source.train()])
    return _read[key]


def _heldout(evaluation: Sequence[str]) -> Sequence[Problem]:
    config = load_evaluation(evaluation)
    (selection,) = select([BENCHMARK], CONF / "benchmark", config.benchmark, config.limit, config.seed, print)
    return selection.problems


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(errors="replace"), digest_size=5).hexdigest()
