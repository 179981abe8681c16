"""The value codec: honest values come back equal and of the same type, hostile bytes raise Unsupported."""

from __future__ import annotations

import contextlib
import json
import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerocoder.execution import Verdict
from zerocoder.execution.sandbox import codec, rows, translation
from zerocoder.execution.sandbox.codec import core
from zerocoder.execution.sandbox.wire import FrameBuffer, Oversized, framed

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.integers(min_value=2**62) | st.floats() | st.text(st.characters())
    | st.binary() | st.complex_numbers() | st.builds(range, st.integers(-9, 9), st.integers(), st.integers(1, 9))
)  # fmt: skip
KEYS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.binary() | st.floats(allow_nan=False),
    lambda keys: st.tuples(keys, keys) | st.frozensets(keys, max_size=3),
    max_leaves=4,
)
VALUES = st.recursive(
    SCALARS,
    lambda values: (
        st.lists(values, max_size=4)
        | st.lists(values, max_size=4).map(tuple)
        | st.dictionaries(KEYS, values, max_size=4)
        | st.sets(KEYS, max_size=4)
        | st.frozensets(KEYS, max_size=4)
        | st.binary().map(bytearray)
    ),
    max_leaves=20,
)


def same(left: Any, right: Any) -> bool:
    """Equal, of the same types all the way down, NaN equal to itself, zeros by sign."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return (math.isnan(left) and math.isnan(right)) or (
            left == right and math.copysign(1, left) == math.copysign(1, right)
        )
    if isinstance(left, complex):
        return same(left.real, right.real) and same(left.imag, right.imag)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


@given(VALUES)
def test_round_trip(value: Any) -> None:
    for rich in (False, True):
        assert same(codec.loads(codec.dumps(value), rich), value)


TAGS = core._RICH.tags
SPICES = ["<i8", "|b1", "int", "deque", "1E+5", "NaN", "Point", "x", "00ff", "UTC"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(SPICES),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(TAGS) | st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=12,
)


@settings(max_examples=300)
@given(JSON.map(lambda value: json.dumps(value).encode()) | st.binary())
def test_hostile_frames_decode_or_are_refused(data: bytes) -> None:
    for rich in (False, True):
        with contextlib.suppress(codec.Unsupported):
            codec.loads(data, rich)


@pytest.mark.parametrize(
    "data",
    [b"[" * 100_000, b'{"t":' * 100_000, b"9" * 5000, b'{"i":"zz"}', b'{"i":7}', b'{"c":[1,2]}', b'{"b":"0"}',
     b'{"s":[[]]}',
     b'{"d":[[1]]}', b'{"d":{"a":1}}', b'{"t":{}}', b'{"r":[0,1,0]}', b'{"x":1}', b'{"t":[],"s":[]}', b"", b"\xff"],
)  # fmt: skip
def test_refused(data: bytes) -> None:
    with pytest.raises(codec.Unsupported):
        codec.loads(data)


def test_keys_that_collide_do_not_hold_the_reader_up() -> None:
    """Multiples of the hash modulus all land on hash 0: building a set of them is quadratic."""
    keys = [{"i": hex(n * (2**61 - 1))} for n in range(60_000)]
    with pytest.raises(codec.Unsupported, match="collide"):
        codec.decode({"s": keys})


def test_values_without_plain_form() -> None:
    nested: list[Any] = []
    for _ in range(codec.MAX_DEPTH + 1):
        nested = [nested]
    cyclic: list[Any] = []
    cyclic.append(cyclic)
    for value in (object(), len, nested, cyclic, {1: object()}, iter([1]), memoryview(b"")):
        with pytest.raises(codec.Unsupported):
            codec.dumps(value)


def test_a_match_travels_with_its_groups() -> None:
    match = re.search(r"(?P<first>a+)(b)?(c)", "xaac")
    sent = codec.dumps(match)
    assert codec.loads(sent) and codec.loads(sent) != match  # plainly: something that is true and equals nothing
    rich = codec.decode(codec.from_bytes(sent), rich=True)
    assert match is not None and rich
    assert (rich.group(), rich[1], rich.group("first", 2), rich.groups("-")) == (
        "aac",
        "aa",
        ("aa", None),
        ("aa", "-", "c"),
    )
    assert (rich.groupdict(), rich.span(3), rich.start("first"), rich.end()) == ({"first": "aa"}, (3, 4), 1, 4)
    assert (rich.string, rich.regs) == (match.string, match.regs)
    for wrong in (4, "second"):
        with pytest.raises(IndexError, match="no such group"):
            rich[wrong]
    with pytest.raises(codec.Unsupported):
        codec.dumps(re.search(b"a", b"a"))


@pytest.mark.parametrize(
    "body", ["3", "[]", "[1,[],[]]", '["a",[],[]]', '["a",[[0]],[]]', '["a",[[0,true]],[]]', '["a",[[0,1]],[["x"]]]']
)
def test_what_is_no_match_is_refused(body: str) -> None:
    with pytest.raises(codec.Unsupported):
        codec.decode(codec.from_bytes(b'{"match":%s}' % body.encode()), rich=True)


def test_nesting_up_to_the_limit_returns() -> None:
    value: Any = 1
    for depth in range(codec.MAX_DEPTH - 1):
        value = {1: value} if depth % 2 else (value,)
    assert codec.loads(codec.dumps(value)) == value


def test_iterators_travel_as_their_items_where_allowed() -> None:
    decoded = codec.loads(codec.dumps((n * n for n in range(4)), iterators=True))
    assert [*decoded] == [0, 1, 4, 9]
    endless = codec.loads(codec.dumps(iter(int, 1), iterators=True))
    with pytest.raises(codec.Unsupported):
        list(endless)


def test_subclasses_travel_as_their_base() -> None:
    class Liar(list):  # type: ignore[type-arg]
        def __eq__(self, other: object) -> bool:
            return True

        def __iter__(self) -> Any:
            return iter([42])

    class Answer(int):
        def __eq__(self, other: object) -> bool:
            return True

        def __index__(self) -> int:
            return 42

    assert codec.loads(codec.dumps([Liar([1]), Answer(3), type("S", (str,), {"__str__": lambda self: "42"})("x")])) == [
        [1],
        3,
        "x",
    ]


def equals(expected: Any) -> translation.Check:
    """The check of `assert f(...) == expected`."""
    return "assert", ("compare", ("value", 0), (("==", ("const", expected)),))


@settings(max_examples=300)
@given(st.lists(JSON, min_size=2, max_size=5))
def test_hostile_answers_never_pass_nor_raise(answer: list[Any]) -> None:
    bad = (Verdict.ERROR, Verdict.FAIL, Verdict.UNSUPPORTED, Verdict.MEMORY)
    assert rows.checked(answer, [equals("a secret")]) in bad
    _, [length_is] = translation.translate("assert len(f()) == -1", "f")
    assert rows.checked(answer, [length_is]) in (*bad, None)  # None: up to a judge


@pytest.mark.parametrize(
    "answer", [[0, "x"], [0, "x", None], [0, None], [0, "v"], [0, "v", None], [0, "v", 7], [0, "v", []]]
)
def test_answers_out_of_shape_are_errors(answer: list[Any]) -> None:
    assert rows.checked(answer, [equals(1)]) == Verdict.ERROR


@given(st.lists(st.binary(max_size=50), max_size=6), st.integers(1, 7))
def test_frames_survive_any_cut(payloads: list[bytes], step: int) -> None:
    stream = b"".join(map(framed, payloads))
    buffer, got = FrameBuffer(cap=50), []
    for start in range(0, len(stream), step):
        buffer.feed(stream[start : start + step])
        while (payload := buffer.next()) is not None:
            got.append(payload)
    assert got == payloads


def test_a_frame_over_the_cap_is_refused_by_its_header() -> None:
    buffer = FrameBuffer(cap=10)
    buffer.feed(framed(b"x" * 11)[:4])
    with pytest.raises(Oversized):
        buffer.next()
