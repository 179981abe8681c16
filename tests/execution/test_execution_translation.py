"""Tests as calls and checks: what is translated means what Python says; what is not is left to a judge."""

from __future__ import annotations

import copy
import marshal
from typing import Any

import pytest
from execution_helpers import RunMatrix
from hypothesis import given, settings
from hypothesis import strategies as st

from zerocoder.execution import Limits
from zerocoder.execution.sandbox import codec, planner, rows
from zerocoder.execution.sandbox.expressions import Evaluation, Undecided
from zerocoder.execution.sandbox.parts import marshalled
from zerocoder.execution.sandbox.translation import NotTranslated, translate
from zerocoder.execution.sandbox.verdict import Verdict

# f appends 7 to lists of one item and returns its arguments as a list; every test below passes
TRANSLATED = [
    "assert f(1) == [1]",
    "assert f(1)",
    "assert not f()",
    "assert [1] == f(1)",
    "assert f(1) != [2]",
    "assert f(3)[0] is not None",
    "assert f(None)[0] is None",
    "assert f(True)[0] is True",
    "assert [1] in [f(1), f(2)]",
    "assert 1 in f(1) and 2 not in f(1)",
    "r = f(2, 1)\nassert sorted(r) == [1, 2]\nassert r == [2, 1]",
    "assert f(2, 1)[::-1] == [1, 2]",
    "assert f(2, 1)[-1] == 1",
    "assert abs(f(1.5)[0] - 1.0) < 0.5 + 1e-9",
    "assert -f(2)[0] + 3 ** 2 == 7",
    "import math\nassert math.isclose(f(0.1 + 0.2)[0], 0.3, rel_tol=1e-9)",
    "import math as m\nassert m.sqrt(f(4)[0]) == 2 and m.pi > 3",
    "from math import isclose, inf\nassert isclose(f(inf)[0], inf)",
    "assert round(f(1.256)[0], 2) == 1.26",
    "assert round(f(1.256)[0], ndigits=2) == 1.26",
    "assert isinstance(f(1), list)",
    "assert isinstance(f(1)[0], (int, float))",
    "assert type(f(1)) == list",
    "assert type(f(1)) is list",
    "assert len(f()) == 0",
    "assert set(f(1, 1)) == {1}",
    "assert tuple(f(1)) == (1,)",
    "assert sum(f(1, 2)) == 3 and max(f(1, 2)) == 2 and min(f(1, 2)) == 1",
    "assert any(f(0, 1)) and not all(f(0, 1))",
    "assert f('ab')[0].upper() == 'AB'",
    "assert f('a b')[0].split() == ['a', 'b']",
    "assert f({'a': 1})[0].get('a') == 1",
    "assert f({'a': 1})[0]['a'] == 1",
    "assert f('z' * 12) == ['z' * 12]",
    "assert f([[i, i + 1] for i in range(0, 6, 3)]) == [[[0, 1], [3, 4]]]",
    "assert f({k: v for k, v in [(1, 2)]}, {n % 2 for n in range(9)}) == [{1: 2}, {0, 1}]",
    "assert f([x for x in range(9) if x % 2 if x > 3]) == [[5, 7]]",
    "assert f([(x, y) for x in range(2) for y in range(x + 1)]) == [[(0, 0), (1, 0), (1, 1)]]",
    "assert f([[0] * 2 for _ in range(2)]) == [[[0, 0], [0, 0]]]",
    "assert f(list(range(5))[::-1]) == [[4, 3, 2, 1, 0]]",
    "assert f(sum(x for x in range(4))) == [6]",
    "xs = [1, 2]\nassert f(xs) == [[1, 2]]",
    "xs = [1, 2]\nexpected = [xs[::-1]]\nassert f([2, 1]) == expected",
    "xs: list = [1]\nr = f(xs, 0)\nxs = [2]\nassert r == [[1, 7], 0] and xs == [2]",
    "n = 5\nassert f(n, n + 1) == [5, 6]\nassert f(n) == [5]",
    "assert 0 < len(f(1, 2)) <= 2",
    "assert f(1) == f(1)",
    "assert (1 if f(1) else 2) == 1",
    "assert f(1) == [1] or False",
    "assert f(1) == [1], 'a message'",
    "'''A docstring.'''\npass\nf(3)\nassert f(1) == [1]",
    "a = f(1)\nb = a + f(2)\nassert b == [1, 2]",
    "for n in (1, 2):\n    assert f(n) == [n]",
    "for x, want in [(1, [1]), ([2, 2], [[2, 2]])]:\n    r = f(x)\n    assert r == want, x",
    "cases = [[1], [2]]\nfor case in cases:\n    assert f(case) == [case]\nassert case == [2, 7]",
    "for n in range(3):\n    for c in 'ab': assert f(n, c * n) == [n, c * n]",
    "xs = [1]\nf(xs)\nassert xs == [1, 7]",  # what the call left
    "xs = [1]\nassert f(xs, 2) == [xs, 2] and len(xs) == 2",
    "xs = [1]\nys = xs\nf(ys, xs)\nassert xs == ys == [1, 7]",
    "d = {'a': 1}\nf(d)\nassert sorted(d.keys()) == ['a'] and sum(d.values()) == 1",
    "assert set(f({1: 2})[0].items()) == {(1, 2)}",
    "assert {1: f(1)} == {1: [1]} and {1, 2} == set(f(1, 2)) and (f(1), 2) == ([1], 2)",
    "assert float('inf') > f(1)[0]",
    "assert str(f(1)) == '[1]'",
    "assert str(f(1)) == '[1]' and bool(f(1)) and int(f('7')[0]) == 7",
    "assert f(1) < [2] and f(2) >= [1]",
    "assert f(*[1, 2], 3) == [1, 2, 3]",
    "xs = (1, 2)\nassert f(*xs, *xs) == [1, 2, 1, 2]",
    "assert f(1, 2) in ([1, 2], (1, 2))",
    "from json import loads\nassert f(*loads('[2, [3, null]]')) in (loads('[2, [3, null]]'), 5)",
    "from json import loads as read\nassert f(1, 2.5) in (read('[1, 2.5]'), tuple(read('[1, 2.5]')))",
    "from json import loads\nassert f([(1, 2)]) == [[tuple(x) for x in loads('[[1, 2]]')] + [7]]",
    "assert f(7)[0] // 2 == 3 and f(7)[0] % 4 == 3 and f(6)[0] & 3 == 2",
]
RETURNS_ITS_ARGUMENTS = """
def f(*args):
    for arg in args:
        if isinstance(arg, list) and len(arg) == 1:
            arg.append(7)
    return list(args)
"""
TO_A_JUDGE = "\ntry: pass\nfinally: pass"

