"""The findings of the paper's sections 5.1 to 5.3, each with its rule, judged by what the runs measured.

Every rule is fixed here, before any run, and is a function of the evidence alone. Claims about one part among several
("some selector drifts") are held to intervals that are wide enough for all of them. So is what sinks a claim about all
parts, where one that fails is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from zerocoder.evaluation.paper import published
from zerocoder.miniature.plan import BASE, LABELS, SELECTORS, TAUS, labels_name, tau_name
from zerocoder.miniature.scores import CAVG, MUTATION, RAISED, TAVG, Scores
from zerocoder.miniature.statistics import (
    ALONE,
    Among,
    Estimate,
    Verdict,
    above,
    alike,
    estimate,
    every,
    not_behind,
    positive,
    some,
)
from zerocoder.report.logs import Series

PAPER = "qwen2.5-coder-7b"
"""The model of the paper whose numbers are shown beside ours: its analyses are of this one."""
LABELLED = tuple(f"{name}-labelled" for name in SELECTORS)
BOTH = (CAVG, TAVG)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the runs left.

    noise: setting -> seed -> selector/noise over the steps, in [0, 1].
    times: setting -> seed -> part of a step (Table 5) -> its share of the time at work, in percent.
    """

    scores: Scores
    noise: Mapping[str, Mapping[int, Series]]
    times: Mapping[str, Mapping[int, Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class Part:
    """One comparison behind a verdict, in percentage points."""

    name: str
    found: Estimate | None  # None where no two seeds or no runs are there for it
    verdict: Verdict
    among: Among = ALONE
    paper: float | None = None  # the same difference in the paper

    @property
    def interval(self) -> tuple[float, float] | None:
        """The one that the verdict is read off."""
        among = self.among.shown if self.verdict is Verdict.REPRODUCED else self.among.sunk
        return None if self.found is None else self.found.interval(among)


@dataclass(frozen=True, slots=True)
class Finding:
    section: str  # of the paper
    claim: str
    rule: str
    parts: tuple[Part, ...]
    verdict: Verdict


def findings(evidence: Evidence) -> list[Finding]:
    """All of them, in the paper's order."""
    return [judge(evidence) for judge in _FINDINGS]


def difference(scores: Scores, ours: Sequence[str], theirs: str, column: str) -> Estimate | None:
    """The mean of the settings `ours` less the setting `theirs`, over the seeds that all of them have."""
    settings = [*ours, theirs]
    seeds = [s for s in scores[theirs] if all(column in scores[name].get(s, {}) for name in settings)]
    if not seeds:
        return None
    values = [
        sum(scores[name][s][column].value for name in ours) / len(ours) - scores[theirs][s][column].value for s in seeds
    ]
    draws = [
        np.mean([scores[name][s][column].replicates for name in ours], axis=0) - scores[theirs][s][column].replicates
        for s in seeds
    ]
    return estimate(values, draws)


def _versus(
    evidence: Evidence,
    ours: str | Sequence[str],
    theirs: str,
    column: str,
    among: Among = ALONE,
) -> Part:
    names = (ours,) if isinstance(ours, str) else tuple(ours)
    found = difference(evidence.scores, names, theirs, column)
    shown = names[0] if len(names) == 1 else "mean of " + ", ".join(names)
    paper = _in_paper(names, theirs, column)
    return Part(f"{column}: {shown} − {theirs}", found, above(found, among), among, paper)


def _compared(
    evidence: Evidence,
    ours: str,
    theirs: str,
    column: str,
    rule: Callable[[Estimate | None, float, Among], Verdict],
    among: Among,
) -> Part:
    """As `_versus`, within a margin: half of what the setting `theirs` has changed over base."""
    part = _versus(evidence, ours, theirs, column)
    gain = difference(evidence.scores, [theirs], BASE, column)
    if part.found is None or gain is None:
        return replace(part, verdict=Verdict.UNDECIDED)
    margin = abs(gain.mean) / 2
    name = f"{part.name}, margin {margin:.1f}"
    return replace(part, name=name, verdict=rule(part.found, margin, among), among=among)


def _in_paper(ours: Sequence[str], theirs: str, column: str) -> float | None:
    """The same difference in the paper's tables, in percentage points; None for what they do not have."""
    key = {CAVG: "cavg", TAVG: "tavg"}.get(column)
    rows = {row.split("/")[-1]: row for row in _PAPER_ROWS}
    if key is None or not {*ours, theirs} <= rows.keys():
        return None
    value = {name: published(rows[name])[0].values[key] for name in (*ours, theirs)}
    return 100 * (sum(value[name] for name in ours) / len(ours) - value[theirs])


_PAPER_ROWS = tuple(
    f"{PAPER}/{row}"
    for row in (BASE, "offline", "online", *SELECTORS, *LABELLED, "dyb4", "dyb4-no-mutation", "oracle")
)  # fmt: skip


def _finding(
    section: str, claim: str, rule: str, parts: Iterable[Part], joined: Callable[[list[Verdict]], Verdict] = every
) -> Finding:
    shown = tuple(parts)
    return Finding(section, claim, rule, shown, joined([part.verdict for part in shown]))


def label_free(evidence: Evidence) -> Finding:
    return _finding(
        "5.1", "ZeroCoder with static selectors improves both roles over the base model without any label.",
        "the mean of the four label-free selectors is above base, in CAvg and in TAvg",
        [_versus(evidence, SELECTORS, BASE, column, Among(sunk=len(BOTH))) for column in BOTH],
    )  # fmt: skip


def fewer_failures(evidence: Evidence) -> Finding:
    found = difference(evidence.scores, [BASE], "codet", RAISED)
    return _finding(
        "5.1", "ZeroCoder suppresses invalid programs (seen by the authors in answers of the CodeT variant).",
        "a smaller share of programs that do not parse or end in an exception: base less codet is above zero",
        [Part(f"{RAISED}: {BASE} − codet", found, above(found))],
    )  # fmt: skip


def sharper_tests(evidence: Evidence) -> Finding:
    return _finding(
        "5.1", "The co-evolved tester writes more discriminative tests (seen by the authors in the CodeT variant).",
        "the mutation score of codet is above base's",
        [_versus(evidence, "codet", BASE, MUTATION)],
    )  # fmt: skip


def without_tester(name: str) -> Callable[[Evidence], Finding]:
    def judge(evidence: Evidence) -> Finding:
        return _finding(
            "5.1", f"{name.capitalize()} test-driven RL, without co-evolving the tester, degrades code generation.",
            f"base is above {name} in CAvg",
            [_versus(evidence, BASE, name, CAVG)],
        )  # fmt: skip

    return judge


def better_with_tester(evidence: Evidence) -> Finding:
    return _finding(
        "5.1", "Co-evolving the tester is better for the coder than offline and online RL.",
        "the mean of the four label-free selectors is above offline and above online, in CAvg",
        [_versus(evidence, SELECTORS, name, CAVG, Among(sunk=2)) for name in ("offline", "online")],
    )  # fmt: skip


def no_dominance(evidence: Evidence) -> Finding:
    """Every selector must be behind some other one somewhere; one that is ahead everywhere sinks the claim."""
    others = {name: [other for other in SELECTORS if other != name] for name in SELECTORS}
    count = len(BOTH) * (len(SELECTORS) - 1)
    parts = {
        (name, other, column): _versus(evidence, name, other, column, Among(shown=count))
        for name in SELECTORS for other in others[name] for column in BOTH
    }  # fmt: skip
    behind = {
        name: [(o, c) for o in others[name] for c in BOTH if parts[o, name, c].verdict is Verdict.REPRODUCED]
        for name in SELECTORS
    }
    ahead = [
        all(parts[name, o, c].verdict is Verdict.REPRODUCED for o in others[name] for c in BOTH) for name in SELECTORS
    ]
    verdict = Verdict.UNDECIDED
    if all(behind.values()):
        verdict = Verdict.REPRODUCED
    elif any(ahead):
        verdict = Verdict.NOT
    shown = [parts[a, b, c] for i, a in enumerate(SELECTORS) for b in SELECTORS[i + 1 :] for c in BOTH]
    return Finding(
        "5.1", "No single static selector dominates.",
        "reproduced when each label-free selector is behind another one in CAvg or TAvg; not reproduced when one is "
        "ahead of all others in both",
        tuple(shown), verdict,
    )  # fmt: skip


def drift(evidence: Evidence) -> Finding:
    parts, among = [], Among(shown=len(SELECTORS))
    for name in SELECTORS:
        changes = [_rise(series) for series in evidence.noise.get(name, {}).values()]
        found = estimate([c for c in changes if c is not None])
        parts.append(Part(f"noise, last third − first third: {name}", found, above(found, among), among))
    return _finding(
        "5.1", "Selector drift: the selection noise of static selectors can rise over training.",
        "the noise of at least one label-free selector is higher in the last third of training than in the first",
        parts, some,
    )  # fmt: skip


def _rise(series: Series) -> float | None:
    """The mean of a run's last third less that of its first, in percentage points; None without two points."""
    values = series.values[~np.isnan(series.values)]
    third = max(1, len(values) // 3)
    return 100 * float(values[-third:].mean() - values[:third].mean()) if len(values) > 1 else None


def calibrated(evidence: Evidence) -> Finding:
    parts, among = [], Among(sunk=len(LABELLED))
    ours = evidence.noise.get("dyb4", {})
    for name in LABELLED:
        theirs = evidence.noise.get(name, {})
        lower = [
            100 * float(np.nanmean(theirs[s].values[1:]) - np.nanmean(ours[s].values[1:]))
            for s in ours if s in theirs and min(len(theirs[s].values), len(ours[s].values)) > 1
        ]  # fmt: skip
        found = estimate(lower)
        parts.append(Part(f"mean noise: {name} − dyb4", found, above(found, among), among))
    return _finding(
        "5.1, 5.2", "DyB4 keeps a lower selection noise than the static selectors throughout training.",
        "the mean noise after the first step is lower with dyb4 than with each static selector with the same labels",
        parts,
    )  # fmt: skip


def dynamic_gain(evidence: Evidence) -> Finding:
    return _finding(
        "5.2", "ZeroCoder with DyB4 improves both roles over the base model.",
        "dyb4 is above base, in CAvg and in TAvg",
        [_versus(evidence, "dyb4", BASE, column, Among(sunk=len(BOTH))) for column in BOTH],
    )  # fmt: skip


def dynamic_beats_static(column: str) -> Callable[[Evidence], Finding]:
    role = {CAVG: "code generation", TAVG: "test generation"}[column]

    def judge(evidence: Evidence) -> Finding:
        return _finding(
            "5.2", f"DyB4 outperforms every static selector with the same labels in {role}.",
            f"dyb4 is above each labelled static selector in {column}",
            [_versus(evidence, "dyb4", name, column, Among(sunk=len(LABELLED))) for name in LABELLED],
        )  # fmt: skip

    return judge


def mutation_matters(column: str) -> Callable[[Evidence], Finding]:
    role = {CAVG: "code generation", TAVG: "test generation"}[column]

    def judge(evidence: Evidence) -> Finding:
        return _finding(
            "5.3", f"Removing the mutation reward degrades {role}.", f"dyb4 is above dyb4-no-mutation in {column}",
            [_versus(evidence, "dyb4", "dyb4-no-mutation", column)],
        )  # fmt: skip

    return judge


def filter_shape(evidence: Evidence) -> Finding:
    """Some tau in the middle is ahead of both ends, by intervals that hold for all that are tried.

    A column in which every tau is behind one of the ends sinks it: two columns with two ends.
    """
    inner, ends, parts, verdicts = TAUS[1:-1], (TAUS[0], TAUS[-1]), [], []
    among = Among(shown=len(inner), sunk=len(BOTH) * len(ends))
    for column in BOTH:
        tried = []
        for tau in inner:
            both = [_versus(evidence, tau_name(tau), tau_name(end), column, among) for end in ends]
            parts += both
            tried.append(every(part.verdict for part in both))
        verdicts.append(some(tried))
    return Finding(
        "5.3", "As the filter becomes stricter, both roles first improve and then degrade.",
        f"for CAvg and for TAvg there is a tau between tau = {TAUS[0]} and tau = {TAUS[-1]} that is above both",
        tuple(parts), every(verdicts),
    )  # fmt: skip


def filter_gain(theirs: str, words: str) -> Callable[[Evidence], Finding]:
    among = Among(sunk=len(TAUS[1:]) * len(BOTH))

    def judge(evidence: Evidence) -> Finding:
        return _finding(
            "5.3", f"With every threshold of the filter both roles stay above {words}.",
            f"each tau from {TAUS[1]} to {TAUS[-1]} is above {theirs}, in CAvg and in TAvg",
            [_versus(evidence, tau_name(tau), theirs, column, among) for tau in TAUS[1:] for column in BOTH],
        )  # fmt: skip

    return judge


def insensitive(evidence: Evidence) -> Finding:
    ten = labels_name(10)
    others = [labels_name(n) for n in LABELS if labels_name(n) != ten]
    among = Among(sunk=len(others) * len(BOTH))
    return _finding(
        "5.3", "DyB4 is insensitive to the number L of labelled problems.",
        "every other L is comparable with ten labelled problems, in CAvg and in TAvg",
        [_compared(evidence, name, ten, column, alike, among) for name in others for column in BOTH],
    )  # fmt: skip


def near_oracle(evidence: Evidence) -> Finding:
    return _finding(
        "5.3", "ZeroCoder with DyB4 is comparable to training with ground truth.",
        "dyb4 is comparable with oracle or above it, in CAvg and in TAvg",
        [_compared(evidence, "dyb4", "oracle", column, not_behind, Among(sunk=len(BOTH))) for column in BOTH],
    )  # fmt: skip


def verifier_dominates(evidence: Evidence) -> Finding:
    times = evidence.times.get("dyb4", {}).values()
    found = estimate([t.get("Execution", 0.0) + t.get("Mutation", 0.0) - 50 for t in times])
    return _finding(
        "5.3", "Execution and mutation dominate the time of a step.",
        "together they take more than half of the time at work",
        [Part("execution + mutation − half of the time", found, positive(found))],
    )  # fmt: skip


def cheap_calibration(evidence: Evidence) -> Finding:
    times = evidence.times.get("dyb4", {}).values()
    found = estimate([CHEAP - t.get("Calibration", 0.0) for t in times])
    return _finding(
        "5.3", "Calibration takes only a small fraction of the time of a step.",
        f"it takes less than {CHEAP:g} % of the time at work",
        [Part(f"{CHEAP:g} % − calibration", found, positive(found))],
    )  # fmt: skip


CHEAP = 5.0

_FINDINGS: tuple[Callable[[Evidence], Finding], ...] = (
    label_free,
    fewer_failures,
    sharper_tests,
    without_tester("offline"),
    without_tester("online"),
    better_with_tester,
    no_dominance,
    drift,
    calibrated,
    dynamic_gain,
    dynamic_beats_static(CAVG),
    dynamic_beats_static(TAVG),
    mutation_matters(CAVG),
    mutation_matters(TAVG),
    filter_shape,
    filter_gain(BASE, "the base model"),
    filter_gain(tau_name(0), "training on the unfiltered data"),
    insensitive,
    near_oracle,
    verifier_dominates,
    cheap_calibration,
)
