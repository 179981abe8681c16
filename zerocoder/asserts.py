"""Assert statements out of whatever a tester wrote: one plain form that is cheap to run and to compare.

The plain form is imports of harmless standard modules, helper functions, and assert statements that call the entry
point. Variables are put in place of their names, loops over literal tables are unrolled, `def test_...` functions,
`unittest` classes and `self.assert...` calls become assert statements. Everything else (prints, classes, file access)
is left out. Nothing is executed. A test that defines the function under test itself is refused: it would test itself.
"""

from __future__ import annotations

import ast
import builtins
import copy
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import cast

from zerocoder.syntax import (
    MAX_DEPTH,
    Unusable,
    bound_names,
    checked_module,
    is_main_guard,
    loaded_names,
    nodes_of,
    rows_of,
    size_of,
)
from zerocoder.unittest_methods import condition_of, in_plain_words, loop_of

MAX_NODES = 5_000
"""Syntax nodes of one assert after its variables were put in place (`b = [a, a]; c = [b, b]; ...` doubles)."""
MAX_STEPS = 500
"""Statements looked at, loops unrolled, before a test is refused."""
MAX_CHARS = 65_536
"""Length of a test's plain form."""
MODULES = frozenset(
    {"bisect", "cmath", "collections", "copy", "datetime", "decimal", "fractions", "functools", "heapq", "itertools"}
    | {"json", "math", "numpy", "operator", "re", "statistics", "string", "textwrap", "typing"}
)
"""Modules a test may import: deterministic, and without access to the machine."""

_DENIED = frozenset(
    {"breakpoint", "compile", "delattr", "dir", "eval", "exec", "exit", "getattr", "globals", "input", "locals"}
    | {"open", "quit", "setattr", "vars"}
)
_BUILTINS = frozenset(dir(builtins))
_ITERATORS = frozenset({"enumerate", "filter", "iter", "map", "reversed", "zip"})


def plain_asserts(source: str, entry_point: str, max_asserts: int) -> str:
    """The plain form of a test's source, with the first `max_asserts` asserts that call `entry_point`.

    Example: `xs = [1, 2]` and `assert f(xs) == 3, "sum"` become `assert f([1, 2]) == 3`.

    Raises:
        Unusable: no valid Python, defines or imports `entry_point`, or no assert calls it.
    """
    tree = checked_module(source, MAX_DEPTH)
    if len(tree.body) > MAX_STEPS:
        raise Unusable("too many statements")
    _refuse_own_answer(tree, entry_point)
    tree = in_plain_words(tree, entry_point)
    reader = _Reader(entry_point, max_asserts, _seen_after_a_call(tree, entry_point))
    try:
        reader.read(tree.body)
        if not reader.num_asserts:
            raise Unusable(f"no assert calls {entry_point}")
        code = "\n".join(ast.unparse(ast.fix_missing_locations(s)) for s in reader.statements) + "\n"
    except (ValueError, RecursionError, MemoryError) as error:
        raise Unusable(f"cannot be written out: {type(error).__name__}") from error
    if len(code) > MAX_CHARS:
        raise Unusable("too large")
    checked_module(code, MAX_DEPTH)
    return code


def _refuse_own_answer(tree: ast.Module, entry_point: str) -> None:
    if entry_point in bound_names(tree):
        raise Unusable(f"defines or imports {entry_point} itself")
    for node in nodes_of(tree):
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*" and node.module not in MODULES:
            raise Unusable(f"imports everything of {node.module}, which may be the answer")


