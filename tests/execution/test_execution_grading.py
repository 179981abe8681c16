"""Jobs that are judged as an official grader would: outputs, checkers, preludes, limits, and what the cache keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from execution_helpers import as_job, names

from zerocoder.execution import Limits, ProcessExecutor, machine
from zerocoder.execution.progress import Progress
from zerocoder.execution.sandbox.scriptcell import CHECKER_CPU_SECONDS
from zerocoder.execution.schedule import Schedule
from zerocoder.problems import Grading, OutputMatch

PAIR = [("5\n", "2 3\n"), ("9\n", "4 5\n")]
# Any two numbers with the right sum, read as three files
SUM = """
import sys
def main(input_path, output_path, submission_path):
    with open(input_path) as f, open(submission_path, "r", encoding="utf-8") as g:
        total, (a, b) = int(f.readline()), map(int, g.read().split())
    print(1 if a + b == total else 0)
if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3])
"""


def graded(
    executor: ProcessExecutor,
    programs: Sequence[str],
    tests: Sequence[tuple[str, str] | str],
    grading: Grading,
    entry: str | None = None,
) -> list[list[str]]:
    [matrix] = executor.run([replace(as_job(programs, tests, entry), grading=grading)])
    return names(matrix)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (OutputMatch.LINES, ["PASS", "FAIL", "FAIL", "FAIL", "FAIL"]),
        (OutputMatch.DECIMALS, ["PASS", "PASS", "PASS", "FAIL", "FAIL"]),
        (OutputMatch.NUMBERS, ["PASS", "PASS", "PASS", "PASS", "FAIL"]),
    ],
)
def test_outputs_by_rule(executor: ProcessExecutor, rule: OutputMatch, expected: list[str]) -> None:
    programs = [f"print({text!r})" for text in ("0.5 \n1", " 0.5\n1", "0.50\n1.0", "0.5000001 1", "0.5")]
    assert [row[0] for row in graded(executor, programs, [("", "0.5\n1\n")], Grading(rule))] == expected


def test_a_checker_accepts_any_right_answer(executor: ProcessExecutor) -> None:
    programs = [
        "n = int(input())\nprint(1, n - 1)",
        "n = int(input())\nprint(n, 1)",
        "print('what?')",  # at which the checker raises
        "print(2, 3)",
        "1 / 0",
        "import sys\nprint(int(input()), 0)\nsys.exit(1)",
        "print(0, end='')\nwhile True: pass",
    ]
    assert graded(executor, programs, PAIR, Grading(checker=SUM)) == [
        ["PASS", "PASS"],
        ["FAIL", "FAIL"],
        ["FAIL", "FAIL"],
        ["PASS", "FAIL"],
        ["ERROR", "ERROR"],
        ["ERROR", "ERROR"],
        ["TIMEOUT", "TIMEOUT"],
    ]


READERS = {
    "open": "print(open(sys.argv[3]).read().strip())",
    "binary": "print(open(sys.argv[3], 'rb').read().decode().strip())",
    "keyword": "print(open(file=sys.argv[3], mode='rt', newline='').read().strip())",
    "pathlib": "from pathlib import Path\nprint(Path(sys.argv[3]).read_text().strip())",
    "exists": "import os\nprint(os.path.isfile(sys.argv[3]) and os.path.getsize(sys.argv[3]) - 1)",
    "lines": "import fileinput\nfor line in fileinput.input(sys.argv[3]): print(line, end='')",
    "twice": "open(sys.argv[3]).read()\nprint(open('./' + sys.argv[3]).readline())",
    "main": "def main(a, b, c): print(open(c).read())\nmain(*sys.argv[1:])",
    "loaded": "import numbers, json\nprint(json.load(open(sys.argv[3])))",
    "exit": "print(open(sys.argv[3]).read())\nsys.exit(0)",
    "stdin": "print(open(sys.argv[3]).read().strip() + sys.stdin.read())",
}


@pytest.mark.parametrize("name", READERS)
def test_ways_to_read_the_files(executor: ProcessExecutor, name: str) -> None:
    """Checkers that print what was printed, or the number of its characters."""
    assert graded(
        executor, ["print(1)", "print(0)"], [("x", "1")], Grading(checker=f"import sys\n{READERS[name]}")
    ) == [
        ["PASS"],
        ["PASS" if name == "exists" else "FAIL"],
    ]


def test_a_share_of_the_score_is_no_pass(executor: ProcessExecutor) -> None:
    checker = "import sys\nprint(open(sys.argv[3]).read())"
    programs = [f"print({text!r})" for text in ("1", "1.0", "0.99", "0.0", "2", "-1", "nan", "1 1", "yes", "")]
    rows = graded(executor, programs, [("", "1")], Grading(checker=checker))
    assert [row[0] for row in rows] == ["PASS", "PASS"] + ["FAIL"] * 8
    rows = graded(executor, programs[:5], [("", "2")], Grading(checker=checker))  # it refuses the expected output
    assert [row[0] for row in rows] == ["PASS", "PASS", "FAIL", "FAIL", "BROKEN"]


BROKEN = {
    "raises": "raise KeyError",
    "does not compile": "def",
    "says nothing": "pass",
    "says something else": "print('ok')",
    "says too much": "print('1' * 10**6)",
    "ends with a status": "print(1, flush=True)\nimport os\nos._exit(3)",
    "crashes": "import ctypes\nctypes.string_at(0)",
    "takes memory": "x = [0] * 10**10",
    "writes": "open('input.txt', 'w')",
    "reads another file": "open('/etc/hostname')",
    "closes its channel": "import os\nfor fd in range(64):\n    try: os.close(fd)\n    except OSError: pass",
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_checker_says_nothing_about_programs(executor: ProcessExecutor, name: str) -> None:
    assert graded(executor, ["print(1)", "1 / 0"], [("", "1")], Grading(checker=BROKEN[name])) == [
        ["BROKEN"],
        ["ERROR"],
    ]


def test_a_checker_has_a_budget_of_its_own(executor: ProcessExecutor) -> None:
    """Which is not the program's: it takes longer than that here, and then for ever, at one of the outputs."""
    slow = "import time\nwhile time.process_time() < 0.8: pass\nprint(1)"
    grading = Grading(seconds=0.1, checker=slow)
    assert graded(executor, ["print(1)"], [("", "1")], grading) == [["PASS"]]


