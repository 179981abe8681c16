"""numpy's scalars and arrays: numbers, bools and text, as raw bytes, never as objects and never pickled.

Nothing here imports numpy. Values of it can only come from a process that has it loaded, where programs are allowed to
use it; a rich decoder then rebuilds them. A plain one refuses them: how they compare is up to numpy (a bool of it is
not True, a float32 equals the nearest Python float, an array of one item may be true).
"""

from __future__ import annotations

import math
import re
import sys
from typing import Any

from . import core
from .core import Decoder, Encoder, NotPlain, Shelf, Unsupported

_MAX_DIMENSIONS = 32
_DTYPE = re.compile(r"\|b1|\|[iu]1|[<>](?:[iu][248]|f[248]|c8|c16|U\d{1,7})|\|S\d{1,7}", re.ASCII)
_ITEMS: dict[str, type] = {"b": bool, "i": int, "u": int, "f": float, "c": complex, "U": str, "S": bytes}


def array_encoder(kind: type, mro: tuple[type, ...]) -> Encoder | None:
    """For numpy's own types. A subclass of ndarray (a matrix, a masked array) means more than its items."""
    numpy: Any = sys.modules.get("numpy")
    if numpy is None:
        return None
    if kind is numpy.ndarray:
        return _encode_array
    return _encode_scalar if any(base is numpy.generic for base in mro) else None


def _encode_array(value: Any, depth: int, shelf: Shelf) -> dict[str, Any]:
    return {"array": [_checked_dtype(value.dtype.str), list(value.shape), value.tobytes().hex()]}


def _encode_scalar(value: Any, depth: int, shelf: Shelf) -> Any:
    kind, mro = type(value), core.mro_of(type(value))
    generic: Any = sys.modules["numpy"].generic
    dtype: Any = generic.dtype.__get__(value)
    if dtype.type is not kind:  # a class of the program's own
        base = core.base_encoder(kind, mro)
        if base is None:
            raise Unsupported(f"{core.name_of(kind)} has no plain form")
        return base(value, depth, shelf)
    return {"np": [_checked_dtype(dtype.str), core.encode(generic.item(value), depth, shelf)]}


def _decode_scalar(decoder: Decoder, body: Any, depth: int) -> Any:
    dtype, encoded = body
    item = decoder.decode(encoded, depth)
    if type(item) is not _ITEMS[_checked_dtype(dtype)[1]]:
        raise Unsupported("not an item of its type")
    return _numpy().dtype(dtype).type(item)


def _decode_array(decoder: Decoder, body: Any, depth: int) -> Any:
    numpy = _numpy()
    text, shape, data = body
    dtype = numpy.dtype(_checked_dtype(text))
    raw = bytearray.fromhex(data)
    if type(shape) is not list or len(shape) > _MAX_DIMENSIONS:
        raise Unsupported("not a shape")
    if any(type(side) is not int or side < 0 for side in shape) or math.prod(shape) * dtype.itemsize != len(raw):
        raise Unsupported("an array of another size")
    if dtype.kind == "b" and raw.translate(None, b"\x00\x01"):
        raise Unsupported("not bools")
    return numpy.ndarray(shape, dtype, raw).copy()


def _refuse(decoder: Decoder, body: Any, depth: int) -> Any:
    raise NotPlain("a value of numpy's")


def _checked_dtype(text: Any) -> str:
    if type(text) is not str or _DTYPE.fullmatch(text) is None or text[1:] in ("U0", "S0"):
        raise Unsupported("a dtype without plain form")
    return text


def _numpy() -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is None:
        raise Unsupported("numpy is not allowed here")
    return numpy


def _is_array(value: Any) -> bool:
    numpy: Any = sys.modules.get("numpy")
    return numpy is not None and type(value) is numpy.ndarray


def _replace_array(value: Any, after: Any) -> None:
    value[...] = after


core.add_decoders(
    {"np": _refuse, "array": _refuse},
    rich={"np": _decode_scalar, "array": _decode_array},
)
core.add_overwriter(_is_array, _replace_array)
