"""Which programs may share a process with others, and that sharing one changes no verdict."""

from __future__ import annotations

import ast
import builtins
import importlib
import re
from dataclasses import replace

import pytest
from execution_helpers import RunMatrix, as_job, names
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import subject, workloads
from zerocoder.execution import Limits, ProcessExecutor
from zerocoder.execution.progress import MAX_SHARED, Progress
from zerocoder.execution.sandbox import nodes as tree_nodes
from zerocoder.execution.sandbox import sealed

SEALED = """
def f(x): return x + 1
---
from typing import List, Optional
import math, heapq as hq
from collections import Counter, defaultdict
def f(xs: List[int], k: Optional[int] = None) -> "Dict[str, int]":
    counts: dict[str, int] = defaultdict(int)
    for n, x in enumerate(sorted(xs, key=lambda v: -v)):
        counts[str(x)] += math.isqrt(n)
    hq.heapify(xs)
    return Counter(counts).most_common(k)
---
import functools
@functools.lru_cache(maxsize=None)
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
def f(x): return fib(x)
---
_seen = set()
def f(x):
    global _seen
    try:
        assert x not in _seen, f"{x!r} again"
        _seen |= {x}
    except (AssertionError, ValueError) as error:
        return error.args
    finally:
        print("done")
---
def g(n):
    while True:
        n += 1
        yield n
def f(x): return next(g(x)) if type(x) is int else "{:>4}|{name}".format(x, name="a").encode("utf-8")
---
import re, statistics
from itertools import *
def g(x): return statistics.median(x) if x else input("none ")
def f(x):
    if __name__ == "__main__": f(1)
    return [m.group(0) for m in re.finditer(r"a+", x)] + list(islice(count(), 3))
---
import typing
def f(x: typing.List[int], *rest: "whatever", **more: int | None) -> typing.Tuple[int, ...]: return x
---
class Node:
    "Of a list."
    made = 0
    default: int = -1
    def __init__(self, value, next=None):
        self.value, self._next = value, next
        self.made += 1
    def __len__(me): return 1 + (len(me._next) if me._next else 0)
    def reversed(self, before=None):
        def turned(node):
            nonlocal before
            self.last: int = node.value
            return Node(node.value, before)
        node = self
        while node:
            before, node = turned(node), node._next
        return before
def f(x):
    class Empty: pass
    return Empty() is x or Node(x).reversed().value
---
def f(x): return x.no_such_method()
---
import copy as c
from copy import deepcopy as clone, copy
class A:
    def __init__(self, x): self.x = copy(x)
def f(x): return c.deepcopy(A(x)).x + clone([c.copy(y) for y in x])
---
def g(x): yield from (y for y in x)
def f(x): return list(g(x))
---
import nowhere_to_be_found, nowhere_to_be_found.at_all as np
from nowhere_to_be_found import *
from nowhere_to_be_found.at_all import array as f
def f(x): return np.array(x)
"""

