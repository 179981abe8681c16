"""Iterators: they stay with the program, and are asked for an item when a test asks for it.

What travels is a number, under which the program's process keeps the iterator; the judge has a generator in its place,
which asks for what comes next by message. So an iterator may have no end, or fail later, as it may beside a test.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from . import core
from .core import Decoder, Encoder, NotPlain, Shelf, Undecidable, Unsupported

# The first items are asked for one by one: an iterator that a test takes some items of may compute for long, or for
# ever, to find the one after them. One that has gone on for so many is asked for some ahead, as a message costs more
# than an item; only then has it gone further than the test, which a test can see if the items come with side effects.
NUM_SINGLE = 64
_MAX_AHEAD = 1000
_MAX_AHEAD_BYTES = 1 << 15
_MAX_AHEAD_SECONDS = 0.005

Pull = Callable[[int, Any], tuple[list[Any], bool]]  # number, what is sent to a generator; items, whether it has ended


class Kept:
    """An iterator on the shelf."""

    def __init__(self, value: Any) -> None:
        self._value = value
        self._iterator: Any = None
        self._num_taken = 0
        self._late: BaseException | None = None  # raised ahead of the test

    def pulled(self, sent: Any, shelf: list[Any]) -> list[Any]:
        """The encoded next items, at least one unless it has ended, and whether it has. Raises what it raises."""
        if self._late is not None:
            late, self._late = self._late, None
            raise late
        encoded: list[Any] = []
        size, start = 0, time.thread_time()
        while True:
            try:
                item = core.encode(self._next(sent), 1, shelf)  # before the next one, which may change it
            except StopIteration:
                return [encoded, True]
            except BaseException as error:
                if not encoded:
                    raise
                self._late = error
                return [encoded, False]
            sent = None
            encoded.append(item)
            self._num_taken += 1
            size += len(core.to_bytes(item))
            if (
                self._num_taken <= NUM_SINGLE
                or len(encoded) == _MAX_AHEAD
                or size > _MAX_AHEAD_BYTES
                or time.thread_time() - start > _MAX_AHEAD_SECONDS
            ):
                return [encoded, False]

    def _next(self, sent: Any) -> Any:
        if self._iterator is None:
            self._iterator = iter(self._value)
        return next(self._iterator) if sent is None else self._iterator.send(sent)


def iterator_encoder(kind: type, mro: tuple[type, ...]) -> Encoder | None:
    """For what can be iterated once."""
    return _encode if any("__next__" in core.namespace_of(base) for base in mro) else None


def rich_decoder(pull: Pull) -> Callable[[Any], Any]:
    """A rich `decode` whose iterators take their items from `pull`."""
    return core.rich_decoder({"g": lambda decoder, body, depth: _pulling(pull, _number(body))})


def _encode(value: Any, depth: int, shelf: Shelf) -> dict[str, Any]:
    if shelf is None:
        raise Unsupported("an iterator that no test consumes")
    if core.truth_from(type(value)) is not None:
        raise Unsupported("an iterator that may be false")
    shelf.append(Kept(value))
    return {"g": len(shelf) - 1}


def _number(body: Any) -> int:
    if type(body) is not int or body < 0:
        raise Unsupported("not the number of an iterator")
    return body


def _pulling(pull: Pull, number: int) -> Iterator[Any]:
    ended, sent = False, None
    while not ended:
        items, ended = pull(number, sent)
        sent = None
        for left, item in zip(reversed(range(len(items))), items, strict=True):
            sent = yield item
            if sent is not None and (left or ended):
                raise Undecidable("something is sent to a generator that has gone ahead")


def _refuse(decoder: Decoder, body: Any, depth: int) -> Any:
    raise NotPlain("an iterator that nobody consumes")


core.add_decoders({"g": _refuse})
