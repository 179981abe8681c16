"""The columns of the paper's Table 1, out of whatever benchmarks were measured.

A column is one metric over the problems of one data set and difficulty, wherever they were measured; an average is the
mean of its columns, and is there only when all of them are. Which problems are behind a column is the benchmark's
doing (`evaluate.py benchmarks=paper` takes the paper's samples) and is reported beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zerocoder.evaluation.bootstrap import Measure, replicates
from zerocoder.evaluation.measures import measure
from zerocoder.evaluation.records import Scores

CODE, TEST = "Code generation", "Test generation"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: a metric of the problems of a source, or the mean of the columns `of`."""

    key: str
    group: str
    data: str  # the header's upper line
    name: str  # and its lower one
    metric: str = ""
    source: str = ""
    difficulty: str = ""  # empty: any
    in_paper: int = 0  # problems behind the paper's numbers
    of: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        return f"{self.data} {self.name}".strip()


COLUMNS: tuple[Column, ...] = (
    Column("lcb", CODE, "LCB", "", "pass_at_1", "livecodebench", in_paper=166),
    Column("mbpp", CODE, "MBPP", "", "pass_at_1", "mbpp", in_paper=378),
    Column("apps_intro", CODE, "APPS", "intro", "pass_at_1", "apps", "introductory", in_paper=60),
    Column("apps_inter", CODE, "APPS", "inter", "pass_at_1", "apps", "interview", in_paper=180),
    Column("apps_comp", CODE, "APPS", "comp", "pass_at_1", "apps", "competition", in_paper=60),
    Column("cf", CODE, "CF", "", "pass_at_1", "codeforces", in_paper=300),
    Column("cavg", CODE, "CAvg", "", of=("lcb", "mbpp", "apps_intro", "apps_inter", "apps_comp", "cf")),
    Column("lcb_acc", TEST, "LCB", "acc", "test_accuracy", "livecodebench", in_paper=323),
    Column("lcb_mut", TEST, "LCB", "mut", "mutation_score", "livecodebench", in_paper=323),
    Column("mbpp_acc", TEST, "MBPP", "acc", "test_accuracy", "mbpp", in_paper=378),
    Column("mbpp_mut", TEST, "MBPP", "mut", "mutation_score", "mbpp", in_paper=378),
    Column("tavg", TEST, "TAvg", "", of=("lcb_acc", "lcb_mut", "mbpp_acc", "mbpp_mut")),
    Column("avg", "", "Avg", "", of=("cavg", "tavg")),
)
"""In the paper's order; an average stands behind the columns it is made of.

The paper's text gives its APPS, CodeForces and LiveCodeBench test counts. Every LCB number it prints is a share of 166
problems, and every MBPP number one of 378 and of no smaller set, which is the size of EvalPlus' MBPP+.
"""

AVERAGES_NOTE = "CAvg, TAvg and Avg are shown only where every column they are the mean of was measured."


@dataclass(frozen=True, slots=True)
class Estimate:
    """One model's score in one column, with its replicates, from which intervals and differences follow."""

    value: float
    problems: int
    replicates: NDArray[np.float64]  # [resamples]


def column_estimates(results: Mapping[str, Mapping[str, Scores]]) -> dict[str, dict[str, Estimate]]:
    """model -> column key -> estimate, columns that were not measured left out.

    Columns over the problems of one source and difficulty are resampled together, for all models at once.
    """
    estimates: dict[str, dict[str, Estimate]] = {model: {} for model in results}
    for source, difficulty in dict.fromkeys((c.source, c.difficulty) for c in COLUMNS if not c.of):
        columns = [c for c in COLUMNS if not c.of and (c.source, c.difficulty) == (source, difficulty)]
        measures = {(model, c.key): _measure(c, scores) for model, scores in results.items() for c in columns}
        measured = {at: m for at, m in measures.items() if m.problems}
        for (model, key), values in replicates(measured).items():
            found = measured[model, key]
            estimates[model][key] = Estimate(found.value, len(found.problems), values)
    for row in estimates.values():
        for column in COLUMNS:
            if column.of and all(key in row for key in column.of):
                row[column.key] = _mean([row[key] for key in column.of])
    return {model: {c.key: row[c.key] for c in COLUMNS if c.key in row} for model, row in estimates.items()}


def _measure(column: Column, benchmarks: Mapping[str, Scores]) -> Measure:
    items = (
        item
        for scores in benchmarks.values()
        for item in scores.items
        if item.source == column.source and column.difficulty in ("", item.difficulty)
    )
    return measure(items, column.metric)


def _mean(estimates: list[Estimate]) -> Estimate:
    values = np.mean([e.replicates for e in estimates], axis=0)
    return Estimate(float(np.mean([e.value for e in estimates])), sum(e.problems for e in estimates), values)