@pytest.mark.slow
def test_an_endless_checker(executor: ProcessExecutor) -> None:
    stuck = "import sys\nwhile open(sys.argv[3]).read() == '0\\n': pass\nprint(1)"
    assert graded(executor, ["print(1)", "print(0)"], [("", "1")], Grading(checker=stuck)) == [["PASS"], ["FAIL"]]
    assert graded(executor, ["print(1)"], [("", "1")], Grading(checker="while True: pass")) == [["BROKEN"]]


def test_a_checker_is_not_where_programs_are(executor: ProcessExecutor) -> None:
    """A program finds none of the three files, and none of what the checker was sent."""
    program = """
import gc, os, sys
found = [name for name in ("input.txt", "correct_output.txt", "submission_output.txt") if os.path.exists(name)]
found += [x for x in gc.get_objects() if isinstance(x, (str, bytes)) and "secret" in str(x)]
print("clean" if not found and "checker.py" not in sys.argv else "dirty")
"""
    checker = "import sys\nprint(int(open(sys.argv[3]).read() in ('clean\\n', open(sys.argv[2]).read())))"
    tests = [("", f"the {'sec'}ret {number}") for number in range(3)]
    assert graded(executor, [program, program + "#"], tests, Grading(checker=checker)) == [["PASS"] * 3] * 2


