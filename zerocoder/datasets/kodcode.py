"""`data=kodcode`: KodCode-V1 (Xu et al., 2025), synthetic functions with pytest files. For training, all labelled.

A row's test file runs beside the solution, with `from solution import *` in front. Here every `test_...` function is a
test of its own: its body as plain statements, the helpers of the file and what they need of the solution before it,
`pytest.raises` and `pytest.approx` by a stand-in, as the verifier's processes have no pytest. Imports of the solution,
calls at the end of the file and `if __name__ == "__main__":` are left out.

The verifier calls one function of a program, sees what it returns and has the standard library only. Left out, and
counted by reason, are therefore rows whose task is a class with methods, whose tests call several functions of the
solution, look at what is printed or need other packages, and rows that test a copy of the solution in the test file
itself. Classes of plain attributes (`TreeNode`, `ListNode`) are shown to the policy above the `def` line and put before
its program, as data classes, whose instances can be passed to it and returned.

The test's field is called `test` in the published set and `test_code` in the output of KodCode's own pipeline. A
question asked both ways (instruct, complete) is two problems; complete ones are the `def` line with its docstring.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from zerocoder.asserts import bound_names, is_main_guard
from zerocoder.datasets.base import Row, UnusableRowError, collect, readable, signature_of
from zerocoder.datasets.needs import bound_at_top, called_functions, needs_of, straight
from zerocoder.datasets.reading import Hub, published_rows
from zerocoder.problems import Grading, Label, Problem, TestCase, ZeroCoderError

SECONDS = 5.0
"""For one test; the pipeline that made the set names no limit of its own, and a few of its tests are large."""
_FILES = {"train": ("train-*.parquet", "data/train-*.parquet", "*.jsonl", "*.json")}
_PYTEST = """\
class pytest:
    class raises:
        def __init__(self, kind, match=None):
            self.kind, self.match = kind, match
        def __enter__(self):
            return self
        def __exit__(self, kind, error, trace):
            assert kind is not None, "nothing was raised"
            self.type, self.value = kind, error
            if not issubclass(kind, self.kind):
                return False
            assert self.match is None or __import__("re").search(self.match, str(error)), "another message"
            return True
    class approx:
        def __init__(self, expected, rel=None, abs=None, nan_ok=False):
            self.expected, self.rel, self.abs, self.nan_ok = expected, rel, abs, nan_ok
        def __eq__(self, other):
            return self.near(self.expected, other)
        def near(self, left, right):
            if isinstance(left, dict):
                return left.keys() == right.keys() and all(self.near(left[key], right[key]) for key in left)
            if isinstance(left, (list, tuple)):
                return len(left) == len(right) and all(map(self.near, left, right))
            if not isinstance(left, (int, float, complex)) or left == right:
                return left == right
            if left != left:
                return self.nan_ok and right != right
            if abs(left) == float("inf"):
                return False
            relative = self.rel if self.rel is not None else 1e-6 if self.abs is None else 0
            return abs(left - right) <= max(relative * abs(left), 1e-12 if self.abs is None else self.abs)
