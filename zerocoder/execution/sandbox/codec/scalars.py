"""Decimal, Fraction and the values of datetime, as themselves.

Decimals are bounded in digits and exponent and fractions in bits, as some of what a reader does with them (comparing
to an int, reducing) takes the square of their length.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

from . import core
from .core import Decoder, Shelf, Unsupported

MAX_DIGITS = 100_000
MAX_EXPONENT = 1 << 20  # a little further than the default context of decimal reaches
MAX_FRACTION_BITS = 1 << 16

_DECIMAL = re.compile(r"-?(?:\d+(?:\.\d+)?(?:E([+-]\d{1,19}))?|Infinity|s?NaN\d*)", re.ASCII | re.IGNORECASE)


def _encode_decimal(value: Any, depth: int, shelf: Shelf) -> dict[str, Any]:
    text = Decimal.__str__(value)
    _check_decimal(text)
    return {"dec": text}


def _decode_decimal(decoder: Decoder, body: Any, depth: int) -> Decimal:
    _check_decimal(body)
    return Decimal(body)


def _check_decimal(text: str) -> None:
    match = _DECIMAL.fullmatch(text)
    if match is None or len(text) > MAX_DIGITS or abs(int(match[1] or 0)) > MAX_EXPONENT:
        raise Unsupported("a Decimal that is out of bounds")


def _encode_fraction(value: Any, depth: int, shelf: Shelf) -> dict[str, Any]:
    slots: Any = Fraction
    parts = slots._numerator.__get__(value), slots._denominator.__get__(value)
    _check_fraction(*parts)
    return {"frac": core.items_of(parts, depth, shelf)}


def _decode_fraction(decoder: Decoder, body: Any, depth: int) -> Fraction:
    numerator, denominator = decoder.items(body, depth)
    _check_fraction(numerator, denominator)
    return Fraction(numerator, denominator)


def _check_fraction(numerator: Any, denominator: Any) -> None:
    if type(numerator) is not int or type(denominator) is not int:
        raise Unsupported("a Fraction holds two ints")
    if max(numerator.bit_length(), denominator.bit_length()) > MAX_FRACTION_BITS:
        raise Unsupported("a Fraction that is out of bounds")


def _date_parts(value: Any) -> list[int]:
    return [field.__get__(value) for field in (date.year, date.month, date.day)]  # type: ignore[attr-defined]


def _clock_parts(kind: Any, value: Any) -> list[Any]:
    fields = (kind.hour, kind.minute, kind.second, kind.microsecond, kind.fold)
    return [*(field.__get__(value) for field in fields), _zone_parts(kind.tzinfo.__get__(value))]


def _zone_parts(zone: Any) -> list[Any] | None:
    """A fixed offset and its name. Other time zones know rules of their own."""
    if zone is None:
        return None
    if type(zone) is not timezone:
        raise Unsupported("a time zone that is no fixed offset")
    return [*_delta_parts(zone.utcoffset(None)), core.encode(zone.tzname(None))]


def _delta_parts(value: Any) -> list[int]:
    fields = (timedelta.days, timedelta.seconds, timedelta.microseconds)
    return [field.__get__(value) for field in fields]  # type: ignore[attr-defined]


def _ints(body: Any, count: int) -> list[int]:
    if type(body) is not list or len(body) != count or any(type(part) is not int for part in body):
        raise Unsupported(f"not {count} ints")
    return body


def _zone(body: Any) -> timezone | None:
    if body is None:
        return None
    if type(body) is not list or len(body) != 4 or type(body[3]) is not str:
        raise Unsupported("no time zone")
    offset = timedelta(*_ints(body[:3], 3))
    default = UTC if not offset else timezone(offset)
    return default if default.tzname(None) == body[3] else timezone(offset, body[3])


def _decode_time(decoder: Decoder, body: Any, depth: int) -> time:
    *parts, zone = body
    *clock, fold = _ints(parts, 5)
    return time(*clock, tzinfo=_zone(zone), fold=fold)  # type: ignore[misc, arg-type]


def _decode_datetime(decoder: Decoder, body: Any, depth: int) -> datetime:
    *parts, zone = body
    *fields, fold = _ints(parts, 8)
    return datetime(*fields, tzinfo=_zone(zone), fold=fold)  # type: ignore[misc, arg-type]


def _decode_zone(decoder: Decoder, body: Any, depth: int) -> timezone:
    zone = _zone(body)
    if zone is None:
        raise Unsupported("no time zone")
    return zone


core.add_encoders(
    {
        Decimal: _encode_decimal,
        Fraction: _encode_fraction,
        datetime: lambda v, d, s: {"datetime": [*_date_parts(v), *_clock_parts(datetime, v)]},
        date: lambda v, d, s: {"date": _date_parts(v)},
        time: lambda v, d, s: {"time": _clock_parts(time, v)},
        timedelta: lambda v, d, s: {"delta": _delta_parts(v)},
        timezone: lambda v, d, s: {"zone": _zone_parts(v)},
    }
)
core.add_decoders(
    {
        "dec": _decode_decimal,
        "frac": _decode_fraction,
        "datetime": _decode_datetime,
        "date": lambda decoder, body, depth: date(*_ints(body, 3)),
        "time": _decode_time,
        "delta": lambda decoder, body, depth: timedelta(*_ints(body, 3)),
        "zone": _decode_zone,
    }
)
