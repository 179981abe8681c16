"""`data=jsonl`: the user's own problems, one JSON object a line.

| field       | type          | meaning                                                                              |
|-------------|---------------|--------------------------------------------------------------------------------------|
| id          | text, number  | unique within the file                                                               |
| statement   | text          | what the policy is asked                                                             |
| style       | text          | `function` (default) or `stdin`                                                      |
| entry_point | text          | the function's name; needed for style `function`, absent for `stdin`                 |
| signature   | text          | its `def` line; when absent it is taken from the solution, else from the entry point |
| solution    | text          | a reference solution                                                                 |
| tests       | list          | `function`: texts of assert statements; `stdin`: {"stdin": text, "stdout": text}     |
| difficulty  | text          | any word                                                                             |
| source      | text          | where the problem comes from, any word                                               |

Everything after `style` and `entry_point` is optional. A training problem is labelled when it has a solution and
tests; with one of them alone it is trained on as an unlabelled one. A held-out problem needs tests; without a solution
it scores the coder only. Other fields are ignored unless they look like a misspelt one.
"""

from __future__ import annotations

import difflib
import gzip
import json
import keyword
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zerocoder.datasets.base import Row, parse_python, signature_of
from zerocoder.datasets.reading import read_rows
from zerocoder.files import write_bytes
from zerocoder.problems import Label, Problem, Style, TestCase

FIELDS = ("id", "statement", "style", "entry_point", "signature", "solution", "tests", "difficulty", "source")


@dataclass(frozen=True)
class Jsonl:
    """Problems in the project's own format (`.jsonl` or `.jsonl.gz`)."""

    path: str = ""
    """The training problems."""
    heldout_path: str | None = None
    """The held-out problems; null has none."""

    def train(self) -> list[Problem]:
        return read_jsonl(self.path, "data.source.path")

    def heldout(self) -> list[Problem]:
        if self.heldout_path is None:
            return []
        return read_jsonl(self.heldout_path, "data.source.heldout_path", scored=True)

    def report(self) -> dict[str, int]:
        """Empty: a row of one's own file that cannot be used is a mistake, which is told with its line."""
        return {}


def read_jsonl(path: str | Path, key: str = "path", scored: bool = False) -> list[Problem]:
    """The problems of a file, in order; `scored` ones are for evaluation and need tests.

    Raises ZeroCoderError, naming file and line, for a row that does not follow the format. `key` is the setting that
    named the file.
    """
    problems: dict[str, Problem] = {}
    lines: dict[str, int] = {}
    for row in read_rows(path, key):
        problem = _problem(row, scored)
        if problem.id in problems:
            row.refuse(f'the id "{problem.id}" was used before, on line {lines[problem.id]}')
        problems[problem.id], lines[problem.id] = problem, row.line
    return list(problems.values())


def write_jsonl(problems: Iterable[Problem], path: str | Path) -> None:
    """Write problems in the project's format, packed when `path` ends in .gz; whole or not at all."""
    text = "".join(json.dumps(_row(p), ensure_ascii=False) + "\n" for p in problems).encode("utf-8")
    write_bytes(path, gzip.compress(text, mtime=0) if str(path).endswith(".gz") else text)


def _problem(row: Row, scored: bool) -> Problem:
    _refuse_misspelt(row)
    style = _style(row)
    solution = row.text("solution", "")
    if solution:
        _check_python(row, "solution", solution)
    tests = _tests(row, style)
    if scored and not tests:
        row.refuse('a held-out problem needs "tests" to be scored by')
    entry_point = _entry_point(row, style)
    return Problem(
        id=_id(row),
        statement=_filled(row, "statement"),
        style=style,
        entry_point=entry_point,
        signature=row.text("signature", _default_signature(entry_point, solution)),
        label=Label(solution, tests) if tests and (solution or scored) else None,
        source=row.text("source", ""),
        difficulty=row.text("difficulty", ""),
    )


def _refuse_misspelt(row: Row) -> None:
    for name in row.fields:
        near = difflib.get_close_matches(name, FIELDS, n=1, cutoff=0.75)
        if name not in FIELDS and near:
            row.refuse(f'there is no field "{name}"; did you mean "{near[0]}"?')


def _id(row: Row) -> str:
    value = row.fields.get("id")
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else _filled(row, "id")


def _filled(row: Row, name: str) -> str:
    value = row.text(name)
    if not value.strip():
        row.refuse(f'the field "{name}" is empty')
    return value


def _style(row: Row) -> Style:
    value = row.text("style", Style.FUNCTION.value)
    if value not in tuple(Style):
        row.refuse(f'the field "style" must be "function" or "stdin", got "{value}"')
    return Style(value)


def _entry_point(row: Row, style: Style) -> str | None:
    if style is Style.STDIN:
        if row.fields.get("entry_point") is not None:
            row.refuse('a problem of style "stdin" has no "entry_point"')
        return None
    value = row.text("entry_point")
    if not value.isidentifier() or keyword.iskeyword(value):
        row.refuse(f'the field "entry_point" must be the name of a function, got "{value}"')
    return value


def _default_signature(entry_point: str | None, solution: str) -> str:
    if entry_point is None:
        return ""
    return (signature_of(solution, entry_point) if solution else None) or f"def {entry_point}(...):"


def _tests(row: Row, style: Style) -> tuple[TestCase, ...]:
    if style is Style.STDIN:
        return tuple(_stdin_test(row, i, item) for i, item in enumerate(row.items("tests")))
    for i, code in enumerate(row.texts("tests")):
        _check_python(row, f"tests[{i}]", code)
    return tuple(TestCase(code=code) for code in row.texts("tests"))


def _stdin_test(row: Row, index: int, item: Any) -> TestCase:
    if not isinstance(item, dict) or set(item) != {"stdin", "stdout"}:
        row.refuse(
            f'the field "tests"[{index}] must be {{"stdin": text, "stdout": text}} in a problem of style "stdin"'
        )
    part = Row(row.path, row.line, item)
    return TestCase(stdin=part.text("stdin"), stdout=part.text("stdout"))


def _check_python(row: Row, name: str, source: str) -> None:
    try:
        parse_python(source)
    except ValueError as error:
        row.refuse(f'the field "{name}" is no Python: {error}')


def _row(problem: Problem) -> dict[str, Any]:
    row: dict[str, Any] = {"id": problem.id, "statement": problem.statement, "style": problem.style.value}
    if problem.entry_point is not None:
        row["entry_point"] = problem.entry_point
    row["signature"] = problem.signature
    if problem.label is not None:
        row["solution"] = problem.label.solution
        row["tests"] = [
            t.code if t.stdin is None else {"stdin": t.stdin, "stdout": t.stdout} for t in problem.label.tests
        ]
    optional = {"difficulty": problem.difficulty, "source": problem.source}
    return row | {name: value for name, value in optional.items() if value}
