"""Where a step's time goes, in the five parts of the paper's Table 5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zerocoder.report.curves import Stat, stat
from zerocoder.report.logs import RunLog

COMPONENTS = {
    "Rollout": ("rollout",),
    "Execution": ("execution",),
    "Mutation": ("mutation",),
    "Calibration": ("calibration",),
    "RL Training": ("reference", "training", "sync"),
}
"""Part -> the stages that are logged as `time/<stage>`; stages of none of them are the part OTHER."""
OTHER = "Other"
TOTAL = "Total"
PAPER = {"Rollout": 5.6, "Execution": 47.6, "Mutation": 35.7, "Calibration": 2.0, "RL Training": 9.2, TOTAL: 100.0}
"""Percent of a step's time as Table 5 has them."""
_NO_STAGES = ("step", "hidden", "probe", "truth")  # the last two measure the run; they are no part of the method
_BUSY = "busy_"


@dataclass(frozen=True, slots=True)
class Share:
    """A part of the step.

    waited: seconds that the step waited for it; they add up to the step. busy: seconds that it was at work, hidden
    behind others or not. fraction: of all that was waited, 0 to 1.
    """

    component: str
    waited: Stat
    busy: Stat
    fraction: float


def breakdown(runs: Sequence[RunLog]) -> list[Share]:
    """Seconds of a step by part, means over steps and then over runs, TOTAL at the end; empty where none was logged."""
    parts = [_parts(run) for run in runs]
    measured = [found for found in parts if found]
    if not measured:
        return []
    names = [name for name in (*COMPONENTS, OTHER) if any(name in found for found in measured)]
    shares = []
    totals = [tuple(map(sum, zip(*found.values(), strict=True))) for found in measured]
    whole = float(np.mean([waited for waited, _ in totals]))
    for name in (*names, TOTAL):
        pairs = totals if name == TOTAL else [found.get(name, (0.0, 0.0)) for found in measured]
        waited, busy = (stat([pair[n] for pair in pairs]) for n in (0, 1))
        assert waited is not None and busy is not None
        shares.append(Share(name, waited, busy, waited.mean / whole if whole else 0.0))
    return shares


def _parts(run: RunLog) -> dict[str, tuple[float, float]]:
    """Part -> seconds waited and busy, mean over a run's steps."""
    found: dict[str, tuple[float, float]] = {}
    for name, series in run.scalars.items():
        kind, _, stage = name.partition("/")
        if kind != "time" or stage.startswith(_BUSY) or stage in _NO_STAGES:
            continue
        part = next((part for part, stages in COMPONENTS.items() if stage in stages), OTHER)
        busy = run.scalars.get(f"time/{_BUSY}{stage}", series)
        before = found.get(part, (0.0, 0.0))
        found[part] = before[0] + float(np.mean(series.values)), before[1] + float(np.mean(busy.values))
    return found
