"""train.py on two ranks: the same training as on one, and what becomes of the others when one of them ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from execution_helpers import all_gone, descendants, wait_until
from user import ROOT, SMALL, User, run_folder, scalars

TWO = ("trainer.accelerator=cpu", "trainer.devices=2")
QUICK = ("data.limit=6", "data.calibration=1", "rollout.solutions=2", "rollout.tests=2", "rollout.max_new_tokens=24")


@pytest.fixture
def user(user: User) -> User:
    user.env["OMP_NUM_THREADS"] = "1"
    return user


def state(run: Path) -> dict[str, Any]:
    (checkpoint,) = (run / "checkpoints").iterdir()
    return torch.load(checkpoint / "trainer.ckpt", weights_only=False)


def samples(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]


def test_two_ranks_train_as_one_does(user: User, tmp_path: Path) -> None:
    """Pre-filter, probe, calibration (one problem: a rank has none), two steps and an evaluation of odd numbers."""
    settings = (
        "data.tau=1",
        "data.calibration=1",
        "data.heldout_limit=5",
        "trainer.max_steps=2",
        "trainer.evaluate=true",
        "trainer.micro_batch_tokens=700",  # several micro-batches, not as many on each rank
        "trainer.packing=off",  # one rank would learn from trees, which rounds otherwise
        "callbacks.samples.problems=2",
        "callbacks.selection_noise={every:1,problems:3}",
    )
    other = User(tmp_path / "alone")
    other.home.mkdir()
    alone, together = other.train(*settings, "trainer.accelerator=cpu"), user.train(*settings, *TWO)
    assert alone.returncode == 0, alone.stderr[-3000:]
    assert together.returncode == 0, together.stderr[-3000:]
    one, two = run_folder(other), run_folder(user)

    assert {p.name for p in two.iterdir()} == {p.name for p in one.iterdir()}
    assert samples(two) == samples(one) and len(samples(two)) == 4
    (ranks,) = [list((u.home / "cache").rglob("prefilter/*.jsonl")) for u in (other,)]
    assert [f.read_text() for f in (user.home / "cache").rglob("prefilter/*.jsonl")] == [f.read_text() for f in ranks]

    ours, theirs = state(two), state(one)
    assert ours["callbacks"] == theirs["callbacks"]  # the selector's configuration
    assert ours["state_dict"].keys() == theirs["state_dict"].keys()
    apart, total = 0, 0
    for name, weights in theirs["state_dict"].items():
        difference = (ours["state_dict"][name] - weights).abs()
        assert difference.max() < 3e-4, name  # one update, whatever its direction
        apart += int((difference > 2e-5 + 1e-4 * weights.abs()).sum())
        total += weights.numel()
    # Adam divides by a gradient's size: one that is next to nothing lets the order of a sum show.
    assert apart <= 1e-5 * total

    ours_logged, theirs_logged = scalars(two), scalars(one)
    assert ours_logged.keys() == theirs_logged.keys()
    assert {"selector/noise", "probe/coder", "truth/coder", "truth/tester"} <= theirs_logged.keys()
    for tag, values in theirs_logged.items():
        tolerance = 1e-4 if tag.startswith(("policy/", "rollout/engine")) else 0.0  # sums of floats in another order
        assert [s for s, _ in ours_logged[tag]] == [s for s, _ in values]
        assert [v for _, v in ours_logged[tag]] == pytest.approx([v for _, v in values], abs=tolerance, nan_ok=True), (
            tag
        )
    evaluations = [json.loads((run / "evaluation_after.json").read_text()) for run in (one, two)]
    assert {k: v for k, v in evaluations[0].items() if k != "seconds"} == {
        k: v for k, v in evaluations[1].items() if k != "seconds"
    }


@pytest.fixture
def running(user: User) -> Iterator[subprocess.Popen[str]]:
    """A run of two ranks that has its first checkpoint and is in the middle of a step."""
    args = (*SMALL, *QUICK, *TWO, "trainer.max_steps=400", "callbacks.checkpoints.every=1")
    process = user.start("train.py", f"trainer.root={user.home / 'runs'}", *args)
    assert wait_until(lambda: process.poll() is not None or bool(checkpoints(user)), 240)
    assert process.poll() is None, process.communicate()[1][-3000:]
    time.sleep(0.4)
    yield process
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def checkpoints(user: User) -> list[Path]:
    return list((user.home / "runs").glob("*/2*/checkpoints/step_*"))


def ranks_of(launcher: subprocess.Popen[str]) -> list[int]:
    """Process ids of ranks 0 and 1."""
    found = {}
    for pid in descendants(launcher.pid):
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        rank = [e for e in environment if e.startswith(b"RANK=")]
        if rank and b"train.py" in command:
            found[int(rank[0].removeprefix(b"RANK="))] = pid
    return [found[0], found[1]]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_ends_all_and_the_run_can_go_on(user: User, running: subprocess.Popen[str], rank: int) -> None:
    everyone = descendants(running.pid)
    os.kill(ranks_of(running)[rank], signal.SIGKILL)
    _, err = running.communicate(timeout=60)
    assert running.returncode == 128 + signal.SIGKILL
    assert f"error: rank {rank} was killed by SIGKILL" in err and "Traceback" not in err, err[-3000:]
    assert err.splitlines()[-1] == f"continue from the last checkpoint with trainer.resume={run_folder(user)}"
    assert wait_until(lambda: all_gone(everyone))
    if rank == 0:
        step = max(int(p.name.removeprefix("step_")) for p in checkpoints(user))
        more = user.train(*QUICK, *TWO, "callbacks.checkpoints.every=1", "trainer.resume=latest", f"trainer.max_steps={step + 1}")  # fmt: skip
        assert more.returncode == 0, more.stderr[-3000:]
        assert [s for s, _ in scalars(run_folder(user))["policy/loss"]] == list(range(step + 1))


@pytest.mark.slow
def test_ctrl_c_stops_all_ranks_after_the_step(user: User, running: subprocess.Popen[str]) -> None:
    everyone = descendants(running.pid)
    running.send_signal(signal.SIGINT)
    _, err = running.communicate(timeout=120)
    assert running.returncode == 130 and "Traceback" not in err, err[-3000:]
    assert err.splitlines()[-2].startswith("stopped after step ") and err.splitlines()[-1] == "interrupted"
    step = int(err.splitlines()[-2].split()[3].rstrip(";"))
    assert max(p.name for p in checkpoints(user)) == f"step_{step:06}"
    assert wait_until(lambda: all_gone(everyone))


@pytest.mark.slow
def test_the_ranks_end_with_their_launcher(running: subprocess.Popen[str]) -> None:
    everyone = descendants(running.pid)
    running.kill()
    running.communicate()
    assert wait_until(lambda: all_gone(everyone))


CALLBACK = """
import lightning as L
from zerocoder.problems import ZeroCoderError