UNSEALED = """
import os
---
import sys
---
import random
---
import time
---
import collections.abc
---
from . import a
---
from math import no_such_name
---
from collections import *
---
import math
math.pi = 3
---
import math
del math.pi
---
import math
m = math
---
import math
def f(x): return g(math)
---
import math
def f(math): return math.pi
---
import math as m, heapq as m
---
import math
def f(x): return math.__loader__
---
from operator import attrgetter
---
from functools import wraps
---
import typing
x = typing.List
---
from typing import List
Row = List[int]
---
from typing import List
big = "a" * 10**8
def f(x: List[big]): pass
---
from typing import List
def f(x: List["a"]): pass
---
class A(list): pass
---
class A(metaclass=f): pass
---
@f
class A: pass
---
class A:
    def __del__(self): pass
---
class A:
    def __init_subclass__(cls): cls.x = 1
---
class A:
    def __new__(cls): cls.x = 1
---
class A:
    def __class_getitem__(cls, x): cls.x = 1
---
class A:
    def __getattr__(self, name): return 1
---
class A:
    @property
    def x(self): return 1
---
class A:
    @staticmethod
    def set(self): self.x = 1
---
class A:
    def f(): pass
---
class A:
    def f(*self): self.x = 1
---
class A:
    def f(self, *, me): me.x = 1
---
class A:
    def set(self): self.x = 1
    g = set
---
import functools, collections
class A:
    def set(self): self.x = 1
    g = functools.partial(set, collections.Counter)
---
from collections import Counter
class A:
    def set(self): self.x = 1
    def f(self, set=set): set(Counter)
---
from collections import Counter
class A:
    def set(self): self.x = 1
    def f(self, *, sets=(set, 1)): sets[0](Counter)
---
from collections import Counter
class A:
    def set(self): self.x = 1
    def __eq__(self, kind): kind.set(Counter)
def f(x): return type(A()) == A()
---
class A:
    def __contains__(self, kind): return kind("B", (), {"__del__": print})
def f(x): return type(x) in A()
---
import functools
def f(x): return functools.lru_cache(g).cache_info()._field_defaults
---
from heapq import *
class A:
    def f(merge): merge.x = 1
merge.x = 1
---
from typing import List
class list: pass
def f(x: List[list]): return x
---
class A:
    f = lambda self: 1
---
class A:
    class B: pass
---
class A:
    for x in (1, 2): pass
---
class A:
    if True:
        def set(self): self.x = 1
---
class A:
    __slots__ = ["x"]
---
class A:
    def f(self): self.__x = 1
---
class A:
    def f(self): self.__class__ = A
---
class A:
    def f(self): del self.x
---
class A:
    def f(self, other): other.x = 1
---
class A:
    def f(self): self.x.y = 1
---
from collections import Counter
class A:
    def f(self):
        self = Counter
        self.x = 1
---
class A:
    def f(self):
        for self in [int]: self.x = 1
---
class A:
    def f(self): return [(self := x) for x in [int]]
---
class A:
    def f(self):
        def set(self): self.x = 1
        set(int)
---
class A:
    def f(self): return (lambda self: self.x)(int)
---
class A:
    def f(self):
        try: pass
        except ValueError as self: self.x = 1
---
class A:
    def f(self): pass
def g(self): self.x = 1
---
class A:
    def set(self): self.x = 1
A.set(int)
---
class A: pass
B = A
---
class A: pass
def f(x, kind=A): return kind()
---
class A: pass
def f(x): return isinstance(x, A)
---
class A: pass
def f(x): return map(A, x)
---
class A: pass
def A(x): return x
---
class A: pass
del A
---
class A: pass
def f(x) -> A: return x
---
from collections import Counter as A
class A: pass
---
class __A: pass
---
class A:
    def f(self): return self.gi_frame
---
class A:
    gi_frame = 1
def f(x): return x.gi_frame
---
def f(x): return x.mro()
---
def f(x): return x.send(1)
---
def f(x): return x._keep_positive
---
async def f(): pass
---
with f() as g: pass
---
def f(x): return x.__class__
---
def f(x): return (i for i in x).gi_frame
---
def f(x): x.y = 1
---
def f(x): del x.y
---
def f(x):
    try: yield 1
    finally: x()
---
def f(x):
    try:
        for y in x:
            z = yield y
    except GeneratorExit: pass
---
def f(x): return getattr(x, "y")
---
g = getattr
---
def f(x): return vars()
---
def f(x): return eval("1")
---
def f(x): return ｅｖａｌ("1")
---
def f(x): return open("a")
---
def f(x): return help()
---
def f(x): return id(x)
---
def f(x): return type("A", (), {})
---
def f(x): return type(type(1))("A", (), {"__del__": f})
---
def f(x): return type(type(1)("A", (), {})) is int
---
t = type
---
def f(x): return __import__("os")
---
def f(x): return __builtins__
---
global __builtins__
---
def __getattr__(name): pass
---
def f(__x): pass
---
def f(x): return "{0.__class__}".format(x)
---
def f(x): return "{0[a]}".format(x)
---
def f(x): return "{:{0.real}}".format(x)
---
def f(x): return x.format(f)
---
def f(x): return "".format_map(x)
---
g = "{0.real}".format
---
def f(x): return "a".encode("idna")
---
def f(x): return b"a".decode(x)
---
def f(x):
    match x:
        case 1: pass
---
raise SystemExit
---
def f(x): return super()
---
from copy import deepcopy
def f(x): return deepcopy(x, {})
---
from copy import deepcopy
def f(x): return deepcopy(x, memo={})
---
from copy import deepcopy
def f(x): return deepcopy(*x)
---
from copy import deepcopy
def f(x): return map(deepcopy, x, [{}])
---
from copy import deepcopy
@deepcopy
def f(x): return x
---
from copy import copy
clone = copy
---
from copy import *
---
import copy
def f(x): return copy.deepcopy(x, {})
---
import copy
def f(x): return map(copy.deepcopy, x, [{}])
---
import copy
clone = copy.copy
---
import copy
def f(x): return copy.error(x)
---
class A:
    def close(self): return 1
def f(x): yield from x
---
import os.nowhere_to_be_found
---
import nowhere_to_be_found, os
---
import __main__
---
import solution
---
from solution import f
---
import test
---
from .nowhere_to_be_found import f
---
from nowhere_to_be_found import *
def f(x): return x.__class__
---
import nowhere_to_be_found as t
t.y = 1
---
import nowhere_to_be_found as type
def f(x): return type("A", (), {})
"""


