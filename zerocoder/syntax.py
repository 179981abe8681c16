"""Model-written Python as a syntax tree: parsed, measured and searched for names, never executed."""

from __future__ import annotations

import ast
import itertools
import threading
import warnings

MAX_DEPTH = 100
"""Levels of a test's syntax tree; deeper ones exhaust the stack of what takes it apart."""


_PARSING = threading.RLock()


class Unusable(Exception):
    """The answer cannot be used; the text says why."""


def parse(source: str) -> ast.Module:
    """`ast.parse`, for one thread at a time.

    Before Python 3.13 all threads share a counter of how deep a tree is. When another thread gets its turn while a tree
    is made, as it may where the garbage collector calls Python code, the count is off and both fail with a SystemError.
    """
    with _PARSING:
        return ast.parse(source)


def checked_module(source: str, max_depth: int | None = None) -> ast.Module:
    """The syntax tree of a source that compiles.

    Raises:
        Unusable: it does not, or its tree has more than `max_depth` levels.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes in model-written code
            tree = parse(source)
            if max_depth is not None and depth_exceeds(tree, max_depth):
                raise Unusable("nested too deeply")
            compile(source, "<answer>", "exec", dont_inherit=True)
    except SyntaxError as error:
        raise Unusable(f"no valid Python: {error.msg} (line {error.lineno})") from error
    except (ValueError, RecursionError, MemoryError, OverflowError) as error:
        raise Unusable(f"no valid Python: {type(error).__name__}") from error
    return tree


def is_main_guard(statement: ast.If) -> bool:
    """Whether it is `if __name__ == "__main__":` without an else."""
    match statement:
        case ast.If(
            test=ast.Compare(
                left=ast.Name(id="__name__"), ops=[ast.Eq()], comparators=[ast.Constant(value="__main__")]
            ),
            orelse=[],
        ):
            return True
    return False


def children_of(node: ast.AST) -> list[ast.AST]:
    """The nodes right below, as `ast.iter_child_nodes` yields them but with less to do for each."""
    found: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, ast.AST):
            found.append(value)
        elif isinstance(value, list):
            found += [item for item in value if isinstance(item, ast.AST)]
    return found


def nodes_of(tree: ast.AST) -> list[ast.AST]:
    """All nodes in the order of `ast.walk`."""
    found = [tree]
    for node in found:  # grows meanwhile
        found += children_of(node)
    return found


def bound_names(tree: ast.AST) -> set[str]:
    """Every name that is given a meaning anywhere in the tree."""
    names: set[str] = set()
    for node in nodes_of(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                names.add(name)
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.alias(name=name, asname=other):
                names.add(other or name.partition(".")[0])
            case ast.ExceptHandler(name=str() as name) | ast.MatchStar(name=str() as name):
                names.add(name)
            case ast.MatchAs(name=str() as name) | ast.MatchMapping(rest=str() as name):
                names.add(name)
    return names


def loaded_names(tree: ast.AST) -> set[str]:
    return {node.id for node in nodes_of(tree) if isinstance(node, ast.Name)}


def size_of(tree: ast.AST) -> int:
    return len(nodes_of(tree))


def depth_exceeds(tree: ast.AST, limit: int) -> bool:
    level: list[ast.AST] = [tree]
    for _ in range(limit):
        level = [child for node in level for child in children_of(node)]
        if not level:
            return False
    return True


def rows_of(table: ast.expr) -> list[ast.expr]:
    """What a loop over a literal list or tuple sees, also through `enumerate`, `zip` and `.items()`; else nothing."""
    match table:
        case ast.List(elts=rows) | ast.Tuple(elts=rows):
            return [] if any(isinstance(row, ast.Starred) for row in rows) else rows
        case ast.Call(func=ast.Name(id="enumerate"), args=[rows, *start], keywords=[]):
            first = start[0].value if start and isinstance(start[0], ast.Constant) else 0
            numbers = itertools.count(first if isinstance(first, int) else 0)
            return [_pair(ast.Constant(n), row) for n, row in zip(numbers, rows_of(rows), strict=False)]
        case ast.Call(func=ast.Name(id="zip"), args=columns, keywords=[]):
            return [_pair(*row) for row in zip(*map(rows_of, columns), strict=False)]
        case ast.Call(func=ast.Attribute(value=ast.Dict(keys=keys, values=values), attr="items"), args=[]):
            return [_pair(key, value) for key, value in zip(keys, values, strict=True) if key is not None]
    return []


def _pair(*items: ast.expr) -> ast.expr:
    return ast.Tuple(list(items), ast.Load())
