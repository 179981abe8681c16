"""Many untrusted programs x many tests -> verdict matrices, on warm workers of this machine.

The trainer's side only hands out work and waits, always with a deadline: it parses no source, compares no value and
runs nothing. See `sandbox/` for what happens on the other side, and for what a program can and cannot do there.

    with ProcessExecutor(workers=2) as executor:
        [matrix] = executor.run([Job((Program("def f(x): return x + 1"),), (TestCase("assert f(1) == 2"),), "f")])
        matrix == [[Verdict.PASS]]
"""

from __future__ import annotations

import os
import selectors
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from zerocoder.execution.batch import Batch, Task
from zerocoder.execution.jobs import Job
from zerocoder.execution.limits import Limits
from zerocoder.execution.sandbox import warden
from zerocoder.execution.sandbox.isolation import FLOORS
from zerocoder.execution.worker import Worker, WorkerDied
from zerocoder.problems import ZeroCoderError

__all__ = ["Executor", "Job", "Limits", "ProcessExecutor"]

_MAX_START_FAILURES = 3


class Executor(Protocol):
    """Runs jobs. One implementation per kind of machine."""

    @property
    def isolation(self) -> str:
        """The isolation level that is reached and what it consists of, e.g. `strict: user+mount+... namespaces`."""

    def run(self, jobs: Sequence[Job], on_done: Callable[[int], None] | None = None) -> list[NDArray[np.int8]]:
        """One [N, K] matrix of Verdict values a job, in order; `on_done` gets the index of each job as it finishes."""

    def close(self) -> None:
        """Ends all workers. A later `run` starts new ones."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ProcessExecutor(Executor):
    """Warm worker processes on this machine, started at first use and reused until `close`.

    workers: how many; 0 for one a core.
    limits: of each cell, unless a job brings its own.
    isolation: the least that is accepted, `strict`, `standard` or `none`. `strict` and `standard` take the best this
        host gives and raise ZeroCoderError at first use where that is less; `none` runs plain processes.
    numpy: whether programs and tests may import numpy and pass its values around. Workers are then larger.

    `run` may be called from any thread; calls wait for each other.
    """

    def __init__(
        self,
        workers: int = 0,
        limits: Limits = Limits(),  # noqa: B008
        isolation: str = "standard",
        numpy: bool = False,
    ) -> None:
        if isinstance(workers, bool) or not isinstance(workers, int) or workers < 0:
            raise ZeroCoderError(f"verifier.workers is {workers!r}: it must be 0 (one a core) or a positive number")
        if not isinstance(numpy, bool):
            raise ZeroCoderError(f"verifier.numpy is {numpy!r}: it must be true or false")
        if isolation not in FLOORS:
            raise ZeroCoderError(f"verifier.isolation is {isolation!r}: it must be one of {', '.join(FLOORS)}")
        self.num_workers = workers or _num_cores()
        self.limits = limits
        self._floor = isolation
        self._numpy_home = str(Path(np.__file__).parents[1].resolve()) if numpy else ""
        self._workers: list[Worker] = []
        self._owner = os.getpid()
        self._lock = threading.RLock()
        self._finalizer = weakref.finalize(self, _end_all, self._workers, self._owner)

    @property
    def isolation(self) -> str:
        """The level that the weakest worker reaches, and what it consists of.

        For example `strict: mount+pid+net+ipc+uts namespaces, uid 65534, seccomp, rlimits`.

        Starts the workers. Raises ZeroCoderError where the host gives less than asked for.
        """
        with self._lock:
            self._leave_parents_workers()
            self._start_workers()
            levels = [worker.isolation for worker in self._workers]
            return max(levels, key=lambda level: FLOORS.index(level.partition(":")[0]))

    def run(self, jobs: Sequence[Job], on_done: Callable[[int], None] | None = None) -> list[NDArray[np.int8]]:
        """One [N, K] matrix of Verdict values a job, in order. `on_done` gets the index of each job as it finishes.

        Raises ZeroCoderError where the host gives less isolation than asked for. What workers fail at twice reads
        INFRA. An interrupt (or an exception of `on_done`) ends the busy workers; the next call starts new ones.
        """
        with self._lock:
            self._leave_parents_workers()
            batch = Batch(jobs, self.limits)
            if not batch.finished:
                self._start_workers()
            _Drive(self._workers, self._start_one, batch, on_done).complete()
            return batch.matrices

    def close(self) -> None:
        """Ends all workers and waits until they are gone. A later `run` starts new ones."""
        with self._lock:
            self._leave_parents_workers()
            _end_all(self._workers, self._owner)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _leave_parents_workers(self) -> None:
        """In a forked copy of the trainer: the workers are its parent's, it starts its own."""
        if self._owner != os.getpid():
            for worker in self._workers:
                worker.abandon()
            self._workers = []
            self._owner = os.getpid()
            self._finalizer = weakref.finalize(self, _end_all, self._workers, self._owner)

    def _start_workers(self) -> None:
        starting = [Worker(self._floor, self._numpy_home) for _ in range(self.num_workers - len(self._workers))]
        try:
            for worker in starting:
                try:
                    worker.wait_ready()
                    self._workers.append(worker)
                except WorkerDied:
                    worker.kill()
                    if len(starting) >= self.num_workers + _MAX_START_FAILURES:
                        raise
                    starting.append(Worker(self._floor, self._numpy_home))  # the loop comes to it
        except BaseException:
            for worker in starting:
                if worker not in self._workers:
                    worker.kill()
            raise

    def _start_one(self) -> Worker:
        worker = Worker(self._floor, self._numpy_home)
        try:
            worker.wait_ready()
        except BaseException:
            worker.kill()
            raise
        return worker


