"""`data=codeforces`: Codeforces problems in the columns of open-r1/codeforces (Penedo et al., 2025).

Its training split is for training, its test split (contests of late 2024 and early 2025) is held out, as its authors
ask. There are no reference solutions. The tests are the official ones that the site shows in full; a problem with many
right answers brings a checker, which decides in place of the expected outputs. `generated_tests` adds the larger tests
that the data set keeps apart.

Also read are rows of {problem, tests}, the form in which other projects pass on CodeElo and CodeContests problems:
without checkers, so that a right answer other than the expected one counts as wrong.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from zerocoder.datasets.base import Row, UnusableRowError, collect, parse_python, unix_lines
from zerocoder.datasets.places import TwoSplits, place_of
from zerocoder.datasets.reading import Hub, published_rows
from zerocoder.datasets.samples import draw, drawn
from zerocoder.jsonlines import kind_of
from zerocoder.problems import Grading, Label, OutputMatch, Problem, Style, TestCase, ZeroCoderError

NAME = "codeforces"
SOURCE = "open-r1/codeforces"
REVISION = "fbe3f6e903ee854eec2e69e9d96d0306cde59baf"
CONFIGS = ("verifiable", "default", "verifiable-prompts")
AFTER_APPS = datetime(2021, 6, 1, tzinfo=UTC)
"""APPS was published in May 2021: no problem of a later contest is in it."""
_TAIL = re.compile(
    r"(?:Tags:\n.*\n+)?Time Limit: (?:(\d+) ms|\{'seconds': (\d+), 'nanos': (\d+)\})\nMemory Limit: (\d+) (MB|Bytes)$"
)
COLUMNS = ("id", "contest_id", "description", "official_tests", "input_mode", "generated_checker")


@dataclass(frozen=True)
class Codeforces(TwoSplits):
    """open-r1/codeforces in its published files, from this machine or the hub; without reference solutions."""

    path: str | None = None
    """A folder of the published parquet files, or one file; null looks into $ZEROCODER_DATA/codeforces, then on the
    hub."""
    heldout_path: str | None = None
    """The test split, where `path` does not hold it."""
    revision: str | None = REVISION
    """Of the repository on the hub."""
    config: str = "verifiable"
    """`default` has also the problems that the data set's authors could not verify."""
    sample: str | None = None
    """`codeforces-300` holds out 300 problems of contests after APPS was published; null all of the test split."""
    generated_tests: str | None = None
    """Folder of the data set's test_cases_*.parquet files, whose tests are added; null goes without."""

    def __post_init__(self) -> None:
        drawn(self.sample, NAME)
        if self.config not in CONFIGS:
            raise ZeroCoderError(f"data.source.config must be one of {', '.join(CONFIGS)}, got '{self.config}'")

    def _collected(self, split: str) -> tuple[list[Problem], dict[str, int]]:
        place = place_of(split, self.path, self.heldout_path)
        if place is None:
            return [], {}
        hub = Hub(SOURCE, self.revision, self.config)
        rows = published_rows(NAME, *place, _files(self.config), hub, split)
        announced: dict[str, int] = {}  # generated tests by problem
        partial: set[str] = set()

        def parse(row: Row) -> Problem:
            problem = _sampled_problem(row, split) if self.sample and split == "test" else _problem(row, split)
            announced[problem.id] = row.fields.get("generated_tests") or 0
            if row.fields.get("official_tests_complete") is False:
                partial.add(problem.id)
            return problem

        sample = drawn(self.sample, NAME)
        if sample is None or split == "train":
            problems, left_out = collect(rows, parse)
        else:
            problems, left_out = draw(rows, parse, sample)
        if self.generated_tests is None and split == "test":
            weak = sum(problem.id in partial for problem in problems)
            left_out |= {"kept, though only a part of the official tests is known": weak} if weak else {}
        return [self._with_generated(problem, announced[problem.id]) for problem in problems], left_out

    def _with_generated(self, problem: Problem, count: int) -> Problem:
        """With the tests that the data set keeps in files of their own, all `count` of them."""
        if self.generated_tests is None or problem.label is None or not count:
            return problem
        more = _generated(Path(self.generated_tests).expanduser(), problem.id.removeprefix(f"{NAME}/"))
        if len(more) != count:
            raise ZeroCoderError(
                f"data.source.generated_tests={self.generated_tests}: the folder holds {len(more)} tests of problem "
                f"{problem.id}, and {count} are announced; put all of its test_cases_*.parquet there"
            )
        return replace(problem, label=replace(problem.label, tests=(*problem.label.tests, *more)))


