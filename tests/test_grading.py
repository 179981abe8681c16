"""Value tests of calls: what they accept, in the fast way and in a judge, and that their code is what it looks like."""

from __future__ import annotations

import copy
import json
import math
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerocoder.answers import split_asserts
from zerocoder.execution import Job, ProcessExecutor, Verdict
from zerocoder.execution.sandbox.translation import NotTranslated, translate
from zerocoder.grading import APPS_PRELUDE, LIVECODEBENCH_PRELUDE, call_test
from zerocoder.problems import Program, TestCase


@pytest.fixture(scope="module")
def executor() -> Iterator[ProcessExecutor]:
    with ProcessExecutor(workers=1) as executor:
        yield executor


def passes(value: Any, test: TestCase) -> bool:
    """Whether a function that returns `value` passes, by running the test's code here."""
    try:
        exec(test.code, {"f": lambda *args: copy.deepcopy(value)})
    except AssertionError:
        return False
    return True


def test_code_reads_as_what_it_is() -> None:
    assert call_test("add", [1, 2], 3).code == "assert add(1, 2) == 3"
    assert call_test("f", [], None).code == "assert f() == None"
    assert call_test("f", ["a'b"], ["x"]).code == "assert f(\"a'b\") in (['x'], ('x',))"
    assert call_test("f", [[]], []).code == "assert f([]) in ([], ())"
    assert call_test("f", [1], [2], tolerant=False).code == "assert f(1) == [2]"
    assert call_test("f", [1], [2], wrapped=True).code == "assert f(1) in ([2], (2,), 2)"
    assert call_test("f", [1], 2, wrapped=True).code == "assert f(1) == 2"
    long = call_test("f", [list(range(1000))], [1])
    assert long.code.startswith("from json import loads\nassert f(*loads('[[0, 1, 2,")
    [piece] = split_asserts(long)
    assert piece.code.strip() == long.code


# expected, wrapped, returned -> accepted
ACCEPTED: list[tuple[Any, bool, Any, bool]] = [
    ([1, 2], False, [1, 2], True),
    ([1, 2], False, (1, 2), True),
    ([1, 2], False, [2, 1], False),
    ([1, 2], False, [1, 2, 3], False),
    ([1, 2], False, {1, 2}, False),
    ([[1, 2]], False, [(1, 2)], False),  # as LiveCodeBench: only the outermost
    ([[1, 2]], False, ([1, 2],), True),
    ([1], False, 1, False),
    (1, False, 1.0, True),
    (1, False, True, True),
    (0.3, False, 0.1 + 0.2, False),
    ("a", False, "a", True),
    ("a", False, ["a"], False),
    (None, False, None, True),
    ([], False, (), True),
    ([], False, None, False),
    ([3], True, 3, True),
    ([3], True, [3], True),
    ([3], True, (3,), True),
    ([3], True, 4, False),
    ([[1, 2]], True, [1, 2], True),
    ([[1, 2]], True, (1, 2), True),
    ([[1, 2]], True, [[1, 2]], True),
    ([[[1, 2], [3]]], True, [(1, 2), (3,)], True),
    ([[[1, 2], [3]]], True, ((1, 2), (3,)), True),
    ([[[1, 2], [3]]], True, [[1, 2], [3]], True),
    ([[1, 2], [3, 4]], True, [[1, 2], [3, 4]], True),
    ([3, 4], True, 3, True),  # so does APPS's grader: it cannot tell
    ([3, 4], True, 4, False),
    (3, True, 3, True),
    ("ab", True, "a", False),
    ({"1": "a"}, True, {1: "a"}, True),
    ([{"1": "a"}], True, {1: "a"}, True),
    ({"x": "a"}, True, {"x": "a"}, True),
    ({"1": "a"}, False, {"1": "a"}, True),
]