"""
"""What tests use of pytest, for those that import it."""


@dataclass(frozen=True)
class KodCode:
    """KodCode-V1."""

    path: str | None = None
    """A file or folder of the published rows; null looks in $ZEROCODER_DATA and on the hub."""
    revision: str | None = None
    """Of KodCode/KodCode-V1 on the Hugging Face hub; null is the newest."""
    subsets: list[str] = field(default_factory=list)
    """Only these of its subsets, e.g. [Leetcode, Prefill]; empty takes all."""
    max_rows: int | None = None
    """Read only so many rows; null reads all 447 thousand, which takes about half an hour and some gigabytes."""

    def __post_init__(self) -> None:
        if self.max_rows is not None and self.max_rows < 1:
            raise ZeroCoderError(f"data.source.max_rows is {self.max_rows}: it must be above 0, or null for all")

    def train(self) -> list[Problem]:
        return list(self._parsed[0])

    def heldout(self) -> list[Problem]:
        """None: it is for training."""
        return []

    def report(self) -> dict[str, int]:
        """Why rows were left out -> how many, over what was read."""
        return dict(self._parsed[1])

    @cached_property
    def _parsed(self) -> tuple[list[Problem], dict[str, int]]:
        hub = Hub("KodCode/KodCode-V1", self.revision)
        rows = published_rows("kodcode", self.path, "data.source.path", _FILES, hub, "train")
        return collect(islice(self._chosen(rows), self.max_rows), _problem)

    def _chosen(self, rows: Iterator[Row]) -> Iterator[Row]:
        for row in rows:
            row.expect("KodCode", ("question", "solution", "test_info"))
            if not self.subsets or row.text("subset") in self.subsets:
                yield row


def _problem(row: Row) -> Problem:
    solution = row.text("solution")
    file = _TestFile.of(row.text("test", row.text("test_code", "")))
    _refuse_foreign(readable("the solution", solution), *file.helpers, *file.functions)
    entry_point = _tested_function(file, solution)
    line = signature_of(solution, entry_point)
    if line is None:
        raise UnusableRowError("the tested function is no plain function")
    needs = needs_of(file.source, entry_point, solution)
    return Problem(
        id=f"kodcode/{row.text('question_id')}",
        statement=row.text("question").strip(),
        entry_point=entry_point,
        signature=needs.signature(line),
        label=Label(
            needs.in_place(solution),
            file.tests(entry_point, needs.code),
            Grading(seconds=SECONDS, prelude=needs.shown_classes),
        ),
        source="kodcode",
        difficulty=row.text("gpt_difficulty", ""),
    )


def _tested_function(file: _TestFile, solution: str) -> str:
    """The one function of the solution that the tests call."""
    called = called_functions(file.source, solution)
    if not called:
        raise UnusableRowError("the task is a class, or the tests call nothing of the solution")
    if len(called) > 1:
        raise UnusableRowError("the tests call several functions of the solution")
    if called[0] in file.defined:
        raise UnusableRowError("the tests define the function that they test")
    return called[0]


def _refuse_foreign(*trees: ast.AST) -> None:
    """Refuse what no process of the verifier can do."""
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            modules = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            roots = {module.partition(".")[0] for module in modules if module}
            if roots - sys.stdlib_module_names - {"pytest"}:
                raise UnusableRowError("needs packages besides the standard library")
        if isinstance(node, ast.Attribute) and node.attr in ("redirect_stdout", "stdout"):
            raise UnusableRowError("the tests look at what is printed")


@dataclass(frozen=True)
class _TestFile:
    """A pytest file, taken apart. `helpers` are what stands beside the test functions, `import pytest` included."""

    functions: tuple[ast.FunctionDef, ...]
    helpers: tuple[ast.stmt, ...]

    @classmethod
    def of(cls, text: str) -> _TestFile:
        functions: list[ast.FunctionDef] = []
        helpers: list[ast.stmt] = []
        for statement in readable("the test file", text).body:
            match statement:
                case ast.ImportFrom(module="solution") | ast.Import(names=[ast.alias(name="solution")]):
                    continue
                case ast.FunctionDef(name=name) if name.startswith("test"):
                    functions.append(statement)
                case ast.ClassDef(name=name) if name.startswith("Test"):
                    raise UnusableRowError("the tests are methods of a class")
                case ast.If() if is_main_guard(statement):
                    continue
                case ast.Expr():
                    continue  # a docstring, or a call of the tests
                case _:
                    helpers.append(statement)
        if not functions:
            raise UnusableRowError("no tests")
        return cls(tuple(functions), tuple(helpers))

    @property
    def source(self) -> str:
        return "".join(f"{ast.unparse(statement)}\n" for statement in (*self.helpers, *self.functions))

    @property
    def defined(self) -> set[str]:
        """Names that the file's module gives a meaning."""
        return {f.name for f in self.functions}.union(*map(bound_at_top, self.helpers))

    def tests(self, entry_point: str, needed: str) -> tuple[TestCase, ...]:
        """One test a function, each with all helpers."""
        helpers = "".join(_PYTEST if _is_pytest(s) else f"{ast.unparse(s)}\n" for s in self.helpers)
        head = needed + helpers
        taken = self.defined | {entry_point} | bound_names(ast.parse(needed))
        return tuple(TestCase(code=head + _unwrapped(function, taken)) for function in self.functions)


def _is_pytest(statement: ast.stmt) -> bool:
    return ast.unparse(statement) == "import pytest"


def _unwrapped(function: ast.FunctionDef, taken: set[str]) -> str:
    """The body of a test function; a parametrized one in a loop over its rows."""
    names, rows = _parameters(function)
    body: Sequence[ast.stmt] | None = straight(function, taken | set(names))
    if rows is None:
        if body is not None:
            return "".join(f"{ast.unparse(statement)}\n" for statement in body)
        return f"{ast.unparse(function)}\n{function.name}()\n"
    target = names[0] if len(names) == 1 else f"({', '.join(names)})"
    function.decorator_list = []
    head = "" if body is not None else f"{ast.unparse(function)}\n"
    inner = body or ast.parse(f"{function.name}({', '.join(f'{n}={n}' for n in names)})").body
    loop = ast.parse(f"for {target} in {ast.unparse(rows)}:\n    pass").body[0]
    assert isinstance(loop, ast.For)
    loop.body = list(inner)
    return f"{head}{ast.unparse(loop)}\n"


def _parameters(function: ast.FunctionDef) -> tuple[list[str], ast.expr | None]:
    """The names and rows of `@pytest.mark.parametrize`; none for a function without arguments."""
    wanted = [argument.arg for argument in function.args.args]
    if not function.decorator_list and not wanted:
        return [], None
    match function.decorator_list:
        case [ast.Call(func=called, args=[ast.Constant(value=str() as text), rows], keywords=[])] if (
            ast.unparse(called) == "pytest.mark.parametrize"
        ):
            names = [name.strip() for name in text.split(",") if name.strip()]
            if sorted(names) == sorted(wanted):
                return names, rows
    raise UnusableRowError("a test needs fixtures or marks of pytest")
