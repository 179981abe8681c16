"""When a run should warn: what its numbers have done over windows of steps, and what that may mean.

With labels at hand, rewards are compared with the truth. Without, there is only what the passing matrices show, where
agreement on what is right looks like agreement on what is wrong: those texts say so. Needs numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zerocoder.problems import Role

LEAST_RISE, SURE_RISE = 0.08, 3.0
"""A rise of the reward counts from this share of the answers on, and from so many standard errors."""
LEAST_LOSS, SURE_LOSS = 0.05, 2.0
"""Likewise, beside such a rise, a fall of the share of rewarded answers that are right."""
REAL_SHARE = 1 / 3
"""Reward and truth part where less than this share of the reward's rise is real."""
LEAST_FALL, SURE_FALL = 0.1, 4.0
"""Likewise a fall of the truth by itself."""
FULL, MOST, SOLVED = 0.9, 0.8, 0.7
"""Shares: of cells that pass, of matrices or answers that are alike, of programs that are right."""

TRUTHS = {
    "truth/coder": "programs that are right",
    "truth/tester": "tests that are right",
    "truth/consensus": "selected programs that are right",
}
WATCHED = (
    *TRUTHS,
    "matrix/density",
    "matrix/degenerate",
    "matrix/duplicate_programs",
    "matrix/duplicate_tests",
    "selector/empty",
    "reward/tester_valid",
    "mutants/survived",
)
"""The metrics that `alarms` looks at."""

History = Mapping[str, Sequence[float]]
"""The values of a metric, by its name, over the steps that had one."""


@dataclass(frozen=True, slots=True)
class Credit:
    """What the answers of one role were credited with in a step of its own, beside the truth.

    paid: mean over the answers of the reward's validity term: in the consensus, or passed by the proxy.
    right: mean over the same answers of what they deserve by their label.
    precision: share of what is paid that is right; NaN where nothing is paid.
    """

    step: int
    paid: float
    right: float
    precision: float


