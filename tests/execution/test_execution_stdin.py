"""Standard input and output as the graders of programming contests have them: endings, exits, large texts, limits."""

from __future__ import annotations

import pytest
from execution_helpers import RunCell, RunMatrix

from zerocoder.execution import Limits

LARGE = 10 << 20


def test_the_last_line_needs_no_end(matrix: RunMatrix) -> None:
    programs = ["import sys\nsys.stdout.write('3')", "print(3)", "print('3\\r')", "import os\nos.write(1, b'3\\n')"]
    assert matrix(programs, [("", "3"), ("", "3\n"), ("", "3\r\n")], None) == [["PASS"] * 3] * 4


def test_what_was_printed_before_a_failure_counts_for_nothing(matrix: RunMatrix) -> None:
    printed = "print('3', flush=True)\n"
    endings = {
        "raise ValueError": "ERROR",
        "import sys; sys.exit(2)": "ERROR",
        "exit()": "PASS",
        "quit(0)": "PASS",
        "exit(1)": "ERROR",
        "raise SystemExit": "PASS",
        "raise KeyboardInterrupt": "ERROR",
        "import os; os._exit(0)": "PASS",
        "input()": "ERROR",  # at the end of the input
        "def f(): f()\nf()": "ERROR",
        "while True: pass": "TIMEOUT",
        "import time; time.sleep(60)": "TIMEOUT",
        "x = [0]\nwhile True: x += x": "MEMORY",
        "import sys; print('trouble', file=sys.stderr)": "PASS",
        "import sys; sys.stdout.close()": "PASS",
        "import io, sys; sys.stdout = io.StringIO(); print('lost')": "PASS",
        "import io, sys; sys.stdout = io.StringIO(); sys.__stdout__.write('3')": "FAIL",  # it is 3 and 3 then
        "import sys; sys.stdout = None": "PASS",
    }
    rows = matrix([printed + ending for ending in endings], [("", "3")], None, Limits(cpu_seconds=0.3, memory_mb=128))
    assert {ending: row[0] for ending, row in zip(endings, rows, strict=True)} == endings


def test_half_of_the_output_is_wrong(matrix: RunMatrix) -> None:
    assert matrix(["print(1)", "print(1)\nprint(2)\nprint(3)"], [("", "1\n2\n")], None) == [["FAIL"], ["FAIL"]]


def test_line_ends_of_other_systems(matrix: RunMatrix) -> None:
    programs = ["print(*map(int, (input(), input())))", "import sys\nprint(*sys.stdin.read().split('\\n')[:2])"]
    assert matrix(programs, [("1\r\n2\r\n", "1 2\r\n")], None) == [["PASS"]] * 2


def test_a_program_may_leave_its_input_alone(verdict: RunCell) -> None:
    """Closing the pipe, reading a part of it or ending early is nobody's failure."""
    text = "7 " * (LARGE // 2)
    for program in (
        "print('done')",
        "input = 1\nprint('done')",
        "import sys\nsys.stdin.read(10)\nprint('done')",
        "import os\nos.close(0)\nprint('done')",
    ):
        assert verdict(program, (text, "done"), None) == "PASS"


@pytest.mark.parametrize(
    "program",
    [
        "import sys\nprint(sys.stdin.read())",
        "import sys\nfor line in sys.stdin:\n    print(line, end='')",
        "import sys\nsys.stdout.buffer.write(sys.stdin.buffer.read())",
        "import os\nwhile data := os.read(0, 1 << 20):\n    os.write(1, data)",
    ],
)
def test_ten_megabytes_in_and_out(verdict: RunCell, program: str) -> None:
    text = "1234567 89\n" * (LARGE // 11)
    limits = Limits(cpu_seconds=5, output_kb=64)  # the expected output counts, where it is longer
    assert verdict(program, (text, text), None, limits) == "PASS"
    assert verdict(program, (text, text[:-2] + "8\n"), None, limits) == "FAIL"


def test_output_without_end(verdict: RunCell) -> None:
    limits = Limits(cpu_seconds=5, output_kb=64)
    assert verdict("while True: print('3' * 1000)", ("", "3\n" * 200_000), None, limits) == "ERROR"
    assert verdict("print('3' * 65_000)", ("", "3"), None, limits) == "FAIL"
