"""The report as GitHub Markdown, with its pictures beside it."""

from __future__ import annotations

import re
from html import escape

from zerocoder.pages.markdown import escaped, table
from zerocoder.report.document import Block, Document, Note, Picture, Settings, Table


def markdown(document: Document) -> str:
    """The whole report; a picture is the file `<name>.svg` in the same folder."""
    parts = [f"# {escaped(document.title)}\n", f"{escaped(document.summary)}\n"]
    for section in document.sections:
        parts += [f"## {escaped(section.title)}\n", *map(_block, section.blocks)]
    return "\n".join(parts)


def _block(block: Block) -> str:
    match block:
        case Table():
            rules = ["---"] * block.texts + ["---:"] * (len(block.header) - block.texts)
            return table([*map(escaped, block.header)], rules, [[*map(escaped, row)] for row in block.rows])
        case Picture():
            return f"![{escaped(block.alt)}]({block.name}.svg)\n"
        case Note():
            return f"{escaped(block.text)}\n"
        case Settings():
            return _folded(block)


def _folded(block: Settings) -> str:
    """A code block that nothing in its text can end."""
    longest = max(map(len, re.findall("`+", block.text)), default=0)
    fence = "`" * max(3, longest + 1)
    title = escape(" ".join(block.title.split()))  # GitHub reads the line of a summary as HTML
    return f"<details><summary>{title}</summary>\n\n{fence}yaml\n{block.text.rstrip()}\n{fence}\n\n</details>\n"
