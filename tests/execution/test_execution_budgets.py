"""Budgets in two rounds, endless programs, families of programs, and what tests of one program share."""

from __future__ import annotations

from dataclasses import replace

import pytest
from execution_helpers import RunMatrix, as_job, names

from zerocoder.execution import Job, Limits, ProcessExecutor, Verdict
from zerocoder.execution.cells import Outcome
from zerocoder.execution.progress import Progress
from zerocoder.execution.sandbox.work import Asked
from zerocoder.problems import Grading, Program, TestCase, ZeroCoderError

RIGHT = "def f(x): return x + 1"
ENDLESS = "def f(x):\n    while True: x += 1"
TESTS = ["assert f(1) == 2", "assert f(2) == 3", "for y in [f(3)]: assert y == 4", "assert f(4) == 5"]


def slow(seconds: float) -> str:
    """A right program that takes so much CPU time."""
    return (
        "import time\ndef f(x):\n    end = time.process_time() + "
        f"{seconds}\n    while time.process_time() < end: pass\n    return x + 1"
    )


def test_where_passing_is_quick_late_is_late_after_the_floor(matrix: RunMatrix) -> None:
    # half a second would do with cpu_seconds=2, but 50 times a passing cell is far below the floor
    limits = Limits(cpu_seconds=2, cpu_floor=0.15)
    assert matrix([RIGHT, slow(0.5)], TESTS[:2], limits=limits) == [["PASS"] * 2, ["TIMEOUT"] * 2]


def test_where_passing_is_slow_late_cells_get_more(matrix: RunMatrix) -> None:
    # a passing cell takes 30 ms, so the second round gives 50 times as much: enough for 300 ms, not for ever
    limits = Limits(cpu_seconds=2, cpu_floor=0.1)
    programs = [slow(0.03), slow(0.031), slow(0.3), ENDLESS]
    expected = [["PASS"] * 2] * 3 + [["TIMEOUT"] * 2]
    assert matrix(programs, TESTS[1:3], limits=limits) == expected


def test_where_nothing_ends_in_the_first_round_all_get_everything(matrix: RunMatrix) -> None:
    assert matrix([slow(0.3)], TESTS[:1], limits=Limits(cpu_seconds=2, cpu_floor=0.05)) == [["PASS"]]


def test_without_a_multiple_there_is_one_round(matrix: RunMatrix) -> None:
    limits = Limits(cpu_seconds=0.8, cpu_floor=0.05, cpu_multiple=0)
    assert matrix([RIGHT, slow(0.3)], TESTS[:2], limits=limits) == [["PASS"] * 2] * 2


def test_a_row_is_cancelled_after_so_many_late_tests(matrix: RunMatrix) -> None:
    limits = Limits(cpu_seconds=0.2, cpu_floor=0.1, cancel_after=2)
    got = matrix([RIGHT, ENDLESS, "def f(x):\n    while x == 2: pass\n    return x + 1"], TESTS, limits=limits)
    assert got[0] == ["PASS"] * 4
    assert got[1] == ["TIMEOUT", "TIMEOUT", "CANCELLED", "CANCELLED"]  # literal tests first
    assert got[2] == ["PASS", "TIMEOUT", "PASS", "PASS"]  # late once only
    judged = [f"for y in [f({k})]: assert y == {k + 1}" for k in range(3)]
    assert matrix([ENDLESS], judged, limits=limits) == [["TIMEOUT", "TIMEOUT", "CANCELLED"]]


def test_a_program_that_ends_on_some_tests_is_cancelled_when_it_is_late_on_most(matrix: RunMatrix) -> None:
    limits = Limits(cpu_seconds=0.05, cancel_after=2)
    tests = [f"assert f({k}) == {k}" for k in range(6)]
    programs = [ENDLESS, "def f(x):\n    while x: pass\n    return x", "def f(x):\n    while x < 2: pass\n    return x"]
    # They begin with tests 0, 1 and 2. On 2 to 5 one of three ended, which tells nothing: four of six have to be late.
    assert matrix(programs, tests, limits=limits) == [
        ["TIMEOUT", "CANCELLED", "TIMEOUT", "TIMEOUT", "TIMEOUT", "CANCELLED"],
        ["CANCELLED"] + ["TIMEOUT"] * 4 + ["CANCELLED"],  # though it would have ended on the first
        ["TIMEOUT"] * 2 + ["PASS"] * 4,
    ]


