"""Jobs as processes, as many at once as there are cores: train.py and evaluate.py, started as a user starts them.

A job that failed is told and kept for the end; the others go on. An interrupt is passed on, so that every run leaves a
checkpoint to continue from. Of two runs that need the same ranks before they train, the second waits until the first
has measured them, and finds them in the cache.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

from rich.progress import Progress, TaskID

from zerocoder.console import new_progress, say
from zerocoder.miniature.pace import Pace, Used, in_words, left
from zerocoder.miniature.plan import SCRIPTS

LAST_STEP_SECONDS = 120.0
"""After an interrupt, jobs have so long to write their checkpoints."""
OUTPUT = "output.txt"
_HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STEP = re.compile(rb"^step +(\d+)/", re.MULTILINE)  # the line that a run prints a step, see callbacks/progress.py
_POLL_SECONDS = 0.2
_TAIL_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Job:
    """One process. `steps` of training are its length; an evaluation counts as one."""

    setting: str
    name: str
    kind: str  # of `pace.GUESS`
    script: str
    arguments: Callable[[], Sequence[str]]  # asked when it starts: they depend on what is on the disk
    folder: Path  # of output.txt and used.json
    steps: int
    ranks: str | None = None  # see `plan.Run`


@dataclass(frozen=True, slots=True)
class Failure:
    """A job that ended with another status than 0; 128 + signal where it was killed."""

    job: Job
    status: int
    said: str  # its last line

    def line(self) -> str:
        return f"{self.job.name}: status {self.status}: {self.said} (all of it in {self.job.folder / OUTPUT})"


@dataclass(slots=True)
class _Process:
    job: Job
    popen: subprocess.Popen[bytes]
    output: Path
    offset: int  # where in the output this start begins
    start: float = field(default_factory=time.monotonic)

    @classmethod
    def begin(cls, job: Job) -> _Process:
        """A process group of its own: a terminal's Ctrl-C reaches us alone, who pass it on."""
        job.folder.mkdir(parents=True, exist_ok=True)
        output = job.folder / OUTPUT
        with output.open("ab") as file:
            popen = subprocess.Popen(
                [sys.executable, str(SCRIPTS / job.script), *job.arguments()],
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1", "COLUMNS": "160"},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                process_group=0,
            )
            return cls(job, popen, output, file.tell())

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.start

    @property
    def step(self) -> int:
        """Steps of training done, those before a resume too; 0 while it is getting ready."""
        found = _STEP.findall(self._tail())
        return int(found[-1]) if found else 0

    def ended(self) -> float | None:
        """CPU seconds of the process and of those it has waited for, once it has ended."""
        pid, status, usage = os.wait4(self.popen.pid, os.WNOHANG)
        if not pid:
            return None
        self.popen.returncode = os.waitstatus_to_exitcode(status)
        return usage.ru_utime + usage.ru_stime

    def keep(self, cpu: float) -> Used:
        """Add what this start used to what the job's starts have used, on the disk too."""
        job = self.job
        before = Used.read(job.folder) or Used(job.kind, job.setting, job.steps)
        failure = self._last_line() if self.popen.returncode else ""
        seconds, cpu = before.seconds + self.seconds, before.cpu_seconds + cpu
        used = replace(before, seconds=seconds, cpu_seconds=cpu, failure=failure)
        used.write(job.folder)
        return used

    def _last_line(self) -> str:
        lines = self._tail().decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "it said nothing"

    def _tail(self) -> bytes:
        """The end of what this start has said."""
        with self.output.open("rb") as file:
            file.seek(max(self.offset, self.output.stat().st_size - _TAIL_BYTES))
            return file.read()


