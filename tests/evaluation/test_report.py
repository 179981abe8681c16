"""Tables and files of an evaluation."""

from __future__ import annotations

import io
import json
import math
import shutil
import subprocess
from pathlib import Path

import pytest
from measured import PROVENANCE, item, problems
from rich.console import Console, RenderableType

from zerocoder.evaluation.paper import published
from zerocoder.evaluation.records import Results, Scores, read_summary, score
from zerocoder.evaluation.report import comparison_table, files, make_sheet, summary, terminal_report, write_report
from zerocoder.evaluation.report.latex import latex
from zerocoder.evaluation.report.markdown import markdown

BEFORE = score([item("a", True), item("b", False)], 1.0)
AFTER = score([item("a", True), item("b", True)], 2.0)
CODER_ONLY = score([item("a", True, tester=False)], 3.0)
MBPP = score([item("mbpp/1", True, source="mbpp"), item("mbpp/2", False, source="mbpp")], 1.0)
HOSTILE = r"a|b_{%&$#~^\input{/etc/passwd}}<b>[red]*" + "\n" + r"\\[1pt]"


def shown(renderable: RenderableType, width: int = 140) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def write(folder: Path, results: Results, **more: object) -> None:
    listed = {name: problems(s.items) for scores in results.values() for name, s in scores.items()}
    provenance = {model: dict.fromkeys(scores, PROVENANCE) for model, scores in results.items()}
    write_report(folder, results, provenance, {model: {"seed": 1} for model in results}, listed, **more)  # type: ignore[arg-type]


def test_scores_follow_from_the_items() -> None:
    assert (BEFORE.pass_at_1, BEFORE.test_accuracy, BEFORE.mutation_score) == (0.5, 0.5, 0.25)
    assert (BEFORE.problems, BEFORE.programs, BEFORE.tests, BEFORE.mutation_tests) == (2, 2, 4, 4)
    assert score([*BEFORE.items, *AFTER.items], 3.0).pass_at_1 == 0.75  # two processes' items, put together


def test_before_and_after_side_by_side() -> None:
    text = shown(comparison_table({"before": BEFORE, "after": AFTER}, title="held-out problems"))
    assert "held-out problems" in text
    assert "before" in text
    # Of two problems one is solved in both and one anew: two draws of two can miss it, hit it once or twice.
    assert "50.0 [0.0, 100.0]" in text
    assert "+50.0 [+0.0, +100.0]" in text
    assert "25.0" in text
    assert "benchmark" not in text


def test_scores_without_items_have_no_intervals(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps(summary(BEFORE)))
    text = shown(comparison_table({"before": read_summary(tmp_path / "s.json"), "after": AFTER}))
    assert "+50.0 │" in text
    assert "[" not in text.split("Percent")[0]


def test_models_and_benchmarks_are_shown_together() -> None:
    results = {"m/[red]": {"builtin": BEFORE, "lcb": CODER_ONLY}, "n": {"builtin": AFTER}}
    text = shown(terminal_report(make_sheet(results)))
    assert "m/[red]" in text
    assert text.count("builtin") == 1
    assert "CAvg" not in text  # nothing of the paper's was measured
    lcb = text[text.index("lcb") :]
    assert "coder Pass@1" in lcb
    assert "test accuracy" not in lcb  # nothing of the tester was measured
    assert "-" in lcb


def test_pass_at_k_of_n_answers() -> None:
    items = [item("a", True, False, False), item("b", False, False, False), item("c", True, None, True)]
    scores = score(items, 1.0, ks=(1, 2, 3, 5))
    # One answer of c is not known: it is measured on two, and left out of Pass@3.
    assert scores.pass_at == pytest.approx({1: (1 / 3 + 0 + 1) / 3, 2: (2 / 3 + 0 + 1) / 3, 3: (1 + 0) / 2})
    assert (scores.problems, scores.programs, scores.infra) == (3, 8, 1)


def test_pass_at_k_has_its_lines() -> None:
    several = score([item("a", True, False, False), item("b", False, False, False)], 1.0, ks=(1, 3))
    [section] = make_sheet({"m": {"x": several}}).sections
    assert [(line.name, round(line.cells[0].value, 3)) for line in section.lines][:2] == [
        ("coder Pass@1", 0.167),
        ("coder Pass@3", 0.5),
    ]


