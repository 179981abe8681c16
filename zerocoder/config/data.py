"""Problems, their splits, the labelled calibration set and the rank pre-filter."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zerocoder.config.rules import require, require_one_of
from zerocoder.files import user_cache

DECONTAMINATE = ("drop", "report", "off")


@dataclass(frozen=True)
class DataConfig:
    """Problems, their splits, the labelled calibration set and the rank pre-filter."""

    source: Any = None
    """The data set: a node with `_target_`, see zerocoder/datasets/."""
    batch_size: int = 8
    """Problems a step, over all ranks together."""
    calibration: int = 10
    """L, the number of labelled problems kept for DyB4 and labelled rewards (0: fully label-free)."""
    tau: int = 2
    """Problems whose passing matrix has a lower rank are dropped before training; 0 keeps all."""
    limit: int | None = None
    """Use only so many training problems (a seeded sample)."""
    heldout_limit: int | None = None
    """Evaluate on only so many held-out problems (a seeded sample)."""
    decontaminate: str = "drop"
    """What becomes of training problems that are evaluation problems too: `drop`, `report` (they stay) or `off`."""
    against: list[str] = field(default_factory=list)
    """Benchmarks, as evaluate.py takes them, that training problems are compared with beside the run's own held-out
    problems."""
    overlap: float = 0.5
    """Share of the shorter statement's runs of 13 words from which on two long statements count as one."""
    cache: str | None = None
    """Folder of the pre-filter's cache; null is the user's cache folder."""

    def __post_init__(self) -> None:
        require(self.batch_size > 0, "data.batch_size", "> 0", self.batch_size)
        require(self.calibration >= 0, "data.calibration", ">= 0", self.calibration)
        require(self.tau >= 0, "data.tau", ">= 0", self.tau)
        require_one_of(self.decontaminate, DECONTAMINATE, "data.decontaminate")
        require(0 < self.overlap <= 1, "data.overlap", "above 0 and at most 1", self.overlap)
        for key in ("limit", "heldout_limit"):
            value = getattr(self, key)
            require(value is None or value > 0, f"data.{key}", "> 0 or null", value)

    @property
    def cache_folder(self) -> Path:
        """Where what the initial policy was asked once is kept, for later runs."""
        return user_cache() if self.cache is None else Path(self.cache).expanduser()
