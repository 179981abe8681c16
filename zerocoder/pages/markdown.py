"""GitHub Markdown: tables, and texts that show as they are."""

from __future__ import annotations

from collections.abc import Sequence

_SPECIAL = str.maketrans({c: f"\\{c}" for c in "\\`*_{}[]<>#|~"} | {"&": "&amp;", "\n": " ", "\r": " "})


def escaped(text: str) -> str:
    """`text` as Markdown that shows it as it is, on one line of a table."""
    return text.translate(_SPECIAL)


def table(header: Sequence[str], rules: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown texts; `rules` are `---`, or `---:` for columns of numbers."""
    return "".join("| " + " | ".join(line) + " |\n" for line in (header, rules, *rows))
