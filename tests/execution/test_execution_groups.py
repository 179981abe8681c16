"""Several tests for one answer: whatever a program does in the middle, each test reads as if it were met by itself."""

from __future__ import annotations

import json

import pytest
from execution_helpers import RunMatrix

from zerocoder.execution import Limits
from zerocoder.execution.sandbox.rows import _GROUP

NUMBER = 2 * _GROUP + 1
TESTS = [f"assert f({k}) == {k}" for k in range(NUMBER)]
LIMITS = Limits(cpu_seconds=0.2, cpu_floor=0.2, cancel_after=0)
EVERY = range(NUMBER)


@pytest.mark.parametrize("at", EVERY)
@pytest.mark.parametrize(
    ("harm", "verdict"),
    [("os._exit(0)", "ERROR"), ("raise KeyboardInterrupt", "ERROR"), ("return -1", "FAIL"), ("return id", "UNSUPPORTED"),
     ("os.close(3)", "ERROR"), ("raise MemoryError", "MEMORY")],
)  # fmt: skip
def test_one_test_that_goes_wrong_harms_no_other(matrix: RunMatrix, at: int, harm: str, verdict: str) -> None:
    program = f"import os\ndef f(x):\n    if x == {at}:\n        {harm}\n    return x"
    assert matrix([program, "def f(x): return x"], TESTS, limits=LIMITS) == [
        [verdict if k == at else "PASS" for k in EVERY],
        ["PASS"] * NUMBER,
    ]


@pytest.mark.parametrize("at", [0, 2, NUMBER - 1])
def test_one_that_is_late_gets_all_of_its_time_and_is_the_only_late_one(matrix: RunMatrix, at: int) -> None:
    late = f"def f(x):\n    while x == {at}: pass\n    return x"
    slow = f"import time\ndef f(x):\n    end = time.process_time() + 0.05 * (x == {at})\n"
    slow += "    while time.process_time() < end: pass\n    return x"
    sleeper = f"import time\ndef f(x):\n    time.sleep(0.3 * (x == {at}))\n    return x"
    expected = ["TIMEOUT" if k == at else "PASS" for k in EVERY]
    assert matrix([late, slow, sleeper], TESTS, limits=LIMITS) == [expected, ["PASS"] * NUMBER, ["PASS"] * NUMBER]


def test_where_every_test_takes_long_all_pass(matrix: RunMatrix) -> None:
    slow = "def f(x):\n    for _ in range(200_000): pass\n    return x"
    assert matrix([slow, slow + " + 0"], TESTS, limits=LIMITS) == [["PASS"] * NUMBER] * 2


FIRST = list(range(_GROUP))


@pytest.mark.parametrize(
    "forged",
    [
        [], {}, None, 1, [1] * _GROUP, [[0]] * _GROUP,
        [[k, "v", [k]] for k in FIRST[:-1]],
        [[k, "v", [k]] for k in [*FIRST, _GROUP]],
        [[k, "v", [k]] for k in FIRST[::-1]],
        [[float(k), "v", [k]] for k in FIRST],
        [[k, "v", [k + 1]] for k in FIRST],
        [[k, "w", [k]] for k in FIRST],
        [[k, "v", k] for k in FIRST],
        [[k, "x", 1] for k in FIRST],
        [[k, "e"] for k in FIRST],
    ],
)  # fmt: skip
def test_answers_that_no_runner_of_ours_gives_pass_nothing(matrix: RunMatrix, forged: object) -> None:
    """A program that writes one in its runner's place, and ends."""
    frame = json.dumps(forged).encode()
    program = f"import os\nos.write(3, {len(frame).to_bytes(4, 'little') + frame!r})\nos._exit(0)\ndef f(x): return x"
    [hostile, right] = matrix([program, "def f(x): return x"], TESTS, limits=LIMITS)
    assert "PASS" not in hostile and right == ["PASS"] * NUMBER