class _Reader:
    """Reads statements in order and collects the plain form."""

    def __init__(self, entry_point: str, max_asserts: int, watched: set[str]) -> None:
        """`watched` variables are written out where their values can change."""
        self.entry_point = entry_point
        self._watched = watched
        self.max_asserts = max_asserts
        self.num_asserts = 0
        self.statements: list[ast.stmt] = []
        self._values: dict[str, ast.expr] = {}  # variables and what stands in their place
        self._sizes: dict[str, int] = {}  # syntax nodes of each value
        self._kept: set[str] = set()  # variables and helpers that were written out
        self._pinned: set[str] = set()  # names that a helper refers to
        self._calling: set[str] = set()  # helpers and kept variables that call the entry point
        self._checks: dict[str, ast.FunctionDef] = {}  # functions of asserts, to be read where they are called
        self._steps = 0

    def read(self, body: Iterable[ast.stmt]) -> None:
        for statement in body:
            self._steps += 1
            if self._steps > MAX_STEPS:
                raise Unusable("too many statements")
            if self.num_asserts < self.max_asserts:
                self._read(statement)

    def _read(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Assert(test=condition):
                self._assert(condition)
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="self"), attr=method)) as call):
                self._assert(condition_of(method, call.args, {k.arg: k.value for k in call.keywords if k.arg}))
            case ast.Expr(value=ast.Call(func=ast.Name(id=name)) as call) if name in self._checks:
                self._check(self._checks[name], call)
            case ast.Expr(value=ast.Call(func=called)) if self._has_effect(called):
                self._keep_effect(statement)
            case ast.Delete(targets=targets) | ast.Assign(targets=targets) if any(map(self._is_part, targets)):
                self._keep_effect(statement)
            case ast.AugAssign(target=target) if self._is_part(target):
                self._keep_effect(statement)
            case ast.Import() | ast.ImportFrom():
                self._import(statement)
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    self._assign(target, value)
            case ast.AnnAssign(target=target) if statement.value is not None:
                self._assign(target, statement.value)
            case ast.AugAssign(target=ast.Name(id=name), op=operator, value=value):
                self._assign(ast.Name(name, ast.Store()), ast.BinOp(ast.Name(name, ast.Load()), operator, value))
            case ast.FunctionDef() if loop_of(statement) is not None:
                self._read(cast(ast.For, loop_of(statement)))
            case ast.FunctionDef(name=name) if name.lower().startswith("test") and _callable_alone(statement):
                self.read(statement.body)
            case ast.FunctionDef(name=name) if _checks_something(statement):
                self._checks[name] = statement
            case ast.FunctionDef():
                self._helper(statement)
            case ast.ClassDef(name=name, bases=bases) if bases or name.startswith("Test"):
                self.read(s for s in statement.body if isinstance(s, ast.FunctionDef) and s.name.startswith("test"))
            case ast.If() if is_main_guard(statement):
                self.read(statement.body)
            case ast.With(items=[ast.withitem(context_expr=ast.Call(func=ast.Attribute(attr="subTest")))]):
                self.read(statement.body)
            case ast.For(target=target, iter=table, orelse=[]):
                self._unroll(target, table, statement.body)

    def _assert(self, written: ast.expr | None) -> None:
        if written is None:
            return
        condition = self._in_place(written)
        # A tuple is always true: `assert (f(1) == 2, "message")`.
        if not isinstance(condition, ast.Tuple) and _is_harmless(condition) and self._calls(condition):
            self.statements.append(ast.Assert(condition, None))
            self.num_asserts += 1

    def _import(self, statement: ast.Import | ast.ImportFrom) -> None:
        if isinstance(statement, ast.ImportFrom):
            allowed = statement.level == 0 and statement.module in MODULES
            allowed = allowed and not any(alias.name == "*" for alias in statement.names)
        else:
            allowed = all(alias.name.partition(".")[0] in MODULES for alias in statement.names)
        if allowed and not bound_names(statement) & _BUILTINS:
            self.statements.append(statement)

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        value = self._in_place(value)
        watched = bool(bound_names(target) & self._watched) and _is_mutable(value)
        if not watched and self._bind(target, value):
            return
        # Unpacking a call's result, for example; attributes and items of what is not ours are no business of a test.
        if all(
            isinstance(node, ast.Name | ast.Tuple | ast.List | ast.Starred | ast.expr_context)
            for node in nodes_of(target)
        ):
            for name in bound_names(target):
                self._values.pop(name, None)
            self._keep(target, value)

    def _keep(self, target: ast.expr, value: ast.expr) -> None:
        """Write a variable out instead of putting its value in place."""
        names = bound_names(target)
        if names & _BUILTINS or not _is_harmless(value):
            raise Unusable(f"an assignment to {', '.join(sorted(names))} that a test may not make")
        self._kept |= names
        self._calling = self._calling | names if self._calls(value) else self._calling - names
        self.statements.append(ast.Assign([target], value))

    def _check(self, function: ast.FunctionDef, call: ast.Call) -> None:
        """Read a function of asserts with the call's arguments for its parameters."""
        names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
        values = dict(zip(names[::-1], function.args.defaults[::-1], strict=False))
        values |= dict(zip(names, call.args, strict=False)) | {k.arg: k.value for k in call.keywords if k.arg}
        if values.keys() == set(names) and not any(isinstance(a, ast.Starred) for a in call.args):
            given = {name: self._in_place(value) for name, value in values.items()}
            for name, value in given.items():
                self._assign(ast.Name(name, ast.Store()), value)
            self.read(function.body)

    def _has_effect(self, called: ast.expr) -> bool:
        """Whether a call whose value nobody takes may change a variable: a method of one, a helper, the entry point."""
        if isinstance(called, ast.Name):
            return called.id == self.entry_point or called.id in self._kept
        return isinstance(called, ast.Attribute) and _root(called) in self._values.keys() | self._kept

    def _is_part(self, target: ast.expr) -> bool:
        """Whether it is an item or attribute of a variable."""
        return not isinstance(target, ast.Name) and _root(target) in self._values.keys() | self._kept

    def _keep_effect(self, statement: ast.stmt) -> None:
        """Write a statement out that changes variables, and them with it: their values cannot stand in their place."""
        if _is_harmless(statement):
            names = loaded_names(statement) & (self._values.keys() | self._kept)
            self._settle(names & self._values.keys())
            if self._calls(statement):
                self._calling |= names
            self.statements.append(statement)

    def _bind(self, target: ast.expr, value: ast.expr) -> bool:
        """Remember what stands in place of a variable; False when the variable must stay one."""
        match target, value:
            case ast.Name(), _ if _is_used_up(value):
                return False
            case ast.Name(id=name), _ if not loaded_names(value) & self._kept and name not in self._kept | self._pinned:
                self._values[name], self._sizes[name] = value, size_of(value)
                return True
            case ((ast.Tuple(elts=names) | ast.List(elts=names)), (ast.Tuple(elts=items) | ast.List(elts=items))):
                starred = any(isinstance(e, ast.Starred) for e in (*names, *items))
                if len(names) == len(items) and not starred:
                    return all(self._bind(name, item) for name, item in zip(names, items, strict=True))
        return False

    def _helper(self, function: ast.FunctionDef) -> None:
        if function.decorator_list or function.name in _BUILTINS or not _is_harmless(function):
            return
        self._settle(loaded_names(function) & self._values.keys())
        self._values.pop(function.name, None)
        self._kept.add(function.name)
        self._pinned |= loaded_names(function)
        if self._calls(function):
            self._calling.add(function.name)
        self.statements.append(function)

    def _unroll(self, target: ast.expr, table: ast.expr, body: Sequence[ast.stmt]) -> None:
        """A loop over a literal table; any other loop is left out."""
        for row in rows_of(self._in_place(table)):
            if not self._bind(target, row):
                return
            self.read(body)

    def _settle(self, names: Iterable[str]) -> None:
        """Write variables out, where something refers to them that nothing can be put into."""
        for name in sorted(names):
            self._keep(ast.Name(name, ast.Store()), self._values.pop(name))

    def _in_place(self, expression: ast.expr) -> ast.expr:
        """The expression with every variable's value in its place; itself where it has none, a copy otherwise."""
        self._settle(bound_names(expression) & self._values.keys())  # comprehensions and lambdas with their own names
        nodes = nodes_of(expression)
        used = [node.id for node in nodes if isinstance(node, ast.Name) and node.id in self._values]
        if len(nodes) + sum(self._sizes[name] - 1 for name in used) > MAX_NODES:
            raise Unusable("too large")
        if not used:
            return expression
        placed: ast.expr = _Substitution(self._values).visit(copy.deepcopy(expression))
        return placed

    def _calls(self, tree: ast.AST) -> bool:
        """Whether the entry point is called; `callable(f)` does not call it."""
        for node in nodes_of(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == self.entry_point:
                return True
            if isinstance(node, ast.Name) and node.id in self._calling:
                return True
        return False


class _Substitution(ast.NodeTransformer):
    def __init__(self, values: dict[str, ast.expr]) -> None:
        self._values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._values.get(node.id, node)


def _root(target: ast.expr) -> str | None:
    """The variable that an item or attribute, however deep, belongs to."""
    while isinstance(target, ast.Attribute | ast.Subscript):
        target = target.value
    return target.id if isinstance(target, ast.Name) else None


def _seen_after_a_call(tree: ast.Module, entry_point: str) -> set[str]:
    """Variables that are handed to the entry point and looked at elsewhere, too: it may have changed them."""
    nodes = nodes_of(tree)
    messages = {id(n) for a in nodes if isinstance(a, ast.Assert) and a.msg for n in nodes_of(a.msg)}
    rebound = {
        id(n)
        for a in nodes
        if isinstance(a, ast.Assign | ast.AugAssign)
        for bound in [bound_names(a)]
        for n in nodes_of(a.value)
        if isinstance(n, ast.Name) and n.id in bound
    }
    names = [n for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)]
    uncounted = messages | rebound
    loads = Counter(n.id for n in names if id(n) not in uncounted)
    calls = (n for n in nodes if isinstance(n, ast.Call))
    handed = [loaded_names(n) for n in calls if isinstance(n.func, ast.Name) and n.func.id == entry_point]
    return {name for name in set().union(*handed) if loads[name] > 1} - {entry_point}


