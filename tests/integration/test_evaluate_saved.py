"""Answers that outlive their evaluation: killed and gone on with, scored again, and made elsewhere."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

import zerocoder.nano
from zerocoder.datasets.humaneval import HumanEval
from zerocoder.datasets.mbpp import Mbpp
from zerocoder.problems import Problem

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
COMMAND = [sys.executable, str(ROOT / "evaluate.py")]
NANO = ("model.path=nano", "benchmarks=builtin", "limit=6", "n=2", "temperature=0.7", "top_p=0.9", "k=[1,2,5]")
QUICK = ("accelerator=cpu", "threads=1", "verifier.workers=1", "rollout.batch_size=2")

needs_nano = pytest.mark.skipif(
    not (Path(zerocoder.nano.MODEL_DIR) / "config.json").exists(), reason="zerocoder-nano has not been made yet"
)


def evaluate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"COLUMNS": "200"}
    return subprocess.run([*COMMAND, *arguments], cwd=folder, capture_output=True, text=True, timeout=600, env=env)


def results(folder: Path) -> Any:
    """results.json without what is measured in seconds and what was typed."""

    def cut(value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {k: cut(v) for k, v in value.items() if k not in ("seconds", "machine_factor", "settings")}

    return cut(json.loads((folder / "results.json").read_text()))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation that nothing disturbed: two answers to six problems in each role."""
    folder = tmp_path_factory.mktemp("whole")
    done = evaluate(folder, *NANO, *QUICK, "output=out")
    assert done.returncode == 0, done.stderr
    return folder / "out"


def stop_when_answered(folder: Path, count: int, number: int, *arguments: str) -> tuple[int, str]:
    """Start an evaluation and send it a signal once `count` answers are on disk; its status and stderr."""
    process = subprocess.Popen([*COMMAND, *arguments], cwd=folder, stderr=subprocess.PIPE, text=True)
    file = folder / "out" / "generations" / "nano.jsonl"
    while process.poll() is None and not (file.exists() and file.read_bytes().count(b"\n") > count):
        time.sleep(0.01)
    process.send_signal(number)
    assert process.stderr is not None
    stderr = process.stderr.read()
    return process.wait(timeout=60), stderr


@needs_nano
def test_the_scores_are_those_of_n_answers(whole: Path) -> None:
    rows = [json.loads(line) for line in (whole / "items" / "nano" / "builtin.jsonl").read_text().splitlines()]
    correct = [[c["correct"] for c in row["coder"]] for row in rows]
    assert [len(c) for c in correct] == [2] * 6
    scores = json.loads((whole / "results.json").read_text())["models"]["nano"]["builtin"]
    assert scores["pass_at"] == pytest.approx({"1": sum(map(sum, correct)) / 12, "2": sum(map(any, correct)) / 6})
    texts = [{answer["answer"]["text"] for answer in row["coder"]} for row in rows]
    assert any(len(different) == 2 for different in texts)


@needs_nano
def test_a_killed_evaluation_goes_on(whole: Path, tmp_path: Path) -> None:
    status, _ = stop_when_answered(tmp_path, 5, signal.SIGKILL, *NANO, *QUICK, "output=out")
    file = tmp_path / "out" / "generations" / "nano.jsonl"
    assert status == -signal.SIGKILL
    assert not (tmp_path / "out" / "results.json").exists()
    with file.open("ab") as torn:
        torn.write(b'{"benchmark": "builtin", "prob')
    before = file.read_bytes().splitlines()[:-1]
    refused = evaluate(tmp_path, *NANO, *QUICK, "output=out", "temperature=0.8")
    assert refused.returncode == 2
    assert "output=out was started with temperature=0.7 (now 0.8); repeat the settings" in refused.stderr
    unfinished = evaluate(tmp_path, "rescore=out")
    assert unfinished.returncode == 2
    assert f"nano has {len(before) - 1} of 24 answers to builtin: its evaluation was stopped" in unfinished.stderr

    done = evaluate(tmp_path, *NANO, *QUICK, "output=out")
    assert done.returncode == 0, done.stderr
    assert f"nano: {len(before) - 1} of 24 answers are in out/generations/nano.jsonl" in done.stderr
    assert file.read_bytes().splitlines()[: len(before)] == before
    assert results(tmp_path / "out") == results(whole)
    again = evaluate(tmp_path, "rescore=out", "output=again", "verifier.workers=1", "k=[1,2,5]")
    assert again.returncode == 0, again.stderr
    assert results(tmp_path / "again") == results(whole)


