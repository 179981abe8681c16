"""`data=livecodebench`: LiveCodeBench's code generation problems (Jain et al., 2025), code_generation_lite.

Held out is a window of contest dates, by default the paper's, October 2024 to February 2025; problems of contests
before it are for training. Problems of AtCoder and Codeforces read standard input, those of LeetCode are a method of
`class Solution`. The policy sees the statement and the starter code, never a test. The data set has no reference
solutions: `references` names a file of pseudo references, without which only the coder is scored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from zerocoder.datasets.base import Row, UnusableRowError, collect, unix_lines
from zerocoder.datasets.packed import unpacked_text
from zerocoder.datasets.reading import Hub, local_place, published_rows, read_rows
from zerocoder.datasets.samples import Window, window_of
from zerocoder.grading import LIVECODEBENCH_PRELUDE, call_test
from zerocoder.jsonlines import kind_of
from zerocoder.problems import Grading, Label, OutputMatch, Problem, Style, TestCase, ZeroCoderError

NAME = "livecodebench"
SOURCE = "livecodebench/code_generation_lite"
REVISION = "0fe84c3912ea0c4d4a78037083943e8f0c4dd505"
PUBLISHED = tuple(f"test{n}.jsonl" for n in ("", 2, 3, 4, 5, 6))
"""The six releases; each file holds what its release added."""
RECENT = PUBLISHED[4:]
"""The files of problems from RECENT_FROM on: half a gigabyte instead of four and a half."""
RECENT_FROM = date(2024, 10, 1)
ANYWHERE = ("*.jsonl", "*.parquet", "*.json")
GRADING = Grading(output=OutputMatch.DECIMALS, seconds=6.0, prelude=LIVECODEBENCH_PRELUDE)
PRIVATE = ("required", "optional")
STYLES = ("all", *(style.value for style in Style))


@dataclass(frozen=True)
class LiveCodeBench:
    """LiveCodeBench in its published files, from this machine or the hub."""

    path: str | None = None
    """A file, or a folder of the published ones; null looks into $ZEROCODER_DATA/livecodebench, then on the hub."""
    revision: str | None = REVISION
    """Of the repository on the hub."""
    start: str | None = "2024-10-01"
    """First contest date of the held-out problems; null has no limit (and leaves nothing to train on)."""
    end: str | None = "2025-02-28"
    """Last contest date of the held-out problems, included; null has no limit."""
    style: str = "all"
    """`function` (LeetCode) or `stdin` (AtCoder, Codeforces) takes those problems only."""
    sample: str | None = None
    """A named window and style: `livecodebench-2024-10` or `livecodebench-function`."""
    private_tests: str = "required"
    """`optional` also takes rows that lack their private tests, to be judged by the public ones, which wrong programs
    often pass: no score that others would call LiveCodeBench's."""
    references: str | None = None
    """JSON lines of {id, solution, ...}: pseudo references, as `python -m zerocoder.datasets references` makes them."""

    def __post_init__(self) -> None:
        _one_of("style", self.style, STYLES)
        _one_of("private_tests", self.private_tests, PRIVATE)
        window_of(self)

    def train(self) -> list[Problem]:
        """Problems of contests before the window."""
        return [] if window_of(self).start is None else self._collected(before=True)[0]

    def heldout(self) -> list[Problem]:
        """Problems of contests in the window."""
        return list(self._heldout[0])

    def report(self) -> dict[str, int]:
        """Why rows of the files that hold the window were left out, or kept with reservations -> how many."""
        return dict(self._heldout[1])

    @cached_property
    def _heldout(self) -> tuple[list[Problem], dict[str, int]]:
        return self._collected()

    def _collected(self, before: bool = False) -> tuple[list[Problem], dict[str, int]]:
        window, references = window_of(self), self._references()
        public_only = 0

        def parse(row: Row) -> Problem:
            nonlocal public_only
            problem = self._problem(row, window, before, references)
            public_only += not row.fields.get("private_test_cases")
            return problem

        problems, left_out = collect(self._rows(window, before), parse)
        return problems, left_out | (
            {"kept, though judged by its public tests alone": public_only} if public_only else {}
        )

    def _rows(self, window: Window, before: bool) -> Iterator[Row]:
        recent = not before and window.start is not None and window.start >= RECENT_FROM
        needed = RECENT if recent else PUBLISHED
        self._require_all(needed)
        patterns = ("test[56].jsonl" if recent else "test*.jsonl", *ANYWHERE)
        hub = Hub(SOURCE, self.revision, files={"test": needed})
        return published_rows(NAME, self.path, "data.source.path", {"test": patterns}, hub, "test")

    def _require_all(self, needed: tuple[str, ...]) -> None:
        """A folder with some of the published files must have all that are needed: half a window scores wrong."""
        folder = local_place(NAME, self.path, "data.source.path")
        if folder is None or folder.is_file():
            return
        missing = [name for name in needed if not any((folder / f"{name}{end}").is_file() for end in ("", ".gz"))]
        if missing and any((folder / f"{name}{end}").is_file() for name in PUBLISHED for end in ("", ".gz")):
            raise ZeroCoderError(
                f"data={NAME}: {folder} lacks {', '.join(missing)}, which hold problems of the dates asked for; add "
                "what is missing, or name one file by data.source.path"
            )

    def _references(self) -> dict[str, str]:
        if self.references is None:
            return {}
        rows = read_rows(self.references, "data.source.references")
        return {row.text("id"): row.text("solution", "") for row in rows}

    def _problem(self, row: Row, window: Window, before: bool, references: dict[str, str]) -> Problem:
        row.expect("LiveCodeBench", ("question_content", "question_id", "contest_date", "public_test_cases"))
        window.require(_contest_date(row), before)
        number = row.text("question_id")
        tests = _tests(row, self.private_tests == "required")
        style = _style(tests)
        if window.style not in ("all", style):
            raise UnusableRowError(f"of style {style}")
        entry_point = _method(row) if style is Style.FUNCTION else None
        solution = references.get(f"{NAME}/{number}", "")
        # Trained on without a reference, it is a problem without a label: nobody reads its tests.
        labelled = solution or not before
        return Problem(
            id=f"{NAME}/{number}",
            statement=unix_lines(row.text("question_content")).strip(),
            style=style,
            entry_point=entry_point,
            signature=unix_lines(row.text("starter_code", "")).rstrip() if entry_point else "",
            label=Label(solution, tuple(_case(t, entry_point) for t in tests), GRADING) if labelled else None,
            source=NAME,
            difficulty=row.text("difficulty", ""),
            origins=_origins(row, number),
        )