NOT_TRANSLATED = [
    "for n in (1, 2):\n    assert f(n) == [n]\nelse:\n    pass",
    "for n in (1, 2):\n    if n: assert f(n) == [n]",
    "for n in range(10**4): f(n)",
    "assert f(1) == [1 << 3]",
    "assert f(4)[0] >> 1 == 2",
    "assert f(1) @ f(2) == 3",
    "for n in f(1): f(n)",
    "for n, m in [1]: f(n)",
    "while True: f(1)",
    "xs: List[int] = [1]\nassert f(xs)",  # raises where List is not imported
    "xs = [1, 2]\nfor n in xs: f(xs)",
    "try:\n    f(1)\nexcept ValueError:\n    pass",
    "xs = [2, 1]\nassert sorted(xs) == f(xs)",  # the call may have changed them
    "xs = [2, 1]\nassert xs == f(xs)",
    "xs = [2, 1]\nys = [xs]\nf(xs)\nassert ys == [[2, 1]]",
    "xs = [2, 1]\nys = [xs]\nf(ys)\nassert xs == [2, 1]",
    "xs = [[2, 1]]\nys = xs[0]\nf(xs)\nassert ys == [2, 1]",
    "rows = [[0]] * 2\nfor row in rows: f(row)",
    "xs = ([2, 1],)\nf(xs)\nassert xs == ([2, 1],)",
    "xs = [2, 1]\nf(x=xs)\nassert xs == [2, 1]",
    "xs = [2, 1]\nf(xs)\nassert f(xs)",
    "xs = [1]\nassert f(xs) and f(xs)",
    "xs = [1]\nr = f(1)\npair = [xs, r]\nf(xs)\nassert pair == 1",
    "ys = [5]\nzs = f(ys)\nassert zs is ys",
    "assert f(1) is f(1)",
    "assert f(1) == [1] or f(2)",  # the second call might be skipped
    "assert not (f(1) and f(2))",
    "assert 1 < f(1) < f(2)",
    "assert f(2) if f(1) else True",
    "assert [f(n) for n in (1, 2)]",
    "assert f(f(1))",  # an argument that depends on a value
    "r = f(1)\nassert f(r) == [[1]]",
    "r = f(1)\nr += [2]\nassert r",
    "r = f(1)\nr.append(2)\nassert r == [1, 2]",
    "a, b = f(1, 2)\nassert a == 1",
    "a = b = f(1)\nassert a",
    "assert f(*'ab')",
    "assert f(*f(1))",
    "xs = [[1, 2]]\nf(*xs)\nassert xs == [[1, 2]]",  # its item may have changed
    "assert f(1) == loads('[1]')",
    "from json import loads\nassert loads(f('1')[0]) == 1",
    "from json import loads\nassert f(loads('['))",
    "from json import loads as f\nassert f('1')",
    "from json import loads, dumps\nassert f('1')",
    "assert f(**{'a': 1})",
    "assert f(x)",
    "assert all(x > 0 for x in f(1))",
    "assert sorted(f(1), key=abs)",
    "assert f(1) == open('x')",
    "assert math.pi == f(1)",
    "import os\nassert f(1)",
    "from math import floor as int\nassert isinstance(f(1)[0], int)",
    "assert len(x for x in [1]) == len(f(1))",
    "from math import *\nassert f(1)",
    "from math import factorial\nassert f(1)",
    "f = 1\nassert f",
    "def f(x): return 1\nassert f(1)",
    "import math as f\nassert f(1)",
    "f(1)[0] = 2\nassert f(1)",
    "assert f(1)[0].x",
    "assert f'{f(1)}'",
    "assert (lambda: f(1))()",
    "assert f('x' * 10**9)",
    "assert f(10**10**10)",
    "assert f([0] * 10**9)",
    "assert f(list(range(10**9)))",
    "assert f([i for i in range(10**5)])",
    "assert f(1 / 0)",
    f"assert f(1) == {1 << 20_000:#x}",
    "assert True",
    "x = 1",
    "",
    "assert f(",
    "f(1); del f",
    " and ".join(["assert len(f(1)) + 1 == 2"] + ["len([1]) < len(f(2)) + 5"] * 60),
]


