"""Tests that judge as the official graders of data sets do: value tests for functions, and what goes before programs.

`call_test` makes the tests of data sets that publish calls as JSON values (LiveCodeBench's functional problems, APPS's
`fn_name` ones). Each is one assert that compares the value of one call with constants, in the form that the verifier
takes apart without running it. docs/grading.md compares what the official graders do with what we do.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

from zerocoder.problems import TestCase

_MAX_LITERAL_CHARS = 2_000  # longer values are written as JSON, which is read without a syntax tree
_MAX_INT_BITS = 14_000  # Python reads longer integers from hexadecimal digits only

LIVECODEBENCH_MODULES = (
    *("string", "re", "datetime", "collections", "heapq", "bisect", "copy", "math", "random", "statistics"),
    *("itertools", "functools", "operator", "io", "sys", "json"),
)
"""What contests' graders import: all of their names, a later one winning, and then the modules themselves."""
LIVECODEBENCH_PRELUDE = "\n".join(
    [
        *(f"from {name} import *" for name in (*LIVECODEBENCH_MODULES, "builtins", "typing")),
        "import " + ", ".join(LIVECODEBENCH_MODULES),
        "sys.setrecursionlimit(50000)",
        "sys.set_int_max_str_digits(50000)",
    ]
)
"""What LiveCodeBench's grader has in the namespace of every program, and the interpreter's limits there."""
APPS_PRELUDE = """\
import collections, fractions, heapq, itertools, math, random, sys, time
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque
from functools import lru_cache
from heapq import *
from itertools import accumulate, combinations, permutations, product
from math import ceil, cos, exp, fabs, floor, gcd, log, log2, sin, sqrt, tan
from typing import List, Tuple
sys.set_int_max_str_digits(0)"""
"""What APPS's grader has in the namespace of every program, but numpy; it is older than the limit on digits."""


def call_test(
    entry_point: str, arguments: Sequence[Any], expected: Any, tolerant: bool = True, wrapped: bool = False
) -> TestCase:
    """A test that `entry_point(*arguments)` returns `expected`.

        call_test("pair", [3, 4], [3, 4]).code == "assert pair(3, 4) in ([3, 4], (3, 4))"

    Args:
        entry_point: the function's name.
        arguments: positional arguments: values of JSON, with integers of any size and strings of any code points.
        expected: a value of JSON.
        tolerant: a tuple that is returned counts as the list of its items, as in LiveCodeBench's and APPS's graders
            (within a list it does not); else values have to be equal.
        wrapped: `expected` is the value, or a list whose first item is the value (APPS does not say which): either
            will do. Dictionaries come with integers as keys then, where their keys are such, and a returned list of
            tuples counts as one of lists.

    Raises:
        ValueError: `entry_point` is no name.
    """
    if not entry_point.isidentifier():
        raise ValueError(f"{entry_point!r} is no name of a function")
    if wrapped:
        if arguments and isinstance(arguments[0], dict):
            arguments = [_with_int_keys(arguments[0]), *arguments[1:]]
        if isinstance(expected, dict):
            expected = _with_int_keys(expected)
        elif isinstance(expected, list) and expected and isinstance(expected[0], dict):
            expected = [_with_int_keys(expected[0]), *expected[1:]]
    given, loads = _arguments(list(arguments))
    value, also_loads = _value(expected)
    answers = _answers(value, expected, tolerant, wrapped)
    check = f"== {answers[0]}" if len(answers) == 1 else f"in ({', '.join(answers)})"
    head = "from json import loads\n" if loads or also_loads else ""
    return TestCase(code=f"{head}assert {entry_point}({given}) {check}")


def _answers(value: str, expected: Any, tolerant: bool, wrapped: bool) -> list[str]:
    """Expressions of the values that are accepted, where `value` is that of the expected one."""
    is_list = isinstance(expected, list)
    answers = [value]
    if tolerant and is_list:
        answers.append(_as_tuple(value, expected))
    if wrapped and is_list and expected:
        first, _ = _value(expected[0])
        answers.append(first)
        if tolerant and isinstance(expected[0], list):
            answers.append(_as_tuple(first, expected[0]))
            if expected[0] and all(isinstance(item, list) for item in expected[0]):
                answers.append(f"[tuple(item) for item in {first}]")
                answers.append(f"tuple([tuple(item) for item in {first}])")
    return answers


def _as_tuple(written: str, value: list[Any]) -> str:
    """The expression of the same items as a tuple."""
    if not written.startswith("["):
        return f"tuple({written})"
    return f"({written[1:-1]},)" if len(value) == 1 else f"({written[1:-1]})"


def _arguments(values: list[Any]) -> tuple[str, bool]:
    """Arguments of a call, and whether they use `loads`."""
    written, loads = _value(values)
    return (f"*{written}", True) if loads else (written[1:-1], False)


def _value(value: Any) -> tuple[str, bool]:
    """An expression of a value, and whether it uses `loads`."""
    literal = _literal(value)
    if len(literal) <= _MAX_LITERAL_CHARS or not _is_json(value):
        return literal, False
    return f"loads({json.dumps(value)!r})", True


def _literal(value: Any) -> str:
    """A value as Python writes it; `repr`, but for numbers that have no literal, or one that Python does not read."""
    match value:
        case list():
            return f"[{', '.join(map(_literal, value))}]"
        case dict():
            return f"{{{', '.join(f'{_literal(key)}: {_literal(item)}' for key, item in value.items())}}}"
        case float() if math.isnan(value):
            return 'float("nan")'
        case float() if math.isinf(value):
            return "1e999" if value > 0 else "-1e999"
        case int() if value.bit_length() > _MAX_INT_BITS:
            return hex(value)
        case None | bool() | int() | float() | str():
            return repr(value)
    raise TypeError(f"a {type(value).__name__} is no value of JSON")


def _is_json(value: Any) -> bool:
    """Whether a value is the same after a way through JSON."""
    match value:
        case list():
            return all(map(_is_json, value))
        case dict():
            return all(isinstance(key, str) for key in value) and all(map(_is_json, value.values()))
        case int():
            return value.bit_length() <= _MAX_INT_BITS
    return True


def _with_int_keys(value: dict[Any, Any]) -> dict[Any, Any]:
    """With the integers as keys that JSON made texts of, where all of them are."""
    try:
        return {int(key): item for key, item in value.items()}
    except ValueError:
        return value