def sources(text: str) -> list[str]:
    return [source.strip("\n") for source in text.split("---\n")]


def nodes(source: str) -> list[ast.AST]:
    return tree_nodes.all_nodes(ast.parse(source))


@pytest.mark.parametrize("source", sources(SEALED))
def test_plain_functions_over_plain_values_are_sealed(source: str) -> None:
    assert sealed.is_sealed(nodes(source))


@pytest.mark.parametrize("source", sources(UNSEALED))
def test_what_could_last_is_not_sealed(source: str) -> None:
    assert not sealed.is_sealed(nodes(source))


@pytest.mark.parametrize("source", sources(SEALED))
@pytest.mark.parametrize("harm", ["import sys", "x.y = 1", "def g(): return x.__y", "class A(str): pass", "eval('1')"])
def test_one_thing_that_could_last_is_enough(source: str, harm: str) -> None:
    assert not sealed.is_sealed(nodes(f"{source}\n{harm}"))
    assert not sealed.is_sealed(nodes(f"def h(x):\n    if x:\n        {harm}\n{source}"))


@pytest.mark.parametrize("source", sources(SEALED) + sources(UNSEALED))
def test_all_nodes_are_those_of_ast_walk(source: str) -> None:
    symbols = (ast.expr_context, ast.boolop, ast.operator, ast.unaryop, ast.cmpop)
    walked = [node for node in ast.walk(ast.parse(source)) if not isinstance(node, symbols)]
    assert sorted(map(ast.dump, nodes(source))) == sorted(map(ast.dump, walked))


def test_no_field_that_is_passed_over_holds_a_node() -> None:
    """By the grammar of the syntax tree, which is in the docstrings of its classes."""
    plain = {"identifier", "int", "string", "constant"}
    symbols = {"expr_context", "boolop", "operator", "unaryop", "cmpop"}
    kinds = [kind for kind in vars(ast).values() if isinstance(kind, type) and issubclass(kind, ast.AST)]
    fields = {f for kind in kinds for f in re.findall(r"(\w+)[*?]? (\w+)(?=[,)])", kind.__doc__ or "")}
    assert ("expr", "value") in fields and ("cmpop", "ops") in fields
    assert not [name for kind, name in fields if name in tree_nodes._HOLDING_NONE and kind not in plain | symbols]
    assert not [name for kind, name in fields if name not in tree_nodes._HOLDING_NONE and kind in symbols]


def test_few_missing_packages_are_looked_for() -> None:
    imports = [f"import nowhere_to_be_found_{n}" for n in range(sealed._MAX_MISSING + 1)]
    assert sealed.is_sealed(nodes("\n".join([*imports[:-1] * 50, "import nowhere_to_be_found_0.at_all"])))
    assert not sealed.is_sealed(nodes("\n".join(imports)))


def test_modules_offer_what_is_listed_and_none_of_it_is_hidden() -> None:
    for module, members in sealed._MODULES.items():
        assert members <= set(dir(importlib.import_module(module))), module
        assert not any(name.startswith("_") for name in members)


