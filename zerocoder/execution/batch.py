"""What is still to be done of some jobs, as tasks for workers: one plan a job, then one task a program (a row).

Pure bookkeeping without processes. A worker keeps to the job whose tests it holds; an idle one opens the next job, and
only then helps with the rows of others, so that endless programs of one problem end up on several workers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerocoder.execution.jobs import Job
from zerocoder.execution.limits import Limits
from zerocoder.execution.progress import Progress
from zerocoder.execution.sandbox import warden
from zerocoder.execution.sandbox.peer import longest_wall_seconds
from zerocoder.execution.verdicts import Verdict

_MAX_ATTEMPTS = 2
_PATIENCE_SECONDS = 60.0  # what a worker may take on top of its budgets before it counts as hung


@dataclass
class Task:
    """One request to a worker: the plan of a job, or one of its rows (an index of its distinct programs)."""

    job: int
    row: int | None
    num_attempts: int = 0


class Batch:
    """The jobs of one run."""

    def __init__(self, jobs: Sequence[Job], limits: Limits) -> None:
        self._jobs = [Progress(job, limits) for job in jobs]
        self._unplanned = deque(Task(index, None) for index, job in enumerate(self._jobs) if not job.idle)
        self._rows: dict[int, deque[Task]] = {}  # of planned jobs: what no worker has got yet
        self._retries: deque[Task] = deque()
        self._num_left = {task.job: 1 for task in self._unplanned}  # tasks that are not finished
        self._works: dict[int, tuple[Any, ...]] = {}
        self._newly_done = [index for index, job in enumerate(self._jobs) if job.idle]

    @property
    def matrices(self) -> list[NDArray[np.int8]]:
        """One [N, K] matrix of verdicts a job; cells that no worker has answered read INFRA."""
        return [job.matrix for job in self._jobs]

    @property
    def finished(self) -> bool:
        return not self._num_left

    def newly_done(self) -> list[int]:
        """Jobs that were finished since the last call."""
        done, self._newly_done = self._newly_done, []
        return done

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
        rows = self._rows[job]
        task = rows.popleft()
        if not rows:
            del self._rows[job]
        return task

    def request(self, task: Task, held: int | None) -> tuple[Any, ...]:
        """What to send to a worker that holds the tests of job `held`."""
        job = self._jobs[task.job]
        if task.row is None:
            return job.plan_request()
        program = job.programs[task.row]
        return warden.ROW, None if held == task.job else self._works[task.job], program.compiled, program.item

    def deadline_seconds(self, task: Task) -> float:
        """After this a worker counts as hung."""
        job = self._jobs[task.job]
        num_cells = 0 if task.row is None else len(job.tests)
        return _PATIENCE_SECONDS + 1.5 * num_cells * longest_wall_seconds(job.limits.cpu_seconds)

    def finish(self, task: Task, answer: Any) -> None:
        """Takes a worker's answer in. Raises ValueError for one out of shape."""
        if task.row is None:
            self._planned(task.job, answer)
        elif isinstance(answer, list) and len(answer) == len(self._jobs[task.job].tests):
            self._jobs[task.job].write_row(task.row, [Verdict(value) for value in answer])
        else:
            raise ValueError("a worker's row has the wrong length")
        self._count_down(task.job)

    def lost(self, task: Task) -> None:
        """The worker died over a task: it is done again once, then a row stays INFRA, a job goes on without a plan."""
        task.num_attempts += 1
        if task.num_attempts < _MAX_ATTEMPTS:
            self._retries.append(task)
            return
        if task.row is None:
            self._planned(task.job, None)
        self._count_down(task.job)

    def give_up(self) -> None:
        """No worker can be had: what is not done stays INFRA."""
        self._newly_done += self._num_left
        self._num_left.clear()

    def _planned(self, index: int, plan: Any) -> None:
        job = self._jobs[index]
        job.apply_plan(plan)
        if not job.idle:
            self._works[index] = job.work()
            self._rows[index] = deque(Task(index, row) for row in range(len(job.programs)))
            self._num_left[index] += len(job.programs)

    def _count_down(self, job: int) -> None:
        self._num_left[job] -= 1
        if not self._num_left[job]:
            del self._num_left[job]
            self._works.pop(job, None)
            self._newly_done.append(job)