class _Drive:
    """One batch on some workers, until it is done."""

    def __init__(
        self,
        workers: list[Worker],
        start: Callable[[], Worker],
        batch: Batch,
        on_done: Callable[[int], None] | None,
    ) -> None:
        self._workers = workers
        self._start = start
        self._batch = batch
        self._on_done = on_done
        self._busy: dict[Worker, tuple[Task, float]] = {}  # with the moment it counts as hung
        self._num_start_failures = 0

    def complete(self) -> None:
        """Runs the batch. What raises ends the busy workers, which may be anywhere in their work."""
        try:
            with selectors.DefaultSelector() as selector:
                self._announce()
                while not self._batch.finished:
                    self._hand_out(selector)
                    self._take_in(selector)
                    self._announce()
        except BaseException:
            # first out of the list, in one step: a second interrupt must not leave a busy worker there
            self._workers[:] = [worker for worker in self._workers if worker not in self._busy]
            for worker in self._busy:
                worker.kill()
            raise
        finally:
            self._rest()

    def _rest(self) -> None:
        """Lets idle workers end the judges they keep between the programs of a job."""
        for worker in list(self._workers):
            worker.held = None
            try:
                worker.send((warden.REST,))
            except WorkerDied:
                self._workers.remove(worker)
                worker.kill()

    def _announce(self) -> None:
        for job in self._batch.newly_done():
            if self._on_done is not None:
                self._on_done(job)

    def _hand_out(self, selector: selectors.BaseSelector) -> None:
        for worker in [worker for worker in self._workers if worker not in self._busy]:
            task = self._batch.next_task(worker.held)
            if task is None:
                return
            self._busy[worker] = (task, time.monotonic() + self._batch.deadline_seconds(task))
            selector.register(worker, selectors.EVENT_READ)
            try:
                worker.send(self._batch.request(task, worker.held))
            except WorkerDied:
                self._replace(worker, selector)
                continue
            if task.row is not None:
                worker.held = task.job

    def _take_in(self, selector: selectors.BaseSelector) -> None:
        """Waits for the next answer, or for the first worker that is overdue."""
        if not self._busy:
            return
        earliest = min(deadline for _, deadline in self._busy.values())
        for key, _ in selector.select(max(0.0, earliest - time.monotonic())):
            worker = key.fileobj
            assert isinstance(worker, Worker)
            try:
                answer = worker.receive()
                if answer is not ...:
                    self._batch.finish(self._busy[worker][0], answer)
                    del self._busy[worker]
                    selector.unregister(worker)
            except (WorkerDied, ValueError, LookupError, TypeError):
                self._replace(worker, selector)
        now = time.monotonic()
        for worker in [worker for worker, (_, deadline) in self._busy.items() if deadline <= now]:
            self._replace(worker, selector)

    def _replace(self, worker: Worker, selector: selectors.BaseSelector) -> None:
        """A worker died, hangs or answers nonsense: its task goes back, another one takes its place."""
        self._workers.remove(worker)
        selector.unregister(worker)
        task, _ = self._busy.pop(worker)
        worker.kill()
        self._batch.lost(task)
        while self._num_start_failures < _MAX_START_FAILURES:
            try:
                self._workers.append(self._start())
                return
            except (WorkerDied, ZeroCoderError, OSError):
                self._num_start_failures += 1
        if not self._workers:
            self._batch.give_up()


def _end_all(workers: list[Worker], owner: int) -> None:
    if os.getpid() == owner:
        for worker in workers:
            worker.ask_to_end()
        for worker in workers:
            worker.kill()
    workers.clear()


def _num_cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
