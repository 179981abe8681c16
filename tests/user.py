"""Start train.py as a user does, at a size that tests can afford."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ROOT = Path(__file__).parents[1]

SMALL = (
    "data.limit=20",
    "data.heldout_limit=6",
    "data.batch_size=2",
    "data.calibration=3",
    "data.tau=0",
    "rollout.solutions=3",
    "rollout.tests=3",
    "rollout.max_new_tokens=48",
    "trainer.max_steps=4",
    "trainer.threads=1",
    "verifier.workers=1",
    "callbacks.samples.every=1",
    "callbacks.samples.problems=1",
    "callbacks.selection_noise=null",
    "trainer.evaluate=false",
)


class User:
    """Types commands in a folder of their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.env = {**os.environ, "XDG_CACHE_HOME": str(home / "cache"), "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}

    def start(self, script: str, *args: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(ROOT / script), *args],
            cwd=self.home,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, script: str, *args: str, timeout: float = 280) -> subprocess.CompletedProcess[str]:
        process = self.start(script, *args)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            pytest.fail(f"{script} {args} took over {timeout} s:\n{err[-3000:]}")
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def train(self, *args: str) -> subprocess.CompletedProcess[str]:
        return self.run("train.py", f"trainer.root={self.home / 'runs'}", *SMALL, *args)


def run_folder(user: User) -> Path:
    """The only run below the user's runs/."""
    (folder,) = [p for p in (user.home / "runs").glob("*/*") if not p.is_symlink()]
    return folder


def same(a: Any, b: Any) -> bool:
    """Whether two states of a checkpoint are equal, bit for bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b) or (isinstance(a, float) and math.isnan(a) and math.isnan(b))


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    """What TensorBoard shows, (step, value) by name; seconds are left out."""
    board = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
    board.Reload()
    tags = [tag for tag in board.Tags()["scalars"] if not tag.startswith("time/")]
    return {tag: [(e.step, e.value) for e in board.Scalars(tag)] for tag in tags}
