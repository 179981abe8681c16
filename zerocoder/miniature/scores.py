"""Every evaluated checkpoint as scores in the tables' columns, with bootstrap replicates over the same drawn problems.

Columns in the layout of the paper's Table 1: Pass@1 of each difficulty, of all problems, and CAvg, the mean over the
difficulties; test accuracy, mutation score and TAvg, their mean; Avg, the mean of CAvg and TAvg. All are percent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zerocoder.evaluation.bootstrap import Measure, replicates
from zerocoder.evaluation.measures import measure
from zerocoder.evaluation.records import CoderItem, Item, read_items
from zerocoder.miniature.plan import BASE, BENCHMARK, SETTINGS, Plan, Run

PASS, ACCURACY, MUTATION = "all problems", "test accuracy", "mutation score"
RAISED = "programs that fail outright"
CAVG, TAVG, AVG = "CAvg", "TAvg", "Avg"
RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Score:
    """One checkpoint in one column, in percent."""

    value: float
    replicates: NDArray[np.float64]  # [RESAMPLES], the value on problems drawn again


Checkpoint = Mapping[str, Score]
"""Column -> score."""
Scores = Mapping[str, Mapping[int, Checkpoint]]
"""Setting -> seed -> checkpoint. The initial policy, which no seed had a part in, stands under every seed."""


def read_scores(plan: Plan) -> Scores:
    """The scores of every run of the plan that was evaluated, and of the initial policy."""
    measured: dict[tuple[str, int], dict[str, Measure]] = {}
    base = _read(plan, None)
    if base is not None:
        measured |= {(BASE, seed): base for seed in plan.seeds}
    for run in plan.runs:
        found = _read(plan, run)
        if found is not None:
            measured |= {(setting, run.seed): found for setting in run.settings}
    scores: dict[str, dict[int, Checkpoint]] = {name: {} for name in (BASE, *(s.name for s in SETTINGS))}
    for (setting, seed), checkpoint in scored(measured, tuple(plan.problems)).items():
        scores[setting][seed] = checkpoint
    return scores


def columns(difficulties: Sequence[str]) -> tuple[str, ...]:
    """In the tables' order."""
    return (*difficulties, PASS, CAVG, ACCURACY, MUTATION, TAVG, AVG)


def measures(items: Sequence[Item], difficulties: Sequence[str]) -> dict[str, Measure]:
    """What each problem adds to each column that is no average."""
    by = {name: [item for item in items if item.difficulty == name] for name in difficulties}
    return {
        **{name: measure(found, "pass_at_1") for name, found in by.items()},
        PASS: measure(items, "pass_at_1"),
        ACCURACY: measure(items, "test_accuracy"),
        MUTATION: measure(items, "mutation_score"),
        RAISED: Measure({item.problem: _share_raised(item) for item in items if item.coder}),
    }


def raised(answer: CoderItem) -> bool:
    """Whether an answer has no program, or one that ends in an exception on an official test."""
    return answer.program is None or "error" in answer.verdicts


def _share_raised(item: Item) -> tuple[float, float]:
    return float(sum(map(raised, item.coder))), float(len(item.coder))


def scored(
    measured: Mapping[tuple[str, int], Mapping[str, Measure]], difficulties: Sequence[str]
) -> dict[tuple[str, int], Checkpoint]:
    """Scores in all columns. Problems are drawn once for all checkpoints and columns: differences are paired."""
    distinct = {id(found): found for found in measured.values()}  # settings that share a run
    flat = {(at, column): m for at, found in distinct.items() for column, m in found.items() if m.problems}
    drawn = {key: Score(100 * flat[key].value, 100 * values) for key, values in replicates(flat, RESAMPLES).items()}
    full = {at: _with_averages({c: drawn[at, c] for c in found if (at, c) in drawn}, difficulties)
            for at, found in distinct.items()}  # fmt: skip
    return {name: full[id(found)] for name, found in measured.items()}


def _with_averages(found: dict[str, Score], difficulties: Sequence[str]) -> Checkpoint:
    """Averages are there where all that they are made of is."""
    for name, parts in ((CAVG, tuple(difficulties)), (TAVG, (ACCURACY, MUTATION)), (AVG, (CAVG, TAVG))):
        if all(part in found for part in parts):
            scores = [found[part] for part in parts]
            values = np.mean([score.replicates for score in scores], axis=0)
            found[name] = Score(float(np.mean([score.value for score in scores])), values)
    return found


def _read(plan: Plan, run: Run | None) -> dict[str, Measure] | None:
    folder = plan.scores_folder(run)
    if not (folder / "results.json").is_file():
        return None
    (file,) = (folder / "items").glob(f"*/{BENCHMARK}.jsonl")
    return measures(read_items(file), tuple(plan.problems))
