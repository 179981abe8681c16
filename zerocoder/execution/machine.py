"""How fast this machine runs Python, so that official time limits mean the same on a slower one.

Official graders give seconds on machines of their own, which nobody describes. The reference is therefore a unit of
ours: a fixed workload of plain Python (integers, strings, dicts, a sort, calls) and the CPU seconds it takes one core
of a common server, an AMD EPYC under CPython 3.11, that of docs/verifier.md. A machine at least as fast gives programs
the official seconds, a slower one in proportion more.
"""

from __future__ import annotations

import functools
import time

REFERENCE_SECONDS = 0.0085
"""CPU time of one round of the workload on the reference: the least of several hundred on idle cores."""
_NUM_ROUNDS = 12


@functools.cache
def factor() -> float:
    """How many times the reference's CPU time this machine takes; 1 for a faster one. Measured once a process.

    The measurement takes 0.1 s of this thread's CPU time and counts nothing else. The fastest round is taken: what
    neighbours on the same caches cost is theirs, not the machine's.
    """
    return max(1.0, min(_round_seconds() for _ in range(_NUM_ROUNDS)) / REFERENCE_SECONDS)


def _round_seconds() -> float:
    start = time.thread_time()
    _workload()
    return time.thread_time() - start


def _workload() -> int:
    """Never to be changed without measuring REFERENCE_SECONDS anew."""
    counts: dict[int, int] = {}
    total = 0
    for number in range(30_000):
        key = (number * 7919) % 1009
        counts[key] = counts.get(key, 0) + number
        total += len(str(number)) + (number ^ total) % 7
    words = [f"{key}:{count}" for key, count in sorted(counts.items(), key=lambda item: -item[1])]
    return total + len(" ".join(words))