@pytest.mark.parametrize("test", TRANSLATED)
def test_what_is_translated(test: str) -> None:
    calls, checks = translate(test, "f")
    assert calls and checks


def test_verdicts_are_those_of_a_judge(matrix: RunMatrix) -> None:
    programs = [
        RETURNS_ITS_ARGUMENTS,
        "def f(*args): return 1",
        "def f(*args): return None",
        "def f(*args): raise ValueError('no')",
        "def f(*args): yield from args",
        "def f(*args): return [*args, 1]",
        "def f(*args): return dict.fromkeys(map(str, args))",
        "import collections\ndef f(*args): return collections.namedtuple('P', 'x')(1)",
        "import enum\nclass E(enum.IntEnum):\n    A = 1\ndef f(*args): return [E.A, E.A]",
        "import enum\nclass E(enum.IntEnum):\n    A = 1\ndef f(*args): return [E.A]",  # a 1 that is not written so
        "class L(list): pass\ndef f(*args): return L(args)",
        "from decimal import Decimal\ndef f(*args): return [Decimal('1.5')]",
        "made = []\ndef f(*args):\n    made.extend(args)\n    return made",
    ]
    judged = [test + TO_A_JUDGE for test in TRANSLATED]
    for test in judged:
        with pytest.raises(NotTranslated):
            translate(test, "f")
    translated = matrix(programs, TRANSLATED)
    assert translated == matrix(programs, judged)
    assert translated[0] == ["PASS"] * len(TRANSLATED)


@pytest.mark.parametrize("test", NOT_TRANSLATED)
def test_what_is_left_to_a_judge(test: str) -> None:
    with pytest.raises(NotTranslated):
        translate(test, "f")


