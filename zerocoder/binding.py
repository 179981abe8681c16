"""Plain values <-> the dataclasses of the config: fills in defaults, checks names and types, tells what is wrong.

OmegaConf's structured configs would do much of this, but they know enums by member name rather than by value, turn
tuples into lists, cannot follow `_target_` to the class whose fields are meant, and explain a slip in several lines.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import sys
import types
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache
from typing import Any, NoReturn, Union, get_args, get_origin, get_type_hints

from zerocoder.problems import ZeroCoderError

TARGET = "_target_"
MISSING = "???"  # OmegaConf's mark of a value that has to be given
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", dict: "a mapping"}


class MissingValue(ZeroCoderError):
    """A value that has to be given is not."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} has to be given: add {key}=<value>")
        self.key = key


def bind(kind: type, values: Mapping[str, Any]) -> Any:
    """An instance of the dataclass `kind` from plain values.

    Raises ZeroCoderError, naming the dotted key, for an unknown key, a value that is missing or of the wrong type, and
    whatever the classes themselves refuse.
    """
    return _bind(kind, values, "", known_keys(kind, values))


def complete(kind: type, values: Mapping[str, Any], at: str = "") -> dict[str, Any]:
    """The defaults of `kind`, nested, that `values` does not give; `at` is the dotted name of `values` with its dot.

    `values` decides what is completed: fields that are given as null stay null, `_target_` names the class of a node.
    """
    missing: dict[str, Any] = {}
    hints = _hints(kind)
    for field in _fields(kind):
        given = values.get(field.name)
        nested = _class_of(hints[field.name], given, f"{at}{field.name}")
        left_open = field.name not in values and _default(field) is not None
        if nested is not None and (isinstance(given, Mapping) or left_open):
            missing[field.name] = complete(nested, given or {}, f"{at}{field.name}.")
        elif field.name not in values:
            missing[field.name] = MISSING if _default(field) is dataclasses.MISSING else plain(_default(field))
    return missing


def plain(value: Any) -> Any:
    """The reverse of `bind`: dicts, lists, text, numbers, booleans and None; nodes keep their `_target_`."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = _hints(type(value))
        fields: dict[str, Any] = {}
        for field in _fields(type(value)):
            item = getattr(value, field.name)
            fields[field.name] = plain(item)
            if hints[field.name] is Any and dataclasses.is_dataclass(item):
                fields[field.name] = {TARGET: _path_of(type(item)), **fields[field.name]}
        return fields
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value


def known_keys(kind: type, values: Mapping[str, Any], at: str = "") -> list[str]:
    """The dotted names of everything that can be set, given the nodes' `_target_`s in `values`."""
    keys = []
    hints = _hints(kind)
    for field in _fields(kind):
        key = f"{at}{field.name}"
        keys.append(key)
        given = values.get(field.name)
        nested = _class_of(hints[field.name], given, key)
        if nested is not None:
            keys += known_keys(nested, given if isinstance(given, Mapping) else {}, f"{key}.")
    return keys


def nearest(name: str, known: Sequence[str]) -> str:
    """`; did you mean 'x'?` for the known name that is close to `name`, else nothing."""
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean '{near[0]}'?" if near else ""


def _bind(kind: type, values: Mapping[str, Any], at: str, known: Sequence[str]) -> Any:
    fields = {field.name: field for field in _fields(kind)}
    for name in values:
        if name not in fields and name != TARGET:
            _refuse_unknown(f"{at}{name}", at, list(fields), known)
    hints = _hints(kind)
    given = {n: _convert(hints[n], values[n], f"{at}{n}", known) for n in fields if n in values}
    for name, field in fields.items():
        if name not in given and _default(field) is dataclasses.MISSING:
            _refuse_missing(f"{at}{name}")
    return kind(**given)


