"""train.py with every algorithm beside ZeroCoder: what is asked, logged and kept, and a resume with the same tests."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from user import User, run_folder, same, scalars

SETTINGS = ("data.limit=8", "trainer.max_steps=2", "callbacks.samples.problems=2")


def rows(run: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / "samples.jsonl").read_text().splitlines()]


def trained(user: User, *args: str) -> Path:
    done = user.train(*SETTINGS, *args)
    assert done.returncode == 0, done.stderr[-3000:]
    return run_folder(user)


@pytest.mark.parametrize("algorithm", [pytest.param("online", marks=pytest.mark.slow), "oracle"])
def test_two_steps(user: User, algorithm: str) -> None:
    run = trained(user, f"algorithm={algorithm}", "callbacks.selection_noise={every: 1, problems: 2}")
    tags, seen = scalars(run), rows(run)
    assert not [tag for tag in tags if tag.startswith("selector/")]
    assert ("matrix/no_tests" in tags) == ("reward/lambda" not in tags) == (algorithm == "online")
    assert [row["role"] for row in seen] == ["coder"] * 2 + [("coder", "tester")[algorithm == "oracle"]] * 2
    asked = [(len(row["solutions"]), len(row["tests"])) for row in seen]
    assert asked == ([(3, 3)] * 4 if algorithm == "online" else [(3, 0)] * 2 + [(0, 3)] * 2)
    assert {row["labelled"] for row in seen} == {algorithm == "oracle"}
    assert not any(row["consensus"]["solutions"] for row in seen)


def test_offline_resumes_with_the_tests_that_it_began_with(user: User) -> None:
    run = trained(user, "algorithm=offline", "callbacks.checkpoints.every=1")
    (answers,) = (user.home / "cache" / "zerocoder" / "fixed_tests").iterdir()
    assert len({json.loads(line)["key"] for line in answers.read_text().splitlines()}) == 8
    last = run / "checkpoints" / "step_000002"
    unbroken, seen, written = torch.load(last / "trainer.ckpt", weights_only=False), rows(run), answers.stat()
    shutil.rmtree(last)  # as if the second step had never been
    assert trained(user, "algorithm=offline", "callbacks.checkpoints.every=1", "trainer.resume=latest") == run
    assert answers.stat().st_ino == written.st_ino  # a new writing would be a new file
    assert rows(run) == seen and len(seen) == 4 and {row["role"] for row in seen} == {"coder"}
    assert any(row["tests"] for row in seen)  # the fixed ones, each assert a column
    resumed = torch.load(last / "trainer.ckpt", weights_only=False)
    for key in ("state_dict", "optimizer_states", "global_step", "ProblemDataModule", "rng"):
        assert same(resumed[key], unbroken[key]), key
    tags = scalars(run)
    assert "matrix/no_tests" in tags and "rollout/length_coder" in tags and "rollout/length_tester" not in tags
    assert not [tag for tag in tags if tag.startswith(("selector/", "reward/lambda", "reward/tester"))]
