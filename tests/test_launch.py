"""The launcher with light ranks: who is to blame, what is said, and that nobody is left over."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from execution_helpers import all_gone, wait_until

from zerocoder.config import TrainerConfig
from zerocoder.launch import place, start
from zerocoder.problems import ZeroCoderError
from zerocoder.world import World

ROOT = Path(__file__).parents[1]

# Each rank does what the argument of its number says: `<seconds>:<what>`.
SCRIPT = """
import os, signal, sys, time
from pathlib import Path
from zerocoder import launch
from zerocoder.config import TrainerConfig
from zerocoder.exits import exit_with
from zerocoder.problems import ZeroCoderError

launch.SETTLE_SECONDS, launch.GRACE_SECONDS = 1.0, 0.5

def main():
    if not launch.by_us():
        return launch.start(TrainerConfig(devices=len(sys.argv) - 1))
    rank = int(os.environ["RANK"])
    Path(f"pid{rank}").write_text(str(os.getpid()))
    seconds, what = sys.argv[1 + rank].split(":")
    if what == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print(f"rank {rank} of {os.environ['WORLD_SIZE']} here", flush=True)
    time.sleep(float(seconds))
    if what == "mistake":
        raise ZeroCoderError(f"a mistake of rank {rank}")
    if what == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    return int(what) if what.isdecimal() else 0

exit_with(main)
"""


class Started:
    def __init__(self, folder: Path, *plans: str) -> None:
        self.folder, self.number = folder, len(plans)
        script = folder / "ranks.py"
        script.write_text(SCRIPT)
        self.process = subprocess.Popen(
            [sys.executable, str(script), *plans],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def pids(self) -> list[int]:
        files = [self.folder / f"pid{rank}" for rank in range(self.number)]
        assert wait_until(lambda: all(f.exists() and f.read_text() for f in files), 60)
        return [int(f.read_text()) for f in files]

    def end(self) -> tuple[int, str, str]:
        """Status, output, errors; nothing is left over."""
        out, err = self.process.communicate(timeout=100)
        assert all_gone(self.pids())
        assert not list(self.folder.glob("zerocoder-ranks-*"))
        return self.process.returncode, out, err


def test_all_ranks_end_well_and_only_rank_0_is_heard(tmp_path: Path) -> None:
    assert Started(tmp_path, "0:0", "0.2:0", "0:0").end() == (0, "rank 0 of 3 here\n", "")


def test_the_failing_rank_is_shown_and_the_others_are_ended(tmp_path: Path) -> None:
    status, _, err = Started(tmp_path, "600:0", "0.3:7", "600:deaf").end()
    assert status == 7
    assert err == (
        "the last lines of rank 1:\nrank 1 of 3 here\nerror: rank 1 ended with status 7; the other ranks were stopped\n"
    )


def test_a_killed_rank_is_named(tmp_path: Path) -> None:
    status, _, err = Started(tmp_path, "0.3:killed", "600:0").end()
    assert status == 128 + signal.SIGKILL
    assert err.startswith("error: rank 0 was killed by SIGKILL (the system does that when memory runs out)")


@pytest.mark.parametrize("plans", [("0.3:mistake", "600:0"), ("600:0", "0.3:mistake"), ("0.5:mistake", "0.1:mistake")])
def test_a_mistake_is_told_once(tmp_path: Path, plans: tuple[str, ...]) -> None:
    status, _, err = Started(tmp_path, *plans).end()
    assert status == 2
    (line,) = err.splitlines()
    assert line.startswith("error: a mistake of rank ")


def test_a_rank_that_lost_another_is_not_the_cause(tmp_path: Path) -> None:
    status, _, err = Started(tmp_path, "0.1:75", "0.6:5").end()
    assert status == 5 and err.splitlines()[-1].startswith("error: rank 1 ended with status 5;")


@pytest.mark.parametrize(("number", "expected"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupt_reaches_every_rank(tmp_path: Path, number: signal.Signals, expected: int) -> None:
    started = Started(tmp_path, "600:0", "600:0")
    started.pids()
    time.sleep(0.3)  # until they sleep
    started.process.send_signal(number)
    status, _, err = started.end()
    assert status == expected
    assert err in ("interrupted\n", "")  # by rank 0, which SIGTERM ends without a word


def test_a_second_interrupt_ends_what_does_not_listen(tmp_path: Path) -> None:
    started = Started(tmp_path, "600:deaf", "600:deaf")
    started.pids()
    time.sleep(0.3)
    started.process.terminate()
    with pytest.raises(subprocess.TimeoutExpired):
        started.process.wait(timeout=1.5)
    started.process.terminate()
    assert started.end()[0] == 143


TORCHRUN = {"RANK": "3", "LOCAL_RANK": "1", "WORLD_SIZE": "4", "LOCAL_WORLD_SIZE": "2"}
SLURM = {
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_STEP_NUM_NODES": "2",
    "SLURM_NODEID": "1",
    "SLURM_LOCALID": "1",
    "SLURM_PROCID": "2",  # dealt out in turns: not the number that is used
    "SLURM_JOB_ID": "1234567",
    "SLURM_NODELIST": "gpu[03,07]",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for key in (*TORCHRUN, *SLURM, "MASTER_ADDR", "MASTER_PORT", "NODE_RANK"):
        monkeypatch.setenv(key, "")  # so that what the code sets is taken back too
        monkeypatch.delenv(key)
    return monkeypatch


def set_all(environment: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    for key, value in values.items():
        environment.setenv(key, value)


def test_started_by_nobody_there_is_no_place(environment: pytest.MonkeyPatch) -> None:
    assert place(TrainerConfig()) is None
    environment.setenv("SLURM_STEP_NUM_TASKS", "1")  # a shell that srun gave
    assert place(TrainerConfig(devices=2)) is None


def test_the_place_under_torchrun(environment: pytest.MonkeyPatch) -> None:
    set_all(environment, TORCHRUN)
    assert place(TrainerConfig(devices=2, num_nodes=2)) == World(3, 4, 1, 2, 2)


def test_the_place_under_slurm_is_numbered_node_by_node(environment: pytest.MonkeyPatch) -> None:
    set_all(environment, SLURM)
    assert place(TrainerConfig(devices=2, num_nodes=2)) == World(3, 4, 1, 2, 2)
    assert {k: os.environ[k] for k in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")} == {
        "MASTER_ADDR": "gpu03",
        "MASTER_PORT": "19567",
        "NODE_RANK": "1",
    }


@pytest.mark.parametrize("settings", [TORCHRUN, SLURM])
def test_a_number_of_ranks_that_does_not_fit_is_told_by_rank_0(
    environment: pytest.MonkeyPatch, settings: dict[str, str]
) -> None:
    set_all(environment, settings)
    with pytest.raises(SystemExit, match="2"):
        place(TrainerConfig(devices=4))
    set_all(environment, dict.fromkeys(("RANK", "LOCAL_RANK", "SLURM_NODEID", "SLURM_LOCALID"), "0"))
    if settings is SLURM:
        environment.delenv("RANK")
    with pytest.raises(ZeroCoderError, match=r"does not fit the 4 .* set trainer\.devices=2 trainer\.num_nodes=2"):
        place(TrainerConfig(devices=4))


def test_many_nodes_are_not_started_from_one() -> None:
    with pytest.raises(ZeroCoderError, match="torchrun --nnodes=2 --nproc-per-node=4"):
        start(TrainerConfig(devices=4, num_nodes=2))
