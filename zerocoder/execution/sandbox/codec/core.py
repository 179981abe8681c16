"""Encoding and decoding, with the rows for plain builtins; the other modules of this package add theirs."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

MAX_DEPTH = 64
MAX_KEY_BITS = 1 << 14  # of an int in a key: comparing a Decimal to an int takes the square of its length
_SMALL_INT = 1 << 62
_COLLISION_SECONDS = 0.5
_COLLISION_STRIDE = 32
_BASIC_TAGS = frozenset("tdszbicru")
_PAIRED = re.compile("[\ud800-\udbff][\udc00-\udfff]")  # two surrogates, of which JSON makes one character

Shelf = list[Any] | None  # where iterators are kept that a test may consume (iterators.py); None where there is none
Encoder = Callable[[Any, int, Shelf], Any]  # value, depth, shelf
Row = Callable[["Decoder", Any, int], Any]  # decoder of what is inside, body, depth
Finder = Callable[[type, tuple[type, ...]], Encoder | None]  # of a type and its method resolution order

_to_json = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode
# What a type is, whatever its metaclass says.
mro_of: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
namespace_of: Callable[[type], Mapping[str, Any]] = type.__dict__["__dict__"].__get__
name_of: Callable[[type], str] = type.__dict__["__name__"].__get__


class Unsupported(Exception):
    """A value that has no plain form, is nested too deeply, or a frame that describes none."""


class NotPlain(Unsupported):
    """Something that a rich decoder may know, and a plain one does not."""


class Undecidable(BaseException):
    """A test asks what only the program could say. Not an Exception: tests catch those."""


def encode(value: Any, depth: int = 0, shelf: Shelf = None) -> Any:
    """The JSON-able form of a value. Iterators in it are put on the shelf, if there is one."""
    kind = type(value)
    if kind is float or kind is bool or value is None:
        return value
    if kind is str:
        return value if value.isascii() else _encode_text(value, depth, shelf)
    if kind is int:
        return value if -_SMALL_INT < value < _SMALL_INT else {"i": hex(value)}
    if depth >= MAX_DEPTH:
        raise Unsupported(f"nested more than {MAX_DEPTH} deep")
    depth += 1
    if kind is list:
        return [encode(item, depth, shelf) for item in value]
    encoder = _ENCODERS.get(id(kind))
    if encoder is None:
        encoder = _found(kind)
    return encoder(value, depth, shelf)


def dumps(value: Any, shelf: Shelf = None) -> bytes:
    """A value as bytes."""
    return to_bytes(encode(value, shelf=shelf))


def to_bytes(encoded: Any) -> bytes:
    """Already encoded values (or plain JSON around them) as bytes."""
    return _to_json(encoded).encode("ascii")


def loads(data: bytes, rich: bool = False) -> Any:
    """The value of `dumps`. Raises Unsupported for bytes that no encoder writes."""
    return decode(from_bytes(data), rich)


def from_bytes(data: bytes) -> Any:
    """The JSON in `data`. Raises Unsupported, whatever is wrong with it."""
    try:
        return json.loads(data.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise Unsupported("not a value") from error


def decode(encoded: Any, rich: bool = False) -> Any:
    """The value of an encoded form, plain or rich (see the package). Raises Unsupported for what no encoder writes."""
    return (_RICH if rich else _PLAIN).decode(encoded, 0)


def rich_decoder(rows: Mapping[str, Row]) -> Callable[[Any], Any]:
    """A rich `decode` with rows that are different."""
    decoder = _RICH.replacing(rows)
    return lambda encoded: decoder.decode(encoded, 0)


def is_basic(encoded: Any) -> bool:
    """Whether an encoded form stands for instances of the very builtins that the plain decoder makes of it."""
    pending = [encoded]
    while pending:
        item = pending.pop()
        if type(item) is dict:
            if not item.keys() <= _BASIC_TAGS:
                return False
            pending += item.values()
        elif type(item) is list:
            pending += item
    return True


def is_mutable(value: Any) -> bool:
    """Whether a call can change the value in a way that `overwrite` can repeat."""
    return any(holds(value) for holds, _ in _OVERWRITERS)


def overwrite(value: Any, after: Any) -> None:
    """Changes a mutable value into what an equal one has become elsewhere."""
    next(change for holds, change in _OVERWRITERS if holds(value))(value, after)


class Decoder:
    """A table of rows by tag. Keys of dicts and items of sets are decoded with narrower bounds."""

    def __init__(self) -> None:
        self._rows: dict[str, Row] = {}
        self.keys = self

    @classmethod
    def with_keys(cls) -> Decoder:
        decoder = cls()
        decoder.keys = cls()
        return decoder

    def add(self, rows: Mapping[str, Row]) -> None:
        self._rows.update(rows)
        if self.keys is not self:
            self.keys.add(rows)

    def replacing(self, rows: Mapping[str, Row]) -> Decoder:
        """Another decoder, in which some rows are different, but for keys."""
        other = Decoder()
        other._rows, other.keys = {**self._rows, **rows}, self.keys
        return other

    @property
    def tags(self) -> list[str]:
        return sorted(self._rows)

    def decode(self, encoded: Any, depth: int) -> Any:
        """Raises Unsupported, and nothing else."""
        kind = type(encoded)
        if kind is list:
            if depth >= MAX_DEPTH:
                raise Unsupported("nested too deeply")
            return self.items(encoded, depth + 1)
        if kind is not dict:
            return encoded
        if len(encoded) != 1 or depth >= MAX_DEPTH:
            raise Unsupported("a tagged value has one tag")
        ((tag, body),) = encoded.items()
        row = self._rows.get(tag)
        if row is None:
            raise Unsupported("unknown tag")
        try:
            return row(self, body, depth + 1)
        except (TypeError, ValueError, ArithmeticError, MemoryError, SyntaxError) as error:
            raise Unsupported("malformed value") from error

    def items(self, body: Any, depth: int) -> list[Any]:
        """The values in a list of encoded forms."""
        if type(body) is not list:
            raise Unsupported("a container holds a list")
        decode = self.decode
        # of JSON, only these two hold what is not yet a value
        return [decode(item, depth) if type(item) is dict or type(item) is list else item for item in body]

    def pairs(self, body: Any, depth: int) -> dict[Any, Any]:
        """The dict in a list of encoded pairs."""
        if type(body) is not list or not all(type(pair) is list and len(pair) == 2 for pair in body):
            raise Unsupported("a dict holds pairs")
        keys, values = self.keys.decode, self.decode
        return {keys(key, depth): values(value, depth) for key, value in paced(body)}


def items_of(items: Iterable[Any], depth: int, shelf: Shelf) -> list[Any]:
    """The encoded forms of some values."""
    return [encode(item, depth, shelf) for item in items]


def pairs_of(pairs: Iterable[tuple[Any, Any]], depth: int, shelf: Shelf) -> list[list[Any]]:
    """The encoded forms of a mapping's items."""
    return [[encode(key, depth, shelf), encode(value, depth, shelf)] for key, value in pairs]


