"""Jobs handed over while others run: futures, cancelling, awaiting."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from collections.abc import Callable

import pytest
from execution_helpers import as_job, computing, wait_until

from zerocoder.execution import Limits, ProcessExecutor, Verdict

RIGHT, ENDLESS = "def f(x): return x + 1", "def f(x):\n    while True: x += 1"
TESTS = ["assert f(1) == 2", "for y in [f(2)]: assert y == 3"]
PASSED = [[Verdict.PASS] * 2]
FOR_AGES = Limits(cpu_seconds=60, cpu_multiple=0)


def test_a_future_of_the_matrix(executor: ProcessExecutor) -> None:
    futures = [executor.submit(as_job([f"def f(x): return x + {k}"], TESTS)) for k in range(3)]
    assert [f.result(30).tolist() for f in futures] == [[[Verdict.FAIL] * 2], PASSED, [[Verdict.FAIL] * 2]]


def test_jobs_run_while_the_caller_does_something_else(executor: ProcessExecutor) -> None:
    first = executor.submit(as_job([RIGHT], TESTS))
    end = time.monotonic() + 30
    while not first.done() and time.monotonic() < end:
        time.sleep(0.01)
    assert first.done()  # nobody waited for it
    # one worker is busy for ages, the other does what comes in meanwhile
    endless = executor.submit(as_job([ENDLESS], TESTS[:1], limits=FOR_AGES))
    assert executor.submit(as_job([RIGHT], TESTS)).result(30).tolist() == PASSED
    assert not endless.done()
    assert endless.cancel()
    assert executor.run([as_job([RIGHT], TESTS)] * 4)[3].tolist() == PASSED


def test_cancelling_ends_what_runs() -> None:
    with ProcessExecutor(workers=1) as executor:
        assert executor.submit(as_job([RIGHT], TESTS)).result(30).tolist() == PASSED
        futures = [executor.submit(as_job([ENDLESS], TESTS, limits=FOR_AGES)) for _ in range(3)]
        [worker] = executor._workers
        assert wait_until(lambda: bool(computing(worker.pid)))
        for future in futures:
            future.cancel()
        assert executor.submit(as_job([RIGHT], TESTS)).result(30).tolist() == PASSED
        assert len(executor._workers) == 1


def test_closing_cancels_what_is_left() -> None:
    executor = ProcessExecutor(workers=1)
    future = executor.submit(as_job([ENDLESS], TESTS, limits=FOR_AGES))
    executor.close()
    with pytest.raises(concurrent.futures.CancelledError):
        future.result(30)
    assert executor.run([as_job([RIGHT], TESTS)])[0].tolist() == PASSED
    executor.close()


@pytest.mark.parametrize("on_done", [None, lambda index: None])
def test_closing_ends_a_run_of_another_thread(on_done: Callable[[int], None] | None) -> None:
    executor = ProcessExecutor(workers=1)
    executor.start()
    jobs = [as_job([ENDLESS], TESTS, limits=FOR_AGES)] * 2
    with concurrent.futures.ThreadPoolExecutor() as pool:
        run = pool.submit(executor.run, jobs, on_done)
        [worker] = executor._workers
        assert wait_until(lambda: bool(computing(worker.pid)))
        executor.close()
        with pytest.raises(concurrent.futures.CancelledError):
            run.result(30)


@pytest.mark.parametrize("on_done", [None, lambda index: None])
def test_a_job_that_cannot_run_ends_the_run_at_once(on_done: Callable[[int], None] | None) -> None:
    with ProcessExecutor(workers=1) as executor:
        jobs = [as_job([ENDLESS], TESTS, limits=FOR_AGES), "no job"]
        with concurrent.futures.ThreadPoolExecutor() as pool, pytest.raises(AttributeError):
            pool.submit(executor.run, jobs, on_done).result(30)  # type: ignore[arg-type]
        assert executor.run([as_job([RIGHT], TESTS)])[0].tolist() == PASSED


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_nobody_waits_for_a_driver_that_a_bug_has_ended() -> None:
    """What was handed over before it ended, and what comes while it ends, is told; the next job gets a new one."""
    with ProcessExecutor(workers=1) as executor:
        assert executor.submit(as_job([RIGHT], TESTS)).result(30).tolist() == PASSED
        driver = executor._driver
        assert driver is not None
        begun, go_on = threading.Event(), threading.Event()

        def bug() -> None:
            begun.set()
            go_on.wait(30)
            raise ArithmeticError("a bug")

        driver._post(bug)
        assert begun.wait(30)
        queued = executor.submit(as_job([RIGHT], TESTS))
        go_on.set()
        with pytest.raises(ArithmeticError, match="a bug"):
            queued.result(30)
        driver._thread.join(30)
        with pytest.raises(ArithmeticError, match="a bug"):
            driver.submit(as_job([RIGHT], TESTS)).result(30)
        assert executor.submit(as_job([RIGHT], TESTS)).result(30).tolist() == PASSED


def test_a_job_that_is_none_of_ours_harms_only_itself(executor: ProcessExecutor) -> None:
    good, bad = executor.submit(as_job([RIGHT], TESTS)), executor.submit("no job")  # type: ignore[arg-type]
    with pytest.raises(AttributeError):
        bad.result(30)
    assert good.result(30).tolist() == PASSED


def test_futures_can_be_awaited(executor: ProcessExecutor) -> None:
    async def both() -> list[list[list[int]]]:
        futures = [asyncio.wrap_future(executor.submit(as_job([RIGHT], TESTS))) for _ in range(2)]
        return [matrix.tolist() for matrix in await asyncio.gather(*futures)]

    assert asyncio.run(both()) == [PASSED, PASSED]
