"""The fenced blocks of a Markdown text as models write it: fences forgotten, glued to other text, or nested."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from zerocoder.syntax import Unusable

_FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})[ \t]*([^`]*)")
_TAG = re.compile(r"[\w+#-]+")
_NESTING = ("markdown", "md")
"""Tags of blocks whose text is Markdown itself."""


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block.

    tag: the first word after the fence, in lower case.
    heading: the last line before the fence that is not empty, or what stands before it on its own line.
    """

    tag: str
    text: str
    closed: bool
    heading: str = ""

    @property
    def code(self) -> str:
        """The text as a module: without an indentation that all its lines share."""
        return textwrap.dedent(self.text) if self.text.lstrip("\n")[:1] in (" ", "\t") else self.text


@dataclass(slots=True)
class _Open:
    """A block whose end is not yet seen."""

    tag: str
    fence: str
    indent: int
    heading: str
    lines: list[str]

    def is_limit(self, fence: re.Match[str]) -> bool:
        """Whether a fence closes the block (or, with a tag, starts the next)."""
        return fence[2].startswith(self.fence) and len(fence[1]) <= self.indent + 3

    def ended(self, closed: bool) -> Block:
        """The block; where no fence of its own line `closed` it, one at the end of a line does: `return x```."""
        lines = self.lines
        glued = None if closed else next((n for n, line in enumerate(lines) if self._is_glued(line)), None)
        if glued is not None:
            lines = [*lines[:glued], lines[glued].rstrip().removesuffix(self.fence)]
        return Block(self.tag, "\n".join(lines), closed or glued is not None, self.heading)

    def _is_glued(self, line: str) -> bool:
        line = line.rstrip()
        return line.endswith(self.fence) and line.count("`") == len(self.fence)


def fenced_blocks(text: str, truncated: bool = False) -> list[Block]:
    """The fenced blocks of a Markdown text, without the indentation of their fences.

    A fence that is indented by four or more columns inside of a block belongs to the block (a docstring's example); a
    fence with a tag inside of a block starts the next one (the model forgot to close the first). A fence may stand at
    the end of a line of prose (`Answer: ```python`). A `markdown` block stands for the blocks inside of it.

    Raises:
        Unusable: the text is `truncated` inside of a block, or has none at all.
    """
    blocks = list(_blocks(text))
    if truncated and (not blocks or not blocks[-1].closed):
        raise Unusable("cut off at the token limit")
    return [inner for block in blocks for inner in (_blocks(block.text) if block.tag in _NESTING else (block,))]


def _blocks(text: str) -> Iterator[Block]:
    opened: _Open | None = None
    heading = ""
    for line in text.split("\n"):
        fence = _FENCE.fullmatch(line)
        if opened is None:
            prose, fence = ("", fence) if fence else _after_prose(line)
            if fence:
                opened = _opened(fence, prose or heading)
            heading = "" if fence else line.strip() or heading
        elif fence is None or not opened.is_limit(fence):
            opened.lines.append(_dedent(line, opened.indent))
        else:
            starts = bool(fence[3].strip())
            yield opened.ended(closed=not starts)
            opened = _opened(fence, "") if starts else None
    if opened is not None:
        yield opened.ended(closed=False)


def _opened(fence: re.Match[str], heading: str) -> _Open:
    info = fence[3].strip()
    tag = _TAG.search(info)
    return _Open(
        tag="python" if info.endswith(".py") else tag[0].lower() if tag else "",
        fence=fence[2],
        indent=len(fence[1]),
        heading=heading,
        lines=[],
    )


def _after_prose(line: str) -> tuple[str, re.Match[str] | None]:
    """The prose and the fence of a line that ends in one: a tag, or a colon before it, says that a block starts."""
    at = line.find("```")
    prose = line[:at].strip()
    fence = _FENCE.fullmatch(line, at) if at > 0 and "`" not in prose else None
    if fence is None or not (prose.endswith(":") or _TAG.fullmatch(fence[3].strip())):
        return "", None
    return prose, fence


def _dedent(line: str, indent: int) -> str:
    return line[indent:] if line[:indent].strip() == "" else line.lstrip()