def test_slow_tests_do_not_keep_a_program_from_the_others(matrix: RunMatrix) -> None:
    limits = Limits(cpu_seconds=0.05, cancel_after=4)
    tests = [f"assert f({k}) == 0" for k in (10**9, 10**9 + 1, 10**9 + 2, 0, 1, 10**9 + 3)]
    tests += ["assert f(3) == 3", "assert f(4) == 6"]
    assert matrix(["def f(x):\n    return sum(range(x))"], tests, limits=limits) == [
        ["TIMEOUT"] * 3 + ["PASS"] * 2 + ["TIMEOUT"] + ["PASS"] * 2
    ]


RIGHT_ONES = [f"def f(x):\n    return sum(range(x)) + {k} - {k}" for k in range(6)]
NO_TRY = ["def f(x): return 0"]
LONG = [f"assert f({10**9 + k}) == 0" for k in range(2)]  # right programs are late
SHORT = [f"assert f({k}) == {k * (k - 1) // 2}" for k in range(2, 8)]


@pytest.mark.parametrize("tests", [LONG + SHORT, SHORT + LONG, LONG[:1] + SHORT + LONG[1:]])
def test_long_tests_do_not_keep_right_programs_from_short_ones(matrix: RunMatrix, tests: list[str]) -> None:
    """Neither where wrong programs end on them, nor where none does."""
    limits = Limits(cpu_seconds=0.05, cancel_after=2)
    for programs in (RIGHT_ONES + NO_TRY, RIGHT_ONES, RIGHT_ONES[:2] + NO_TRY):
        got = matrix(programs, tests, limits=limits)
        for row in got[: len(programs) - len(NO_TRY) * (programs[-1] == NO_TRY[0])]:
            assert [verdict for verdict, test in zip(row, tests, strict=True) if test in SHORT] == ["PASS"] * 6
            assert "PASS" not in [verdict for verdict, test in zip(row, tests, strict=True) if test in LONG]


def test_an_endless_program_among_others_costs_two_tests_wherever_it_is(matrix: RunMatrix) -> None:
    limits = Limits(cpu_seconds=0.05, cancel_after=2)
    for place in (0, 3):
        programs = [*RIGHT_ONES[:place], ENDLESS, *RIGHT_ONES[place:]]
        got = matrix(programs, SHORT, limits=limits)
        assert sorted(got[place]) == ["CANCELLED"] * 4 + ["TIMEOUT"] * 2
        assert [row for n, row in enumerate(got) if n != place] == [["PASS"] * 6] * 6


def test_an_answer_in_drips_counts_as_time_as_well(matrix: RunMatrix) -> None:
    """The program writes its runner's answer itself, padded by spaces, byte by byte, and finishes it when it is late."""
    drips = """
import os, struct, time
def f(x):
    answer = b'[0, "v", [1]]'
    size, sent = 60000, 0
    os.write(3, struct.pack("<I", size))
    end = time.process_time() + {seconds}
    while time.process_time() < end and sent < size - 100:
        sum(range(1500))
        os.write(3, b" ")
        sent += 1
    os.write(3, b" " * (size - sent - len(answer)) + answer)
    time.sleep(0.2)
"""
    limits = Limits(cpu_seconds=0.1, cpu_floor=0.1)
    got = matrix([drips.format(seconds=s) for s in (0, 1.0, 1.1, 1.2)], ["assert f(1) == 1"], limits=limits)
    assert got == [["PASS"], *[["TIMEOUT"]] * 3]


def test_a_test_does_not_remember_the_programs_that_it_has_met(matrix: RunMatrix) -> None:
    """Else it could fail from the second program on, and would have killed all mutants of the first."""
    test = (
        "import math\ndef first(x):\n    try:\n        return math.seen\n    except AttributeError:\n"
        "        math.seen = False\n        return x == 1\nassert first(f(1))"
    )
    programs = [f"def f(x):\n    return {k} - {k - 1}" for k in range(3)]
    assert matrix(programs, [test]) == [["PASS"]] * 3


