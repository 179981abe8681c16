"""JSONL of programs and tests -> one `Job` a problem, with the names that its rows and columns have.

A mistake is told with its file and line before anything runs. Programs are model-written: they are parsed for the names
they define, never executed, and one that is no Python is left for the verifier to call an ERROR.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from zerocoder.execution.jobs import Job
from zerocoder.execution.progress import MAX_SOURCE_CHARS, MAX_STDIN_CHARS
from zerocoder.jsonlines import json_object, kind_of
from zerocoder.problems import Program, Style, TestCase, ZeroCoderError

_STDIN = "-"
_MAX_NAMES = 8  # that a message lists


@dataclass(frozen=True)
class NamedJob:
    """A problem as it will run. `programs` and `tests` are the ids of its rows [N] and columns [K]."""

    problem: str
    job: Job
    programs: tuple[str, ...]
    tests: tuple[str, ...]


@dataclass
class _Group:
    """The rows of one problem, and where the first of them stands."""

    where: str
    ids: list[str] = field(default_factory=list)
    programs: list[Program] = field(default_factory=list)
    tests: list[TestCase] = field(default_factory=list)
    entry_points: dict[str, str] = field(default_factory=dict)  # name -> where it is given


@dataclass(frozen=True)
class _Row:
    """One line of a file, as an object."""

    where: str
    fields: dict[str, Any]

    def text(self, name: str, max_chars: int, nul: bool = False) -> str:
        """A field that must be there and be text that a program can be given."""
        if name not in self.fields:
            raise ZeroCoderError(f"{self.where}: {name!r} is missing; the row has {_listed(self.fields)}")
        value = self.fields[name]
        if not isinstance(value, str):
            raise ZeroCoderError(f"{self.where}: {name!r} must be a string, not {kind_of(value)}")
        if len(value) > max_chars:
            raise ZeroCoderError(f"{self.where}: {name!r} has {len(value)} characters, at most {max_chars} are taken")
        if "\0" in value and not nul:
            raise ZeroCoderError(f"{self.where}: {name!r} holds a NUL character, which no Python source can")
        if any("\ud800" <= c <= "\udfff" for c in value):
            raise ZeroCoderError(f"{self.where}: {name!r} holds a lone surrogate (\\ud800-\\udfff), which is no text")
        return value

    def name(self, name: str, default: str) -> str:
        """An optional field that names something."""
        value = self.fields.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ZeroCoderError(f"{self.where}: {name!r} must be a string or a whole number, not {kind_of(value)}")
        return str(value)


def read(programs: str, tests: str, entry_point: str | None) -> tuple[list[NamedJob], list[str]]:
    """The problems of two files, in the order of the programs, and remarks on them.

    Args:
        programs, tests: paths, or `-` for standard input.
        entry_point: of every problem; None to take it from the rows or to infer it.

    Raises:
        ZeroCoderError: the files do not describe a matrix.
    """
    if programs == tests == _STDIN:
        raise ZeroCoderError("programs and tests cannot both be '-': standard input holds one of them")
    program_groups = _programs(programs)
    test_groups = _tests(tests)
    jobs = [_joined(problem, group, test_groups, entry_point) for problem, group in program_groups.items()]
    remarks = _entry_point_remarks(jobs, program_groups)
    if idle := [problem for problem in test_groups if problem not in program_groups]:
        remarks.append(f"tests without programs are left out: problems {_listed(idle)}")
    return jobs, remarks


def _programs(path: str) -> dict[str, _Group]:
    groups: dict[str, _Group] = {}
    for row in _rows(path, "programs"):
        group = groups.setdefault(row.name("problem", ""), _Group(row.where))
        group.programs.append(Program(row.text("source", MAX_SOURCE_CHARS)))
        group.ids.append(row.name("id", str(len(group.programs))))
        if row.fields.get("entry_point") is not None:
            group.entry_points.setdefault(row.text("entry_point", MAX_SOURCE_CHARS), row.where)
    return groups


def _tests(path: str) -> dict[str, _Group]:
    groups: dict[str, _Group] = {}
    for row in _rows(path, "tests"):
        group = groups.setdefault(row.name("problem", ""), _Group(row.where))
        group.tests.append(_test(row))
        group.ids.append(row.name("id", str(len(group.tests))))
    return groups


def _test(row: _Row) -> TestCase:
    is_script = "stdin" in row.fields or "stdout" in row.fields
    if is_script and row.fields.get("code") is not None:
        raise ZeroCoderError(f"{row.where}: a test has either 'code' or 'stdin' and 'stdout', not both")
    if is_script:
        stdin, stdout = (row.text(name, MAX_STDIN_CHARS, nul=True) for name in ("stdin", "stdout"))
        return TestCase(stdin=stdin, stdout=stdout)
    code = row.text("code", MAX_SOURCE_CHARS)
    if not code.strip():
        raise ZeroCoderError(f"{row.where}: 'code' is empty: it tests nothing")
    return TestCase(code=code)


def _rows(path: str, what: str) -> Iterator[_Row]:
    """The objects of a JSONL file. Raises ZeroCoderError when there is none."""
    name = "standard input" if path == _STDIN else path
    found = False
    try:
        with open(0 if path == _STDIN else path, "rb", closefd=path != _STDIN) as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    found = True
                    yield _Row(f"{name}:{number}", json_object(line, f"{name}:{number}"))
    except OSError as error:
        raise ZeroCoderError(f"cannot read {what} from {name}: {error.strerror}") from error
    if not found:
        raise ZeroCoderError(f"{name} holds no {what}: write one JSON object a line")


def _joined(problem: str, programs: _Group, tests: dict[str, _Group], entry_point: str | None) -> NamedJob:
    columns = tests.get(problem)
    if columns is None:
        whose = f"problem {_quoted(problem)}" if problem else "the programs that name no problem"
        raise ZeroCoderError(
            f"{programs.where}: no tests for {whose}; 'problem' must be the same in both files, "
            f"and the tests are for {_listed(p or '(no problem)' for p in tests)}"
        )
    calls = any(test.style is Style.FUNCTION for test in columns.tests)
    name = _entry_point(problem, programs, entry_point) if calls else None
    job = Job(tuple(programs.programs), tuple(columns.tests), name)
    return NamedJob(problem, job, tuple(programs.ids), tuple(columns.ids))


def _entry_point(problem: str, group: _Group, given: str | None) -> str:
    """The flag's, the rows' own, or the only function that all programs that compile define."""
    if given is None and len(group.entry_points) == 1:
        [given] = group.entry_points
    if given is not None:
        if not given.isidentifier():
            raise ZeroCoderError(f"the entry point {_quoted(given)} is no Python name")
        return given
    where = f" of problem {_quoted(problem)}" if problem else ""
    if group.entry_points:
        (one, first), (other, second), *_ = group.entry_points.items()
        raise ZeroCoderError(
            f"{second}: the entry point is {_quoted(other)}, but {_quoted(one)} at {first}: a problem has one"
        )
    functions = [names for names in map(_functions, group.programs) if names is not None]
    common = set.intersection(*functions) if functions else set()
    if len(common) != 1:
        found = f"define {_listed(sorted(common))} in common" if common else "have no function in common"
        raise ZeroCoderError(
            f"{group.where}: which function do the tests call? The programs{where} {found}; say it with "
            "--entry-point NAME or 'entry_point' in the rows"
        )
    return common.pop()


def _entry_point_remarks(jobs: list[NamedJob], groups: dict[str, _Group]) -> list[str]:
    """On problems whose entry point no program defines; that all lack theirs is taken for a mistake.

    One program that forgets the function is the model's failure and reads ERROR; a misspelt name fails everywhere.
    """
    remarks: list[str] = []
    called = [job for job in jobs if job.job.entry_point is not None]
    for job in called:
        defined = [names for names in map(_defined, groups[job.problem].programs) if names is not None]
        if defined and not any(job.job.entry_point in names for names in defined):
            where = f"problem {_quoted(job.problem)}: " if job.problem else ""
            exist = _listed(sorted(set().union(*defined)))
            remarks.append(f"{where}no program defines {_quoted(job.job.entry_point or '')}; there is {exist}")
    if remarks and len(remarks) == len(called):
        raise ZeroCoderError(f"{remarks[0]}; give another --entry-point")
    return remarks


def _parsed(program: Program) -> ast.Module | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd escapes in model-written code
            return ast.parse(program.source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _functions(program: Program) -> set[str] | None:
    """The functions at the top level of a program; None when it is no Python."""
    tree = _parsed(program)
    return None if tree is None else {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def _defined(program: Program) -> set[str] | None:
    """Every name that a program gives a meaning outside of functions and classes; None when it is no Python."""
    tree = _parsed(program)
    if tree is None:
        return None
    names: set[str] = set()
    todo: list[ast.AST] = list(tree.body)
    while todo:
        match todo.pop():
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.alias(name=name, asname=other):
                names.add(other or name.partition(".")[0])
            case node:
                todo += ast.iter_child_nodes(node)
    return names


def _listed(names: Iterable[str]) -> str:
    """Some names for a message, safe to print whoever chose them."""
    quoted = [_quoted(name) for name in names]
    more = f" and {len(quoted) - _MAX_NAMES} more" if len(quoted) > _MAX_NAMES else ""
    return ", ".join(quoted[:_MAX_NAMES]) + more if quoted else "nothing"


def _quoted(text: str) -> str:
    return repr(shown(text))


def shown(text: str, max_chars: int = 40) -> str:
    """A name from a file as it can be printed: one line, short, without control characters and escape sequences."""
    clean = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return clean if len(clean) <= max_chars else f"{clean[: max_chars - 1]}…"
