"""Which of callbacks/ run, and how often."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from zerocoder.config.rules import require


@dataclass(frozen=True)
class CheckpointsConfig:
    every: int = 10
    """Steps between checkpoints; the last step always has one."""
    keep: int = 2
    """The newest checkpoints kept; 0 keeps all."""

    def __post_init__(self) -> None:
        require(self.every > 0, "callbacks.checkpoints.every", "> 0", self.every)
        require(self.keep >= 0, "callbacks.checkpoints.keep", ">= 0", self.keep)


@dataclass(frozen=True)
class SamplesConfig:
    every: int = 5
    """Steps between logged samples."""
    problems: int = 2
    """Problems of the batch that are logged."""

    def __post_init__(self) -> None:
        require(self.every > 0, "callbacks.samples.every", "> 0", self.every)
        require(self.problems > 0, "callbacks.samples.problems", "> 0", self.problems)


@dataclass(frozen=True)
class RecalibrationConfig:
    every: int = 1
    """Steps between DyB4's recalibrations (the paper: before each step)."""

    def __post_init__(self) -> None:
        require(self.every > 0, "callbacks.recalibration.every", "> 0", self.every)


@dataclass(frozen=True)
class SelectionNoiseConfig:
    every: int = 20
    """Steps between measurements."""
    problems: int = 32
    """Labelled training problems, a fixed seeded sample, whose labels are read for this measurement only; those that
    calibrate the selector are not among them."""

    def __post_init__(self) -> None:
        require(self.every > 0, "callbacks.selection_noise.every", "> 0", self.every)
        require(self.problems > 0, "callbacks.selection_noise.problems", "> 0", self.problems)


@dataclass(frozen=True)
class TruthConfig:
    every: int = 1
    """Turns of each role between measurements; 1 measures every step."""

    def __post_init__(self) -> None:
        require(self.every > 0, "callbacks.truth.every", "> 0", self.every)


@dataclass(frozen=True)
class WarningsConfig:
    window: int = 10
    """Steps (of a role, where it is about one) that are compared with as many before."""

    def __post_init__(self) -> None:
        require(self.window > 1, "callbacks.warnings.window", "> 1", self.window)


@dataclass(frozen=True)
class CallbacksConfig:
    """Which of callbacks/ run and how; null switches one off where the algorithm can do without it."""

    checkpoints: CheckpointsConfig | None = field(default_factory=CheckpointsConfig)
    samples: SamplesConfig | None = field(default_factory=SamplesConfig)
    recalibration: RecalibrationConfig = field(default_factory=RecalibrationConfig)
    selection_noise: SelectionNoiseConfig | None = field(default_factory=SelectionNoiseConfig)
    truth: TruthConfig | None = field(default_factory=TruthConfig)
    warnings: WarningsConfig | None = field(default_factory=WarningsConfig)
    progress: bool = True
    extra: list[dict[str, Any]] = field(default_factory=list)
    """Further Lightning callbacks, each a node with `_target_` (the class) and its arguments."""

    def __post_init__(self) -> None:
        for i, node in enumerate(self.extra):
            require("_target_" in node, f"callbacks.extra[{i}]", "a node with _target_, the callback's class", node)
