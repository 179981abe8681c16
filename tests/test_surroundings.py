"""What is put before a program: what its problem takes for granted, and it uses without defining it."""

from __future__ import annotations

import pytest

from zerocoder.answers import EXTRACTOR, FormatError, parse_program, runnable
from zerocoder.execution import Job, ProcessExecutor, Verdict
from zerocoder.problems import Problem, Program, Style, TestCase

STARTER = "class Solution:\n    def f(self, xs: List[int]) -> int:\n        "
LEETCODE = Problem("leetcode", "Sum.", entry_point="f", signature=STARTER)
SCRIPT = Problem("livecodebench/a", "Sum.", style=Style.STDIN, source="livecodebench")
PLAIN = Problem("mbpp/1", "Sum.", entry_point="f", signature="def f(xs):", source="mbpp")


def added(source: str, problem: Problem) -> list[str]:
    """The lines in front of a program, which must follow unchanged."""
    found = runnable(source, problem)
    assert isinstance(found, Program), found
    front, _, _ = found.source.partition(source)
    assert source in found.source
    return front.splitlines()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(xs: List[int]): return sum(xs)", ["from typing import List"]),
        ("from typing import List\ndef f(xs: List[int]): return sum(xs)", []),
        ("from typing import *\ndef f(xs: List[int]): return sum(xs)", ["from typing import List"]),  # does no harm
        ("List = list\ndef f(xs: List[int]): return sum(xs)", []),
        ("def f(xs: list[int]): return sum(xs)", []),
        ("def f(xs):\n    c = Counter(xs)\n    return math.gcd(*c)", ["from collections import Counter", "import math"]),
        ("def f(xs):\n    def gcd(a, b): return a\n    return gcd(1, 2)", []),
        ("def f(xs):\n    gcd = 1\n    return gcd\ndef g(): return gcd(1, 2)", ["from math import gcd"]),
        ("def f(xs):\n    global heap\n    heap = []\n    return heap", []),
        ("def f(xs): return pow(2, 3)", []),  # the built-in, not math's
        ("def f(xs): return bisect.bisect(xs, bisect_left(xs, 1))", ["import bisect", "from bisect import bisect_left"]),
        ("@cache\ndef f(xs): return inf", ["from functools import cache", "from math import inf"]),
        ("def f(xs): return unknown_name", []),
        ("def f(xs): return __name__ + __file__", []),
        ("class A:\n    def f(self): return deque()\nf = A().f", ["from collections import deque"]),
    ],
)  # fmt: skip
def test_imports_of_contests(source: str, expected: list[str]) -> None:
    assert added(source, LEETCODE) == expected
    assert added(source, PLAIN) == [], "MBPP's own grader adds none"


def test_scripts_of_contests_have_them_too() -> None:
    assert added("print(gcd(*map(int, input().split())))", SCRIPT) == ["from math import gcd"]
    other = Problem("codeforces/1", "Sum.", style=Style.STDIN, source="codeforces")
    assert added("print(gcd(*map(int, input().split())))", other) == []


def test_below_future_imports() -> None:
    source = '"""Doc."""\nfrom __future__ import annotations\n\n\ndef f(xs):\n    return inf'
    found = runnable(source, LEETCODE)
    assert isinstance(found, Program)
    assert found.source == source.replace("annotations\n", "annotations\nfrom math import inf\n")
    compile(found.source, "program", "exec")


@pytest.mark.parametrize(
    ("signature", "source", "expected"),
    [
        ("from typing import List\n\n\ndef f(xs: List[int]):\n    '''Sum.'''", "def f(xs: List[int]): ...", ["from typing import List"]),
        ("from typing import List\n\n\ndef f(xs: List[int]):", "def f(xs): ...", []),
        ("import math\n\ndef g(x):\n    return math.pi\n\ndef f(xs):", "def f(xs): ...", ["import math", "def g(x):", "    return math.pi"]),
        ("def g(x):\n    return x\n\ndef f(xs):\n    pass", "def g(x): return 2\ndef f(xs): ...", []),
        ("class Node:\n    def __init__(self, x):\n        self.x = x\n\nclass Solution:\n    def f(self, xs):\n        ", "def f(xs): return Node(1)",
         ["class Node:", "", "    def __init__(self, x):", "        self.x = x"]),
        ("def f(...):", "def f(xs): ...", []),
        ("no code", "def f(xs): ...", []),
    ],
)  # fmt: skip
def test_what_starter_code_brings(signature: str, source: str, expected: list[str]) -> None:
    assert added(source, Problem("p", "Sum.", entry_point="f", signature=signature)) == expected


def test_a_leetcode_answer_runs() -> None:
    answer = "```python\nclass Solution:\n    def f(self, xs: List[int]) -> int:\n        return sum(Counter(xs))\n```"
    program = parse_program(answer, LEETCODE)
    assert isinstance(program, Program)
    assert program.source.startswith("from collections import Counter\nfrom typing import List\nclass Solution:")
    assert program.source.endswith("\nf = Solution().f\n")
    with ProcessExecutor(workers=1) as executor:
        [verdicts] = executor.run([Job((program,), (TestCase("assert f([1, 2, 2]) == 3"),), "f")])
    assert verdicts.tolist() == [[Verdict.PASS]]


def test_a_reference_is_made_runnable_like_an_answer() -> None:
    reference = "class Solution:\n    def f(self, xs):\n        return sum(xs)"
    assert runnable(reference, LEETCODE) == parse_program(f"```python\n{reference}\n```", LEETCODE)
    assert isinstance(runnable("def g(): pass", LEETCODE), FormatError)
    assert isinstance(runnable("print(", SCRIPT), FormatError)
    assert runnable("x = 1", SCRIPT) == Program("x = 1")


def test_the_extractor_has_a_name() -> None:
    assert len(EXTRACTOR) == 12 and int(EXTRACTOR, 16) >= 0
