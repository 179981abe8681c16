"""The rank pre-filter: what it keeps, what it remembers, and that a cut-off measurement goes on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from scripted import DOUBLE, DOUBLE_SOLUTIONS, DOUBLE_TESTS, fenced, scripted_sampler
from tiny import tiny_policy

from zerocoder import prefilter
from zerocoder.config import TestUnit
from zerocoder.execution import Executor, ProcessExecutor
from zerocoder.prefilter import FilterReport, fingerprint, keep_diverse, measure_ranks
from zerocoder.problems import Problem, ZeroCoderError
from zerocoder.rollout.sampler import Sampler

PROBLEMS = [replace(DOUBLE, id=name, statement=f"Double {name}.") for name in ("diverse", "agreed", "hopeless")]
RANKS = [2, 1, 0]


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with ProcessExecutor(workers=1) as running:
        yield running


def sampler() -> Sampler:
    solutions = {p.statement: DOUBLE_SOLUTIONS for p in PROBLEMS}
    tests = {
        "Double diverse.": DOUBLE_TESTS,
        "Double agreed.": [fenced("assert double(3) == 6")],
        "Double hopeless.": [fenced("assert double(3) == 7")],
    }
    return scripted_sampler(solutions, tests)


def measured(executor: Executor, cache: Path, problems: list[Problem], using: Sampler) -> dict[str, int]:
    return measure_ranks(problems, using, executor, TestUnit.ANSWER, cache, lambda n: None)


@pytest.mark.parametrize(("tau", "kept"), [(1, ["diverse", "agreed"]), (2, ["diverse"])])
def test_keeps_problems_of_at_least_the_rank(executor: Executor, tmp_path: Path, tau: int, kept: list[str]) -> None:
    ranks = measured(executor, tmp_path / "r.jsonl", PROBLEMS, sampler())
    assert list(ranks.values()) == RANKS
    problems, report = keep_diverse(PROBLEMS, ranks, tau)
    assert [p.id for p in problems] == kept
    assert (report.kept, report.dropped, report.ranks) == (len(kept), 3 - len(kept), {2: 1, 1: 1, 0: 1})


def test_nothing_left_says_what_to_change(executor: Executor, tmp_path: Path) -> None:
    ranks = measured(executor, tmp_path / "r.jsonl", PROBLEMS, sampler())
    with pytest.raises(ZeroCoderError, match=r"keeps none of 3 problems: the highest rank is 2, data.tau is 3; lower"):
        keep_diverse(PROBLEMS, ranks, 3)


def test_a_second_measurement_reads_the_cache(executor: Executor, tmp_path: Path) -> None:
    cache = tmp_path / "cache" / "r.jsonl"
    first = measured(executor, cache, PROBLEMS, sampler())
    again = sampler()
    assert measured(executor, cache, PROBLEMS, again) == first
    assert again.engine.asked == []  # type: ignore[attr-defined]


def test_a_cut_off_measurement_goes_on(executor: Executor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefilter, "PROBLEMS_AT_ONCE", 1)
    cache, using = tmp_path / "r.jsonl", sampler()
    del using.engine.scripts["Test"]["Double hopeless."]  # type: ignore[attr-defined]
    with pytest.raises(KeyError):
        measured(executor, cache, PROBLEMS, using)
    rest = sampler()
    assert list(measured(executor, cache, PROBLEMS, rest).values()) == RANKS
    assert all("hopeless" in prompt for prompt in rest.engine.asked)  # type: ignore[attr-defined]


def test_an_edited_statement_is_measured_anew(executor: Executor, tmp_path: Path) -> None:
    cache, using = tmp_path / "r.jsonl", sampler()
    measured(executor, cache, PROBLEMS[:1], using)
    edited = replace(PROBLEMS[0], statement="Double agreed.")
    assert keep_diverse([edited], measured(executor, cache, [edited], sampler()), 0)[1].ranks == {1: 1}


def test_labels_are_not_part_of_what_is_measured() -> None:
    assert prefilter.problem_key(DOUBLE) == prefilter.problem_key(DOUBLE.unlabelled())


def test_fingerprint_knows_weights_and_settings() -> None:
    policy = tiny_policy()
    base = fingerprint(policy, {"temperature": 0.7})
    assert base == fingerprint(tiny_policy(), {"temperature": 0.7})
    assert base != fingerprint(policy, {"temperature": 0.8})
    with torch.no_grad():
        policy.model.layers[1].mlp.up_proj.weight[3, 4] += 1e-4
    assert base != fingerprint(policy, {"temperature": 0.7})


def test_report_draws_a_histogram() -> None:
    lines = FilterReport(2, {0: 10, 1: 5, 2: 20}).lines()
    assert lines[0] == "rank pre-filter: kept 20, dropped 15 (rank < tau = 2)"
    assert lines[1].split() == ["rank", "0", "#" * 15, "10", "dropped"]
    assert lines[3].split() == ["rank", "2", "#" * 30, "20"]