def test_a_starred_import_hides_no_builtin_that_matters() -> None:
    for module in sealed._STARRED:
        loaded = importlib.import_module(module)
        public = getattr(loaded, "__all__", [name for name in dir(loaded) if not name.startswith("_")])
        assert not set(public) & (set(dir(builtins)) - sealed._FREE_BUILTINS), module
        assert set(public) <= sealed._MODULES[module] | {"batched", "fma", "sumprod"}, module


def test_no_attribute_that_is_read_leads_to_code_or_frames() -> None:
    def generator():  # type: ignore[no-untyped-def]
        yield

    frames = {name for kind in (generator, generator(), compile("1", "", "eval")) for name in dir(kind)}
    assert sealed._METHODS & frames == {"replace"}  # of strings; no code is in reach
    assert {name for name in frames if not name.startswith("__")} - {"replace"} <= sealed._OF_OTHERS
    assert not sealed._METHODS & {"format", "format_map", "encode", "decode", "mro", "with_traceback"}


@given(st.text())
def test_any_format_string_is_read(text: str) -> None:
    assert sealed._reads_nothing(ast.Constant(text)) in (True, False)


def test_sharing_a_process_changes_no_verdict(executor: ProcessExecutor) -> None:
    """Programs of all kinds in one job, and each of them in a process of its own."""
    workload = workloads.mixed(1, salt="shared")
    limits = Limits(cpu_seconds=0.1, memory_mb=256)
    jobs = [replace(job, limits=limits) for job in subject.jobs(workload)]
    matrices = executor.run([*jobs, *(replace(job, limits=replace(limits, state="process")) for job in jobs)])
    together, apart = matrices[: len(jobs)], matrices[len(jobs) :]
    for one, other, problem in zip(together, apart, workload.problems, strict=True):
        assert (one == other).all(), problem.name
    assert subject.wrong_cells(workload, together) == []


def test_each_has_all_of_the_memory(matrix: RunMatrix) -> None:
    """Which the one before it took, and what it left in circles."""
    hungry = "def f(x):\n    taken = [b'x' * (150 << 20)]\n    taken.append(taken)\n    return len(taken[0]) >> 20"
    circles = (
        "kept = []\ndef f(x):\n    for _ in range(20000):\n        a = [0] * 50\n        a.append(a)\n    return 150"
    )
    programs = [hungry, hungry + " + 0", circles, hungry + " + 0 + 0"]
    limits = Limits(cpu_seconds=1, cpu_floor=0.5, memory_mb=200)
    assert matrix(programs, ["assert f(1) == 150", "assert f(2) in [150, 151]"], limits=limits) == [["PASS"] * 2] * 4


def test_what_is_not_installed_is_missed_by_each_that_wants_it(matrix: RunMatrix) -> None:
    """Whether it says so or does without, and alone or after another."""
    wants = "import nowhere_to_be_found as np\ndef f(x): return np.array([x])[0]"
    without = "try:\n    import nowhere_to_be_found as np\nexcept ImportError:\n    np = None\ndef f(x): return {} if np else x"
    late = "def f(x):\n    from nowhere_to_be_found import array\n    return x"
    programs = [wants, without.format("0"), late, without.format("1"), wants + " + 0", "def f(x): return x"]
    right, wrong = ["PASS"] * 2, ["ERROR"] * 2
    assert matrix(programs, ["assert f(3) == 3", "assert f(4) == 4"]) == [wrong, right, wrong, right, wrong, right]


def test_a_module_that_is_there_in_the_sandbox_is_no_missing_one(matrix: RunMatrix) -> None:
    """What one program does to it reaches no other."""
    spoiler = "import colorsys\ncolorsys.rgb_to_hsv = None\ndef f(x): return x"
    user = "import colorsys\ndef f(x): return x if callable(colorsys.rgb_to_hsv) else None"
    assert matrix([spoiler, user, user + " + 0"], ["assert f(3) == 3"]) == [["PASS"]] * 3


