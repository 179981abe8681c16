"""`data=mbpp`: Mostly Basic Python Problems (Austin et al., 2021) in its published form, mbpp.jsonl.

Split by the task ids of the paper: 601-974 and 511-600 (training and validation) to train on, 11-510 held out; 1-10 are
the paper's few-shot prompts and left out. The policy sees the text and the `def` line of the reference, never a test:
training must not show what it is scored by, and MBPP's texts alone do not name their function.
"""

from __future__ import annotations

import ast
import builtins
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from zerocoder.datasets.base import Row, parse_python, signature_of
from zerocoder.datasets.reading import read_rows
from zerocoder.problems import Label, Problem, TestCase

HELDOUT_TASKS = range(11, 511)
TRAIN_TASKS = range(511, 975)


class UnusableRowError(Exception):
    """A row of the published file that cannot serve as a problem; the message says why, for counting."""


@dataclass(frozen=True)
class Mbpp:
    """MBPP from a local mbpp.jsonl (`.gz` too)."""

    path: str = ""
    """The file; it is published at github.com/google-research/google-research, folder mbpp."""

    def train(self) -> list[Problem]:
        return self._problems(TRAIN_TASKS)

    def heldout(self) -> list[Problem]:
        return self._problems(HELDOUT_TASKS)

    def report(self) -> dict[str, int]:
        """Why rows were left out -> how many, over the whole file."""
        reasons: Counter[str] = Counter()
        for task, row in self._rows():
            if task not in TRAIN_TASKS and task not in HELDOUT_TASKS:
                reasons["outside the official train, validation and test ranges"] += 1
                continue
            try:
                _problem(task, row)
            except UnusableRowError as reason:
                reasons[str(reason)] += 1
        return dict(reasons)

    def _problems(self, tasks: range) -> list[Problem]:
        problems = []
        for task, row in self._rows():
            if task in tasks:
                try:
                    problems.append(_problem(task, row))
                except UnusableRowError:
                    continue  # counted by `report`
        return problems

    def _rows(self) -> Iterator[tuple[int, Row]]:
        seen: dict[int, int] = {}
        for row in read_rows(self.path, "data.source.path"):
            task = row.fields.get("task_id")
            if not isinstance(task, int) or isinstance(task, bool):
                row.refuse('the field "task_id" must be a whole number (is this the published mbpp.jsonl?)')
            if task in seen:
                row.refuse(f"task_id {task} was used before, on line {seen[task]}")
            seen[task] = row.line
            yield task, row


def _problem(task: int, row: Row) -> Problem:
    text, code, tests = row.text("text"), _unix(row.text("code")), row.texts("test_list")
    setup = _unix(row.text("test_setup_code", ""))
    if not tests:
        raise UnusableRowError("no tests")
    entry_point, signature = _called_function(code, [_unix(t) for t in tests])
    cases = tuple(TestCase(code="\n".join(filter(None, [setup, _unix(t).strip()]))) for t in tests)
    if any(_foreign_names(case.code) - {entry_point} for case in cases):
        # Classes or imports that the statement does not mention: no solution but the reference could pass.
        raise UnusableRowError("the tests need more of the reference than the function")
    return Problem(
        id=f"mbpp/{task}",
        statement=text.strip(),
        entry_point=entry_point,
        signature=signature,
        label=Label(code, cases),
        source="mbpp",
    )


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _called_function(code: str, tests: list[str]) -> tuple[str, str]:
    """Name and `def` line of the function of `code` that every test calls, the outermost call first."""
    try:
        calls = [_calls(test) for test in tests]
    except ValueError as error:
        raise UnusableRowError("a test is no Python") from error
    for name in calls[0]:
        if all(name in others for others in calls):
            try:
                signature = signature_of(code, name)
            except ValueError as error:
                raise UnusableRowError("the reference is no Python") from error
            if signature is not None:
                return name, signature
    raise UnusableRowError("no function of the reference is called by every test")


def _foreign_names(test: str) -> set[str]:
    """Names that a test reads but neither binds nor finds among Python's own."""
    nodes = list(ast.walk(parse_python(test)))
    read = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    bound = {n.id for n in nodes if isinstance(n, ast.Name) and not isinstance(n.ctx, ast.Load)}
    bound |= {n.arg for n in nodes if isinstance(n, ast.arg)}
    bound |= {(n.asname or n.name).partition(".")[0] for n in nodes if isinstance(n, ast.alias)}
    return read - bound - set(dir(builtins))


def _calls(test: str) -> list[str]:
    """Names called in a test, outer calls before their arguments."""
    return [
        node.func.id
        for node in ast.walk(parse_python(test))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
