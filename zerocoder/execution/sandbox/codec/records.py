"""Values of classes that a program defines without behaviour: namedtuples, dataclass instances, enum members.

What travels is data: the names of the class and its fields, and the values. A rich decoder rebuilds a class from the
names; nothing the program wrote in the class body comes along. A dataclass instance equals another of the same class
name and the same compared fields, and an enum member one of the same class name, name and value, so that a test that
defines the class itself can compare to it. A plain decoder, whose values meet nothing but literals, makes no classes.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import keyword
import operator
import types
import unicodedata
from collections import namedtuple
from typing import Any

from . import core
from .core import Decoder, Encoder, NotPlain, Shelf, Undecidable, Unsupported

_MAX_NAME_CHARS = 200
_MAX_FIELDS = 500
_MAX_CLASSES = 256
_OWN_TRUTH = "the program's own class says whether this is true"


class _Opaque:
    """A value of which a literal test can only learn that it is no literal, and perhaps whether it is true."""

    __slots__ = ("_truth",)

    def __init__(self, truth: bool | None) -> None:
        self._truth = truth

    def __bool__(self) -> bool:
        if self._truth is None:
            raise NotPlain(_OWN_TRUTH)
        return self._truth


def special_encoder(kind: type, mro: tuple[type, ...]) -> Encoder | None:
    """For enum members and namedtuples, which have bases with rows of their own."""
    if issubclass(type(kind), enum.EnumType):
        return _encode_member
    if any(base is tuple for base in mro) and _named_fields(kind) is not None:
        return _encode_named
    return None


def dataclass_encoder(kind: type, mro: tuple[type, ...]) -> Encoder | None:
    """For instances of dataclasses that have no base with a row."""
    return _encode_record if type(core.attribute(kind, "__dataclass_fields__")) is dict else None


def _named_fields(kind: type) -> list[str] | None:
    fields = core.attribute(kind, "_fields")
    return list(fields) if type(fields) is tuple and all(type(name) is str for name in fields) else None


def _encode_named(value: Any, depth: int, shelf: Shelf) -> Any:
    items = core.items_of(tuple.__iter__(value), depth, shelf)
    fields = _named_fields(type(value))
    if fields is None or len(fields) != len(items):
        return {"t": items}
    return {"named": [core.name_of(type(value)), fields, items]}


def _encode_member(value: Any, depth: int, shelf: Shelf) -> Any:
    mro = core.mro_of(type(value))
    base = core.base_encoder(type(value), mro)
    if base is not None and not any(kind is int or kind is str for kind in mro):
        return base(value, depth, shelf)
    return {
        "enum": [
            core.name_of(type(value)),
            core.encode(_stored(value, "_name_")),
            core.encode(_stored(value, "_value_"), depth, shelf),
            None if base is None else base(value, depth, shelf),
            _truth_of_member(value),
        ]
    }


def _truth_of_member(value: Any) -> bool | None:
    """Whether a member is true; None where code of the program says so."""
    teller = core.truth_from(type(value))
    if teller is enum.Flag:
        stored = _stored(value, "_value_")
        return stored != 0 if type(stored) is int else None
    return True if teller is None else None


def _encode_record(value: Any, depth: int, shelf: Shelf) -> dict[str, Any]:
    kind = type(value)
    fields: list[Any] = [
        field
        for field in core.attribute(kind, "__dataclass_fields__").values()
        if type(field) is dataclasses.Field and field._field_type is dataclasses._FIELD  # type: ignore[attr-defined]
    ]
    params: Any = core.attribute(kind, "__dataclass_params__")
    flags = [getattr(params, name, False) is True for name in ("eq", "order", "frozen", "unsafe_hash")]
    flags.append(core.truth_from(kind) is None)
    stored = [
        [str.__str__(f.name), f.compare is not False, core.encode(_stored(value, f.name), depth, shelf)] for f in fields
    ]
    return {"record": [core.name_of(kind), stored, flags]}


def _stored(value: Any, name: str) -> Any:
    """An attribute as the object stores it: in a slot, its dict or its class, without any code of the class."""
    namespaces = [core.namespace_of(base) for base in core.mro_of(type(value))]
    found = next((namespace[name] for namespace in namespaces if name in namespace), None)
    if type(found) is types.MemberDescriptorType:
        try:
            return found.__get__(value)
        except AttributeError as error:
            raise Unsupported(f"{name} is not set") from error
    dicts = (namespace.get("__dict__") for namespace in namespaces)
    reader = next((entry for entry in dicts if type(entry) is types.GetSetDescriptorType), None)
    own: Any = {} if reader is None else reader.__get__(value)
    if dict.__contains__(own, name):
        return dict.__getitem__(own, name)
    if found is None:
        raise Unsupported(f"{name} is not set")
    return found  # the default of a field


def _name(text: Any) -> str:
    """A name that may stand in source code as it is: class and field names become part of generated methods."""
    if type(text) is not str or len(text) > _MAX_NAME_CHARS or not text.isidentifier() or keyword.iskeyword(text):
        raise Unsupported("not a name")
    if unicodedata.normalize("NFKC", text) != text or (text.startswith("__") and text.endswith("__")):
        raise Unsupported("not a name")
    return text


def _names(texts: Any) -> tuple[str, ...]:
    if type(texts) is not list or len(texts) > _MAX_FIELDS:
        raise Unsupported("not a list of names")
    return tuple(map(_name, texts))


def _decode_named_plainly(decoder: Decoder, body: Any, depth: int) -> tuple[Any, ...]:
    _, _, items = body
    return tuple(decoder.items(items, depth))


def _decode_named(decoder: Decoder, body: Any, depth: int) -> Any:
    name, fields, items = body
    kind = _named_class(_name(name), _names(fields))
    return kind._make(decoder.items(items, depth))


@functools.lru_cache(_MAX_CLASSES)
def _named_class(name: str, fields: tuple[str, ...]) -> Any:
    # rename: the fields of one that was itself made with it are called _0, _1, ...
    return namedtuple(name, fields, rename=True)  # type: ignore[misc]


def _check_flags(flags: Any) -> None:
    if type(flags) is not list or len(flags) != 5 or any(type(flag) is not bool for flag in flags):
        raise Unsupported("not a record")


def _decode_record_plainly(decoder: Decoder, body: Any, depth: int) -> _Opaque:
    _, _, flags = body
    _check_flags(flags)
    return _Opaque(True if flags[-1] else None)


def _decode_record(decoder: Decoder, body: Any, depth: int) -> Any:
    name, fields, flags = body
    _check_flags(flags)
    names = _names([field for field, _, _ in fields])
    kind = _record_class(_name(name), names, tuple(compare is True for _, compare, _ in fields), tuple(flags))
    record = object.__new__(kind)
    for field, _, value in fields:
        object.__setattr__(record, field, decoder.decode(value, depth))
    return record


@functools.lru_cache(_MAX_CLASSES)
def _record_class(name: str, fields: tuple[str, ...], compared: tuple[bool, ...], flags: tuple[bool, ...]) -> Any:
    eq, order, frozen, unsafe_hash, always_true = flags
    return dataclasses.make_dataclass(
        name,
        [(f, Any, dataclasses.field(compare=compare)) for f, compare in zip(fields, compared, strict=True)],
        namespace=({"__eq__": _equal_records} if eq else {}) | ({} if always_true else {"__bool__": _truth_unknown}),
        eq=eq, order=order, frozen=frozen, unsafe_hash=unsafe_hash,
    )  # fmt: skip


def _truth_unknown(self: Any) -> bool:
    raise Undecidable(_OWN_TRUTH)


def _equal_records(self: Any, other: Any) -> Any:
    """As a dataclass' own __eq__, for any class of the same name and fields."""
    if type(other).__name__ != type(self).__name__ or not dataclasses.is_dataclass(other):
        return NotImplemented
    mine, theirs = ([f.name for f in dataclasses.fields(side) if f.compare] for side in (self, other))
    return mine == theirs and _values(self, mine) == _values(other, theirs)


