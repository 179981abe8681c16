"""Tests into calls with constant arguments, which the runner makes, and checks of what they return, for the warden.

A test is translated when it consists of assignments, assertions and loops over constants, in the language of
expressions.py, and when that means the same whether checks come between its calls or after them. Everything else is
NotTranslated: exceptions, arguments that depend on values, parts of arguments that are looked at after a call may have
changed them, calls that a short circuit might skip.

    xs = [2, 1]                  calls   [(([2, 1],), {}, (0,))]: of the first argument, what the call left is wanted
    r = f(xs)                    values  r and xs, as they came back
    assert r == xs               checks  [("assert", ("compare", ("value", 0), (("==", ("value", 1)),)))]
"""

from __future__ import annotations

import ast
import contextlib
import json
import math
from collections.abc import Callable, Iterator
from typing import Any

from . import codec
from .expressions import FUNCTIONS, ITERATING, KEYWORDS, METHODS, TYPES, VIEWS, Evaluation, Expression, Kind
from .nodes import all_nodes
from .parts import Call, mutable_parts, mutable_within, walk

ASSERT, LET = "assert", "let"
_LOADS = "json.loads"  # what the name of that function means
MAX_PARTS = 400  # of the checks of one test
_MAX_STATEMENTS = 200  # as executed
_SINGLETONS = (None, True, False)
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Is: "is", ast.IsNot: "is not", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">",
    ast.GtE: ">=", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.FloorDiv: "//", ast.Mod: "%", ast.Pow: "**",
    ast.BitAnd: "&", ast.BitOr: "|", ast.BitXor: "^",
}  # fmt: skip
_UNARY: dict[type[ast.unaryop], str] = {ast.USub: "-", ast.UAdd: "+", ast.Invert: "~", ast.Not: "not"}

_LITERALS = {ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.UnaryOp, ast.BinOp}
"""What can be a literal as a whole; an attempt at anything else costs more than the rest of a test."""
_OPEN = (Kind.VALUE, Kind.NAME, Kind.TYPE)  # what depends on calls, or is no value

Check = tuple[Any, ...]  # (ASSERT, expression) or (LET, name, expression)


class NotTranslated(Exception):
    """The test needs a judge."""


def translate(test: str | ast.Module, entry: str) -> tuple[list[Call], list[Check]]:
    """The calls of `entry` in a test, its source or what is parsed, and the checks of their values.

    Raises NotTranslated.
    """
    translation = _Translation(entry)
    try:
        for statement in (ast.parse(test) if isinstance(test, str) else test).body:
            translation.statement(statement)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise NotTranslated from error
    if not translation.calls or sum(1 for check in translation.checks for _ in walk(check)) > MAX_PARTS:
        raise NotTranslated
    return translation.calls, translation.numbered_checks()