def test_programs_that_share_a_process_get_half_of_the_first_budget(executor: ProcessExecutor) -> None:
    limits = Limits(cpu_seconds=1, cpu_floor=0.6, cpu_multiple=1)
    job = as_job(["def f(x): return 1", slow(0.4)], ["assert f(1) == 1"], limits=limits)
    together, apart = executor.run([replace(job, family=True), job])
    assert names(together) == [["PASS"], ["TIMEOUT"]]
    assert names(apart)[0] == ["PASS"] and names(apart)[1] != ["TIMEOUT"]


def test_a_reference_is_never_cancelled(executor: ProcessExecutor) -> None:
    job = as_job([ENDLESS], TESTS, limits=Limits(cpu_seconds=0.1, cancel_after=1))
    cancelled, kept = executor.run([job, replace(job, cancel=False)])
    assert names(cancelled) == [["TIMEOUT", "CANCELLED", "CANCELLED", "CANCELLED"]]
    assert names(kept) == [["TIMEOUT"] * 4]


def test_cancelled_cells_get_their_second_round_too(matrix: RunMatrix) -> None:
    limits = Limits(cpu_seconds=2, cpu_floor=0.1, cancel_after=1)
    got = matrix([slow(0.03), slow(0.032), slow(0.2)], TESTS[:2], limits=limits)
    assert got == [["PASS"] * 2] * 3


def test_scripts_are_cancelled_like_functions(matrix: RunMatrix) -> None:
    limits = Limits(cpu_seconds=0.2, cancel_after=1)
    cells = [("1\n", "1\n"), ("2\n", "2\n"), ("3\n", "3\n")]
    assert matrix(["while True: pass", "print(input())"], cells, None, limits) == [
        ["TIMEOUT", "CANCELLED", "CANCELLED"],
        ["PASS"] * 3,
    ]


def family(programs: list[str], tests: list[str], **options: bool) -> Job:
    return replace(as_job(programs, tests, limits=Limits(cpu_seconds=0.3, memory_mb=256)), family=True, **options)


FAMILY = [
    RIGHT,
    "def f(x): return x + 2",
    ENDLESS,
    "import os\ndef f(x): os._exit(0)",
    "def f(x): return [0] * (1 << 40)",
    "def f(x: broken",
    "state = []\ndef f(x):\n    state.append(x)\n    return x + len(state)",
    "def f(x): return x + 1 if x < 3 else 0",
    RIGHT + " + 0",
]


def test_a_family_has_the_verdicts_of_strangers_but_for_endless_members(executor: ProcessExecutor) -> None:
    alone, together = executor.run([replace(family(FAMILY, TESTS), family=False), family(FAMILY, TESTS)])
    rows = [n for n in range(len(FAMILY)) if n != 2]
    assert (alone[rows] == together[rows]).all()
    assert names(alone[[2]]) == [["TIMEOUT"] * 4]
    assert sorted(names(together[[2]])[0]) == ["CANCELLED"] * 3 + ["TIMEOUT"]


def test_a_family_larger_than_a_task(executor: ProcessExecutor) -> None:
    programs = [f"def f(x): return x + {k}" for k in range(40)]
    [verdicts] = executor.run([family(programs, TESTS)])
    assert (verdicts == Verdict.PASS).all(axis=1).nonzero()[0].tolist() == [1]


def test_the_first_failure_is_enough(executor: ProcessExecutor) -> None:
    programs = [RIGHT, "def f(x): return 2", "def f(x): return 0", "def f(x): 1 / 0", "def f(x): return x + (x < 3)"]
    tests = ["assert f(1) == 2", "assert f(2) == 3", "assert f(4) == 5"]
    for shared in (False, True):
        [verdicts] = executor.run([replace(family(programs, tests), family=shared, first_failure=True)])
        assert names(verdicts) == [
            ["PASS"] * 3,
            ["PASS", "FAIL", "CANCELLED"],
            ["FAIL", "CANCELLED", "CANCELLED"],
            ["ERROR", "CANCELLED", "CANCELLED"],
            ["PASS", "PASS", "FAIL"],
        ]


LEAKY = "import math\ndef f(x):\n    math.seen = getattr(math, 'seen', 0) + 1\n    return math.seen"