def test_a_value_is_taken_before_the_next_call_changes_it(matrix: RunMatrix) -> None:
    program = "made = []\ndef f(x):\n    made.append(x)\n    return made"
    assert matrix([program], ["assert f(1) == [1]\nassert f(2) == [1, 2]"]) == [["PASS"]]


def test_tests_that_make_the_same_calls_share_a_run(matrix: RunMatrix) -> None:
    """Two late tests end a row; those that differ in what they expect only are one run and count once."""
    program = "def f(x):\n    while x == 0: pass\n    return x"
    tests = ["assert f(0) == 1", "assert f(0) == 2", "assert not f(0)", "assert f(1) == 1", "assert f(1) == 2"]
    limits = Limits(cpu_seconds=0.1, cancel_after=2)
    assert matrix([program], tests, "f", limits) == [["TIMEOUT", "TIMEOUT", "TIMEOUT", "PASS", "FAIL"]]


def test_the_same_argument_twice_is_one_object(matrix: RunMatrix) -> None:
    tests = ["xs = [1]\nassert f(xs, xs)", "assert not f([1], [1])", "xs = [1]\nassert not f([1], xs)"]
    assert matrix(["def f(a, b): return a is b"], tests) == [["PASS"] * 3]


def test_equal_calls_are_written_alike() -> None:
    written = [
        marshalled(translate(test, "f")[0])
        for test in ("assert f('ab', [1.5]) == 'ab'", "x = 'ab'\ny = [1.5]\nassert not f(x, y), 'ab'")
    ]
    assert written[0] == written[1]
    once, twice = (translate(test, "f")[0] for test in ("assert f('ab', 'ab')", "x = 'ab'\nassert f(x, x)"))
    assert marshalled(once) == marshalled(twice)  # though it is two objects here, and one there
    xs = [1]
    assert marshalled([((xs, xs), {}, ())]) != marshalled([(([1], [1]), {}, ())])


@pytest.mark.parametrize(
    "test",
    [
        "\n".join(["x0 = f(1)", *(f"x{n + 1} = [x{n}, x{n}]" for n in range(60)), "assert sorted(x60)"]),
        "\n".join(["x0 = f(1)", *(f"x{n + 1} = x{n} + x{n}" for n in range(60)), "assert x60"]),
        "\n".join(["x0 = len(f(1)) + 2", *(f"x{n + 1} = x{n} * x{n}" for n in range(60)), "assert x60"]),
        "assert 10 ** (len(f(1)) * 10**6)",
        "assert 'ab' * (len(f(1)) * 10**6)",
        "assert len(range(len(f(1)) * 10**9))",
        "assert '%9d' % len(f(1))",
    ],
)
def test_what_would_grow_is_undecided(test: str) -> None:
    _, checks = translate(test, "f")
    assert rows.checked([0, "v", [[1]]], checks) is None


def test_a_value_too_large_to_look_at_is_undecided() -> None:
    _, checks = translate("assert sorted(f(1)) == sorted(f(2))", "f")
    assert rows.checked([0, "v", [[0] * 10**6, [0] * 10**6]], checks) is None
    assert rows.checked([0, "v", [[2, 1], [1, 2]]], checks) is Verdict.PASS
    _, checks = translate("assert f(1) == f(2)", "f")
    assert rows.checked([0, "v", [codec.encode(1 << 5000)] * 2], checks) is None
    assert rows.checked([0, "v", [codec.encode(1 << 4000)] * 2], checks) is Verdict.PASS


@pytest.mark.parametrize("expression", [
    ("method", "format", ("const", "{0.__class__}"), (("const", 1),)),
    ("call", "type", (("const", "C"), ("const", ()), ("const", {})), ()),
])  # fmt: skip
def test_what_no_planner_writes_is_undecided(expression: Any) -> None:
    with pytest.raises(Undecided):
        Evaluation().of(expression)


def test_only_the_planner_loops() -> None:
    loop = ("comprehension", "list", ("const", 1), ((("x",), ("const", [1]), ()),))
    assert Evaluation(can_loop=True).of(loop) == [1]
    with pytest.raises(Undecided):
        Evaluation().of(loop)


# Random straight lines, against Python itself.

