"""The nodes of a Ray cluster, each with warm workers of its own behind one actor.

`NodeWorkers` is what runs there, `Node` the trainer's end of it. A node's CPUs are reserved with Ray for as long as
its actor lives, so that Ray schedules other work around the workers, which are processes that Ray does not know of.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerocoder.execution.executor import ProcessExecutor
from zerocoder.execution.jobs import Job
from zerocoder.execution.limits import Limits
from zerocoder.execution.verdicts import Verdict
from zerocoder.files import user_cache

Told = Callable[[Callable[[], Any]], None]
"""Takes the answer of a remote call once it is there: a function that returns it or raises what went wrong."""


@dataclass(frozen=True)
class NodeSettings:
    """What the ProcessExecutor of each node is made with. A node keeps verdicts in a cache of its own."""

    workers: int
    limits: Limits
    isolation: str
    cache_mb: int
    numpy: bool

    def build(self) -> ProcessExecutor:
        """Raises ZeroCoderError for a value out of range."""
        cache = user_cache() / "verdicts.sqlite" if self.cache_mb else None
        return ProcessExecutor(self.workers, self.limits, self.isolation, cache, self.cache_mb, self.numpy)


class NodeWorkers:
    """The actor on a node. Its methods run in one event loop, so it answers while its workers are busy."""

    def __init__(self, settings: NodeSettings) -> None:
        self._executor = settings.build()

    async def start(self) -> str:
        """Starts the workers; the isolation they reach. Raises ZeroCoderError where that is less than asked for."""
        return await asyncio.to_thread(lambda: self._executor.isolation)

    async def run(self, job: Job) -> NDArray[np.int8]:
        """The job's [N, K] matrix of Verdict values. Being cancelled ends what runs for it."""
        return await asyncio.wrap_future(self._executor.submit(job))

    async def ping(self) -> None:
        """Returns, to show that somebody is there."""

    async def close(self) -> None:
        """Ends the workers and waits until they are gone."""
        await asyncio.to_thread(self._executor.close)


@dataclass(eq=False)
class Assignment:
    """A job on its way: who waits for it, and what became of earlier attempts."""

    job: Job
    future: Future[NDArray[np.int8]]
    num_attempts: int = 0
    tried: set[str] = field(default_factory=set)
    """Ids of the nodes it was on."""
    matrix: NDArray[np.int8] | None = None
    """[N, K], when an attempt left cells without a verdict."""

    def merge(self, matrix: NDArray[np.int8]) -> NDArray[np.int8]:
        """Fills the cells that still have no verdict."""
        known = np.full_like(matrix, Verdict.INFRA) if self.matrix is None else self.matrix
        self.matrix = np.where(known == Verdict.INFRA, matrix, known)  # a copy: Ray's own arrays are read-only
        return self.matrix

    def answer(self) -> NDArray[np.int8]:
        """What is known: without any node's word SKIPPED for absent programs and tests and INFRA for the rest."""
        if self.matrix is not None:
            return self.matrix
        programs, tests = self.job.programs, self.job.tests
        matrix = np.full((len(programs), len(tests)), Verdict.INFRA, dtype=np.int8)
        matrix[[row for row, program in enumerate(programs) if program is None], :] = Verdict.SKIPPED
        matrix[:, [column for column, test in enumerate(tests) if test is None]] = Verdict.SKIPPED
        return matrix


def num_cpus(listed: dict[str, Any]) -> int:
    """Whole CPUs that Ray offers of a node, as `ray.nodes()` lists it; 0 for one that is gone."""
    return int(listed["Resources"].get("CPU", 0)) if listed["Alive"] else 0


class Node:
    """One node of the cluster with its actor, which is started without waiting for it."""

    def __init__(self, ray: Any, settings: NodeSettings, listed: dict[str, Any]) -> None:
        """`listed` is the node's entry in `ray.nodes()`; 0 workers take one a CPU, more than CPUs take all."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self.id = str(listed["NodeID"])
        self.name = f"{listed['NodeManagerHostname']} ({self.id[:8]})"
        self.num_workers = min(settings.workers, num_cpus(listed)) or num_cpus(listed)
        self.isolation = ""  # known once it is ready
        self.assigned: dict[Assignment, Any] = {}  # with Ray's reference, in the order they were handed out
        self.silent_since: float | None = None  # when it was asked for a sign of life, until it gives one
        self._ray = ray
        self._actor = (
            ray.remote(NodeWorkers)
            .options(
                num_cpus=self.num_workers,
                scheduling_strategy=NodeAffinitySchedulingStrategy(self.id, soft=False),
                max_restarts=0,
                max_task_retries=0,
            )
            .remote(replace(settings, workers=self.num_workers))
        )

    @property
    def ready(self) -> bool:
        return bool(self.isolation)

    @property
    def load(self) -> float:
        """Jobs a worker."""
        return len(self.assigned) / self.num_workers

    @property
    def has_room(self) -> bool:
        """Whether it takes one more job: as many as it has workers, and one that is ready when they are."""
        return self.ready and len(self.assigned) <= self.num_workers

    def start(self, told: Told) -> None:
        self._tell(self._actor.start.remote(), told)

    def run(self, assignment: Assignment, told: Told) -> None:
        self.assigned[assignment] = self._actor.run.remote(assignment.job)
        self._tell(self.assigned[assignment], told)

    def cancel(self, assignment: Assignment) -> None:
        """Ends what runs for a job that is assigned. `told` hears of it."""
        self._ray.cancel(self.assigned.pop(assignment))

    def ping(self, told: Told) -> None:
        self._tell(self._actor.ping.remote(), told)

    def close(self) -> Any:
        """Asks the actor to end its workers. Returns Ray's reference to wait for; `kill` has to follow."""
        return self._actor.close.remote()

    def kill(self) -> None:
        """Ends the actor now; its workers see that it is gone and end."""
        self._ray.kill(self._actor)

    @staticmethod
    def _tell(reference: Any, told: Told) -> None:
        reference.future().add_done_callback(lambda done: told(done.result))