def test_one_that_ends_the_process_takes_no_other_along(matrix: RunMatrix) -> None:
    """Sealed programs can exhaust the interpreter's stack, for one."""
    deep = "def f(x):\n    a = []\n    for _ in range(10**6):\n        a = [a]\n    return a == a[:]"
    spin = "def f(x):\n    while True: x += 1"
    programs = ["def f(x): return x", deep, "def f(x): return x + 0", spin, "def f(x): return x + 0 + 0"]
    got = matrix(programs, [f"assert f({k}) == {k}" for k in (3, 4)], limits=Limits(cpu_seconds=0.3, cancel_after=2))
    assert [got[row] for row in (0, 2, 4)] == [["PASS"] * 2] * 3
    assert "PASS" not in (*got[1], *got[3]) and got[3] == ["TIMEOUT"] * 2


def test_classes_of_programs_in_one_process_do_not_meet(matrix: RunMatrix) -> None:
    """Each has what hangs on its class to itself, in every cell; one that reaches for another's is by itself."""
    keeper = "class A:\n    kept = []\n    def f(self, x):\n        self.kept.append(x)\n        return self.kept"
    keeper += "\ndef f(x): return A().f(x){}"
    spoiler = (
        "from collections import Counter\nclass A:\n    def f(self, other): other.most_common = None"
        "\ntry:\n    A().f(Counter)\nexcept TypeError:\n    pass\ndef f(x): return [x]"
    )
    counting = "from collections import Counter\ndef f(x): return [Counter([x]).most_common(1)[0][0]]"
    programs = [keeper.format(""), spoiler, keeper.format(" + []"), counting, counting + " + []"]
    assert not sealed.is_sealed(nodes(spoiler)) and all(sealed.is_sealed(nodes(p)) for p in programs if p != spoiler)
    assert matrix(programs, [f"assert f({k}) == [{k}]" for k in (3, 4)]) == [["PASS"] * 2] * 5


# A copy of a bound method is made of the function and of what the program's own record calls the copy of its instance.
BORROWED = """
from copy import deepcopy
from collections import Counter
class Record:
    def __init__(self, target): self.asked, self.target = 0, target
    def get(self, key, default):
        self.asked += 1
        return default if self.asked == 1 else self.target
    def __setitem__(self, key, value): pass
    def __getitem__(self, key): return []
class Setter:
    def put(self, value): self.{attribute} = value
"""
COUNTING = "from collections import Counter\ndef f(x): return Counter(x).most_common(1)[0][0]"


def test_methods_are_lent_to_no_class_of_others(executor: ProcessExecutor) -> None:
    """Neither for the next program of the problem nor for the next problem."""
    spoiler = BORROWED.format(attribute="most_common") + "def f(x): return deepcopy(Setter().put, Record(Counter))(f)"
    tests = ["assert f('aab') == 'a'", "assert f('bba') == 'b'"]
    spoilt = as_job([spoiler, COUNTING], tests)
    first, *later = executor.run([spoilt, *(as_job([f"{COUNTING}\nn = {n}"], tests) for n in range(4))])
    assert names(first)[1] == ["PASS"] * 2 and "PASS" not in names(first)[0]
    assert [names(matrix) for matrix in later] == [[["PASS"] * 2]] * 4


def test_a_test_has_nothing_to_do_with_the_call_of_the_next(executor: ProcessExecutor) -> None:
    """Nor with that of another problem: what it takes for the function is all that it has."""
    spoiler = (
        BORROWED.format(attribute="call")
        + """
class Catch:
    def append(self, item): found.append(item)
class Keep:
    def get(self, key, default): return default
    def __setitem__(self, key, value): pass
    def __getitem__(self, key): return Catch()
class Yes:
    def __eq__(self, other): return True
found = []
deepcopy(f, Keep())
for item in found:
    if "_Remote" in str(item): deepcopy(Setter().put, Record(item))(lambda *args: Yes())
assert f(1) == 1
"""
    )
    judged = "def check(g):\n    assert g(3) == 9\n    assert g(4) == {}\ncheck(f)"
    jobs = [as_job(["def f(x): return None"], [spoiler, judged.format(16)])]
    jobs += [as_job(["def f(x): return None"], [judged.format(n)]) for n in range(5)]
    assert not any("PASS" in row for matrix in executor.run(jobs)[1:] for row in names(matrix))
    assert names(executor.run(jobs)[0])[0][1] != "PASS"


