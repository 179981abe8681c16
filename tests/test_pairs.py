"""Inputs and outputs as testers write them, through the parser of answers."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerocoder.answers import FormatError, parse_test
from zerocoder.problems import Problem, Style, TestCase

SCRIPT = Problem("script", "Add two.", style=Style.STDIN)
PAIR = TestCase(stdin="2\n1 2\n", stdout="3\n")


@pytest.mark.parametrize(
    "text",
    [
        "```input\n2\n1 2\n```\n```output\n3\n```",
        "```input\n9\n9\n```\n```output\n18\n```\nAnother:\n```input\n2\n1 2\n```\n```output\n3\n```",
        "```input 1\n2\n1 2\n```\n```output 1\n3\n```",
        "**Input:**\n```\n2\n1 2\n```\n**Output:**\n```\n3\n```",
        "### Sample Input 2\n\n```\n2\n1 2\n```\n\n### Sample Output 2\n\n```\n3\n```\n",
        "Input:\n```text\n2\n1 2\n```\nExpected Output:\n```text\n3\n```\nThe sum.",
        "1. Input: ```\n2\n1 2\n```\n2. Output: ```\n3\n```",
        "Input\n```\n9\n```\nOutput\n```\n9\n```\nInput\n```\n2\n1 2\n```\nOutput\n```\n3\n```",
        "```\nInput:\n2\n1 2\n\nOutput:\n3\n```",
        "```\nInput:\n2\n1 2\nOutput:\n3\n\nExplanation: 1 + 2 = 3\n```",
        "```text\nTest case 1:\nInput:\n9\nOutput:\n9\n\nTest case 2:\nInput:\n2\n1 2\nOutput:\n3\n```",
        "```plaintext\nSample Input\n2\n1 2\nSample Output\n3\n```",
        "```text\n2\n1 2\n```\n```text\n3\n```",
        '```json\n{"input": "2\\n1 2\\n", "output": "3\\n"}\n```',
        '```json\n[{"input": "9", "output": "9"}, {"stdin": "2\\n1 2", "expected_output": "3"}]\n```',
        '```json\n{"input": ["2", "1 2"], "output": 3}\n```',
        "<think>\n```input\n9\n```\n```output\n8\n```\n</think>\n```input\n2\n1 2\n```\n```output\n3\n```",
        "```python\nprint(sum(map(int, input().split())))\n```\nInput:\n```\n2\n1 2\n```\nOutput:\n```\n3\n```",
        "```input\r\n2\r\n1 2\r\n```\r\n```output\r\n3\r\n```",
        "```input\n2\n1 2```\n```output\n3```",
    ],
)
def test_the_same_pair_in_many_wordings(text: str) -> None:
    assert parse_test(text, SCRIPT) == PAIR


@pytest.mark.parametrize(
    ("text", "stdin", "stdout"),
    [
        ("```\nInput: 5\nOutput: 25\n```", "5\n", "25\n"),
        ("```input\nInput:\n5\n```\n```output\n5\n```", "Input:\n5\n", "5\n"),  # tags leave no doubt: taken as it is
        ("```input\n\n```\n```output\nx\n```", "\n", "x\n"),
    ],
)
def test_what_is_taken(text: str, stdin: str, stdout: str) -> None:
    assert parse_test(text, SCRIPT) == TestCase(stdin=stdin, stdout=stdout)


@pytest.mark.parametrize(
    "text",
    [
        "Input: 5\nOutput: 25",  # no fence: nothing says where the output ends
        "The input is 5 and the output 25.",
        "```\nInput:\n5\n```",
        "```\nOutput:\n5\nInput:\n5\n```",
        "```\nInput:\n5\nOutput:\n\n```",
        "Output:\n```\n3\n```\nInput:\n```\n2\n```\nNote:\n```\n1\n```",
        '```json\n{"input": "2"}\n```',
        '```json\n{"input": {"n": 2}, "output": "3"}\n```',
        '```json\n[1, "input", null]\n```',
        "```json\n{broken\n```",
        "```json\n" + "[" * 5000 + "\n```",
        "```python\nassert solve(2) == 3\n```",
        "Input:\n```python\n2\n```\nOutput:\n```python\n3\n```",
    ],
)
def test_no_pair(text: str) -> None:
    assert isinstance(parse_test(text, SCRIPT), FormatError)


@given(st.text("ab 12\n", max_size=20), st.text("ab 12\n", min_size=1, max_size=20).filter(str.strip))
def test_json_keeps_what_it_says(given_: str, expected: str) -> None:
    text = f"```json\n{json.dumps({'input': given_, 'output': expected})}\n```"
    line_end = "" if given_.endswith("\n") else "\n"
    assert parse_test(text, SCRIPT) == TestCase(stdin=given_ + line_end, stdout=expected.rstrip() + "\n")


WORDS = [
    "```",
    "```input",
    "```output",
    "```json",
    "Input",
    "Output",
    ":",
    "\n",
    " ",
    "#",
    "*",
    "1",
    '{"input":',
    '"a"',
]
WORDS += [',"output":', "}", "[", "]", "Sample ", "Explanation", "-", "_", "\t", "expected_"]


@settings(deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=40).map("".join))
def test_any_text_is_a_pair_or_refused(text: str) -> None:
    found = parse_test(text, SCRIPT)
    assert isinstance(found, FormatError) or (found.style is Style.STDIN and found.stdout and found.stdout.strip())
