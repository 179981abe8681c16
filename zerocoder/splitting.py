"""A test of several asserts -> one test for each, with the statements it depends on.

Tests are counted and rewarded one assert at a time where that is asked for. A piece says what its assert said inside of
the whole test; where that cannot be had, the test stays whole.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import lru_cache

from zerocoder.syntax import MAX_DEPTH, Unusable, bound_names, checked_module, loaded_names

_Step = tuple[str, set[str], set[str] | None]  # source, names it refers to, names it may change; None for any

_CONSUMING = frozenset({"add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "popleft", "remove"})


@lru_cache(maxsize=512)  # small policies write the same test again and again; a step's tests fit
def split(code: str) -> tuple[str, ...]:
    """The code of each top-level assert, preceded by the statements that it needs; `(code,)` where that cannot be had.

    Assignments, imports and definitions that an assert does not need, directly or by way of others, are left out;
    other statements are kept, as they may have effects.
    """
    try:
        body = checked_module(code, MAX_DEPTH).body
    except Unusable:
        return (code,)
    pieces: list[str] = []
    preamble: list[_Step] = []
    try:
        for statement in body:
            if isinstance(statement, ast.Assert):
                if _consumes(statement):
                    return (code,)  # what follows depends on it
                kept = [*_needed(preamble, loaded_names(statement)), ast.unparse(statement)]
                pieces.append("\n".join(kept) + "\n")
            else:
                preamble.append((ast.unparse(statement), loaded_names(statement), _changed(statement)))
    except (ValueError, RecursionError, MemoryError):  # what cannot be written out: an int of 4300 digits, for one
        return (code,)
    return tuple(pieces) or (code,)


def _consumes(statement: ast.Assert) -> bool:
    """Whether an assert itself changes a variable, by `next` or by a method."""
    for node in ast.walk(statement.test):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "next":
            return True
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _CONSUMING:
            return True
    return False


def _needed(preamble: Sequence[_Step], names: set[str]) -> list[str]:
    """The statements that some names depend on. A function may refer to names that are bound after it."""
    names = set(names)
    kept: set[int] = set()
    while True:
        before = len(kept)
        for index in reversed(range(len(preamble))):
            _, loaded, changed = preamble[index]
            if index not in kept and (changed is None or changed & names):
                kept.add(index)
                names |= loaded
        if len(kept) == before:
            return [preamble[index][0] for index in sorted(kept)]


def _changed(statement: ast.stmt) -> set[str] | None:
    """The names that a statement binds or whose values it may change; None when that is not known."""
    if not isinstance(statement, ast.Assign | ast.AnnAssign | ast.FunctionDef | ast.Import | ast.ImportFrom):
        return None
    names = bound_names(statement)
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        for node in ast.walk(statement):
            if isinstance(node, ast.Subscript | ast.Attribute) and isinstance(node.ctx, ast.Store):
                return None  # table[key] = value, whatever else the table is called
            if isinstance(node, ast.Call):  # last = xs.pop()
                names |= loaded_names(node) - ({node.func.id} if isinstance(node.func, ast.Name) else set())
    return None if "*" in names else names
