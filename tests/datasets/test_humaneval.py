"""HumanEval: hand-made rows for every rule, and the real rows against the official way to judge them."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from zerocoder.datasets.humaneval import HumanEval
from zerocoder.execution import Job, Verdict, VerifierConfig
from zerocoder.problems import Problem, Program, ZeroCoderError

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "HumanEval.jsonl.gz"
needs_real = pytest.mark.skipif(not REAL.exists(), reason="the real rows of HumanEval are not at hand")

PROMPT = '''from typing import List


def twice(x):
    """ Helper. """
    return 2 * x


def total(xs: List[int]) -> int:
    """ Twice the sum.

        >>> total([1])
        2
    """
'''


def row(**changes: Any) -> dict[str, Any]:
    return {
        "task_id": "HumanEval/7",
        "prompt": PROMPT,
        "entry_point": "total",
        "canonical_solution": "    return twice(sum(xs))\n",
        "test": "\n\nMETADATA = {}\n\n\ndef check(candidate):\n    assert candidate([1, 2]) == 6\n    assert candidate([]) == 0\n",
    } | changes


def source(tmp_path: Path, *rows: dict[str, Any]) -> HumanEval:
    path = tmp_path / "HumanEval.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return HumanEval(str(path))


def verdicts(problem: Problem, *sources: str) -> list[str]:
    assert problem.label is not None
    job = Job(tuple(map(Program, sources)), problem.label.tests, problem.entry_point, grading=problem.label.grading)
    with VerifierConfig(workers=1, cache_mb=0).build() as executor:
        return [Verdict(cell).name for cell in executor.run([job])[0][:, 0]]


def test_the_prompt_is_shown_in_two_parts(tmp_path: Path) -> None:
    he = source(tmp_path, row())
    (problem,) = he.heldout()
    assert (problem.id, problem.entry_point, problem.source) == ("humaneval/7", "total", "humaneval")
    assert problem.statement == "Twice the sum.\n\n>>> total([1])\n2"
    assert problem.signature.startswith("from typing import List\n\n\ndef twice(x):")
    assert problem.signature.endswith("\n\n\ndef total(xs: List[int]) -> int:")
    assert problem.label is not None
    assert problem.label.solution == PROMPT + "    return twice(sum(xs))\n"
    assert [t.code for t in problem.label.tests] == ["assert total([1, 2]) == 6\nassert total([]) == 0\n"]
    assert problem.label.grading.seconds == 3.0
    assert (he.train(), he.report()) == ([], {})


def test_what_stands_before_the_function_is_there_for_every_program(tmp_path: Path) -> None:
    (problem,) = source(tmp_path, row()).heldout()
    alone = "def total(xs: List[int]) -> int:\n    return twice(sum(xs))"
    assert verdicts(problem, alone, "def total(xs):\n    return sum(xs)", PROMPT) == ["PASS", "FAIL", "FAIL"]


def test_all_asserts_meet_one_run_of_the_program(tmp_path: Path) -> None:
    (problem,) = source(tmp_path, row(test="def check(candidate):\n" + "    assert candidate([]) == 1\n" * 2)).heldout()
    assert verdicts(problem, "def total(xs, seen=[]):\n    seen.append(1)\n    return len(seen)") == ["FAIL"]


@pytest.mark.parametrize(
    ("test", "code"),
    [
        (
            "def check(f):\n    for i in range(3):\n        assert f([i]) == 2 * i",
            "for i in range(3):\n    assert total([i]) == 2 * i\n",
        ),
        (
            "N = 3\ndef check(candidate):\n    if not candidate([]):\n        return\n    assert N == 4",
            "N = 3\ndef check(candidate):\n    if not candidate([]):\n        return\n    assert N == 4\ncheck(total)\n",
        ),
        (
            "def check(candidate):\n    str = 'a'\n    assert candidate([1]) == 2 * len(str)",
            "def check(candidate):\n    str = 'a'\n    assert candidate([1]) == 2 * len(str)\ncheck(total)\n",
        ),
        (
            "def check(candidate):\n    assert candidate([1]) == twice(1)",
            'def twice(x):\n    """ Helper. """\n    return 2 * x\nassert total([1]) == twice(1)\n',
        ),
    ],
    ids=["a loop", "a return", "a name of Python's own", "a helper of the prompt"],
)
def test_the_body_of_check_is_written_out_where_that_says_the_same(tmp_path: Path, test: str, code: str) -> None:
    (problem,) = source(tmp_path, row(test=test)).heldout()
    assert problem.label is not None
    assert problem.label.tests[0].code == code
    assert verdicts(problem, problem.label.solution) == ["PASS"]


def test_a_prompt_without_docstring_is_its_own_statement(tmp_path: Path) -> None:
    (problem,) = source(tmp_path, row(prompt="def total(xs): # sums\n", canonical_solution="    return 0")).heldout()
    assert problem.statement == problem.signature == "def total(xs): # sums"


def test_a_docstring_may_follow_an_import(tmp_path: Path) -> None:
    prompt = 'def total(xs):\n    import math\n    """Sums."""\n'
    (problem,) = source(tmp_path, row(prompt=prompt, canonical_solution="    return math.floor(sum(xs)) * 2")).heldout()
    assert (problem.statement, problem.signature) == ("Sums.", "def total(xs):\n    import math")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"canonical_solution": "    return ("}, "the reference is no Python"),
        ({"test": "check("}, "the test is no Python"),
        ({"test": "assert total([]) == 0"}, "the test defines no check(candidate)"),
        ({"entry_point": "sum_up"}, "the reference does not define the entry point"),
    ],
)
def test_rows_that_cannot_be_used_are_counted(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    he = source(tmp_path, row(), row(task_id="HumanEval/8", **changes))
    assert [p.id for p in he.heldout()] == ["humaneval/7"]
    assert he.report() == {reason: 1}


def test_another_data_set_is_told(tmp_path: Path) -> None:
    mbpp = {"text": "", "code": "", "task_id": 1, "test_list": []}
    with pytest.raises(ZeroCoderError, match=r"HumanEval.jsonl:1: no row of HumanEval: .* for data=mbpp$"):
        source(tmp_path, mbpp).heldout()


OFFICIAL = """
import json, signal, sys
def alarm(*_): raise TimeoutError
signal.signal(signal.SIGALRM, alarm)
for line in sys.stdin:
    signal.setitimer(signal.ITIMER_REAL, 3.0)
    try:
        exec(json.loads(line), {})
        print(True)
    except BaseException:
        print(False)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