@pytest.mark.parametrize("way", ["taken apart", "judged", "long"])
def test_what_is_accepted(executor: ProcessExecutor, way: str) -> None:
    """By the verifier, whichever way the test goes there, as by Python itself."""
    jobs = []
    for expected, wrapped, returned, _ in ACCEPTED:
        arguments = ["x" * 3000 if way == "long" else "x"]
        test = call_test("f", arguments, expected, wrapped=wrapped)
        translate(test.code, "f")  # all of them
        if way == "judged":
            test = TestCase(f"if True:\n    {test.code}")
        jobs.append(Job((Program(f"def f(x): return {returned!r}"),), (test,), "f"))
        assert passes(returned, test) == ACCEPTED[len(jobs) - 1][3]
    verdicts = [matrix[0, 0] == Verdict.PASS for matrix in executor.run(jobs)]
    assert verdicts == [accepted for *_, accepted in ACCEPTED]


def test_a_long_expected_value(executor: ProcessExecutor) -> None:
    value = [[number, str(number)] for number in range(3000)]
    tests = (call_test("f", [value], value), call_test("f", [value], [value], wrapped=True), call_test("f", [value], 1))
    assert all("loads" in test.code for test in tests)
    for test in tests:
        translate(test.code, "f")
    programs = ["def f(x): return x", "def f(x): return tuple(x)", "def f(x): return [tuple(y) for y in x]"]
    [matrix] = executor.run([Job(tuple(map(Program, programs)), tests, "f")])
    assert (matrix == Verdict.PASS).tolist() == [[True, True, False], [True, True, False], [False, True, False]]


def test_values_without_a_literal(executor: ProcessExecutor) -> None:
    big = 7**9000  # more digits than Python reads
    values = [math.inf, -math.inf, big, -big, "\ud800", "\x00'\"\\\n", {"é": [1.5e300, -0.0]}]
    tests = tuple(call_test("f", [value, 0], [value]) for value in values)
    tests += (call_test("f", [[big] * 3000], [[[big] * 3000]], wrapped=True),)
    program = "def f(x, *rest): return [x]"
    assert all(passes([value], test) for value, test in zip(values, tests, strict=False))
    [matrix] = executor.run([Job((Program(program),), tests[:-1], "f")])
    assert (matrix == Verdict.PASS).all()
    assert len(tests[-1].code) > 3000 * 6000 and "loads" not in tests[-1].code
    nan = call_test("f", [math.nan], math.nan)
    assert nan.code == 'assert f(float("nan")) == float("nan")' and not passes(math.nan, nan)


def test_an_argument_may_be_changed(executor: ProcessExecutor) -> None:
    programs = ["def f(xs):\n    xs.sort()\n    return xs", "def f(xs):\n    xs.clear()\n    return xs"]
    [matrix] = executor.run([Job(tuple(map(Program, programs)), (call_test("f", [[2, 1]], [1, 2]),), "f")])
    assert matrix[:, 0].tolist() == [Verdict.PASS, Verdict.FAIL]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(json_values, max_size=3), json_values, st.sampled_from([1, 2000]))
def test_any_value_of_json_goes_in_and_out(arguments: list[Any], expected: Any, padding: int) -> None:
    arguments = [*json.loads(json.dumps(arguments)), "x" * padding]
    seen: list[Any] = []
    test = call_test("f", arguments, expected)
    exec(test.code, {"f": lambda *args: seen.append(args) or expected})
    assert seen == [tuple(arguments)]
    calls, _ = translate(test.code, "f")
    assert calls[0][0] == tuple(arguments)


def test_names_are_names() -> None:
    with pytest.raises(ValueError, match="no name of a function"):
        call_test("f(1) == 1 or g", [], 1)
    with pytest.raises(TypeError, match="no value of JSON"):
        call_test("f", [object()], 1)
    with pytest.raises(NotTranslated):
        translate(call_test("g", [1], 1).code, "f")


def test_preludes_compile_and_bring_what_they_say() -> None:
    for prelude, names in (
        (LIVECODEBENCH_PRELUDE, "List deque inf bisect_left"),
        (APPS_PRELUDE, "gcd deque List heapq"),
    ):
        namespace: dict[str, Any] = {}
        limits = sys.getrecursionlimit(), sys.get_int_max_str_digits()
        try:
            exec(prelude, namespace)
        finally:
            sys.setrecursionlimit(limits[0])
            sys.set_int_max_str_digits(limits[1])
        assert set(names.split()) <= namespace.keys()
