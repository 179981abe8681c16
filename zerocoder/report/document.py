"""What a report is made of, whatever it is written as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of texts. The first `texts` columns are words, the others numbers."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    texts: int = 1


@dataclass(frozen=True, slots=True)
class Picture:
    """An SVG; `name` is its file's name without the ending, `alt` says what it shows to who cannot see it."""

    name: str
    svg: str
    alt: str


@dataclass(frozen=True, slots=True)
class Note:
    """A paragraph below or above what it is about."""

    text: str


@dataclass(frozen=True, slots=True)
class Settings:
    """A whole config as YAML, folded away."""

    title: str
    text: str


Block = Table | Picture | Note | Settings


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and what is below it; `key` is its name in an address."""

    key: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Document:
    """A whole report."""

    title: str
    summary: str
    sections: Sequence[Section]

    @property
    def pictures(self) -> list[Picture]:
        return [block for section in self.sections for block in section.blocks if isinstance(block, Picture)]
