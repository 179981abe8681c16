"""The paper's columns out of benchmarks, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from measured import item

from zerocoder.evaluation.bootstrap import interval
from zerocoder.evaluation.columns import COLUMNS, column_estimates
from zerocoder.evaluation.measures import measure
from zerocoder.evaluation.records import Answer, Item, Scores, score

NO_TEST = Answer("00", "prose", False, "no fenced code")


def one(*benchmarks: Scores) -> dict[str, float]:
    """The column values of one model."""
    named = {f"b{n}": scores for n, scores in enumerate(benchmarks)}
    return {key: e.value for key, e in column_estimates({"m": named})["m"].items()}


def coders(source: str, difficulty: str, *correct: bool) -> list[Item]:
    return [
        item(f"{source}/{difficulty}{n}", c, tester=False, source=source, difficulty=difficulty)
        for n, c in enumerate(correct)
    ]


MBPP = [item("mbpp/1", True, source="mbpp"), item("mbpp/2", False, source="mbpp")]
APPS = (
    coders("apps", "introductory", True, True, False, True)
    + coders("apps", "interview", False, True)
    + coders("apps", "competition", False)
)


def test_columns_by_source_and_difficulty() -> None:
    values = one(score(MBPP, 1.0), score(APPS, 1.0))
    assert values == {
        "mbpp": 0.5,
        "apps_intro": 0.75,
        "apps_inter": 0.5,
        "apps_comp": 0.0,
        "mbpp_acc": 0.5,
        "mbpp_mut": 0.25,
    }


def test_averages_are_there_when_all_their_columns_are() -> None:
    lcb = [item("livecodebench/1", True, source="livecodebench", difficulty="hard")]
    values = one(score([*MBPP, *APPS, *lcb], 1.0), score(coders("codeforces", "1500", True, False, False), 1.0))
    cavg = (1 + 0.5 + 0.75 + 0.5 + 0 + 1 / 3) / 6
    tavg = (0.5 + 0.25 + 0.5 + 0.25) / 4
    assert values["cavg"] == pytest.approx(cavg)
    assert values["tavg"] == pytest.approx(tavg)
    assert values["avg"] == pytest.approx((cavg + tavg) / 2)
    assert list(values) == [c.key for c in COLUMNS]


def test_roles_of_one_data_set_may_be_measured_on_different_problems() -> None:
    code = [item(f"livecodebench/c{n}", n < 3, tester=False, source="livecodebench") for n in range(4)]
    tests = [item("livecodebench/t", source="livecodebench")]
    assert one(score(code, 1.0), score(tests, 1.0)) == {"lcb": 0.75, "lcb_acc": 0.5, "lcb_mut": 0.25}


def test_a_problem_that_two_benchmarks_share_counts_once() -> None:
    assert one(score(MBPP, 1.0), score([item("mbpp/2", True, source="mbpp")], 1.0))["mbpp"] == 0.5


def test_other_data_sets_have_no_column() -> None:
    assert one(score([item("humaneval/0", True, source="humaneval")], 1.0)) == {}


def test_the_interval_of_an_average_resamples_within_its_columns() -> None:
    """Independent columns: the variance of the mean is the sum of the columns' variances over the square of six."""
    rng = np.random.default_rng(0)
    items: list[Item] = []
    variance = 0.0
    for source, difficulty, count in [
        ("livecodebench", "hard", 160), ("mbpp", "", 500), ("apps", "introductory", 60), ("apps", "interview", 180),
        ("apps", "competition", 60), ("codeforces", "1200", 300),
    ]:  # fmt: skip
        solved = [bool(x) for x in rng.random(count) < 0.4]
        items += coders(source, difficulty, *solved)
        variance += np.mean(solved) * (1 - np.mean(solved)) / count / 36
    estimate = column_estimates({"m": {"all": score(items, 1.0)}})["m"]["cavg"]
    found = interval(estimate.replicates)
    assert found is not None
    assert found.high - found.low == pytest.approx(2 * 1.96 * math.sqrt(variance), rel=0.04)
    assert estimate.problems == 1260


MIXED = [
    item("a", True, False, None, valid=(True, None), kills=(0.5, None)),
    item("b", None, valid=(False, False), kills=(0.0, 0.0), mutants=0),
    item("c", False, valid=(), kills=(), answer=NO_TEST),
    item("d", True, True, valid=(True,), kills=(None,)),
    item("e", tester=False),
]


@pytest.mark.parametrize(
    "metric",
    ["pass_at_1", "pass_at_2", "test_accuracy", "mutation_score", "coder_format_errors", "tester_format_errors"],
)
def test_measures_are_the_scores_that_are_printed(metric: str) -> None:
    scores = score(MIXED, 1.0, ks=(1, 2))
    printed = scores.pass_at[int(metric[-1])] if metric.startswith("pass_at") else getattr(scores, metric)
    assert measure(MIXED, metric).value == pytest.approx(printed)


def test_measures_by_hand() -> None:
    assert measure(MIXED, "pass_at_1").problems == {"a": (0.5, 1.0), "c": (0.0, 1.0), "d": (1.0, 1.0)}
    assert measure(MIXED, "test_accuracy").problems == {"a": (1, 1), "b": (0, 2), "c": (0, 1), "d": (1, 1)}
    assert measure(MIXED, "mutation_score").problems == {"a": (0.5, 1.0), "c": (0.0, 1.0)}