class _Translation:
    def __init__(self, entry: str) -> None:
        self.calls: list[Call] = []
        self.checks: list[Check] = []
        self._entry = entry
        self._names: dict[str, Expression] = {}
        self._modules: dict[str, str] = {}  # what a name stands for: `math`, or `math.isclose`
        self._num_statements = 0
        self._parts_of: dict[str, set[int]] = {}  # for names that depend on values, what they share with constants
        # By identity: constants are the very objects that the test would make, and share parts as those would.
        self._given: dict[int, Any] = {}  # what calls got and may have changed
        self._read: set[int] = set()  # what the statement at hand has read
        self._may_call = True
        self._in_arguments = False

    def statement(self, statement: ast.stmt) -> None:
        self._read = set()
        self._num_statements += 1
        if self._num_statements > _MAX_STATEMENTS:
            raise NotTranslated
        match statement:
            case ast.Assert(test):  # as most are
                self._assert(test)
            case ast.Pass() | ast.Expr(ast.Constant()):
                pass
            case ast.Import(names) if all(alias.name == "math" for alias in names):
                for alias in names:
                    self._import(alias.asname or "math", "math")
            case ast.ImportFrom("json", [ast.alias("loads", name)], 0):
                self._import(name or "loads", _LOADS)
            case ast.ImportFrom("math", names, 0) if all(_is_of_math(alias.name) for alias in names):
                for alias in names:
                    self._import(alias.asname or alias.name, f"math.{alias.name}")
            case ast.Expr(ast.Call(ast.Name(name)) as call) if name == self._entry:
                self.expression(call)
            case ast.Assign([ast.Name(name)], value):
                self._let(name, self.expression(value))
            case ast.AnnAssign(ast.Name(name), ast.Name(kind), ast.expr() as value) if self._is_type(kind):
                self._let(name, self.expression(value))
            case ast.For(target, source, body, []):
                self._loop(_target_names(target), source, body)
            case _:
                raise NotTranslated

    def _import(self, name: str, meaning: str) -> None:
        self._define(name)
        self._modules[name] = meaning

    def _define(self, name: str) -> None:
        if name == self._entry:
            raise NotTranslated
        self._names.pop(name, None)
        self._modules.pop(name, None)

    def _let(self, name: str, expression: Expression) -> None:
        self._define(name)
        self._parts_of[name] = mutable_parts(expression) | self._read
        if expression[0] not in (Kind.CONST, Kind.VALUE):
            self.checks.append((LET, name, expression))
            expression = Kind.NAME, name
        self._names[name] = expression

    def _loop(self, names: list[str], source: ast.expr, body: list[ast.stmt]) -> None:
        values = self._constant(source)
        if len(values) > _MAX_STATEMENTS:
            raise NotTranslated
        for value in values:
            parts = [value] if len(names) == 1 else list(value)
            for name, part in zip(names, parts, strict=True):
                self._let(name, (Kind.CONST, part))
            for statement in body:
                self.statement(statement)

    def _assert(self, test: ast.expr) -> None:
        if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
            for part in test.values:  # of which each has to hold
                self._assert(part)
        else:
            self.checks.append((ASSERT, self.expression(test)))

    def expression(self, node: ast.expr) -> Expression:
        """An expression, evaluated already where it does not depend on calls."""
        if type(node) not in _LITERALS:
            return self._folded(self._translated(node))
        try:
            constant = ast.literal_eval(node)
        except (ValueError, TypeError):
            return self._folded(self._translated(node))
        if not self._in_arguments and any(map(_is_long, all_nodes(node))):
            raise NotTranslated
        return Kind.CONST, constant

    def _translated(self, node: ast.expr) -> Expression:
        rule = _RULES.get(type(node))
        if rule is None:
            raise NotTranslated
        return rule(self, node)

    def _folded(self, expression: Expression) -> Expression:
        is_open = any(part and part[0] in _OPEN for part in walk(expression))
        return expression if is_open else self._evaluated(expression)

    @contextlib.contextmanager
    def _without_calls(self) -> Iterator[None]:
        """For what might be skipped, or come more than once."""
        before, self._may_call = self._may_call, False
        try:
            yield
        finally:
            self._may_call = before

    def numbered_checks(self) -> list[Check]:
        """The checks, with values numbered as they come back: of each call its own, then what it left of arguments."""
        numbers: dict[tuple[int, int | None], int] = {}
        for index, (_, _, wanted) in enumerate(self.calls):
            for position in (None, *wanted):
                numbers[index, position] = len(numbers)

        def numbered(part: Any) -> Any:
            if not isinstance(part, tuple) or part[:1] == (Kind.CONST,):
                return part
            return (Kind.VALUE, numbers[part[1:]]) if part[:1] == (Kind.VALUE,) else tuple(map(numbered, part))

        return [numbered(check) for check in self.checks]

    def _all(self, nodes: list[ast.expr]) -> tuple[Expression, ...]:
        return tuple(self.expression(node) for node in nodes)

    def _name(self, node: ast.Name) -> Expression:
        expression = self._names.get(node.id)
        if expression is None:
            return (Kind.TYPE, node.id) if self._is_type(node.id) else self._number(node)
        if expression[0] == Kind.CONST and id(expression[1]) in self._given and not self._in_arguments:
            return self._left_by_call(expression[1])
        parts = self._parts_of.get(node.id, set()) if expression[0] == Kind.NAME else mutable_parts(expression)
        if parts & self._given.keys():
            raise NotTranslated
        self._read |= parts
        return expression

    def _is_type(self, name: str) -> bool:
        return name in TYPES and name not in self._modules

    def _left_by_call(self, value: Any) -> Expression:
        """What has become of a constant that a call got: comes back with the call's value, if it was an argument."""
        for index, (args, _, wanted) in enumerate(self.calls):
            for position, arg in enumerate(args):
                if arg is value:
                    if position not in wanted:
                        self.calls[index] = (*self.calls[index][:2], (*wanted, position))
                    return Kind.VALUE, index, position
        raise NotTranslated

    def _number(self, node: ast.Name | ast.Attribute) -> Expression:
        """One of math's constants."""
        name = self._dotted(node)
        value = getattr(math, name.removeprefix("math."), None) if name.startswith("math.") else None
        if not isinstance(value, float):
            raise NotTranslated
        return Kind.CONST, value

    def _dotted(self, node: ast.expr) -> str:
        """What a function's or constant's name means; empty when that is not known."""
        match node:
            case ast.Name(name) if name not in self._names:
                return self._modules.get(name, name)
            case ast.Attribute(ast.Name(name), attribute) if self._modules.get(name) == "math":
                return f"math.{attribute}"
        return ""

    def _call(self, node: ast.Call) -> Expression:
        keywords = {keyword.arg: keyword.value for keyword in node.keywords if keyword.arg is not None}
        if len(keywords) != len(node.keywords):
            raise NotTranslated
        if isinstance(node.func, ast.Name) and node.func.id == self._entry:
            return self._entry_call(node.args, keywords)
        name = self._dotted(node.func)
        match node.args:
            case [ast.Constant(str() as text)] if name == _LOADS and not keywords:
                return Kind.CONST, json.loads(text)
        if name in FUNCTIONS and keywords.keys() <= KEYWORDS.get(name, set()):
            named = tuple((keyword, self.expression(value)) for keyword, value in keywords.items())
            return Kind.CALL, name, tuple(self._argument(name, arg) for arg in node.args), named
        if isinstance(node.func, ast.Attribute) and node.func.attr in METHODS and not keywords:
            return Kind.METHOD, node.func.attr, self.expression(node.func.value), self._all(node.args)
        raise NotTranslated

    def _argument(self, function: str, node: ast.expr) -> Expression:
        """A function's argument: a generator or a dict's view is consumed at once."""
        match node:
            case ast.GeneratorExp(item, generators) if function in ITERATING - {"len"}:
                return self._comprehension(Kind.TUPLE, item, generators)
            case ast.Call(ast.Attribute(owner, name), [], []) if function in ITERATING and name in VIEWS:
                return Kind.METHOD, name, self.expression(owner), ()
        return self.expression(node)

    def _entry_call(self, args: list[ast.expr], keywords: dict[str, ast.expr]) -> Expression:
        if not self._may_call or self._in_arguments:
            raise NotTranslated
        before, self._read, self._in_arguments = self._read, set(), True
        given = tuple(value for arg in args for value in self._given_by(arg))
        named = {name: self._constant(value) for name, value in keywords.items()}
        parts = {id(part): part for value in (*given, *named.values()) for part in mutable_within(value)}
        if parts.keys() & before:  # it was read, but may be looked at only after the call
            raise NotTranslated
        self._read, self._in_arguments = before, False
        self._given.update(parts)
        self.calls.append((given, named, ()))
        return Kind.VALUE, len(self.calls) - 1, None

    def _given_by(self, node: ast.expr) -> list[Any]:
        """The arguments that an expression stands for: several with a star."""
        if not isinstance(node, ast.Starred):
            return [self._constant(node)]
        values = self._constant(node.value)
        if type(values) not in (list, tuple):
            raise NotTranslated
        return list(values)

    def _constant(self, node: ast.expr) -> Any:
        expression = self.expression(node)
        if expression[0] != Kind.CONST:
            raise NotTranslated
        return expression[1]

    def _compare(self, node: ast.Compare) -> Expression:
        operators = [_COMPARISONS[type(op)] for op in node.ops]
        left, first = self.expression(node.left), self.expression(node.comparators[0])
        with self._without_calls():  # a chain stops where it is false
            operands = [first, *self._all(node.comparators[1:])]
        for name, operand, before in zip(operators, operands, [left, *operands], strict=False):
            if name in ("is", "is not") and not (_is_singleton(operand) or _is_singleton(before)):
                raise NotTranslated
        return Kind.COMPARE, left, tuple(zip(operators, operands, strict=True))

    def _bool_op(self, node: ast.BoolOp) -> Expression:
        first = self.expression(node.values[0])
        with self._without_calls():
            return Kind.AND if isinstance(node.op, ast.And) else Kind.OR, first, *self._all(node.values[1:])

    def _if(self, node: ast.IfExp) -> Expression:
        condition = self.expression(node.test)
        with self._without_calls():
            return Kind.IF, condition, self.expression(node.body), self.expression(node.orelse)

    def _dict(self, node: ast.Dict) -> Expression:
        if None in node.keys:
            raise NotTranslated
        return Kind.DICT, self._all([key for key in node.keys if key is not None]), self._all(node.values)

    def _subscript(self, node: ast.Subscript) -> Expression:
        owner = self.expression(node.value)
        if not isinstance(node.slice, ast.Slice):
            return Kind.ITEM, owner, self.expression(node.slice)
        bounds = (node.slice.lower, node.slice.upper, node.slice.step)
        return Kind.SLICE, owner, *((Kind.CONST, None) if bound is None else self.expression(bound) for bound in bounds)

    def _comprehension(
        self, kind: str, item: ast.expr, generators: list[ast.comprehension], value: ast.expr | None = None
    ) -> Expression:
        """Of constants alone, so that it is never evaluated by the warden."""
        hidden, loops = dict(self._names), []
        with self._without_calls():
            for loop in generators:
                if loop.is_async:
                    raise NotTranslated
                source = self.expression(loop.iter)
                names = _target_names(loop.target)
                if self._entry in names:
                    raise NotTranslated
                self._names.update({name: (Kind.NAME, name) for name in names})
                loops.append((tuple(names), source, self._all(loop.ifs)))
            made = self.expression(item) if value is None else (Kind.TUPLE, *self._all([item, value]))
        self._names = hidden
        return self._evaluated((Kind.COMPREHENSION, kind, made, tuple(loops)))

    def _evaluated(self, expression: Expression) -> Expression:
        try:
            return Kind.CONST, Evaluation(can_loop=True).of(expression)
        except Exception:  # Undecided, or it needs the values of calls, or the test raises it, too: a judge says so
            raise NotTranslated from None


