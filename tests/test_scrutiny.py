"""Tests that look at results, in all the ways that honest ones do, and tests that do not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from zerocoder.answers import split_asserts
from zerocoder.datasets.mbpp import Mbpp
from zerocoder.execution import Executor, Job, ProcessExecutor, Verdict
from zerocoder.problems import Program, TestCase
from zerocoder.scrutiny import blind, looking, spoiled_job, strangers_job

MBPP = Path(__file__).parents[1].parent / "shared" / "data" / "mbpp.jsonl"
P, F, E, T, U, INFRA, S = (
    Verdict.PASS,
    Verdict.FAIL,
    Verdict.ERROR,
    Verdict.TIMEOUT,
    Verdict.UNSUPPORTED,
    Verdict.INFRA,
    Verdict.SKIPPED,
)

# A program and a test that holds for it and checks what it returns, or what it does to its arguments.
HONEST = [
    ("return x + 1", "assert f(1) == 2"),
    ("return x + 1", "assert f(1) in (2, 3)"),
    ("return x / 4", "assert abs(f(1) - 0.25) < 1e-6"),
    ("return x * 1e12", "import math\nassert math.isclose(f(1), 1e12)"),
    ("return float('inf')", "assert f(1) == float('inf')"),
    ("return x > 0", "assert f(1)"),
    ("return x > 0", "assert not f(-1)"),
    ("return x > 0", "assert f(1) is True"),
    ("return None", "assert f(1) is None"),
    ("return 'a' * x", "assert f(3) == 'aaa'"),
    ("return 'a' * x", "assert len(f(3)) == 3"),
    ("return ''", "assert f(3) == ''"),
    ("return b'ab'", "assert f(3) == b'ab'"),
    ("return sorted(x)", "assert f([2, 1]) == [1, 2]"),
    ("return sorted(x)", "assert f([]) == []"),
    ("return [x, x]", "assert set(f(1)) == {1}"),
    ("return (x, x + 1)", "a, b = f(1)\nassert a + 1 == b and a == 1"),
    ("return {'a': x}", "assert f(1)['a'] == 1"),
    ("return {}", "assert f(1) == {}"),
    ("return {x, x + 1}", "assert f(1) == {1, 2}"),
    ("return set()", "assert not f(1)"),
    ("yield from range(x)", "assert list(f(3)) == [0, 1, 2]"),
    ("from collections import Counter\n    return Counter(x)", "assert f('aab')['a'] == 2"),
    ("from decimal import Decimal\n    return Decimal(x)", "from decimal import Decimal\nassert f(1) == Decimal(1)"),
    ("x.sort()", "xs = [2, 1]\nf(xs)\nassert xs == [1, 2]"),
    ("x.sort()", "xs = [1, 2]\nf(xs)\nassert xs == [1, 2]\nys = [3, 1]\nf(ys)\nassert ys == [1, 3]"),
    ("x.sort()\n    return x", "xs = [2, 1]\nassert f(xs) is xs and xs == [1, 2]"),
    ("x['a'] = 1", "d = {}\nf(d)\nassert d == {'a': 1}"),
    ("return x * f(x - 1) if x else 1", "assert f(4) == 24"),
    ("return sum(x)", "assert f([1, 2]) == f([2, 1]) == 3"),
    ("return len(x)", "assert f([1, 2, 3]) == f([1, 2]) + 1"),
    ("raise ValueError", "def fails(x):\n    try:\n        f(x)\n    except ValueError:\n        return True\nassert fails(1)"),
]  # fmt: skip
# A program and a test that holds for it whatever it returns, as long as that is of the kind.
LAX = [
    ("return x + 1", "assert f(1) is not None"),
    ("return x + 1", "assert isinstance(f(1), int)"),
    ("return x > 0", "assert f(1) in (True, False)"),
    ("return 'a' * x", "assert isinstance(f(3), str) and len(f(3)) >= 0"),
    ("return sorted(x)", "assert type(f([2, 1])) is list"),
    ("return {'a': x}", "assert isinstance(f(1), dict)"),
    ("return {x}", "assert isinstance(f(1), set)"),
    ("return x * f(x - 1) if x else 1", "assert f(4) >= 0"),
    ("return x + 1", "assert f(1) == f(1)"),
    ("x.sort()", "xs = [2, 1]\nf(xs)\nassert isinstance(xs, list)"),
]


def source(body: str) -> str:
    return f"def f(x):\n    {body}\n"


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with ProcessExecutor(workers=1) as running:
        yield running


def verdicts_of(executor: Executor, cases: list[tuple[str, str]]) -> list[np.ndarray]:
    return executor.run(spoiled_job(source(body), [TestCase(test)], "f") for body, test in cases)


def test_honest_tests_notice_spoiled_results(executor: Executor) -> None:
    noticed = [bool(looking(verdicts)[0]) for verdicts in verdicts_of(executor, HONEST)]
    assert [case for case, seen in zip(HONEST, noticed, strict=True) if not seen] == []


def test_lax_tests_do_not(executor: Executor) -> None:
    noticed = [bool(looking(verdicts)[0]) for verdicts in verdicts_of(executor, LAX)]
    assert [case for case, seen in zip(LAX, noticed, strict=True) if seen] == []


def test_strangers_fail_what_looks_at_anything(executor: Executor) -> None:
    tests = [TestCase(test) for _, test in HONEST + LAX]
    [verdicts] = executor.run([strangers_job(tests, "f")])
    found = [test.code for test, nothing in zip(tests, blind(verdicts), strict=True) if nothing]
    assert found == ["assert f(1) == f(1)", "xs = [2, 1]\nf(xs)\nassert isinstance(xs, list)"]


def test_two_different_calls_are_a_test(executor: Executor) -> None:
    """Of symmetry, for instance: strangers answer them differently."""
    tests = [TestCase("assert f([1, 2]) == f([2, 1])"), TestCase("assert f(1) != f(2)"), None]
    [verdicts] = executor.run([strangers_job(tests, "f")])
    assert blind(verdicts).tolist() == [False] * 3
    [verdicts] = executor.run([spoiled_job(source("return sum(x)"), tests[:1], "f")])
    assert looking(verdicts).tolist() == [True]


def test_spoiled_programs_compute_what_they_did(executor: Executor) -> None:
    """Only what a caller sees is spoiled: with calls of its own spoiled, this would never end."""
    endless_if_spoiled = "return x if x in (1, 2) else f(x // 2 if x % 2 == 0 else x - 1)"
    [verdicts] = verdicts_of(executor, [(endless_if_spoiled, "assert f(9) == 1\nassert f(4) == 2")])
    assert verdicts[:, 0].tolist() == [F, F]


def test_verdicts_say_what_was_seen() -> None:
    table = np.array([[P, P, F, T, T, P, S, P], [P, E, P, T, P, INFRA, S, U]], dtype=np.int8)
    assert blind(table).tolist() == [True, False, False, True, True, False, False, False]
    assert looking(table).tolist() == [False, True, True, False, False, True, False, True]


@pytest.mark.skipif(not MBPP.is_file(), reason=f"needs {MBPP.name}")
def test_published_tests_look_at_results(executor: Executor) -> None:
    """docs/cheating.md: none of MBPP's own asserts is taken for one that looks at nothing."""
    labelled = [(p, p.label, p.entry_point) for p in Mbpp(str(MBPP)).heldout()[::8] if p.label and p.entry_point]
    # As a tester writes them, without what the data set brings along for single tasks.
    columns = [split_asserts(label.tests[0]) for _, label, _ in labelled]
    jobs = [
        (
            Job((Program(label.solution),), tests, name),
            spoiled_job(label.solution, tests, name),
            strangers_job(tests, name),
        )
        for (_, label, name), tests in zip(labelled, columns, strict=True)
    ]
    verdicts = executor.run(job for three in jobs for job in three)
    right = np.concatenate([v[0] == Verdict.PASS for v in verdicts[0::3]])
    noticed = np.concatenate([looking(v) for v in verdicts[1::3]])
    nothing = np.concatenate([blind(v) for v in verdicts[2::3]])
    assert right.sum() > 120 and noticed[right].all() and not nothing.any()
