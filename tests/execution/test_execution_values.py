"""Values beyond the builtins in the codec: they come back as themselves, and what a class claims about itself is moot."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import enum
import math
import typing
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocoder.execution.sandbox import codec

OFFSETS = st.timedeltas(dt.timedelta(hours=-23, minutes=-59), dt.timedelta(hours=23, minutes=59))
ZONES = st.none() | st.just(dt.UTC) | st.builds(dt.timezone, OFFSETS) | st.builds(dt.timezone, OFFSETS, st.text())
SCALARS = (
    st.decimals() | st.fractions() | st.dates() | st.times(timezones=ZONES) | st.datetimes(timezones=ZONES)
    | st.timedeltas() | ZONES
)  # fmt: skip
DEQUES = st.lists(st.integers(), max_size=4).flatmap(
    lambda items: st.builds(collections.deque, st.just(items), st.none() | st.integers(len(items), 9))
)
CONTAINERS = (
    DEQUES
    | st.dictionaries(st.text() | st.fractions(), SCALARS, max_size=3).map(collections.OrderedDict)
    | st.dictionaries(st.dates(), st.integers(), max_size=3).map(collections.Counter)
    | st.builds(collections.defaultdict, st.sampled_from([None, int, list]), st.dictionaries(st.integers(), SCALARS))
)


def there_and_back(value: Any, rich: bool = True) -> Any:
    return codec.loads(codec.dumps(value), rich)


@given(st.booleans(), SCALARS | CONTAINERS)
def test_round_trip(rich: bool, value: Any) -> None:
    back = there_and_back(value, rich)
    assert type(back) is type(value)
    assert repr(back) == repr(value)  # tells -0 from 0, NaN from NaN1, folds, names of zones, order, maxlen
    assert "NaN" in repr(value) or back == value


@pytest.mark.parametrize("text", ["NaN", "-NaN12", "sNaN", "sNaN7", "Infinity", "-0", "0E+9", "1.50", "1E-1000000"])
def test_decimals_are_exact(text: str) -> None:
    assert str(there_and_back(Decimal(text))) == text


def test_what_is_out_of_bounds_is_refused_both_ways() -> None:
    for value in (Decimal("1e999999999"), Decimal("1e-999999999"), Decimal("9" * 200_000), Fraction(1, 1 << 70_000)):
        with pytest.raises(codec.Unsupported):
            codec.dumps(value)
    for data in (b'{"dec":"1E+999999999"}', b'{"dec":"1_0"}', b'{"dec":" 1"}', b'{"dec":"\\u0661"}',
                 b'{"frac":[1,0]}', b'{"frac":[1.5,2]}', b'{"frac":[1,{"i":"0x' + b"f" * 20_000 + b'"}]}',
                 b'{"date":[2020,2,30]}', b'{"delta":[999999999999,0,0]}', b'{"time":[24,0,0,0,0,null]}',
                 b'{"datetime":[2020,1,1,0,0,0,0,2,null]}', b'{"zone":[2,0,0,"x"]}', b'{"zone":null}',
                 b'{"deque":[1,[1,2]]}', b'{"deque":[-1,[]]}', b'{"ddict":["eval",[]]}', b'{"ddict":[[],[]]}'):  # fmt: skip
        for rich in (False, True):
            with pytest.raises(codec.Unsupported):
                codec.loads(data, rich)


def test_numbers_chosen_to_be_slow_to_compare_do_not_hold_the_reader_up() -> None:
    """All hash alike, and comparing a Decimal to a long int takes the square of its length."""
    modulus = 2**61 - 1
    long_ints = [{"i": hex(n * modulus << 8000)} for n in range(1, 60)]
    decimals = [{"dec": f"{n * modulus}"} for n in range(1, 20_000)]
    with pytest.raises(codec.Unsupported, match="collide"):
        codec.decode({"s": long_ints + decimals})
    with pytest.raises(codec.Unsupported, match="too long"):
        codec.decode({"s": [{"i": hex(1 << 40_000)}]})


def test_containers_keep_what_they_do() -> None:
    ordered = collections.OrderedDict(a=1, b=2)
    ordered.move_to_end("a")
    assert list(there_and_back(ordered)) == ["b", "a"]
    assert there_and_back(collections.Counter("aab")).most_common() == [("a", 2), ("b", 1)]
    grown = there_and_back(collections.defaultdict(list, {1: [2]}))
    grown[3].append(4)
    assert grown == {1: [2], 3: [4]}
    own = there_and_back(there_and_back(collections.defaultdict(lambda: 7, {1: 2})))
    assert own == {1: 2}
    with pytest.raises(codec.Unsupported):
        own[3]


class Pair(typing.NamedTuple):
    left: int
    right: Any = None


Renamed = collections.namedtuple("Renamed", ["class", "x"], rename=True)  # type: ignore[misc]


def test_namedtuples() -> None:
    pair = there_and_back([Pair(1, Pair(2)), Renamed(3, 4)])
    assert pair == [(1, (2, None)), (3, 4)]
    assert (pair[0].left, pair[0].right.left, pair[1]._0, pair[1].x) == (1, 2, 3, 4)
    assert (type(pair[0]).__name__, pair[0]._asdict()["left"], pair[0]._replace(left=9).left) == ("Pair", 1, 9)
    assert type(there_and_back(Pair(1), rich=False)) is tuple

    class Lies(Pair):
        _fields = ("left", "right", "more")

    assert there_and_back(Lies(1, 2)) == (1, 2)
    assert type(there_and_back(Lies(1, 2))) is tuple


@dataclasses.dataclass
class Point:
    x: int
    y: Any = 0
    note: str = dataclasses.field(default="", compare=False)
    constant: int = dataclasses.field(default=5, init=False)
    shared: typing.ClassVar[int] = 9

    def __eq__(self, other: object) -> bool:
        return True

    def __getattribute__(self, name: str) -> Any:
        return 42


@dataclasses.dataclass(order=True, frozen=True, slots=True)
class Version:
    major: int
    minor: int


def test_dataclasses_are_records_of_their_fields() -> None:
    point = there_and_back(Point(1, [Version(2, 3)], "a"))
    assert (point.x, point.y[0].major, point.note, point.constant) == (1, 2, "a", 5)
    assert repr(point) == "Point(x=1, y=[Version(major=2, minor=3)], note='a', constant=5)"
    assert point == there_and_back(Point(1, [Version(2, 3)], "b"))
    assert point != there_and_back(Point(1, [Version(2, 4)], "a"))
    assert point != 42
    older, newer = there_and_back(Version(1, 2)), there_and_back(Version(1, 10))
    assert older < newer
    assert {older, newer, there_and_back(Version(1, 2))} == {older, newer}
    with pytest.raises(dataclasses.FrozenInstanceError):
        older.major = 3
    with pytest.raises(TypeError):
        hash(point)
    assert dataclasses.asdict(newer) == {"major": 1, "minor": 10}
    opaque = there_and_back(Point(1), rich=False)
    assert opaque != 42
    assert not hasattr(opaque, "x")


def test_a_record_equals_one_of_the_tests_own_class() -> None:
    theirs = there_and_back(dataclasses.make_dataclass("Spot", ["x"])(1))
    ours = dataclasses.make_dataclass("Spot", ["x"])
    assert theirs == ours(1)
    assert theirs != ours(2)
    assert theirs != dataclasses.make_dataclass("Place", ["x"])(1)
    assert theirs != dataclasses.make_dataclass("Spot", ["y"])(1)
    identity = dataclasses.make_dataclass("Same", ["x"], eq=False)(1)
    assert there_and_back(identity) != there_and_back(identity)


class Color(enum.Enum):
    RED = (1, 2)
    BLUE = "b"

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


class Level(enum.IntEnum):
    LOW = 1


class Text(enum.StrEnum):
    A = "alpha"


class Mask(enum.Flag):
    R = 1
    W = 2


def test_enum_members() -> None:
    red = there_and_back(Color.RED)
    assert (red.name, red.value, str(red)) == ("RED", (1, 2), "Color.RED")
    assert red == there_and_back(Color.RED)
    assert red != there_and_back(Color.BLUE)
    assert red not in ((1, 2), "RED", 42)
    assert red == enum.Enum("Color", {"RED": (1, 2)}).RED  # type: ignore[attr-defined]
    assert red != enum.Enum("Shade", {"RED": (1, 2)}).RED  # type: ignore[attr-defined]
    assert {red: 1}[there_and_back(Color.RED)] == 1
    assert there_and_back(Mask.R | Mask.W).value == 3
    for rich in (False, True):
        level, text = there_and_back([Level.LOW, Text.A], rich)
        assert (level, text, level + 1, text.upper()) == (1, "alpha", 2, "ALPHA")
    assert (level.name, text.name, text.value) == ("LOW", "A", "alpha")
    assert there_and_back(Color.RED, rich=False) != (1, 2)


@dataclasses.dataclass
class Sized:
    x: int = 1

    def __len__(self) -> int:
        return self.x


class Doubtful(enum.Enum):
    A = 0

    def __bool__(self) -> bool:
        return bool(self.value)


class Shy(enum.Flag):
    A = 1

    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize("value", [Version(0, 0), Color.RED, Mask.R, Mask(0)])
def test_truth_that_is_known(value: Any) -> None:
    for rich in (False, True):
        assert bool(there_and_back(value, rich)) is bool(value)


@pytest.mark.parametrize("value", [Sized(0), Sized(1), Doubtful.A, Shy.A, Shy(0)])
def test_truth_that_is_up_to_the_program(value: Any) -> None:
    plain, rich = there_and_back(value, rich=False), there_and_back(value)
    with pytest.raises(codec.NotPlain):
        bool(plain)
    with pytest.raises(codec.Undecidable):
        bool(rich)
    assert 1 not in (plain, rich)


def test_truths_that_are_refused() -> None:
    flags = [[True] * 4, [True] * 6, [True] * 4 + [None], [True] * 4 + [0], None, "xxxxx"]
    frames: list[Any] = [{"record": ["P", [["x", True, 1]], flag]} for flag in flags]
    frames += [{"enum": ["E", "A", 1, None, *truth]} for truth in ([], [0], [1], [""], [[]], [[True]])]
    for frame in frames:
        for rich in (False, True):
            with pytest.raises(codec.Unsupported):
                codec.decode(frame, rich)


class Meta(type):
    """Claims to be, to equal and to derive from everything."""

    def __hash__(cls) -> int:
        return hash(list)

    def __eq__(cls, other: object) -> bool:
        return True

    def __instancecheck__(cls, other: object) -> bool:
        return True

    def __getattribute__(cls, name: str) -> Any:
        return (list, object) if name == "__mro__" else list if name == "__class__" else "x"


def claimants() -> list[Any]:
    """The class is none of the module's names: whoever looks through all modules, as vLLM does, stumbles over it."""

    class Claims(metaclass=Meta):
        """No list at all."""

        __class__ = list  # type: ignore[assignment]

        def __iter__(self) -> Any:
            return iter([1])

        def __reduce__(self) -> Any:
            return list, ([1],)

        def __getattr__(self, name: str) -> Any:
            return lambda *_: [1]

    return [Claims(), {1: Claims()}, Claims]


