"""A small language of expressions over plain values. What most tests check needs no interpreter of Python, just this.

The planner translates tests into it (translation.py) and the warden evaluates it, so nothing here may take long or much
memory, whatever a program returns: values are plain builtins, numbers and sequences have bounds, only folding loops.
What is out of bounds is Undecided, and a judge runs the test. Whatever else is raised, the test would have raised.

An expression is a tuple: its kind, then its parts.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from . import codec

Expression = tuple[Any, ...]
MAX_BITS = 4096
MAX_LENGTH = 1 << 16  # of what is made here; what a program returns has its own bound
_MAX_EFFORT = 1 << 19  # values looked at
_MAX_ROUNDS = 20_000  # of comprehensions
_MAX_DIGITS = 400
_NUMBERS = (int, float, bool, complex)
_SCALARS = {int, float, bool, complex, str, bytes, type(None)}
_COLLECTIONS = {list, tuple, set, frozenset}
_SIZED = {*_COLLECTIONS, dict, range, str, bytes}


class Kind:
    """The kinds of expressions, and what their parts are: expressions, unless said otherwise."""

    CONST = "const"  # a value
    VALUE = "value"  # the number of a call's value
    NAME = "name"  # a name
    TYPE = "type"  # the name of a builtin type
    LIST, TUPLE, SET = "list", "tuple", "set"  # items
    DICT = "dict"  # a tuple of keys, a tuple of values
    UNARY = "unary"  # an operator's name, operand
    BINARY = "binary"  # an operator's name, left, right
    COMPARE = "compare"  # left, a tuple of pairs of an operator's name and an operand
    AND, OR = "and", "or"  # operands
    IF = "if"  # condition, then, otherwise
    CALL = "call"  # a function's name, a tuple of arguments, a tuple of pairs of a keyword and an argument
    METHOD = "method"  # a method's name, owner, a tuple of arguments
    ITEM = "item"  # owner, index
    SLICE = "slice"  # owner, start, stop, step
    COMPREHENSION = "comprehension"  # LIST, TUPLE, SET or DICT, item, a tuple of (names, source, a tuple of conditions)


class Undecided(Exception):
    """This language does not say, or it would take long."""


def _short(value: Any) -> Any:
    if type(value) in _SIZED and len(value) > MAX_LENGTH:
        raise Undecided
    return value


def _built(build: Callable[[Iterable[Any]], Any]) -> Callable[..., Any]:
    """Of hashed items, in bounded time, whatever they are."""
    return lambda *items: build(codec.paced(iter(items[0]))) if items else build(())


def _sum(items: Any, start: Any = 0) -> Any:
    if any(type(item) not in _NUMBERS for item in [*items, start]):
        raise Undecided
    return sum(items, start)


def _round(number: Any, ndigits: int | None = None) -> Any:
    if ndigits is not None and abs(ndigits) > _MAX_DIGITS:
        raise Undecided
    return round(number, ndigits)


def _type(*values: Any) -> type:
    if len(values) != 1:  # that would make a class
        raise Undecided
    return type(values[0])


def _range(*bounds: int) -> range:
    return _short(range(*bounds))  # type: ignore[no-any-return]


def _power(base: Any, exponent: Any) -> Any:
    if type(base) not in _NUMBERS or type(exponent) not in _NUMBERS:
        raise Undecided
    if isinstance(base, int) and isinstance(exponent, int) and base.bit_length() * exponent > MAX_BITS:
        raise Undecided
    return base**exponent


def _times(left: Any, right: Any) -> Any:
    for sequence, count in ((left, right), (right, left)):
        if (
            type(sequence) in (str, bytes, list, tuple)
            and isinstance(count, int)
            and len(sequence) * count > MAX_LENGTH
        ):
            raise Undecided
    return left * right


def _modulo(left: Any, right: Any) -> Any:
    if isinstance(left, (str, bytes)):  # a format can ask for any length
        raise Undecided
    return left % right


_MATH = """
    isclose floor ceil trunc sqrt fabs isnan isinf isfinite log log2 log10 exp sin cos tan atan2 hypot degrees radians
    copysign
