"""Whole cells about values beyond the builtins: verdicts are Python's, on the literal path and through a judge."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import numpy as np
import pytest
from execution_helpers import Matrix, RunMatrix, as_job, names

from zerocoder.execution import Limits, ProcessExecutor
from zerocoder.problems import ZeroCoderError

PROGRAM = """
import collections, dataclasses, datetime, decimal, enum, fractions
P = collections.namedtuple("P", "x y")
@dataclasses.dataclass(order=True)
class D:
    x: int
    y: list
class E(enum.Enum):
    A = 1
class I(enum.IntEnum):
    B = 2
class S(enum.StrEnum):
    C = "c"
class F(enum.Flag):
    A = 1
@dataclasses.dataclass
class Empty:
    x: int
    def __len__(self): return 0
class Eager(decimal.Decimal):
    def __eq__(self, other): return True
    def __hash__(self): return 1
def f(text): return eval(text)
"""
# what the program returns, a test of it, the verdict
CELLS = [
    ("decimal.Decimal('1.10')", "assert f(V) == 1.1", "FAIL"),
    ("decimal.Decimal('1.5')", "assert f(V) == 1.5", "PASS"),
    ("decimal.Decimal('1.10')", "from decimal import Decimal\nassert f(V) == Decimal('1.1')", "PASS"),
    ("decimal.Decimal('NaN')", "assert f(V) == 1", "FAIL"),
    ("decimal.Decimal('sNaN')", "assert f(V) == 1", "ERROR"),
    ("decimal.Decimal('NaN')", "assert f(V) != f(V)", "PASS"),
    ("decimal.Decimal('Infinity')", "assert f(V) > 10**100", "PASS"),
    ("decimal.Decimal('1e999999999')", "assert f(V) > 1", "UNSUPPORTED"),
    ("Eager(1)", "assert f(V) == 2", "FAIL"),
    ("Eager(2)", "x = 2\nassert f(V) == x", "PASS"),
    ("fractions.Fraction(1, 2)", "assert f(V) == 0.5", "PASS"),
    ("fractions.Fraction(1, 3)", "from fractions import Fraction\nassert f(V) == Fraction(2, 6)", "PASS"),
    ("datetime.date(2020, 2, 29)", "import datetime\nassert f(V) == datetime.date(2020, 2, 29)", "PASS"),
    ("datetime.date(2020, 2, 29)", "assert f(V).isoformat() == '2020-02-29'", "PASS"),
    ("datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)",
     "from datetime import *\nassert f(V) == datetime(2020, 1, 1, 1, tzinfo=timezone(timedelta(hours=1)))", "PASS"),
    ("datetime.timedelta(days=1)", "assert f(V).total_seconds() == 86400", "PASS"),
    ("collections.Counter('aab')", "assert f(V) == {'a': 2, 'b': 1}", "PASS"),
    ("collections.Counter('aab')", "assert f(V).most_common(1) == [('a', 2)]", "PASS"),
    ("collections.Counter('aab')", "from collections import Counter\nassert f(V) == Counter('aba')", "PASS"),
    ("{'a': 2}", "from collections import Counter\nassert f(V) == Counter('aa')", "PASS"),
    ("collections.defaultdict(int, a=1)", "d = f(V)\nassert d == {'a': 1} and d['b'] == 0", "PASS"),
    ("collections.defaultdict(lambda: 5, a=1)", "assert f(V) == {'a': 1}", "PASS"),
    ("collections.defaultdict(lambda: 5, a=1)", "assert f(V)['b'] == 5", "UNSUPPORTED"),
    ("collections.OrderedDict(a=1, b=2)", "assert f(V) == {'b': 2, 'a': 1}", "PASS"),
    ("collections.OrderedDict(a=1, b=2)",
     "from collections import OrderedDict\nassert f(V) == OrderedDict(b=2, a=1)", "FAIL"),
    ("collections.deque([1, 2], 2)", "d = f(V)\nd.append(3)\nassert list(d) == [2, 3]", "PASS"),
    ("collections.deque([1])", "assert f(V) == [1]", "FAIL"),
    ("P(1, [2])", "assert f(V) == (1, [2])", "PASS"),
    ("P(1, [2])", "p = f(V)\nassert p.x == 1 and p == (1, [2]) and p._fields == ('x', 'y')", "PASS"),
    ("D(1, [2])", "assert f(V) == (1, [2])", "FAIL"),
    ("D(1, [2])", "d = f(V)\nassert d.x == 1 and d.y == [2]", "PASS"),
    ("[D(2, []), D(1, [])]", "assert [d.x for d in sorted(f(V))] == [1, 2]", "PASS"),
    ("D(1, [2])", "from dataclasses import dataclass\n@dataclass\nclass D:\n    x: int\n    y: list\n"
     "assert f(V) == D(1, [2])\nassert f(V) != D(1, [3])", "PASS"),
    ("E.A", "assert f(V) == 1", "FAIL"),
    ("E.A", "e = f(V)\nassert e.name == 'A' and e.value == 1 and e == f(V) and e != 1", "PASS"),
    ("E.A", "assert f(V)", "PASS"),
    ("F.A", "assert f(V)", "PASS"),
    ("F(0)", "assert f(V)", "FAIL"),
    ("F(0)", "assert not f(V)", "PASS"),
    ("F(0)", "e = f(V)\nif e:\n    raise AssertionError", "PASS"),
    ("D(1, [2])", "assert f(V)", "PASS"),
    ("Empty(1)", "assert f(V)", "UNSUPPORTED"),
    ("Empty(1)", "assert not f(V)", "UNSUPPORTED"),
    ("Empty(1)", "try:\n    assert f(V)\nexcept Exception:\n    pass", "UNSUPPORTED"),
    ("Empty(1)", "assert f(V) != 1 and f(V).x == 1", "PASS"),
    ("'\\ud83d\\ude00'", "assert f(V) == '\\U0001f600'", "FAIL"),
    ("'\\ud83d\\ude00'", "assert len(f(V)) == 2", "PASS"),
    ("{'\\ud83d\\ude00': 1}", "assert f(V) == {'\\ud83d' + '\\ude00': 1}", "PASS"),
    ("'\\U0001f600'", "x = f(V)\nassert x == '\\U0001f600' and len(x) == 1", "PASS"),
    ("I.B", "assert f(V) == 2", "PASS"),
    ("S.C", "x = f(V)\nassert x == 'c' and x.name == 'C'", "PASS"),
    ("3 ** 20000", f"assert f(V) == {hex(3**20000)}", "PASS"),
    ("decimal.Decimal(1)", f"assert f(V) == {hex(3**20000)}", "FAIL"),
    ("type('X', (), {})()", "assert f(V) == 1", "UNSUPPORTED"),
    ("datetime.datetime(2020, 1, 1, tzinfo=type('Z', (datetime.tzinfo,), {})())", "assert f(V) is not None", "UNSUPPORTED"),
]  # fmt: skip


def run(executor: ProcessExecutor, programs: list[str], tests: list[str]) -> Matrix:
    [verdicts] = executor.run([as_job(programs, tests)])
    return names(verdicts)


def test_cells(matrix: RunMatrix) -> None:
    cells = [(value, test.replace("V", repr(value)), verdict) for value, test, verdict in CELLS]
    got = matrix([PROGRAM], [test for _, test, _ in cells], limits=Limits(2))[0]
    wanted = [verdict for *_, verdict in cells]
    assert [(cell[1], verdict) for cell, verdict in zip(cells, got, strict=True)] == [
        (cell[1], verdict) for cell, verdict in zip(cells, wanted, strict=True)
    ]


ITERATORS = [
    ("a, b = 0, 1\nwhile True:\n    yield a\n    a, b = b, a + b",
     "g = f()\nassert [next(g) for _ in range(5)] == [0, 1, 1, 2, 3]", "PASS"),
    ("n = 0\nwhile True:\n    yield n\n    n += 1",
     "import itertools\nassert list(itertools.islice(f(), 5000)) == list(range(5000))", "PASS"),
    ("yield 1\nraise ValueError('x')", "assert next(f()) == 1", "PASS"),
    ("yield 1\nraise ValueError('x')", "list(f())", "ERROR"),
    ("yield 1\nraise ValueError('x')",
     "g = f()\nassert next(g) == 1\ntry:\n    next(g)\nexcept ValueError as error:\n    assert str(error) == 'x'\n"
     "else:\n    assert False\nassert list(g) == []", "PASS"),
    ("n = 1\nwhile n < 10**9:\n    n += 1\n    if 496 % n == 0 and n < 20: yield n",  # slow to find that there are no more
     "g = f()\nassert [next(g) for _ in range(4)] == [2, 4, 8, 16]", "PASS"),
    ("n = 1\nwhile True:\n    n += 1\n    if 496 % n == 0 and n < 20: yield n", "assert list(f()) == [2, 4, 8, 16]", "TIMEOUT"),
    ("t = 0\nwhile True:\n    t += (yield t) or 0", "g = f()\nnext(g)\nassert g.send(5) == 5 and g.send(6) == 11", "PASS"),
    ("yield from range(10_000)", "assert sum(f()) == 49_995_000", "PASS"),
    ("yield 1\nyield object()", "assert next(f()) == 1", "PASS"),
    ("yield 1\nyield object()", "assert len(list(f())) == 2", "UNSUPPORTED"),
    ("yield (n for n in [1, 2])", "assert [list(g) for g in f()] == [[1, 2]]", "PASS"),
    ("yield 1", "assert f() and f() != [1]", "PASS"),
    ("yield 1", "assert list(f()) == [1]\nassert list(f()) == [2]", "FAIL"),
    ("yield from iter(int, 1)", "assert sum(f()) == 1", "TIMEOUT"),
]  # fmt: skip


def test_iterators_are_consumed_as_the_test_says(matrix: RunMatrix) -> None:
    programs = ["def f():\n" + textwrap.indent(body, "    ") for body, *_ in ITERATORS]
    got = [
        matrix([program], [test], limits=Limits(0.5))[0][0]
        for program, (_, test, _) in zip(programs, ITERATORS, strict=True)
    ]
    assert list(zip(programs, got, strict=True)) == list(zip(programs, [row[2] for row in ITERATORS], strict=True))


def test_an_iterator_does_nothing_before_it_is_consumed(matrix: RunMatrix) -> None:
    program = "n = 0\ndef f(x):\n    global n\n    if x: return n\n    return g()\ndef g():\n    global n\n    for n in range(3): yield n"
    test = (
        "i = f(0)\nassert f(1) == 0\nassert next(i) == 0 and next(i) == 1\nassert f(1) == 1\nlist(i)\nassert f(1) == 2"
    )
    assert matrix([program], [test]) == [["PASS"]]


RIGHT = "[cell, 'v', {'g': 0}, [], None]"
FORGED = [
    RIGHT, "[cell, 'v', {'g': 99}, [], None]", "[cell, 'v', {'g': -1}, [], None]", "[cell, 'v', {'g': True}, [], None]",
    "[cell, 'v', {'g': 0}, [1], None]", "[cell, 'v']", "[cell, 'v', {'g': 0}, None, None]", "[cell, 'x', 1, 2]",
    "[cell, 'v', [[], False]]", "[cell, 'v', [[1, 2, 3], 1]]", "[cell, 'v', [[1, 2, 3]]]", "[cell, 'v', 7]",
    "[cell, 'v', [[1, {'g': True}], True]]", "[cell, 'v', [{'t': [1, 2, 3]}, True]]",
]  # fmt: skip


def forger(call: str, items: str) -> str:
    """A program that writes answers of its own to all requests but the one that it is loaded for."""
    return (
        "import sys\nrunner = sys.modules['sandbox.runner']\nasked = []\n"
        "def remote(self, cell, fresh, message):\n"
        "    asked.append(message)\n"
        f"    return runner.codec.to_bytes({call} if len(asked) == 1 else {items})\n"
        "runner._Program.remote = remote\n"
        "def f(): return 1"
    )


def test_forged_answers_about_iterators_are_refused(matrix: RunMatrix) -> None:
    test = "while f() is None: pass\nassert list(f()) == [1, 2, 3]"  # not taken apart
    assert matrix([forger(RIGHT, "[cell, 'v', [[1, 2, 3], True]]")], [test]) == [["PASS"]]  # as an honest one could
    programs = [forger(RIGHT, forged) for forged in FORGED] + [forger(forged, forged) for forged in FORGED]
    assert matrix(programs, [test]) == [["UNSUPPORTED"]] * len(programs)
    assert matrix([forger(RIGHT, "[cell, 'x', ['StopIteration'], []]")], [test]) == [["ERROR"]]


def test_arguments_arrive_as_what_they_are(matrix: RunMatrix) -> None:
    programs = [
        "def f(c):\n    c.update('b')\n    return c.most_common(1)",
        "def f(d):\n    d.x += 1\n    d.ys.append(d.x)\n    return type(d).__name__",
        "def f(q):\n    q.rotate(1)\n    return q.maxlen",
    ]
    tests = [
        "from collections import Counter\nc = Counter('abb')\nassert f(c) == [('b', 3)] and c == Counter('abbb')",
        "from dataclasses import dataclass\n@dataclass\nclass N:\n    x: int\n    ys: list\n"
        "n = N(1, [])\nassert f(n) == 'N' and n == N(2, [2])",
        "from collections import deque\nq = deque([1, 2], 3)\nassert f(q) == 3 and q == deque([2, 1])",
    ]
    assert [matrix([program], [test]) for program, test in zip(programs, tests, strict=True)] == [[["PASS"]]] * 3


def test_a_value_that_cannot_be_rebuilt_is_no_exception_to_the_test(matrix: RunMatrix) -> None:
    """A test that expects an exception does not take our refusal for one."""
    forger = (
        "import sys\ncodec = sys.modules['sandbox.codec']\n"
        "def f(x):\n    codec.encode = lambda *a, **k: {'record': 7}\n    return 1"
    )
    assert matrix(
        [forger], ["try:\n    f(1)\n    raised = False\nexcept Exception:\n    raised = True\nassert raised"]
    ) == [["UNSUPPORTED"]]


@pytest.fixture(scope="module")
def numeric() -> Iterator[ProcessExecutor]:
    with ProcessExecutor(workers=1, limits=Limits(2, memory_mb=256), numpy=True) as executor:
        yield executor


FLOAT32 = "PASS" if np.float32(0.1) == 0.1 else "FAIL"  # what it equals depends on numpy's version
NUMERIC = [
    ("np.arange(3) / 2", "import numpy as np\nassert np.allclose(f(), [0, 0.5, 1])", "PASS"),
    ("np.arange(3)", "import numpy as np\nassert np.array_equal(f(), np.array([0, 1, 3]))", "FAIL"),
    ("np.eye(2)", "assert f().tolist() == [[1, 0], [0, 1]]", "PASS"),
    ("np.array(['a', 'b'])", "assert list(f()) == ['a', 'b']", "PASS"),
    ("np.arange(3)", "assert f() == [0, 1, 2]", "ERROR"),  # neither true nor false
    ("np.arange(1)", "assert f() == [0]", "PASS"),
    ("np.arange(1)", "assert f() == [1]", "FAIL"),
    ("np.int64(3)", "assert f() == [3]", "PASS"),
    ("np.float32(0.1)", "assert f() == 0.1", FLOAT32),
    ("np.bool_(True)", "assert f() is True", "FAIL"),
    ("np.bool_(True)", "assert f() is not True", "PASS"),
    ("np.bool_(False)", "assert not f()", "PASS"),
    ("np.int64(3)", "assert f() == 3", "PASS"),
    ("np.float64(0.5)", "assert f() == 0.5", "PASS"),
    ("[np.bool_(True)]", "assert f() == [True]", "PASS"),
    ("np.bool_(True)", "x = f()\nassert x.dtype == bool and x", "PASS"),
    ("np.array([object()])", "assert len(f()) == 1", "UNSUPPORTED"),
    ("np.ma.array([1], mask=[True])", "assert len(f()) == 1", "UNSUPPORTED"),
    ("np.zeros(10**6)", "assert len(f()) == 10**6", "UNSUPPORTED"),
    ("np.zeros(10**9)[:1].tolist()", "assert f() == [0]", "MEMORY"),
    ("float((np.ones((200, 200)) @ np.ones((200, 200))).sum())", "assert f() == 8e6", "PASS"),
    ("round(float(np.linalg.det(np.eye(50) * 2)) / 2**50, 6)", "assert f() == 1.0", "PASS"),
    ("float(np.random.rand())", "assert f() == 0.5488135039273248", "PASS"),  # of seed 0
    ("__import__('scipy')", "assert f() == 1", "ERROR"),
    ("len(__import__('os').listdir(np.__path__[0] + '/..'))", "assert f() <= 2", "PASS"),
]


def test_numpy_where_it_is_allowed(numeric: ProcessExecutor) -> None:
    if not numeric.isolation.startswith("strict"):
        pytest.skip("a host without namespaces shows what is installed beside numpy")
    got = [run(numeric, [f"import numpy as np\ndef f(): return {value}"], [test])[0][0] for value, test, _ in NUMERIC]
    assert list(zip([row[0] for row in NUMERIC], got, strict=True)) == [(row[0], row[2]) for row in NUMERIC]


def test_arrays_are_changed_in_place(numeric: ProcessExecutor) -> None:
    program = "def f(a):\n    a *= 2\n    return a"
    test = "import numpy as np\na = np.arange(3)\nb = f(a)\nassert b is a and a.tolist() == [0, 2, 4]"
    assert run(numeric, [program, "def f(a): return a * 2"], [test]) == [["PASS"], ["FAIL"]]


def test_numpy_is_absent_unless_it_is_allowed(matrix: RunMatrix) -> None:
    assert matrix(["import numpy\ndef f(): return 1", "def f(): return 1"], ["assert f() == 1"]) == [
        ["ERROR"],
        ["PASS"],
    ]
    assert matrix(["def f(): return 1"], ["import numpy\nassert f() == 1"]) == [["ERROR"]]


def test_the_setting_is_a_bool() -> None:
    with pytest.raises(ZeroCoderError, match=r"verifier\.numpy is 'yes'"):
        ProcessExecutor(numpy="yes")  # type: ignore[arg-type]


def test_a_long_number_in_a_set_is_an_argument_like_any_other(matrix: RunMatrix) -> None:
    """Found by the fuzzer: it was planned as a literal, and refused by the runner's decoder."""
    assert matrix(["def f(x): return len(x)"], [f"assert f({{{hex(1 << 20_000)}}}) == 1"]) == [["PASS"]]