def _is_mutable(value: ast.expr) -> bool:
    """Whether a call could change what an expression makes."""
    mutable = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp, ast.Call)
    return any(isinstance(node, mutable) for node in nodes_of(value))


def _is_used_up(value: ast.expr) -> bool:
    """Whether it is an iterator: a second one in its place would start over."""
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id in _ITERATORS
    return isinstance(value, ast.GeneratorExp)


def _checks_something(function: ast.FunctionDef) -> bool:
    """Whether it is a function of asserts that returns nothing: `def check(candidate)`, `def run_tests()`."""
    nodes = nodes_of(function)
    returns = any(isinstance(node, ast.Return) and node.value is not None for node in nodes)
    simple = not (function.decorator_list or function.args.vararg or function.args.kwarg or function.args.kwonlyargs)
    return simple and not returns and any(isinstance(node, ast.Assert) for node in nodes)


def _callable_alone(function: ast.FunctionDef) -> bool:
    """Whether a test function needs no argument but `self`."""
    arguments = [a.arg for a in (*function.args.posonlyargs, *function.args.args)]
    required = arguments[: len(arguments) - len(function.args.defaults)]
    return required in ([], ["self"]) and not function.args.kwonlyargs


def _is_harmless(tree: ast.AST) -> bool:
    """Whether no name or attribute in it reaches for the interpreter or the machine."""
    for node in nodes_of(tree):
        name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
        if name.startswith("__") or (isinstance(node, ast.Name) and name in _DENIED):
            return False
        if isinstance(node, ast.Import | ast.ImportFrom | ast.Global | ast.Nonlocal | ast.Await | ast.NamedExpr):
            return False
    return True