def _convert(kind: Any, value: Any, key: str, known: Sequence[str]) -> Any:
    if value == MISSING:
        _refuse_missing(key)
    if kind is Any:
        return _build(value, key, known)
    if get_origin(kind) in (Union, types.UnionType):
        options = get_args(kind)
        if value is None and type(None) in options:
            return None
        [kind] = [option for option in options if option is not type(None)]
        if not _fits(kind, value):
            _refuse(key, f"{_word(kind)} or null", value)
    if not _fits(kind, value):
        _refuse(key, _word(kind), value)
    if dataclasses.is_dataclass(kind):
        return _bind(kind, value, f"{key}.", known)  # type: ignore[arg-type]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(value)
    if get_origin(kind) is list:
        items = [value] if isinstance(value, str) else value  # one name needs no brackets
        return [_convert(get_args(kind)[0], item, f"{key}[{i}]", known) for i, item in enumerate(items)]
    if get_origin(kind) is tuple:
        return tuple(
            _convert(item_kind, item, f"{key}[{i}]", known)
            for i, (item_kind, item) in enumerate(zip(get_args(kind), value, strict=True))
        )
    return kind(value) if kind in (int, float) else value


def _fits(kind: Any, value: Any) -> bool:
    """Whether the value, not yet looked into, can become a `kind`."""
    origin = get_origin(kind)
    if dataclasses.is_dataclass(kind) or kind is dict or origin is dict:
        return isinstance(value, Mapping)
    if origin is list:
        return isinstance(value, list) or (isinstance(value, str) and get_args(kind)[0] is str)
    if origin is tuple:
        return isinstance(value, list) and len(value) == len(get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return value in [member.value for member in kind]
    if kind in (int, float):
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        if not abs(value) <= sys.float_info.max:  # too large for a float, infinite or not a number
            return False
        return kind is float or float(value).is_integer()  # 1e3 steps are 1000
    return isinstance(value, kind)


def _word(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is list:
        return "a list"
    if origin is tuple:
        return f"a list of {len(get_args(kind))} numbers"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return f"one of {', '.join(str(member.value) for member in kind)}"
    return _WORDS.get(origin or kind, "a mapping")


def _build(node: Any, key: str, known: Sequence[str]) -> Any:
    if not isinstance(node, Mapping) or TARGET not in node:
        raise ZeroCoderError(f"{key} must be a node with {TARGET}, the class that it is built from, got {_shown(node)}")
    return _bind(_import(node[TARGET], key), node, f"{key}.", known)


def _class_of(kind: Any, given: Any, key: str) -> type | None:
    """The dataclass whose fields a field of type `kind` holds, if any."""
    if kind is Any:
        target = given.get(TARGET) if isinstance(given, Mapping) else None
        return _import(target, key) if target is not None else None
    return next((option for option in (kind, *get_args(kind)) if dataclasses.is_dataclass(option)), None)  # type: ignore[return-value]


def _import(target: Any, key: str) -> type:
    """The dataclass of the dotted path `target`."""
    module, _, name = target.rpartition(".") if isinstance(target, str) else ("", "", "")
    try:
        kind = getattr(importlib.import_module(module), name) if module else None
    except (ImportError, AttributeError, TypeError) as error:
        raise ZeroCoderError(f"{key}.{TARGET}={target} cannot be imported: {error}") from error
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        raise ZeroCoderError(f"{key}.{TARGET}={target} must be the dotted path of a dataclass")
    return kind


def _path_of(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _fields(kind: type) -> list[dataclasses.Field[Any]]:
    return [field for field in dataclasses.fields(kind) if field.init]


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default


def _refuse_unknown(key: str, at: str, siblings: Sequence[str], known: Sequence[str]) -> NoReturn:
    name = key.removeprefix(at)
    near = difflib.get_close_matches(name, siblings, n=1, cutoff=0.7)
    # Not a slip of the pen? Perhaps a name that stands elsewhere: `max_steps` for `trainer.max_steps`.
    candidates = [f"{at}{near[0]}"] if near else [other for other in known if other.rpartition(".")[2] == name]
    if candidates:
        raise ZeroCoderError(f"unknown key '{key}'; did you mean '{candidates[0]}'?")
    owner = at.rstrip(".") or "the config"
    raise ZeroCoderError(f"unknown key '{key}'; {owner} has {', '.join(siblings) or 'no settings'}")


def _refuse_missing(key: str) -> NoReturn:
    raise MissingValue(key)


def _refuse(key: str, must: str, value: Any) -> NoReturn:
    quote = f" (put it in quotes: {key}=\"'{value}'\")" if must.startswith("text") and _is_number(value) else ""
    raise ZeroCoderError(f"{key} must be {must}, got {_shown(value)}{quote}")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 120 else text[:117] + "..."