class Runner:
    """Works through lists of jobs, `at_once` at a time."""

    def __init__(self, at_once: int, pace: Pace) -> None:
        self.at_once = at_once
        self.pace = pace
        self.running: list[_Process] = []
        self.failures: list[Failure] = []

    def work(self, jobs: Sequence[Job], title: str) -> None:
        """Run `jobs`, in their order where ranks allow it; `failures` has those that did not end well.

        Raises KeyboardInterrupt after an interrupt, when all processes have ended.
        """
        waiting, done = list(jobs), 0
        with _interruptible(), new_progress() as progress:
            bar = progress.add_task(title, total=len(jobs), note="")
            try:
                while waiting or self.running:
                    while len(self.running) < self.at_once and (job := self._next(waiting)) is not None:
                        waiting.remove(job)
                        self.running.append(_Process.begin(job))
                    time.sleep(_POLL_SECONDS)
                    for process in list(self.running):
                        cpu = process.ended()
                        if cpu is not None:
                            self.running.remove(process)
                            done += 1
                            self._settle(process, cpu, f"[{done}/{len(jobs)}]", waiting)
                    self._show(progress, bar, done, waiting)
            finally:
                self._stop()

    def _next(self, waiting: Sequence[Job]) -> Job | None:
        """The first job that does not wait for ranks which one at work is measuring."""
        measuring = {p.job.ranks for p in self.running if p.step == 0} - {None}
        return next((job for job in waiting if job.ranks not in measuring), None)

    def _settle(self, process: _Process, cpu: float, count: str, waiting: Sequence[Job]) -> None:
        """Keep what an ended job used, and tell how it ended."""
        job, status = process.job, process.popen.returncode
        used = process.keep(cpu)
        if status:
            failure = Failure(job, 128 - status if status < 0 else status, used.failure)
            self.failures.append(failure)
            say(f"{count} failed: {failure.line()}")
            return
        self.pace.add(used)
        say(f"{count} {job.name}: {in_words(used.seconds)}, {in_words(used.cpu_seconds)} of CPU; {self._left(waiting)}")

    def _left(self, waiting: Sequence[Job]) -> str:
        whole = [self.pace.seconds(job.kind, job.setting, job.steps) for job in waiting]
        shares = {p.job.name: (p.seconds, self._share(p)) for p in self.running}
        return f"about {in_words(left(whole, shares, self.at_once))} left"

    def _share(self, process: _Process) -> float:
        """Of a job that is at work, how much of it is done."""
        if process.step:
            return min(process.step / process.job.steps, 1.0)
        expected = self.pace.seconds(process.job.kind, process.job.setting, process.job.steps)
        return process.seconds / max(expected, 1.25 * process.seconds)  # what is late will be later yet

    def _show(self, progress: Progress, bar: TaskID, done: int, waiting: Sequence[Job]) -> None:
        at_work = ", ".join(f"{p.job.name} {p.step}/{p.job.steps}" for p in self.running)
        progress.update(bar, completed=done, note=f"{self._left(waiting)}  {at_work}")

    def _stop(self) -> None:
        """End what is still running: a word to each, some time for its checkpoint, then the end of its whole group."""
        try:
            for process in self.running:
                with suppress(ProcessLookupError):
                    process.popen.send_signal(signal.SIGINT)
            end = time.monotonic() + LAST_STEP_SECONDS
            while self.running and time.monotonic() < end:
                time.sleep(_POLL_SECONDS)
                for process in list(self.running):
                    cpu = process.ended()
                    if cpu is not None:
                        self.running.remove(process)
                        process.keep(cpu)
        finally:  # at once after a second interrupt
            for process in self.running:
                with suppress(ProcessLookupError):
                    os.killpg(process.popen.pid, signal.SIGKILL)
                process.popen.wait()
            self.running = []


@contextmanager
def _interruptible() -> Iterator[None]:
    """Every signal that asks for an end is an interrupt, unless it is ignored, as under nohup."""

    def interrupt(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    heard = [n for n in _HEARD if signal.getsignal(n) is not signal.SIG_IGN]
    before = {n: signal.signal(n, interrupt) for n in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
