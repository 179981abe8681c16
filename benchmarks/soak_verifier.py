"""Whether the verifier stays what it is over thousands of steps: nothing left behind, nothing grown, always exact.

    python benchmarks/soak_verifier.py --minutes 20
    python benchmarks/soak_verifier.py --steps 10000 --problems 3

A step is a fresh draw from the benchmark's problems with endless programs in, and a problem of programs that crash; now
and then a worker is killed in the middle. A line a minute says what there is of processes, descriptors, files and
memory; the end is a verdict. Ctrl-C ends early, with the verdict so far. The exit status is 1 when a check fails.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this checkout, however the script is started

from benchmarks import command, processes, subject, workloads
from benchmarks.workloads import Workload
from zerocoder.execution import ProcessExecutor
from zerocoder.exits import INTERRUPTED
from zerocoder.problems import ZeroCoderError

_SHARED_MEMORY = Path("/dev/shm")
_MEGABYTE = 1 << 20
_TOLERATED_BYTES = _MEGABYTE  # allocators breathe
_MIN_SAMPLES = 6
_MEMORY_MB = 128  # of a program: enough, and soon taken by those that take all
_SETTLE_SECONDS = 5.0
_REST_SECONDS = 0.3
_LINE_SECONDS = 60.0
_PIPED_WIDTH = 120


@dataclass(frozen=True)
class Census:
    """What there is between two steps. Workers are all processes below this one; sizes in bytes."""

    step: int
    seconds: float
    num_processes: int
    num_descriptors: int  # of this process and the workers
    num_files: int  # temporary files, and new ones in shared memory
    num_cgroups: int  # new ones below this process's own
    driver: int  # proportional set size
    workers: int
    driver_own: int  # not backed by files
    workers_own: int
    driver_resident: int
    workers_resident: int


@dataclass
class Record:
    """What happened so far."""

    isolation: str = ""
    num_steps: int = 0
    num_cells: int = 0
    num_kills: int = 0
    wrong: list[str] = field(default_factory=list)  # cells, with their step
    num_wrong_steps: int = 0
    censuses: list[Census] = field(default_factory=list)
    left_behind: list[str] = field(default_factory=list)


class Surroundings:
    """Counts what is outside of the processes: files and cgroups that were not there at the start."""

    def __init__(self, folder: Path) -> None:
        """`folder`: where all temporary files go, empty."""
        self._folder = folder
        self._shared = self._in_shared_memory()
        self._cgroups = processes.own_cgroups()
        self._descriptors = processes.num_descriptors([os.getpid()])

    def files(self) -> list[str]:
        return sorted([*(str(path) for path in self._folder.rglob("*")), *(self._in_shared_memory() - self._shared)])

    def cgroups(self) -> list[str]:
        return sorted(processes.own_cgroups() - self._cgroups)

    def num_new_descriptors(self) -> int:
        """Of this process."""
        return processes.num_descriptors([os.getpid()]) - self._descriptors

    @staticmethod
    def _in_shared_memory() -> set[str]:
        return {str(path) for path in _SHARED_MEMORY.iterdir()} if _SHARED_MEMORY.is_dir() else set()

    def census(self, step: int, seconds: float) -> Census:
        """What workers keep during a step ends a moment after it: the lowest of the counts of some moments is taken."""
        below = _living()
        end = time.monotonic() + _REST_SECONDS
        while time.monotonic() < end:
            time.sleep(_REST_SECONDS / 10)
            below = min(below, _living(), key=len)
        everyone = [os.getpid(), *below]
        return Census(
            step=step,
            seconds=seconds,
            num_processes=len(below),
            num_descriptors=processes.num_descriptors(everyone),
            num_files=len(self.files()),
            num_cgroups=len(self.cgroups()),
            driver=processes.memory([os.getpid()]).num_bytes,
            workers=processes.memory(below).num_bytes,
            driver_own=processes.own_bytes([os.getpid()]),
            workers_own=processes.own_bytes(below),
            driver_resident=processes.resident_bytes([os.getpid()]),
            workers_resident=processes.resident_bytes(below),
        )


def main(argv: Sequence[str]) -> int:
    """Runs steps until the time or the number is up. Returns 1 when a check fails, 130 after Ctrl-C."""
    options = _options(argv)
    processes.require_proc()
    processes.adopt_orphans()
    record = Record()
    status = 0
    with _temporary_files() as folder:
        surroundings = Surroundings(folder)
        try:
            limits = subject.limits_of(options.cpu_seconds, _MEMORY_MB)
            with subject.new_executor(options.workers, limits, options.isolation) as executor:
                record.isolation = executor.isolation
                _soak(executor, options, record, surroundings)
        except KeyboardInterrupt:
            status = INTERRUPTED
        finally:  # also when SIGTERM ends us
            record.left_behind = _left_behind(surroundings)
            holds = _print_summary(record)
    return status or (0 if holds else 1)


def _soak(executor: ProcessExecutor, options: argparse.Namespace, record: Record, surroundings: Surroundings) -> None:
    """The steps, with a census every `options.sample_seconds` and a line a minute."""
    draw = random.Random(options.seed)
    start = time.monotonic()
    next_census = next_line = 0.0  # the first step gets both
    done = False
    while not done:
        workload = _workload(draw, options.problems, record.num_steps)
        is_kill = bool(options.kill_every) and record.num_steps % options.kill_every == options.kill_every - 1
        with _kill_in_the_middle(draw, record) if is_kill else nullcontext():
            wrong = subject.wrong_cells(workload, subject.verdicts(executor, workload))
        record.num_wrong_steps += bool(wrong)
        record.wrong += [f"step {record.num_steps}: {cell}" for cell in wrong][: 5 - len(record.wrong)]
        record.num_steps += 1
        record.num_cells += workload.num_cells
        passed = time.monotonic() - start
        done = passed >= 60 * options.minutes or record.num_steps >= options.steps
        if done or passed >= next_census:
            processes.reap_adopted()
            record.censuses.append(surroundings.census(record.num_steps, passed))
            next_census = passed + options.sample_seconds
            if done or passed >= next_line:
                print(_line(record), flush=True)
                next_line = passed + _LINE_SECONDS


def _workload(draw: random.Random, num_problems: int, step: int) -> Workload:
    """Some of the benchmark's problems and the crashing one, in random order, never the same programs twice."""
    problems = [*workloads.mixed(salt=f"_{step}").problems, workloads.crashing(f"_{step}")]
    return Workload(f"step {step}", tuple(draw.sample(problems, min(num_problems, len(problems)))))


