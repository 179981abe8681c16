"""Values on the wire: ASCII JSON with tags, plain builtins only, safe to decode whoever wrote it.

JSON carries None, bool, str, float, small int and list as themselves; everything else is an object with one key, the
tag. Instances of subclasses (IntEnum, namedtuple, Counter, defaultdict) travel as their plain base, read through the
base's own methods, so that an overridden `__eq__` or `__iter__` has no say. What has no plain form raises Unsupported:
it fails closed. A new type is one row in `_ENCODERS` and one in `_DECODERS`.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

MAX_DEPTH = 64
MAX_ITERATED = 10_000
_SMALL_INT = 1 << 62
_COLLISION_SECONDS = 0.5
_COLLISION_STRIDE = 512

_to_json = json.JSONEncoder(check_circular=False, separators=(",", ":")).encode


class Unsupported(Exception):
    """A value that has no plain form, is nested too deeply, or a frame that describes none."""


def encode(value: Any, depth: int = 0, iterators: bool = False) -> Any:
    """The JSON-able form of a value. `iterators` lets a generator travel as the items it yields."""
    kind = type(value)
    if value is None or kind is str or kind is bool or kind is float:
        return value
    if kind is int:
        return value if -_SMALL_INT < value < _SMALL_INT else {"i": hex(value)}
    if depth >= MAX_DEPTH:
        raise Unsupported(f"nested more than {MAX_DEPTH} deep")
    encoder = _ENCODERS.get(kind)
    if encoder is None:
        encoder = next((row for base, row in _ENCODERS.items() if issubclass(kind, base)), None)
    if encoder is not None:
        return encoder(value, depth + 1, iterators)
    if iterators and hasattr(kind, "__next__"):
        items = [encode(item, depth + 1, iterators) for item in itertools.islice(value, MAX_ITERATED + 1)]
        return {"g": [items[:MAX_ITERATED], len(items) <= MAX_ITERATED]}
    raise Unsupported(f"{kind.__name__} has no plain form")


def dumps(value: Any, iterators: bool = False) -> bytes:
    """A value as bytes."""
    return to_bytes(encode(value, iterators=iterators))


def to_bytes(encoded: Any) -> bytes:
    """Already encoded values (or plain JSON around them) as bytes."""
    return _to_json(encoded).encode("ascii")


def loads(data: bytes) -> Any:
    """The value of `dumps`. Raises Unsupported for bytes that no encoder writes."""
    return decode(from_bytes(data))


def from_bytes(data: bytes) -> Any:
    """The JSON in `data`. Raises Unsupported, whatever is wrong with it."""
    try:
        return json.loads(data.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise Unsupported("not a value") from error


def decode(encoded: Any, depth: int = 0) -> Any:
    """The value of an encoded form. Raises Unsupported for a form that no encoder writes."""
    kind = type(encoded)
    if kind is list:
        if depth >= MAX_DEPTH:
            raise Unsupported("nested too deeply")
        return [decode(item, depth + 1) for item in encoded]
    if kind is not dict:
        return encoded
    if len(encoded) != 1 or depth >= MAX_DEPTH:
        raise Unsupported("a tagged value has one tag")
    ((tag, body),) = encoded.items()
    decoder = _DECODERS.get(tag)
    if decoder is None:
        raise Unsupported("unknown tag")
    try:
        return decoder(body, depth + 1)
    except (TypeError, ValueError, OverflowError, MemoryError) as error:
        raise Unsupported("malformed value") from error


def _encoded_items(items: Iterable[Any], depth: int, iterators: bool) -> list[Any]:
    return [encode(item, depth, iterators) for item in items]


def _encode_dict(value: Any, depth: int, iterators: bool) -> dict[str, Any]:
    return {"d": [[encode(k, depth, iterators), encode(v, depth, iterators)] for k, v in dict.items(value)]}


# Order matters for subclasses: the first base that fits is taken.
_ENCODERS: dict[type, Callable[[Any, int, bool], Any]] = {
    list: lambda v, d, i: _encoded_items(list.__iter__(v), d, i),
    tuple: lambda v, d, i: {"t": _encoded_items(tuple.__iter__(v), d, i)},
    dict: _encode_dict,
    set: lambda v, d, i: {"s": _encoded_items(set.__iter__(v), d, i)},
    frozenset: lambda v, d, i: {"z": _encoded_items(frozenset.__iter__(v), d, i)},
    bytes: lambda v, d, i: {"b": bytes.hex(v)},
    bytearray: lambda v, d, i: {"a": bytearray.hex(v)},
    complex: lambda v, d, i: {"c": [complex.__complex__(v).real, complex.__complex__(v).imag]},
    range: lambda v, d, i: {"r": _encoded_items((v.start, v.stop, v.step), d, i)},
    int: lambda v, d, i: encode(int.__add__(v, 0)),
    float: lambda v, d, i: float.__pos__(v),
    str: lambda v, d, i: str.__str__(v),
}


def _items(body: Any, depth: int) -> list[Any]:
    if type(body) is not list:
        raise Unsupported("a container holds a list")
    return [decode(item, depth) for item in body]


def _paced(items: list[Any]) -> Iterator[Any]:
    """The items of a set or dict to be built; stops when building is slow, as keys chosen to collide make it."""
    start = time.thread_time()
    for n, item in enumerate(items, 1):
        if n % _COLLISION_STRIDE == 0 and time.thread_time() - start > _COLLISION_SECONDS:
            raise Unsupported("keys that collide")
        yield item


def _decode_dict(body: Any, depth: int) -> dict[Any, Any]:
    if type(body) is not list or not all(type(pair) is list and len(pair) == 2 for pair in body):
        raise Unsupported("a dict holds pairs")
    return {decode(key, depth): decode(value, depth) for key, value in _paced(body)}


def _decode_complex(body: Any, depth: int) -> complex:
    real, imag = body
    if type(real) is not float or type(imag) is not float:
        raise Unsupported("a complex number holds two floats")
    return complex(real, imag)


def _decode_iterator(body: Any, depth: int) -> Iterator[Any]:
    items, complete = body
    return _replayed(_items(items, depth), complete is True)


def _replayed(items: list[Any], complete: bool) -> Iterator[Any]:
    yield from items
    if not complete:
        raise Unsupported(f"more than {MAX_ITERATED} items were asked of an iterator")


_DECODERS: dict[str, Callable[[Any, int], Any]] = {
    "t": lambda body, depth: tuple(_items(body, depth)),
    "d": _decode_dict,
    "s": lambda body, depth: set(_paced(_items(body, depth))),
    "z": lambda body, depth: frozenset(_paced(_items(body, depth))),
    "b": lambda body, depth: bytes.fromhex(body),
    "a": lambda body, depth: bytearray.fromhex(body),
    "c": _decode_complex,
    "r": lambda body, depth: range(*_items(body, depth)),
    "i": lambda body, depth: int(body, 16),
    "g": _decode_iterator,
}
