"""The thread that owns an executor's workers: takes jobs from any thread, hands tasks out, resolves futures.

Nothing else touches a worker, so workers need no lock, and execution goes on while the caller generates, waits for a
GPU or is in the middle of a long C call.
"""

from __future__ import annotations

import contextlib
import functools
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zerocoder.execution.cache import VerdictCache
from zerocoder.execution.jobs import Job
from zerocoder.execution.limits import Limits
from zerocoder.execution.progress import Progress
from zerocoder.execution.sandbox import warden
from zerocoder.execution.sandbox.isolation import FLOORS
from zerocoder.execution.schedule import Schedule, Task
from zerocoder.execution.worker import Worker, WorkerDied
from zerocoder.problems import ZeroCoderError

_MAX_START_FAILURES = 3
_MAX_WAIT_SECONDS = 3600.0  # a selector refuses to wait for weeks, as large budgets of many cells add up to
AHEAD = 2
"""Tasks that a worker holds at a time: it has the next one when it is done, rather than wait for the trainer."""

Result = Future[NDArray[np.int8]]


class Driver:
    """Workers and the jobs they are on, in a thread of its own from `start` to `stop`."""

    def __init__(
        self, num_workers: int, limits: Limits, start: Callable[[], Worker], cache: VerdictCache | None, salt: str
    ) -> None:
        """`start` starts a worker without waiting for it; `salt` is Progress'."""
        self.workers: list[Worker] = []  # read by other threads, changed by the driver's only
        self._num_workers = num_workers
        self._limits = limits
        self._start = start
        self._cache = cache
        self._salt = salt
        self._schedule = Schedule(num_workers)
        self._futures: dict[int, Result] = {}
        self._busy: dict[Worker, deque[Task]] = {}  # what each holds: one that it is on, others that wait
        self._deadlines: dict[Worker, float] = {}  # of these workers, the moment each counts as hung
        self._num_start_failures = 0
        self._stopping = False
        self._commands: deque[tuple[Callable[[], None], Future[Any] | None]] = deque()
        self._accepting = threading.Lock()  # held while commands are taken in, or refused for good
        self._ended = False
        self._error: BaseException | None = None  # the bug that ended the thread
        self._wake_reader, self._wake_writer = socket.socketpair()
        self._wake_reader.setblocking(False)
        self._wake_writer.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_reader, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._main, name="zerocoder-verifier", daemon=True)
        self._thread.start()

    def ready(self) -> Future[str]:
        """The isolation level that the weakest worker reaches, once all have started."""
        future: Future[str] = Future()
        self._post(functools.partial(self._report_ready, future), future)
        return future

    def submit(self, job: Job) -> Result:
        """The job's verdicts [N, K], some time. A future that is cancelled ends what runs for it."""
        future: Result = Future()
        self._post(functools.partial(self._add, job, future), future)
        return future

    def stop(self) -> None:
        """Ends all workers and waits until they are gone; futures that are not done are cancelled."""

        def stop() -> None:
            self._stopping = True

        self._post(stop)
        if threading.current_thread() is not self._thread:  # which may be what drops the last reference
            self._thread.join()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def abandon(self) -> None:
        """In a forked copy of the trainer, where the thread does not exist: lets go of the workers."""
        for worker in self.workers:
            worker.abandon()
        self._selector.close()
        self._wake_reader.close()
        self._wake_writer.close()

    def _post(self, command: Callable[[], None], future: Future[Any] | None = None) -> None:
        """Has a command run by the thread. `future` is who waits for it, and is told when the thread has ended."""
        with self._accepting:
            if not self._ended:
                self._commands.append((command, future))
        if self._ended and future is not None:
            self._abandon_future(future)
        with contextlib.suppress(OSError):  # full: it will wake up anyway; closed: nobody is left to be woken
            self._wake_writer.send(b".")

    # Everything below runs in the driver's thread.

    def _main(self) -> None:
        try:
            while not self._stopping:
                self._step()
        except BaseException as bug:
            self._error = bug
            raise
        finally:
            self._end()

    def _step(self) -> None:
        while self._commands:
            command, _ = self._commands.popleft()
            command()
            if len(self._busy) < len(self.workers) == self._num_workers:
                break  # who has nothing to do does not wait until all jobs are taken in
        try:
            if not self._schedule.idle:
                self._start_missing()
                self._hand_out()
        except ZeroCoderError as error:
            self._fail(error)
        self._announce()
        stuck = not self._busy and not self._schedule.idle  # the last worker was lost: the next step starts another
        if not self._stopping and not self._commands and not stuck:
            self._wait()

    def _add(self, job: Job, future: Result) -> None:
        try:
            number = self._schedule.add(Progress(job, self._limits, self._cache, self._salt))
        except Exception as error:
            future.set_exception(error)
            return
        self._futures[number] = future
        future.add_done_callback(
            lambda done: self._post(functools.partial(self._cancel, number)) if done.cancelled() else None
        )

    def _cancel(self, number: int) -> None:
        """Drops a job and the workers that are on it, which may be anywhere in their work."""
        self._futures.pop(number, None)
        self._schedule.drop(number)
        for worker in [worker for worker, (task, *_) in self._busy.items() if task.job == number]:
            for task in self._remove(worker)[1:]:
                self._schedule.give_back(task)

    def _report_ready(self, future: Future[str]) -> None:
        try:
            self._start_missing()
            levels = [worker.isolation for worker in self.workers]
            if not levels:
                raise ZeroCoderError(
                    "no worker of the verifier starts: `python -m zerocoder.execution doctor` says more"
                )
            future.set_result(max(levels, key=lambda level: FLOORS.index(level.partition(":")[0])))
        except Exception as error:
            future.set_exception(error)

    def _start_missing(self) -> None:
        """Starts workers up to their number, all at once. Raises ZeroCoderError where the host gives too little."""
        if self.workers and self._num_start_failures > _MAX_START_FAILURES:
            return  # go on with those there are, until the next time that nothing is to be done
        starting = [self._start() for _ in range(self._num_workers - len(self.workers))]
        try:
            for worker in starting:
                try:
                    worker.wait_ready()
                    self.workers.append(worker)
                    self._num_start_failures = 0
                except WorkerDied:
                    worker.kill()
                    self._num_start_failures += 1
                    if self._num_start_failures <= _MAX_START_FAILURES:
                        starting.append(self._start())  # the loop comes to it
        finally:
            for worker in starting:
                if worker not in self.workers:
                    worker.kill()
        if not self.workers:
            self._num_start_failures = 0
            self._schedule.give_up()

    def _hand_out(self) -> None:
        """Gives every worker something to do, and while there is plenty something to go on with."""
        for num_held in range(AHEAD):
            for worker in [worker for worker in self.workers if len(self._busy.get(worker, ())) == num_held]:
                if num_held and not self._schedule.has_waiting(len(self.workers)):
                    return  # the last ones are for who has nothing to do
                task = self._schedule.next_task(worker.held)
                if task is None:
                    return
                self._send(worker, task)

    def _send(self, worker: Worker, task: Task) -> None:
        if worker not in self._busy:
            self._busy[worker] = deque()
            self._selector.register(worker, selectors.EVENT_READ)
            self._deadlines[worker] = time.monotonic() + self._schedule.deadline_seconds(task)
        self._busy[worker].append(task)
        try:
            sent = worker.send(self._schedule.request(task, worker.held))
        except WorkerDied:
            self._lose(worker)
            return
        if not sent:
            self._schedule.give_back(self._busy[worker].pop())
        elif task.rows is not None:
            worker.held = task.job

    def _wait(self) -> None:
        """Waits for a command, an answer, or the first worker that is overdue."""
        if not self._busy:
            self._rest()
        timeout = None
        if self._deadlines:
            timeout = min(max(0.0, min(self._deadlines.values()) - time.monotonic()), _MAX_WAIT_SECONDS)
        for key, _ in self._selector.select(timeout):
            if key.fileobj is self._wake_reader:
                with contextlib.suppress(BlockingIOError):
                    self._wake_reader.recv(4096)
            else:
                assert isinstance(key.fileobj, Worker)
                self._take_in(key.fileobj)
        now = time.monotonic()
        for worker in [worker for worker, deadline in self._deadlines.items() if deadline <= now]:
            self._lose(worker)

    def _take_in(self, worker: Worker) -> None:
        held = self._busy[worker]
        try:
            while held and (answer := worker.receive()) is not ...:
                self._schedule.finish(held[0], answer)
                held.popleft()
                if held:
                    self._deadlines[worker] = time.monotonic() + self._schedule.deadline_seconds(held[0])
        except (WorkerDied, ValueError, LookupError, TypeError):
            self._lose(worker)
            return
        if not held:
            del self._busy[worker], self._deadlines[worker]
            self._selector.unregister(worker)

    def _announce(self) -> None:
        for number, job in self._schedule.take_done():
            job.finish()
            future = self._futures.pop(number)
            if future.set_running_or_notify_cancel():
                future.set_result(job.matrix)

    def _fail(self, error: ZeroCoderError) -> None:
        """This host does not let us work: everybody who waits is told."""
        futures, self._futures = self._futures, {}
        for number, future in futures.items():
            self._schedule.drop(number)
            if future.set_running_or_notify_cancel():
                future.set_exception(error)

    def _lose(self, worker: Worker) -> None:
        """A worker died, hangs or answers nonsense: its tasks go back."""
        task, *others = self._remove(worker)
        self._schedule.lost(task, time.monotonic(), worker.started)
        for other in others:
            self._schedule.give_back(other)

    def _remove(self, worker: Worker) -> list[Task]:
        """Ends a worker. Returns what it held, first what it was on."""
        self.workers.remove(worker)
        held = self._busy.pop(worker, deque())
        if held:
            del self._deadlines[worker]
            self._selector.unregister(worker)
        worker.kill()
        return list(held)

    def _rest(self) -> None:
        """Lets idle workers end the judges they keep between the programs of a job."""
        self._num_start_failures = 0
        for worker in list(self.workers):
            if worker.held is not None:
                worker.held = None
                try:
                    worker.send((warden.REST,), answered=False)
                except WorkerDied:
                    self._remove(worker)

    def _end(self) -> None:
        with self._accepting:
            self._ended = True
        for worker in self.workers:
            if worker not in self._busy:
                worker.ask_to_end()
        for worker in self.workers:
            worker.kill()
        self.workers.clear()
        self._selector.close()
        self._wake_reader.close()
        self._wake_writer.close()
        if self._cache is not None:
            self._cache.close()
        for future in [*self._futures.values(), *(future for _, future in self._commands if future is not None)]:
            self._abandon_future(future)

    def _abandon_future(self, future: Future[Any]) -> None:
        if self._error is None:
            if future.cancel():
                future.set_running_or_notify_cancel()  # or who waits for several does not hear of it
        elif future.set_running_or_notify_cancel():
            future.set_exception(self._error)