"""


def real_rows() -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(REAL.read_bytes()).splitlines()]


def letters(text: str) -> list[str]:
    return sorted(c for c in text if not c.isspace() and c not in "\"'")


@needs_real
def test_all_real_rows_are_problems() -> None:
    rows, he = real_rows(), HumanEval(str(REAL))
    assert he.report() == {}
    for given, problem in zip(rows, he.heldout(), strict=True):
        assert problem.id == f"humaneval/{given['task_id'].split('/')[1]}"
        if "\\" not in given["prompt"]:  # nothing is lost, nothing added
            assert letters(problem.signature + problem.statement) == letters(given["prompt"])
        assert given["entry_point"] == problem.entry_point


@needs_real
def test_all_real_references_pass() -> None:
    problems = HumanEval(str(REAL)).heldout()
    labels = [p.label for p in problems if p.label]
    jobs = [
        Job((Program(label.solution),), label.tests, p.entry_point, grading=label.grading)
        for p, label in zip(problems, labels, strict=True)
    ]
    with VerifierConfig(workers=2, cache_mb=0).build() as executor:
        failed = [p.id for p, m in zip(problems, executor.run(jobs), strict=True) if (m != Verdict.PASS).any()]
    assert (len(problems), failed) == (106, [])


@needs_real
@pytest.mark.parametrize("every", [5, pytest.param(1, marks=pytest.mark.slow)])
def test_verdicts_are_the_official_ones_over_references_and_broken_programs(every: int) -> None:
    """Official: exec of prompt, completion, test and the call of check, in one namespace, here of harmless programs."""
    rows = {f"humaneval/{r['task_id'].split('/')[1]}": r for r in real_rows()}
    problems = HumanEval(str(REAL)).heldout()[::every]
    programs, official = {}, []
    for problem in problems:
        given = rows[problem.id]
        right = given["canonical_solution"]
        completions = [right, "    return None\n", "", right.replace("+", "-", 1), right.replace("<", "<=", 1)]
        programs[problem.id] = [Program(given["prompt"] + completion) for completion in completions]
        call = f"\n{given['test']}\ncheck({given['entry_point']})"
        official += [json.dumps(program.source + call) + "\n" for program in programs[problem.id]]
    done = subprocess.run(
        [sys.executable, "-c", OFFICIAL], input="".join(official), capture_output=True, text=True, check=True
    )
    jobs = [
        Job(tuple(programs[p.id]), p.label.tests, p.entry_point, grading=p.label.grading) for p in problems if p.label
    ]
    with VerifierConfig(workers=2, cache_mb=0).build() as executor:
        ours = [bool(cell == Verdict.PASS) for matrix in executor.run(jobs) for cell in matrix[:, 0]]
    theirs = [line.endswith("True") for line in done.stdout.splitlines() if line.endswith(("True", "False"))]
    assert len(ours) == len(theirs) == 5 * len(problems)
    assert [i for i, (mine, other) in enumerate(zip(ours, theirs, strict=True)) if mine != other] == []
    assert ours[::5] == [True] * len(problems) and sum(ours) < 0.7 * len(ours)
