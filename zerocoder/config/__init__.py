"""The typed schema of conf/: what can be set, its type, unit, range and effect.

Importing this file needs no torch, so that every key of a command line is checked before anything heavy is loaded.
`zerocoder.compose` turns YAML files and overrides into a `Config`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from zerocoder.config.algorithm import AlgorithmConfig, TestUnit
from zerocoder.config.callbacks import (
    CallbacksConfig,
    CheckpointsConfig,
    RecalibrationConfig,
    SamplesConfig,
    SelectionNoiseConfig,
    TruthConfig,
    WarningsConfig,
)
from zerocoder.config.data import DataConfig
from zerocoder.config.model import ArchitectureConfig, DType, LoraConfig, ModelConfig
from zerocoder.config.references import ReferencesConfig
from zerocoder.config.rules import require, require_one_of
from zerocoder.config.trainer import ACCELERATORS, PRECISIONS, STRATEGY, Packing, Sharding, TrainerConfig
from zerocoder.execution.config import VerifierConfig
from zerocoder.problems import ZeroCoderError

__all__ = [
    "ACCELERATORS",
    "PRECISIONS",
    "STRATEGY",
    "AlgorithmConfig",
    "ArchitectureConfig",
    "CallbacksConfig",
    "CheckpointsConfig",
    "Config",
    "DType",
    "DataConfig",
    "EvaluationConfig",
    "LoraConfig",
    "ModelConfig",
    "Packing",
    "RecalibrationConfig",
    "ReferencesConfig",
    "SamplesConfig",
    "SelectionNoiseConfig",
    "Sharding",
    "TestUnit",
    "TrainerConfig",
    "TruthConfig",
    "WarningsConfig",
    "require",
    "require_one_of",
]


@dataclass(frozen=True)
class Config:
    """A whole run. `selector`, `rollout`, `verifier`, `data.source` are built from the class that `_target_` names."""

    experiment: str = "default"
    """Names the folder of the runs."""
    dry_run: bool = False
    """Check everything (model, data, devices, disk, extras), train nothing."""
    algorithm: AlgorithmConfig = field(default_factory=AlgorithmConfig)
    selector: Any = None
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    rollout: Any = None
    verifier: Any = field(default_factory=VerifierConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    callbacks: CallbacksConfig = field(default_factory=CallbacksConfig)

    def __post_init__(self) -> None:
        named = re.fullmatch(r"[\w.-]*\w[\w.-]*", self.experiment)
        require(named is not None, "experiment", "a name of letters, digits, '.', '_' and '-'", repr(self.experiment))
        _deepspeed_needs_a_gpu(self.trainer)
        _limit_holds_a_batch(self.data)
        _batch_divides_over_ranks(self.data.batch_size, self.trainer)
        _dyb4_needs_labels(self)


def _deepspeed_needs_a_gpu(trainer: TrainerConfig) -> None:
    if trainer.sharding is None:
        if trainer.offload_optimizer:
            raise ZeroCoderError(
                f"trainer.offload_optimizer needs DeepSpeed, trainer.strategy is {trainer.strategy}: "
                "set trainer.strategy=deepspeed_stage_2, or trainer.offload_optimizer=false"
            )
        return
    if trainer.accelerator in ("cpu", "mps"):
        raise ZeroCoderError(
            f"trainer.strategy={trainer.strategy} needs GPUs: set trainer.accelerator=gpu, or trainer.strategy=auto"
        )
    if trainer.precision == "64-true":
        raise ZeroCoderError(
            f"trainer.strategy={trainer.strategy} computes in 32 or 16 bit: set trainer.precision=bf16-mixed"
        )


def _limit_holds_a_batch(data: DataConfig) -> None:
    if data.limit is not None and data.limit < data.batch_size:
        raise ZeroCoderError(
            f"data.batch_size={data.batch_size} is larger than data.limit={data.limit}; lower it or raise data.limit"
        )


def _batch_divides_over_ranks(batch_size: int, trainer: TrainerConfig) -> None:
    ranks = trainer.devices * trainer.num_nodes
    if batch_size % ranks:
        below = batch_size // ranks * ranks
        nearest = f"{below} or {below + ranks}" if below else f"{ranks}"
        raise ZeroCoderError(
            f"data.batch_size={batch_size} cannot be shared out evenly over {ranks} ranks (trainer.devices="
            f"{trainer.devices} x trainer.num_nodes={trainer.num_nodes}): set data.batch_size={nearest}"
        )


def _dyb4_needs_labels(config: Config) -> None:
    calibrates = config.algorithm.method.selects and getattr(config.selector, "needs_labels", False)
    if calibrates and not config.data.calibration:
        raise ZeroCoderError(
            f"selector={config.selector.name} chooses its priors on labelled problems, and data.calibration is 0: "
            "set data.calibration=10, or take selector=b4, codet or maxpass, which need no labels"
        )


@dataclass(frozen=True)
class EvaluationConfig:
    """What evaluate.py measures: one model, or several side by side, on benchmarks."""

    model: ModelConfig = field(default_factory=ModelConfig)
    benchmarks: list[str] | None = None
    """Names of benchmarks, `paper` or `all`; one name needs no brackets. Null is builtin, or what was answered."""
    benchmark: dict[str, Any] = field(default_factory=dict)
    """Changes to the benchmarks' files, by name: benchmark.mbpp.source.show_tests=3."""
    n: int = 1
    """Answers a problem and role."""
    temperature: float = 0.0
    """At which answers are drawn; 0 is greedy."""
    top_p: float = 1.0
    """Draw from the likeliest tokens that have this share of the probability; of no effect at temperature 0."""
    k: list[int] = field(default_factory=lambda: [1, 5, 10])
    """Pass@k is reported for 1 and those of these that n answers allow."""
    compare: list[str] = field(default_factory=list)
    """Further models (as model.path takes them) for columns of their own."""
    paper: list[str] = field(default_factory=list)
    """Published rows to be put beside one's own: a model of the paper, or model/row."""
    output: str | None = None
    """Folder of the answers, the tables and the per-item results; null is runs/evaluate/<date-time>."""
    rescore: str | None = None
    """Score the saved answers of this output folder again, without a model."""
    answers: list[str] = field(default_factory=list)
    """Score answers made elsewhere: JSON-lines files, each a column of its own."""
    limit: int | None = None
    """Use only so many problems of each benchmark (a seeded sample)."""
    seed: int = 0
    accelerator: str = "auto"
    threads: int | None = None
    """CPU threads of torch; null lets torch choose."""
    max_mutants: int = 16
    """At most so many mutants of a reference solution judge a test, a seeded sample of them."""
    rollout: Any = None
    verifier: Any = field(default_factory=VerifierConfig)

    def __post_init__(self) -> None:
        require(self.benchmarks != [], "benchmarks", "at least one name", self.benchmarks)
        require(self.n > 0, "n", "> 0", self.n)
        require(self.temperature >= 0, "temperature", ">= 0", self.temperature)
        require(0 < self.top_p <= 1, "top_p", "above 0 and at most 1", self.top_p)
        require(all(k > 0 for k in self.k), "k", "a list of whole numbers > 0", self.k)
        require(self.limit is None or self.limit > 0, "limit", "> 0 or null", self.limit)
        require(0 <= self.seed < 2**32, "seed", "between 0 and 2**32 - 1", self.seed)
        require_one_of(self.accelerator, ACCELERATORS, "accelerator")
        require(self.threads is None or self.threads > 0, "threads", "> 0 or null", self.threads)
        require(self.max_mutants > 0, "max_mutants", "> 0", self.max_mutants)
        _answers_differ(self)
        _saved_answers_need_no_model(self)


def _answers_differ(config: EvaluationConfig) -> None:
    if config.n > 1 and config.temperature == 0:
        raise ZeroCoderError(
            f"n={config.n} greedy answers would all be the same: set temperature=0.8 (top_p=0.95 is common with it), "
            "or n=1"
        )


def _saved_answers_need_no_model(config: EvaluationConfig) -> None:
    if config.rescore is None and not config.answers:
        return
    key = "answers" if config.answers else "rescore"
    if config.answers and config.rescore is not None:
        raise ZeroCoderError("rescore= scores an evaluation's own answers, answers= those made elsewhere: set one")
    for name, default in (("compare", []), ("n", 1), ("temperature", 0.0), ("limit", None)):
        if getattr(config, name) != default:
            raise ZeroCoderError(f"{key}= scores answers that are there and asks no model: leave {name}= out")
