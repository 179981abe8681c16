"""Every finding of the paper on evidence by hand: worlds in which it holds, in which it does not, and half a world."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from zerocoder.miniature.findings import LABELLED, Evidence, Finding, difference, findings
from zerocoder.miniature.plan import BASE, SELECTORS, SETTINGS
from zerocoder.miniature.scores import CAVG, MUTATION, RAISED, TAVG, Score
from zerocoder.miniature.statistics import Among, Verdict
from zerocoder.report.logs import Series

YES, NO, OPEN = Verdict.REPRODUCED, Verdict.NOT, Verdict.UNDECIDED
SEEDS = (0, 1, 2)

PAPER: dict[str, tuple[float, float]] = {  # setting -> CAvg, TAvg: everything as the paper says
    BASE: (30, 30),
    "offline": (20, 30), "online": (22, 30),
    "maxpass": (40, 50), "codet": (41, 54), "b4-4-3": (44, 50), "b4-5-3": (40, 51),
    "maxpass-labelled": (40, 50), "codet-labelled": (41, 51), "b4-4-3-labelled": (42, 50), "b4-5-3-labelled": (40, 51),
    "dyb4": (50, 60), "dyb4-no-mutation": (38, 52), "oracle": (51, 61),
    "tau-0": (32, 33), "tau-1": (45, 55), "tau-2": (50, 60), "tau-3": (44, 50), "tau-4": (38, 40),
    "labels-5": (49, 59), "labels-10": (50, 60), "labels-20": (50.5, 60), "labels-50": (51, 61),
}  # fmt: skip


def evidence(
    means: Mapping[str, tuple[float, float]],
    noise: Mapping[str, tuple[float, ...]] | None = None,
    times: Mapping[str, float] | None = None,
    seeds: tuple[int, ...] = SEEDS,
) -> Evidence:
    def checkpoint(name: str, seed: int) -> dict[str, Score]:
        code, test = (mean + wobble(name, seed) for mean in means[name])
        values = {CAVG: code, TAVG: test, MUTATION: test - 10, RAISED: 100 - code}
        return {column: Score(value, np.full(4, value)) for column, value in values.items()}

    names = (BASE, *(setting.name for setting in SETTINGS))
    scores = {name: {seed: checkpoint(name, seed) for seed in seeds} if name in means else {} for name in names}
    series = {
        name: {seed: Series(np.arange(len(v)) * 10, np.array(v) * (1 + wobble(name, seed) / 10)) for seed in seeds}
        for name, v in (noise or {}).items()
    }
    shares = {seed: {k: v * (1 + wobble(k, seed) / 10) for k, v in (times or {}).items()} for seed in seeds}
    return Evidence(scores, series, {"dyb4": shares if times else {}})


def wobble(name: str, seed: int) -> float:
    """A seed's deviation from a setting's mean, small against all that the worlds differ by."""
    return 0.0 if name == BASE else float(np.random.default_rng([seed, *name.encode()]).uniform(-0.1, 0.1))


NOISE = {
    **dict.fromkeys((*SELECTORS, *LABELLED), (0.3, 0.3, 0.4, 0.4, 0.5, 0.5)),
    "dyb4": (0.3, 0.25, 0.25, 0.2, 0.2, 0.2),
}
TIMES = {"Rollout": 6.0, "Execution": 48.0, "Mutation": 36.0, "Calibration": 2.0, "RL training": 8.0}


def verdicts(found: list[Finding]) -> dict[str, Verdict]:
    return {finding.claim: finding.verdict for finding in found}


def test_the_papers_world_bears_out_all_of_its_findings() -> None:
    found = findings(evidence(PAPER, NOISE, TIMES))
    assert len(found) == len(verdicts(found)) == 21
    assert {claim: v for claim, v in verdicts(found).items() if v is not YES} == {}


def test_a_world_turned_upside_down_bears_out_none() -> None:
    means = {name: (80 - code, 80 - test) for name, (code, test) in PAPER.items()}
    means["oracle"], means["labels-50"] = (60, 60), (60, 60)
    for name in SELECTORS:
        means[name] = (20, 20)
    means["maxpass"] = (25, 25)
    noise = {name: values[::-1] for name, values in NOISE.items()} | {"dyb4": (0.6,) * 6}
    times = {"Rollout": 50.0, "Execution": 10.0, "Mutation": 10.0, "Calibration": 20.0, "RL training": 10.0}
    found = findings(evidence(means, noise, times))
    assert {claim: v for claim, v in verdicts(found).items() if v is not NO} == {}


def test_without_runs_nothing_is_decided() -> None:
    found = findings(evidence({}))
    assert set(verdicts(found).values()) == {OPEN}
    assert all(part.found is None or not part.found.values for finding in found for part in finding.parts)


def test_one_seed_decides_nothing() -> None:
    assert set(verdicts(findings(evidence(PAPER, NOISE, TIMES, seeds=(0,)))).values()) == {OPEN}


def world(**changed: tuple[float, float]) -> dict[str, Verdict]:
    means = PAPER | {name.replace("_", "-"): value for name, value in changed.items()}
    return verdicts(findings(evidence(means, NOISE, TIMES)))


def holds(found: dict[str, Verdict], words: str) -> Verdict:
    (claim,) = [claim for claim in found if words in claim]
    return found[claim]


def test_both_roles_must_gain() -> None:
    assert holds(world(dyb4=(50, 29)), "DyB4 improves both roles") is NO
    assert holds(world(dyb4=(50, 29)), "same labels in test generation") is NO
    assert holds(world(dyb4=(50, 29)), "same labels in code generation") is YES


def test_a_selector_ahead_of_all_others_in_both_roles_dominates() -> None:
    assert holds(world(codet=(48, 58)), "dominates") is NO
    assert holds(world(codet=(44, 58)), "dominates") is OPEN  # level with B4 (4,3) for the coder: nobody is ahead of it


def test_the_filter_must_rise_and_fall() -> None:
    claim = "first improve and then degrade"
    assert holds(world(tau_4=(60, 70)), claim) is NO
    assert holds(world(tau_4=(60, 45)), claim) is NO  # the coder only rises
    assert holds(world(tau_1=(31, 32), tau_3=(31, 32)), claim) is YES  # tau = 2 does it alone
    assert holds(world(tau_1=(31, 32)), "above the base model") is YES
    assert holds(world(tau_1=(31, 32)), "unfiltered") is NO


def test_one_selector_that_drifts_is_enough() -> None:
    falling = dict.fromkeys(SELECTORS, (0.5, 0.5, 0.4, 0.4, 0.3, 0.3))
    claim = "Selector drift"
    assert holds(verdicts(findings(evidence(PAPER, NOISE | falling))), claim) is NO
    assert holds(verdicts(findings(evidence(PAPER, NOISE | falling | {"codet": NOISE["codet"]}))), claim) is YES


def test_drift_compares_the_last_third_with_the_first() -> None:
    (finding,) = [f for f in findings(evidence(PAPER, NOISE)) if "drift" in f.claim]
    assert finding.parts[0].found is not None and finding.parts[0].found.mean == pytest.approx(20.0, abs=0.1)


def test_the_noise_before_training_says_nothing_about_selectors() -> None:
    (finding,) = [f for f in findings(evidence(PAPER, NOISE)) if "lower selection noise" in f.claim]
    assert finding.parts[0].found is not None
    assert finding.parts[0].found.mean == pytest.approx(100 * (2.1 / 5 - 1.1 / 5), abs=0.1)


def test_comparable_is_within_half_of_the_gain_over_base() -> None:
    """Ten labels gain 20 and 30 over base, ground truth 21 and 31."""
    assert holds(world(labels_50=(59, 74)), "insensitive") is YES
    assert holds(world(labels_50=(61, 74)), "insensitive") is NO
    assert holds(world(oracle=(90, 61)), "ground truth") is NO  # dyb4 has 20 of its 60
    assert holds(world(oracle=(69, 61)), "ground truth") is YES
    (finding,) = [f for f in findings(evidence(PAPER)) if "insensitive" in f.claim]
    assert finding.parts[0].name == "CAvg: labels-5 − labels-10, margin 10.0"


def test_the_interval_shown_is_the_one_that_decides() -> None:
    (finding,) = [f for f in findings(evidence(PAPER)) if "DyB4 improves both roles" in f.claim]
    part = finding.parts[0]
    assert part.found is not None and part.among == Among(sunk=2)
    assert part.interval == part.found.interval()
    assert replace(part, verdict=OPEN).interval == part.found.interval(2)


def test_differences_pair_seeds_and_problems() -> None:
    """Two selectors against base: values by hand, replicates drawn alike, a seed without its partner left out."""
    scores = evidence(PAPER).scores
    base = {s: {CAVG: Score(30.0, np.array([29.0, 31.0]))} for s in SEEDS}
    one = {0: {CAVG: Score(40.0, np.array([38.0, 42.0]))}, 1: {CAVG: Score(44.0, np.array([44.0, 44.0]))}}
    two = {0: {CAVG: Score(42.0, np.array([42.0, 42.0]))}, 1: {}, 2: one[0]}
    found = difference({**scores, BASE: base, "codet": one, "maxpass": two}, ["codet", "maxpass"], BASE, CAVG)
    assert found is not None and found.values == (11.0,)
    assert found.from_problems == pytest.approx(np.var([40 - 29, 42 - 31], ddof=1))  # paired: it cancels


def test_the_papers_own_differences_stand_beside_ours() -> None:
    parts = {part.name: part.paper for finding in findings(evidence({})) for part in finding.parts}
    assert parts["CAvg: dyb4 − base"] == pytest.approx(42.2 - 34.7)
    assert parts["TAvg: dyb4 − dyb4-no-mutation"] == pytest.approx(54.1 - 51.9)
    assert parts["CAvg: base − offline"] == pytest.approx(34.7 - 31.1)
    assert parts["CAvg: tau-1 − base"] is None