def test_a_prelude_goes_before_every_program(executor: ProcessExecutor) -> None:
    grading = Grading(prelude="from math import *\nimport sys\nsys.setrecursionlimit(20000)")
    programs = [
        "def f(x): return floor(x)",
        "def f(x): return 0 if x < 1 else f(x - 1) + 1",
        "def f(x): return flor(x)",
    ]
    assert graded(executor, programs, ["assert f(9000.5) in (9000, 9001)", "assert f(1) == 1"], grading, "f") == [
        ["PASS", "PASS"],
        ["PASS", "PASS"],
        ["ERROR", "ERROR"],
    ]
    assert graded(executor, ["print(floor(float(input())))"], [("2.5", "2")], grading) == [["PASS"]]
    assert graded(executor, programs[1:2], ["assert f(9000.5)"], Grading(), "f") == [["ERROR"]]


def test_official_seconds_are_given_at_once() -> None:
    base = Limits(cpu_seconds=1.0, memory_mb=100, cancel_after=3)
    assert base.graded(Grading(), 2.0) == base
    limits = base.graded(Grading(seconds=4.0, memory_mb=256), 1.5)
    assert limits == Limits(cpu_seconds=6.0, memory_mb=256, cpu_multiple=0.0, cancel_after=3)
    assert limits.first_seconds(family=False) == 6.0


def test_a_job_takes_its_limits_from_its_grading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "factor", lambda: 3.0)
    job = as_job(["print(1)"], [("", "1")], None, Limits(memory_mb=64))
    opened = Progress(replace(job, grading=Grading(seconds=2.0)), Limits(), None, "")
    assert (opened.limits.cpu_seconds, opened.limits.memory_mb, opened.cpu_seconds) == (6.0, 64, 6.0)
    opened = Progress(replace(job, grading=Grading(memory_mb=1024)), Limits(), None, "")
    assert (opened.limits.cpu_seconds, opened.limits.memory_mb) == (1.0, 1024)


def test_a_worker_with_a_checker_is_waited_for() -> None:
    def deadline(grading: Grading) -> float:
        schedule = Schedule()
        schedule.add(Progress(replace(as_job(["1"], PAIR, None), grading=grading), Limits(), None, ""))
        plan = schedule.next_task(None)
        assert plan is not None
        schedule.finish(plan, None)
        task = schedule.next_task(plan.job)
        assert task is not None
        return schedule.deadline_seconds(task)

    assert deadline(Grading(checker=SUM)) > deadline(Grading()) + 2 * 2 * CHECKER_CPU_SECONDS


def test_the_grading_counts_in_the_cache(tmp_path: Path) -> None:
    with ProcessExecutor(workers=1, cache=tmp_path / "verdicts.sqlite") as executor:
        programs, tests = ["print(0.50)\nprint(1)"], [("", "0.5 1")]
        gradings = {
            Grading(): "FAIL",
            Grading(OutputMatch.DECIMALS): "FAIL",
            Grading(OutputMatch.NUMBERS): "PASS",
            Grading(checker="print(1)"): "PASS",
            Grading(checker="print(0)"): "FAIL",
            Grading(checker="print(7)"): "BROKEN",
            Grading(OutputMatch.NUMBERS, prelude="print = id"): "FAIL",
        }
        for _ in range(2):
            for grading, expected in gradings.items():
                assert graded(executor, programs, tests, grading) == [[expected]]
        assert executor.cache is not None
        assert executor.cache.num_hits == len(gradings) - 1  # what says nothing is not kept


def test_the_machine_is_measured_once() -> None:
    factor = machine.factor()
    assert factor >= 1 and machine.factor() == factor
    assert machine.factor.cache_info().misses == 1


def test_a_slow_machine_gives_more(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([4.0, 2.5, 3.0] * 10)
    monkeypatch.setattr(machine, "_round_seconds", lambda: next(seconds) * machine.REFERENCE_SECONDS)
    assert machine.factor.__wrapped__() == 2.5
    monkeypatch.setattr(machine, "_round_seconds", lambda: 0.1 * machine.REFERENCE_SECONDS)
    assert machine.factor.__wrapped__() == 1.0
