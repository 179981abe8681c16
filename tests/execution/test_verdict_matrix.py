"""Function-style problems: what each verdict means, and that verdicts are Python's own wherever a program is honest."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import pytest
from execution_helpers import RunCell, RunMatrix, as_job, names

from zerocoder.execution import Limits, ProcessExecutor, Verdict

SHARED = Path(__file__).parents[3] / "shared"
SUCCESSOR = "def f(x):\n    return x + 1\n"


def test_every_verdict(matrix: RunMatrix) -> None:
    programs = [
        SUCCESSOR,
        "def f(x): return x",
        "def f(x): raise ValueError",
        "def f(x:",
        "def f(x):\n    while True: pass",
        "def f(x): return [0] * 10**10",
        "def f(x): return object()",
        None,
    ]
    rows = matrix(
        programs, ["assert f(1) == 2", "for y in [f(1)]: assert y == 2", "assert f(", None], limits=Limits(0.1)
    )
    expected = ["PASS", "FAIL", "ERROR", "ERROR", "TIMEOUT", "MEMORY", "UNSUPPORTED"]
    assert rows == [[name, name, "ERROR", "SKIPPED"] for name in expected] + [["SKIPPED"] * 4]


def test_truth_of_the_benchmark_workload(executor: ProcessExecutor) -> None:
    if not (SHARED / "bench").is_dir():
        pytest.skip("the benchmark's workload is not beside the repository")
    sys.path.insert(0, str(SHARED / "bench"))
    try:
        import bench_verifier
    finally:
        sys.path.pop(0)
    problems, truths = bench_verifier.workload(loop=True)
    limits = Limits(cpu_seconds=0.1)
    matrices = executor.run([as_job(p["solutions"], p["tests"], p["entry_point"], limits) for p in problems])
    for problem, verdicts, truth in zip(problems, matrices, truths, strict=True):
        assert ((verdicts == Verdict.PASS) == truth).all(), problem["id"]


VALUES = [
    "None", "True", "0", "-7", "2**70", "-(3**5000)", "1.5", "-0.0", "float('inf')", "''", "'a\\n\\u20ac'", "'\\ud800'",
    "[]", "[1, [2, (3,)]]", "()", "(1,)", "{}", "{'a': [1], (1, 2): None, 3: {4: 5}}", "set()", "{1, 'a'}",
    "frozenset({1})", "b''", "b'\\x00\\xff'", "1+2j", "complex(-0.0, 3)", "bytearray(b'a')", "range(3)",
]  # fmt: skip


@pytest.mark.parametrize("style", ["literal", "judge"])
def test_values_return_as_they_are(matrix: RunMatrix, style: str) -> None:
    """Every value is equal to exactly what Python says it is equal to."""
    tests = [
        f"assert f() == {value}" if style == "literal" else f"for y in [f()]: assert y == {value}" for value in VALUES
    ]
    rows = matrix([f"def f(): return {value}" for value in VALUES], tests)
    plain = [eval(value) for value in VALUES]
    for row, left in zip(rows, plain, strict=True):
        assert row == ["PASS" if left == right else "FAIL" for right in plain], left


SEMANTICS = [
    ("return True", "assert f() == 1", "PASS"),
    ("return 1", "assert f() is True", "FAIL"),
    ("return True", "assert f() is True", "PASS"),
    ("return None", "assert f() is None", "PASS"),
    ("return 0", "assert f() is not None", "PASS"),
    ("return 0.0", "assert f() == -0.0", "PASS"),
    ("return float('nan')", "assert f() == f()", "FAIL"),
    ("return float('nan')", "assert f() != f()", "PASS"),
    ("return 0.1 + 0.2", "assert f() == 0.3", "FAIL"),
    ("return 0.1 + 0.2", "assert abs(f() - 0.3) < 1e-9", "PASS"),
    ("return 0.1 + 0.2", "import math\nassert math.isclose(f(), 0.3)", "PASS"),
    ("return [1]", "assert f()", "PASS"),
    ("return []", "assert f()", "FAIL"),
    ("return []", "assert not f()", "PASS"),
    ("return 3", "assert 3 == f()", "PASS"),
    ("return 3", "assert 2 < f()", "PASS"),
    ("return 3", "assert 4 < f()", "FAIL"),
    ("return 3", "assert f() in (1, 3)", "PASS"),
    ("return 3", "assert f() not in [1, 3]", "FAIL"),
    ("return 'a'", "assert f() < 3", "ERROR"),
    ("return (1, 2)", "assert f() == [1, 2]", "FAIL"),
    ("return 2", "assert f() == 2, 'a message'", "PASS"),
    ("return 2", "'a comment'\nassert f() == 2", "PASS"),
    ("import collections\n    return collections.Counter('aab')", "assert f() == {'a': 2, 'b': 1}", "PASS"),
    ("import collections\n    return collections.namedtuple('P', 'x y')(1, 2)", "assert f() == (1, 2)", "PASS"),
    ("import enum\n    return enum.IntEnum('E', 'A B').B", "assert f() == 2", "PASS"),
    ("import decimal\n    return decimal.Decimal(1)", "assert f() == 1", "PASS"),
    ("return (i for i in range(3))", "assert f() == [0, 1, 2]", "FAIL"),
    ("return (i for i in range(3))", "assert list(f()) == [0, 1, 2]", "PASS"),
    ("return map(str, range(3))", "assert next(f()) == '0'", "PASS"),
    ("return lambda: 1", "assert f()() == 1", "UNSUPPORTED"),
    ("return 3 ** 5000", f"assert f() == {hex(3**5000)}", "PASS"),
]


def test_comparisons_are_pythons(executor: ProcessExecutor) -> None:
    jobs = [as_job([f"def f():\n    {body}"], [test]) for body, test, _ in SEMANTICS]
    got = [Verdict(verdicts[0, 0]).name for verdicts in executor.run(jobs)]
    assert list(zip([row[1] for row in SEMANTICS], got, strict=True)) == [(row[1], row[2]) for row in SEMANTICS]


def test_all_assertions_of_a_test_must_hold(matrix: RunMatrix) -> None:
    good, first, second = ("assert f(1) == 2\nassert f(2) == 3", "assert f(1) == 0\nassert f(2) == 3",
                           "assert f(1) == 2\nassert f(2) == 0")  # fmt: skip
    judged = [f"try: pass\nfinally: pass\n{test}" for test in (good, first, second)]
    assert matrix([SUCCESSOR], [good, first, second, *judged]) == [["PASS", "FAIL", "FAIL"] * 2]


def test_state_lives_within_a_test_and_not_beyond(matrix: RunMatrix) -> None:
    counter = "calls = []\ndef f():\n    calls.append(1)\n    return len(calls)"
    once, twice = "assert f() == 1", "assert f() == 1\nassert f() == 2"
    assert matrix([counter], [once, twice, f"x = 0\n{once}", f"x = 0\n{twice}"]) == [["PASS"] * 4]


def test_keyword_arguments_and_defaults(verdict: RunCell) -> None:
    assert verdict("def f(a, *, b=2): return (a, b)", "assert f(1) == (1, 2)\nassert f(a=1, b=3) == (1, 3)") == "PASS"
    assert verdict("def f(a, *, b=2): return (a, b)", "k = dict(b=5)\nassert f(1, **k) == (1, 5)") == "PASS"


def test_arguments_are_changed_in_place_as_the_program_changed_them(matrix: RunMatrix) -> None:
    programs = ["def f(xs):\n    xs.sort()\n    return xs", "def f(xs): return sorted(xs)"]
    tests = [
        "xs = [2, 1]\nf(xs)\nassert xs == [1, 2]",
        "xs = [2, 1]\nassert f(xs) is xs",
        "xs = [2, 1]\nassert f(xs=xs) == [1, 2]",
    ]
    assert matrix(programs, tests) == [["PASS"] * 3, ["FAIL", "FAIL", "PASS"]]
    assert matrix(["def f(d):\n    d['k'] = {1}\n    d.pop('a')"], ["d = {'a': 1}\nf(d)\nassert d == {'k': {1}}"]) == [
        ["PASS"]
    ]


def test_exceptions_reach_the_test(verdict: RunCell) -> None:
    program = "class Broke(ValueError): pass\ndef f(x):\n    raise Broke('no', x)"
    assert (
        verdict(program, "try:\n    f(1)\nexcept ValueError as e:\n    assert e.args == ('no', 1)\nelse:\n    assert 0")
        == "PASS"
    )
    assert verdict(program, "try:\n    f(1)\nexcept TypeError:\n    pass") == "ERROR"
    assert verdict("def f(x): return 1", "try:\n    f(1)\n    assert False\nexcept ValueError:\n    pass") == "FAIL"


def test_tests_that_are_weak_or_broken(matrix: RunMatrix) -> None:
    tests = [
        "assert True",
        "pass",
        "",
        "assert False",
        "assert undefined(1) == 2",
        "import module_that_is_absent\nassert f(1) == 2",
        "def f(x):\n    return 2\nassert f(1) == 2",
        "f = lambda x: 2\nassert f(1) == 2",
        "def g():\n    global f\n    f = lambda x: 2\ng()\nassert f(1) == 2",
        "globals()['f'] = lambda x: 2\nassert f(1) == 2",
        "def check(f):\n    assert f(1) == 2\ncheck(f)",
        "__debug__ = 2\nassert f(1) == 2",
        "assert f(1) == f(__debug__=1)",
    ]
    right, wrong = matrix([SUCCESSOR, "def f(x): return 0"], tests)
    common = ["PASS", "PASS", "ERROR", "FAIL", "ERROR", "ERROR", "ERROR", "ERROR"]
    assert right == [*common, "PASS", "ERROR", "PASS", "ERROR", "ERROR"]
    assert wrong == [*common, "FAIL", "ERROR", "FAIL", "ERROR", "ERROR"]


def test_a_program_that_does_not_import_passes_nothing(matrix: RunMatrix) -> None:
    broken = ["import module_that_is_absent\ndef f(x): return 2", "raise SystemExit(0)", "def g(): pass"]
    assert matrix(broken[:2], ["assert f(1) == 2", "assert True"]) == [["ERROR", "ERROR"]] * 2
    assert matrix(broken[2:], ["assert f(1) == 2", "x = f(1)"]) == [["ERROR", "ERROR"]]


STDLIB = [
    "math",
    "cmath",
    "re",
    "collections",
    "itertools",
    "functools",
    "heapq",
    "bisect",
    "string",
    "random",
    "statistics",
    "typing",
    "copy",
    "operator",
    "datetime",
    "decimal",
    "fractions",
    "dataclasses",
    "enum",
    "abc",
    "io",
    "json",
    "textwrap",
    "time",
    "array",
    "queue",
    "struct",
    "hashlib",
    "bz2",
    "lzma",
    "zlib",
    "unicodedata",
    "contextlib",
    "threading",
    "calendar",
    "base64",
    "pprint",
    "uuid",
    "zoneinfo",
    "sqlite3",
    "xml.etree.ElementTree",
    "logging",
    "unittest",
    "asyncio",
    "__future__",
    "numbers",
    "types",
    "inspect",
    "tempfile",
    "glob",
    "csv",
    "argparse",
    "secrets",
    "graphlib",
]


def test_the_standard_library_is_there(matrix: RunMatrix) -> None:
    programs = [f"import {name}\ndef f(): return {name.split('.')[0]}.__name__ and 1" for name in STDLIB]
    rows = matrix(programs, ["assert f() == 1"], limits=Limits(cpu_seconds=5))
    assert [name for name, row in zip(STDLIB, rows, strict=True) if row != ["PASS"]] == []


def test_modules_that_look_their_own_module_up(verdict: RunCell) -> None:
    program = (
        "from __future__ import annotations\nimport dataclasses, typing\n"
        "@dataclasses.dataclass\nclass P:\n    x: int = 1\n"
        "class Q(typing.NamedTuple):\n    y: int\n"
        "def f():\n    return [P().x, typing.get_type_hints(P)['x'] is int, Q(3).y]"
    )
    assert verdict(program, "assert f() == [1, True, 3]") == "PASS"


def test_asyncio_works(verdict: RunCell) -> None:
    waiter = "import asyncio\nasync def g(): return 7\ndef f(): return asyncio.run(g())"
    assert verdict(waiter, "assert f() == 7", limits=Limits(cpu_seconds=5)) == "PASS"


def test_random_and_hash_seeds_are_fixed(executor: ProcessExecutor) -> None:
    programs = ["import random\ndef f(): return random.random()", "def f(): return list({'a', 'b', 'c', 'd', 'e'})"]
    import random

    random.seed(0)
    seeded = f"assert f() == {random.random()!r}"
    orders = [f"assert f() == {list(order)!r}" for order in itertools.permutations("abcde")]
    first, second = (executor.run([as_job(programs, [seeded, *orders])])[0] for _ in range(2))
    assert (first == second).all()
    assert first[0, 0] == Verdict.PASS
    assert (first[1] == Verdict.PASS).sum() == 1


def test_equal_programs_and_tests_run_once(matrix: RunMatrix) -> None:
    """A row of endless programs would take 16 budgets, were they not one."""
    endless = ["def f(x):\n    while 1: pass", "def f( x ):\n    while 1:  # again\n        pass\n"] * 4
    tests = ["assert f(1) == 2", "assert f(1)==2 # same"] * 4
    assert matrix(endless, tests, limits=Limits(cpu_seconds=0.2)) == [["TIMEOUT"] * 8] * 8


HOSTILE_TEXTS: list[Any] = ["\x00", "def f(x): return 2\x00", "'\ud800'", "x = '\ud800'\ndef f(x): return 2",
                            "(" * 5000, "-" * 100_000 + "1", "{" * 200, "x" * 3_000_000, "1" * 5000,
                            "\ufeff", 7, b"f"]  # fmt: skip


def test_texts_that_are_no_source(matrix: RunMatrix) -> None:
    rows = matrix([SUCCESSOR], ["assert f(1) == 2", *[text for text in HOSTILE_TEXTS if isinstance(text, str)]])
    assert rows[0][0] == "PASS"
    assert set(rows[0][1:]) <= {"ERROR", "PASS"}
    broken = [text for text in HOSTILE_TEXTS if text != "\ufeff"]
    assert matrix([*broken, SUCCESSOR], ["assert f(1) == 2"]) == [["ERROR"]] * len(broken) + [["PASS"]]


def test_empty_jobs(executor: ProcessExecutor) -> None:
    done: list[int] = []
    shapes = [
        m.shape
        for m in executor.run([as_job([], []), as_job([SUCCESSOR], []), as_job([], ["assert f(1) == 2"])], done.append)
    ]
    assert shapes == [(0, 0), (1, 0), (0, 1)]
    assert sorted(done) == [0, 1, 2]
    assert executor.run([]) == []


def test_jobs_come_back_in_order_and_are_announced_once(executor: ProcessExecutor) -> None:
    done: list[int] = []
    jobs = [as_job([f"def f(): return {k}"], [f"assert f() == {j}" for j in range(12)]) for k in range(12)]
    matrices = executor.run(jobs, done.append)
    assert [(m == Verdict.PASS).argmax() for m in matrices] == list(range(12))
    assert all((m == Verdict.PASS).sum() == 1 and m.dtype.name == "int8" for m in matrices)
    assert sorted(done) == list(range(12))


def test_limits_of_a_job_win(matrix: RunMatrix) -> None:
    hungry = "def f(): return len('a' * (100 << 20))"
    assert matrix([hungry], ["assert f() == 104857600"], limits=Limits(memory_mb=200)) == [["PASS"]]
    assert matrix([hungry], ["assert f() == 104857600"], limits=Limits(memory_mb=50)) == [["MEMORY"]]
    long = "def f(): return 'a' * 5000"
    assert matrix([long], ["assert len(f()) == 5000"], limits=Limits(output_kb=8)) == [["PASS"]]
    assert matrix([long], ["assert len(f()) == 5000", "assert f() == 1"], limits=Limits(output_kb=1)) == [
        ["UNSUPPORTED"] * 2
    ]


def test_a_sleeper_is_stopped_by_the_wall_clock(verdict: RunCell) -> None:
    assert (
        verdict("import time\ndef f(): time.sleep(60)", "assert f() is None", limits=Limits(cpu_seconds=0.1))
        == "TIMEOUT"
    )


@pytest.mark.slow
def test_a_plan_that_is_late_is_not_taken_for_the_next_one() -> None:
    """Tests that take the planner longer than it has; the next problems have as many programs and tests."""
    long = f"[{', '.join(map(str, range(140_000)))}]"
    first = as_job([SUCCESSOR], [f"assert f({long}) == {k}" for k in range(12)])
    others = [as_job([f"def f(x): return x + {n}"], [f"assert f({k}) == {k + n}" for k in range(12)]) for n in range(4)]
    with ProcessExecutor(workers=1) as executor:
        late, *right = executor.run([first, *others])
    assert names(late) == [["ERROR"] * 12]
    assert [names(verdicts) for verdicts in right] == [[["PASS"] * 12]] * 4