def test_a_process_each_shares_nothing(matrix: RunMatrix) -> None:
    """Where `namespace` and `process` differ: what a test leaves in modules of the standard library."""
    tests = ["assert f(0) == 1", "assert f(1) == 1", "for y in [f(2)]: assert y == 1"]
    assert matrix([LEAKY], tests, limits=Limits(0.5, state="namespace")) == [["PASS", "FAIL", "FAIL"]]
    assert matrix([LEAKY], tests, limits=Limits(0.5, state="process")) == [["PASS"] * 3]
    programs = [p for p in FAMILY if p != ENDLESS]
    limits = Limits(cpu_seconds=0.3, memory_mb=256)
    assert matrix(programs, TESTS, limits=limits) == matrix(programs, TESTS, limits=replace(limits, state="process"))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cpu_floor": 0}, "cpu_floor is 0: it must be a number above 0"),
        ({"cpu_multiple": -1}, "cpu_multiple is -1: it must be a number, 0"),
        ({"cpu_multiple": float("nan")}, "cpu_multiple is nan"),
        ({"cancel_after": -1}, "cancel_after is -1: it must be a whole number"),
        ({"cancel_after": 1.0}, "cancel_after is 1.0"),
        ({"cpu_seconds": 3601}, "cpu_seconds is 3601: it must be a number above 0, at most 3600, e.g. 1.0"),
        ({"cpu_seconds": 10**400}, r"cpu_seconds is 10+\.\.\.0+: it must be"),
        ({"cpu_floor": 1e300}, r"cpu_floor is 1e\+300: it must be a number above 0, at most 3600"),
        ({"cpu_multiple": 10**400}, "cpu_multiple is 10+.*: it must be a number, 0"),
        ({"memory_mb": 10**13}, "memory_mb is 10+: it must be a number above 0, at most 1048576, e.g. 512"),
        ({"output_kb": 5 * 10**6}, "output_kb is 5000000: it must be a number above 0, at most 262144"),
        ({"state": "fork"}, "state is 'fork': it must be one of namespace, process"),
    ],
)
def test_budgets_out_of_range(values: dict[str, object], message: str) -> None:
    with pytest.raises(ZeroCoderError, match=f"verifier.{message}"):
        Limits(**values)  # type: ignore[arg-type]


def test_the_largest_budgets_work(matrix: RunMatrix) -> None:
    largest = Limits(cpu_seconds=3600, memory_mb=1 << 20, output_kb=1 << 18, cpu_floor=3600, cpu_multiple=1e9)
    tests = ["assert f(1) == 2", "for y in [f(3)]: assert y == 4", *(f"assert f({n}) == {n + 1}" for n in range(5, 65))]
    assert matrix([RIGHT, "def f(x): return x"], tests, limits=largest) == [["PASS"] * 62, ["FAIL"] * 62]
    assert matrix(["print(input())"], [("3", "3")], None, largest) == [["PASS"]]


def test_what_an_official_grader_gives_has_the_same_bounds() -> None:
    generous = Limits().graded(Grading(seconds=1e9, memory_mb=10**13), 2.0)
    assert (generous.cpu_seconds, generous.memory_mb) == (3600, 1 << 20)


@pytest.mark.parametrize("empty", ["", " \n\t\n", "# assert f(1) == 2", "\n  # one\r\n\x0c# two\r# three\n"])
def test_a_test_without_a_statement_tests_nothing(matrix: RunMatrix, empty: str) -> None:
    commented = ["# a comment\nassert f(1) == 2", "'''\n# text\n'''; assert f(1) == 2"]
    assert matrix([RIGHT], [empty, *commented]) == [["ERROR", "PASS", "PASS"]]


def progress(limits: Limits) -> Progress:
    job = Job((Program("a"), Program("b")), (TestCase("assert f(1)"), TestCase("assert f(2)")), "f", limits)
    return Progress(job, limits, None, "")