class Shortened(type):
    def mro(cls) -> list[type]:
        return [cls, object]


class Orphan(list, metaclass=Shortened):  # type: ignore[type-arg]
    """A list that does not say so."""


@pytest.mark.parametrize("value", [*claimants(), Orphan([1]), Meta("X", (), {})(), enum, np.matrix])
def test_claims_have_no_say(value: Any) -> None:
    with pytest.raises(codec.Unsupported):
        codec.dumps(value, shelf=[])


def test_overridden_methods_have_no_say() -> None:
    def lie(*_: object) -> Any:
        return 42

    names = ("__eq__", "__iter__", "__len__", "__getitem__", "__getattribute__", "items", "__str__", "__repr__",
             "__int__", "__index__", "__float__", "__hash__", "__reduce_ex__", "isoformat", "as_tuple")  # fmt: skip
    values = [
        [1], (1,), {1: 2}, {1}, frozenset({1}), b"1", 1, 1.5, "1", 1j, Decimal("1.5"), Fraction(1, 2),
        dt.date(2020, 1, 2), dt.time(1, 2), dt.datetime(2020, 1, 2), dt.timedelta(1), collections.Counter("a"),
        collections.OrderedDict(a=1), collections.deque([1], 3),
    ]  # fmt: skip
    for value in values:
        base: Any = type(value)
        kind: Any = type("Liar", (base,), {"__slots__": ()})
        parts = {dt.date: (2020, 1, 2), dt.time: (1, 2), dt.datetime: (2020, 1, 2), dt.timedelta: (1,),
                 Fraction: (1, 2), collections.deque: ([1], 3)}  # fmt: skip
        liar = kind(*parts.get(base, (value,)))
        for name in names:
            setattr(kind, name, base.__hash__ if name == "__hash__" else lie)
        back = there_and_back(liar, rich=False)
        assert type(back) is base
        assert back == value


