"""Many untrusted programs x many tests -> verdict matrices, on warm workers of this machine.

The trainer's side only hands out work and waits, always with a deadline: it parses no source, compares no value and
runs nothing. See `sandbox/` for what happens on the other side, and for what a program can and cannot do there.

    with ProcessExecutor(workers=2) as executor:
        [matrix] = executor.run([Job((Program("def f(x): return x + 1"),), (TestCase("assert f(1) == 2"),), "f")])
        matrix == [[Verdict.PASS]]
"""

from __future__ import annotations

import functools
import os
import sys
import threading
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future, as_completed, wait
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from zerocoder.execution.cache import VerdictCache, digest
from zerocoder.execution.driver import Driver
from zerocoder.execution.jobs import Job
from zerocoder.execution.limits import Limits
from zerocoder.execution.sandbox.isolation import FLOORS
from zerocoder.execution.worker import Worker
from zerocoder.problems import ZeroCoderError

SANDBOX = Path(__file__).parent / "sandbox"

__all__ = ["Executor", "Job", "Limits", "ProcessExecutor"]


class Executor(Protocol):
    """Runs jobs. One implementation per kind of machine."""

    @property
    def isolation(self) -> str:
        """The isolation level that is reached and what it consists of, e.g. `strict: user+mount+... namespaces`.

        Starts the workers.
        """

    def start(self) -> None:
        """Starts the workers, unless they run already; else the first job does."""

    def submit(self, job: Job) -> Future[NDArray[np.int8]]:
        """A future of the job's [N, K] matrix of Verdict values; cancelling it ends what runs for it.

        Returns at once, so that execution overlaps with whatever comes next. `asyncio.wrap_future` makes it awaitable.
        """

    def run(self, jobs: Iterable[Job], on_done: Callable[[int], None] | None = None) -> list[NDArray[np.int8]]:
        """One [N, K] matrix of Verdict values a job, in order; `on_done` gets the index of each job as it finishes.

        Jobs that are made one by one run while the next one is made.
        """

    def close(self) -> None:
        """Ends all workers. A later `run` starts new ones."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class FutureExecutor(Executor):
    """`run` in terms of `submit`, for executors to inherit."""

    def run(self, jobs: Iterable[Job], on_done: Callable[[int], None] | None = None) -> list[NDArray[np.int8]]:
        """One [N, K] matrix of Verdict values a job, in order. `on_done` gets the index of each job as it finishes.

        Raises ZeroCoderError where the host gives less isolation than asked for. What workers fail at twice reads
        INFRA. An interrupt (or an exception of `on_done`) cancels the jobs that are left.
        """
        indices = {}
        try:
            for index, job in enumerate(jobs):
                indices[self.submit(job)] = index
            if on_done is None:
                for future in wait(indices, return_when=FIRST_EXCEPTION).done:  # wakes this thread once
                    future.result()
            else:
                for future in as_completed(indices):
                    future.result()
                    on_done(indices[future])
            return [future.result() for future in indices]
        finally:
            for future in indices:
                future.cancel()  # does nothing to those that are done

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class ProcessExecutor(FutureExecutor):
    """Warm worker processes on this machine, started at first use and reused until `close`.

    workers: how many; 0 for one a core, divided among the training processes of this machine (LOCAL_WORLD_SIZE).
    limits: of each cell, unless a job brings its own.
    isolation: the least that is accepted, `strict`, `standard` or `none`. `strict` and `standard` take the best this
        host gives and raise ZeroCoderError at first use where that is less; `none` runs plain processes.
    cache: the file that keeps verdicts over runs; None keeps none.
    cache_mb: its size at the most.
    numpy: whether programs and tests may import numpy and pass its values around. Workers are then larger.

    May be used from any thread. Workers are started from a clean interpreter, never forked from this process.
    """

    def __init__(
        self,
        workers: int = 0,
        limits: Limits = Limits(),  # noqa: B008
        isolation: str = "standard",
        cache: Path | None = None,
        cache_mb: int = 256,
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
        self.cache = None if cache is None else VerdictCache(cache, cache_mb)
        self._floor = isolation
        self._numpy_home = str(Path(np.__file__).parents[1].resolve()) if numpy else ""
        self._driver: Driver | None = None
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._finalizer: weakref.finalize[[Driver, int], ProcessExecutor] | None = None

    @property
    def isolation(self) -> str:
        """The level that the weakest worker reaches, and what it consists of.

        For example `strict: mount+pid+net+ipc+uts namespaces, uid 65534, seccomp, rlimits`.

        Starts the workers. Raises ZeroCoderError where the host gives less than asked for.
        """
        return self._started().ready().result()

    def start(self) -> None:
        """Starts the workers, unless they run already. Raises ZeroCoderError where the host gives too little."""
        self._started().ready().result()

    def submit(self, job: Job) -> Future[NDArray[np.int8]]:
        """A future of the job's [N, K] matrix of Verdict values; cancelling it ends what runs for it."""
        return self._started().submit(job)

    def close(self) -> None:
        """Ends all workers and waits until they are gone. A later `run` starts new ones."""
        with self._lock:
            driver, self._driver = self._driver, None
            if self._finalizer is not None:
                self._finalizer.detach()
            if driver is not None:
                _end(driver, self._owner)

    def _started(self) -> Driver:
        """The thread that drives the workers. A forked copy of the trainer leaves its parent's and gets its own."""
        with self._lock:
            if self._driver is not None and self._owner != os.getpid():
                self._driver.abandon()
                self._driver = None
                if self.cache is not None:
                    self.cache.abandon()
            if self._driver is None or not self._driver.alive:
                numpy = self._numpy_home and np.__version__
                salt = f"python {sys.version} isolation {self._floor} numpy {numpy} {code_digest(SANDBOX)}"
                start = functools.partial(Worker, self._floor, self._numpy_home)
                self._driver = Driver(self.num_workers, self.limits, start, self.cache, salt)
                self._owner = os.getpid()
                if self._finalizer is not None:
                    self._finalizer.detach()
                self._finalizer = weakref.finalize(self, _end, self._driver, self._owner)
            return self._driver

    @property
    def _workers(self) -> list[Worker]:
        return [] if self._driver is None else self._driver.workers


@functools.cache
def code_digest(folder: Path) -> str:
    """Changes with the code that a verdict comes from, so that no cache outlives it."""
    sources = sorted(folder.rglob("*.py"))
    return digest(*(part for path in sources for part in (str(path.relative_to(folder)), path.read_text()))).hex()


def _end(driver: Driver, owner: int) -> None:
    if os.getpid() == owner:
        driver.stop()
    else:
        driver.abandon()


def _num_cores() -> int:
    """This process' part of the cores: the training processes of one machine share them."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    ranks = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return max(1, cores // int(ranks)) if ranks.isdecimal() and int(ranks) else cores
