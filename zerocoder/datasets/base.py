"""What a data set offers, and how the sources that read JSON lines meet a user's file.

A source is a frozen dataclass that conf/data/*.yaml names by `_target_`: its fields are the settings, `train` and
`heldout` are the problems. A new data set is one file with such a class and one YAML file. Importing this package
needs no torch.
"""

from __future__ import annotations

import ast
import gzip
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Protocol

from zerocoder.jsonlines import json_object, kind_of
from zerocoder.problems import Problem, ZeroCoderError


class ProblemSource(Protocol):
    """A data set: problems to train on and problems kept from training."""

    def train(self) -> list[Problem]:
        """Training problems, in the data set's order."""
        ...

    def heldout(self) -> list[Problem]:
        """Evaluation problems with their labels, disjoint from `train`; empty where the data set has none."""
        ...


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a JSON-lines file, able to say where it stands when something is wrong with it."""

    path: Path
    line: int
    fields: dict[str, Any]

    def refuse(self, what: str) -> NoReturn:
        raise ZeroCoderError(f"{self.path}:{self.line}: {what}")

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


def read_rows(path: str | Path, key: str) -> Iterator[Row]:
    """The objects of a JSON-lines file (`.gz` is unpacked); blank lines are skipped.

    `key` is the setting that named the file. Raises ZeroCoderError, with file and line, for what is no such file.
    """
    if not str(path):
        raise ZeroCoderError(f"{key} must name a JSON-lines file")
    path = Path(path).expanduser()
    if not path.is_file():
        raise ZeroCoderError(f"{key}={path}: there is no such file")
    empty = True
    for number, raw in _lines(path):
        if raw.strip():
            empty = False
            yield Row(path, number, json_object(raw, f"{path}:{number}"))
    if empty:
        raise ZeroCoderError(f"{path} is empty; one JSON object a line is expected")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Lines are split at line feeds only: JSON text may hold other characters that Python counts as line ends."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield from enumerate(file, 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ZeroCoderError(f"cannot read {path}: {error}") from error


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
