"""The outcome of one program on one test."""

from __future__ import annotations

from enum import IntEnum


class Verdict(IntEnum):
    """What one cell of a verdict matrix says. Zero is no verdict, so a forgotten cell never reads as a pass."""

    PASS = 1
    FAIL = 2  # a wrong value, or an assertion that does not hold
    ERROR = 3  # raised, exited, crashed or does not compile; the program or the test itself
    TIMEOUT = 4  # out of CPU time, or asleep past the wall clock cap
    MEMORY = 5  # out of memory
    INFRA = 6  # our failure: never scored
    UNSUPPORTED = 7  # the value has no plain form that can be compared outside the sandbox
    SKIPPED = 8  # no program or no test: an answer that did not parse
    CANCELLED = 9  # not run: the program was late, or failed, often enough on other tests (Limits.cancel_after)
    BROKEN = 10  # the problem's own checker fails on the test, whatever was printed: never scored