def test_nothing_of_a_program_runs_while_the_next_one_does(matrix: RunMatrix) -> None:
    """A generator that is collected closes what it yields from."""
    loud = """
class Loud:
    def __iter__(self): return self
    def __next__(self): return 1
    def close(self):
        kept[0] += 1
        if kept[0] > 1:
            while True: pass
        leave()
kept = [0]
def made(): yield from Loud()
def leave():
    ring = [made()]
    next(ring[0])
    ring.append(ring)
def f(x):
    leave()
    return x
"""
    busy = "def f(x):\n    rings = [[n] for n in range(3000)]\n    return x"
    assert matrix([loud, busy, busy + " + 0"], ["assert f(1) == 1", "assert f(2) == 2"])[1:] == [["PASS"] * 2] * 2


def test_patterns_that_one_compiled_are_new_to_the_next(matrix: RunMatrix) -> None:
    """The module would find them by flags that are equal and that it takes from nobody."""
    program = "import re\ndef f(x): return bool(re.compile('a', {}).match(x))"
    assert matrix([program.format("2"), program.format("2.0")], ["assert f('A')"]) == [["PASS"], ["ERROR"]]
    test = "import re\ntry:\n    re.compile('a', {})\nfinally:\n    assert f(1) == 1"  # of judges likewise
    assert matrix(["def f(x): return x"], [test.format("2"), test.format("2.0")]) == [["PASS", "ERROR"]]


def planned(sealed_rows: list[bool], **options: bool) -> Progress:
    """A job of so many programs and one test, with the planner's word on each."""
    number = len(sealed_rows)
    job = replace(as_job([f"def f(x): return {n}" for n in range(number)], ["assert f(1)"]), **options)
    progress = Progress(job, Limits(), None, "")
    programs = {"groups": list(range(number)), "codes": [None] * number, "sealed": sealed_rows, "watched": sealed_rows}
    progress.apply_plan({"programs": programs, "tests": {"groups": [0], "plans": [None]}})
    return progress


def test_sealed_programs_go_together_and_others_alone() -> None:
    mixed = planned([True, False, True, True])
    assert mixed.batches() == [[0, 2, 3], [1]]
    many = planned([True] * (MAX_SHARED + 1))
    assert [len(rows) for rows in many.batches()] == [4, 5] and sum(many.batches(), []) == many.open_rows()


def test_with_a_process_for_each_test_none_are_shared() -> None:
    progress = planned([True, True])
    progress.limits = replace(progress.limits, state="process")
    assert progress.batches() == [[0], [1]]


def test_judged_tests_may_share_a_judge_and_do_not_see_each_other(matrix: RunMatrix) -> None:
    """Both sealed, and one that changes what it may: its own names."""
    count = "try:\n    seen\nexcept NameError:\n    seen = []\nseen.append(f(1))\nassert len(seen) == 1"
    other = count + "\nassert f(2) == 3"
    spoiling = "import math\nmath.seen = True\ntry:\n    pass\nfinally:\n    assert f(1) == 2"
    looking = (
        "import math\ntry:\n    spoilt = math.seen\nexcept AttributeError:\n    spoilt = False\nassert not spoilt, f(1)"
    )
    programs = ["def f(x): return x + 1", "def f(x): return 1 + x", "def f(x): return 2"]
    expected = [["PASS"] * 4] * 2 + [["PASS", "FAIL", "PASS", "PASS"]]
    assert matrix(programs, [count, other, spoiling, looking]) == expected


def test_a_test_that_takes_much_memory_leaves_the_judge_to_nobody(executor: ProcessExecutor) -> None:
    big = "xs = [f(1)]\nwhile len(xs) < {}:\n    xs = xs + xs\nassert len(xs)"
    tests = [big.format(n << 20) for n in (9, 10, 11)]
    job = as_job(["def f(x): return 1", "def f(x): return 2"], tests, limits=Limits(cpu_seconds=2, memory_mb=250))
    assert names(executor.run([job])[0]) == [["PASS"] * 3] * 2