def _values(record: Any, names: list[str]) -> tuple[Any, ...]:
    return tuple(getattr(record, name) for name in names)


class _Member:
    """An enum member, by the name of its class."""

    def __init__(self, enum_name: str, name: str | None, value: Any, truth: bool | None) -> None:
        self._enum_name = enum_name
        self._truth = truth
        self.name = name
        self.value = value

    def __eq__(self, other: object) -> Any:
        if isinstance(other, _Member):
            kind = other._enum_name
        elif isinstance(other, enum.Enum):
            kind = type(other).__name__
        else:
            return NotImplemented
        return (self._enum_name, self.name, self.value) == (kind, other.name, other.value)

    def __bool__(self) -> bool:
        return _truth_unknown(self) if self._truth is None else self._truth

    def __hash__(self) -> int:
        return hash(self.name)  # as of a member itself

    def __repr__(self) -> str:
        return f"<{self._enum_name}.{self.name}: {self.value!r}>"

    def __str__(self) -> str:
        return f"{self._enum_name}.{self.name}"


class _IntMember(int):
    """A member of an IntEnum or IntFlag: its int, with a name."""

    name: str | None
    value: Any


class _StrMember(str):
    """A member of a StrEnum: its text, with a name."""

    name: str | None
    value: Any


def _decode_member_plainly(decoder: Decoder, body: Any, depth: int) -> Any:
    _, _, _, base, truth = body
    return _Opaque(_checked_truth(truth)) if base is None else _member_base(decoder, base, depth)


def _decode_member(decoder: Decoder, body: Any, depth: int) -> Any:
    enum_name, encoded_name, encoded, encoded_base, truth = body
    name = decoder.decode(encoded_name, depth)
    if type(enum_name) is not str or not (name is None or type(name) is str):
        raise Unsupported("an enum member has names")
    value = decoder.decode(encoded, depth)
    if encoded_base is None:
        return _Member(enum_name, name, value, _checked_truth(truth))
    base = _member_base(decoder, encoded_base, depth)
    member = (_IntMember if type(base) is int else _StrMember)(base)
    member.name, member.value = name, value
    return member


def _checked_truth(truth: Any) -> bool | None:
    if truth is not None and type(truth) is not bool:
        raise Unsupported("neither true nor false nor unknown")
    return truth


def _member_base(decoder: Decoder, encoded: Any, depth: int) -> Any:
    base = decoder.decode(encoded, depth)
    if type(base) is not int and type(base) is not str:
        raise Unsupported("a member is an int or a text besides")
    return base


def _replace_fields(value: Any, after: Any) -> None:
    for name in map(operator.attrgetter("name"), dataclasses.fields(after)):
        object.__setattr__(value, name, getattr(after, name))


core.add_decoders(
    {
        "named": _decode_named_plainly,
        "record": _decode_record_plainly,
        "enum": _decode_member_plainly,
    },
    rich={"named": _decode_named, "record": _decode_record, "enum": _decode_member},
)
core.add_overwriter(lambda value: dataclasses.is_dataclass(value) and not isinstance(value, type), _replace_fields)