def test_arguments_are_overwritten_in_place() -> None:
    before: list[Any] = [[1], {1: 2}, {1}, bytearray(b"a"), collections.deque([1], 2), collections.Counter("a"),
                         collections.OrderedDict(a=1), Point(1), np.zeros(2)]  # fmt: skip
    after: list[Any] = [[2], {3: 4}, {3}, bytearray(b"b"), collections.deque([3], 2), collections.Counter("bb"),
                        collections.OrderedDict(b=1), Point(2), np.ones(2)]  # fmt: skip
    for value, changed in zip(before, after, strict=True):
        assert codec.is_mutable(value)
        codec.overwrite(value, there_and_back(changed))
    assert before[:7] == after[:7]
    assert object.__getattribute__(before[7], "x") == 2
    assert before[8].tolist() == [1, 1]
    assert not any(map(codec.is_mutable, (1, "a", (1,), b"", frozenset(), Point, np.float64(1), None)))


ARRAYS = [
    np.arange(6).reshape(2, 3), np.arange(6.0).reshape(2, 3).T, np.array([True, False]), np.array(["a", "\u20acb"]),
    np.array([1 + 2j]), np.float32([0.1, np.nan]), np.zeros((0, 3)), np.array(5), np.array([b"ab"]),
    np.arange(3, dtype=">i2"), np.uint8([255]),
]  # fmt: skip