def _files(config: str) -> dict[str, tuple[str, ...]]:
    folder = {"default": "data"}.get(config, config)
    return {
        split: (f"{folder}/{split}-*.parquet", f"{split}-*.parquet", f"{split}.parquet", f"{split}.jsonl")
        for split in ("train", "test")
    }


def _problem(row: Row, split: str) -> Problem:
    if row.fields.keys() >= {"problem", "tests"}:
        return _passed_on(row, split)
    row.expect("open-r1/codeforces", COLUMNS)
    _require_usable(row)
    number = row.text("id")
    tests = _pairs(row, "official_tests")
    if row.fields.get("official_tests_complete") is False:
        tests = tuple(test for test in tests if not _is_cut(test))
    if not tests:
        raise UnusableRowError("no tests")
    return Problem(
        id=f"{NAME}/{number}",
        statement=_statement(row),
        style=Style.STDIN,
        label=Label("", tests, _grading(row)) if split == "test" else None,
        source=NAME,
        difficulty=_rating(row),
        origins=tuple(f"codeforces/{name.upper()}" for name in dict.fromkeys([number, *row.texts("aliases")])),
    )


def _sampled_problem(row: Row, split: str) -> Problem:
    """A problem that cannot be one of APPS's."""
    start = row.fields.get("contest_start")
    if not isinstance(start, int) or isinstance(start, bool):
        raise UnusableRowError("no date of its contest to tell it from APPS's problems by")
    if start < AFTER_APPS.timestamp():
        raise UnusableRowError("of a contest before APPS was published")
    return _problem(row, split)


def _require_usable(row: Row) -> None:
    if row.text("input_mode", "stdio") != "stdio":
        raise UnusableRowError("reads and writes files")
    if row.text("interaction_format", "").strip():
        raise UnusableRowError("interactive")
    if row.fields.get("executable") is False:
        raise UnusableRowError("its tests did not confirm known solutions")
    if row.text("language", "python") != "python":
        raise UnusableRowError("the same problem with a prompt for another language")
    if not row.text("description", "").strip():
        raise UnusableRowError("no description")


def _statement(row: Row) -> str:
    """Description, input, output, examples and note, as the site shows them."""
    parts = [row.text("title", ""), row.text("description")]
    for heading, name in (("Input", "input_format"), ("Output", "output_format")):
        if part := row.text(name, "").strip():
            parts.append(f"{heading}\n\n{part}")
    shown = _pairs(row, "examples")
    for number, example in enumerate(shown, 1):
        which = f" {number}" if len(shown) > 1 else ""
        for heading, text in (("input", example.stdin), ("output", example.stdout)):
            parts.append(f"Example {heading}{which}\n\n{(text or '').strip()}")
    if note := row.text("note", "").strip():
        parts.append(f"Note\n\n{note}")
    return "\n\n".join(unix_lines(part).strip() for part in parts if part.strip())


def _pairs(row: Row, name: str) -> tuple[TestCase, ...]:
    """A list of {input, output}."""
    pairs = []
    for i, item in enumerate(row.items(name)):
        if not isinstance(item, dict):
            row.refuse(f'the field "{name}"[{i}] must be an object, got {kind_of(item)}')
        part = Row(row.path, row.line, item)
        pairs.append(TestCase(stdin=unix_lines(part.text("input")), stdout=unix_lines(part.text("output"))))
    return tuple(pairs)