"""
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "sorted": sorted, "sum": _sum, "min": min, "max": max, "any": any, "all": all, "list": list, "tuple": tuple,
    "set": _built(set), "frozenset": _built(frozenset), "len": len, "abs": abs, "round": _round, "bool": bool,
    "int": int, "float": float, "str": str, "range": _range, "isinstance": isinstance, "type": _type, "divmod": divmod,
    **{f"math.{name}": getattr(math, name) for name in _MATH.split()},
}  # fmt: skip
FUNCTIONS = frozenset(_FUNCTIONS)
ITERATING = frozenset(["sorted", "sum", "min", "max", "any", "all", "list", "tuple", "set", "frozenset", "len"])
VIEWS = frozenset({"keys", "values", "items"})  # as lists: only for functions that iterate
KEYWORDS = {"sorted": {"reverse"}, "round": {"ndigits"}, "math.isclose": {"rel_tol", "abs_tol"}}
TYPES = {kind.__name__: kind for kind in (int, float, bool, complex, str, bytes, list, tuple, set, frozenset, dict)}
_METHODS = """
    lower upper strip lstrip rstrip split startswith endswith count index find isdigit isalpha isalnum isupper islower
    isspace get is_integer bit_length
"""
METHODS = frozenset(_METHODS.split())
BINARY_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": _times, "/": operator.truediv, "//": operator.floordiv, "%": _modulo,
    "**": _power, "&": operator.and_, "|": operator.or_, "^": operator.xor,
}  # fmt: skip
UNARY_OPERATORS: dict[str, Callable[[Any], Any]] = {
    "-": operator.neg, "+": operator.pos, "~": operator.invert, "not": operator.not_,
}  # fmt: skip
COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "==": operator.eq, "!=": operator.ne, "is": operator.is_, "is not": operator.is_not, "<": operator.lt,
    "<=": operator.le, ">": operator.gt, ">=": operator.ge,
    "in": lambda item, items: item in items, "not in": lambda item, items: item not in items,
}  # fmt: skip


def is_direct(expression: Expression) -> bool:
    """Whether it asks of a call's value only how it compares to what stands in the test: any value will do."""
    match expression:
        case ("value", _) | ("unary", "not", ("value", _)):
            return True
        case ("compare", left, ((name, right),)):
            kinds = left[0], right[0]
            return kinds == (Kind.VALUE, Kind.CONST) or (
                kinds == (Kind.CONST, Kind.VALUE) and name not in ("in", "not in")
            )
    return False


