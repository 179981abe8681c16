"""Shares and exchanges: alone by hand, and between two real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from zerocoder.problems import ZeroCoderError
from zerocoder.world import RankLost, World, current, rank_is_lost

ROOT = Path(__file__).parents[1]

# Run by each rank, under the launcher. What rank 0 prints last is looked at.
SCRIPT = """
import json, os, sys, threading
from zerocoder import launch, world
from zerocoder.config import TrainerConfig
from zerocoder.exits import exit_with

def main():
    if not launch.by_us():
        return launch.start(TrainerConfig(devices=2))
    with launch.joined(launch.place(TrainerConfig(devices=2)), cuda=False) as me:
        import torch
        assert world.current() is me
        said = {
            "gather": me.gather({"rank": me.rank}),
            "on_main": me.gather_on_main(me.rank),
            "from_main": me.from_main("zero" if me.rank == 0 else "one"),
            "sum": me.sum(1, 0.5 * me.rank),
            "max": me.max(-me.rank),
            "merged": me.merge(me.gather(me.share("abcde"))),
        }
        # A gather in a thread does not meet what the main thread and the gradients exchange in the meantime.
        gathered = []
        thread = threading.Thread(target=lambda: gathered.extend(me.gather(me.rank)))
        if me.rank == 0:
            thread.start()
        tensor = torch.tensor([1.0 + me.rank])
        torch.distributed.all_reduce(tensor)
        said["in_main"] = me.gather("x" * 1000)[0][:1]
        if me.rank == 1:
            thread.start()
        thread.join()
        said |= {"in_thread": gathered, "reduced": tensor.item()}
        print(json.dumps(said), flush=True)
        if "leave" in sys.argv:
            if me.rank == 1:
                os._exit(3)
            try:
                me.barrier()
            except Exception as error:
                print(type(error).__name__, world.rank_is_lost(error), flush=True)
                raise
    return 0

exit_with(main)
"""


def run(tmp_path: Path, *args: str) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "exchange.py"
    script.write_text(SCRIPT)
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, str(script), *args], env=env, capture_output=True, text=True, timeout=200)


def test_two_ranks_exchange_what_they_have(tmp_path: Path) -> None:
    done = run(tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "gather": [{"rank": 0}, {"rank": 1}],
        "on_main": [0, 1],
        "from_main": "zero",
        "sum": [2, 0.5],
        "max": 0,
        "merged": ["a", "b", "c", "d", "e"],
        "in_main": "x",
        "in_thread": [0, 1],
        "reduced": 3.0,
    }


def test_a_rank_that_is_gone_is_told_from_a_bug(tmp_path: Path) -> None:
    done = run(tmp_path, "leave")
    assert done.stdout.splitlines()[-1] == "RankLost True"
    assert done.returncode == 3 and "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == "error: rank 1 ended with status 3; the other ranks were stopped"


def test_alone_everything_is_local() -> None:
    world = current()
    assert world == World() and world.is_main and world.is_local_main
    assert world.gather("x") == world.gather_on_main("x") == ["x"]
    assert world.from_main("x") == "x" and world.sum(1, 2.5) == [1, 2.5] and world.max(3) == 3
    world.barrier()
    assert world.merge(world.gather(world.share([1, 2, 3]))) == [1, 2, 3]


@pytest.mark.parametrize("number", range(8))
@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_shares_are_even_and_merge_in_order(number: int, size: int) -> None:
    parts = [World(rank, size).share(range(number)) for rank in range(size)]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert World(0, size).merge(parts) == list(range(number))


def test_only_the_first_rank_of_a_machine_is_its_main() -> None:
    worlds = [World(rank, 4, rank % 2, 2, 2) for rank in range(4)]
    assert [w.is_main for w in worlds] == [True, False, False, False]
    assert [w.is_local_main for w in worlds] == [True, False, True, False]


def test_a_lost_rank_is_known_by_the_libraries_words_too() -> None:
    gloo = RuntimeError("[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:547] Connection closed by peer")
    wrapped = ValueError("in a callback")
    wrapped.__context__ = gloo
    assert rank_is_lost(RankLost("gone")) and rank_is_lost(gloo) and rank_is_lost(wrapped)
    assert not rank_is_lost(RuntimeError("shapes differ")) and not rank_is_lost(ValueError("nccl"))
    mistake = ZeroCoderError("no disk space")
    mistake.__context__ = gloo
    assert not rank_is_lost(mistake)
