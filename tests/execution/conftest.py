"""A pair of warm workers for the whole session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from execution_helpers import Matrix, RunCell, RunMatrix, as_job

from zerocoder.execution import Limits, ProcessExecutor, Verdict


@pytest.fixture(scope="session")
def executor() -> Iterator[ProcessExecutor]:
    with ProcessExecutor(workers=2, limits=Limits(cpu_seconds=0.5, memory_mb=256)) as executor:
        yield executor


@pytest.fixture(scope="session")
def matrix(executor: ProcessExecutor) -> RunMatrix:
    """Programs x tests -> names of verdicts."""

    def run(
        programs: Sequence[str | None],
        tests: Sequence[str | tuple[str, str] | None],
        entry: str | None = "f",
        limits: Limits | None = None,
    ) -> Matrix:
        [verdicts] = executor.run([as_job(programs, tests, entry, limits)])
        return [[Verdict(value).name for value in row] for row in verdicts]

    return run


@pytest.fixture(scope="session")
def verdict(matrix: RunMatrix) -> RunCell:
    """One program on one test -> the name of the verdict."""

    def run(program: str, test: str | tuple[str, str], entry: str | None = "f", limits: Limits | None = None) -> str:
        return matrix([program], [test], entry, limits)[0][0]

    return run
