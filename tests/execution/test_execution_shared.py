"""One executor for several processes: the same verdicts, streamed, cancelled and failed as if it were one's own."""

from __future__ import annotations

import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from multiprocessing import AuthenticationError
from pathlib import Path

import pytest
from execution_helpers import as_job, computing, names, wait_until

from zerocoder.execution import Job, Limits, ProcessExecutor
from zerocoder.execution.shared import ExecutorServer, ServerLost, SharedExecutor

ROOT = Path(__file__).parents[2]
GOOD, BAD, ENDLESS = "def f(x): return x + 1", "def f(x): return x", "def f(x):\n    while True: x += 1"
TEST = "assert f(1) == 2"
PATIENT = Limits(cpu_seconds=600, cpu_floor=600)


@pytest.fixture(scope="module")
def server(executor: ProcessExecutor) -> Iterator[ExecutorServer]:
    with ExecutorServer(executor) as server:
        yield server


@pytest.fixture
def shared(server: ExecutorServer) -> Iterator[SharedExecutor]:
    with SharedExecutor(*server.offer) as client:
        yield client


def busy(executor: ProcessExecutor) -> bool:
    return any(computing(worker.pid) for worker in executor._workers)


def test_verdicts_and_isolation_are_those_of_the_server(executor: ProcessExecutor, shared: SharedExecutor) -> None:
    jobs = [as_job([GOOD, BAD, None], [TEST, "assert f(2) == 2"]), as_job([BAD], [TEST])]
    shared.start()
    assert shared.isolation == executor.isolation
    done: list[int] = []
    ran = shared.run(jobs, done.append)
    assert [names(m) for m in ran] == [
        [["PASS", "FAIL"], ["FAIL", "PASS"], ["SKIPPED", "SKIPPED"]],
        [["FAIL"]],
    ]
    assert sorted(done) == [0, 1]


def test_answers_come_as_jobs_end(shared: SharedExecutor) -> None:
    late = shared.submit(as_job([ENDLESS], [TEST], limits=PATIENT))
    assert names(shared.submit(as_job([GOOD], [TEST])).result(timeout=60)) == [["PASS"]]
    assert not late.done()
    late.cancel()


def test_any_thread_may_submit(shared: SharedExecutor) -> None:
    found: dict[int, list[list[str]]] = {}

    def ask(n: int) -> None:
        job = as_job([f"def f(x): return x + {n}"], ["assert f(1) == 4"])
        found[n] = names(shared.submit(job).result(timeout=60))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {n: [["PASS" if n == 3 else "FAIL"]] for n in range(6)}


def test_cancelling_ends_what_runs(executor: ProcessExecutor, shared: SharedExecutor) -> None:
    future = shared.submit(as_job([ENDLESS], [TEST], limits=PATIENT))
    assert wait_until(lambda: busy(executor))
    assert future.cancel()
    assert wait_until(lambda: not busy(executor))
    with pytest.raises(CancelledError):
        future.result()
    assert names(shared.submit(as_job([GOOD], [TEST])).result(timeout=60)) == [["PASS"]]


def test_errors_of_the_server_are_told_here(executor: ProcessExecutor, shared: SharedExecutor) -> None:
    broken = Job(("no program",), as_job([GOOD], [TEST]).tests, "f")  # type: ignore[arg-type]
    with pytest.raises(AttributeError) as here:
        shared.submit(broken).result(timeout=60)
    with pytest.raises(AttributeError) as there:
        executor.submit(broken).result(timeout=60)
    assert str(here.value) == str(there.value)


def test_the_end_of_the_server_fails_who_waits(executor: ProcessExecutor) -> None:
    server = ExecutorServer(executor)
    client = SharedExecutor(*server.offer)
    future = client.submit(as_job([ENDLESS], [TEST], limits=PATIENT))
    assert wait_until(lambda: busy(executor))
    server.close()
    with pytest.raises(ServerLost, match="the process that runs the verifier is gone"):
        future.result(timeout=60)
    assert wait_until(lambda: not busy(executor))
    with pytest.raises(ServerLost):
        client.submit(as_job([GOOD], [TEST]))
    client.close()
    with pytest.raises(ServerLost, match="does not answer"):
        SharedExecutor(*server.offer)
    assert not Path(server.offer[0]).parent.exists()


CLIENT = """
import sys
from zerocoder.execution import Job, Limits
from zerocoder.execution.shared import SharedExecutor
from zerocoder.problems import Program, TestCase
client = SharedExecutor(sys.argv[1], bytes.fromhex(sys.argv[2]))
job = Job((Program(sys.argv[3]),), (TestCase("assert f(1) == 2"),), "f", Limits(cpu_seconds=600, cpu_floor=600))
future = client.submit(job)
print("torch" in sys.modules, flush=True)
future.result()
"""


def test_a_client_that_dies_takes_its_jobs_with_it(executor: ProcessExecutor, server: ExecutorServer) -> None:
    address, key = server.offer
    client = subprocess.Popen(
        [sys.executable, "-c", CLIENT, address, key.hex(), ENDLESS], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert client.stdout is not None and client.stdout.readline() == "False\n"  # it needs no torch
    assert wait_until(lambda: busy(executor))
    client.kill()
    client.communicate()
    assert wait_until(lambda: not busy(executor))
    assert names(executor.run([as_job([GOOD], [TEST])])[0]) == [["PASS"]]


def test_a_closed_client_leaves_the_server_to_others(server: ExecutorServer, shared: SharedExecutor) -> None:
    other = SharedExecutor(*server.offer)
    waiting = other.submit(as_job([ENDLESS], [TEST], limits=PATIENT))
    other.close()
    with pytest.raises(ServerLost, match="this side has closed it"):
        waiting.result(timeout=60)
    assert names(shared.submit(as_job([GOOD], [TEST])).result(timeout=60)) == [["PASS"]]


def test_strangers_are_kept_out(server: ExecutorServer, shared: SharedExecutor) -> None:
    address, _ = server.offer
    assert stat.S_IMODE(Path(address).parent.stat().st_mode) == 0o700
    with pytest.raises(AuthenticationError):
        SharedExecutor(address, b"another key")
    time.sleep(0.1)
    assert names(shared.submit(as_job([GOOD], [TEST])).result(timeout=60)) == [["PASS"]]
