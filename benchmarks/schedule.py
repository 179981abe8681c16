"""How busy many workers would be: the real scheduler, with the costs of a real step, on a simulated clock.

`recorded` runs jobs on one real worker, task by task, and keeps what each task took and answered. `replay` hands the
same tasks to any number of simulated workers in the order in which `zerocoder.execution.schedule` gives them out; no
program runs. The trainer's side is one process that sends and takes in one message at a time: its work is
measured while it is done for the replay (bookkeeping and the encoding of messages) and put on the clock too.
"""

from __future__ import annotations

import heapq
import json
import marshal
import selectors
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from zerocoder.execution import Job, Limits
from zerocoder.execution.progress import Progress
from zerocoder.execution.schedule import Schedule, Task
from zerocoder.execution.worker import Worker


@dataclass(frozen=True)
class Outcome:
    """What one task of a worker took, in seconds, and answered."""

    seconds: float
    answer: Any


Costs = list[dict[tuple[int, ...], list[Outcome]]]
"""One mapping a job: from a task's rows (none: the plan) to its outcomes, one for each round."""


@dataclass(frozen=True)
class Replay:
    """One replay: wall seconds, seconds of work by all workers, seconds of the trainer's side."""

    num_workers: int
    seconds: float
    busy_seconds: float
    trainer_seconds: float

    @property
    def busy_share(self) -> float:
        """Share of the workers' time that is work."""
        return self.busy_seconds / (self.num_workers * self.seconds)


def recorded(jobs: Sequence[Job], limits: Limits, isolation: str) -> Costs:
    """The outcomes of all tasks of some jobs, each measured on one warm worker."""
    costs: Costs = [{} for _ in jobs]
    schedule = _opened(jobs, limits)
    worker = Worker(isolation)
    try:
        worker.wait_ready()
        while (task := schedule.next_task(worker.held)) is not None:
            start = time.perf_counter()
            worker.send(schedule.request(task, worker.held))
            answer = answered(worker)
            costs[task.job].setdefault(_key(task), []).append(Outcome(time.perf_counter() - start, answer))
            worker.held = worker.held if task.rows is None else task.job
            schedule.finish(task, answer)
    finally:
        worker.kill()
    return costs


def replay(jobs: Sequence[Job], limits: Limits, costs: Costs, num_workers: int) -> Replay:
    """The jobs, whose outcomes are known, on `num_workers` simulated workers."""
    schedule = _opened(jobs, limits)
    outcomes = [{key: iter(rounds) for key, rounds in job.items()} for job in costs]
    held: list[int | None] = [None] * num_workers
    idle = list(range(num_workers))
    running: list[tuple[float, int, Task, Outcome]] = []  # a heap: when it ends, on which worker
    now = busy = trainer = 0.0
    while not schedule.idle:
        waiting = []
        for worker in idle:
            start = time.perf_counter()
            task = schedule.next_task(held[worker])
            if task is not None:
                marshal.dumps(schedule.request(task, held[worker]))
            spent = time.perf_counter() - start
            now, trainer = now + spent, trainer + spent
            if task is None:
                waiting.append(worker)
                continue
            held[worker] = held[worker] if task.rows is None else task.job
            outcome = next(outcomes[task.job][_key(task)])
            busy += outcome.seconds
            heapq.heappush(running, (now + outcome.seconds, worker, task, outcome))
        end, worker, task, outcome = heapq.heappop(running)
        payload = json.dumps(outcome.answer)
        start = time.perf_counter()
        schedule.finish(task, json.loads(payload))
        for _, job in schedule.take_done():
            job.finish()
        spent = time.perf_counter() - start
        now, trainer = max(now, end) + spent, trainer + spent
        idle = [*waiting, worker]
    return Replay(num_workers, now, busy, trainer)


def _opened(jobs: Sequence[Job], limits: Limits) -> Schedule:
    """A schedule in which a job's number is its index."""
    schedule = Schedule()
    for job in jobs:
        schedule.add(Progress(job, limits, None, ""))
    return schedule


def _key(task: Task) -> tuple[int, ...]:
    return () if task.rows is None else tuple(task.rows)


def answered(worker: Worker) -> Any:
    """Waits for a worker's next answer."""
    with selectors.DefaultSelector() as selector:
        selector.register(worker, selectors.EVENT_READ)
        while True:
            selector.select()
            if (answer := worker.receive()) is not ...:
                return answer
