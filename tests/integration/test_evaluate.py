"""`python evaluate.py` as a user starts it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny import tiny_policy, tiny_tokenizer

import zerocoder.nano

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, str(ROOT / "evaluate.py")]
NANO = Path(zerocoder.nano.MODEL_DIR)
PROBLEMS = [
    {
        "id": name,
        "statement": f"Return the {name} of two numbers.",
        "entry_point": name,
        "solution": f"def {name}(a, b):\n    return {body}",
        "tests": [f"assert {name}(5, 3) == {result}"],
    }
    for name, body, result in (("sum", "a + b", 8), ("difference", "a - b", 2))
]


OFFLINE = {key: value for key, value in os.environ.items() if key != "ZEROCODER_DATA"} | {"HF_HUB_OFFLINE": "1"}


def evaluate(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], cwd=folder, capture_output=True, text=True, timeout=600, env=env)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two random models and two problems, where the commands are typed."""
    folder = tmp_path_factory.mktemp("evaluate")
    for seed in (0, 1):
        tiny_policy(seed).save_pretrained(folder / f"tiny-{seed}")
        tiny_tokenizer().save_pretrained(folder / f"tiny-{seed}")
    tiny_policy(0).save_pretrained(folder / "no-tokenizer")
    shutil.copytree(folder / "tiny-0", folder / "no-template")
    (folder / "no-template" / "chat_template.jinja").unlink()
    (folder / "problems.jsonl").write_text("".join(json.dumps(p) + "\n" for p in PROBLEMS))
    return folder


@pytest.mark.skipif(not (NANO / "config.json").exists(), reason="zerocoder-nano has not been made yet")
def test_nano_on_the_builtin_problems(tmp_path: Path) -> None:
    done = evaluate(tmp_path, "model.path=nano", "benchmarks=builtin", "limit=4", "verifier.workers=1")
    assert done.returncode == 0, done.stderr
    assert "coder Pass@1" in done.stdout
    assert "mutation score" in done.stdout
    (folder,) = (tmp_path / "runs" / "evaluate").iterdir()
    scores = json.loads((folder / "results.json").read_text())["models"]["nano"]["builtin"]
    assert scores["problems"] == scores["programs"] == 4
    rows = [json.loads(line) for line in (folder / "items" / "nano" / "builtin.jsonl").read_text().splitlines()]
    assert len(rows) == 4
    passed = [bool(r["coder"][0]["verdicts"]) and set(r["coder"][0]["verdicts"]) == {"pass"} for r in rows]
    assert sum(passed) / 4 == scores["pass_at"]["1"]
    assert "coder Pass@1" in (folder / "results.md").read_text()
    assert "4 problems (4 of 158 (seed 0))" in " ".join(done.stdout.split())
    assert len((folder / "generations" / "nano.jsonl").read_text().splitlines()) == 1 + 4 + 4


def test_two_models_side_by_side_on_a_users_problems(workplace: Path) -> None:
    done = evaluate(
        workplace,
        "model.path=./tiny-0",
        "compare=[./tiny-1]",
        "benchmarks=jsonl:problems.jsonl",
        "output=out",
        "rollout.max_new_tokens=24",
        "accelerator=cpu",
        "verifier.workers=1",
    )
    assert done.returncode == 0, done.stderr
    results = json.loads((workplace / "out" / "results.json").read_text())
    assert list(results["models"]) == ["./tiny-0", "./tiny-1"]
    assert results["settings"]["./tiny-1"]["model"]["path"] == "./tiny-1"
    for model in results["models"].values():
        assert model["jsonl"]["pass_at"]["1"] == 0.0
        assert model["jsonl"]["coder_format_errors"] == 1.0  # random weights write no program
        assert model["jsonl"]["too_long"] == 0
    items = {path.parent.name: path.read_text() for path in (workplace / "out" / "items").glob("*/jsonl.jsonl")}
    assert set(items) == {"tiny-0", "tiny-1"}
    assert items["tiny-0"] != items["tiny-1"]
    assert {path.name for path in (workplace / "out" / "generations").iterdir()} == {"tiny-0.jsonl", "tiny-1.jsonl"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model.path=./missing"], "model.path=./missing: there is no such folder"),
        (["model.path=./tiny-0", "compare=[./missing]"], "model.path=./missing: there is no such folder"),
        (["model.path=./tiny-0", "benchmarks=mbpp,humanevl"], "did you mean 'humaneval'?"),
        (["model.path=./tiny-0", "benchmarks=mbpp"], "put mbpp.jsonl or full/*.parquet under $ZEROCODER_DATA/mbpp/ or"),
        (["model.path=./tiny-0", "benchmarks=mbpp:problems.jsonl"], "problems.jsonl:1: no row of MBPP"),
        (["model.path=./tiny-0", "benchmarks=jsonl:missing.jsonl"], "benchmarks=jsonl:missing.jsonl: there is no such"),
        (["model.path=./no-tokenizer"], "has no tokenizer (save the tokenizer beside the model)"),
        (["model.path=./no-template"], "its tokenizer has no chat template"),
        (["model.path=./tiny-0", "output=tiny-0"], "output=tiny-0 exists already"),
        (["model.path=./tiny-0", "output=problems.jsonl/out"], "problems.jsonl is no folder"),
        (["model.path=./tiny-0", "output=/proc/x"], "output=/proc/x: /proc is no folder that can be written to"),
        (["model.path=./tiny-0", "limits=3"], "unknown key 'limits'; did you mean 'limit'?"),
        (["rescore=tiny-0"], "rescore=tiny-0 holds no answers of an evaluation"),
        (["answers=problems.jsonl"], 'problems.jsonl:1: the field "problem" must be a problem\'s id, got null'),
        (
            ["model.path=./tiny-0", "benchmarks=jsonl:problems.jsonl", "rollout.max_new_tokens=1024"],
            "leaves no room for a prompt in the 1024 tokens of ./tiny-0",
        ),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(workplace: Path, arguments: list[str], message: str) -> None:
    before = sorted(workplace.rglob("*"))
    if not any(a.startswith("benchmarks=") for a in arguments):
        arguments = [*arguments, "benchmarks=jsonl:problems.jsonl"]
    done = evaluate(workplace, *arguments, env=OFFLINE)
    assert done.returncode == 2, done.stderr
    assert message in " ".join(done.stderr.split())
    assert done.stderr.count("error:") == 1
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert sorted(workplace.rglob("*")) == before


def interrupted(folder: Path, when: Callable[[str], bool], number: int, *arguments: str) -> tuple[int, str]:
    """Start an evaluation, send it a signal when a line of its stderr says so; its status and the rest of stderr."""
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if when(line):
            break
    process.send_signal(number)
    rest = process.stderr.read()
    status = process.wait(timeout=60)
    assert _gone(process.pid)
    return status, rest


def test_an_interrupt_before_the_first_answer_leaves_nothing(workplace: Path) -> None:
    before = sorted(workplace.rglob("*"))
    arguments = ("model.path=./tiny-0", "benchmarks=jsonl:problems.jsonl", "rollout.max_new_tokens=300")
    # the executor runs, the model is loaded next
    status, rest = interrupted(
        workplace, lambda line: line.startswith("isolation"), signal.SIGINT, *arguments, "output=stopped"
    )
    assert (status, rest.splitlines()[-1:]) == (130, ["interrupted"])
    assert sorted(workplace.rglob("*")) == before


def _gone(group: int) -> bool:
    """Whether no process of the session is left, in a moment."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False
