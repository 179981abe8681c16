"""What the runs of a plan left on the disk, read for the page: their logs and their scores."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from zerocoder.miniature.findings import Evidence
from zerocoder.miniature.pace import Used
from zerocoder.miniature.plan import BASE, SETTINGS, Plan
from zerocoder.miniature.scores import read_scores
from zerocoder.report.logs import RunLog, read_run
from zerocoder.report.timing import TOTAL, breakdown


@dataclass(frozen=True, slots=True)
class Left:
    """Everything that is there.

    logs: setting -> seed -> the finished run. missing: what is not, in words. used: of every process that has ended.
    """

    evidence: Evidence
    logs: Mapping[str, Mapping[int, RunLog]]
    missing: tuple[str, ...]
    used: tuple[Used, ...]


def read(plan: Plan) -> Left:
    """The evidence of a plan, as far as it has been run."""
    found = {run.digest: read_run(folder) for run in plan.runs if (folder := run.finished) is not None}
    logs: dict[str, dict[int, RunLog]] = {setting.name: {} for setting in SETTINGS}
    for run in plan.runs:
        for setting in run.settings if run.digest in found else ():
            logs[setting][run.seed] = found[run.digest]
    scores = read_scores(plan)
    noise = {
        name: {seed: log.scalars["selector/noise"] for seed, log in by_seed.items() if "selector/noise" in log.scalars}
        for name, by_seed in logs.items()
    }
    times = {
        name: {seed: shares for seed, log in by_seed.items() if (shares := at_work(log))}
        for name, by_seed in logs.items()
    }
    used = [u for run in plan.runs if (u := Used.read(run.folder)) is not None]
    return Left(Evidence(scores, noise, times), logs, _missing(plan, logs, scores), tuple(used))


def at_work(log: RunLog) -> dict[str, float]:
    """Of the time that the parts of a step are at work, what each takes, in percent; empty where none was logged."""
    shares = {share.component: share.busy.mean for share in breakdown([log])}
    total = shares.pop(TOTAL, 0.0)
    return {part: 100 * seconds / total for part, seconds in shares.items()} if total else {}


def _missing(
    plan: Plan, logs: Mapping[str, Mapping[int, RunLog]], scores: Mapping[str, Mapping[int, object]]
) -> tuple[str, ...]:
    """Runs and scores that are not there, and why; seeds of one setting together."""
    missing: dict[tuple[str, str], list[int]] = {}
    for run in plan.runs:
        name = run.settings[0]
        if run.seed not in logs[name]:
            used = Used.read(run.folder)
            why = (used and used.failure) or ("not finished" if run.latest else "not run")
            missing.setdefault((name, why), []).append(run.seed)
        elif run.seed not in scores[name]:
            missing.setdefault((name, "not evaluated"), []).append(run.seed)
    base = [] if scores[BASE] else [f"{BASE}: not evaluated"]
    return (*base, *(f"{name} (seed {', '.join(map(str, seeds))}): {why}" for (name, why), seeds in missing.items()))
