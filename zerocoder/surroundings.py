"""What a problem's programs may take for granted: the starter code's own names, and the usual imports of contests.

LeetCode, and so the graders of LiveCodeBench and APPS, run every answer below a header of imports: `List[int]` without
`from typing import List` is right there. Starter codes can hold imports and helper functions, too. A program gets what
it uses and does not define, and nothing else, so that it stays readable and cheap to run.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import re
import symtable
import textwrap
import warnings
from collections.abc import Mapping
from functools import cache

from zerocoder.grading import LIVECODEBENCH_MODULES
from zerocoder.problems import Problem
from zerocoder.syntax import Unusable, bound_names, checked_module, parse
from zerocoder.unittest_methods import SOLUTION

WITH_HEADER = frozenset({"livecodebench", "apps"})
"""Sources (`Problem.source`) whose official grader puts a header of imports before every answer."""
_STARRED = ("typing", *LIVECODEBENCH_MODULES)
_PLAIN = {"time": "import time", "fractions": "import fractions", "np": "import numpy as np"}
_BUILTINS = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__"}
_CLASS = re.compile(rf"^\s*class {SOLUTION}\b", re.MULTILINE)


def needs_header(problem: Problem) -> bool:
    """Whether the problem's programs run below the contests' header of imports."""
    return problem.source in WITH_HEADER or bool(_CLASS.search(problem.signature))


def with_surroundings(source: str, problem: Problem) -> str:
    """The program with what it does not define, where the problem provides it, in front.

    `source` has to compile. Functions and classes of the starter code always come along, as official tests may call
    them; imports where they are used. Example: `class Solution` with a `List[int]` gets `from typing import List`.
    """
    bound, used = _names_in(source)
    starter = [(names, line, lasting) for names, line, lasting in _starter(problem.signature) if not names & bound]
    if any(lasting for _, _, lasting in starter):
        added = [line for _, line, _ in starter]
    else:
        added = [line for names, line, _ in starter if names & used]
    missing = used - bound - _BUILTINS - {name for names, _, _ in starter for name in names}
    header = _header() if missing and needs_header(problem) else {}
    added += [header[name] for name in sorted(missing) if name in header]
    return _in_front(source, added) if added else source


def _names_in(source: str) -> tuple[set[str], set[str]]:
    """The names that a program binds where all of it sees them, and those that it refers to without binding them."""
    bound: set[str] = set()
    used: set[str] = set()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tables = [symtable.symtable(source, "<answer>", "exec")]
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # it has compiled, so this is a matter of size
        return bound, used
    while tables:
        table = tables.pop()
        tables += table.get_children()
        for symbol in table.get_symbols():
            if table.get_type() != "module" and not symbol.is_global():
                continue
            if symbol.is_assigned() or symbol.is_imported():
                bound.add(symbol.get_name())
            if symbol.is_referenced():
                used.add(symbol.get_name())
    return bound, used


@cache
def _header() -> Mapping[str, str]:
    """Every name of the contests' header and the import that brings it."""
    lines = dict(_PLAIN)
    for name in _STARRED:
        module = importlib.import_module(name)
        public = getattr(module, "__all__", None) or [n for n in dir(module) if not n.startswith("_")]
        lines |= {item: f"from {name} import {item}" for item in public}
    return lines | {name: f"import {name}" for name in _STARRED if name != "typing"}


@cache
def _starter(signature: str) -> tuple[tuple[frozenset[str], str, bool], ...]:
    """What starter code holds besides the function that is asked for.

    For each statement the names it binds, its source, and whether it is a function or class.
    """
    code = textwrap.dedent(signature.expandtabs()).rstrip()
    if code.endswith(":"):
        last = code.splitlines()[-1]
        code += f"\n{' ' * (len(last) - len(last.lstrip()) + 4)}pass"
    try:
        tree = checked_module(code)
    except Unusable:
        return ()
    kept = (ast.Import, ast.ImportFrom, ast.Assign, ast.FunctionDef, ast.ClassDef)
    return tuple(
        (frozenset(_names(s)), ast.unparse(s), isinstance(s, ast.FunctionDef | ast.ClassDef))
        for s in tree.body
        if isinstance(s, kept) and not _is_asked_for(s)
    )


def _names(statement: ast.stmt) -> set[str]:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        return {statement.name}
    return bound_names(statement)


def _is_asked_for(statement: ast.stmt) -> bool:
    """Whether a definition is empty: a docstring, `pass` or `...`."""
    if isinstance(statement, ast.ClassDef):
        return statement.name == SOLUTION
    return isinstance(statement, ast.FunctionDef) and all(
        isinstance(s, ast.Pass) or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
        for s in statement.body
    )


def _in_front(source: str, added: list[str]) -> str:
    """The source with statements before its first one, below `from __future__` imports."""
    future = [
        statement.end_lineno or statement.lineno
        for statement in parse(source).body
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__"
    ]
    lines = source.split("\n")
    at = max(future, default=0)
    return "\n".join([*lines[:at], *added, *lines[at:]])
