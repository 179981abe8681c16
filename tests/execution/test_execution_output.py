"""When an output counts as the expected one: rules, special cases, and text that is made to take long."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from official_graders import _lcb_output_is_right

from zerocoder.execution.sandbox.output import DECIMALS, LINES, NUMBERS, matches
from zerocoder.problems import OutputMatch

RULES = (LINES, DECIMALS, NUMBERS)
# printed, expected -> by which rules they match
CASES = {
    ("a b\n", "a b"): "LDN",
    ("a b \n\n\n", "a b"): "LDN",
    ("a\r\nb", "a\nb\r\n"): "LDN",
    (" a b", "a b"): "DN",
    ("\n\na b", "a b"): "DN",
    ("a  b", "a b"): "N",
    ("a\nb", "a b"): "N",
    ("a\n\nb", "a\nb"): "N",
    ("a", "a b"): "",
    ("a b c", "a b"): "",
    ("", "\n \n"): "LDN",
    ("", "0"): "",
    ("Yes", "yes"): "",
    ("1.0", "1"): "DN",
    ("1", "1.0"): "DN",
    ("1.50 2", "1.5 2.0"): "DN",
    ("+5", "5"): "DN",
    ("007", "7"): "DN",
    ("-0", "0"): "DN",
    ("-7", "7"): "",
    ("0.30000000000000004", "0.3"): "N",
    ("0.500001", "0.5"): "N",
    ("0.5000021", "0.5"): "",
    ("1000001.0", "1000000.0"): "N",
    ("1000003.0", "1000000.0"): "",
    ("2.9999999999", "3"): "N",
    ("1000000008", "1000000007"): "",
    ("50000000000000001", "50000000000000000"): "",
    ("1e3", "1000"): "DN",
    ("1e-9", "0"): "N",
    (".5", "0.5"): "DN",
    ("5.", "5"): "DN",
    ("nan", "nan"): "LDN",
    ("nan  1", "nan 1"): "N",
    ("sNaN 1", "sNaN  1"): "N",
    ("inf", "Infinity"): "D",
    ("1e999", "2e999"): "N",  # both are beyond what floats hold
    ("1e999", "1.5"): "",
    ("1_000", "1000"): "D",
    ("x 1.0", "x 1"): "N",
    ("١", "1"): "D",
}


@pytest.mark.parametrize(("printed", "expected"), CASES)
def test_cases(printed: str, expected: str) -> None:
    assert "".join(rule[0].upper() for rule in RULES if matches(printed, expected, rule)) == CASES[printed, expected]


def test_the_rules_are_those_of_the_data_sets() -> None:
    assert tuple(rule.value for rule in OutputMatch) == RULES


words = st.text("0123456789.eE+-_naIf ", max_size=12)
outputs = st.lists(words, max_size=4).map("\n".join)


@settings(max_examples=300, deadline=None)
@given(outputs, outputs, st.booleans())
@example("1e9999999999999999999", "2e9999999999999999999", False)
def test_decimals_are_those_of_livecodebench(printed: str, expected: str, spaced: bool) -> None:
    for text in (expected, printed.replace(" ", "  ") if spaced else printed.replace("0", "0.0")):
        assert matches(printed, text, DECIMALS) == _lcb_output_is_right(printed, text)


@settings(max_examples=200, deadline=None)
@given(st.decimals(-(10**9), 10**9, places=7), st.integers(-4000, 4000))
def test_numbers_against_exact_arithmetic(number: object, steps: int) -> None:
    """Whether a number and one some 1e-9 away match; within a part in a million of the border nothing is said."""
    wanted = Fraction(str(number))
    distance = Fraction(steps, 10**9) * max(1, abs(wanted))
    border = Fraction(1, 10**6) * max(1, abs(wanted))
    if abs(abs(distance) - border) > border / 10**6:
        text = f"{float(wanted + distance):.17g}"
        text = text if "." in text or "e" in text else text + ".0"
        assert matches(text, str(number), NUMBERS) == (abs(distance) < border)


LONG = 1 << 20


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(
    "printed",
    [
        "9" * LONG,
        "1e999999999",
        "1e-999999999",
        "0." + "0" * LONG + "1",
        "1" + "0" * LONG + ".0",
        "1e" + "9" * LONG,
        "NaN" + "1" * LONG,
        "1 " * (LONG // 2),
        "\n" * LONG + "1",
        " " * LONG + "1",
        "1" * LONG + "x",
        "1." + "1" * LONG + "x",
        "-" * LONG,
    ],
)
def test_hostile_text_takes_no_longer_than_any_other(printed: str, rule: str) -> None:
    """A conversion to an int, or of an exponent into digits, would take hours of this."""
    for expected in ("2", "2.5", printed[:-1] + "2", "1" * LONG):
        assert not matches(printed, expected, rule) or rule == NUMBERS
    assert matches(printed, printed + "\n", rule)