def add_encoders(encoders: Mapping[type, Encoder]) -> None:
    """Rows for types and for those derived from them."""
    # By identity, as a metaclass may define __hash__ and __eq__; the table keeps its types alive.
    _ENCODERS.update({id(kind): encoder for kind, encoder in encoders.items()})
    _ENCODED_TYPES.extend(encoders)


def add_decoders(plain: Mapping[str, Row], rich: Mapping[str, Row] | None = None) -> None:
    """Rows of both decoders, and those that the rich one has in their place."""
    _PLAIN.add(plain)
    _RICH.add({**plain, **(rich or {})})


def set_finders(finders: Sequence[Finder]) -> None:
    """Who is asked in turn for the encoder of a type that has no row of its own."""
    _FINDERS[:] = finders


def add_overwriter(holds: Callable[[Any], bool], change: Callable[[Any, Any], None]) -> None:
    """How to repeat what a call did to a value of some type."""
    _OVERWRITERS.append((holds, change))


def base_encoder(kind: type, mro: tuple[type, ...]) -> Encoder | None:
    """The row of the nearest base."""
    return next((_ENCODERS[id(base)] for base in mro if id(base) in _ENCODERS), None)


def attribute(kind: type, name: str) -> Any:
    """What a class attribute is, or None, past the metaclass."""
    return next((namespace_of(base)[name] for base in mro_of(kind) if name in namespace_of(base)), None)


def truth_from(kind: type) -> type | None:
    """The class that says whether an instance is true; None where all of them are."""
    names = ("__bool__", "__len__")
    return next((base for base in mro_of(kind) if any(name in namespace_of(base) for name in names)), None)