def _one_of(key: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ZeroCoderError(f"data.source.{key} must be one of {', '.join(allowed)}, got {value!r}")


def _contest_date(row: Row) -> date:
    """`YYYY-MM-DDTHH:MM:SS` without a zone. Its date is what counts."""
    value = row.fields.get("contest_date")
    if isinstance(value, date):  # parquet files keep it as a time
        return date(value.year, value.month, value.day)
    text = row.text("contest_date")
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        row.refuse(f'the field "contest_date" must be a date such as 2024-10-01T00:00:00, got "{text[:40]}"')


def _tests(row: Row, private_required: bool) -> list[dict[str, str]]:
    """Public and private tests, {input, output, testtype} each."""
    private = row.text("private_test_cases", "")
    if not private and private_required:
        raise UnusableRowError("no private tests (data.source.private_tests=optional takes the public ones alone)")
    tests = _listed(row, "public_test_cases", row.text("public_test_cases", "") or "[]")
    if private:
        tests += _listed(row, "private_test_cases", private if private.lstrip()[:1] == "[" else _unpacked(row, private))
    if not tests:
        raise UnusableRowError("no tests")
    return tests


def _unpacked(row: Row, packed: str) -> str:
    try:
        return unpacked_text(packed)
    except ValueError as error:
        row.refuse(f'the field "private_test_cases" is neither JSON nor packed text: {error}')


def _listed(row: Row, name: str, text: str) -> list[dict[str, str]]:
    try:
        tests = json.loads(text)
    except (ValueError, RecursionError) as error:
        row.refuse(f'the field "{name}" is no JSON: {error}')
    if not isinstance(tests, list):
        row.refuse(f'the field "{name}" must be a JSON list, got {kind_of(tests)}')
    for i, test in enumerate(tests):
        if not isinstance(test, dict):
            row.refuse(f'the field "{name}"[{i}] must be an object, got {kind_of(test)}')
        part = Row(row.path, row.line, test)
        for key in ("input", "output", "testtype"):
            part.text(key)
    return tests


def _style(tests: list[dict[str, str]]) -> Style:
    kinds = {test["testtype"] for test in tests}
    if kinds == {"stdin"}:
        return Style.STDIN
    if kinds == {"functional"}:
        return Style.FUNCTION
    raise UnusableRowError(f"tests of type {', '.join(sorted(kinds))}")


def _method(row: Row) -> str:
    """The method of `class Solution` that the tests call."""
    metadata = row.fields.get("metadata") or "{}"
    try:
        metadata = json.loads(metadata) if isinstance(metadata, str) else metadata
    except ValueError as error:
        row.refuse(f'the field "metadata" is no JSON: {error}')
    name = metadata.get("func_name") if isinstance(metadata, dict) else None
    if not isinstance(name, str) or not name.isidentifier():
        row.refuse('the field "metadata" must name the method under "func_name"')
    return name


def _case(test: dict[str, str], entry_point: str | None) -> TestCase:
    if entry_point is None:
        return TestCase(stdin=test["input"], stdout=test["output"])
    try:
        arguments = [json.loads(line) for line in test["input"].split("\n")]
        expected = json.loads(test["output"])
    except (ValueError, RecursionError) as error:
        raise UnusableRowError("a test's arguments or result are no JSON values") from error
    return call_test(entry_point, arguments, expected)


def _origins(row: Row, number: str) -> tuple[str, ...]:
    platform = row.text("platform", "")
    if platform == "codeforces":
        return (f"codeforces/{number.replace('_', '/').upper()}",)
    if platform == "leetcode":  # other data sets know it by its address, which is made of its title
        return (f"leetcode/{re.sub(r'[^a-z0-9]+', '-', row.text('question_title', number).lower()).strip('-')}",)
    return (f"{platform}/{number}",) if platform else ()