@contextmanager
def _kill_in_the_middle(draw: random.Random, record: Record) -> Iterator[None]:
    """Kills a worker without a word, some moment after the start of the block."""

    def kill() -> None:
        workers = [process.pid for process in processes.descendants() if process.parent == os.getpid()]
        with suppress(ProcessLookupError, IndexError):
            os.kill(draw.choice(workers), signal.SIGKILL)
            record.num_kills += 1

    timer = threading.Timer(draw.uniform(0.0, 0.2), kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


@contextmanager
def _temporary_files() -> Iterator[Path]:
    """A folder of our own for all temporary files, so that others' do not count."""
    before = tempfile.tempdir, os.environ.get("TMPDIR")
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        tempfile.tempdir = os.environ["TMPDIR"] = folder
        try:
            yield Path(folder)
        finally:
            tempfile.tempdir = before[0]
            if before[1] is None:
                del os.environ["TMPDIR"]
            else:
                os.environ["TMPDIR"] = before[1]


def _living() -> list[int]:
    return [process.pid for process in processes.descendants() if process.state != "Z"]


def _left_behind(surroundings: Surroundings) -> list[str]:
    """What is still there of a closed executor."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while _living() and time.monotonic() < deadline:
        time.sleep(0.05)
    processes.reap_adopted()
    found = [f"process {process.pid} ({process.state})" for process in processes.descendants()]
    if (number := surroundings.num_new_descriptors()) > 0:
        found.append(f"{number} file descriptors")
    return [*found, *(f"file {path}" for path in surroundings.files()), *surroundings.cgroups()]


def _line(record: Record) -> str:
    census = record.censuses[-1]
    return (
        f"{census.seconds / 60:6.1f} min  {record.num_steps:7d} steps  {record.num_wrong_steps} wrong  "
        f"{census.num_processes} processes  {census.num_descriptors} fds  {census.num_files} files  "
        f"{census.num_cgroups} cgroups  PSS {census.driver / _MEGABYTE:.1f} + {census.workers / _MEGABYTE:.1f} MB  "
        f"own {census.driver_own / _MEGABYTE:.1f} + {census.workers_own / _MEGABYTE:.1f} MB  "
        f"RSS {census.driver_resident / _MEGABYTE:.1f} + {census.workers_resident / _MEGABYTE:.1f} MB"
    )


@dataclass(frozen=True)
class Growth:
    """A straight line through the second half of the censuses: bytes per 1000 steps, and its standard error."""

    per_thousand: float
    error: float
    rise: float  # bytes over that half

    @property
    def holds(self) -> bool:
        """Whether the rise is within what allocators do, or within the noise."""
        return self.rise <= _TOLERATED_BYTES or self.per_thousand <= 2 * self.error


def growth(censuses: Sequence[Census], size: Callable[[Census], int]) -> Growth | None:
    """The growth of one size; None while there are too few censuses for a line."""
    half = censuses[len(censuses) // 2 :]
    steps = np.array([census.step for census in half], dtype=float)
    sizes = np.array([size(census) for census in half], dtype=float)
    if len(half) < _MIN_SAMPLES or np.ptp(steps) == 0:
        return None
    centred = steps - steps.mean()
    slope = float(centred @ sizes / (centred @ centred))
    residuals = sizes - sizes.mean() - slope * centred
    error = float(np.sqrt(residuals @ residuals / (len(half) - 2) / (centred @ centred)))
    return Growth(1000 * slope, 1000 * error, slope * float(np.ptp(steps)))


def _print_summary(record: Record) -> bool:
    """The verdict as a table. Returns whether all checks hold; what cannot be told does not count."""
    rows: list[tuple[str, str, bool | None]] = []
    exact = f"{record.num_steps - record.num_wrong_steps} of {record.num_steps} steps {'; '.join(record.wrong)}"
    rows.append(("matrix exact", exact, record.num_wrong_steps == 0))
    left = "; ".join(record.left_behind[:5]) or "no process, descriptor, file or cgroup"
    rows.append((f"left behind ({len(record.left_behind)})", left, not record.left_behind))
    if record.censuses:
        first, last = record.censuses[0], record.censuses[-1]
        for name in ("num_processes", "num_descriptors", "num_files", "num_cgroups"):
            then, now = getattr(first, name), getattr(last, name)
            rows.append((f"{name[4:]} between steps", f"{then} at first, {now} at last", now <= then))
    for name, size in (("trainer's side", lambda c: c.driver_own), ("workers", lambda c: c.workers_own)):
        found = growth(record.censuses, size)
        if found is None:
            rows.append((f"growth, {name}", "too few censuses to tell: run longer", None))
            continue
        shown = f"{found.per_thousand / 1024:+.1f} KB per 1000 steps, standard error {found.error / 1024:.1f}"
        rows.append((f"growth, {name}", shown, found.holds))
    table = Table(title=f"{record.num_steps} steps, {record.num_cells} cells, {record.num_kills} workers killed")
    for heading in ("check", "found", "holds"):
        table.add_column(heading)
    for check, shown, holds in rows:
        table.add_row(check, shown, "" if holds is None else "[green]yes[/]" if holds else "[red]no[/]")
    table.caption = record.isolation
    Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH).print(table)
    return all(holds is not False for _, _, holds in rows)


def _options(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, help="how long (default: 20, where --steps is not given)")
    parser.add_argument("--steps", type=int, help="how many steps at most")
    parser.add_argument("--problems", type=int, default=9, help="of a step, of 9 (default: all)")
    parser.add_argument("--kill-every", type=int, default=50, help="a worker is killed every so many steps; 0: never")
    parser.add_argument("--sample-seconds", type=float, default=5.0, help="between two censuses")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--cpu-seconds", type=float, default=0.1, help="the budget of a cell (default: 0.1)")
    parser.add_argument("--isolation", default="standard", help="the least that is accepted: strict, standard or none")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    for name in ("minutes", "steps", "problems", "workers"):
        value = getattr(options, name)
        if value is not None and not value > 0:
            raise ZeroCoderError(f"--{name} is {value}: it must be above 0")
    if options.kill_every < 0 or options.sample_seconds < 0:
        raise ZeroCoderError("--kill-every and --sample-seconds must be 0 or above")
    if options.minutes is None:
        options.minutes = 20.0 if options.steps is None else float("inf")
    if options.steps is None:
        options.steps = float("inf")
    return options


if __name__ == "__main__":
    command.run(main)