class Fails(L.Callback):
    def __init__(self, kind):
        self.kind = kind

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if pl_module.world.rank == 1:
            raise {"bug": ValueError, "mistake": ZeroCoderError}[self.kind]("seen by one rank only")
"""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "status"), [("bug", 1), ("mistake", 2)])
def test_what_one_rank_fails_of_is_told_once(user: User, kind: str, status: int) -> None:
    (user.home / "failing.py").write_text(CALLBACK)
    user.env["PYTHONPATH"] = str(user.home)
    done = user.train(*QUICK, *TWO, f"callbacks.extra=[{{_target_:failing.Fails,kind:{kind}}}]")
    assert done.returncode == status
    assert done.stderr.count("seen by one rank only\n") == 1
    assert done.stderr.count("Traceback") == (kind == "bug"), done.stderr[-3000:]


@pytest.mark.slow
def test_torchrun_starts_the_same_ranks(user: User) -> None:
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [*command, str(ROOT / "train.py"), f"trainer.root={user.home / 'runs'}", *SMALL, *QUICK, *TWO, "trainer.max_steps=1"],
        cwd=user.home, env=user.env, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    assert [s for s, _ in scalars(run_folder(user))["policy/loss"]] == [0]
    assert done.stderr.count("step 1/1") == 1  # one rank speaks


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["data.batch_size=3"], "data.batch_size=3 cannot be shared out evenly over 2 ranks"),
        (["trainer.num_nodes=2", "data.batch_size=4"], "torchrun --nnodes=2 --nproc-per-node=2"),
        (["trainer.resume=latest"], "trainer.resume=latest: there is no"),
    ],
)
def test_a_mistake_on_several_ranks_is_one_line_and_exit_2(user: User, args: list[str], message: str) -> None:
    done = user.train(*TWO, *args)
    assert done.returncode == 2
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert message in line and "Traceback" not in done.stderr
