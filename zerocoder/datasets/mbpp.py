"""`data=mbpp`, `data=mbpp_sanitized`: Mostly Basic Python Problems (Austin et al., 2021), as published.

Split by the task ids of the paper: 601-974 and 511-600 (training and validation) to train on, 11-510 held out; 1-10 are
the paper's few-shot prompts and left out. `sanitized` reads the edited subset, which inherits the split.

As in the paper a program is right when the asserts of a task hold one after the other in one run, so they are one test.
It gets 3 seconds, as in the evaluation harnesses that are in use. Special cases of the published rows:

- Lines end in `\\r\\n` in nearly all rows.
- 367 and 927 are about trees: `test_setup_code` builds them from a class `Node` that only the reference defines, after
  the program and before the asserts. Here the test brings the class along, and the policy is shown it above the `def`
  line; a program that leaves it out, which officially ends in a NameError, can pass.
- 596 compares with `sys.getsizeof` and relies on the program's `import sys`; the test imports it.
- 123 sums amicable numbers for 7 seconds in the reference, and gets 20.
- The sanitized tests of spheres, cones and the like need their `test_imports`.
- Eleven tasks have `challenge_test_list`, which the paper reports apart; `challenge_tests` adds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from zerocoder.datasets.base import Row, UnusableRowError, collect, readable, signature_of, unix_lines
from zerocoder.datasets.needs import called_functions, needs_of
from zerocoder.datasets.reading import Hub, published_rows
from zerocoder.problems import Grading, Label, Problem, TestCase, ZeroCoderError

HELDOUT_TASKS = range(11, 511)
TRAIN_TASKS = range(511, 975)
SECONDS = 3.0
SLOW = {123: 20.0}
FULL = ("text", "code", "test_list")
SANITIZED = ("prompt", "code", "test_list")
_SPLIT = "train+validation+test+prompt"
_OUTSIDE = "outside the official train, validation and test ranges"


@dataclass(frozen=True)
class Mbpp:
    """MBPP in its full or its sanitized form."""

    path: str | None = None
    """mbpp.jsonl or sanitized-mbpp.json (or the folder of either); null looks in $ZEROCODER_DATA and on the hub."""
    revision: str | None = "4bb6404fdc6cacfda99d4ac4205087b89d32030c"
    """Of google-research-datasets/mbpp on the Hugging Face hub."""
    sanitized: bool = False
    """The subset that was verified by hand, with clearer texts."""
    show_tests: int = 0
    """So many of its tests are shown with a held-out problem; training problems never show any.

    The paper and most published scores show all (3). Then Pass@1 compares with them, but the problem's tester could
    copy what it is scored by, and a coder could print the expected values. Without them the `def` line still says how
    the function is called, and both roles are measured on the same text.
    """
    challenge_tests: bool = False
    """Add the challenge tests to the eleven tasks that have them."""

    def __post_init__(self) -> None:
        if self.show_tests < 0:
            raise ZeroCoderError(f"data.source.show_tests is {self.show_tests}: it must be 0 (none) or above, e.g. 3")

    def train(self) -> list[Problem]:
        return [p for p in self._parsed[0] if _task_of(p) in TRAIN_TASKS]

    def heldout(self) -> list[Problem]:
        return [p for p in self._parsed[0] if _task_of(p) in HELDOUT_TASKS]

    def report(self) -> dict[str, int]:
        """Why rows were left out -> how many, over the whole file."""
        return dict(self._parsed[1])

    @cached_property
    def _parsed(self) -> tuple[list[Problem], dict[str, int]]:
        """Problems by task id (the hub stores them split by split) and reasons, read once."""
        file, config = ("sanitized-mbpp.json", "sanitized") if self.sanitized else ("mbpp.jsonl", "full")
        hub = Hub("google-research-datasets/mbpp", self.revision, config)
        files = {_SPLIT: (file, f"{config}/*.parquet")}
        rows = published_rows("mbpp", self.path, "data.source.path", files, hub, _SPLIT)
        problems, reasons = collect(rows, self._problem)
        return sorted(problems, key=_task_of), reasons

    def _problem(self, row: Row) -> Problem:
        title, fields = ("sanitized MBPP", SANITIZED) if self.sanitized else ("MBPP", FULL)
        row.expect(title, fields)
        task = row.fields.get("task_id")
        if not isinstance(task, int) or isinstance(task, bool):
            row.refuse('the field "task_id" must be a whole number')
        if task not in TRAIN_TASKS and task not in HELDOUT_TASKS:
            raise UnusableRowError(_OUTSIDE)
        statement, code = row.text(fields[0]).strip(), unix_lines(row.text("code"))
        tests = [unix_lines(t).strip() for t in row.texts("test_list")]
        setup = [*map(unix_lines, row.texts("test_imports")), unix_lines(row.text("test_setup_code", ""))]
        if not tests:
            raise UnusableRowError("no tests")
        shown = tests[: self.show_tests] if task in HELDOUT_TASKS else []
        if shown:
            statement += "\n\nYour code should pass these tests:\n\n" + "\n".join(shown)
        if self.challenge_tests:
            tests += [unix_lines(t).strip() for t in row.texts("challenge_test_list")]
        entry_point, line = _called_function(code, tests)
        official = "\n".join([*(part for part in setup if part.strip()), *tests]) + "\n"
        needs = needs_of(official, entry_point, code)
        return Problem(
            id=f"mbpp/{task}",
            statement=statement,
            entry_point=entry_point,
            signature=needs.signature(line),
            label=Label(code, (TestCase(code=needs.code + official),), Grading(seconds=SLOW.get(task, SECONDS))),
            source="mbpp",
        )


def _task_of(problem: Problem) -> int:
    return int(problem.id.partition("/")[2])


def _called_function(code: str, tests: list[str]) -> tuple[str, str]:
    """Name and `def` line of the function of `code` that every test calls, the outermost call first."""
    readable("the reference", code)
    for test in tests:
        readable("a test", test)
    first, *others = (called_functions(test, code) for test in tests)
    for name in first:
        line = signature_of(code, name)
        if line is not None and all(name in calls for calls in others):
            return name, line
    raise UnusableRowError("no function of the reference is called by every test")
