"""`python -m zerocoder.miniature` as a user runs it: two settings, two seeds, two steps, killed in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from user import SMALL, User

ROOT = Path(__file__).parents[2]
FEW = [s for s in SMALL if s.startswith(("data.limit", "data.batch_size", "data.tau", "rollout."))]
CHOSEN = [
    "--only",
    "codet,online",
    "--seeds",
    "0,1",
    "--steps",
    "2",
    "--problems",
    "6",
    "--jobs",
    "2",
    "--root",
    "runs",
]


def start(user: User, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "zerocoder.miniature", *CHOSEN, *args, *FEW],
        cwd=user.home, env={**user.env, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_miniature_goes_on_where_it_was_stopped_and_writes_its_page(user: User) -> None:
    runs = user.home / "runs"
    first = start(user)
    end = time.monotonic() + 500
    while not list(runs.glob("codet/*/*/used.json")):
        assert first.poll() is None, first.communicate()[1][-3000:]
        assert time.monotonic() < end
        time.sleep(0.2)
    os.kill(first.pid, signal.SIGINT)
    _, said = first.communicate(timeout=200)
    assert first.returncode == 130 and "the same command goes on from here" in said and "Traceback" not in said
    done = {file.parent: file.stat().st_mtime_ns for file in runs.glob("codet/*/*/nano/2*/summary.json")}
    assert done and not list(runs.glob("**/results.json"))  # nothing reads the test split before all have trained

    second = start(user)
    _, said = second.communicate(timeout=580)
    assert second.returncode == 0, said[-3000:]
    for folder, changed in done.items():
        assert (folder / "summary.json").stat().st_mtime_ns == changed  # not run again
    finished = {file: file.stat().st_mtime_ns for file in runs.glob("*/*/*/nano/2*/summary.json")}
    assert sorted(file.relative_to(runs).parts[:2] for file in finished) == [
        ("codet", "seed0"), ("codet", "seed1"), ("online", "seed0"), ("online", "seed1"),
    ]  # fmt: skip
    assert all(json.loads(file.read_text())["steps"] == 2 for file in finished)
    assert len(list(runs.glob("**/results.json"))) == 5
    page = (runs / "miniature.md").read_text()
    assert "4 of 40 runs are there" in page and "- codet (" not in page and "| +Online | 2 |" in page
    assert (runs / "images" / "miniature" / "rewards.svg").is_file()

    third = start(user)
    third.communicate(timeout=200)
    assert third.returncode == 0 and finished == {file: file.stat().st_mtime_ns for file in finished}
