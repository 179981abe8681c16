"""`python -m zerocoder.datasets check`: the share of references that pass, why the rest does not, and exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from zerocoder import __version__
from zerocoder.datasets.__main__ import run
from zerocoder.problems import ZeroCoderError

SETTINGS = ("verifier.workers=1", "verifier.cache_mb=0", "verifier.cpu_seconds=0.3")


def problem(name: str, solution: str, *tests: str) -> dict[str, Any]:
    return {"id": name, "statement": "Say f.", "entry_point": "f", "solution": solution, "tests": tests}


PROBLEMS = [
    problem("right", "def f(x): return x", "assert f(1) == 1", "assert f(2) == 2"),
    problem("wrong", "def f(x): return 1", "assert f(1) == 1", "assert f(2) == 2", "assert f(3) == 3"),
    problem("raises", "def f(x): return 1 / x", "assert f(0) == 0"),
    problem("slow", "def f(x):\n    while True: pass", "assert f(0) == 0"),
    problem("odd", "def f(x): return object()", "assert f(0)"),
    {"id": "untested", "statement": "Say f.", "entry_point": "f", "solution": "def f(x): return x"},
    {
        "id": "script",
        "style": "stdin",
        "statement": "Double.",
        "solution": "print(int(input()) * 2)",
        "tests": [{"stdin": "2\n", "stdout": "4\n"}],
    },
]


def file(tmp_path: Path, *problems: dict[str, Any]) -> str:
    path = tmp_path / "problems.jsonl"
    path.write_text("".join(json.dumps(p) + "\n" for p in problems))
    return f"data.source.path={path}"


def test_references_are_counted_by_verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "data=jsonl", file(tmp_path, *PROBLEMS), *SETTINGS, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["checked"], found["passed"], found["share"]) == (6, 2, 2 / 6)
    assert found["failed"] == {
        "FAIL": [{"id": "wrong", "passed": 1, "tests": 3}],
        "ERROR": [{"id": "raises", "passed": 0, "tests": 1}],
        "TIMEOUT": [{"id": "slow", "passed": 0, "tests": 1}],
        "UNSUPPORTED": [{"id": "odd", "passed": 0, "tests": 1}],
    }
    assert (found["unlabelled"], found["left_out"]) == (["untested"], {})
    assert found["machine_factor"] >= 1


def test_the_table_names_what_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "data=jsonl", file(tmp_path, *PROBLEMS), *SETTINGS]) == 1
    out = capsys.readouterr().out
    assert "Jsonl: 2 of 6 references, 33.3 % pass" in out
    assert "wrong (1/3)" in out and "out of time" in out and "no solution or no tests" in out


def test_rows_that_were_left_out_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    test = ["assert f(1) == 1"]
    rows = [{"text": "t", "code": "def f(x): return x", "task_id": task, "test_list": test} for task in (9, 10, 11, 12)]
    assert run(["check", "data=mbpp", file(tmp_path, *rows), *SETTINGS]) == 0
    out = capsys.readouterr().out
    assert "Mbpp: 2 of 2 references, 100.0 % pass" in out
    assert "outside the official train, validation and test ranges     2" in " ".join(out.split("\n"))


def test_references_get_the_time_of_the_official_grader(tmp_path: Path) -> None:
    code = (
        "import time\ndef f(x):\n    while time.process_time() < 0.6: pass\n    return x"  # verifier.cpu_seconds is 0.3
    )
    row = {"text": "t", "code": code, "task_id": 11, "test_list": ["assert f(1) == 1"]}
    assert run(["check", "data=mbpp", file(tmp_path, row), *SETTINGS]) == 0


def test_a_limit_takes_a_fixed_sample(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    problems = [problem(f"p{i}", "def f(x): return 1", f"assert f({i}) == 0") for i in range(9)]
    samples = []
    for _ in range(2):
        assert run(["check", "data=jsonl", file(tmp_path, *problems), *SETTINGS, "limit=3", "--json"]) == 1
        samples.append([failed["id"] for failed in json.loads(capsys.readouterr().out)["failed"]["FAIL"]])
    assert samples[0] == samples[1] == sorted(samples[0]) and len(set(samples[0])) == 3


def test_nothing_to_check_is_no_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["check", "data=jsonl", file(tmp_path, PROBLEMS[5]), *SETTINGS]) == 0
    assert "no reference to check" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "limit=0"], "limit=0: it must be a whole number above 0, or null"),
        (["check", "data=mbbp"], "unknown data 'mbbp'.*did you mean 'mbpp'"),
        (["check", "--jso"], "unrecognized arguments: --jso"),
        (
            ["check", "data=jsonl", "data.source.path=nowhere.jsonl"],
            "data.source.path=nowhere.jsonl: there is no such file",
        ),
        (["chek"], "invalid choice: 'chek'"),
        ([], "the following arguments are required: COMMAND"),
    ],
)
def test_mistakes_are_told_in_one_line(arguments: list[str], message: str) -> None:
    with pytest.raises(ZeroCoderError, match=message):
        run(arguments)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "zerocoder.datasets", *arguments], capture_output=True, text=True)


def test_the_command() -> None:
    wrong = command("check", "data=jsonl", "data.source.path=nowhere.jsonl")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "error: data.source.path=nowhere.jsonl: there is no such file\n"
    assert command("--version").stdout == f"zerocoder {__version__}\n"
    assert "references" in command("--help").stdout
    assert "--json" in command("check", "--help").stdout
