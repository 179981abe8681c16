"""Fenced blocks as models write them: the first table is what a reader would see, the second what no one can tell."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocoder.markdown import Block, fenced_blocks
from zerocoder.syntax import Unusable

A, B = "a = 1\nb = 2", "c = 3"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"```python\n{A}\n```", [("python", A)]),
        (f"```python\n{A}\n```\nor\n```\n{B}\n```", [("python", A), ("", B)]),
        (f"Assistant: ```python\n{A}\n```", [("python", A)]),
        (f"1. ```python\n{A}\n```", [("python", A)]),
        (f"The output: ```\n{B}\n```", [("", B)]),
        (f"It is ```\n{A}\n```", [("", "")]),  # nothing says that a block starts: the last fence opens one
        (f"Use ```x``` here\n```python\n{A}\n```", [("python", A)]),
        (f"```python\n{A}```", [("python", A)]),
        (f"```python\n{A}```\nDone.", [("python", A)]),
        (f"```input\n{B}```\n```output\n{B}```", [("input", B), ("output", B)]),
        ('```python\nx = """\n    ```\n    f(1)\n    ```\n"""\n```', [("python", 'x = """\n    ```\n    f(1)\n    ```\n"""')]),
        (f"````markdown\n```python\n{A}\n```\n````", [("python", A)]),
        (f"```markdown\n```python\n{A}\n```\n```", [("python", A), ("", "")]),
        (f"```python:solution.py\n{A}\n```", [("python", A)]),
        (f"```solution.py\n{A}\n```", [("python", A)]),
        (f"```Python 3\n{A}\n```", [("python", A)]),
        (f"```{{.python .numberLines}}\n{A}\n```", [("python", A)]),
        (f"```python\n{A}\n```python\n{B}\n```", [("python", A), ("python", B)]),
        (f"```python\n{A}\n```\n```", [("python", A), ("", "")]),
        ("    ```python\n    x = 1\n    ```", [("python", "x = 1")]),
        (f"~~~python\n{A}\n~~~", [("python", A)]),
        (f"~~~python\n```\n{A}\n~~~", [("python", f"```\n{A}")]),
        ("```python\n\tx = 1\n```", [("python", "\tx = 1")]),
        ("no fence", []),
        ("`x = 1`", []),
        ("``x``", []),
    ],
)  # fmt: skip
def test_blocks(text: str, expected: list[tuple[str, str]]) -> None:
    assert [(b.tag, b.text) for b in fenced_blocks(text)] == expected


@pytest.mark.parametrize(
    ("text", "headings"),
    [
        ("**Input:**\n```\n1\n```\n\nOutput:\n\n```\n2\n```", ["**Input:**", "Output:"]),
        ("Input: ```\n1\n```\n```\n2\n```", ["Input:", ""]),
        ("```a\n1\n```b\n2\n```", ["", ""]),
    ],
)
def test_headings(text: str, headings: list[str]) -> None:
    assert [b.heading for b in fenced_blocks(text)] == headings


def test_code_loses_a_shared_indentation_only() -> None:
    assert Block("", "    def f():\n        pass", True).code == "def f():\n    pass"
    assert Block("", "def f():\n    pass", True).code == "def f():\n    pass"


def test_cut_off() -> None:
    for text in ("", "prose", "```python\nx = 1", "```a\n1\n```\n```b\n2"):
        with pytest.raises(Unusable, match="cut off"):
            fenced_blocks(text, truncated=True)
    assert len(fenced_blocks("```a\n1\n```\nand so", truncated=True)) == 1


@given(
    st.lists(
        st.sampled_from(["```", "````", "~~~", "python", "markdown", "\n", " ", "x:", "a```", "\t", "`"]), max_size=40
    )
)
def test_any_text_is_taken(pieces: list[str]) -> None:
    text = "".join(pieces)
    blocks = fenced_blocks(text)
    assert sum(len(b.text) for b in blocks) <= len(text)
