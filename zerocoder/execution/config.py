"""The verifier's settings (conf/verifier/*.yaml) and the executor they describe."""

from __future__ import annotations

from dataclasses import dataclass

from zerocoder.execution.executor import Executor, ProcessExecutor
from zerocoder.execution.limits import Limits


@dataclass(frozen=True)
class VerifierConfig:
    """How untrusted programs are run.

    workers: warm worker processes; 0 for one a core.
    cpu_seconds, memory_mb: budget of one program on one test (see Limits).
    isolation: the least that is accepted: strict, standard or none.
    numpy: whether programs and tests may import numpy.
    """

    workers: int = 0
    cpu_seconds: float = 1.0
    memory_mb: int = 512
    isolation: str = "standard"
    numpy: bool = False

    def __post_init__(self) -> None:
        self.build()  # checks every value and starts nothing

    def build(self) -> Executor:
        """The executor; its workers start at first use. Raises ZeroCoderError for a value out of range."""
        limits = Limits(cpu_seconds=self.cpu_seconds, memory_mb=self.memory_mb)
        return ProcessExecutor(workers=self.workers, limits=limits, isolation=self.isolation, numpy=self.numpy)
