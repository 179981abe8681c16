"""Tables and files of an evaluation."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import pytest
from rich.console import Console
from rich.table import Table

from zerocoder.evaluation import report
from zerocoder.evaluation.records import Answer, CoderItem, Item, Scores, TesterItem, read_summary, score
from zerocoder.evaluation.report import comparison_table, markdown, results_table, summary, write_report
from zerocoder.problems import TestCase

ANSWER = Answer("00", "text with \ud800 and | and [bold]", False, None)


def item(name: str, correct: bool | None, tester: bool = True) -> Item:
    tests = (TestCase(code="assert f() == 1"), TestCase(code="assert f() == 2"))
    turn = TesterItem(ANSWER, tests, ("pass", "fail"), (True, False), (0.5, 0.0), 2)
    return Item(name, "", "", (CoderItem(ANSWER, "x = 1", ("pass",), correct),), (turn,) if tester else ())


BEFORE = score([item("a", True), item("b", False)], 1.0)
AFTER = score([item("a", True), item("b", True)], 2.0)
CODER_ONLY = score([item("a", True, tester=False)], 3.0)


def shown(table: Table) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(table)
    return console.export_text()


def test_scores_follow_from_the_items() -> None:
    assert (BEFORE.pass_at_1, BEFORE.test_accuracy, BEFORE.mutation_score) == (0.5, 0.5, 0.25)
    assert (BEFORE.problems, BEFORE.programs, BEFORE.tests, BEFORE.mutation_tests) == (2, 2, 4, 4)
    assert score([*BEFORE.items, *AFTER.items], 3.0).pass_at_1 == 0.75  # two processes' items, put together


def test_before_and_after_side_by_side() -> None:
    text = shown(comparison_table({"before": BEFORE, "after": AFTER}, title="held-out problems"))
    assert "held-out problems" in text
    assert "before" in text
    assert "100.0 % (+50.0)" in text
    assert "25.0 % (+0.0)" in text
    assert "benchmark" not in text


def test_models_and_benchmarks_are_shown_together() -> None:
    text = shown(results_table({"m/[red]": {"builtin": BEFORE, "lcb": CODER_ONLY}, "n": {"builtin": AFTER}}))
    assert "m/[red]" in text
    assert text.count("builtin") == 1
    lcb = text[text.index("lcb") :]
    assert "coder Pass@1" in lcb
    assert "test accuracy" not in lcb  # nothing of the tester was measured
    assert "-" in lcb


def test_markdown() -> None:
    lines = markdown({"a|b": {"builtin": BEFORE}, "n": {"builtin": AFTER}}).splitlines()
    assert lines[:3] == [
        "| benchmark | metric | a\\|b | n |",
        "| --- | --- | ---: | ---: |",
        "| builtin | coder Pass@1 | 50.0 % | 100.0 % (+50.0) |",
    ]


def test_the_summary_is_json_without_nan() -> None:
    values = json.loads(json.dumps(summary(CODER_ONLY), allow_nan=False))
    assert values["pass_at"] == {"1": 1.0}
    assert values["test_accuracy"] is None
    assert "items" not in values


def test_the_files_of_a_report(tmp_path: Path) -> None:
    models = {"runs/x y": {"builtin": BEFORE}, "runs/x_y": {"builtin": AFTER}}
    write_report(tmp_path / "out", models, {"seed": 1})
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    assert document["settings"] == {"seed": 1}
    assert document["models"]["runs/x_y"]["builtin"]["pass_at"] == {"1": 1.0}
    assert (tmp_path / "out" / "results.md").read_text() == markdown(models)
    assert sorted(p.name for p in (tmp_path / "out" / "items").iterdir()) == ["runs_x_y", "runs_x_y-2"]
    rows = (tmp_path / "out" / "items" / "runs_x_y" / "builtin.jsonl").read_text().splitlines()
    assert [json.loads(r)["problem"] for r in rows] == ["a", "b"]
    assert json.loads(rows[0])["coder"][0]["answer"]["text"] == "text with \ud800 and | and [bold]"
    assert json.loads(rows[0])["tester"][0]["kills"] == [0.5, 0.0]


def test_a_report_that_fails_halfway_has_no_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(models: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(report, "markdown", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_report(tmp_path / "out", {"m": {"builtin": BEFORE}})
    assert not (tmp_path / "out" / "results.json").exists()


def test_scores_of_nothing_are_not_numbers() -> None:
    empty: Scores = score([], 0.0)
    assert all(map(math.isnan, (empty.pass_at_1, empty.test_accuracy, empty.coder_format_errors)))


def test_the_summary_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps(summary(CODER_ONLY)))
    again = read_summary(tmp_path / "s.json")
    assert again.pass_at_1 == 1.0
    assert math.isnan(again.test_accuracy)
    assert (again.problems, again.items) == (1, ())


def outcomes(name: str, *correct: bool | None) -> Item:
    return Item(name, "", "", tuple(CoderItem(ANSWER, "x = 1", ("pass",), c) for c in correct), ())


def test_pass_at_k_of_n_answers() -> None:
    items = [outcomes("a", True, False, False), outcomes("b", False, False, False), outcomes("c", True, None, True)]
    scores = score(items, 1.0, ks=(1, 2, 3, 5))
    # One answer of c is not known: it is measured on two, and left out of Pass@3.
    assert scores.pass_at == pytest.approx({1: (1 / 3 + 0 + 1) / 3, 2: (2 / 3 + 0 + 1) / 3, 3: (1 + 0) / 2})
    assert (scores.problems, scores.programs, scores.infra) == (3, 8, 1)
