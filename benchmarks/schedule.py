"""How busy many workers would be: the real scheduler, with the costs of a real step, on a simulated clock.

`recorded` runs jobs on one real worker, task by task, and keeps what each plan and each program took and answered (of
the programs of one task each the same share). `replay` hands the tasks to any number of simulated workers as
`zerocoder.execution.schedule` makes them and in the order in which it gives them out, the next one ahead while there is
plenty, as `zerocoder.execution.driver` does; no program runs. The trainer's side is one
process that sends and takes in one message at a time: its work is measured while it is done for the replay (bookkeeping
and the encoding of messages) and put on the clock too.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import json
import marshal
import selectors
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from zerocoder.execution import Job, Limits, driver
from zerocoder.execution.progress import Progress
from zerocoder.execution.schedule import Schedule, Task
from zerocoder.execution.worker import Worker


@dataclass(frozen=True)
class Outcome:
    """What a plan, or a program on its tests, took of a worker, in seconds, and what the answer says of it."""

    seconds: float
    answer: Any


Costs = list[dict[int | None, list[Outcome]]]
"""One mapping a job: from a row (None: the plan) to its outcomes, one for each round."""


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
    schedule = _opened(jobs, limits, 1)
    worker = Worker(isolation)
    try:
        worker.wait_ready()
        while (task := schedule.next_task(worker.held)) is not None:
            start = time.perf_counter()
            worker.send(schedule.request(task, worker.held))
            answer = answered(worker)
            reached = {None: answer} if task.rows is None else dict(zip(task.rows, answer, strict=False))
            seconds = (time.perf_counter() - start) / len(reached)
            for row, said in reached.items():
                costs[task.job].setdefault(row, []).append(Outcome(seconds, said))
            worker.held = worker.held if task.rows is None else task.job
            schedule.finish(task, answer)
    finally:
        worker.kill()
    return costs


class _Simulated:
    """A worker on the clock: does what it holds in turn."""

    def __init__(self) -> None:
        self.held: int | None = None  # the job whose tests it has
        self.num_tasks = 0
        self.free_at = 0.0

    def take(self, task: Task, now: float, seconds: float) -> float:
        """The moment at which a task ends that is sent now."""
        self.held = self.held if task.rows is None else task.job
        self.num_tasks += 1
        self.free_at = max(self.free_at, now) + seconds
        return self.free_at


def replay(jobs: Sequence[Job], limits: Limits, costs: Costs, num_workers: int) -> Replay:
    """The jobs, whose outcomes are known, on `num_workers` simulated workers, handed out as the driver does it."""
    schedule = _opened(jobs, limits, num_workers)
    outcomes = [{row: iter(rounds) for row, rounds in job.items()} for job in costs]
    workers = [_Simulated() for _ in range(num_workers)]
    running: list[tuple[float, int, _Simulated, Task, Any]] = []  # a heap: when it ends
    numbers = itertools.count()  # no two entries are compared further
    now = busy = trainer = 0.0

    @contextlib.contextmanager
    def on_the_clock() -> Iterator[None]:
        """What the trainer's side does here takes as long on the clock."""
        nonlocal now, trainer
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            now, trainer = now + spent, trainer + spent

    def hand_out() -> None:
        nonlocal busy
        for num_held in range(driver.AHEAD):
            for worker in [worker for worker in workers if worker.num_tasks == num_held]:
                with on_the_clock():
                    if num_held and not schedule.has_waiting(num_workers):
                        return
                    if (task := schedule.next_task(worker.held)) is None:
                        return
                    marshal.dumps(schedule.request(task, worker.held))
                parts = [next(outcomes[task.job][row]) for row in (task.rows or [None])]
                seconds = sum(part.seconds for part in parts)
                busy += seconds
                answer = parts[0].answer if task.rows is None else [part.answer for part in parts]
                heapq.heappush(running, (worker.take(task, now, seconds), next(numbers), worker, task, answer))

    while not schedule.idle:
        hand_out()
        now = max(now, running[0][0])
        while running and running[0][0] <= now:  # all that has arrived
            _, _, worker, task, answer = heapq.heappop(running)
            worker.num_tasks -= 1
            payload = json.dumps(answer)
            with on_the_clock():
                schedule.finish(task, json.loads(payload))
        with on_the_clock():
            for _, job in schedule.take_done():
                job.finish()
    return Replay(num_workers, now, busy, trainer)


def _opened(jobs: Sequence[Job], limits: Limits, num_workers: int) -> Schedule:
    """A schedule in which a job's number is its index."""
    schedule = Schedule(num_workers)
    for job in jobs:
        schedule.add(Progress(job, limits, None, ""))
    return schedule


def answered(worker: Worker) -> Any:
    """Waits for a worker's next answer."""
    with selectors.DefaultSelector() as selector:
        selector.register(worker, selectors.EVENT_READ)
        while (answer := worker.receive()) is ...:  # it may have come with the one before
            selector.select()
        return answer
