"""KodCode: hand-made pytest files for every rule, and the real rows where they are at hand."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from zerocoder.datasets.kodcode import KodCode
from zerocoder.execution import Job, Verdict, VerifierConfig
from zerocoder.problems import Problem, Program, ZeroCoderError

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "kodcode.jsonl.gz"

SOLUTION = "import math\n\ndef half(x):\n    if x < 0:\n        raise ValueError('below zero')\n    return x / 2\n"
TESTS = '''"""Tests."""
import pytest
from solution import half

LIMIT = 4

def doubled(x):
    return 2 * half(x)

def test_values():
    x = 4
    assert half(x) == 2
    assert doubled(LIMIT) == 4

def test_error():
    with pytest.raises(ValueError, match="below"):
        half(-1)

if __name__ == "__main__":
    pytest.main([__file__])
'''


def row(**changes: Any) -> dict[str, Any]:
    return {
        "style": "instruct",
        "subset": "Prefill",
        "question_id": "Prefill_1_I",
        "question": " Halve a number. ",
        "solution": SOLUTION,
        "test": TESTS,
        "test_info": [{"function_name": "half"}],
        "gpt_difficulty": "easy",
    } | changes


def source(tmp_path: Path, *rows: dict[str, Any], **settings: Any) -> KodCode:
    path = tmp_path / "kodcode.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return KodCode(str(path), **settings)


def verdicts(problem: Problem, *sources: str) -> list[str]:
    """For each program the letters of its verdicts."""
    assert problem.label is not None
    job = Job(tuple(map(Program, sources)), problem.label.tests, problem.entry_point, grading=problem.label.grading)
    with VerifierConfig(workers=1, cache_mb=0).build() as executor:
        return ["".join(Verdict(cell).name[0] for cell in cells) for cells in executor.run([job])[0]]


def test_a_row_becomes_a_problem(tmp_path: Path) -> None:
    kodcode = source(tmp_path, row())
    (problem,) = kodcode.train()
    assert (problem.id, problem.source, problem.difficulty) == ("kodcode/Prefill_1_I", "kodcode", "easy")
    assert (problem.statement, problem.entry_point) == ("Halve a number.", "half")
    assert problem.signature == "def half(x):"
    assert problem.label is not None
    values, error = (t.code for t in problem.label.tests)
    assert values.endswith("x = 4\nassert half(x) == 2\nassert doubled(LIMIT) == 4\n")
    assert "pytest.main" not in values and "solution" not in values
    assert error.endswith("half(-1)\n")
    assert (kodcode.heldout(), kodcode.report()) == ([], {})
    wrong = "def half(x):\n    return x // 2 + 1"
    silent = "def half(x):\n    return x / 2"
    other = SOLUTION.replace("below zero", "negative")
    assert verdicts(problem, SOLUTION, wrong, silent, other) == ["PP", "FF", "PF", "PF"]


def test_the_older_name_of_the_test_field(tmp_path: Path) -> None:
    given = row(test_code=TESTS)
    del given["test"]
    assert len(source(tmp_path, given).train()) == 1


def test_rows_are_chosen_by_subset_and_number(tmp_path: Path) -> None:
    rows = [row(question_id=f"q{i}", subset="ABB"[i]) for i in range(3)]
    assert [p.id for p in source(tmp_path, *rows, subsets=["B"]).train()] == ["kodcode/q1", "kodcode/q2"]
    assert [p.id for p in source(tmp_path, *rows, max_rows=1).train()] == ["kodcode/q0"]
    with pytest.raises(ZeroCoderError, match="data.source.max_rows is 0"):
        KodCode(max_rows=0)


APPROX = """
import pytest
def test_a():
    assert half(1) == pytest.approx(0.5)
    assert [half(1), half(3)] == pytest.approx([0.5, 1.5 + 1e-9])
    assert {"a": half(3)} == pytest.approx({"a": 1.4}, abs=0.2)
    assert half(1) != pytest.approx(0.51, rel=1e-3)
    assert half(2.0) == pytest.approx(1)
"""
PARAMETRIZED = """
import pytest
@pytest.mark.parametrize("x, y", [(2, 1), (4, 2)])
def test_a(x, y):
    assert half(x) == y
@pytest.mark.parametrize("x", [2, 4])
def test_b(x):
    if x > 2:
        return
    assert half(x) == x / 2
