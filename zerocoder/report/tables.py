"""The tables of a report: which runs, in what they differ, scores, the signal they learnt from, time, surroundings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zerocoder.evaluation.names import METRICS
from zerocoder.report.curves import Stat, has, known, part, stat
from zerocoder.report.damage import damage
from zerocoder.report.document import Table
from zerocoder.report.grouping import Grouping, names_of
from zerocoder.report.logs import RunLog
from zerocoder.report.plots import Groups
from zerocoder.report.timing import PAPER, breakdown
from zerocoder.runs import flat

NOTHING = "-"
QUARTER = 0.25
SIGNALS = {
    "reward/coder": "coder reward",
    "truth/coder": "programs that are right",
    "reward/tester": "tester reward",
    "reward/tester_valid": "tester reward, validity",
    "truth/tester": "tests that are right",
    "reward/tester_mutation": "tester reward, mutation",
    "reward/lambda": "lambda, the weight of mutation",
    "truth/consensus": "selected programs that are right",
    "selector/noise": "selection noise",
    "matrix/rank": "rank",
    "matrix/degenerate": "degenerate matrices",
    "matrix/duplicate_programs": "repeated programs",
    "matrix/duplicate_tests": "repeated tests",
    "policy/entropy": "entropy",
    "policy/kl": "KL",
}
"""Scalars whose way over the run is told in numbers."""
_VALUES = 4  # different ones that a row of the surroundings has room for


def number(value: Stat | None, digits: int = 1, scale: float = 1.0) -> str:
    """`51.8 ± 1.2`: a mean and its spread over runs."""
    if value is None:
        return NOTHING
    spread = "" if value.spread is None else f" ± {scale * value.spread:.{digits}f}"
    return f"{scale * value.mean:.{digits}f}{spread}"


def runs_table(grouping: Grouping) -> Table:
    """Every run: its seed, how far it is, the seconds it trained for."""
    several = len(grouping.groups) > 1
    names = names_of([run for runs in grouping.groups.values() for run in runs])
    rows = [
        [names[run.folder], *([label] if several else []), str(run.seed), _progress(run), _seconds(run)]
        for label, runs in grouping.groups.items()
        for run in runs
    ]
    return Table(["run", *(["setting"] if several else []), "seed", "steps", "seconds"], rows, 1 + several)


def _progress(run: RunLog) -> str:
    wanted = run.config["trainer"].get("max_steps")
    return f"{run.steps}" if wanted == run.steps else f"{run.steps} of {wanted}"


def _seconds(run: RunLog) -> str:
    return f"{run.scalars['time/step'].values.sum():.0f}" if run.steps else NOTHING


def settings_table(grouping: Grouping) -> Table | None:
    """The settings in which the groups differ, each under its whole name; None where there is but one."""
    if not grouping.keys:
        return None
    rows = [
        [label, str(len(runs)), *(grouping.values[label].get(key, NOTHING) for key in grouping.keys)]
        for label, runs in grouping.groups.items()
    ]
    return Table(["setting", "runs", *grouping.keys], rows, 2 + len(grouping.keys))


def heldout_table(groups: Groups) -> Table | None:
    """Held-out scores before and after, in percent, by setting; None where no run has any."""
    rows = [
        [label, *(_before_after(runs, metric) for metric in METRICS)]
        for label, runs in groups.items()
        if any(run.evaluation for run in runs)
    ]
    return Table(["setting", *METRICS.values()], rows) if rows else None


def _before_after(runs: Sequence[RunLog], metric: str) -> str:
    return change([(run.score("before", metric), run.score("after", metric)) for run in runs], 1, 100.0)


def change(pairs: Sequence[tuple[float | None, float | None]], digits: int, scale: float = 1.0) -> str:
    """`51.8 → 60.2 (+8.4 ± 1.0)`: means over runs at two moments, and the change in the runs that have both."""
    ends = [stat([pair[n] for pair in pairs if pair[n] is not None]) for n in (0, 1)]  # type: ignore[misc]
    text = " → ".join(NOTHING if end is None else f"{scale * end.mean:.{digits}f}" for end in ends)
    moved = stat([after - before for before, after in pairs if before is not None and after is not None])
    if moved is None:
        return text
    spread = "" if moved.spread is None else f" ± {scale * moved.spread:.{digits}f}"
    return f"{text} ({scale * moved.mean:+.{digits}f}{spread})"


def signals_table(groups: Groups) -> Table | None:
    """Means over the first and the last quarter of each curve, one column a setting; None without a curve."""
    rows = [
        [name, *(_ends(runs, key) if has(runs, key) else NOTHING for runs in groups.values())]
        for key, name in SIGNALS.items()
        if any(has(runs, key) for runs in groups.values())
    ]
    return Table(["signal", *groups], rows) if rows else None


def _ends(runs: Sequence[RunLog], key: str) -> str:
    found = [known(run.scalars[key]) for run in runs if key in run.scalars]
    last = 1.0 - QUARTER
    return change([(part(s, 0.0, QUARTER), part(s, last, 1.0)) for s in found if len(s.steps)], 2)


def time_table(groups: Groups) -> Table | None:
    """The paper's Table 5: seconds a step and their shares, what was at work meanwhile, the paper's shares beside."""
    several = len(groups) > 1
    rows = [
        [
            *([label if n == 0 else ""] if several else []),
            share.component,
            number(share.waited, 2),
            f"{100 * share.fraction:.1f}",
            number(share.busy, 2),
            f"{PAPER[share.component]:.1f}" if share.component in PAPER else NOTHING,
        ]
        for label, runs in groups.items()
        for n, share in enumerate(breakdown(runs))
    ]
    header = ["Component", "Time (s)", "Fraction (%)", "At work (s)", "Fraction in the paper (%)"]
    return Table([*(["setting"] if several else []), *header], rows, 1 + several) if rows else None


def surroundings_table(runs: Sequence[RunLog]) -> Table:
    """Commands, versions and machines of the runs; what differs between runs is listed."""
    found: dict[str, dict[str, None]] = {}
    for run in runs:
        for key, value in flat(_told(run.environment)).items():
            found.setdefault(key.replace("_", " ").replace(".", " "), {})[_text(value)] = None
    rows = []
    for key, values in found.items():
        texts = [text for text in values if text]
        more = f" and {len(texts) - _VALUES} more" if len(texts) > _VALUES else ""
        if texts:
            rows.append([key, "; ".join(texts[:_VALUES]) + more])
    return Table(["", ""], rows, 2)


def _told(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Without the seed, which the runs' table has, and with versions under the packages' own names."""
    told = {key: value for key, value in environment.items() if key not in ("seed", "packages")}
    return told | dict(environment.get("packages", {}))


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return {True: "yes", False: "no", None: ""}.get(value, str(value)) if isinstance(value, bool | None) else str(value)


def warnings_table(runs: Sequence[RunLog]) -> Table | None:
    """What is missing of logs and what the runs warned of, each once with the runs; None where there is nothing."""
    names = names_of(runs)
    found: dict[str, list[str]] = {}
    for run in runs:
        told = damage(run)
        for line in (*([told] if told else []), *run.warnings):
            found.setdefault(line, []).append(names[run.folder])
    rows = [[line, ", ".join(where)] for line, where in found.items()]
    return Table(["warning", "runs"], rows, 2) if rows else None
