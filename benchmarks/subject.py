"""The verifier under measurement: the one place where the benchmarks build it and hand it their workloads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.workloads import Problem, Workload
from zerocoder.execution import Job, Limits, ProcessExecutor, Verdict, VerifierConfig
from zerocoder.mutation import mutants
from zerocoder.problems import Program, TestCase

VerdictMatrix = NDArray[np.int8]  # [N, K], values of Verdict


def limits_of(cpu_seconds: float, memory_mb: int = 512, cancel_after: int = VerifierConfig.cancel_after) -> Limits:
    """The limits of a training run (conf/verifier/default.yaml) but for these."""
    return VerifierConfig(cpu_seconds=cpu_seconds, memory_mb=memory_mb, cancel_after=cancel_after).limits


def new_executor(workers: int, limits: Limits, isolation: str) -> ProcessExecutor:
    """The executor that is measured."""
    return ProcessExecutor(workers=workers, limits=limits, isolation=isolation)


def jobs(workload: Workload) -> list[Job]:
    """The jobs of a workload, in order."""
    return [_job(problem, problem.programs) for problem in workload.problems]


def mutant_jobs(workload: Workload, limit: int) -> Iterator[Job]:
    """For each problem at most `limit` mutants of its first program, on all of its tests. Generates them as it goes."""
    for problem in workload.problems:
        yield replace(_job(problem, mutants(problem.programs[0], limit)), family=True)


def verdicts(executor: ProcessExecutor, workload: Workload) -> list[VerdictMatrix]:
    """What the executor says, one matrix a problem."""
    return executor.run(jobs(workload))


def wrong_cells(workload: Workload, matrices: Sequence[VerdictMatrix]) -> list[str]:
    """The cells whose verdict is a pass and should not be, or the other way round: `problem[row][column] VERDICT`."""
    return [
        f"{problem.name}[{row}][{column}] {Verdict(matrix[row, column]).name}"
        for problem, matrix in zip(workload.problems, matrices, strict=True)
        for row, column in np.argwhere((matrix == Verdict.PASS) != problem.truth)
    ]


def _job(problem: Problem, programs: Sequence[str]) -> Job:
    return Job(
        programs=tuple(Program(source) for source in programs),
        tests=tuple(TestCase(code) for code in problem.tests),
        entry_point=problem.entry_point,
    )