@pytest.mark.parametrize("width", [80, 120])
def test_the_papers_table_fits_the_terminal(width: int) -> None:
    sheet = make_sheet({"m": {"mbpp": MBPP}}, published("qwen2.5-coder-7b"))
    text = shown(terminal_report(sheet), width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    assert text.count("CAvg ") >= 1
    assert "  Base Model" in text
    for number in ("15.1", "83.6", "39.1", "48.2"):
        assert number in text
    assert "Qwen2.5-Coder-7B-Instruct (paper)" in " ".join(text.split())
    assert "±50.0" in text
    assert "MBPP 2 (378), MBPP acc 2 (378), MBPP mut 2 (378)." in " ".join(text.split())
    assert "shown only where every column they are the mean of was measured" in " ".join(text.split())


def test_markdown() -> None:
    lines = markdown(make_sheet({"a|b": {"builtin": BEFORE}, "n": {"builtin": AFTER}}), {}).splitlines()
    at = lines.index("| benchmark | metric | a\\|b | n | difference |")
    assert lines[at + 2] == ("| builtin | coder Pass@1 | 50.0 [0.0, 100.0] | 100.0 | +50.0 \\[+0.0, +100.0\\] |")
    assert "## The paper's columns" not in lines


def test_markdown_of_hostile_names_stays_one_table() -> None:
    text = markdown(make_sheet({HOSTILE: {"mbpp": MBPP}}), {HOSTILE: {"mbpp": PROVENANCE}})
    rows = [line for line in text.splitlines() if line.startswith("|")]
    widths = {line.replace("\\\\", "").replace("\\|", "").count("|") for line in rows}
    assert widths == {15, 4, 3}  # the paper's columns, the benchmarks, the provenance
    assert "<b>" not in text.replace("\\<b", "")


def test_latex_prints_hostile_names_as_they_are() -> None:
    text = latex(make_sheet({HOSTILE: {"mbpp": MBPP}}, published("qwen3-4b")))
    assert "\\input" not in text
    assert "\\textbackslash{}input\\{/etc/passwd\\}" in text
    assert "a\\textbar{}b\\_\\{\\%\\&\\$\\#\\textasciitilde{}\\textasciicircum{}" in text
    body = [line for line in text.splitlines() if "&" in line.replace("\\&", "") and "multicolumn" not in line]
    assert {line.replace("\\&", "").count(" & ") for line in body} == {13, 2}
    for opened, closed in (("{", "}"), ("\\begin", "\\end")):
        plain = text.replace("\\{", "").replace("\\}", "")
        assert plain.count(opened) == plain.count(closed)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="no pdflatex on this machine")
def test_pdflatex_takes_hostile_names(tmp_path: Path) -> None:
    models = {HOSTILE: {"mbpp": MBPP}, "*star": {"mbpp": MBPP}, '[b] "q" `x\' ^^M €': {"mbpp": BEFORE}}
    (tmp_path / "results.tex").write_text(latex(make_sheet(models, published("qwen2.5-coder-7b"))))
    preamble = r"\documentclass{article}\usepackage[T1]{fontenc}\usepackage{textcomp}\usepackage{booktabs}"
    (tmp_path / "document.tex").write_text(preamble + r"\begin{document}\input{results}\end{document}")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "document.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


def test_the_summary_is_json_without_nan() -> None:
    values = json.loads(json.dumps(summary(CODER_ONLY), allow_nan=False))
    assert values["pass_at"] == {"1": 1.0}
    assert values["test_accuracy"] is None
    assert "items" not in values


def test_the_files_of_a_report(tmp_path: Path) -> None:
    models = {"runs/x y": {"builtin": BEFORE}, "runs/x_y": {"builtin": AFTER}}
    write(tmp_path / "out", models, published=published("qwen3-4b/base"))
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [
        "items", "results.html", "results.json", "results.md", "results.tex",
    ]  # fmt: skip
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    assert document["settings"]["runs/x_y"] == {"seed": 1}
    assert document["models"]["runs/x_y"]["builtin"]["pass_at"] == {"1": 1.0}
    assert document["provenance"]["runs/x y"]["builtin"]["left_out"] == {"no tests": 3}
    assert document["estimates"]["runs/x_y"]["builtin"]["pass_at_1"] == {
        "value": 1.0, "problems": 2, "interval": None, "difference": 0.5, "difference_interval": [0.0, 1.0],
    }  # fmt: skip
    assert document["published"][0]["values"]["lcb"] == pytest.approx(0.217)
    assert sorted(p.name for p in (tmp_path / "out" / "items").iterdir()) == ["runs_x_y", "runs_x_y-2"]
    rows = (tmp_path / "out" / "items" / "runs_x_y" / "builtin.jsonl").read_text().splitlines()
    assert [json.loads(r)["problem"] for r in rows] == ["a", "b"]
    assert json.loads(rows[0])["coder"][0]["answer"]["text"] == "text with \ud800 and | and [bold]"
    assert json.loads(rows[0])["tester"][0]["kills"] == [0.5, 0.0]


def test_the_same_results_make_the_same_files(tmp_path: Path) -> None:
    models = {"m": {"builtin": BEFORE}, "n": {"builtin": AFTER}}
    for name in ("one", "two"):
        write(tmp_path / name, models)
    for file in ("results.html", "results.json", "results.md", "results.tex"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_a_report_that_fails_halfway_has_no_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(files, "markdown", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "out", {"m": {"builtin": BEFORE}})
    assert not (tmp_path / "out" / "results.json").exists()


def test_provenance_tells_models_apart_where_they_differ(tmp_path: Path) -> None:
    from dataclasses import replace

    models = {"m": {"builtin": BEFORE}, "n": {"builtin": AFTER}}
    text = markdown(
        make_sheet(models), {"m": {"builtin": PROVENANCE}, "n": {"builtin": replace(PROVENANCE, prompts="cd34")}}
    )
    assert "| hash of the prompts | m: ab12; n: cd34 |" in text
    assert "| machine factor | 1.25 |" in text
    assert "| rows left out | no tests 3 |" in text
    assert "revision" not in text


def test_scores_of_nothing_are_not_numbers() -> None:
    empty: Scores = score([], 0.0)
    assert all(map(math.isnan, (empty.pass_at_1, empty.test_accuracy, empty.coder_format_errors)))


def test_the_summary_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps(summary(CODER_ONLY)))
    again = read_summary(tmp_path / "s.json")
    assert again.pass_at_1 == 1.0
    assert math.isnan(again.test_accuracy)
    assert (again.problems, again.items) == (1, ())
