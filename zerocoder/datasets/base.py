"""What a data set offers, and the rows of a published file on their way to becoming problems.

A source is a frozen dataclass that conf/data/*.yaml names by `_target_`: its fields are the settings, `train` and
`heldout` are the problems, `report` counts the rows that are none. A new data set is one file with such a class and one
YAML file: `reading.published_rows` finds and reads its rows, `collect` turns them into problems. Importing this package
needs no torch.
"""

from __future__ import annotations

import ast
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

from zerocoder.jsonlines import kind_of
from zerocoder.problems import Problem, ZeroCoderError

FORMATS = {
    "mbpp": ("text", "code", "test_list"),
    "mbpp_sanitized": ("prompt", "code", "test_list"),
    "humaneval": ("prompt", "canonical_solution", "test"),
    "livecodebench": ("question_content", "public_test_cases"),
    "apps": ("question", "input_output", "solutions"),
    "codeforces": ("contest_id", "input_format", "official_tests"),
    "kodcode": ("question", "solution", "test_info"),
    "jsonl": ("statement",),
}
"""Fields that tell the rows of a data set from those of all others, by the data set's name."""


class UnusableRowError(Exception):
    """A row of a published file that cannot serve as a problem; the message says why, in words that many rows share."""


class ProblemSource(Protocol):
    """A data set: problems to train on and problems kept from training."""

    def train(self) -> list[Problem]:
        """Training problems, in the data set's order."""
        ...

    def heldout(self) -> list[Problem]:
        """Evaluation problems with their labels, disjoint from `train`; empty where the data set has none."""
        ...

    def report(self) -> dict[str, int]:
        """Why rows were left out -> how many, over everything that is read; empty where every row is a problem."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """One object of a published file, able to say where it stands when something is wrong with it.

    `line` is its line in a file of JSON lines or a JSON array, and its number, from 1, in a parquet file or on the hub,
    where `path` names the data set and split.
    """

    path: Path
    line: int
    fields: dict[str, Any]

    def refuse(self, what: str) -> NoReturn:
        raise ZeroCoderError(f"{self.path}:{self.line}: {what}")

    def expect(self, title: str, names: Sequence[str]) -> None:
        """Refuse a row of another data set: one that lacks two of `names` or more, or looks like something known."""
        missing = [name for name in names if name not in self.fields]
        known = next((k for k, fields in FORMATS.items() if missing and self.fields.keys() >= set(fields)), None)
        if len(missing) < 2 and known is None:
            return  # nothing, or a slip in a row, which is told where the field is read
        looks = (
            f"this looks like a file for data={known}"
            if known
            else f"it has {_listed(list(self.fields)) or 'no field at all'}"
        )
        self.refuse(f"no row of {title}: {_listed(missing)} missing; {looks}")

    def text(self, name: str, default: str | None = None) -> str:
        """A field that holds text. Absent or null, it is `default`; without a default that is an error."""
        value = self.fields.get(name)
        if value is None:
            return self.refuse(f'the field "{name}" is missing (text expected)') if default is None else default
        if not isinstance(value, str):
            self.refuse(f'the field "{name}" must be text, got {kind_of(value)}')
        return self._encodable(name, value)

    def items(self, name: str) -> list[Any]:
        """A field that holds a list; absent or null, it is empty."""
        value = self.fields.get(name)
        if value is not None and not isinstance(value, list):
            self.refuse(f'the field "{name}" must be a list, got {kind_of(value)}')
        return value or []

    def texts(self, name: str) -> list[str]:
        """A field that holds a list of texts; absent or null, it is empty."""
        for i, value in enumerate(self.items(name)):
            if not isinstance(value, str):
                self.refuse(f'the field "{name}"[{i}] must be text, got {kind_of(value)}')
            self._encodable(f"{name}[{i}]", value)
        return self.items(name)

    def _encodable(self, name: str, value: str) -> str:
        try:
            value.encode("utf-8")
        except UnicodeEncodeError:
            self.refuse(f'the field "{name}" holds half a surrogate pair, which is no character')
        return value


def _listed(names: Sequence[str]) -> str:
    """Field names in quotes; of many, the first."""
    return ", ".join(f'"{name}"' for name in names[:6]) + (", ..." if len(names) > 6 else "")


def collect(rows: Iterable[Row], parse: Callable[[Row], Problem]) -> tuple[list[Problem], dict[str, int]]:
    """The problems of `rows`, in order, and how many rows were left out for which reason.

    `parse` makes a row's problem or raises UnusableRowError. Raises ZeroCoderError where two rows have one id.
    """
    problems: dict[str, Problem] = {}
    places: dict[str, Row] = {}
    reasons: Counter[str] = Counter()
    for row in rows:
        try:
            problem = parse(row)
        except UnusableRowError as reason:
            reasons[str(reason)] += 1
            continue
        first = places.get(problem.id)
        if first is not None:
            where = f"line {first.line}" if first.path == row.path else f"{first.path}:{first.line}"
            row.refuse(f'the id "{problem.id}" was used before, on {where}')
        problems[problem.id], places[problem.id] = problem, row
    return list(problems.values()), dict(reasons)


def unix_lines(text: str) -> str:
    """`text` with plain line ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def parse_python(source: str) -> ast.Module:
    """The syntax tree of `source`; ValueError says in one line why there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd escapes in strings are no business of ours
        try:
            return ast.parse(source)
        except SyntaxError as error:
            raise ValueError(f"{error.msg}, line {error.lineno}") from error
        except (ValueError, RecursionError, MemoryError) as error:
            raise ValueError(str(error) or "too deeply nested") from error


def readable(what: str, source: str) -> ast.Module:
    """As `parse_python`, but what is no Python makes the row that holds it unusable."""
    try:
        return parse_python(source)
    except ValueError as error:
        raise UnusableRowError(f"{what} is no Python") from error


def signature_of(source: str, entry_point: str) -> str | None:
    """The `def` line of the function `entry_point` as `source` defines it at its top level, or None.

    >>> signature_of("def f(a, *, b=1): return a + b", "f")
    'def f(a, *, b=1):'
    """
    found = None
    for node in parse_python(source).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == entry_point:
            found = node  # the last definition is the one that holds
    if found is None:
        return None
    found.body, found.decorator_list = [ast.Pass()], []
    return ast.unparse(found).splitlines()[0]
