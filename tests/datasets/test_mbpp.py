"""MBPP, full and sanitized: hand-made rows for every rule, and the real rows where they are at hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from zerocoder.datasets.mbpp import Mbpp
from zerocoder.execution import Job, Verdict, VerifierConfig
from zerocoder.problems import Grading, Label, Problem, Program, TestCase, ZeroCoderError

REAL = Path(__file__).parents[2].parent / "shared" / "data"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the real rows of MBPP are not at hand")
OUTSIDE = "outside the official train, validation and test ranges"
TREE = "class Node:\r\n\tdef __init__(self, data):\r\n\t\tself.data = data\r\n\t\tself.left = None\r\n"


def row(task: int, **changes: Any) -> dict[str, Any]:
    return {
        "text": " Write a function to add. ",
        "code": "def helper(x):\r\n  return x\r\ndef add(a, b = 1):\r\n  return helper(a) + b",
        "task_id": task,
        "test_setup_code": "",
        "test_list": ["assert add(1, 2) == 3", "assert set([add(1)]) == set([2]) "],
        "challenge_test_list": ["assert add(0, 0) == 1"],
    } | changes


def source(tmp_path: Path, *rows: Any, **settings: Any) -> Mbpp:
    path = tmp_path / "mbpp.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return Mbpp(str(path), **settings)


def verdicts(problems: list[Problem], *sources: str) -> list[list[str]]:
    """A row a problem: the verdicts of its reference, or of `sources`, on its one test."""
    jobs = []
    for problem in problems:
        assert problem.label is not None
        programs = tuple(map(Program, sources or (problem.label.solution,)))
        jobs.append(Job(programs, problem.label.tests, problem.entry_point, grading=problem.label.grading))
    with VerifierConfig(workers=2, cache_mb=0).build() as executor:
        return [[Verdict(cell).name for cell in matrix[:, 0]] for matrix in executor.run(jobs)]


def test_a_row_becomes_a_problem_that_shows_no_test(tmp_path: Path) -> None:
    (problem,) = source(tmp_path, row(601)).train()
    assert problem.id == "mbpp/601"
    assert problem.statement == "Write a function to add."
    assert problem.entry_point == "add"
    assert problem.signature == "def add(a, b=1):"
    assert problem.source == "mbpp"
    assert problem.label == Label(
        "def helper(x):\n  return x\ndef add(a, b = 1):\n  return helper(a) + b",
        (TestCase(code="assert add(1, 2) == 3\nassert set([add(1)]) == set([2])\n"),),
        Grading(seconds=3.0),
    )


def test_the_asserts_meet_one_run_of_the_program(tmp_path: Path) -> None:
    heldout = source(tmp_path, row(11, test_list=["assert add(1) == 2", "assert add(1) == 2"])).heldout()
    remembers = "def add(a, b=1, seen=[]):\n    seen.append(a)\n    return len(seen) + b"
    assert verdicts(heldout, remembers) == [["FAIL"]]


def test_setup_code_and_imports_come_before_the_asserts(tmp_path: Path) -> None:
    changes = {"test_setup_code": "n = 1\r\nm = 2", "test_imports": ["import math"]}
    (problem,) = source(tmp_path, row(601, test_list=["assert add(n, m) == math.floor(3.5)"], **changes)).train()
    assert problem.label is not None
    assert problem.label.tests[0].code == "import math\nn = 1\nm = 2\nassert add(n, m) == math.floor(3.5)\n"
    assert verdicts([problem]) == [["PASS"]]


def test_a_class_that_the_tests_build_on_is_shown_and_crosses(tmp_path: Path) -> None:
    changes = {
        "code": TREE + "def depth(root):\r\n\treturn 0 if root is None else 1 + depth(root.left)",
        "test_setup_code": "root = Node(1)\r\nroot.left = Node(2)",
        "test_list": ["assert depth(root) == 2", "assert depth(root.left) == 1"],
    }
    (problem,) = source(tmp_path, row(367, **changes)).heldout()
    shown, line = problem.signature.split("\n\n\ndef ")
    assert "class Node:" in shown and "self.left = None" in shown
    assert line == "depth(root):"
    alone = "def depth(root):\n    return 1 + depth(root.left) if root else 0"
    wrong = "def depth(root):\n    return 2"
    assert verdicts([problem], problem.label.solution if problem.label else "", alone, wrong) == [
        ["PASS", "PASS", "FAIL"]
    ]


def test_imports_that_tests_expect_of_the_program_come_along(tmp_path: Path) -> None:
    changes = {
        "code": "import sys\r\ndef size(x):\r\n  return sys.getsizeof(x)",
        "test_list": ["assert size((1,)) == sys.getsizeof((1,))"],
    }
    (problem,) = source(tmp_path, row(596, **changes)).train()
    assert problem.label is not None
    assert problem.label.tests[0].code.startswith("import sys\n")
    assert problem.signature == "def size(x):"
    assert verdicts([problem]) == [["PASS"]]


def test_names_that_a_test_binds_itself_are_its_own(tmp_path: Path) -> None:
    tests = [
        "import math\nassert add(math.inf) == max(x for x in [math.inf])",
        "assert list(map(lambda y: add(y), [1])) == [2]",
    ]
    assert len(source(tmp_path, row(601, test_list=tests)).train()) == 1


def test_the_splits_are_the_official_ones_in_the_order_of_tasks(tmp_path: Path) -> None:
    mbpp = source(tmp_path, *(row(t) for t in (1, 10, 601, 974, 510, 11, 511, 600)))  # the hub's order
    assert [p.id for p in mbpp.train()] == ["mbpp/511", "mbpp/600", "mbpp/601", "mbpp/974"]
    assert [p.id for p in mbpp.heldout()] == ["mbpp/11", "mbpp/510"]
    assert mbpp.report() == {OUTSIDE: 2}


def test_tests_are_shown_with_heldout_problems_only(tmp_path: Path) -> None:
    mbpp = source(tmp_path, row(11), row(601), show_tests=1)
    assert mbpp.heldout()[0].statement.endswith("Your code should pass these tests:\n\nassert add(1, 2) == 3")
    assert mbpp.train()[0].statement == "Write a function to add."
    assert source(tmp_path, row(11), show_tests=3).heldout()[0].statement.count("assert") == 2
    with pytest.raises(ZeroCoderError, match="data.source.show_tests is -1"):
        Mbpp(show_tests=-1)


def test_challenge_tests_are_added_where_asked_for(tmp_path: Path) -> None:
    (problem,) = source(tmp_path, row(11), challenge_tests=True, show_tests=3).heldout()
    assert problem.label is not None
    assert problem.label.tests[0].code.endswith("\nassert add(0, 0) == 1\n")
    assert "add(0, 0)" not in problem.statement


def test_task_123_gets_the_time_its_reference_takes(tmp_path: Path) -> None:
    grades = [p.label.grading.seconds for p in source(tmp_path, row(122), row(123)).heldout() if p.label]
    assert grades == [3.0, 20.0]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"test_list": []}, "no tests"),
        ({"test_list": ["assert ("]}, "a test is no Python"),
        ({"code": "print 'python 2'"}, "the reference is no Python"),
        ({"code": "class add: pass"}, "no function of the reference is called by every test"),
        ({"test_list": ["assert add(1) == 2", "assert True"]}, "no function of the reference is called by every test"),
        (
            {"test_setup_code": "n = Node(1)", "test_list": ["assert add(n.value) == 2"]},
            "the tests use a name that neither they nor the reference define",
        ),
        (
            {
                "code": TREE + "\tdef double(self): pass\r\ndef add(a): pass",
                "test_list": ["assert add(Node(1)) == 2"],
            },
            "the tests use a class of the reference that is more than its attributes",
        ),
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
        (row(601), r'mbpp.jsonl:2: the id "mbpp/601" was used before, on line 1'),
        ({k: v for k, v in row(602).items() if k != "text"}, r'mbpp.jsonl:2: the field "text" is missing'),
        (row(602, test_list=[1]), r'mbpp.jsonl:2: the field "test_list"\[0\] must be text'),
        (row(602, code=None), r'mbpp.jsonl:2: the field "code" is missing'),
        ({"prompt": "", "code": "", "test_list": []}, r"no row of MBPP: .*text.* missing; .* for data=mbpp_sanitized"),
    ],
)
def test_a_malformed_file_names_the_line(tmp_path: Path, bad: Any, message: str) -> None:
    with pytest.raises(ZeroCoderError, match=message):
        source(tmp_path, row(601), bad).train()


def test_the_full_form_is_not_the_sanitized_one(tmp_path: Path) -> None:
    with pytest.raises(ZeroCoderError, match='no row of sanitized MBPP: "prompt" missing; .* for data=mbpp$'):
        source(tmp_path, row(601), sanitized=True).train()


def counted(tasks: list[int]) -> tuple[int, int, int]:
    """Prompt, test and other tasks."""
    return sum(t <= 10 for t in tasks), sum(10 < t <= 510 for t in tasks), sum(t > 510 for t in tasks)


@needs_real
def test_all_real_rows_but_the_papers_prompts_are_problems() -> None:
    full = [json.loads(line) for line in (REAL / "mbpp.jsonl").read_text().splitlines()]
    sanitized = json.loads((REAL / "sanitized-mbpp.json").read_text())
    for rows, mbpp in (
        (full, Mbpp(str(REAL / "mbpp.jsonl"))),
        (sanitized, Mbpp(str(REAL / "sanitized-mbpp.json"), sanitized=True)),
    ):
        prompts, test, rest = counted([r["task_id"] for r in rows])
        assert (mbpp.report(), len(mbpp.heldout()), len(mbpp.train())) == ({OUTSIDE: prompts}, test, rest)
        official = {f"mbpp/{r['task_id']}": r["test_list"] for r in rows}
        for problem in (*mbpp.train(), *mbpp.heldout()):
            assert problem.label is not None and problem.entry_point is not None
            assert "\r" not in problem.label.solution
            assert f"def {problem.entry_point}(" in problem.signature
            lines = problem.label.tests[0].code
            assert all(test.strip().replace("\r\n", "\n") in lines for test in official[problem.id])
            assert not any(test in problem.statement for test in official[problem.id])
            assert problem.signature.startswith("def ") or problem.id == "mbpp/367"


@needs_real
def test_all_real_references_pass() -> None:
    mbpp = Mbpp(str(REAL / "mbpp.jsonl"), challenge_tests=True)
    sanitized = Mbpp(str(REAL / "sanitized-mbpp.json"), sanitized=True)
    problems = [*mbpp.train(), *mbpp.heldout(), *sanitized.train(), *sanitized.heldout()]
    failed = [p.id for p, row in zip(problems, verdicts(problems), strict=True) if row != ["PASS"]]
    assert (len(problems), failed) == (917, [])
