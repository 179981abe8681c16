"""The value codec: honest values come back equal and of the same type, hostile bytes raise Unsupported."""

from __future__ import annotations

import contextlib
import enum
import itertools
import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerocoder.execution import Verdict
from zerocoder.execution.sandbox import codec, rows, translation
from zerocoder.execution.sandbox.codec import core, iterators
from zerocoder.execution.sandbox.wire import FrameBuffer, Oversized, framed

TEXTS = st.text() | st.text(st.sampled_from("a\ud83d\ude00\ud800\U0001f600\u20ac"))  # JSON joins surrogates
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.integers(min_value=2**62) | st.floats() | TEXTS
    | st.binary() | st.complex_numbers() | st.builds(range, st.integers(-9, 9), st.integers(), st.integers(1, 9))
)  # fmt: skip
KEYS = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS | st.binary() | st.floats(allow_nan=False),
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


class Shelved:
    """Both ends of iterators, and the numbers of items that came at a time."""

    def __init__(self) -> None:
        self.shelf: list[codec.Kept] = []
        self.batches: list[int] = []
        self.decode = codec.rich_decoder(self._pull)

    def there(self, value: Any) -> Any:
        return self.decode(codec.encode(value, shelf=self.shelf))

    def _pull(self, number: int, sent: Any) -> tuple[list[Any], bool]:
        items, ended = self.shelf[number].pulled(sent, self.shelf)
        self.batches.append(len(items))
        return self.decode(codec.from_bytes(codec.to_bytes(items))), ended


def test_iterators_go_on_when_they_are_asked() -> None:
    shelved, log = Shelved(), []

    def squares() -> Iterator[int]:
        for n in range(4):
            log.append(n)
            yield n * n

    iterator = shelved.there(squares())
    assert log == []
    assert (next(iterator), next(iterator), log) == (0, 1, [0, 1])
    assert [*iterator] == [4, 9]
    assert [*iterator] == []
    assert [[*inner] for inner in shelved.there([iter("ab"), (iter(n) for n in ([1], [2, 3]))][1])] == [[1], [2, 3]]


def test_iterators_that_go_on_for_long_come_some_items_at_a_time() -> None:
    shelved = Shelved()
    assert [*itertools.islice(shelved.there(itertools.count()), 12_345)] == [*range(12_345)]
    assert set(shelved.batches[: iterators.NUM_SINGLE]) == {1}
    assert len(shelved.batches) < 1000
    large = itertools.islice(shelved.there(["x" * n] for n in itertools.repeat(20_000)), 200)
    assert {len(text) for [text] in large} == {20_000}
    assert max(shelved.batches[-50:]) == 2


@pytest.mark.parametrize("num_before", [0, 1, iterators.NUM_SINGLE - 1, iterators.NUM_SINGLE, 100, 5000])
def test_what_an_iterator_raises_comes_after_the_items_before_it(num_before: int) -> None:
    def failing() -> Iterator[int]:
        yield from range(num_before)
        raise KeyError("x")

    iterator, got = Shelved().there(failing()), []
    with pytest.raises(KeyError, match="x"):
        for item in iterator:
            got.append(item)
    assert got == [*range(num_before)]


def test_an_item_without_plain_form_is_none_before_it_is_asked_for() -> None:
    iterator = Shelved().there(iter([1, object()]))
    assert next(iterator) == 1
    with pytest.raises(codec.Unsupported):
        next(iterator)


def test_items_are_what_they_were_when_they_were_yielded() -> None:
    def growing() -> Iterator[list[int]]:
        row: list[int] = []
        for n in range(100):
            row.append(n)
            yield row

    assert list(map(len, Shelved().there(growing()))) == [*range(1, 101)]


def test_generators_are_sent_values_while_they_have_not_gone_ahead() -> None:
    def total() -> Iterator[int]:
        number = 0
        while True:
            number += (yield number) or 0

    running = Shelved().there(total())
    assert [next(running), running.send(5), running.send(6), next(running)] == [0, 5, 11, 11]
    [*itertools.islice(running, iterators.NUM_SINGLE)]
    with pytest.raises(codec.Undecidable):
        running.send(1)


class Falsy:
    def __iter__(self) -> Any:
        return self

    def __next__(self) -> int:
        return 1

    def __bool__(self) -> bool:
        return False


def test_iterators_that_are_refused() -> None:
    with pytest.raises(codec.Unsupported):
        Shelved().there(Falsy())
    for body in (b"-1", b"true", b"null", b"[[1],true]", b"0.0", b'"0"', b'{"i":"0x1"}'):
        with pytest.raises(codec.Unsupported):
            Shelved().decode(codec.from_bytes(b'{"g":%s}' % body))
    for rich in (False, True):
        with pytest.raises(codec.NotPlain):
            codec.loads(b'{"g":0}', rich)


@pytest.mark.parametrize("body", [b'"d8"', b'"ff"', b'"0"', b"7", b"null", b"[]", b'{"u":"61"}'])
def test_what_is_no_text_is_refused(body: bytes) -> None:
    with pytest.raises(codec.Unsupported):
        codec.loads(b'{"u":%s}' % body)


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
    assert rows.checked(answer, [equals("a secret")]) in (*bad, None)  # None: up to a judge
    _, [length_is] = translation.translate("assert len(f()) == -1", "f")
    assert rows.checked(answer, [length_is]) in (*bad, None)


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


@given(TEXTS)
def test_texts_of_matches_and_names_travel_as_they_are(text: str) -> None:
    for value in (re.compile("(?s:.*)").match(text), enum.Enum("E", {"A": text}).A, type("S", (str,), {})(text)):  # type: ignore[attr-defined]
        back = codec.loads(codec.dumps(value), rich=True)
        assert (back if isinstance(back, str) else back.value if hasattr(back, "value") else back.string) == text


def test_a_frame_over_the_cap_is_refused_by_its_header() -> None:
    buffer = FrameBuffer(cap=10)
    buffer.feed(framed(b"x" * 11)[:4])
    with pytest.raises(Oversized):
        buffer.next()
