"""Items, scores and provenances for the tests of the report, as an evaluation would have made them."""

from __future__ import annotations

from collections.abc import Sequence

from zerocoder.evaluation.records import Answer, CoderItem, Item, Provenance, TesterItem
from zerocoder.problems import Label, Problem, TestCase

ANSWER = Answer("00", "text with \ud800 and | and [bold]", False, None)
TESTS = (TestCase(code="assert f() == 1"), TestCase(code="assert f() == 2"))


def item(
    name: str,
    *correct: bool | None,
    tester: bool = True,
    source: str = "",
    difficulty: str = "",
    valid: tuple[bool | None, ...] = (True, False),
    kills: tuple[float | None, ...] = (0.5, 0.0),
    mutants: int = 2,
    answer: Answer = ANSWER,
) -> Item:
    """A problem whose coder's answers are `correct`, and whose one tester's answer has a test for each of `valid`."""
    verdicts = tuple({True: "pass", False: "fail", None: "infra"}[v] for v in valid)
    turn = TesterItem(answer, TESTS[: len(valid)], verdicts, valid, kills, mutants)
    coder = tuple(CoderItem(answer, "x = 1", ("pass" if c else "fail",), c) for c in correct)
    return Item(name, source, difficulty, coder, (turn,) if tester else ())


def problems(items: Sequence[Item], statement: str = "Return 1.") -> list[Problem]:
    """The problems behind `items`."""
    label = Label("def f():\n    return 1", (TestCase(code="assert f() == 1"),))
    return [
        Problem(i.problem, statement, entry_point="f", label=label, source=i.source, difficulty=i.difficulty)
        for i in items
    ]


PROVENANCE = Provenance(
    title="problems that ship with the package",
    data_set="builtin",
    revision=None,
    data_hash="1a2b",
    sample="all",
    roles=("coder", "tester"),
    problems=2,
    left_out={"no tests": 3},
    n=1,
    temperature=0.0,
    top_p=1.0,
    top_k=0,
    max_new_tokens=256,
    prompts="ab12",
    extractor="1",
    cpu_seconds=(2.0, 4.0),
    machine_factor=1.25,
    isolation="namespaces",
    versions={"torch": "2.13"},
    seconds=12.0,
)
