"""Programs that read standard input and print."""

from __future__ import annotations

import pytest
from execution_helpers import RunCell, RunMatrix

from zerocoder.execution import Limits

READERS = {
    "input": "a, b = map(int, input().split())\nprint(a + b)",
    "lines": "import sys\nfor line in sys.stdin:\n    print(sum(map(int, line.split())))",
    "read": "import sys\nprint(sum(map(int, sys.stdin.read().split())))",
    "buffer": "import sys\nprint(sum(map(int, sys.stdin.buffer.read().split())))",
    "open": "print(sum(map(int, open(0).read().split())))",
    "os.read": "import os\nos.write(1, str(sum(map(int, os.read(0, 100).split()))).encode())",
    "exit": "import sys\nprint(sum(map(int, input().split())))\nsys.exit(0)",
    "quit": "import sys\nprint(sum(map(int, input().split())), flush=True)\nsys.exit()",
    "os._exit": "import os\nprint(sum(map(int, input().split())), flush=True)\nos._exit(0)",
    "main": "def main():\n    print(sum(map(int, input().split())))\nif __name__ == '__main__':\n    main()",
    "thread": "import sys, threading\nsys.setrecursionlimit(10**6)\nthreading.stack_size(1 << 26)\ndef deep(n):\n"
    "    return 0 if n == 0 else 1 + deep(n - 1)\n"
    "def main():\n    deep(50000)\n    print(sum(map(int, input().split())))\n"
    "t = threading.Thread(target=main)\nt.start()",
    "atexit": "import atexit, io, sys\nout = io.StringIO()\n"
    "atexit.register(lambda: sys.__stdout__.write(out.getvalue()))\n"
    "print(sum(map(int, input().split())), file=out)",
    "spaces": "print(' \\n'.join(['']), sum(map(int, input().split())), sep='', end='  \\n\\n\\n')",
}


@pytest.mark.parametrize("name", READERS)
def test_ways_to_read_and_to_end(matrix: RunMatrix, name: str) -> None:
    assert matrix([READERS[name]], [("1 2\n", "3\n"), ("20 22", "42"), ("1 2\n", "4\n")], None) == [
        ["PASS", "PASS", "FAIL"]
    ]


REFUSED = {
    "print('3')\nraise ValueError": "ERROR",
    "print('3')\nimport sys\nsys.exit(1)": "ERROR",
    "print('3')\nimport sys\nsys.exit('message')": "ERROR",
    "print('3', flush=True)\nimport os\nos._exit(3)": "ERROR",
    "print('3'": "ERROR",
    "print('3', flush=True)\nimport ctypes\nctypes.string_at(0)": "ERROR",
    "print('3', flush=True)\nwhile True: pass": "TIMEOUT",
    "print('3', flush=True)\nimport os, time\nos.close(0), os.close(1), os.close(2)\ntime.sleep(60)": "TIMEOUT",
    "while True: print('3')": "ERROR",
    "x = [0] * 10**10": "MEMORY",
    "print(input(), input())": "ERROR",
    "print('3 3')": "FAIL",
    "print(' 3')": "FAIL",
    "": "FAIL",
    "import sys\nsys.stdout.buffer.write(b'\\xff\\xfe')": "FAIL",
    "print('3', flush=True)\nimport threading, os\n"
    "threading.Thread(target=lambda: os._exit(0)).start()\nwhile True: pass": "PASS",
}


def test_scripts_that_do_not_pass(matrix: RunMatrix) -> None:
    """The last one passes: it printed the right thing and ended with status 0."""
    rows = matrix(list(REFUSED), [("1 2", "3")], None, Limits(cpu_seconds=0.2, memory_mb=256, output_kb=32))
    assert {program: row[0] for program, row in zip(REFUSED, rows, strict=True)} == REFUSED


def test_output_is_compared_by_line(matrix: RunMatrix) -> None:
    program = "print('a b')\nprint('c')"
    tests = ["a b\nc", "a b \nc\n\n\n", "a b\r\nc\r\n", "a  b\nc", "a b\n\nc", "\na b\nc", "a b", "a b c"]
    assert matrix([program], [("", text) for text in tests], None) == [["PASS"] * 3 + ["FAIL"] * 5]


def test_large_input_output_and_source(verdict: RunCell) -> None:
    numbers = " ".join(["7"] * 400_000)
    program = "import sys\nprint(*sys.stdin.read().split())\n" + "# padding\n" * 80_000
    assert verdict(program, (numbers, numbers), None, Limits(cpu_seconds=5)) == "PASS"
    unread = "import sys\nprint('done')"
    assert verdict(unread, (numbers, "done"), None) == "PASS"


def test_text_that_cannot_travel(matrix: RunMatrix) -> None:
    assert matrix(["print(input())"], [("\ud800", ""), ("", "\ud800"), ("a\x00b", "a\x00b"), ("é€", "é€")], None) == [
        ["ERROR", "ERROR", "PASS", "PASS"]
    ]


def test_scripts_and_functions_in_one_job(matrix: RunMatrix) -> None:
    program = "def f(x): return x + 1\nif __name__ == '__main__':\n    print(f(int(input())))"
    assert matrix([program], ["assert f(1) == 2", ("1", "2"), "for y in [f(1)]: assert y == 2"]) == [["PASS"] * 3]
    assert matrix([program], ["assert f(1) == 2", ("1", "2")], None) == [["ERROR", "PASS"]]