def _is_cut(test: TestCase) -> bool:
    """Whether the site showed only the beginning of a test: it ends such texts with three dots."""
    return any(text is not None and text.rstrip().endswith("...") for text in (test.stdin, test.stdout))


def _grading(row: Row) -> Grading:
    checker = row.text("generated_checker", "").strip()
    if checker:
        try:
            parse_python(checker)
        except ValueError as error:
            raise UnusableRowError("its checker is no Python") from error
    seconds, megabytes = _limit(row, "time_limit"), _limit(row, "memory_limit")
    return Grading(
        output=OutputMatch.NUMBERS,
        seconds=seconds,
        memory_mb=None if megabytes is None else math.ceil(megabytes),
        checker=checker or None,
    )


def _limit(row: Row, name: str) -> float | None:
    value = row.fields.get(name)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
        row.refuse(f'the field "{name}" must be a number above 0, got {value!r}')
    return float(value)


def _rating(row: Row) -> str:
    value = row.fields.get("rating")
    return "" if value is None else str(value)


def _passed_on(row: Row, split: str) -> Problem:
    """A row of {problem, tests}: tests as a list of {input, output} or as {inputs, outputs}."""
    text = unix_lines(row.text("problem"))
    tests = _two_lists(row) if isinstance(row.fields["tests"], dict) else _pairs(row, "tests")
    if not tests:
        raise UnusableRowError("no tests")
    statement, grading = _taken_apart(text.strip())
    return Problem(
        id=f"{NAME}/{hashlib.sha256(text.encode()).hexdigest()[:12]}",
        statement=statement,
        style=Style.STDIN,
        label=Label("", tests, grading) if split == "test" else None,
        source=NAME,
    )


def _taken_apart(text: str) -> tuple[str, Grading]:
    """A statement without its tail of hints and limits, and what the limits say."""
    tail = _TAIL.search(text)
    if tail is None:
        return text, Grading(output=OutputMatch.NUMBERS)
    milliseconds, seconds, nanoseconds, size, unit = tail.groups()
    time_limit = int(milliseconds) / 1000 if milliseconds else int(seconds) + int(nanoseconds) / 1e9
    megabytes = int(size) if unit == "MB" else math.ceil(int(size) / 1e6)
    return text[: tail.start()].strip(), Grading(OutputMatch.NUMBERS, time_limit or None, megabytes or None)


def _two_lists(row: Row) -> tuple[TestCase, ...]:
    part = Row(row.path, row.line, row.fields["tests"])
    inputs, outputs = part.texts("inputs"), part.texts("outputs")
    if len(inputs) != len(outputs):
        raise UnusableRowError("inputs and outputs that do not pair up")
    return tuple(TestCase(stdin=unix_lines(i), stdout=unix_lines(o)) for i, o in zip(inputs, outputs, strict=True))


def _generated(folder: Path, number: str) -> list[TestCase]:
    """The tests of a problem ("852/A") in the file of its contest, in their order."""
    import pyarrow
    from pyarrow import parquet

    contest = number.partition("/")[0]
    file = folder / f"test_cases_{contest:0>4}.parquet"
    if not file.is_file():
        return []
    columns = ["input", "output", "test_case_i"]
    try:
        rows = parquet.read_table(file, columns=columns, filters=[("problem_id", "=", number)]).to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise ZeroCoderError(f"cannot read {file}: {str(error).splitlines()[0]}") from error
    tests = []
    for at, fields in enumerate(sorted(rows, key=lambda fields: fields["test_case_i"] or 0), 1):
        part = Row(file, at, fields)
        tests.append(TestCase(stdin=unix_lines(part.text("input")), stdout=unix_lines(part.text("output"))))
    return tests
