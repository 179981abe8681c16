"""What becomes of mutants, on a program whose mutants can be told by hand."""

from __future__ import annotations

import numpy as np

from zerocoder.execution import Limits, ProcessExecutor, Verdict
from zerocoder.mutation import mutants
from zerocoder.mutation_testing import Fate, fate_shares, fates, killed_from_verdicts, mutant_job
from zerocoder.problems import TestCase

P, F, E, T, C, X, S = (
    Verdict.PASS, Verdict.FAIL, Verdict.ERROR, Verdict.TIMEOUT, Verdict.CANCELLED, Verdict.INFRA, Verdict.SKIPPED
)  # fmt: skip

COUNTDOWN = (
    "def steps(n):\n    count = 0\n    while n > 0:\n        n = n - 1\n        count = count + 1\n    return count\n"
)


def test_fates_of_mutants() -> None:
    verdicts = np.array(
        [[P, P, P], [P, F, P], [E, P, P], [T, C, C], [P, T, C], [F, T, C], [X, X, S], [S, S, S], [P, X, S]],
        dtype=np.int8,
    )
    wanted = [
        Fate.SURVIVED, Fate.KILLED, Fate.KILLED, Fate.TIMEOUT, Fate.TIMEOUT, Fate.KILLED, Fate.UNKNOWN, Fate.UNKNOWN,
        Fate.SURVIVED,
    ]  # fmt: skip
    assert fates(verdicts) == wanted
    shares = fate_shares([verdicts[:4], verdicts[4:]])
    assert shares == {Fate.KILLED: 3 / 9, Fate.TIMEOUT: 2 / 9, Fate.SURVIVED: 2 / 9, Fate.UNKNOWN: 2 / 9}
    assert fate_shares([]) == {}


def test_cancelled_cells_count_as_kills() -> None:
    killed, counted = killed_from_verdicts(np.array([[P, T, C, X, S, F]], dtype=np.int8))
    assert killed.astype(int).tolist() == [[0, 1, 1, 0, 0, 1]]
    assert counted.astype(int).tolist() == [[1, 1, 1, 0, 0, 1]]


def test_endless_mutants_cost_one_budget_and_count_as_killed() -> None:
    tests = [TestCase("assert steps(3) == 3"), None, TestCase("assert steps(0) == 0"), TestCase("assert steps(5) == 5")]
    job = mutant_job(COUNTDOWN, tests, "steps", limit=50, seed=0)
    sources = [p.source for p in job.programs if p is not None]
    assert sources == list(mutants(COUNTDOWN, 50, 0)) and COUNTDOWN not in sources
    with ProcessExecutor(workers=1, limits=Limits(cpu_seconds=0.2, cpu_floor=0.1)) as executor:
        [verdicts] = executor.run([job])
    by_source = dict(zip(sources, verdicts.tolist(), strict=True))
    assert by_source[COUNTDOWN.replace("n = n - 1", "n = n + 1")] == [T, S, C, C]
    assert by_source[COUNTDOWN.replace("n > 0", "n > 1")] == [F, S, P, F]
    assert by_source[COUNTDOWN.replace("count + 1", "count + 2")] == [F, S, P, F]
    assert by_source[COUNTDOWN.replace("count = 0", "count = None")] == [E, S, F, E]
    fate = dict(zip(sources, fates(verdicts), strict=True))
    assert fate[COUNTDOWN.replace("n = n - 1", "n = n + 1")] is Fate.TIMEOUT
    assert fate[COUNTDOWN.replace("n > 0", "n > 1")] is Fate.KILLED


def test_a_program_without_mutants() -> None:
    assert mutant_job("def f(: broken", [TestCase("assert f()")], "f", 16, 0).programs == ()
