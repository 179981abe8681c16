"""The verifier's settings (conf/verifier/*.yaml) and the executor they describe."""

from __future__ import annotations

from dataclasses import dataclass

from zerocoder.execution.executor import Executor, ProcessExecutor
from zerocoder.execution.limits import Limits
from zerocoder.files import user_cache
from zerocoder.problems import ZeroCoderError


@dataclass(frozen=True)
class VerifierConfig:
    """How untrusted programs are run.

    workers: warm worker processes; 0 for one a core.
    cpu_seconds, memory_mb, cpu_floor, cpu_multiple, cancel_after, state: see Limits.
    isolation: the least that is accepted: strict, standard or none.
    numpy: whether programs and tests may import numpy.
    cache_mb: size of the file of known verdicts in the user's cache folder; 0 keeps none.
    """

    workers: int = 0
    cpu_seconds: float = 1.0
    cpu_floor: float = 0.1
    cpu_multiple: float = 50.0
    cancel_after: int = 2
    memory_mb: int = 512
    state: str = "namespace"
    isolation: str = "standard"
    numpy: bool = False
    cache_mb: int = 256

    def __post_init__(self) -> None:
        self.build()  # checks every value and starts nothing

    @property
    def limits(self) -> Limits:
        """Raises ZeroCoderError for a value out of range."""
        return Limits(
            cpu_seconds=self.cpu_seconds,
            cpu_floor=self.cpu_floor,
            cpu_multiple=self.cpu_multiple,
            cancel_after=self.cancel_after,
            memory_mb=self.memory_mb,
            state=self.state,
        )

    def build(self) -> Executor:
        """The executor; its workers start at first use. Raises ZeroCoderError for a value out of range."""
        if self.cache_mb < 0:
            raise ZeroCoderError(f"verifier.cache_mb is {self.cache_mb}: it must be 0 (none) or a size in MiB")
        return ProcessExecutor(
            workers=self.workers,
            limits=self.limits,
            isolation=self.isolation,
            cache=user_cache() / "verdicts.sqlite" if self.cache_mb else None,
            cache_mb=self.cache_mb,
            numpy=self.numpy,
        )
