"""MBPP: hand-made rows for every rule, and the real rows where they are at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from zerocoder.datasets.mbpp import Mbpp
from zerocoder.execution import Job, Verdict, VerifierConfig
from zerocoder.problems import Label, Program, TestCase, ZeroCoderError

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "mbpp.jsonl"


def row(task: int, **changes: Any) -> dict[str, Any]:
    return {
        "text": " Write a function to add. ",
        "code": "def helper(x):\r\n  return x\r\ndef add(a, b = 1):\r\n  return helper(a) + b",
        "task_id": task,
        "test_setup_code": "",
        "test_list": ["assert add(1, 2) == 3", "assert set([add(1)]) == set([2]) "],
        "challenge_test_list": ["assert add(0, 0) == 1"],
    } | changes


def source(tmp_path: Path, *rows: Any) -> Mbpp:
    path = tmp_path / "mbpp.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return Mbpp(str(path))


def test_a_row_becomes_a_problem_that_shows_no_test(tmp_path: Path) -> None:
    (problem,) = source(tmp_path, row(601)).train()
    assert problem.id == "mbpp/601"
    assert problem.statement == "Write a function to add."
    assert problem.entry_point == "add"
    assert problem.signature == "def add(a, b=1):"
    assert problem.source == "mbpp"
    assert problem.label == Label(
        "def helper(x):\n  return x\ndef add(a, b = 1):\n  return helper(a) + b",
        (TestCase(code="assert add(1, 2) == 3"), TestCase(code="assert set([add(1)]) == set([2])")),
    )


def test_setup_code_comes_before_every_assert(tmp_path: Path) -> None:
    (problem,) = source(
        tmp_path, row(601, test_setup_code="n = 1\r\nm = 2", test_list=["assert add(n, m) == 3"])
    ).train()
    assert problem.label is not None
    assert problem.label.tests == (TestCase(code="n = 1\nm = 2\nassert add(n, m) == 3"),)


def test_names_that_a_test_binds_itself_are_its_own(tmp_path: Path) -> None:
    tests = [
        "import math\nassert add(math.inf) == max(x for x in [math.inf])",
        "assert list(map(lambda y: add(y), [1])) == [2]",
    ]
    assert len(source(tmp_path, row(601, test_list=tests)).train()) == 1


def test_the_splits_are_the_official_ones(tmp_path: Path) -> None:
    mbpp = source(tmp_path, *(row(t) for t in (1, 10, 11, 510, 511, 600, 601, 974)))
    assert [p.id for p in mbpp.train()] == ["mbpp/511", "mbpp/600", "mbpp/601", "mbpp/974"]
    assert [p.id for p in mbpp.heldout()] == ["mbpp/11", "mbpp/510"]
    assert mbpp.report() == {"outside the official train, validation and test ranges": 2}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"test_list": []}, "no tests"),
        ({"test_list": ["assert ("]}, "a test is no Python"),
        ({"code": "print 'python 2'"}, "the reference is no Python"),
        ({"code": "class add: pass"}, "no function of the reference is called by every test"),
        (
            {"test_list": ["assert add(helper(1)) == 2"]},
            "the tests need more of the reference than the function",
        ),
        (
            {"test_setup_code": "n = Node(1)", "test_list": ["assert add(n.value) == 2"]},
            "the tests need more of the reference than the function",
        ),
        ({"test_list": ["assert add(1) == 2", "assert True"]}, "no function of the reference is called by every test"),
    ],
)
def test_rows_that_cannot_be_used_are_counted(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    mbpp = source(tmp_path, row(601), row(602, **changes))
    assert [p.id for p in mbpp.train()] == ["mbpp/601"]
    assert mbpp.report() == {reason: 1}


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (row(601) | {"task_id": "602"}, r"mbpp.jsonl:2: .*task_id.* whole number"),
        (row(601), r"mbpp.jsonl:2: task_id 601 was used before, on line 1"),
        ({k: v for k, v in row(602).items() if k != "text"}, r'mbpp.jsonl:2: the field "text" is missing'),
        (row(602, test_list=[1]), r'mbpp.jsonl:2: the field "test_list"\[0\] must be text'),
        (row(602, code=None), r'mbpp.jsonl:2: the field "code" is missing'),
    ],
)
def test_a_malformed_file_names_the_line(tmp_path: Path, bad: Any, message: str) -> None:
    with pytest.raises(ZeroCoderError, match=message):
        source(tmp_path, row(601), bad).train()


@pytest.mark.skipif(not REAL.exists(), reason="the real rows of MBPP are not at hand")
def test_the_real_rows() -> None:
    mbpp = Mbpp(str(REAL))
    train, heldout = mbpp.train(), mbpp.heldout()
    rows = [json.loads(line) for line in REAL.read_text().splitlines()]
    report = mbpp.report()
    assert len(train) + len(heldout) + sum(report.values()) == len(rows)
    assert sum(r["task_id"] <= 10 for r in rows) == report.pop("outside the official train, validation and test ranges")
    assert set(report) == {"the tests need more of the reference than the function"}
    assert sum(report.values()) <= 3  # tasks 367, 596 and 927
    for problem in (*train, *heldout):
        assert problem.label is not None
        assert problem.entry_point is not None
        assert len(problem.label.tests) >= 1
        assert "\r" not in problem.label.solution
        assert problem.signature.startswith((f"def {problem.entry_point}(", f"async def {problem.entry_point}("))
        assert not any(t.code in problem.statement for t in problem.label.tests)


@pytest.mark.slow
@pytest.mark.skipif(not REAL.exists(), reason="the real rows of MBPP are not at hand")
def test_the_real_references_pass_their_tests() -> None:
    problems = [*Mbpp(str(REAL)).train(), *Mbpp(str(REAL)).heldout()]
    jobs = [Job((Program(p.label.solution),), p.label.tests, p.entry_point) for p in problems if p.label]
    with VerifierConfig(cpu_seconds=20.0).build() as executor:  # task 123 counts amicable numbers for seconds
        verdicts = executor.run(jobs)
    assert [p.id for p, row in zip(problems, verdicts, strict=True) if (row != Verdict.PASS).any()] == []
