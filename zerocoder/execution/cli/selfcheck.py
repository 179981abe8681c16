"""A small workload whose truth is known: are the verdicts of this host right, and how many cells a second are they?

The truth is written down by hand, one letter a cell: the first letter of the verdict, or `x` for anything but a pass.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zerocoder.execution.executor import ProcessExecutor
from zerocoder.execution.jobs import Job
from zerocoder.execution.limits import Limits
from zerocoder.execution.verdicts import Verdict
from zerocoder.problems import Program, TestCase

_MEASURED_SECONDS = 1.5
_COPIES = 4  # of each problem a round, so that no worker idles
_ENDLESS_CPU_SECONDS = 0.1
_NOT_A_PASS = "x"
_MAX_REPORTED = 5


@dataclass(frozen=True)
class KnownProblem:
    """Programs and tests with the letters of their matrix, a word a program."""

    name: str
    entry_point: str | None
    programs: tuple[str, ...]
    tests: tuple[TestCase, ...]
    truth: tuple[str, ...]
    limits: Limits | None = None

    def job(self, mark: str) -> Job:
        """To be run. `mark` makes its programs new to every cache."""
        programs = tuple(Program(f"{source}\n_mark = {mark!r}\n") for source in self.programs)
        return Job(programs, self.tests, self.entry_point, self.limits)


@dataclass(frozen=True)
class Measurement:
    """What came of a self-check.

    wrong: one line for each kind of cell that differs from the truth.
    seconds: of the `cells` that were timed; programs that never end are checked, not timed.
    worker_mb: memory of one worker with all its processes; None where the system does not tell.
    """

    isolation: str
    num_workers: int
    start_seconds: float
    cells: int
    seconds: float
    worker_mb: float | None
    wrong: list[str]


_DIGITS = KnownProblem(
    "values",
    "digits",
    (
        "def digits(n):\n    return sum(map(int, str(abs(n))))",
        "def digits(n):\n    n, total = abs(n), 0\n    while n:\n        n, d = divmod(n, 10)\n        total += d\n"
        "    return total",
        "def digits(n):\n    return sum(map(int, str(n)))",
        "def digits(n):\n    return sum(map(int, str(abs(n)))) + 1",
        "class Any:\n    def __eq__(self, other):\n        return True\ndef digits(n):\n    return Any()",
        "import os\ndef digits(n):\n    os._exit(0)",
    ),
    (
        TestCase("assert digits(0) == 0"),
        TestCase("assert digits(123) == 6\nassert digits(7) == 7"),
        TestCase("assert digits(-45) == 9"),
        TestCase("assert digits(-1) == 1"),
        TestCase("assert digits(999999) == 54"),
        TestCase("assert digits(10) == 1 and True"),
        TestCase("sums = [digits(n) for n in range(20)]\nassert max(sums) == 10"),
        TestCase("for n in range(10):\n    assert digits(n) == n"),
    ),
    ("PPPPPPPP", "PPPPPPPP", "PPEEPPPP", "FFFFFFFF", "xxxxxxxx", "EEEEEEEE"),
)
_STATE = KnownProblem(
    "state",
    "count",
    (
        "seen = []\ndef count(x):\n    seen.append(x)\n    return len(seen)",
        "def count(x):\n    return 1",
    ),
    (
        TestCase("assert count(1) == 1"),
        TestCase("assert count(2) == 1"),
        TestCase("assert count(1) == 1\nassert count(2) == 2"),
        TestCase("a, b = count(1), count(1)\nassert [a, b] == [1, 2]"),
    ),
    ("PPPP", "PPFF"),
)
_SCRIPT = KnownProblem(
    "scripts",
    None,
    (
        "n = int(input())\nprint(sum(int(input()) for _ in range(n)))",
        "import sys\nn, *xs = map(int, sys.stdin.buffer.read().split())\nprint(sum(xs[:n]))",
        "print(3)",
        "raise SystemExit(1)",
    ),
    (TestCase(stdin="2\n1\n2\n", stdout="3\n"), TestCase(stdin="1\n-5\n", stdout="-5\n")),
    ("PP", "PP", "PF", "EE"),
)
_ENDLESS = KnownProblem(
    "endless programs",
    "f",
    ("def f(x):\n    while True:\n        pass", "def f(x):\n    return x"),
    (TestCase("assert f(1) == 1"), TestCase("y = f(2)\nassert y == 2")),
    ("TT", "PP"),
    Limits(cpu_seconds=_ENDLESS_CPU_SECONDS),
)
_TIMED = (_DIGITS, _STATE, _SCRIPT)
PROBLEMS = (*_TIMED, _ENDLESS)


def measure(executor: ProcessExecutor, mark: str) -> Measurement:
    """Starts the executor's workers, checks every known problem, and repeats the quick ones for a second or two.

    mark: any text that no earlier call used.
    """
    start = time.perf_counter()
    isolation = executor.isolation
    begin = time.perf_counter()
    matrices = executor.run([problem.job(f"{mark} check") for problem in PROBLEMS])
    wrong = _differences(PROBLEMS, matrices)
    worker_mb = _resident_mb()
    cells, seconds = 0, 0.0
    while seconds < _MEASURED_SECONDS:
        problems = _TIMED * _COPIES
        jobs = [problem.job(f"{mark} {cells} {copy}") for copy, problem in enumerate(problems)]
        lap = time.perf_counter()
        matrices = executor.run(jobs)
        seconds += time.perf_counter() - lap
        cells += sum(matrix.size for matrix in matrices)
        wrong += _differences(problems, matrices)
    return Measurement(
        isolation=isolation,
        num_workers=executor.num_workers,
        start_seconds=begin - start,
        cells=cells,
        seconds=seconds,
        worker_mb=None if worker_mb is None else worker_mb / executor.num_workers,
        wrong=list(dict.fromkeys(wrong))[:_MAX_REPORTED],
    )


def _differences(problems: tuple[KnownProblem, ...], matrices: list[NDArray[np.int8]]) -> list[str]:
    """One line for each cell that is not as it should be."""
    lines = []
    for problem, matrix in zip(problems, matrices, strict=True):
        for row, (expected, found) in enumerate(zip(problem.truth, matrix, strict=True)):
            for column, (letter, value) in enumerate(zip(expected, found, strict=True)):
                kind = Verdict(value)
                right = kind is not Verdict.PASS if letter == _NOT_A_PASS else kind.name[0] == letter
                if not right:
                    wanted = next((v.name for v in Verdict if v.name[0] == letter), "no pass")
                    cell = f"{problem.name}, program {row + 1}, test {column + 1}"
                    lines.append(f"{cell}: {kind.name} instead of {wanted}")
    return lines


def _resident_mb() -> float | None:
    """Memory of all processes below this one in MiB; None where the system does not tell.

    Pages that several processes share are divided among them, where the kernel lets us see that; else only memory that
    no file backs is counted, and what a fork shares with its parent counts twice.
    """
    try:
        sizes = [_process_bytes(Path("/proc") / str(pid)) for pid in _descendants(os.getpid())]
    except OSError:
        return None
    return sum(sizes) / (1 << 20) if sizes else None


def _process_bytes(folder: Path) -> int:
    try:
        for line in (folder / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) << 10
    except OSError:  # the process lets nobody but root look, or has just ended
        pass
    try:
        _, resident, shared, *_ = map(int, (folder / "statm").read_text().split())
    except OSError:
        return 0
    return (resident - shared) * os.sysconf("SC_PAGE_SIZE")


def _descendants(pid: int) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                stat = (folder / "stat").read_text()
            except OSError:  # it has just ended
                continue
            children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(folder.name))
    todo = children.get(pid, [])
    while todo:
        yield (child := todo.pop())
        todo += children.get(child, [])
