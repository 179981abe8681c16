"""What one cell of a verdict matrix may use."""

from __future__ import annotations

import math
from dataclasses import dataclass

from zerocoder.problems import ZeroCoderError


@dataclass(frozen=True)
class Limits:
    """The budget of one program on one test. Raises ZeroCoderError for a value that is not positive.

    cpu_seconds: CPU time of the process that runs the program; asleep, it may take four times as
        long (and at least two seconds) by the clock.
    memory_mb: memory on top of the Python interpreter's own.
    output_kb: the returned values in encoded form, or the standard output of a script.
    """

    cpu_seconds: float = 1.0
    memory_mb: int = 512
    output_kb: int = 1024

    def __post_init__(self) -> None:
        for name, default in (("cpu_seconds", 1.0), ("memory_mb", 512), ("output_kb", 1024)):
            value = getattr(self, name)
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
            if not is_number or value <= 0:
                raise ZeroCoderError(
                    f"verifier.{name} is {value!r}: it must be a number above 0, e.g. {name}={default}"
                )
