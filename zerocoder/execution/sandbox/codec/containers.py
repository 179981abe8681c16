"""Counter, OrderedDict, defaultdict and deque, as themselves."""

from __future__ import annotations

from collections import Counter, OrderedDict, defaultdict, deque
from typing import Any

from . import core
from .core import Decoder, Shelf, Unsupported

_FACTORIES = {
    kind.__name__: kind
    for kind in (bool, bytearray, bytes, complex, dict, float, frozenset, int, list, set, str, tuple, deque)
}
_FACTORY_NAMES = {id(kind): name for name, kind in _FACTORIES.items()}
_OWN = "?"  # a factory that is the program's own


def _unknown_default() -> Any:
    raise Unsupported("the default of this defaultdict is the program's own")


def _encode_defaultdict(value: Any, depth: int, shelf: Shelf) -> dict[str, Any]:
    slots: Any = defaultdict
    factory = slots.default_factory.__get__(value)
    name = None if factory is None else _FACTORY_NAMES.get(id(factory), _OWN)
    return {"ddict": [name, core.pairs_of(dict.items(value), depth, shelf)]}


def _decode_defaultdict(decoder: Decoder, body: Any, depth: int) -> defaultdict[Any, Any]:
    name, pairs = body
    factory: Any = None if name is None else _unknown_default if name == _OWN else _FACTORIES.get(name)
    if factory is None and name is not None:
        raise Unsupported("an unknown factory")
    return defaultdict(factory, decoder.pairs(pairs, depth))


def _encode_deque(value: Any, depth: int, shelf: Shelf) -> dict[str, Any]:
    slots: Any = deque
    length = slots.maxlen.__get__(value)
    return {"deque": [length, core.items_of(deque.__iter__(value), depth, shelf)]}


def _decode_deque(decoder: Decoder, body: Any, depth: int) -> deque[Any]:
    length, items = body
    if length is not None and (type(length) is not int or length < len(items)):
        raise Unsupported("a deque longer than it can be")
    return deque(decoder.items(items, depth), length)


def _decode_ordered(decoder: Decoder, body: Any, depth: int) -> OrderedDict[Any, Any]:
    return OrderedDict(decoder.pairs(body, depth))


def _replace_deque(value: Any, after: Any) -> None:
    value.clear()
    value.extend(after)


core.add_encoders(
    {
        Counter: lambda v, d, s: {"counter": core.pairs_of(dict.items(v), d, s)},
        OrderedDict: lambda v, d, s: {"odict": core.pairs_of(OrderedDict.items(v), d, s)},
        defaultdict: _encode_defaultdict,
        deque: _encode_deque,
    }
)
core.add_decoders(
    {
        "counter": lambda decoder, body, depth: Counter(decoder.pairs(body, depth)),
        "odict": _decode_ordered,
        "ddict": _decode_defaultdict,
        "deque": _decode_deque,
    }
)
core.add_overwriter(lambda value: isinstance(value, deque), _replace_deque)