class Evaluation:
    """The values of some expressions over the same calls and names, within one effort."""

    def __init__(self, values: Sequence[Any] = (), can_loop: bool = False) -> None:
        """`values`: of the calls, by number. `can_loop`: whether comprehensions are evaluated."""
        self.names: dict[str, Any] = {}
        self._values = values
        self._rounds_left = _MAX_ROUNDS if can_loop else 0
        self._effort_left = _MAX_EFFORT

    def of(self, expression: Expression) -> Any:
        """The value of an expression. Raises Undecided, and whatever Python would."""
        return _RULES[expression[0]](self, *expression[1:])

    def plain(self, expression: Expression) -> Any:
        """As `of`, of plain builtins of bounded size alone, so that every operation on it is cheap."""
        return self._checked(self.of(expression))

    def _checked(self, value: Any) -> Any:
        pending = [value]
        while pending:
            item = pending.pop()
            kind = type(item)
            if kind is int:
                if item.bit_length() > MAX_BITS:
                    raise Undecided
            elif kind is dict:
                pending += item.keys()
                pending += item.values()
            elif kind in _COLLECTIONS:
                pending += item
            elif kind not in _SCALARS and not (kind is range and len(item) <= MAX_LENGTH):
                raise Undecided
            self._effort_left -= 1
            if self._effort_left < 0 or len(pending) > _MAX_EFFORT:
                raise Undecided
        return value

    def _value(self, number: int) -> Any:
        return self._values[number]

    def _name(self, name: str) -> Any:
        return self.names[name]

    def _tuple(self, *items: Expression) -> Any:
        return tuple(self.of(item) if item[0] == Kind.TYPE else self.plain(item) for item in items)

    def _dict(self, keys: tuple[Expression, ...], items: tuple[Expression, ...]) -> Any:
        return {self.plain(key): self.plain(item) for key, item in zip(keys, items, strict=True)}

    def _unary(self, name: str, operand: Expression) -> Any:
        return not self.of(operand) if name == "not" else UNARY_OPERATORS[name](self.plain(operand))

    def _binary(self, name: str, left: Expression, right: Expression) -> Any:
        result = BINARY_OPERATORS[name](self.plain(left), self.plain(right))
        return _short(result)

    def _compare(self, left: Expression, rest: tuple[tuple[str, Expression], ...]) -> Any:
        for name, right in rest:
            # a comparison with what stands in the test is as cheap as that is short
            known = right[0] in (Kind.CONST, Kind.TYPE) or (left[0] == Kind.CONST and name not in ("in", "not in"))
            take = self.of if known or name in ("is", "is not") else self.plain
            result = COMPARISONS[name](take(left), take(right))
            if not result:
                return result
            left = right
        return result

    def _and(self, *operands: Expression) -> Any:
        for operand in operands:
            result = self.of(operand)
            if not result:
                break
        return result

    def _or(self, *operands: Expression) -> Any:
        for operand in operands:
            result = self.of(operand)
            if result:
                break
        return result

    def _if(self, condition: Expression, then: Expression, otherwise: Expression) -> Any:
        return self.of(then if self.of(condition) else otherwise)

    def _call(self, name: str, args: tuple[Expression, ...], keywords: tuple[tuple[str, Expression], ...]) -> Any:
        given = [self.of(arg) if arg[0] in (Kind.TYPE, Kind.TUPLE) else self.plain(arg) for arg in args]
        return _FUNCTIONS[name](*given, **{keyword: self.plain(arg) for keyword, arg in keywords})

    def _method(self, name: str, owner: Expression, args: tuple[Expression, ...]) -> Any:
        if name not in METHODS | VIEWS:
            raise Undecided
        result = getattr(self.plain(owner), name)(*[self.plain(arg) for arg in args])
        return _short(list(result) if name in VIEWS else result)

    def _item(self, owner: Expression, index: Expression) -> Any:
        return self.plain(owner)[self.plain(index)]

    def _slice(self, owner: Expression, *bounds: Expression) -> Any:
        return self.plain(owner)[slice(*[self.plain(bound) for bound in bounds])]

    def _comprehension(self, kind: str, item: Expression, loops: tuple[tuple[Any, ...], ...]) -> Any:
        made = list(self._looped(item, loops))
        return {Kind.LIST: list, Kind.TUPLE: tuple, Kind.SET: set, Kind.DICT: dict}[kind](made)

    def _looped(self, item: Expression, loops: tuple[tuple[Any, ...], ...]) -> Iterable[Any]:
        if not loops:
            yield self.plain(item)
            return
        (targets, source, conditions), *inner = loops
        for value in self.plain(source):
            self._rounds_left -= 1
            if self._rounds_left < 0:
                raise Undecided
            if len(targets) == 1:
                self.names[targets[0]] = value
            else:
                self.names.update(zip(targets, value, strict=True))
            if all(self.of(condition) for condition in conditions):
                yield from self._looped(item, tuple(inner))


_RULES: dict[str, Callable[..., Any]] = {
    Kind.CONST: lambda self, value: value,
    Kind.VALUE: Evaluation._value,
    Kind.NAME: Evaluation._name,
    Kind.TYPE: lambda self, name: TYPES[name],
    Kind.LIST: lambda self, *items: [self.plain(item) for item in items],
    Kind.TUPLE: lambda self, *items: tuple(
        self.of(item) if item[0] == Kind.TYPE else self.plain(item) for item in items
    ),
    Kind.SET: lambda self, *items: {self.plain(item) for item in items},
    Kind.DICT: Evaluation._dict,
    Kind.UNARY: Evaluation._unary,
    Kind.BINARY: Evaluation._binary,
    Kind.COMPARE: Evaluation._compare,
    Kind.AND: Evaluation._and,
    Kind.OR: Evaluation._or,
    Kind.IF: Evaluation._if,
    Kind.CALL: Evaluation._call,
    Kind.METHOD: Evaluation._method,
    Kind.ITEM: Evaluation._item,
    Kind.SLICE: Evaluation._slice,
    Kind.COMPREHENSION: Evaluation._comprehension,
}