def _found(kind: type) -> Encoder:
    mro = mro_of(kind)
    for finder in _FINDERS:
        if (encoder := finder(kind, mro)) is not None:
            return encoder
    raise Unsupported(f"{name_of(kind)} has no plain form")


def _encode_text(value: Any, depth: int, shelf: Shelf) -> Any:
    text = str.__str__(value)
    return text if _PAIRED.search(text) is None else {"u": text.encode("utf-8", "surrogatepass").hex()}


def paced(items: Iterable[Any]) -> Iterator[Any]:
    """The items of a set or dict to be built; stops when building is slow, as keys chosen to collide make it."""
    start = time.thread_time()
    for n, item in enumerate(items, 1):
        if n % _COLLISION_STRIDE == 0 and time.thread_time() - start > _COLLISION_SECONDS:
            raise Unsupported("keys that collide")
        yield item


def _decode_set(decoder: Decoder, body: Any, depth: int) -> set[Any]:
    if type(body) is not list:
        raise Unsupported("a set holds a list")
    keys = decoder.keys.decode
    return {keys(item, depth) for item in paced(body)}


def _decode_int(decoder: Decoder, body: Any, depth: int) -> int:
    if decoder.keys is decoder and len(body) > MAX_KEY_BITS // 4:
        raise Unsupported("an int that is too long for a key")
    return int(body, 16)


def _decode_complex(decoder: Decoder, body: Any, depth: int) -> complex:
    real, imag = body
    if type(real) is not float or type(imag) is not float:
        raise Unsupported("a complex number holds two floats")
    return complex(real, imag)


def _replace_items(value: Any, after: Any) -> None:
    value[:] = after


def _replace_pairs(value: Any, after: Any) -> None:
    value.clear()
    for key, item in after.items():
        value[key] = item


def _replace_members(value: Any, after: Any) -> None:
    if value != after:  # else it may stay in the order it is in
        value.clear()
        value.update(after)


_ENCODERS: dict[int, Encoder] = {}
_ENCODED_TYPES: list[type] = []
_FINDERS: list[Finder] = []
_OVERWRITERS: list[tuple[Callable[[Any], bool], Callable[[Any, Any], None]]] = [
    (lambda value: isinstance(value, (list, bytearray)), _replace_items),
    (lambda value: isinstance(value, dict), _replace_pairs),
    (lambda value: isinstance(value, set), _replace_members),
]
_PLAIN = Decoder.with_keys()
_RICH = Decoder.with_keys()

# What a type's own methods read: an overridden one is not asked.
add_encoders(
    {
        list: lambda v, d, s: items_of(list.__iter__(v), d, s),
        tuple: lambda v, d, s: {"t": items_of(tuple.__iter__(v), d, s)},
        dict: lambda v, d, s: {"d": pairs_of(dict.items(v), d, s)},
        set: lambda v, d, s: {"s": items_of(set.__iter__(v), d, s)},
        frozenset: lambda v, d, s: {"z": items_of(frozenset.__iter__(v), d, s)},
        bytes: lambda v, d, s: {"b": bytes.hex(v)},
        bytearray: lambda v, d, s: {"a": bytearray.hex(v)},
        complex: lambda v, d, s: {"c": [complex.__complex__(v).real, complex.__complex__(v).imag]},
        range: lambda v, d, s: {"r": items_of((v.start, v.stop, v.step), d, s)},
        int: lambda v, d, s: encode(int.__add__(v, 0)),
        float: lambda v, d, s: float.__pos__(v),
        str: _encode_text,
    }
)
add_decoders(
    {
        "t": lambda decoder, body, depth: tuple(decoder.items(body, depth)),
        "d": lambda decoder, body, depth: decoder.pairs(body, depth),
        "s": _decode_set,
        "z": lambda decoder, body, depth: frozenset(_decode_set(decoder, body, depth)),
        "b": lambda decoder, body, depth: bytes.fromhex(body),
        "a": lambda decoder, body, depth: bytearray.fromhex(body),
        "c": _decode_complex,
        "r": lambda decoder, body, depth: range(*decoder.items(body, depth)),
        "i": _decode_int,
        "u": lambda decoder, body, depth: bytes.fromhex(body).decode("utf-8", "surrogatepass"),
    }
)