def test_who_is_late_waits_and_then_meets_first_what_the_others_ended_on() -> None:
    limits = Limits(cpu_seconds=0.1, cancel_after=2)
    job = Progress(as_job(["a", "b", "c"], [f"assert f({k})" for k in range(4)], limits=limits), limits, None, "")
    seconds, asked = job.rows_request([0, 1, 2])
    assert seconds == 0.1
    assert [Asked(*row)[2:7] for row in asked] == [
        ([0, 1, 2, 3], 1, 0, False, False),  # given up, for now, at the first late test
        ([1, 2, 3, 0], 1, 0, False, False),
        ([2, 3, 0, 1], 1, 0, False, False),
    ]
    passed, late = (int(Verdict.PASS), 100), (int(Verdict.TIMEOUT), 100_000)
    job.write_rows([0], [(False, [late, None, None, None])])
    job.write_rows([1], [(True, [passed] * 4)])
    assert job.write_rows([2], [(True, [passed, late, None, None])]) == []
    assert job.next_round() and job.open_rows() == [0, 2]
    [first, third] = [Asked(*row) for row in job.rows_request([0, 2])[1]]
    # On test 2 two of three programs ended, on the others one.
    assert first[2:7] == ([2, 1, 3], 2, 1, False, True)
    assert third[2:7] == ([0, 1], 3, 1, True, True)  # nothing tells that it is not these tests: more than half
    job.write_rows([0, 2], [(False, [late, None, None]), (True, [passed, passed])])
    assert not job.next_round()
    job.finish()
    assert names(job.matrix) == [
        ["TIMEOUT", "CANCELLED", "TIMEOUT", "CANCELLED"],
        ["PASS"] * 4,
        ["PASS", "PASS", "PASS", "TIMEOUT"],
    ]


def test_an_answer_may_reach_to_some_of_the_rows_only() -> None:
    job = progress(Limits())
    assert job.write_rows([0, 1], answer([(Verdict.PASS, 1)] * 2)) == [1]
    assert job.open_rows() == [1]


def answer(*rows: list[tuple[Verdict, int]]) -> list[tuple[bool, list[tuple[int, int]]]]:
    return [(True, [(int(verdict), micros) for verdict, micros in row]) for row in rows]


def test_the_second_budget_is_a_multiple_of_the_median() -> None:
    late = (Verdict.TIMEOUT, 100_000)
    job = progress(Limits(cpu_seconds=4, cpu_floor=0.1, cpu_multiple=50))
    job.write_rows([0], answer([(Verdict.PASS, 10_000), (Verdict.PASS, 30_000)]))
    job.write_rows([1], answer([(Verdict.FAIL, 1), late]))
    assert job.next_round()
    assert job.cpu_seconds == pytest.approx(50 * 0.02)  # of what passes: failures may be quick for a reason
    assert job.open_rows() == [1]
    assert job.rows[1].cells[0] == Outcome(Verdict.FAIL, 1)
    job.write_rows([1], answer([(Verdict.PASS, 900_000)]))
    assert not job.next_round()
    job.finish()
    assert names(job.matrix) == [["PASS", "PASS"], ["FAIL", "PASS"]]


def test_the_second_budget_is_capped_and_never_below_the_first() -> None:
    late = (Verdict.TIMEOUT, 100_000)
    job = progress(Limits(cpu_seconds=1, cpu_floor=0.1, cpu_multiple=50))
    job.write_rows([0, 1], answer([(Verdict.PASS, 90_000), late], [late, late]))
    assert job.next_round() and job.cpu_seconds == 1
    job = progress(Limits(cpu_seconds=1, cpu_floor=0.1, cpu_multiple=50))
    job.write_rows([0, 1], answer([(Verdict.PASS, 2_000), late], [late, late]))
    assert not job.next_round()  # 50 x 2 ms is what they had


def test_who_slept_gets_no_second_round() -> None:
    asleep = (Verdict.TIMEOUT, 1 << 60)
    job = progress(Limits(cpu_seconds=4, cpu_floor=0.1))
    job.write_rows([0, 1], answer([(Verdict.PASS, 90_000), asleep], [asleep, asleep]))
    assert not job.next_round()


@pytest.mark.parametrize("bad", [[], [[(1, 1)]], [[(1, 1), (77, 1)], [(1, 1), (1, 1)]], [[1, 2], [3, 4]], None])
def test_answers_out_of_shape_change_nothing(bad: object) -> None:
    job = progress(Limits())
    with pytest.raises((ValueError, TypeError)):
        job.write_rows([0, 1], bad)
    assert job.open_rows() == [0, 1]
