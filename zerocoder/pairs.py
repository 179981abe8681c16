"""An input and its expected output out of the blocks of a tester's answer, in the ways models write them.

Asked for an `input` block and an `output` block, models also put headings over untagged blocks, both into one block
under `Input:` and `Output:`, or JSON. Of several pairs the last one counts, as with blocks of code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from zerocoder.markdown import Block
from zerocoder.problems import TestCase
from zerocoder.syntax import Unusable

_PLAIN = ("", "text", "txt", "plaintext", "plain", "bash", "sh", "console", "yaml")
_JSON = ("json", "jsonl", "json5")
_KINDS = {"input": "input", "stdin": "input", "output": "output", "stdout": "output"}
_HEADING = re.compile(
    r"[\s#*_>\-\d.()]*(?:(?:sample|example|test|case|standard|expected|the|correct)[\s_\-]+){0,3}"
    r"(?P<kind>input|output|stdin|stdout)\b"
    r"[\s\d#*_()]*(?P<colon>:?)[\s*_]*(?P<rest>.*)",
    re.IGNORECASE,
)
_OTHER = re.compile(r"[\s#*_]*(?:explanation|note|sample|example|test(?: case)?)\b[\s\d#*_]*(?::.*)?", re.IGNORECASE)


def input_output(blocks: Sequence[Block]) -> TestCase:
    """The last pair of the answer. Line ends at the end of the output do not matter.

    Raises:
        Unusable: there is none, or its output is empty.
    """
    pairs = list(_written(blocks))
    if not pairs and len(blocks) == 2 and all(b.tag in _PLAIN for b in blocks):
        pairs = [(blocks[0].text, blocks[1].text)]
    if not pairs:
        raise Unusable("needs an input block followed by an output block")
    given, expected = pairs[-1]
    if not expected.strip():
        raise Unusable("the output block is empty")
    return TestCase(stdin=given if given.endswith("\n") else f"{given}\n", stdout=f"{expected.rstrip()}\n")


def _written(blocks: Sequence[Block]) -> Iterator[tuple[str, str]]:
    """Every pair that the blocks say is one, in order."""
    follower = dict(pairwise([*range(len(blocks)), None]))
    for number, block in enumerate(blocks):
        after = follower[number]
        if after is not None and _kind(block) == "input" and _kind(blocks[after]) == "output":
            yield block.text, blocks[after].text
        elif block.tag in _PLAIN:
            yield from _in_one(block.text)
        elif block.tag in _JSON:
            yield from _in_json(block.text)


def _kind(block: Block) -> str:
    """`input`, `output` or nothing, by the block's tag, else by the heading over it."""
    if block.tag not in _PLAIN:
        return _KINDS.get(block.tag, "")
    heading = _HEADING.fullmatch(block.heading)
    return _KINDS[heading["kind"].lower()] if heading and not heading["rest"] else ""


def _in_one(text: str) -> Iterator[tuple[str, str]]:
    """Pairs of one block: what stands after an `Input:` line, up to `Output:`, and what stands after that."""
    parts: list[tuple[str, list[str]]] = []
    for line in text.split("\n"):
        heading = _HEADING.fullmatch(line)
        if heading and (heading["colon"] or not heading["rest"]):
            parts.append((_KINDS[heading["kind"].lower()], [heading["rest"]] if heading["rest"] else []))
        elif _OTHER.fullmatch(line):
            parts.append(("", []))
        elif parts:
            parts[-1][1].append(line)
    told = [(kind, "\n".join(lines).strip("\n")) for kind, lines in parts if kind]
    for (first, given), (second, expected) in pairwise(told):
        if (first, second) == ("input", "output"):
            yield given, expected


def _in_json(text: str) -> Iterator[tuple[str, str]]:
    """The pairs of a JSON object or of a list of them, with keys such as "input" and "expected_output"."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return
    for item in value if isinstance(value, list) else [value]:
        named = {}
        for key, content in item.items() if isinstance(item, dict) else ():
            kind = _HEADING.fullmatch(key)
            if kind and not kind["rest"] and _text(content) is not None:
                named[_KINDS[kind["kind"].lower()]] = str(_text(content))
        if len(named) == 2:
            yield named["input"], named["output"]


def _text(content: Any) -> str | None:
    """A text, or the lines of one."""
    if isinstance(content, list) and all(isinstance(line, str) for line in content):
        return "\n".join(content)
    if isinstance(content, int | float) and not isinstance(content, bool):
        return str(content)
    return content if isinstance(content, str) else None
