"""The processes that serve one request share a core; what computes for long, and the next request, go where they can."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from execution_helpers import as_job, descendants, wait_until

from zerocoder.execution import Limits, ProcessExecutor
from zerocoder.execution.sandbox import clocks, syscalls
from zerocoder.execution.sandbox.homecore import HomeCore

CORES = os.sched_getaffinity(0) if syscalls.knows_cores() else set()
pytestmark = pytest.mark.skipif(len(CORES) < 2, reason="one core, or a system without a say in which")

ENDLESS = "def f(x):\n    while True: x += 1"


def cores_of(executor: ProcessExecutor) -> dict[int, set[int]]:
    """The cores that each process of the one worker may use."""
    [worker] = executor._workers
    family = [worker.pid, *descendants(worker.pid)]
    return {pid: os.sched_getaffinity(pid) for pid in family if Path(f"/proc/{pid}").exists()}


def test_an_idle_worker_can_be_woken_anywhere() -> None:
    with ProcessExecutor(workers=1) as executor:
        executor.run([as_job(["def f(x): return x"], ["assert f(1) == 1"])])
        assert wait_until(lambda: len(cores_of(executor)) == 3)  # the request's own process is on its way out
        guard, warden, _ = cores_of(executor)
        assert wait_until(lambda: cores_of(executor)[warden] == CORES)
        assert cores_of(executor)[guard] == CORES


def test_an_endless_program_is_not_kept_to_a_core() -> None:
    with ProcessExecutor(workers=1, limits=Limits(cpu_seconds=3, cpu_floor=3)) as executor:
        future = executor.submit(as_job([ENDLESS], ["assert f(1) == 1"]))
        assert wait_until(
            lambda: len(executor._workers) == 1 and len(cores_of(executor)) == 5
        )  # with planner and runner
        assert wait_until(lambda: all(cores == CORES for cores in cores_of(executor).values()))
        assert not future.done()


def test_a_worker_stays_within_the_cores_it_was_given() -> None:
    """As with taskset, or in a container."""
    only = {min(CORES)}
    seen = []

    def confined() -> None:
        os.sched_setaffinity(0, only)  # of this thread, and of what it starts
        with ProcessExecutor(workers=1) as executor:
            executor.run([as_job(["def f(x): return x"], ["assert f(1) == 1"])])
            seen.append(set().union(*cores_of(executor).values()))

    thread = threading.Thread(target=confined)
    thread.start()
    thread.join()
    assert seen == [only]


def test_who_has_to_share_a_core_is_let_go_for_a_request() -> None:
    """Two processes of another one on the same core leave less than half of it."""
    seen = []

    def serve() -> None:
        home = HomeCore(os.getpid())
        home.settle()
        [core] = os.sched_getaffinity(0)
        spin = [sys.executable, "-I", "-S", "-c", "while True: pass"]
        neighbours = [subprocess.Popen(spin) for _ in range(2)]  # they inherit the core
        try:
            for request in range(3):
                start = time.monotonic()
                while time.monotonic() - start < 0.3:
                    pass
                home.leave()
                home.settle()
                seen.append(os.sched_getaffinity(0) == CORES)
                if request == 0:
                    os.sched_setaffinity(0, {core})  # the system may leave it there
        finally:
            for process in neighbours:
                process.kill()
                process.wait()

    thread = threading.Thread(target=serve)  # whose affinity is its own
    thread.start()
    thread.join()
    # let go for the second request, gathered again for the third
    assert seen[:2] == [True, False]


def test_a_process_has_one_clock() -> None:
    start = clocks.read(clocks.cpu_clock(0))
    while time.process_time() < 0.05:
        pass
    assert start <= clocks.read(clocks.cpu_clock(os.getpid())) == pytest.approx(time.process_time(), abs=0.05)
    ended = subprocess.Popen([sys.executable, "-I", "-S", "-c", ""])
    ended.wait()
    assert clocks.read(clocks.cpu_clock(ended.pid)) == 0.0
