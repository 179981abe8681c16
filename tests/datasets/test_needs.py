"""What tests need beside the function they call."""

from __future__ import annotations

import ast

import pytest

from zerocoder.datasets.base import UnusableRowError
from zerocoder.datasets.needs import called_functions, foreign_names, needs_of, straight

MODULE = """\
import math
from typing import NamedTuple
LIMIT, STEP = 3, 1
unused = print


class Point:
    "A point."
    def __init__(self, x, y=0):
        self.x, self.y = x, y
    def __repr__(self):
        return str(self.x)


class Pair(NamedTuple):
    a: int


class Stack:
    def __init__(self):
        self.items = []
    def push(self, x):
        self.items.append(x)


class Child(Point):
    pass


def helper(x):
    return math.floor(x) + LIMIT


def f(x):
    return helper(x)
"""


@pytest.mark.parametrize(
    ("tests", "names"),
    [
        ("assert f(1) == 4", []),
        ("assert f(1) == helper(1)", ["import math", "LIMIT, STEP = (3, 1)", "def helper"]),
        ("x = LIMIT\nassert f(STEP) == x", ["LIMIT, STEP = (3, 1)"]),
        ("assert f(Pair(1)) == 1", ["from typing import NamedTuple", "class Pair(NamedTuple)"]),
        ("assert f([helper for helper in [1]]) == len(__name__)", []),
    ],
)
def test_only_what_is_needed_comes_along_in_its_order(tests: str, names: list[str]) -> None:
    code = needs_of(tests, "f", MODULE).code.removeprefix("from dataclasses import dataclass\n")
    statements = [ast.unparse(s) for s in ast.parse(code).body]
    assert len(statements) == len(names)
    assert all(statement.startswith(name) for statement, name in zip(statements, names, strict=True))


def test_a_class_of_attributes_becomes_a_data_class_with_its_own_constructor() -> None:
    needs = needs_of("assert f(Point(1)) == 1", "f", MODULE)
    namespace: dict[str, type] = {}
    exec(needs.code, namespace)
    point = namespace["Point"](1)
    assert (vars(point), str(point)) == ({"x": 1, "y": 0}, "1")
    assert point != namespace["Point"](1)  # compared by identity, as before
    assert list(point.__dataclass_fields__) == ["x", "y"]
    assert needs.signature("def f(x):") == f"{needs.shown_classes}\n\n\ndef f(x):"
    changed = needs.in_place(MODULE)
    assert changed.count("class Point") == 1 and "@dataclass(init=False, eq=False)\nclass Point:" in changed
    assert changed.endswith(MODULE[MODULE.index("class Pair") :])
    exec(changed, {})


def test_without_classes_nothing_changes() -> None:
    needs = needs_of("assert f(1) == 4", "f", MODULE)
    assert (needs.signature("def f(x):"), needs.in_place(MODULE), needs.shown_classes) == ("def f(x):", MODULE, "")


@pytest.mark.parametrize(
    ("tests", "reason"),
    [
        ("assert f(Stack()) == 1", "more than its attributes"),
        ("assert f(Child(1)) == 1", "more than its attributes"),
        ("assert f(nobody) == 1", "neither they nor the reference define"),
    ],
)
def test_what_cannot_be_brought_along_is_refused(tests: str, reason: str) -> None:
    with pytest.raises(UnusableRowError, match=reason):
        needs_of(tests, "f", MODULE)


def test_called_functions_come_outermost_first() -> None:
    assert called_functions("assert f(helper(1)) == Point(2)", MODULE) == ["f", "helper"]
    assert called_functions("assert x.f() == 2", MODULE) == []


def test_foreign_names() -> None:
    tree = ast.parse("import a.b\nfor i in xs:\n    y = lambda z: z + i + len(xs) + a\ndef g(q): return g(w)")
    assert foreign_names(tree) == {"xs", "w"}


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        ("'words'\nx = 1\nassert x", "x = 1\nassert x"),
        ("return 1", None),
        ("taken = 1", None),
        ("for str in 'ab': pass", None),
        ("global x\nx = 1", None),
    ],
)
def test_a_body_stands_alone_where_that_says_the_same(body: str, kept: str | None) -> None:
    function = ast.parse("def test():\n" + "".join(f"    {line}\n" for line in body.split("\n"))).body[0]
    assert isinstance(function, ast.FunctionDef)
    found = straight(function, {"taken"})
    assert (None if found is None else "\n".join(map(ast.unparse, found))) == kept
