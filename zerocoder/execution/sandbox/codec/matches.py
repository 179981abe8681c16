"""What `re.match` and its like find: programs that are asked whether a text matches often return the match itself.

What travels is the text, the spans of the groups and their names. Nothing is searched again.
"""

from __future__ import annotations

import re
from typing import Any

from . import core
from .core import Decoder, Shelf, Unsupported

_MAX_GROUPS = 200


class _Match:
    """A match: true, equal to nothing else, with the methods that read its groups."""

    def __init__(self, string: str, spans: list[tuple[int, int]], names: dict[str, int]) -> None:
        self.string = string
        self.regs = tuple(spans)
        self._names = names

    def span(self, group: int | str = 0) -> tuple[int, int]:
        number = self._names.get(group, -1) if isinstance(group, str) else group
        if not 0 <= number < len(self.regs):
            raise IndexError("no such group")
        return self.regs[number]

    def start(self, group: int | str = 0) -> int:
        return self.span(group)[0]

    def end(self, group: int | str = 0) -> int:
        return self.span(group)[1]

    def __getitem__(self, group: int | str) -> str | None:
        start, end = self.span(group)
        return None if start < 0 else self.string[start:end]

    def group(self, *groups: int | str) -> Any:
        found = tuple(self[group] for group in groups or (0,))
        return found[0] if len(found) == 1 else found

    def groups(self, default: Any = None) -> tuple[Any, ...]:
        return tuple(default if self[i] is None else self[i] for i in range(1, len(self.regs)))

    def groupdict(self, default: Any = None) -> dict[str, Any]:
        return {name: default if self[i] is None else self[i] for name, i in self._names.items()}


class _Opaque:
    """A match of which a literal test can only learn that it is one."""

    __slots__ = ()


def _encode(value: Any, depth: int, shelf: Shelf) -> dict[str, Any]:
    string, spans, pattern = value.string, value.regs, value.re  # the type cannot be derived from
    if type(string) is not str or len(spans) > _MAX_GROUPS:
        raise Unsupported("a match in something else than a text, or of many groups")
    names = [list(pair) for pair in pattern.groupindex.items()]
    return {"match": [core.encode(string), [list(span) for span in spans], names]}


def _decode(decoder: Decoder, body: Any, depth: int) -> _Match:
    encoded, spans, names = body
    string = decoder.decode(encoded, depth)
    if type(string) is not str or type(spans) is not list or type(names) is not list or not spans:
        raise Unsupported("not a match")
    for part in spans:
        if type(part) is not list or len(part) != 2 or any(type(i) is not int for i in part):
            raise Unsupported("not a span")
    for part in names:
        if type(part) is not list or len(part) != 2 or type(part[0]) is not str or type(part[1]) is not int:
            raise Unsupported("not a named group")
    return _Match(string, [(start, end) for start, end in spans], dict(names))


core.add_encoders({re.Match: _encode})
core.add_decoders({"match": lambda decoder, body, depth: _Opaque()}, rich={"match": _decode})
