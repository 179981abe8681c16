"""The runner with real processes: small scripts that print what a run prints."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from zerocoder.miniature.pace import Pace, Used, in_words, left
from zerocoder.miniature.runner import Job, Runner

RUN = """
import pathlib, sys, time
log, name, before_step, before_end = pathlib.Path(sys.argv[1]), *sys.argv[2:]
def told(text):
    with log.open("a") as file:
        file.write(name + " " + text + "\\n")
def wait_for(line):
    while line and line not in log.read_text():
        time.sleep(0.02)
told("begins")
wait_for(before_step)
print("step 1/2 coder reward 0.5", flush=True)
told("steps")
wait_for(before_end)
told("ends")
"""


@pytest.fixture
def script(tmp_path: Path) -> Path:
    file = tmp_path / "run.py"
    file.write_text(RUN)
    return file


def job(script: Path, name: str, ranks: str | None = None, before_step: str = "", before_end: str = "") -> Job:
    """A job that waits for lines of the log before its first step and before its end."""
    home = script.parent
    arguments = [str(home / "log"), name, before_step, before_end]
    return Job(name, name, "training", str(script), lambda: arguments, home / name, 2, ranks)


def log(script: Path) -> list[str]:
    return (script.parent / "log").read_text().splitlines()


def test_jobs_run_side_by_side_and_leave_what_they_used(script: Path) -> None:
    runner = Runner(2, Pace())
    runner.work([job(script, "a", before_step="b begins"), job(script, "b", before_step="a begins")], "test")
    assert runner.failures == [] and len(log(script)) == 6
    used = Used.read(script.parent / "a")
    assert used is not None and (used.kind, used.setting, used.steps) == ("training", "a", 2)
    assert used.seconds > 0 and 0 < used.cpu_seconds < used.seconds + 1 and not used.failure
    assert "step 1/2" in (script.parent / "a" / "output.txt").read_text()


def test_one_job_at_a_time_keeps_the_order(script: Path) -> None:
    Runner(1, Pace()).work([job(script, name) for name in "abc"], "test")
    assert log(script) == [f"{name} {what}" for name in "abc" for what in ("begins", "steps", "ends")]


def test_ranks_are_measured_once(script: Path) -> None:
    """b waits until a is at its first step, c of other ranks goes before it."""
    first = job(script, "a", "seed 0", before_step="c begins", before_end="b begins")
    Runner(2, Pace()).work([first, job(script, "b", "seed 0"), job(script, "c", "seed 1")], "test")
    order = log(script)
    assert order.index("c begins") < order.index("a steps") < order.index("b begins") < order.index("a ends")


def test_a_job_that_fails_stops_no_other(script: Path) -> None:
    broken = script.parent / "broken.py"
    broken.write_text("print('step 1/2 coder'); raise SystemExit('error: no such thing')")
    killed = script.parent / "killed.py"
    killed.write_text("import os; os.kill(os.getpid(), 9)")
    runner = Runner(1, Pace())
    runner.work([job(broken, "b"), job(killed, "k"), job(script, "a")], "test")
    assert [(f.job.name, f.status, f.said) for f in runner.failures] == [
        ("b", 1, "error: no such thing"),
        ("k", 137, "it said nothing"),
    ]
    assert log(script)[-1] == "a ends"
    assert str(script.parent / "b" / "output.txt") in runner.failures[0].line()


INTERRUPTED = """
import sys
from pathlib import Path
from zerocoder.exits import exit_with
from zerocoder.miniature.pace import Pace
from zerocoder.miniature.runner import Job, Runner
home = Path(sys.argv[1])
jobs = [Job(n, n, "training", str(home / "long.py"), lambda n=n: [str(home / n)], home / ("job-" + n), 9) for n in "ab"]
exit_with(lambda: Runner(2, Pace()).work(jobs, "test") or 0)
"""
LONG = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(sys.argv[1] + ".tmp", "w").write(str(child.pid))
import os; os.rename(sys.argv[1] + ".tmp", sys.argv[1])
try:
    time.sleep(600)
except KeyboardInterrupt:
    child.kill(); child.wait()
    open(sys.argv[1] + ".checkpoint", "w").write("saved")
    sys.exit(130)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_lets_every_job_save_itself(tmp_path: Path, number: int) -> None:
    (tmp_path / "main.py").write_text(INTERRUPTED)
    (tmp_path / "long.py").write_text(LONG)
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "main.py"), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(root)}, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    end = time.monotonic() + 120
    while not all((tmp_path / name).exists() for name in "ab"):
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.05)
    children = [int((tmp_path / name).read_text()) for name in "ab"]
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 130 and "Traceback" not in said
    assert all((tmp_path / f"{name}.checkpoint").exists() for name in "ab")
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]
    assert all(Used.read(tmp_path / f"job-{name}") for name in "ab")


def test_the_time_left_is_that_of_the_last_core() -> None:
    assert left([60.0, 60.0, 60.0], {}, 2) == 120.0
    assert left([], {"a": (30.0, 0.75), "b": (30.0, 0.25)}, 2) == 90.0
    assert left([50.0], {"a": (30.0, 0.75), "b": (30.0, 0.25)}, 2) == 90.0  # behind the first
    assert left([100.0, 10.0], {"a": (20.0, 0.0)}, 2) == 110.0  # one that has done nothing may be as long as any
    assert left([], {}, 2) == 0.0


def test_the_pace_is_that_of_the_setting_then_of_the_kind() -> None:
    pace = Pace([Used("training", "dyb4", 10, 100.0), Used("training", "codet", 10, 40.0)])
    assert pace.seconds("training", "dyb4", 5) == 50.0
    assert pace.seconds("training", "maxpass", 10) == 70.0
    assert Pace().guessed and not pace.guessed
    assert Pace().seconds("training", "dyb4", 2) == 2 * Pace().seconds("training", "dyb4", 1) > 0
    pace.add(Used("training", "maxpass", 10, 10.0))
    assert pace.seconds("training", "maxpass", 10) == 10.0


def test_durations_in_words() -> None:
    assert [in_words(s) for s in (0.4, 61, 125, 3599, 3600, 7500)] == [
        "0 s",
        "61 s",
        "2 min",
        "1 h 00 min",
        "1 h 00 min",
        "2 h 05 min",
    ]