def _binary(operator: ast.operator) -> str:
    """The sign of an operator; a judge does the others."""
    if type(operator) not in _BINARY:
        raise NotTranslated
    return _BINARY[type(operator)]


def _is_of_math(name: str) -> bool:
    return f"math.{name}" in FUNCTIONS or isinstance(getattr(math, name, None), float)


def _is_long(node: ast.AST) -> bool:
    """Whether comparing a Decimal to it takes long: the warden has no budget for that, a judge has one."""
    value = getattr(node, "value", None)
    return isinstance(value, int) and value.bit_length() > codec.MAX_KEY_BITS


def _is_singleton(expression: Expression) -> bool:
    return expression[0] == Kind.TYPE or (
        expression[0] == Kind.CONST and any(expression[1] is singleton for singleton in _SINGLETONS)
    )


def _target_names(target: ast.expr) -> list[str]:
    targets = target.elts if isinstance(target, ast.Tuple) else [target]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    if len(names) != len(targets) or not names:
        raise NotTranslated
    return names


_RULES: dict[type[ast.expr], Callable[[_Translation, Any], Expression]] = {
    ast.Name: _Translation._name,
    ast.Attribute: _Translation._number,
    ast.Call: _Translation._call,
    ast.Compare: _Translation._compare,
    ast.BoolOp: _Translation._bool_op,
    ast.IfExp: _Translation._if,
    ast.Dict: _Translation._dict,
    ast.Subscript: _Translation._subscript,
    ast.List: lambda self, node: (Kind.LIST, *self._all(node.elts)),
    ast.Tuple: lambda self, node: (Kind.TUPLE, *self._all(node.elts)),
    ast.Set: lambda self, node: (Kind.SET, *self._all(node.elts)),
    ast.UnaryOp: lambda self, node: (Kind.UNARY, _UNARY[type(node.op)], self.expression(node.operand)),
    ast.BinOp: lambda self, node: (Kind.BINARY, _binary(node.op), *self._all([node.left, node.right])),
    ast.ListComp: lambda self, node: self._comprehension(Kind.LIST, node.elt, node.generators),
    ast.SetComp: lambda self, node: self._comprehension(Kind.SET, node.elt, node.generators),
    ast.DictComp: lambda self, node: self._comprehension(Kind.DICT, node.key, node.generators, node.value),
}