"""


@pytest.mark.parametrize(
    ("tests", "expected"), [(APPROX, ["P", "F"]), (PARAMETRIZED, ["PP", "FF"])], ids=["approx", "parametrize"]
)
def test_what_tests_use_of_pytest(tmp_path: Path, tests: str, expected: list[str]) -> None:
    (problem,) = source(tmp_path, row(test=tests)).train()
    assert verdicts(problem, SOLUTION, "def half(x):\n    return x") == expected


def test_objects_of_plain_classes_are_passed_and_returned(tmp_path: Path) -> None:
    solution = (
        "class Node:\n    def __init__(self, v, next=None):\n        self.v = v\n        self.next = next\n\n"
        "def second(node: Node) -> Node:\n    return node.next\n"
    )
    tests = "from solution import *\ndef test_a():\n    assert second(Node(1, Node(2))).v == 2\n"
    (problem,) = source(tmp_path, row(solution=solution, test=tests)).train()
    assert problem.label is not None
    assert "class Node:" in problem.signature and problem.signature.endswith("def second(node: Node) -> Node:")
    alone = "def second(node: Node) -> Node:\n    return Node(node.next.v)"
    assert verdicts(problem, problem.label.solution, alone, alone.replace(".next", "")) == ["P", "P", "F"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"solution": "def half(x:"}, "the solution is no Python"),
        ({"test": "def test_a("}, "the test file is no Python"),
        ({"test": "assert half(2) == 1"}, "no tests"),
        ({"test": ""}, "no tests"),
        (
            {"test": "class TestHalf:\n    def test_a(self):\n        assert half(2) == 1"},
            "the tests are methods of a class",
        ),
        ({"test": "def test_a():\n    assert 1"}, "the task is a class, or the tests call nothing of the solution"),
        (
            {"solution": SOLUTION + "def third(x): pass", "test": "def test_a():\n    assert half(third(2)) == 1"},
            "the tests call several functions of the solution",
        ),
        ({"test": "def half(x): pass\ndef test_a():\n    half(2)"}, "the tests define the function that they test"),
        ({"test": "def test_a(capsys):\n    half(2)"}, "a test needs fixtures or marks of pytest"),
        (
            {"test": "import pytest\n@pytest.mark.skip\ndef test_a():\n    half(2)"},
            "a test needs fixtures or marks of pytest",
        ),
        ({"test": "import numpy\ndef test_a():\n    half(2)"}, "needs packages besides the standard library"),
        (
            {"test": "import sys\ndef test_a():\n    half(2)\n    assert sys.stdout.x"},
            "the tests look at what is printed",
        ),
    ],
)
def test_rows_that_cannot_be_used_are_counted(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    kodcode = source(tmp_path, row(), row(question_id="q", **changes))
    assert [p.id for p in kodcode.train()] == ["kodcode/Prefill_1_I"]
    assert kodcode.report() == {reason: 1}


def test_another_data_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(ZeroCoderError, match=r"kodcode.jsonl:1: no row of KodCode: .* for data=jsonl$"):
        source(tmp_path, {"id": 1, "statement": "", "tests": []}).train()


LEFT_OUT = {
    "the task is a class, or the tests call nothing of the solution": {
        *(f"Leetcode_{n:08}_{way}" for n in (0, 40, 47, 79, 98) for way in "IC"),
        "Leetcode_00000051_I",
    },
    "the tests call several functions of the solution": {
        f"{name}_{way}" for name in ("Prefill_00000189", "Algorithm_00000025") for way in "IC"
    },
    "the tests look at what is printed": {"Prefill_00000101_I", "Prefill_00000101_C"},
    "the tests use a class of the reference that is more than its attributes": {
        "Algorithm_00000008_I",
        "Algorithm_00000008_C",
    },
    "the tests define the function that they test": {"Algorithm_00000041_I", "Algorithm_00000041_C"},
    "needs packages besides the standard library": {"Algorithm_00000068_I", "Algorithm_00000068_C"},
}
"""Of the real rows, found by reading their solutions and tests."""


@pytest.mark.skipif(not REAL.exists(), reason="the real rows of KodCode are not at hand")
def test_the_real_rows_and_their_references() -> None:
    ids = [json.loads(line)["question_id"] for line in gzip.decompress(REAL.read_bytes()).splitlines()]
    kodcode = KodCode(str(REAL))
    problems = kodcode.train()
    assert kodcode.report() == {reason: len(rows) for reason, rows in LEFT_OUT.items()}
    assert [p.id for p in problems] == [f"kodcode/{i}" for i in ids if i not in set().union(*LEFT_OUT.values())]
    jobs = [
        Job((Program(p.label.solution),), p.label.tests, p.entry_point, grading=p.label.grading)
        for p in problems
        if p.label
    ]
    with VerifierConfig(workers=2, cache_mb=0).build() as executor:
        matrices = executor.run(jobs)
    assert [p.id for p, matrix in zip(problems, matrices, strict=True) if (matrix != Verdict.PASS).any()] == []
