"""What a translated test's constants and expressions consist of: parts that calls may change, or that several share."""

from __future__ import annotations

import marshal
from collections.abc import Iterator
from typing import Any

from .expressions import Expression, Kind

Call = tuple[tuple[Any, ...], dict[str, Any], tuple[int, ...]]
"""Arguments, keyword arguments, and the positions of arguments that are to come back as the call left them."""


def marshalled(calls: list[Call]) -> bytes:
    """The same bytes for equal calls, unless their arguments share parts: then those arrive as shared ones."""
    parts = [
        id(part) for args, kwargs, _ in calls for value in (*args, *kwargs.values()) for part in mutable_within(value)
    ]
    return marshal.dumps(calls, 2 if len(parts) == len(set(parts)) else marshal.version)


def mutable_parts(expression: Expression) -> set[int]:
    """The identities of what could be changed in the constants of an expression."""
    constants = [part[1] for part in walk(expression) if part[:1] == (Kind.CONST,)]
    return {id(part) for constant in constants for part in mutable_within(constant)}


def mutable_within(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, set, dict)):
        yield value
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from mutable_within(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from mutable_within(item)


def walk(expression: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """An expression and all within it, and the tuples that hold those together."""
    yield expression
    if expression[:1] != (Kind.CONST,):
        for part in expression:
            if isinstance(part, tuple):
                yield from walk(part)
