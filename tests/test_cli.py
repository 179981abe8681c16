"""The command lines' flags and their answers to mistakes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *args], cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("script", ["train.py", "evaluate.py"])
def test_help_and_config(script: str) -> None:
    done = run(script, "--help")
    assert done.returncode == 0 and f"usage: python {script}" in done.stdout and "model " in done.stdout
    for flag in (["--cfg", "job"], ["--cfg=job"]):
        done = run(script, "model=nano", *flag)
        assert done.returncode == 0 and "path: nano" in done.stdout


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--sweep"], "unknown flag --sweep"),
        (["--cfg", "hydra"], "--cfg job"),
        (["selector=nope"], "unknown selector 'nope'"),
    ],
)
def test_mistakes_are_one_line_with_status_2(args: list[str], message: str) -> None:
    done = run("train.py", *args)
    assert done.returncode == 2 and message in done.stderr
    assert done.stderr.startswith("error: ") and len(done.stderr.strip().splitlines()) == 1


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(
        f"{sys.executable} train.py --cfg job | true", shell=True, cwd=ROOT, capture_output=True, text=True
    )
    assert done.stderr == ""


def test_version() -> None:
    assert run("train.py", "--version").stdout.startswith("zerocoder 0.")


@pytest.mark.parametrize("script", ["train", "evaluate"])
def test_a_command_line_is_read_before_anything_heavy_is_loaded(script: str) -> None:
    heavy = "{'torch', 'transformers', 'lightning', 'vllm', 'deepspeed', 'peft', 'ray'}"
    code = f"import sys, {script}; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr


@pytest.mark.parametrize(("given", "found"), [({}, "1000"), ({"OMP_WAIT_POLICY": "active"}, "None")])
def test_threads_that_wait_do_not_spin_for_long_unless_told_to(given: dict[str, str], found: str) -> None:
    code = (
        "import os; from zerocoder import cli; "
        "cli.run(lambda argv: print(os.environ.get('GOMP_SPINCOUNT')) or 0, lambda argv: '', lambda: '')"
    )
    env = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")} | given
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.stdout.strip() == found
