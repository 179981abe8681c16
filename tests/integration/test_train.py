"""train.py as a user runs it: a short run, resume after SIGKILL, Ctrl-C, mistakes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from user import SMALL, User, run_folder, same, scalars


def state(run: Path, step: int) -> dict[str, Any]:
    return torch.load(run / "checkpoints" / f"step_{step:06}" / "trainer.ckpt", weights_only=False)


def children_of(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "-g", str(pid)], capture_output=True, text=True).stdout.split()
    return [int(p) for p in found if int(p) != pid]


def wait_for(path: Path, process: subprocess.Popen[str], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.communicate()[1][-3000:]
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.02)


def test_rewards_are_the_same_with_and_without_overlap(user: User) -> None:
    """Two steps of the real policy, one of each role: what was hidden behind what decides nothing."""
    rows = []
    for overlap in ("true", "false"):
        root = user.home / overlap
        settings = ("trainer.max_steps=2", "callbacks.samples.problems=3", "data.batch_size=3")
        done = user.train("selector=dyb4", f"trainer.overlap={overlap}", f"trainer.root={root}", *settings)
        assert done.returncode == 0, done.stderr[-3000:]
        lines = (root / "nano" / "latest" / "samples.jsonl").read_text().splitlines()
        rows.append([json.loads(line) for line in lines])
    together, apart = rows
    assert [row["role"] for row in together] == ["coder"] * 3 + ["tester"] * 3
    for a, b in zip(together, apart, strict=True):
        for key in ("problem", "solutions", "tests", "verdicts", "consensus", "rewards", "advantages"):
            assert a[key] == b[key], key


def test_a_run_leaves_what_it_promises(user: User) -> None:
    done = user.train("selector=dyb4", "trainer.evaluate=true", "trainer.max_steps=2", "data.tau=1")
    assert done.returncode == 0, done.stderr[-3000:]
    run = run_folder(user)
    assert {p.name for p in run.iterdir()} >= {
        "config.yaml", "environment.json", "tensorboard", "samples.jsonl", "checkpoints", "log.txt", "summary.json",
        "contamination.json",
    }  # fmt: skip
    assert (run.parent / "latest").resolve() == run.resolve()
    tags = scalars(run)
    for tag in [
        "reward/coder",
        "reward/tester",
        "reward/tester_valid",
        "reward/tester_mutation",
        "reward/lambda",
        "matrix/density",
        "matrix/rank",
        "matrix/degenerate",
        "matrix/duplicate_programs",
        "matrix/duplicate_tests",
        "ranks/0",
        "ranks/8",
        "truth/coder",
        "truth/tester",
        "selector/consensus_size",
        "selector/log10_beta0",
        "selector/log10_alpha_xy",
        "selector/calibration_accuracy",
        "policy/loss",
        "policy/kl",
        "policy/entropy",
        "policy/clip_fraction",
        "policy/grad_norm",
        "rollout/length",
        "rollout/truncated",
        "rollout/format_errors",
        "rollout/engine_logprob_gap",
        "verdict/pass",
        "verdict/fail",
        "eval/pass_at_1",
        "eval/test_accuracy",
        "eval/mutation_score",
    ]:
        assert tag in tags, tag
    assert max(v for _, v in tags["rollout/engine_logprob_gap_max"]) < 1e-3
    rows = [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]
    assert [r["role"] for r in rows] == ["coder", "tester"]
    assert len(rows[0]["verdicts"]) == 3 and "total" in rows[0]["rewards"]
    hf = run / "checkpoints" / "step_000002" / "hf"
    model, tokenizer = AutoModelForCausalLM.from_pretrained(hf), AutoTokenizer.from_pretrained(hf)
    assert model.generate(torch.tensor([tokenizer.encode("a")]), max_new_tokens=2).shape[1] > 1
    assert "before" in done.stdout and "after" in done.stdout and "coder Pass@1" in done.stdout
    summary = json.loads((run / "summary.json").read_text())
    assert summary["steps"] == 2 and summary["warnings"] == [] and "reward/tester" in summary["last_step"]
    assert ("truth/coder" in summary["last_step"]) is not rows[1]["labelled"]  # measured where labels pay nothing


def test_resume_after_sigkill_repeats_the_unbroken_run(user: User, tmp_path: Path) -> None:
    whole = User(tmp_path / "whole")
    whole.home.mkdir()
    assert whole.train("callbacks.checkpoints.every=2").returncode == 0
    broken = user.start(
        "train.py", f"trainer.root={user.home / 'runs'}", *SMALL, "callbacks.checkpoints.every=2"
    )  # fmt: skip
    wait_for_checkpoint = user.home / "runs"
    end = time.monotonic() + 240
    while not list(wait_for_checkpoint.glob("*/*/checkpoints/step_000002")):
        assert broken.poll() is None, broken.communicate()[1][-3000:]
        assert time.monotonic() < end
        time.sleep(0.02)
    os.killpg(broken.pid, signal.SIGKILL)
    broken.communicate()
    resumed = user.train("callbacks.checkpoints.every=2", "trainer.resume=latest")
    assert resumed.returncode == 0, resumed.stderr[-3000:]
    ours, theirs = state(run_folder(user), 4), state(run_folder(whole), 4)
    for key in ("state_dict", "optimizer_states", "callbacks", "global_step", "ProblemDataModule", "rng"):
        assert same(ours[key], theirs[key]), key
    a, b = scalars(run_folder(user)), scalars(run_folder(whole))
    assert a.keys() == b.keys() and all(a[k] == b[k] for k in a)
    assert [s for s, _ in a["policy/loss"]] == [0, 1, 2, 3]
    lines = [(run_folder(u) / "samples.jsonl").read_text() for u in (user, whole)]
    assert lines[0] == lines[1] and len(lines[0].splitlines()) == 4


def test_ctrl_c_leaves_a_resumable_checkpoint_and_no_child(user: User) -> None:
    running = user.start("train.py", f"trainer.root={user.home / 'runs'}", *SMALL, "trainer.max_steps=400")
    end = time.monotonic() + 240
    while not [p for p in (user.home / "runs").glob("*/*/samples.jsonl") if p.stat().st_size]:
        assert running.poll() is None, running.communicate()[1][-3000:]
        assert time.monotonic() < end
        time.sleep(0.05)
    children = children_of(running.pid)
    os.kill(running.pid, signal.SIGINT)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 130 and "Traceback" not in err, err[-3000:]
    assert not children_of(running.pid) and not [p for p in children if Path(f"/proc/{p}").exists()]
    (checkpoint,) = (run_folder(user) / "checkpoints").iterdir()
    step = int(checkpoint.name.split("_")[1])
    more = user.train("trainer.resume=latest", f"trainer.max_steps={step + 1}")
    assert more.returncode == 0, more.stderr[-3000:]
    steps = [s for s, _ in scalars(run_folder(user))["policy/loss"]]
    assert steps == list(range(step + 1))


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["trainer.max_step=2"], "trainer.max_steps"),
        (["selector=codett"], "codet"),
        (["trainer.max_steps=0"], "trainer.max_steps must be > 0, got 0"),
        (["selector=dyb4", "data.calibration=0"], "data.calibration"),
        (["model.path=./nowhere"], "nowhere"),
        (["data.batch_size=999"], "data.batch_size=999 is larger than"),
        (["data.tau=9"], "data.tau"),
        (["data.cache=/proc/x"], "data.cache=/proc/x: /proc is no folder"),
        (["callbacks.extra=[{_target_: nope.X}]"], "callbacks.extra[0]: nope.X cannot be made"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(user: User, args: list[str], message: str) -> None:
    done = user.train(*args)
    assert done.returncode == 2
    assert message in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.strip().splitlines()[-1].startswith("error: ")
    leftovers = [p for p in (user.home / "runs").rglob("*") if p.name.startswith(".tmp-")]
    assert not leftovers and not list((user.home / "runs").glob("*/*/checkpoints/*"))