@pytest.mark.slow
@needs_nano
def test_an_interrupt_says_how_to_go_on(whole: Path, tmp_path: Path) -> None:
    status, stderr = stop_when_answered(tmp_path, 3, signal.SIGINT, *NANO, *QUICK, "output=out")
    assert status == 130
    assert "the answers so far are saved; to go on, give the same command with output=out" in stderr
    assert stderr.splitlines()[-1] == "interrupted"
    assert "Traceback" not in stderr
    assert evaluate(tmp_path, *NANO, *QUICK, "output=out").returncode == 0
    assert results(tmp_path / "out") == results(whole)


@pytest.mark.slow
@needs_nano
def test_a_finished_evaluation_has_nothing_left_to_ask(whole: Path) -> None:
    before = results(whole)
    done = evaluate(whole.parent, *NANO, *QUICK, "output=out")
    assert done.returncode == 0, done.stderr
    assert "nano: 24 of 24 answers are in" in done.stderr
    assert results(whole) == before
    other = evaluate(whole.parent, "rescore=out", "benchmarks=jsonl:mine.jsonl")
    assert other.returncode == 2


def answer(problem: Problem, text: str) -> dict[str, str]:
    return {"problem": problem.id, "role": "coder", "text": f"Here it is.\n\n```python\n{text}\n```\n"}


def right(problem: Problem) -> str:
    assert problem.label is not None
    return problem.label.solution


def broken(problem: Problem) -> str:
    return f"def {problem.entry_point}(*arguments):\n    raise NotImplementedError"


def write_answers(file: Path, problems: Iterable[Problem], texts: Iterator[Callable[[Problem], str]]) -> list[Problem]:
    """One answer a problem; the problems that were answered right."""
    chosen = [(problem, next(texts)) for problem in problems]
    file.write_text("".join(json.dumps(answer(p, make(p))) + "\n" for p, make in chosen))
    return [p for p, make in chosen if make is right]


@pytest.mark.skipif(not DATA.is_dir(), reason="the data sets' real rows are not here")
def test_references_score_all_broken_answers_nothing_and_a_mixture_its_share(tmp_path: Path) -> None:
    """The proof that answers are scored right, on every real row of MBPP and HumanEval that is here."""
    mbpp = Mbpp(str(DATA / "mbpp.jsonl")).heldout()
    humaneval = HumanEval(str(DATA / "HumanEval.jsonl.gz")).heldout()
    assert len(mbpp) > 300
    assert len(humaneval) > 100

    def forever(*makers: Callable[[Problem], str]) -> Iterator[Callable[[Problem], str]]:
        while True:
            yield from makers

    problems = [*mbpp, *humaneval]
    write_answers(tmp_path / "right.jsonl", problems, forever(right))
    write_answers(tmp_path / "broken.jsonl", problems, forever(broken))
    solved = {
        p.id for p in write_answers(tmp_path / "mixed.jsonl", problems, forever(right, broken, broken, right, right))
    }
    done = evaluate(
        tmp_path,
        f"benchmarks=mbpp:{DATA / 'mbpp.jsonl'},humaneval:{DATA / 'HumanEval.jsonl.gz'}",
        "answers=right.jsonl,broken.jsonl,mixed.jsonl",
        "output=out",
    )
    assert done.returncode == 0, done.stderr
    models = json.loads((tmp_path / "out" / "results.json").read_text())["models"]
    assert list(models) == ["right.jsonl", "broken.jsonl", "mixed.jsonl"]
    for name, ids in (("mbpp", [p.id for p in mbpp]), ("humaneval", [p.id for p in humaneval])):
        share = sum(id in solved for id in ids) / len(ids)
        assert math.isclose(share, 0.6, abs_tol=0.01)
        for file, expected in (("right.jsonl", 1.0), ("broken.jsonl", 0.0), ("mixed.jsonl", share)):
            scores = models[file][name]
            assert scores["pass_at"]["1"] == pytest.approx(expected, abs=1e-12), (file, name)
            assert (scores["problems"], scores["programs"], scores["infra"]) == (len(ids), len(ids), 0)
            assert scores["test_accuracy"] is None  # nobody was asked for tests
