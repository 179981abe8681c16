"""The test splitter on generated and on hostile text: it raises nothing undocumented and keeps a test's meaning."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerocoder.asserts import plain_asserts
from zerocoder.splitting import split
from zerocoder.syntax import Unusable

NAMES = ("a", "b", "c")
NUMBERS = st.integers(-3, 3).map(str)
VALUES = st.recursive(
    NUMBERS | st.sampled_from(NAMES),
    lambda inner: (
        st.tuples(inner, st.sampled_from("+-*"), inner).map("({0[0]} {0[1]} {0[2]})".format)
        | inner.map("f({})".format)
        | inner.map("max({}, 0)".format)
    ),
    max_leaves=4,
)
ASSIGNMENTS = st.tuples(st.sampled_from(NAMES), st.sampled_from(["=", "+="]), VALUES).map(" ".join)
HELPERS = st.builds("def g():\n    return {}\n{} = g()".format, VALUES, st.sampled_from(NAMES))
LISTS = st.builds("xs = [{}]\nxs[0] = {}\n{} = xs.pop()\nxs.append(1)".format, VALUES, VALUES, st.sampled_from(NAMES))
ASSERTS = st.tuples(VALUES, st.sampled_from(["==", "!=", "<", ">="]), VALUES).map("assert {0[0]} {0[1]} {0[2]}".format)
LINES = st.lists(ASSIGNMENTS | HELPERS | LISTS | ASSERTS, max_size=8)
TESTS = st.builds(lambda lines: "\n".join(["a, b, c, xs = 1, 2, 3, [4]", *lines]) + "\n", LINES)


def outcome(code: str) -> bool | None:
    """Whether a test holds for f(x) = x + 1; None when it raises something else."""
    try:
        exec(code, {"f": lambda x: x + 1})
    except AssertionError:
        return False
    except Exception:
        return None
    return True


@settings(max_examples=150)
@given(TESTS)
def test_all_pieces_hold_when_the_whole_holds(code: str) -> None:
    whole, pieces = outcome(code), [outcome(piece) for piece in split(code)]
    if whole is not None:
        assert all(piece is True for piece in pieces) == whole, split(code)
    assert len(pieces) == max(1, code.count("assert "))


@pytest.mark.parametrize(
    "code",
    [
        "def h():\n    return k\nk = 1\nassert f(h()) == 2\n",
        "d = {}\nd['a'] = 1\nassert d == {'a': 1} and f(1) == 2\n",
        "xs = [1, 2]\nlast = xs.pop()\nassert xs == [1] and f(1) == 2\n",
        "import heapq\nheap = [2, 1]\nheapq.heapify(heap)\nleast = heapq.heappop(heap)\nassert f(heap[0]) == 3\n",
        "xs, n = [], 0\nxs.append(n)\nys = xs\nys[0] = 5\nassert f(xs[0]) == 6\n",
    ],
)
def test_what_an_assert_needs_is_kept(code: str) -> None:
    assert outcome(code) is True
    assert [outcome(piece) for piece in split(code)] == [True]


def test_what_cannot_be_written_out_stays_whole() -> None:
    code = f"assert f(0x{'f' * 5000}) == 1\nassert f(1) == 2\n"
    assert split(code) == (code,)
    with pytest.raises(Unusable, match="cannot be written out"):
        plain_asserts(code, "f", 2)


def test_calls_that_an_assert_does_not_need_are_left_out() -> None:
    code = "a = f(1)\nb = f(2)\nassert a == 2\nassert b == 3\nassert f(3) == 4\n"
    assert split(code) == ("a = f(1)\nassert a == 2\n", "b = f(2)\nassert b == 3\n", "assert f(3) == 4\n")


# Words of the language, so that a good part of what is generated parses.
WORDS = st.sampled_from(
    ["assert", "f(1)", "==", "x", "=", "1", "\n", "\n    ", "def ", "class T(unittest.TestCase):", "self.assertEqual(f(1), x)", ":", "for x in ", "[1, 2]", "(", ")", ",", "not ", "lambda ", "*", "**", "{", "}", "import math", "from math import *", "if __name__ == '__main__':", "'�'", "\x00", "f'{x!r:>{1}}'", "1e999", "del x", "global x", ":=", "await ", "async ", "yield ", "return ", "match x:", "case _:", "try:", "except* E:", "with ", "as ", ";", "\\", "#", "\t", "\ufeff", "0x", "1_0", "1j", "..."]
)  # fmt: skip
HOSTILE = st.lists(WORDS, max_size=25).map("".join) | st.text()


@settings(max_examples=150)
@given(HOSTILE, st.integers(0, 3))
def test_hostile_text_is_split_or_refused(code: str, max_asserts: int) -> None:
    pieces: Any = split(code)
    assert pieces and all(type(piece) is str for piece in pieces)
    with contextlib.suppress(Unusable):
        plain = plain_asserts(code, "f", max_asserts)
        assert 1 <= len(split(plain)) <= max_asserts
