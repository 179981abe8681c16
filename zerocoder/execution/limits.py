"""What one cell of a verdict matrix may use, and how much is spent on programs that never end.

Budgets count CPU time, so a verdict does not depend on what else the machine does. Most cells need a millisecond and
an endless program needs all it is given, so cells run in two rounds: each gets `cpu_floor` seconds first, and what is
late then runs once more with `cpu_multiple` times the CPU time of the problem's median passing cell (`cpu_seconds` at
the most), where that is more. The second round does not depend on the order in which cells ran. A loop whose whole
state repeats (sandbox/endless.py) is late at once, and for good.
"""

from __future__ import annotations

import reprlib
from dataclasses import dataclass, replace

from zerocoder.problems import Grading, ZeroCoderError

STATES = ("namespace", "process")
MAX_CPU_SECONDS = 3600
MAX_MEMORY_MB = 1 << 20
MAX_OUTPUT_KB = 1 << 18  # what travels between a worker's processes may have four times as many (wire.FrameStream)
_MAX_MULTIPLE = 10**9
_POSITIVE = {
    "cpu_seconds": (MAX_CPU_SECONDS, 1.0),
    "memory_mb": (MAX_MEMORY_MB, 512),
    "output_kb": (MAX_OUTPUT_KB, 1024),
    "cpu_floor": (MAX_CPU_SECONDS, 0.1),
}
"""The most that each may be, and an example."""


@dataclass(frozen=True)
class Limits:
    """The budget of one program on one test. Raises ZeroCoderError for a value out of range.

    cpu_seconds: CPU time of the process that runs the program, at the most; asleep, it may take four times as
        long (and at least two seconds) by the clock.
    memory_mb: memory on top of the Python interpreter's own.
    output_kb: the returned values in encoded form, or the standard output of a script.
    cpu_floor: CPU seconds of the first round; `cpu_seconds` where that is less. Programs that share a process
        as a family (`Job.family`) get half, as what a process costs once is paid by one of them.
    cpu_multiple: the second round's budget in CPU times of the problem's median passing cell; 0 gives every cell
        `cpu_seconds` at once.
    cancel_after: a program that was late on so many tests is taken for endless, and its other cells read CANCELLED; 0
        runs every cell, 1 takes the first late one for enough. Else it waits after the first until the other programs
        are through, and then meets first the tests that most of them ended on. More than half of all tests have to be
        late where it ended on any itself, or where fewer than half of the programs ended on those it is late on.
        Tests that make the same calls are one run and count once. Members of a family (`Job.family`) are cancelled
        after one late test.
    state: what tests of one program share. `namespace`: a process, but no name of the program; what a test leaves
        behind in modules of the standard library stays visible to the next. `process`: nothing.
    """

    cpu_seconds: float = 1.0
    memory_mb: int = 512
    output_kb: int = 1024
    cpu_floor: float = 0.1
    cpu_multiple: float = 50.0
    cancel_after: int = 0
    state: str = "namespace"

    def __post_init__(self) -> None:
        for name, (most, example) in _POSITIVE.items():
            value = getattr(self, name)
            if not _is_number(value) or not 0 < value <= most:
                raise _out_of_range(name, value, f"a number above 0, at most {most}, e.g. {example}")
        if not _is_number(self.cpu_multiple) or not 0 <= self.cpu_multiple <= _MAX_MULTIPLE:
            wanted = f"a number, 0 (off) or above, at most {_MAX_MULTIPLE}, e.g. 50"
            raise _out_of_range("cpu_multiple", self.cpu_multiple, wanted)
        if type(self.cancel_after) is not int or self.cancel_after < 0:
            raise _out_of_range("cancel_after", self.cancel_after, "a whole number, 0 (off) or above")
        if self.state not in STATES:
            raise _out_of_range("state", self.state, f"one of {', '.join(STATES)}")

    def graded(self, grading: Grading, factor: float) -> Limits:
        """With the seconds and the memory that the official grader gives a test, where it names them, as far as we can.

        All `factor` x `seconds` are given at once (`cpu_multiple` of 0): how long the other programs take, which is
        what the second round's budget goes by, is nothing that an official verdict depends on.
        """
        limits = self
        if grading.seconds is not None:
            limits = replace(limits, cpu_seconds=min(grading.seconds * factor, MAX_CPU_SECONDS), cpu_multiple=0.0)
        return limits if grading.memory_mb is None else replace(limits, memory_mb=min(grading.memory_mb, MAX_MEMORY_MB))

    def first_seconds(self, family: bool) -> float:
        """CPU seconds of the first round, for programs that share a process or do not."""
        floor = self.cpu_floor / 2 if family else self.cpu_floor
        return min(floor, self.cpu_seconds) if self.cpu_multiple else self.cpu_seconds


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _out_of_range(name: str, value: object, wanted: str) -> ZeroCoderError:
    return ZeroCoderError(f"verifier.{name} is {reprlib.repr(value)}: it must be {wanted}")
