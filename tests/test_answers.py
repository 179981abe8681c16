"""Answers as models write them, well-formed, sloppy and hostile, through every parser."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerocoder.answers import MAX_CHARS, FormatError, parse_program, parse_test, split_asserts
from zerocoder.markdown import fenced_blocks
from zerocoder.problems import Problem, Program, Style, TestCase

FUNCTION = Problem("function", "Add one.", entry_point="f", signature="def f(x):")
SCRIPT = Problem("script", "Add one.", style=Style.STDIN)
F = "def f(x):\n    return x + 1"
WRONG = "def f(x):\n    return 0"


def fenced(code: str, tag: str = "python") -> str:
    return f"```{tag}\n{code}\n```"


def program(text: str, problem: Problem = FUNCTION, truncated: bool = False) -> str:
    found = parse_program(text, problem, truncated)
    assert isinstance(found, Program), found
    return found.source


def no_program(text: str, problem: Problem = FUNCTION, truncated: bool = False) -> str:
    found = parse_program(text, problem, truncated)
    assert isinstance(found, FormatError), found
    return found.reason


def asserts(code: str, max_asserts: int = 8) -> list[str]:
    found = parse_test(fenced(code), FUNCTION, max_asserts=max_asserts)
    assert isinstance(found, TestCase), found
    return found.code.splitlines()


def no_test(text: str, problem: Problem = FUNCTION, truncated: bool = False) -> str:
    found = parse_test(text, problem, truncated)
    assert isinstance(found, FormatError), found
    return found.reason


# --- programs, function style -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        fenced(F),
        fenced(F, ""),
        fenced(F, "py"),
        fenced(F, "Python"),
        fenced(F, "python3"),
        fenced(F, "{.python}"),
        f"Sure! Here it is:\n\n{fenced(F, 'python title=x.py')}\n\nIt adds one.",
        f"~~~python\n{F}\n~~~",
        f"````python\n{F}\n````",
        f"```python\n{F}",  # ended without the closing fence
        f"```python\r\n{F}\r\n```".replace("\n    ", "\r\n    "),
        "1. First:\n   ```python\n   def f(x):\n       return x + 1\n   ```",  # in a list
        "```python\n    def f(x):\n        return x + 1\n```",  # all of it indented
        F,  # no fence at all
        f"{fenced(WRONG)}\nWait, that is wrong:\n{fenced(F)}",
        f"{fenced(F)}\nUsage:\n{fenced('print(f(1))')}\nprints\n{fenced('2', '')}",
        f"{fenced('pip install x', 'bash')}\n{fenced(F)}\n{fenced('2', 'text')}",
        f"{fenced(F)}\n{fenced('def f(x', 'python')}",  # an example that breaks off
        f"<think>\n{fenced(WRONG)}\n</think>\n{fenced(F)}",
        f"```\nsome text\n```python\n{F}\n```",  # a bare fence that nobody closed
        f"Assistant: ```python\n{F}\n```",
        f"````markdown\n```python\n{F}\n```\n````",
        f"{fenced(F)}\n```",  # a fence too many
        f"```python\n{F}```",  # its end glued to the code
        f"```solution.py\n{F}\n```",
        f"{fenced(F)}\n\n### Programming task\nNow another one.\n\n### Answer\n{fenced(WRONG)}",
    ],
    ids=range(26),
)
def test_the_same_function_in_many_wrappings(text: str) -> None:
    assert program(text).strip() == F


@pytest.mark.parametrize(
    "code",
    [
        "f = lambda x: x + 1",
        "def g(x):\n    return x + 1\n\n\nf = g",
        "from functools import lru_cache\n\n\n@lru_cache\ndef f(x):\n    return x + 1",
        "import functools\nf = functools.partial(pow, 2)",
        'def f(x):\n    """Example:\n\n    ```\n    f(1)\n    ```\n    """\n    return x + 1',
        "class Stack:\n    pass\n\n\ndef f(x):\n    return Stack()",
        "def f(x):\n    return '\\d'",
        "def f(x):\n    if x: pass\n" + "    elif x == 2: pass\n" * 300,
        "from typing import Callable\nf: Callable[[int], int] = lambda x: x + 1",
        "def f(x):\n\treturn x + 1\n\n\nclass Other:\n\tdef f(self):\n\t\tpass",
        "class Solution:\n    def f(self, x):\n        return x + 1\n\n\nf = Solution().f",
        "def g(x):\n    return x + 1\n\n\ndef f(x):\n    return g(x)",
        "try:\n    import numpy\nexcept ImportError:\n    numpy = None\n\n\ndef f(x):\n    return x + 1",
        'def f(x):\n    """Adds.\n\n    >>> f(1)\n    2\n    """\n    return x + 1',
    ],
)
def test_programs_are_taken_as_they_are(code: str) -> None:
    assert program(fenced(code)) == code


@pytest.mark.parametrize(
    "code",
    [
        "class Solution:\n    def f(self, x):\n        return x + 1",
        "class Solution:\n    @staticmethod\n    def f(x):\n        return x + 1",
        "class Solution:\n    @classmethod\n    def f(cls, x):\n        return x + 1",
        "class Solution(object):\n    def g(self, x):\n        return x + 1\n    f = g",
        "class Node:\n    pass\n\nclass Solution:\n    def f(self, x):\n        return x + 1\n\nprint(Solution().f(1))",
        "class Solution:\n    def f(self, x):\n        return x + 1\n\nif __name__ == '__main__':\n    print(Solution().f(1))",
    ],
)
def test_a_solution_class_gets_an_alias(code: str) -> None:
    source = program(fenced(code))
    space: dict[str, object] = {}
    exec(source, space)
    assert space["f"](1) == 2  # type: ignore[operator]


def test_demonstrations_are_left_out() -> None:
    code = (
        "def f(x):\n    print(x)\n    return x + 1\n\n"
        "print(f(1))\n"
        "a = 1; print(a)\n"  # shares its line: stays
        "print(\n    f(2),\n)\n"
        "if __name__ == '__main__':\n    print(f(3))\n    f(4)\n"
        "if __name__ == '__main__':\n    pass\nelse:\n    a = 2\n"  # matters to importers
    )
    assert program(fenced(code)) == (
        "def f(x):\n    print(x)\n    return x + 1\n\n"
        "a = 1; print(a)\n"
        "if __name__ == '__main__':\n    pass\nelse:\n    a = 2\n"
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "does not define f"),
        ("I cannot help with that.", "no valid Python"),
        ("Sure", "does not define f"),
        (fenced("def g(x):\n    return x"), "does not define f"),
        (fenced("def outer():\n    def f(x):\n        return x"), "does not define f"),
        (fenced("async def f(x):\n    return x"), "does not define f"),
        (fenced("from solution import f"), "does not define f"),
        (fenced("f = 3"), "does not define f"),
        (fenced("class Solution:\n    def g(self): ..."), "does not define f"),
        (fenced("def f(x)\n    return x"), "no valid Python: expected ':' (line 1)"),
        (fenced("def f(x):\n    return x\nreturn 3"), "'return' outside function"),
        (fenced("def f(x):\n    return “x”"), "no valid Python"),
        (fenced(">>> def f(x):\n...     return x"), "no valid Python"),
        (fenced(F, "java"), "no fenced python block"),
        (fenced("class Adder:\n    def f(self, x):\n        return x + 1"), "does not define f"),
        (fenced("if True:\n    def f(x):\n        return x + 1"), "does not define f"),
        (fenced("import solution\nsolution.f(1)"), "does not define f"),
        (fenced("1  def f(x):\n2      return x + 1"), "no valid Python"),
        (fenced("def f(x):\n    if x &lt; 1:\n        return x"), "no valid Python"),
        (fenced("def f(x):\n    return x\n\treturn 1"), "no valid Python"),
        ("> ```python\n> def f(x):\n>     return x\n> ```", "no valid Python"),
        ("<pre><code>def f(x):\n    return x</code></pre>", "no valid Python"),
        (fenced("Here is the function.\n" + F), "no valid Python"),
        (fenced(F + "\0"), "NUL or surrogate characters"),
        (fenced(F + "  # \ud800"), "NUL or surrogate characters"),
        ("```python def f(x): return x```", "no valid Python"),
        (f"<think>\n{fenced(F)}", "the reasoning has no end"),
        (fenced("x = " + "(" * 500 + ")" * 500), "no valid Python"),
        (fenced("x = " + "-" * 50_000 + "1"), "no valid Python"),
        (fenced("x = " + "9" * 5000), "no valid Python"),
        (F + "\n#" + "x" * MAX_CHARS, f"longer than {MAX_CHARS} characters"),
    ],
)
def test_no_function(text: str, reason: str) -> None:
    assert reason in no_program(text)


def test_truncated_answers() -> None:
    assert no_program(f"```python\n{F}", truncated=True) == "cut off at the token limit"
    assert no_program(F, truncated=True) == "cut off at the token limit"
    assert no_program(f"{fenced(F)}\nor\n```python\ndef f(x):\n    retu", truncated=True)
    assert program(f"{fenced(F)}\nThis works beca", truncated=True) == F
    assert no_test("```python\nassert f(1) == 2\n", truncated=True) == "cut off at the token limit"


# --- programs, standard input -----------------------------------------------------------------------------------------

S = "n = int(input())\nif __name__ == '__main__':\n    print(n + 1)"


@pytest.mark.parametrize(
    "text",
    [
        fenced(S),
        fenced(S, ""),
        S,
        f"{fenced(S)}\nFor the input\n{fenced('1', '')}\nit prints\n{fenced('2', '')}",
        f"{fenced('print(1)')}\nBetter:\n{fenced(S)}",
        f"{fenced('# YOUR CODE HERE')}\n{fenced('3', 'text')}\n{fenced(S, '')}",
        f"{fenced(S)}\n{fenced('# YOUR CODE HERE')}",
    ],
)
def test_scripts(text: str) -> None:
    assert program(text, SCRIPT) == S


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Sure",
        "n + 1",
        fenced("2", ""),
        fenced("n = int(input("),
        fenced(S, "cpp"),
        fenced(S) + "\n" + fenced("print("),
    ],
)
def test_no_script(text: str) -> None:
    no_program(text, SCRIPT)


# --- tests, function style --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("assert f(1) == 2\nassert f(-1) == 0", ["assert f(1) == 2", "assert f(-1) == 0"]),
        ("# ordinary\nassert f( 1 )==2, 'adds one'", ["assert f(1) == 2"]),
        ("assert not f([])\nassert 2 == f(1)", ["assert not f([])", "assert 2 == f(1)"]),
        ("assert f(1) == 2; assert f(2) == 3", ["assert f(1) == 2", "assert f(2) == 3"]),
        ("print('testing')\nassert f(1) == 2\nprint('ok')", ["assert f(1) == 2"]),
        ("xs = [3, 1]\nassert f(xs) == [1, 3]", ["assert f([3, 1]) == [1, 3]"]),
        ("x: int = 1\ny = z = x\nassert f(y) == z", ["assert f(1) == 1"]),
        ("result = f(1)\nexpected = 2\nassert result == expected", ["assert f(1) == 2"]),
        ("x = 1\nx += 2\nassert f(x) == 4", ["assert f(1 + 2) == 4"]),
        ("input, list = 'abc', [1]\nassert f(input) == list", ["assert f('abc') == [1]"]),
        ("for a, b in [(1, 2), (2, 3)]:\n    assert f(a) == b", ["assert f(1) == 2", "assert f(2) == 3"]),
        ("cases = ((1, 2), (2, 3))\nfor a, b in cases:\n    assert f(a) == b, a", ["assert f(1) == 2", "assert f(2) == 3"]),
        ("for (a, b), c in [((1, 2), 3)]:\n    d = a + b\n    assert f(d) == c", ["assert f(1 + 2) == 3"]),
        ("def test_f():\n    x = 1\n    assert f(x) == 2\n\ntest_f()", ["assert f(1) == 2"]),
        ("def test_a():\n    '''doc'''\n    assert f(1) == 2\ndef test_b():\n    assert f(2) == 3", ["assert f(1) == 2", "assert f(2) == 3"]),
        ("if __name__ == '__main__':\n    assert f(1) == 2", ["assert f(1) == 2"]),
        (
            ("import unittest\nclass TestF(unittest.TestCase):\n    def setUp(self):\n        pass\n    def test_f(self):\n"
            "        self.assertEqual(f(1), 2)\n        with self.subTest(2):\n            self.assertFalse(f(2))\n"
            "        self.assertIsNone(f(3))\n        self.assertAlmostEqual(f(4), 5.0)\n"
            "        self.assertCountEqual(f(5), [1])\n        self.assertIn(6, f(6))\n"
            "        with self.assertRaises(ValueError):\n            f(7)\nunittest.main()"),
            ["assert f(1) == 2", "assert not f(2)", "assert f(3) is None", "assert round(f(4) - 5.0, 7) == 0",
             "assert sorted(f(5)) == sorted([1])", "assert 6 in f(6)"],
        ),
        ("import math\nassert math.isclose(f(1), 2)", ["import math", "assert math.isclose(f(1), 2)"]),
        ("import os, math\nimport pytest\nassert f(1) == 2", ["assert f(1) == 2"]),
        ("from typing import *\nfrom math import inf\nassert f(inf) == inf", ["from math import inf", "assert f(inf) == inf"]),
        (
            "def close(a, b):\n    return abs(a - b) < eps\neps = 0.1\nassert close(f(1), 2)",
            ["def close(a, b):", "    return abs(a - b) < eps", "eps = 0.1", "assert close(f(1), 2)"],
        ),
        (
            "def run(x):\n    return f(x)[0]\nassert run(3) == 2",
            ["def run(x):", "    return f(x)[0]", "assert run(3) == 2"],
        ),
        ("a, b = f(1)\nassert a == b", ["a, b = f(1)", "assert a == b"]),
        ("x = 3\nassert f(x) == [x for x in range(2)]", ["x = 3", "assert f(x) == [x for x in range(2)]"]),
        ("assert 1 == 1\nassert callable(f)\nassert f\nassert f(1) == 2", ["assert f(1) == 2"]),
        ("assert (f(1) == 2, 'always true')\nassert f(1) == 2", ["assert f(1) == 2"]),
        ("assert open('/etc/passwd') and f(1)\nassert f.__code__ and f(1)\nassert f(1) == 2", ["assert f(1) == 2"]),
        ("with open('x') as g:\n    assert f(g) == 1\nwhile f(1):\n    pass\nassert f(1) == 2", ["assert f(1) == 2"]),
        ("for x in range(3):\n    assert f(x) == x + 1\nassert f(1) == 2", ["assert f(1) == 2"]),
        ("assert Solution().f(1) == 2", ["assert f(1) == 2"]),
        ("from solution import Solution\ns = Solution()\nassert s.f(1) == 2\nr = s.f(2)\nassert r == 3", ["assert f(1) == 2", "assert f(2) == 3"]),
        (
            ("import unittest\nfrom solution import Solution\nclass TestIt(unittest.TestCase):\n"
             "    def setUp(self):\n        self.sol = Solution()\n"
             "    def test_it(self):\n        self.assertEqual(self.sol.f(1), 2, msg='adds one')\n"
             "        self.assertAlmostEqual(f(1), 2.0, places=3)\n        self.assertAlmostEqual(f(1), 2.0, 4)\n"
             "        self.assertAlmostEqual(f(1), 2.0, delta=0.1)\n        self.assertIsInstance(f(1), int)\n"),
            ["assert f(1) == 2", "assert round(f(1) - 2.0, 3) == 0", "assert round(f(1) - 2.0, 4) == 0",
             "assert abs(f(1) - 2.0) <= 0.1", "assert isinstance(f(1), int)"],
        ),
        ("s = Solution()\ns = other\nassert s.f(1) == 2\nassert f(1) == 2", ["assert f(1) == 2"]),
        ("import pytest\n@pytest.mark.parametrize('x, y', [(1, 2), (2, 3)])\ndef test_f(x, y):\n    assert f(x) == y", ["assert f(1) == 2", "assert f(2) == 3"]),
        ("@pytest.mark.parametrize(['x'], [([1],), ([2],)])\ndef test_f(x):\n    assert f(x)", ["assert f(([1],))", "assert f(([2],))"]),
        ("@pytest.mark.parametrize('x', [1])\ndef test_f(other):\n    assert f(other)\nassert f(1) == 2", ["assert f(1) == 2"]),
        ("from pytest import approx\nassert f(1) == approx(2.5)", ["assert abs(f(1) - 2.5) <= max(1e-06 * abs(2.5), 1e-12)"]),
        ("import pytest\nassert pytest.approx(2.5, abs=0.1) == f(1)", ["assert abs(f(1) - 2.5) <= 0.1"]),
        ("with pytest.raises(ValueError):\n    f(0)\nassert f(1) == 2", ["assert f(1) == 2"]),
        ("def check(candidate):\n    assert candidate(1) == 2\n    assert candidate(2) == 3\ncheck(f)", ["assert f(1) == 2", "assert f(2) == 3"]),
        ("def check(x, expected=3):\n    assert f(x) == expected\ncheck(1, 2)\ncheck(2)\ncheck(expected=5, x=4)", ["assert f(1) == 2", "assert f(2) == 3", "assert f(4) == 5"]),
        ("def run_tests():\n    assert f(1) == 2\n    print('ok')\nif __name__ == '__main__':\n    run_tests()", ["assert f(1) == 2"]),
        ("xs, ys = [1, 2], [2, 3]\nfor x, y in zip(xs, ys):\n    assert f(x) == y", ["assert f(1) == 2", "assert f(2) == 3"]),
        ("for i, (x, y) in enumerate([(1, 2), (2, 3)], 1):\n    assert f(x) == y, f'case {i}'", ["assert f(1) == 2", "assert f(2) == 3"]),
        ("cases = {1: 2, 2: 3}\nfor x, y in cases.items():\n    assert f(x) == y", ["assert f(1) == 2", "assert f(2) == 3"]),
        ("cases = [{'x': 1, 'y': 2}]\nfor c in cases:\n    assert f(c['x']) == c['y']", ["assert f({'x': 1, 'y': 2}['x']) == {'x': 1, 'y': 2}['y']"]),
        ("try:\n    assert f(0) == 1\nexcept AssertionError:\n    print('no')\nassert f(1) == 2", ["assert f(1) == 2"]),
        ("async def test_a():\n    assert f(0) == 1\nassert f(1) == 2", ["assert f(1) == 2"]),
        ("assert f(1) == 2  # one\r\nassert f(2) == 3\r\n", ["assert f(1) == 2", "assert f(2) == 3"]),
        ("if True:\n\tassert f(0) == 1\nassert f(1) == 2", ["assert f(1) == 2"]),
    ],
)  # fmt: skip
def test_asserts_in_plain_form(code: str, expected: list[str]) -> None:
    assert asserts(code) == expected


@pytest.mark.parametrize(
    "code",
    [
        "xs = [3, 1]\nf(xs)\nassert xs == [1, 3]",
        "xs = [3, 1]\nys = f(xs)\nassert ys is xs",
        "xs = [3, 1]\nassert f(xs) == [1, 3]\nassert xs == [1, 3]",
        "xs = []\nxs.append(1)\nassert f(xs) == [1]",
        "xs = [1]\nassert f(xs) == [1]\nxs.append(0)\nassert f(xs) == [0, 1]",
        "d = {'a': [2]}\nd['b'] = d['a']\nd['b'] += [1]\ndel d['a']\nassert f(d['b']) == [1, 2]",
        "xs = [[2, 1], [4, 3]]\nxs[0].append(0)\nfor x in xs:\n    f(x)\nassert f(xs[0]) == [0, 1, 2]",
        "it = iter([3, 1])\nassert f([next(it)]) == [3]\nassert f([next(it)]) == [1]",
        "it = iter([3, 1])\na = next(it)\nb = next(it)\nassert f([a, b]) == [1, 3]",
        "it = (x for x in [3, 1])\na, b = next(it), next(it)\nassert f([a, b]) == [1, 3]",
        "def check(x):\n    f(x)\n    return x\nassert check([2, 1]) == [1, 2]",
        "a, b = [2, 1], [2, 1]\nf(a)\nassert a == [1, 2] and b == [2, 1]",
    ],
)
def test_the_plain_form_says_what_the_test_said(code: str) -> None:
    """Each of these holds for a function that sorts in place; so must the plain form, and all of its pieces."""

    def f(xs: list[int]) -> list[int]:
        xs.sort()
        return xs

    exec(code, {"f": f})
    plain = parse_test(fenced(code), FUNCTION)
    assert isinstance(plain, TestCase), plain
    exec(plain.code, {"f": f})
    for piece in split_asserts(plain):
        exec(piece.code, {"f": f})
    with pytest.raises(AssertionError):  # and it is still a test
        exec(plain.code, {"f": lambda xs: "sorted"})


@pytest.mark.parametrize(
    "text",
    [
        "assert f(1) == 2",
        fenced("assert f(1) == 2", ""),
        f"{fenced(F)}\nTests:\n{fenced('assert f(1) == 2')}\nRun:\n{fenced('pytest', 'bash')}{fenced('print(1)')}",
        "```python\nassert f(1) == 2",
        "  ```python\n  assert f(1) == 2\n  ```",
    ],
)
def test_where_the_asserts_stand(text: str) -> None:
    assert parse_test(text, FUNCTION) == TestCase(code="assert f(1) == 2\n")


def test_only_the_first_asserts_count() -> None:
    many = [f"assert f({n}) == {n + 1}" for n in range(20)]
    assert asserts("\n".join(many)) == many[:8]
    assert asserts("\n".join(many), max_asserts=2) == many[:2]
    assert asserts(f"for n in {list(range(20))}:\n    assert f(n) == n", max_asserts=1) == ["assert f(0) == 0"]


@pytest.mark.parametrize(
    "rival",
    [
        "def f(x):\n    return 2",
        "async def f(x): pass",
        "class f: pass",
        "f = lambda x: 2",
        "from solution import f",
        "import math as f",
        "import f",
        "f: int = 3",
        "for f in [abs]: pass",
        "with open('x') as f: pass",
        "if (f := abs): pass",
        "del f",
        "def test(f):\n    assert f(1) == 2",
        "try:\n    pass\nexcept ValueError as f:\n    pass",
        "match 3:\n    case f: pass",
        "print([f for f in [abs]])",
        "def helper():\n    global f\n    f = abs",
        "class Solution:\n    def f(self, x):\n        return 2",
        "from .solution import f",
        "import solution as f",
    ],
)
def test_a_test_may_not_bring_its_own_function(rival: str) -> None:
    assert no_test(fenced(f"{rival}\nassert f(1) == 2")) == "defines or imports f itself"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no assert calls f"),
        ("f(1) should be 2", "no valid Python"),
        (fenced("print(f(1))"), "no fenced python block holds an assert"),
        (fenced("assert g(1) == 2"), "no assert calls f"),
        (fenced("assert f(1) = 2"), "no valid Python"),
        (fenced("from solution import *\nassert f(1) == 2"), "imports everything of solution, which may be the answer"),
        (fenced("from . import *\nassert f(1) == 2"), "imports everything of None"),
        (fenced("import solution\nassert solution.f(1) == 2"), "no assert calls f"),
        (fenced("def check(candidate):\n    assert candidate(1) == 2"), "no assert calls f"),
        (fenced(">>> assert f(1) == 2"), "no valid Python"),
        (fenced(">>> f(1)\n2"), "no fenced python block holds an assert"),
        (fenced("1. assert f(1) == 2\n2. assert f(2) == 3"), "no valid Python"),
        (fenced("assert f(&quot;a&quot;) == 1"), "no valid Python"),
        (fenced("print(f(1) == 2)\nprint(f(2))  # 3"), "no fenced python block holds an assert"),
        (fenced("with pytest.raises(ValueError):\n    f(1)  # assert that it raises"), "no assert calls f"),
        (fenced("self.assertRaises(ValueError, f, 1)"), "no assert calls f"),
        ("- `assert f(1) == 2`\n- `assert f(2) == 3`", "no valid Python"),
        (fenced("a = [" + "b, " * 20_000 + "]\nassert f(a)"), "too large"),
        (fenced("a = [" + "a," * 32_000 + "]\nassert f(a)"), "too large"),
        (fenced("assert f(1) == 2\nassert f('it's')"), "no valid Python"),
        (fenced("a, sum = f(1)\nassert sum == 2"), "an assignment to a, sum that a test may not make"),
        (fenced("a = [1]\n" + "a = [a, a, a, a]\n" * 20 + "assert f(a)"), "too large"),
        (fenced("for a in [1]:\n  for b in " + "[" + "1," * 900 + "]:\n    print(a)\nassert f(1)"), "too many statements"),
        (fenced("a = [1]\n" + "a = [a]\n" * 120 + "assert f(a)"), "nested too deeply"),
        (fenced("assert f(0x" + "f" * 9000 + ")"), "cannot be written out"),
        (fenced("assert f(await x)"), "no valid Python"),
        (fenced("assert f(1) == 2\0"), "NUL or surrogate characters"),
    ],
)  # fmt: skip
def test_no_test(text: str, reason: str) -> None:
    assert reason in no_test(text)


# --- tests, standard input --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "stdin", "stdout"),
    [
        ("```input\n2\n1 2\n```\n```output\n3\n```", "2\n1 2\n", "3\n"),
        ("Input:\n```\n2\n1 2\n```\nOutput:\n```\n3\n\n```", "2\n1 2\n", "3\n"),
        ("```Input\n1\n```\nso\n```Output\n2\n```\nand\n```input\n5\n```\n```output\n6\n```", "5\n", "6\n"),
        ("```stdin\n```\n```stdout\nhello\n```", "\n", "hello\n"),
        ("```text\n  a b \n```\n```text\n  x\n```", "  a b \n", "  x\n"),
        (f"{fenced(S)}\n```input\n1\n```\n```output\n2\n```", "1\n", "2\n"),
    ],
)
def test_input_and_output(text: str, stdin: str, stdout: str) -> None:
    assert parse_test(text, SCRIPT) == TestCase(stdin=stdin, stdout=stdout)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "```input\n1\n```",
        "```output\n1\n```\n```input\n1\n```",
        "```input\n1\n```\n```output\n\n```",
        "```\n1\n```\n```\n2\n```\n```\n3\n```",
        f"{fenced(S)}\n{fenced('2', '')}",
        "assert f(1) == 2",
    ],
)
def test_no_input_and_output(text: str) -> None:
    no_test(text, SCRIPT)


def test_a_truncated_output_is_no_output() -> None:
    text = "```input\n1\n```\n```output\n2"
    assert no_test(text, SCRIPT, truncated=True) == "cut off at the token limit"
    assert parse_test(text, SCRIPT) == TestCase(stdin="1\n", stdout="2\n")


# --- splitting --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("assert f(1) == 2\nassert f(2) == 3\n", ["assert f(1) == 2\n", "assert f(2) == 3\n"]),
        (
            "import math\nx = 1\ny = math.pi\nassert f(x) == 2\nassert f(y) == 3\n",
            ["x = 1\nassert f(x) == 2\n", "import math\ny = math.pi\nassert f(y) == 3\n"],
        ),
        ("xs = [1]\nxs.append(2)\nassert f(xs)\n", ["xs = [1]\nxs.append(2)\nassert f(xs)\n"]),
        ("from math import *\nassert f(pi)\n", ["from math import *\nassert f(pi)\n"]),
        ("for x in range(3):\n    assert f(x)\n", ["for x in range(3):\n    assert f(x)\n"]),
        ("no python", ["no python"]),
    ],
)
def test_splitting(code: str, expected: list[str]) -> None:
    assert [t.code for t in split_asserts(TestCase(code=code))] == expected


def test_an_input_output_test_is_one_test() -> None:
    test = TestCase(stdin="1\n", stdout="2\n")
    assert split_asserts(test) == (test,)


# --- properties -------------------------------------------------------------------------------------------------------

PIECES = ["```", "```python", "```output", "~~~", "\n", "def f(x):", "    return x", "assert f(1) == 2", "x = 1", " "]
PIECES += ["import math", "for a in [1]:", "<think>", "</think>", "\\", '"', "'''", "(", "\t", "class T(X):", "é", "\0"]


@given(st.lists(st.sampled_from(PIECES), max_size=30), st.booleans())
@settings(deadline=None, max_examples=400)
def test_no_text_breaks_the_parsers(pieces: list[str], truncated: bool) -> None:
    for joint in ("", "\n"):
        text = joint.join(pieces)
        for problem in (FUNCTION, SCRIPT):
            source = parse_program(text, problem, truncated)
            if isinstance(source, Program):
                compile(source.source, "program", "exec")
            test = parse_test(text, problem, truncated)
            if isinstance(test, TestCase):
                assert test.style is problem.style
                assert all(t.style is problem.style for t in split_asserts(test))


@given(st.text(max_size=200))
@settings(deadline=None, max_examples=200)
def test_no_characters_break_the_parsers(text: str) -> None:
    for problem in (FUNCTION, SCRIPT):
        parse_program(text, problem)
        parse_test(text, problem)


VALUES = st.recursive(
    st.integers() | st.booleans() | st.none() | st.text(max_size=5) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers(), inner, max_size=3),
    max_leaves=8,
)


@given(VALUES, VALUES)
@settings(deadline=None)
def test_what_an_assert_says_is_kept(argument: object, expected: object) -> None:
    """The plain form of a test, executed, sees the same argument and the same expected value."""
    code = f"given = {argument!r}\nexpected = {expected!r}\nassert f(given) == expected"
    found = parse_test(fenced(code.encode("ascii", "backslashreplace").decode()), FUNCTION)
    if isinstance(found, FormatError):
        pytest.fail(found.reason)
    seen: list[object] = []

    def f(value: object) -> object:
        seen.append(value)
        return expected

    exec(found.code, {"f": f})
    assert seen == [argument]


@given(st.lists(st.text("ab \n`", max_size=12), max_size=4))
def test_blocks_survive_a_longer_fence(contents: list[str]) -> None:
    text = "\n".join(f"{'`' * 20}x\n{content}\n{'`' * 20}" for content in contents)
    assert [b.text for b in fenced_blocks(text)] == contents
