"""Problems, their splits, the labelled calibration set and the rank pre-filter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from zerocoder.config.rules import require


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
    cache: str | None = None
    """Folder of the pre-filter's cache; null is the user's cache folder."""

    def __post_init__(self) -> None:
        require(self.batch_size > 0, "data.batch_size", "> 0", self.batch_size)
        require(self.calibration >= 0, "data.calibration", ">= 0", self.calibration)
        require(self.tau >= 0, "data.tau", ">= 0", self.tau)
        for key in ("limit", "heldout_limit"):
            value = getattr(self, key)
            require(value is None or value > 0, f"data.{key}", "> 0 or null", value)