SMALL = st.one_of(
    st.integers(-3, 9).map(str),
    st.sampled_from(["0.5", "-1.5", "True", "None", "'ab'", "''", "[]", "[1, 2]", "(1,)", "{1: 2}", "{3}", "a", "b", "r"]),
)  # fmt: skip
CALLS = st.lists(SMALL, max_size=2).map(lambda args: f"f({', '.join(args)})")


def composed(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    operators = st.sampled_from(
        ["+", "-", "*", "/", "//", "%", "**", "&", "|", "^", "@", "==", "!=", "<", ">=", "in", "is", "and", "or"]
    )
    functions = st.sampled_from(
        [
            "len",
            "sorted",
            "sum",
            "abs",
            "min",
            "max",
            "set",
            "list",
            "tuple",
            "any",
            "all",
            "str",
            "int",
            "bool",
            "round",
            "math.floor",
        ]
    )
    return st.one_of(
        st.tuples(inner, operators, inner).map(lambda parts: f"({' '.join(parts)})"),
        st.tuples(functions, inner).map(lambda parts: f"{parts[0]}({parts[1]})"),
        st.tuples(inner, SMALL).map(lambda parts: f"{parts[0]}[{parts[1]}]"),
        st.tuples(inner, SMALL, inner).map(lambda parts: f"({parts[0]} if {parts[1]} else {parts[2]})"),
        inner.map(lambda part: f"(not {part})"),
        inner.map(lambda part: f"[x for x in {part}]"),
        st.tuples(inner, inner).map(lambda parts: f"[{parts[0]}, {parts[1]}]"),
        inner.map(lambda part: f"isinstance({part}, (int, list))"),
    )


EXPRESSIONS = st.recursive(st.one_of(SMALL, CALLS), composed, max_leaves=6)
ABOUT_CALLS = st.recursive(CALLS, composed, max_leaves=4)
STATEMENTS = st.one_of(
    st.tuples(st.sampled_from("abr"), EXPRESSIONS, EXPRESSIONS).map(
        lambda parts: f"for {parts[0]} in {parts[1]}:\n    assert {parts[2]}"
    ),
    st.tuples(st.sampled_from("abr"), EXPRESSIONS).map(lambda parts: f"{parts[0]} = {parts[1]}"),
    EXPRESSIONS.map(lambda part: f"assert {part}"),
)


def a_program(*args: Any) -> Any:
    """Changes what it is given and can be changed, and returns it."""
    for arg in args:
        if isinstance(arg, list):
            arg.append(7)
    return list(args) if len(args) != 1 else args[0]


@settings(max_examples=1500, deadline=None)
@given(st.lists(STATEMENTS, max_size=3), ABOUT_CALLS)
def test_a_translation_says_what_python_says(statements: list[str], last: str) -> None:
    test = "\n".join(["import math", "a = [3, 1]", "b = 2", "r = 'x'", *statements, f"assert {last}"])
    try:
        calls, checks = translate(test, "f")
    except NotTranslated:
        return
    try:
        exec(test, {"f": lambda *args: copy.deepcopy(a_program(*args))})
        said: Verdict | None = Verdict.PASS
    except AssertionError:
        said = Verdict.FAIL
    except Exception:
        said = Verdict.ERROR
    values = []
    try:
        for args, _, wanted in marshal.loads(marshalled(calls)):
            values += [codec.encode(value) for value in (a_program(*args), *[args[position] for position in wanted])]
    except codec.Unsupported:
        return
    got = rows.checked([0, "v", values], checks)
    assert got in (said, None)


def test_tests_of_the_same_calls_and_checks_are_one_and_others_by_their_code() -> None:
    literal = ["assert f(1) == 2", "x = 1\nassert f(x) == 2", "assert f(1) == 2.0", "assert f(True) == 2"]
    judged = ["g = f\nassert g(1) == 2", "g=f\nassert g(1)==2  # as above"]
    broken = ["assert f(1) ==", "__debug__ = 1\nassert f(1) == 2"]
    planned = planner._tests([*literal, *judged, *broken, literal[0]], "f")
    assert planned["groups"] == [0, 0, 2, 3, 4, 4, -1, -1, 0]
    assert [type(plan) for plan in planned["plans"]] == [list, type(None), list, list, bool, *[type(None)] * 4]
