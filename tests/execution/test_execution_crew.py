"""Which processes a worker keeps between the problems of a step."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from execution_helpers import all_gone, as_job, forked, wait_until

from benchmarks.schedule import answered
from zerocoder.execution import Limits
from zerocoder.execution.progress import Progress
from zerocoder.execution.sandbox import crew, warden
from zerocoder.execution.schedule import Schedule
from zerocoder.execution.worker import Worker

SEALED = ["def f(x): return x + 1", "def f(x): return 1 + x"]
OWN = ["import sys\ndef f(x): return x + 1"]
LITERAL, JUDGED = "assert f(1) == 2", "try:\n    assert f(1) == 2\nexcept ValueError:\n    pass"
JUDGED_ALONE = "import sys\ntry:\n    assert f(1) == 2\nexcept ValueError:\n    pass"


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker("none")
    made.wait_ready()
    yield made
    made.kill()


def run(worker: Worker, programs: list[str], tests: list[str], limits: Limits | None = None) -> set[int]:
    """One problem, all of whose cells pass. Returns the processes that are left, planners included."""
    schedule = Schedule()
    schedule.add(Progress(as_job(programs, tests), limits or Limits(), None, ""))
    held = None
    while (task := schedule.next_task(held)) is not None:
        worker.send(schedule.request(task, held))
        schedule.finish(task, answered(worker))
        held = None if task.rows is None else task.job
    [(_, progress)] = schedule.take_done()
    progress.finish()
    assert (progress.matrix == 1).all()
    return left(worker)


def left(worker: Worker) -> set[int]:
    """What the worker has forked, once those that it has killed are gone."""
    time.sleep(0.2)  # who is killed needs a moment to end
    assert wait_until(lambda: not any(all_gone([pid]) for pid in forked(worker.pid)))
    return set(forked(worker.pid))


def test_with_a_process_for_each_test_the_next_problem_finds_none(worker: Worker) -> None:
    """But the planner, which runs nothing; not the judge of a sealed test either."""
    limits = Limits(state="process")
    first, second = (run(worker, SEALED, [f"{JUDGED}\nn = {n}"], limits) for n in range(2))
    assert len(first & second) == 1 < len(first)


def test_sealed_programs_and_tests_of_the_next_problem_find_their_processes(worker: Worker) -> None:
    planner = run(worker, [], [LITERAL]) | run(worker, SEALED[:1], [])
    first = run(worker, SEALED, [LITERAL, JUDGED])
    assert len(first - planner) == 3  # runner, judge, and the planner, which there was no need for before
    assert run(worker, [source + " + 0" for source in SEALED], [JUDGED, LITERAL]) == first
    worker.send((warden.REST,), answered=False)
    worker.send((warden.PLAN, [], [], ""))  # answered when the rest is over
    answered(worker)
    assert not first & left(worker)


def test_requests_wait_for_those_before_them_unless_they_are_large(worker: Worker) -> None:
    plan = (warden.PLAN, ["def f(x): return x"], [LITERAL], "f")
    large = (warden.PLAN, ["#" * 100_000], [], "f")
    assert [worker.send(plan), worker.send(large), worker.send(plan)] == [True, False, True]
    first = answered(worker)
    assert first["programs"]["groups"] == [0] and answered(worker) == first
    assert worker.send(large) and answered(worker)["programs"]["groups"] == [0]


def test_others_leave_none(worker: Worker) -> None:
    kept = run(worker, SEALED, [LITERAL])
    assert run(worker, OWN, [LITERAL]) == kept
    spoiling = "import sys\nsys.spoilt = True\ndef f(x): return x + 1"
    looking = "import sys\ndef f(x): return x + 1 + hasattr(sys, 'spoilt')"
    assert run(worker, [spoiling, looking], [LITERAL]) == kept
    judged = run(worker, OWN, [JUDGED_ALONE])
    assert judged == kept  # the test imports sys: its judge is not to meet another program
    alone = run(worker, SEALED, ["try:\n    assert f(1).real == 2\nexcept f.__class__:\n    pass", LITERAL])
    assert len(alone) == len(kept) + 1
    assert run(worker, SEALED, [LITERAL]) == kept


def test_with_other_limits_they_are_replaced(worker: Worker) -> None:
    first = run(worker, SEALED, [JUDGED])
    second = run(worker, SEALED, [JUDGED], Limits(memory_mb=300))
    assert len(second) == len(first) and len(first & second) == 1  # the planner


def test_nothing_serves_for_ever(worker: Worker) -> None:
    first = run(worker, SEALED, [LITERAL])
    programs = [f"def f(x): return x + 1 + {n} - {n}" for n in range(crew._MAX_PROGRAMS)]
    second = run(worker, programs, [LITERAL])
    assert len(first) == len(second) and len(first & second) == 1