@dataclass(frozen=True, slots=True)
class Alarm:
    """`kind` names the condition, for as long as it holds."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """Means over two windows of steps, and the standard error of their difference; NaN where there is too little."""

    before: float
    now: float
    error: float

    @classmethod
    def of(cls, before: NDArray[np.float64], now: NDArray[np.float64]) -> Change:
        before, now = (values[~np.isnan(values)] for values in (before, now))
        if min(len(before), len(now)) < 2:
            return cls(np.nan, np.nan, np.nan)
        error = np.sqrt(before.var(ddof=1) / len(before) + now.var(ddof=1) / len(now))
        return cls(float(before.mean()), float(now.mean()), float(error))

    @property
    def rise(self) -> float:
        return self.now - self.before

    def rises(self, least: float, sure: float) -> bool:
        return self.rise >= max(least, sure * self.error)

    def falls(self, least: float, sure: float) -> bool:
        return -self.rise >= max(least, sure * self.error)


def alarms(history: History, credits: Mapping[Role, Sequence[Credit]], window: int) -> list[Alarm]:
    """Everything that should be warned of after a step.

    Args:
        history: of the metrics in WATCHED; those that a run does not have may be missing.
        credits: of each role, over the steps of its own that were measured.
        window: entries that a mean is made of.
    """
    found = [parting(role, credits[role], window) for role in credits]
    found += [fall(name, history.get(name, ()), window) for name in TRUTHS]
    found += [sameness(history, window), silence(history, window), triviality(history, window)]
    return [alarm for alarm in found if alarm is not None]


def parting(role: Role, credits: Sequence[Credit], window: int) -> Alarm | None:
    """Reward and truth part: over the last `window` own steps of `role`, against any window before.

    The reward has risen by more than noise, less than a third of that rise is real, and of what is rewarded clearly
    less is right; where nothing was rewarded before, less than a third of it.
    """
    columns = np.array([(c.paid, c.right, c.precision) for c in credits], dtype=np.float64).reshape(-1, 3).T
    last = len(credits) - window
    for start in range(last - window, -1, -window):  # the latest window that tells it
        paid, right, precision = (Change.of(c[start : start + window], c[last:]) for c in columns)
        of_paid = columns[2][last:][~np.isnan(columns[2][last:])]
        if np.isnan(precision.rise):
            less_is_right, then = len(of_paid) > 1 and of_paid.mean() < REAL_SHARE, "hardly anything was"
        else:
            less_is_right, then = precision.falls(LEAST_LOSS, SURE_LOSS), f"{precision.before:.0%}"
        if paid.rises(LEAST_RISE, SURE_RISE) and right.rise < REAL_SHARE * paid.rise and less_is_right:
            what = "programs" if role is Role.CODER else "tests"
            return Alarm(
                f"parting_{role.value}",
                f"the {role.value}'s reward and the truth part: over its last {window} steps {paid.now:.0%} of the "
                f"{what} were rewarded and {right.now:.0%} are right, over its steps from {credits[start].step + 1} "
                f"to {credits[start + window - 1].step + 1} {paid.before:.0%} and {right.before:.0%}; of what is "
                f"rewarded {of_paid.mean():.0%} is right, then {then}. The roles may agree on something "
                "wrong (collusion), the policy may have found a way around the reward (reward hacking), or the "
                "selector no longer fits the policy (drift): read samples.jsonl, look at selector/noise and "
                "matrix/*, and compare with a checkpoint from before",
            )
    return None


def fall(name: str, values: Sequence[float], window: int) -> Alarm | None:
    """The truth itself falls: over the last `window` steps that measured it, against any window before."""
    series = np.array(values, dtype=np.float64)
    last = len(series) - window
    for start in range(last - window, -1, -window):
        change = Change.of(series[start : start + window], series[last:])
        if change.falls(LEAST_FALL, SURE_FALL):
            return Alarm(
                f"fall_{name.removeprefix('truth/')}",
                f"the share of {TRUTHS[name]} ({name}) falls: {change.now:.0%} over the last {window} steps, "
                f"{change.before:.0%} before. Where the reward does not fall with it, it is the selector that no "
                "longer fits; else the policy gets worse: compare with a checkpoint from before, or lower "
                "algorithm.learning_rate",
            )
    return None


def sameness(history: History, window: int) -> Alarm | None:
    """The matrices no longer tell answers apart, and it is not known that this is because the problems are solved."""
    now = _means(history, window)
    names = ("matrix/density", "matrix/duplicate_tests", "matrix/duplicate_programs")
    density, tests, programs = (now.get(name, 0.0) for name in names)
    alike = density >= FULL or tests >= MOST  # a policy that is sure of its program repeats it from the start
    right = now.get("truth/coder")
    solved = right is not None and right >= SOLVED
    if solved or not (alike and now.get("matrix/degenerate", 0.0) >= MOST):
        return None
    first = _means({name: values[:window] for name, values in history.items()}, window)
    if right is None:
        reading = (
            "Either these problems are solved, or both roles agree on something trivial or wrong; without labels "
            "nothing here tells which: read samples.jsonl, or give some problems tests, which are then measured "
            "(truth/*) and not trained on"
        )
    else:
        reading = f"Only {right:.0%} of the programs are right: the roles agree on something wrong. Read samples.jsonl"
    return Alarm(
        "sameness",
        f"the passing matrices hardly tell answers apart: over the last {window} steps {now['matrix/degenerate']:.0%} "
        f"of them have a rank below 2 (at first {first['matrix/degenerate']:.0%}), {density:.0%} of the cells pass (at "
        f"first {first['matrix/density']:.0%}), {programs:.0%} of the programs and {tests:.0%} of the tests repeat "
        f"another one. {reading}. There is little left to learn from them in any case",
    )


def silence(history: History, window: int) -> Alarm | None:
    """Hardly any problem has a consensus."""
    empty = _means(history, window).get("selector/empty", 0.0)
    if not empty >= MOST:
        return None
    return Alarm(
        "silence",
        f"{empty:.0%} of the problems of the last {window} steps have no consensus: no program passes a test, and "
        "nobody is rewarded. Look at rollout/format_errors, verdict/* and samples.jsonl",
    )


def triviality(history: History, window: int) -> Alarm | None:
    """Tests that everything passes."""
    now = _means(history, window)
    valid, survived = now.get("reward/tester_valid", 0.0), now.get("mutants/survived", 0.0)
    if not (valid >= FULL and survived >= MOST):
        return None
    return Alarm(
        "triviality",
        f"the tests tell nothing: over the tester's last {window} steps {valid:.0%} of them are passed by the proxy, "
        f"and {survived:.0%} of its mutants pass them all, too. Read samples.jsonl; algorithm.lambda_low gives mutants "
        "more weight from the start",
    )


def _means(history: History, window: int) -> dict[str, float]:
    """Over the last entries of each metric that has as many."""
    return {name: float(np.mean(values[-window:])) for name, values in history.items() if len(values) >= window}
