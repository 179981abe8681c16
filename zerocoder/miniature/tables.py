"""The paper's Tables 1 to 5 as Markdown, out of the runs' scores and logs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev

from zerocoder.evaluation.paper import published
from zerocoder.miniature.evidence import Left
from zerocoder.miniature.findings import LABELLED, PAPER, Finding, Part
from zerocoder.miniature.plan import BASE, SELECTORS, SETTINGS, TAUS, Plan
from zerocoder.miniature.scores import AVG, CAVG, TAVG, Checkpoint, columns
from zerocoder.pages.markdown import escaped, table
from zerocoder.report.curves import Stat
from zerocoder.report.logs import RunLog
from zerocoder.report.timing import PAPER as IN_PAPER
from zerocoder.report.timing import TOTAL, breakdown

AVERAGES = (CAVG, TAVG, AVG)
NOTHING = "–"
TITLES = {BASE: "Base model", **{setting.name: setting.title for setting in SETTINGS}}
TABLE_1 = (BASE, "offline", "online", *SELECTORS)
TABLE_2 = (BASE, *LABELLED, "dyb4")
TABLE_3 = (BASE, "dyb4-no-mutation", "dyb4", "oracle")


def mean_and_spread(values: Iterable[float], digits: int = 1) -> str:
    """`51.8 ± 2.1`: the mean and the standard deviation over seeds; one value alone has no spread."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return NOTHING
    spread = f" ± {stdev(known):.{digits}f}" if len(known) > 1 and len(set(known)) > 1 else ""
    return f"{fmean(known):.{digits}f}{spread}"


def scores_table(left: Left, settings: Sequence[str], shown: Sequence[str]) -> str:
    """One row a setting, `shown` columns as mean and spread; the best mean of a column is bold. Beside them the paper's
    averages."""
    scores = left.evidence.scores
    means = {name: _means(scores[name], shown) for name in settings}
    rows = []
    for name in settings:
        cells = [mean_and_spread(c[column].value for c in scores[name].values() if column in c) for column in shown]
        best = [_is_best(means, name, column) for column in shown]
        cells = [f"**{cell}**" if bold else cell for cell, bold in zip(cells, best, strict=True)]
        rows.append([escaped(TITLES[name]), str(_seeds(name, scores[name])), *cells, *_of_paper(name)])
    header = ["", "seeds", *shown, *(f"*{average}, paper*" for average in AVERAGES)]
    return table(header, ["---", *["---:"] * (len(header) - 1)], rows)


def _seeds(name: str, by_seed: Mapping[int, Checkpoint]) -> int | str:
    return NOTHING if name == BASE else len(by_seed)


def _means(by_seed: Mapping[int, Checkpoint], shown: Sequence[str]) -> dict[str, float]:
    values = {column: [c[column].value for c in by_seed.values() if column in c] for column in shown}
    return {column: fmean(found) for column, found in values.items() if found}


def _is_best(means: Mapping[str, Mapping[str, float]], name: str, column: str) -> bool:
    known = [found[column] for found in means.values() if column in found]
    return len(set(known)) > 1 and means[name].get(column) == max(known)


def _of_paper(name: str) -> list[str]:
    """The averages that the paper prints for the setting of this name."""
    values = published(f"{PAPER}/{name}")[0].values
    return [f"*{100 * values[key.lower()]:.1f}*" for key in AVERAGES]


def table_1(left: Left, plan: Plan) -> str:
    return scores_table(left, TABLE_1, columns(tuple(plan.problems)))


def table_2(left: Left, plan: Plan) -> str:
    return scores_table(left, TABLE_2, columns(tuple(plan.problems)))


def table_3(left: Left) -> str:
    return scores_table(left, TABLE_3, AVERAGES)


def table_4(left: Left) -> str:
    """Training problems that each tau leaves, over the seeds: the filter's ranks differ with the sampled answers."""
    ranks = [_ranks(log) for log in left.logs["dyb4"].values()]
    known = [found for found in ranks if found]
    row = [mean_and_spread((sum(n for r, n in found.items() if r >= tau) for found in known), 0) for tau in TAUS]
    return table(["", *(f"tau = {tau}" for tau in TAUS)], ["---", *["---:"] * len(TAUS)], [["problems", *row]])


def _ranks(log: RunLog) -> dict[int, int]:
    return {int(rank): int(count) for rank, count in log.summary.get("ranks", {}).items()}


def table_5(left: Left) -> str:
    """Seconds and shares of a step of dyb4: means over steps, then mean and spread over seeds."""
    parts = breakdown(list(left.logs["dyb4"].values()))
    whole = next((part.busy.mean for part in parts if part.component == TOTAL), 0.0)
    rows = [
        [part.component, _seconds(part.busy), f"{100 * part.busy.mean / whole:.1f}", _seconds(part.waited),
         f"{100 * part.fraction:.1f}", f"*{IN_PAPER[part.component]:.1f}*" if part.component in IN_PAPER else NOTHING]
        for part in parts
    ]  # fmt: skip
    header = ["", "at work (s)", "at work (%)", "waited for (s)", "waited for (%)", "*paper (%)*"]
    return table(header, ["---", *["---:"] * 5], rows)


def _seconds(found: Stat) -> str:
    return f"{found.mean:.2f}" + ("" if found.spread is None else f" ± {found.spread:.2f}")


def verdicts_table(found: Sequence[Finding]) -> str:
    """One line a finding."""
    rows = [[str(i), f.section, escaped(f.claim), f"**{f.verdict}**"] for i, f in enumerate(found, 1)]
    return table(["", "section", "finding", "here"], ["---:", "---", "---", "---"], rows)


def parts_table(finding: Finding) -> str:
    """The numbers behind a verdict."""
    rows = [_part(part) for part in finding.parts]
    header = ["difference", "mean", "each seed", "95 % interval", "paper", ""]
    return table(header, ["---", "---:", "---", "---", "---:", "---"], rows)


def _part(part: Part) -> list[str]:
    paper = NOTHING if part.paper is None else f"{part.paper:+.1f}"
    if part.found is None or not part.found.values:
        return [escaped(part.name), NOTHING, "", "", paper, str(part.verdict)]
    between = part.interval
    interval = "none" if between is None else f"[{between[0]:+.1f}, {between[1]:+.1f}]"
    each = ", ".join(f"{value:+.1f}" for value in part.found.values)
    return [escaped(part.name), f"{part.found.mean:+.1f}", each, escaped(interval), paper, str(part.verdict)]
