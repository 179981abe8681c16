"""Extraction on what two models really answered: the same programs that LiveCodeBench's own extractor took."""

from __future__ import annotations

import ast
import gzip
import json
import warnings
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from zerocoder.answers import FormatError, parse_program, written_program
from zerocoder.problems import Problem, Program, Style

REAL = Path(__file__).parents[1].parent / "shared" / "data" / "livecodebench_graded_outputs.jsonl.gz"
TOKEN_LIMIT_CHARS = 6_000
"""The outputs were sampled with at most 2,000 tokens; those that were cut off all have more characters than this."""
CLOSED_TWICE = "abc378_f"

pytestmark = pytest.mark.skipif(not REAL.is_file(), reason=f"needs {REAL.name} (430 rows of LiveCodeBench's runner)")


@cache
def rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.open(REAL, "rt", encoding="utf-8")]


def problem_of(row: dict[str, Any]) -> Problem:
    starter = row["starter_code"]
    if not starter:
        return Problem(row["question_id"], "...", style=Style.STDIN, source="livecodebench")
    name = starter.partition("def ")[2].partition("(")[0]
    return Problem(row["question_id"], "...", entry_point=name, signature=starter, source="livecodebench")


def program_of(code: str) -> str | None:
    """What a source says, whatever its spacing and comments; None when it says nothing or is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(code)
    except SyntaxError:
        return None
    return ast.dump(tree) if tree.body else None


def was_cut_off(output: str) -> bool:
    return len(output) > TOKEN_LIMIT_CHARS and output.count("```") % 2 == 1


def test_the_same_program_as_the_official_extractor() -> None:
    differing = []
    for row in rows():
        output, official = row["output_list"][0], row["code_list"][0]
        ours = written_program(output, problem_of(row), was_cut_off(output))
        if program_of("" if isinstance(ours, FormatError) else ours) != program_of(official):
            differing.append((row["question_id"], row["model"], row["graded_list"][0]))
    assert len(rows()) == 430
    # docs/prompts.md: a block that is closed twice; the official extractor takes the nothing between both fences.
    assert differing == [(CLOSED_TWICE, "Qwen2.5-Ins-7B", False)]


def test_no_answer_that_was_graded_right_lacks_a_name() -> None:
    """The official runner's imports are there: 4 of the right answers use `List` without importing it."""
    with_imports = 0
    for row in rows():
        if row["graded_list"][0]:
            program, written = (p(row["output_list"][0], problem_of(row)) for p in (parse_program, written_program))
            assert isinstance(program, Program) and isinstance(written, str), (row["question_id"], program)
            with_imports += program.source.startswith(f"from typing import List\n{written}")
    assert with_imports == 4
