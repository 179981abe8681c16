"""What is still to be done of the jobs at hand, as tasks for workers: one plan a job, then its programs (rows).

Pure bookkeeping without processes. A worker keeps to the job whose tests it holds; an idle one opens the next job, and
only then helps with the rows of others, so that endless programs of one problem end up on several workers.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

from zerocoder.execution.progress import Progress
from zerocoder.execution.sandbox import warden
from zerocoder.execution.sandbox.peer import longest_wall_seconds
from zerocoder.execution.sandbox.scriptcell import CHECKER_CPU_SECONDS

_MAX_ATTEMPTS = 2
_LEAST_ROWS = 2  # of a task that others could have more of: each message has its price
_PATIENCE_SECONDS = 60.0  # what a worker may take on top of its budgets before it counts as hung


@dataclass(eq=False)
class Task:
    """One request to a worker: the plan of a job, or some of its rows (indices of its distinct programs)."""

    job: int
    rows: list[int] | None
    num_attempts: int = 0
    first_lost: float | None = None  # when a worker died over it


class Schedule:
    """Jobs that come and go; each has a number of its own."""

    def __init__(self, num_workers: int = 1) -> None:
        self._num_workers = num_workers
        self._numbers = itertools.count()
        self._jobs: dict[int, Progress] = {}
        self._unplanned: deque[Task] = deque()
        self._rows: dict[int, deque[Task]] = {}  # of planned jobs: what no worker has got yet
        self._retries: deque[Task] = deque()
        self._num_left: dict[int, int] = {}  # tasks that are not finished
        self._works: dict[int, tuple[Any, ...]] = {}
        self._done: list[int] = []

    @property
    def idle(self) -> bool:
        """Whether no job is unfinished."""
        return not self._num_left

    def add(self, job: Progress) -> int:
        """Takes a job in and gives it a number."""
        number = next(self._numbers)
        self._jobs[number] = job
        if job.idle:
            self._done.append(number)
        else:
            self._unplanned.append(Task(number, None))
            self._num_left[number] = 1
        return number

    def drop(self, number: int) -> None:
        """Forgets a job; tasks of it that a worker has got need not be finished."""
        self._jobs.pop(number, None)
        self._num_left.pop(number, None)
        self._works.pop(number, None)
        self._rows.pop(number, None)
        self._unplanned = deque(task for task in self._unplanned if task.job != number)
        self._retries = deque(task for task in self._retries if task.job != number)
        self._done = [done for done in self._done if done != number]

    def take_done(self) -> list[tuple[int, Progress]]:
        """The jobs that were finished since the last call. They are forgotten here."""
        done, self._done = self._done, []
        return [(number, self._jobs.pop(number)) for number in done]

    def next_task(self, held: int | None) -> Task | None:
        """The best task for a worker that holds the tests of job `held`; None when all are handed out."""
        if self._retries:
            return self._retries.popleft()
        if held not in self._rows and self._unplanned:
            return self._unplanned.popleft()
        if not self._rows:
            return None
        job = held if held in self._rows else next(iter(self._rows))
        assert job is not None
        tasks = self._rows[job]
        task = tasks.popleft()
        if rest := self._kept_for_others(task):
            tasks.appendleft(rest)
        if not tasks:
            del self._rows[job]
        return task

    def _kept_for_others(self, task: Task) -> Task | None:
        """Half of a task, where other workers would soon find nothing to do; a family stays in its process."""
        assert task.rows is not None
        if self._num_workers == 1 or len(task.rows) < 2 * _LEAST_ROWS or self._jobs[task.job].family:
            return None
        if self.has_waiting(self._num_workers):
            return None
        half = (len(task.rows) + 1) // 2
        rest = replace(task, rows=task.rows[half:])
        task.rows = task.rows[:half]
        self._num_left[task.job] += 1
        return rest

    def has_waiting(self, number: int) -> bool:
        """Whether at least so many tasks are not handed out."""
        waiting = len(self._retries) + len(self._unplanned)
        for tasks in self._rows.values():
            if waiting >= number:
                break
            waiting += len(tasks)
        return waiting >= number

    def request(self, task: Task, held: int | None) -> tuple[Any, ...]:
        """What to send to a worker that holds the tests of job `held`."""
        job = self._jobs[task.job]
        if task.rows is None:
            return job.plan_request()
        return warden.ROWS, None if held == task.job else self._works[task.job], *job.rows_request(task.rows)

    def deadline_seconds(self, task: Task) -> float:
        """After this a worker counts as hung."""
        job = self._jobs.get(task.job)
        if job is None:  # dropped while it waited at the worker
            return _PATIENCE_SECONDS
        num_cells = 0 if task.rows is None else len(job.tests) * len(task.rows)
        longest = longest_wall_seconds(job.limits.cpu_seconds)
        if job.grading.checker is not None:
            longest += 2 * longest_wall_seconds(CHECKER_CPU_SECONDS)  # it may be asked twice
        return _PATIENCE_SECONDS + 1.5 * num_cells * longest

    def finish(self, task: Task, answer: Any) -> None:
        """Takes a worker's answer in. Raises ValueError, LookupError or TypeError for one out of shape."""
        job = self._jobs.get(task.job)
        if job is None:
            return
        if task.rows is None:
            job.apply_plan(answer)
            self._open(task.job)
        else:
            self._put_back(task.job, job.write_rows(task.rows, answer))
        self._count_down(task.job)

    def lost(self, task: Task, now: float, started: float) -> None:
        """A worker died over a task: it is done again once, then a row stays INFRA, a job goes on without a plan.

        A worker that was `started` before the first one died does not count: what killed that one may have killed
        several (`now` is of the same clock). Rows that shared a worker are done again one by one, so that one cannot
        take the others along.
        """
        job = self._jobs.get(task.job)
        if job is None:
            return
        first_lost = now if task.first_lost is None else task.first_lost
        num_attempts = task.num_attempts + (task.first_lost is None or started >= task.first_lost)
        if num_attempts < _MAX_ATTEMPTS:
            parts = [None] if task.rows is None else [[row] for row in task.rows]
            self._retries += [Task(task.job, part, num_attempts, first_lost) for part in parts]
            self._num_left[task.job] += len(parts) - 1
            return
        if task.rows is None:
            self._open(task.job)
        else:
            job.write_infra(task.rows)
        self._count_down(task.job)

    def give_back(self, task: Task) -> None:
        """A worker is gone that had not begun a task yet."""
        if task.job in self._jobs:
            self._retries.append(task)

    def give_up(self) -> None:
        """No worker can be had: what is not done stays INFRA."""
        self._done += self._num_left
        self._num_left.clear()
        self._unplanned.clear()
        self._retries.clear()
        self._rows.clear()
        self._works.clear()

    def _open(self, number: int) -> None:
        """Makes tasks of a job's open rows."""
        job = self._jobs[number]
        tasks = [Task(number, rows) for rows in job.batches()]
        if not tasks:
            return
        self._works[number] = job.work()
        self._rows[number] = deque(tasks)
        self._num_left[number] += len(tasks)

    def _put_back(self, number: int, rows: list[int]) -> None:
        """Hands rows out again that a worker did not reach, in two tasks: another worker may help."""
        half = (len(rows) + 1) // 2
        tasks = [Task(number, part) for part in (rows[:half], rows[half:]) if part]
        if tasks:
            self._rows.setdefault(number, deque()).extendleft(reversed(tasks))
            self._num_left[number] += len(tasks)

    def _count_down(self, number: int) -> None:
        self._num_left[number] -= 1
        if self._num_left[number]:
            return
        if self._jobs[number].next_round():
            self._open(number)
            return
        del self._num_left[number]
        self._works.pop(number, None)
        self._done.append(number)
