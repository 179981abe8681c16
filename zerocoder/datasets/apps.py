"""`data=apps`: APPS (Hendrycks et al., 2021), its training split to train on and its test split held out.

Read as the columns of the Hugging Face hub (codeparrot/apps, JSON lines or parquet) or as the original folders, one a
problem. A problem whose tests name a function (`fn_name`) is function-style, often a method of `class Solution`; the
others read standard input. The label's solution is the first of the problem's that is readable as a program; a problem
without one is trained on without a label, and scores the coder only.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from zerocoder.answers import parse_program
from zerocoder.datasets.base import Row, UnusableRowError, collect, unix_lines
from zerocoder.datasets.places import TwoSplits, place_of, split_of
from zerocoder.datasets.reading import Hub, local_place, published_rows
from zerocoder.datasets.samples import draw, drawn
from zerocoder.grading import APPS_PRELUDE, call_test
from zerocoder.jsonlines import kind_of
from zerocoder.problems import Grading, Label, OutputMatch, Problem, Program, Style, TestCase, ZeroCoderError

NAME = "apps"
SOURCE = "codeparrot/apps"
REVISION = "21e74ddf8de1a21436da12e3e653065c5213e9d1"
FILES = {
    split: (f"{split}.jsonl", f"{split}-*.parquet", f"{split}.parquet", f"{split}/*.parquet", f"data/{split}-*.parquet")
    for split in ("train", "test")
}
HUB_FILES = {split: (f"{split}.jsonl",) for split in ("train", "test")}
GRADING = Grading(output=OutputMatch.NUMBERS, seconds=4.0, prelude=APPS_PRELUDE)
_FENCE = "~" * 12
"""Of a block that a solution with fences in its own texts does not end."""
_DIGITS = 10**6
"""Of a whole number in a test; Python's own limit of 4300 is below what some problems are about."""


@dataclass(frozen=True)
class Apps(TwoSplits):
    """APPS in its published forms; training problems without a readable solution have no label."""

    path: str | None = None
    """A folder with train.jsonl and test.jsonl, or with the original folders train/0000 and test/0000; or one of those
    files; null looks into $ZEROCODER_DATA/apps, then on the hub."""
    heldout_path: str | None = None
    """The test split, where `path` does not hold it."""
    revision: str | None = REVISION
    """Of the repository on the hub."""
    sample: str | None = None
    """`apps-300` holds out the paper's 60, 180 and 60 problems only; null all of the test split."""

    def __post_init__(self) -> None:
        drawn(self.sample, NAME)

    def _collected(self, split: str) -> tuple[list[Problem], dict[str, int]]:
        place = place_of(split, self.path, self.heldout_path)
        if place is None:
            return [], {}
        folder = local_place(NAME, *place)
        rows = _folder_rows(folder, split) if folder is not None and folder.is_dir() else None
        if rows is None:
            rows = published_rows(NAME, *place, FILES, Hub(SOURCE, self.revision, files=HUB_FILES), split)
        sample = drawn(self.sample, NAME)
        if sample is None or split == "train":
            return collect(rows, lambda row: _problem(row, split))
        return draw(rows, lambda row: _problem(row, split), sample)


def _folder_rows(folder: Path, split: str) -> Iterator[Row] | None:
    """The problems of the original format, a folder each, or None where `folder` holds no such folders.

    They lie in train/ and test/ of `folder`, or are the one split whose folder was named.
    """
    of_both = any((folder / name).is_dir() for name in FILES)
    problems = sorted(
        (folder / split if of_both else folder).glob("[0-9]*/question.txt"), key=lambda file: int(file.parent.name)
    )
    if not problems:
        return None
    return (_folder_row(file.parent) for file in problems) if of_both or split_of(folder) == split else iter(())


def _folder_row(folder: Path) -> Row:
    """The columns of the hub out of a problem's files; a file that is not there is an empty column."""

    def content(name: str) -> str:
        file = folder / name
        try:
            return file.read_bytes().decode("utf-8-sig") if file.exists() else ""
        except (OSError, UnicodeDecodeError) as error:
            raise ZeroCoderError(f"cannot read {file}: {error}") from error

    try:
        metadata = json.loads(content("metadata.json") or "{}")
        number = int(folder.name)
    except ValueError as error:
        raise ZeroCoderError(f"cannot read {folder}: {error}") from error
    fields = {
        "problem_id": number,
        "question": content("question.txt"),
        "input_output": content("input_output.json"),
        "solutions": content("solutions.json"),
        "starter_code": content("starter_code.py"),
        **{key: metadata.get(key, "") for key in ("difficulty", "url")},
    }
    return Row(folder, 1, fields)


