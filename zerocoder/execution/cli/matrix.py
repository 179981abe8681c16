"""`matrix`: every program of a problem against every test of it, as a table or as JSON."""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from rich.text import Text

from zerocoder import files
from zerocoder.console import bar
from zerocoder.execution.cli import rows
from zerocoder.execution.executor import ProcessExecutor
from zerocoder.execution.limits import Limits
from zerocoder.execution.verdicts import Verdict
from zerocoder.problems import ZeroCoderError

_COLOURS = {
    Verdict.PASS: "green",
    Verdict.FAIL: "red",
    Verdict.ERROR: "magenta",
    Verdict.TIMEOUT: "yellow",
    Verdict.MEMORY: "yellow",
    Verdict.INFRA: "bold white on red",
    Verdict.UNSUPPORTED: "cyan",
    Verdict.BROKEN: "bold white on red",
}
_LETTERS_TOGETHER = 10
_FILE_WIDTH = 160  # columns, where no terminal says how many it has


@dataclass(frozen=True)
class Outcome:
    """A run of some problems.

    matrices: one [N, K] of Verdict values a problem.
    done_seconds: when each problem was done, from the start of the run.
    start_seconds: what starting the workers took, before the run.
    """

    jobs: list[rows.NamedJob]
    matrices: list[NDArray[np.int8]]
    done_seconds: list[float]
    start_seconds: float
    seconds: float
    isolation: str
    num_workers: int
    limits: Limits

    @property
    def num_cells(self) -> int:
        return sum(matrix.size for matrix in self.matrices)

    @property
    def counts(self) -> dict[Verdict, int]:
        """Cells of each verdict, zeros included."""
        return {kind: sum(int((matrix == kind).sum()) for matrix in self.matrices) for kind in Verdict}


def run(arguments: argparse.Namespace) -> int:
    """The command. Raises ZeroCoderError for a mistake."""
    if arguments.output is not None:
        files.check_target(arguments.output)  # before the work, not after it
    jobs, remarks = rows.read(arguments.programs, arguments.tests, arguments.entry_point)
    for remark in remarks:
        print(f"note: {remark}", file=sys.stderr)
    limits = Limits(
        cpu_seconds=arguments.cpu_seconds, memory_mb=arguments.memory_mb, cancel_after=arguments.cancel_after
    )
    executor = ProcessExecutor(arguments.workers, limits, arguments.isolation, numpy=arguments.numpy)
    outcome = _executed(jobs, executor)
    if infra := outcome.counts[Verdict.INFRA]:
        print(f"note: {infra} cells read INFRA: they could not be run, which says nothing about them", file=sys.stderr)
    if arguments.format == "json":
        _deliver(json.dumps(as_json(outcome)) + "\n", arguments.output)
    elif arguments.output is not None:
        text = io.StringIO()
        print_table(outcome, Console(file=text, width=_FILE_WIDTH))
        _deliver(text.getvalue(), arguments.output)
    else:
        print_table(outcome, terminal())
    return 0


def as_json(outcome: Outcome) -> dict[str, Any]:
    """The outcome as documented in docs/verifier.md."""
    level, _, parts = outcome.isolation.partition(": ")
    return {
        "isolation": {"level": level, "parts": parts},
        "limits": {name: getattr(outcome.limits, name) for name in ("cpu_seconds", "memory_mb", "cancel_after")},
        "workers": outcome.num_workers,
        "start_seconds": round(outcome.start_seconds, 4),
        "seconds": round(outcome.seconds, 4),
        "cells": outcome.num_cells,
        "cells_per_second": round(outcome.num_cells / outcome.seconds, 1),
        "counts": {kind.name: count for kind, count in outcome.counts.items()},
        "problems": [
            {
                "problem": named.problem or None,
                "entry_point": named.job.entry_point,
                "programs": list(named.programs),
                "tests": list(named.tests),
                "verdicts": [[Verdict(value).name for value in row] for row in matrix],
                "done_seconds": round(done, 4),
            }
            for named, matrix, done in zip(outcome.jobs, outcome.matrices, outcome.done_seconds, strict=True)
        ],
    }


def print_table(outcome: Outcome, console: Console) -> None:
    """One letter a cell, a table a problem, then a legend and a summary."""
    for named, matrix, done in zip(outcome.jobs, outcome.matrices, outcome.done_seconds, strict=True):
        title = f"{rows.shown(named.problem)}: " if named.problem else ""
        console.print(Text(f"{title}{matrix.shape[0]} x {matrix.shape[1]}, done after {done:.2f} s", "bold"))
        table = Table(box=None, pad_edge=False)
        for column in ("program", "tests", "passed"):
            table.add_column(column, overflow="fold")
        for name, row in zip(named.programs, matrix, strict=True):
            passed = f"{int((row == Verdict.PASS).sum())}/{len(row)}"
            table.add_row(Text(rows.shown(name)), _letters(row), passed)
        console.print(table)
        console.print()
    legend = Text("  ").join(
        Text.assemble((kind.name[0], _COLOURS.get(kind, "dim")), f" {kind.name.lower()} {count}")
        for kind, count in outcome.counts.items()
        if count
    )
    console.print(legend)
    rate = outcome.num_cells / outcome.seconds
    workers = f"{outcome.num_workers} worker{'s' if outcome.num_workers > 1 else ''}"
    summary = f"{outcome.num_cells} cells in {outcome.seconds:.2f} s, {rate:.0f} cells/s on {workers}"
    console.print(Text(f"{summary} (ready after {outcome.start_seconds:.2f} s)"))
    console.print(Text(f"isolation {outcome.isolation}"))


def terminal() -> Console:
    """Standard output for tables: as wide as the terminal, or wide enough for most where there is none."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _FILE_WIDTH)


def _executed(jobs: list[rows.NamedJob], executor: ProcessExecutor) -> Outcome:
    done_seconds = [0.0] * len(jobs)
    with executor:
        start = time.perf_counter()
        reached = executor.isolation
        begin = time.perf_counter()
        with _progress(len(jobs)) as advance:

            def on_done(index: int) -> None:
                done_seconds[index] = time.perf_counter() - begin
                advance(1)

            matrices = executor.run([named.job for named in jobs], on_done)
        seconds = time.perf_counter() - begin
        return Outcome(
            jobs, matrices, done_seconds, begin - start, seconds, reached, executor.num_workers, executor.limits
        )


@contextmanager
def _progress(total: int) -> Iterator[Callable[[int], None]]:
    """A bar, for a person who waits."""
    if not sys.stderr.isatty():
        yield lambda n: None
        return
    with bar("problems", total) as advance:
        yield advance


def _letters(row: NDArray[np.int8]) -> Text:
    """The row's verdicts by their first letters, in groups that can be counted."""
    text = Text()
    for index, value in enumerate(row):
        if index and index % _LETTERS_TOGETHER == 0:
            text.append(" ")
        kind = Verdict(value)
        text.append(kind.name[0], _COLOURS.get(kind, "dim"))
    return text


def _deliver(text: str, output: Path | None) -> None:
    """To standard output, or to a file that then is whole."""
    if output is None:
        sys.stdout.write(text)
        return
    try:
        files.write_text(output, text)
    except OSError as error:
        raise ZeroCoderError(f"cannot write {output}: {error.strerror}") from error
