"""When a printed output counts as the expected one. What was printed is hostile text: all of this is linear in it.

Nothing is ever converted that grows under conversion: a Decimal keeps the exponent it is written with and is compared
by it, integers are compared as digits, and floats are read from texts that have been checked to be numbers.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from decimal import Decimal, DecimalException

LINES, DECIMALS, NUMBERS = "lines", "decimals", "numbers"
TOLERANCE = 1e-6 + 1e-15  # the slack is testlib's: 0.500001 - 0.5 is a little more than 1e-6
_TOKEN = re.compile(r"\S+")
_INTEGER = re.compile(r"([+-]?)0*+([0-9]*+)")
_NUMBER = re.compile(r"[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?")


def matches(printed: str, expected: str, rule: str) -> bool:
    """Whether `printed` is what was `expected` by one of the rules, LINES, DECIMALS or NUMBERS."""
    return printed == expected or _RULES[rule](printed, expected)


def _equal_lines(printed: str, expected: str) -> bool:
    """Line by line, without white space at the end of a line and without empty lines at the end."""
    return _lines(printed) == _lines(expected)


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.rstrip().split("\n")]


def _equal_decimals(printed: str, expected: str) -> bool:
    """Line by line, without white space at both ends; lines of nothing but numbers are equal as numbers, exactly.

    LiveCodeBench's rule (testing_util.grade_stdio): `1.50` is `1.5`, and 0.1 + 0.2 as floats print it is not `0.3`.
    """
    lines, wanted = printed.strip().split("\n"), expected.strip().split("\n")
    return len(lines) == len(wanted) and all(map(_equal_decimal_line, lines, wanted))


def _equal_decimal_line(line: str, wanted: str) -> bool:
    line, wanted = line.strip(), wanted.strip()
    if line == wanted:
        return True
    numbers, wanted_numbers = line.split(), wanted.split()
    if len(numbers) != len(wanted_numbers):
        return False
    try:
        pairs = zip(map(Decimal, numbers), map(Decimal, wanted_numbers), strict=True)
        return all(number == wanted_number for number, wanted_number in pairs)
    except DecimalException:  # text, an exponent beyond all bounds, or a signalling NaN
        return False


def _equal_numbers(printed: str, expected: str) -> bool:
    """Token by token, wherever lines break.

    A number that is written with a point or an exponent, on either side, may differ by TOLERANCE, absolutely or
    relatively to the expected one (testlib's doubleCompare); integers are equal or not, other tokens as well.
    """
    pairs = itertools.zip_longest(_TOKEN.finditer(printed), _TOKEN.finditer(expected))
    return all(one is not None and other is not None and _equal_token(one[0], other[0]) for one, other in pairs)


def _equal_token(token: str, wanted: str) -> bool:
    if token == wanted:
        return True
    if not (_NUMBER.fullmatch(token) and _NUMBER.fullmatch(wanted)):
        return False
    integer, wanted_integer = _INTEGER.fullmatch(token), _INTEGER.fullmatch(wanted)
    if integer and wanted_integer:
        return _integer_of(integer) == _integer_of(wanted_integer)
    number, wanted_number = float(token), float(wanted)
    if not (math.isfinite(number) and math.isfinite(wanted_number)):
        return number == wanted_number
    return abs(number - wanted_number) <= TOLERANCE * max(1.0, abs(wanted_number))


def _integer_of(match: re.Match[str]) -> tuple[bool, str]:
    """Whether it is negative, and its digits."""
    return bool(match[2]) and match[1] == "-", match[2]


_RULES: dict[str, Callable[[str, str], bool]] = {
    LINES: _equal_lines,
    DECIMALS: _equal_decimals,
    NUMBERS: _equal_numbers,
}