@pytest.mark.parametrize("array", ARRAYS, ids=[str(array.dtype) for array in ARRAYS])
def test_arrays(array: Any) -> None:
    back = there_and_back(array)
    assert (type(back), back.dtype, back.shape) == (np.ndarray, array.dtype, array.shape)
    np.testing.assert_array_equal(back, array)
    back[...] = back  # writable
    with pytest.raises(codec.NotPlain):
        there_and_back(array, rich=False)


@pytest.mark.parametrize(
    "scalar", [np.int8(-3), np.uint64(2**64 - 1), np.float16(0.5), np.float64(0.1), np.float32(0.1), np.bool_(True),
               np.complex64(1j), np.str_("a"), np.bytes_(b"a")],
)  # fmt: skip
def test_numpy_scalars(scalar: Any) -> None:
    back = there_and_back(scalar)
    assert type(back) is type(scalar)
    assert back == scalar
    with pytest.raises(codec.NotPlain):  # how it compares is up to numpy
        there_and_back([scalar], rich=False)


def test_arrays_that_are_refused() -> None:
    for value in (np.array([object()]), np.array([1], "M8[D]"), np.zeros(1, "i4,i4"), np.longdouble(1),
                  np.ma.array([1], mask=[True]), np.array([[1]]).view(np.matrix), np.datetime64("2020-01-01")):  # fmt: skip
        with pytest.raises(codec.Unsupported):
            codec.dumps(value)
    for data in (b'{"array":["|O",[1],"00"]}', b'{"array":["<i8",[1],"00"]}', b'{"array":["<i8",[-1,-1],"00"]}',
                 b'{"array":["|b1",[1],"02"]}', b'{"array":["<U0",[9],""]}', b'{"array":["|S0",[9],""]}',
                 b'{"array":["<f8",[1,0,99999999999999999999],""]}', b'{"array":["<i8",null,""]}',
                 b'{"np":["|i1",300]}', b'{"np":["<i8",true]}', b'{"np":["<f8","x"]}', b'{"np":["|O",1]}'):  # fmt: skip
        with pytest.raises(codec.Unsupported):
            codec.loads(data, rich=True)


@pytest.mark.parametrize("name", ["x y", "", "class", "__class__", "x=print()", "\ufb01", "1", "x" * 500, 5, None])
def test_hostile_names_build_no_class(name: Any) -> None:
    for data in ({"named": ["P", [name], [1]]}, {"record": ["P", [[name, True, 1]], [True] * 5]},
                 {"named": [name, ["x"], [1]]}, {"record": [name, [["x", True, 1]], [True] * 5]}):  # fmt: skip
        with pytest.raises(codec.Unsupported):
            codec.decode(data, rich=True)


def test_floats_that_are_not_numbers() -> None:
    back = there_and_back({"n": math.nan, "l": [math.inf, -0.0]})
    assert math.isnan(back["n"])
    assert repr(back["l"]) == "[inf, -0.0]"
