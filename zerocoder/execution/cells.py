"""The programs and tests of one job, each distinct one once, and what has come of their cells."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Generic, NamedTuple, TypeVar

from zerocoder.execution.verdicts import Verdict

Item = TypeVar("Item", bound=Hashable)


@dataclass
class Distinct(Generic[Item]):
    """A program's source or a test, and the rows or columns of the matrix it stands for."""

    item: Item
    places: list[int]
    compiled: Any = None  # the planner's: a program's code; a literal test's calls and checks, or whether it is sealed


class Round(Enum):
    """What the open cells of a job are."""

    FIRST = 0  # all that is not known
    REST = 1  # of programs that were late on a test: the other tests
    AGAIN = 2  # of programs that were late: what was late or not run, with a larger budget


class Outcome(NamedTuple):
    """What came of a cell: its verdict, and the microseconds of CPU it took or was late after."""

    verdict: Verdict
    micros: int

    @property
    def ended(self) -> bool:
        """Whether the program ended on the test."""
        return self.verdict not in (Verdict.TIMEOUT, Verdict.CANCELLED, Verdict.INFRA)


@dataclass
class Row:
    """A distinct program and what is known of it on each distinct test; None is open."""

    program: Distinct[str]
    cells: list[Outcome | None]
    fresh: set[int] = field(default_factory=set)  # cells that ran, rather than came from the cache
    sealed: bool = False  # leaves nothing behind in the process it runs in: the planner's word
    watched: bool = False  # can be proven to be endless: likewise
    has_ended: bool = False  # on any test that ran

    @property
    def open_cells(self) -> list[int]:
        return [cell for cell, outcome in enumerate(self.cells) if outcome is None]


def parts(rows: list[int], most: int) -> list[list[int]]:
    """The rows in as few parts of at most `most` as there can be, of about the same size."""
    num_parts = math.ceil(len(rows) / most)
    return [rows[len(rows) * n // num_parts : len(rows) * (n + 1) // num_parts] for n in range(num_parts)]


def distinct(items: Iterable[tuple[int, Item]]) -> list[Distinct[Item]]:
    found: dict[Item, Distinct[Item]] = {}
    for place, item in items:
        found.setdefault(item, Distinct(item, [])).places.append(place)
    return list(found.values())


def placed(items: Sequence[Distinct[Any]]) -> tuple[list[int], list[int]]:
    """All places that the items stand for, and the number of the item at each."""
    pairs = [(place, number) for number, item in enumerate(items) for place in item.places]
    return [place for place, _ in pairs], [number for _, number in pairs]


def joined(items: list[Distinct[Item]], groups: list[int]) -> list[int]:
    """Gives the places of each item to the first of its group; the places of those in no group (-1) are returned."""
    broken: list[int] = []
    for index, group in enumerate(groups):
        if group < 0:
            broken += items[index].places
        elif group != index:
            items[group].places += items[index].places
    return broken