def _problem(row: Row, split: str) -> Problem:
    row.expect("APPS", ("question", "input_output", "solutions"))
    question = unix_lines(row.text("question")).strip()
    if not question:
        raise UnusableRowError("no question")
    with _long_numbers():
        data = _json(row, "input_output", dict)
        cases, entry_point = _cases(data)
    starter = unix_lines(row.text("starter_code", "")).strip("\n").rstrip()
    number, url = _number(row), row.text("url", "")
    problem = Problem(
        id=f"{NAME}/{split}/{number:04d}",
        statement=question,
        style=Style.STDIN if entry_point is None else Style.FUNCTION,
        entry_point=entry_point,
        signature="" if entry_point is None else starter or f"def {entry_point}(...):",
        source=NAME,
        difficulty=row.text("difficulty", ""),
        origins=origins_of(url),
    )
    solution = _readable_solution(row, problem)
    labelled = bool(solution) or split == "test"
    return replace(problem, label=Label(solution, cases, GRADING)) if labelled else problem


def _number(row: Row) -> int:
    value = row.fields.get("problem_id", row.fields.get("id"))
    if not isinstance(value, int) or isinstance(value, bool):
        row.refuse('the field "problem_id" must be a whole number')
    return value


def _json(row: Row, name: str, kind: type) -> Any:
    """The value that a column holds as JSON text; an empty column holds None."""
    text = row.text(name, "")
    if not text.strip():
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnusableRowError(f"{name} is no JSON (cut off?)") from error
    if not isinstance(value, kind):
        row.refuse(f'the field "{name}" must hold {kind_of(kind())}, got {kind_of(value)}')
    return value


def _cases(data: dict[str, Any] | None) -> tuple[tuple[TestCase, ...], str | None]:
    """The tests of a problem and the function that they call, None for standard input."""
    inputs, outputs = (data.get("inputs"), data.get("outputs")) if data else (None, None)
    if not inputs or not outputs:
        raise UnusableRowError("no tests")
    if not isinstance(inputs, list) or not isinstance(outputs, list) or len(inputs) != len(outputs):
        raise UnusableRowError("inputs and outputs that do not pair up")
    name = data.get("fn_name") if data else None
    if name is None:
        return tuple(TestCase(stdin=_lines(i), stdout=_lines(o)) for i, o in zip(inputs, outputs, strict=True)), None
    if not isinstance(name, str) or not name.isidentifier():
        raise UnusableRowError("fn_name is no name of a function")
    return tuple(_call(name, i, o) for i, o in zip(inputs, outputs, strict=True)), name


def _lines(value: Any) -> str:
    """A text, or a list of lines."""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "\n".join(value)
    if not isinstance(value, str):
        raise UnusableRowError("a test of standard input that is no text")
    return value


def _call(name: str, arguments: Any, expected: Any) -> TestCase:
    if not isinstance(arguments, list):
        raise UnusableRowError("a call whose arguments are no list")
    return call_test(name, arguments, expected, wrapped=True)


def _readable_solution(row: Row, problem: Problem) -> str:
    """The first solution that reads as a program for `problem` when a model answers with it; "" where none does."""
    for solution in _json(row, "solutions", list) or ():
        if isinstance(solution, str) and solution.strip():
            program = parse_program(f"{_FENCE}python\n{unix_lines(solution)}\n{_FENCE}", problem)
            if isinstance(program, Program):
                return program.source
    return ""


_CODEFORCES = ("contest", "gym", "problem", "problemset")
_BEFORE_THE_NAME = ("challenges", "kata", "problem", "problems", "tasks")


def origins_of(url: str) -> tuple[str, ...]:
    """The name of a problem's page, alike however it was addressed.

    >>> origins_of("https://codeforces.com/problemset/problem/1259/D")
    ('codeforces/1259/D',)
    >>> origins_of("https://leetcode.com/problems/word-pattern/")
    ('leetcode/word-pattern',)
    """
    parts = urlsplit(url.strip())
    host = parts.netloc.lower().removeprefix("www.")
    steps = [step for step in parts.path.split("/") if step]
    if not host or not steps:
        return ()
    site = host.split(".")[-2] if "." in host else host
    if site == "codeforces":
        return (f"codeforces/{'/'.join(step.upper() for step in steps if step not in _CODEFORCES)}",)
    named = next((after for step, after in pairwise(steps) if step in _BEFORE_THE_NAME), steps[-1])
    return (f"{site}/{named.lower()}",)


@contextmanager
def _long_numbers() -> Iterator[None]:
    """JSON's numbers may have up to _DIGITS digits."""
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(_DIGITS)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(before)
