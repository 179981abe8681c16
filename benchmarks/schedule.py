"""How busy many workers would be: the real scheduler, with the costs of a real step, on a simulated clock.

`recorded` runs jobs on one real worker, task by task, and keeps what each task took and answered. `replay` hands the
same tasks to any number of simulated workers in the order in which `zerocoder.execution.batch.Batch` gives them out;
no program runs. The trainer's side is one process that sends and takes in one message at a time: its work is
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

from zerocoder.execution.batch import Batch, Task

from zerocoder.execution import Job, Limits
from zerocoder.execution.worker import Worker


@dataclass(frozen=True)
class Outcome:
    """What one task of a worker took, in seconds, and answered."""

    seconds: float
    answer: Any


Costs = list[dict[int | None, Outcome]]  # one mapping a job: from a row (None: the plan) to its outcome


@dataclass(frozen=True)
class Schedule:
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
    batch = Batch(jobs, limits)
    worker = Worker(isolation)
    try:
        worker.wait_ready()
        while (task := batch.next_task(worker.held)) is not None:
            start = time.perf_counter()
            worker.send(batch.request(task, worker.held))
            answer = _answer(worker)
            costs[task.job][task.row] = Outcome(time.perf_counter() - start, answer)
            worker.held = worker.held if task.row is None else task.job
            batch.finish(task, answer)
    finally:
        worker.kill()
    return costs


def replay(jobs: Sequence[Job], limits: Limits, costs: Costs, num_workers: int) -> Schedule:
    """The jobs, whose outcomes are known, on `num_workers` simulated workers."""
    batch = Batch(jobs, limits)
    held: list[int | None] = [None] * num_workers
    idle = list(range(num_workers))
    running: list[tuple[float, int, Task]] = []  # a heap: when it ends, on which worker
    now = busy = trainer = 0.0
    while not batch.finished:
        waiting = []
        for worker in idle:
            start = time.perf_counter()
            task = batch.next_task(held[worker])
            if task is not None:
                marshal.dumps(batch.request(task, held[worker]))
            spent = time.perf_counter() - start
            now, trainer = now + spent, trainer + spent
            if task is None:
                waiting.append(worker)
                continue
            held[worker] = held[worker] if task.row is None else task.job
            seconds = costs[task.job][task.row].seconds
            busy += seconds
            heapq.heappush(running, (now + seconds, worker, task))
        end, worker, task = heapq.heappop(running)
        payload = json.dumps(costs[task.job][task.row].answer)
        start = time.perf_counter()
        batch.finish(task, json.loads(payload))
        batch.newly_done()
        spent = time.perf_counter() - start
        now, trainer = max(now, end) + spent, trainer + spent
        idle = [*waiting, worker]
    return Schedule(num_workers, now, busy, trainer)


def _answer(worker: Worker) -> Any:
    with selectors.DefaultSelector() as selector:
        selector.register(worker, selectors.EVENT_READ)
        while True:
            selector.select()
            if (answer := worker.receive()) is not ...:
                return answer
