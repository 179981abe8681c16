"""Rewards of a step's problems through real execution and real mutants, against values worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from scripted import DOUBLE, DOUBLE_SOLUTIONS, DOUBLE_TESTS, fenced, scripted_sampler

from zerocoder.config import AlgorithmConfig, TestUnit
from zerocoder.execution import Executor, ProcessExecutor
from zerocoder.interaction import Interaction, interact
from zerocoder.problems import Problem
from zerocoder.rewarding import Rewarder, per_answer
from zerocoder.rewards import Rewards
from zerocoder.selection.base import Consensus, select_shown
from zerocoder.selection.codet import CodeT


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with ProcessExecutor(workers=1) as running:
        yield running


def step(
    executor: Executor, problem: Problem, tests: list[str] = DOUBLE_TESTS, unit: TestUnit = TestUnit.ANSWER
) -> tuple[list[Interaction], list[Consensus]]:
    sampler = scripted_sampler({problem.statement: DOUBLE_SOLUTIONS}, {problem.statement: tests})
    interactions = interact(sampler, executor, [problem], ("t",), unit)
    return interactions, [select_shown(CodeT(), i.matrix) for i in interactions]


def test_coder_rewards_of_consensus_and_of_labels(executor: Executor) -> None:
    rewarder = Rewarder(executor, AlgorithmConfig(), seed=0)
    # Unlabelled: CodeT prefers {0, 1} (2 tests, sqrt 2) to {2} (2 tests, sqrt 1).
    (rewards,) = rewarder.coder(*step(executor, DOUBLE.unlabelled()))
    assert rewards.total.tolist() == [1, 1, 0, -1]
    # Labelled: the consensus is not asked.
    interactions, _ = step(executor, DOUBLE)
    wrong = Consensus(np.array([False, False, True, False]), np.array([True, False, True, False]), 1.0)
    (rewards,) = rewarder.coder(interactions, [wrong])
    assert rewards.total.tolist() == [1, 1, 0, -1]


def test_tester_rewards_of_a_proxy(executor: Executor) -> None:
    rewarder = Rewarder(executor, AlgorithmConfig(max_mutants=50), seed=0)
    interactions, consensus = step(executor, DOUBLE.unlabelled())
    proxies = rewarder.proxies(interactions, consensus, step=3)
    assert proxies[0] is not None and proxies[0].valid.tolist() == [True, True, False, False]
    verdicts = rewarder.mutant_verdicts(interactions, proxies)
    assert verdicts[0] is not None
    (rewards,) = rewarder.tester(interactions, proxies, verdicts, lam=0.5)
    # An independent count of the kills, by running the mutants here: they are our own text.
    from zerocoder.mutation import mutants
    from zerocoder.rollout.engine import request_seed

    sources = mutants(proxies[0].program.source, 50, request_seed(0, "mutants", "double"))
    kills = np.zeros(2)
    for source in sources:
        for k, (x, want) in enumerate([(2, 4), (3, 6)]):
            scope: dict = {}
            try:
                exec(source, scope)
                kills[k] += scope["double"](x) != want
            except Exception:
                kills[k] += 1
    shares = kills / len(sources)
    assert 0 < shares[1] <= 1
    expected = [0.5 + 0.5 * shares[0], 0.5 + 0.5 * shares[1], 0.0, -1.0]
    assert rewards.total.tolist() == pytest.approx(expected)


def test_without_consensus_only_the_format_counts(executor: Executor) -> None:
    rewarder = Rewarder(executor, AlgorithmConfig(), seed=0)
    interactions, consensus = step(executor, DOUBLE.unlabelled(), [fenced("assert double(1) == 77"), "none"])
    assert consensus[0].empty
    proxies = rewarder.proxies(interactions, consensus, step=0)
    assert proxies == [None] and rewarder.mutant_verdicts(interactions, proxies) == [None]
    (rewards,) = rewarder.tester(interactions, proxies, [None], lam=0.5)
    assert rewards.total.tolist() == [0, -1, 0, -1]


def test_labelled_problems_use_the_reference_as_proxy(executor: Executor) -> None:
    rewarder = Rewarder(executor, AlgorithmConfig(), seed=0)
    interactions, _ = step(executor, DOUBLE)
    wrong = Consensus(np.array([False, False, True, False]), np.array([True, False, True, False]), 1.0)
    (proxy,) = rewarder.proxies(interactions, [wrong], step=0)
    assert proxy is not None and DOUBLE.label is not None and proxy.program.source == DOUBLE.label.solution
    assert proxy.valid.tolist() == [True, True, False, False]


def test_proxies_and_mutants_repeat_with_the_seed(executor: Executor) -> None:
    interactions, consensus = step(executor, DOUBLE.unlabelled())
    chosen = {
        seed: [Rewarder(executor, AlgorithmConfig(), seed).proxies(interactions, consensus, s)[0] for s in range(12)]
        for seed in (0, 0, 1)
    }
    again = [Rewarder(executor, AlgorithmConfig(), 0).proxies(interactions, consensus, s)[0] for s in range(12)]
    sources = lambda proxies: [p.program.source for p in proxies]  # noqa: E731
    assert sources(chosen[0]) == sources(again)
    assert len(set(sources(chosen[0]))) == 2  # both members of the consensus are drawn


def test_per_answer_averages_columns() -> None:
    columns = np.array([1.0, 0.0, 0.5, 0.0])
    rewards = Rewards(columns, columns, columns, np.zeros(4), np.array([True, True, True, False]), 0.3)
    out = per_answer(rewards, np.array([0, 0, 1, 2]))
    assert out.total.tolist() == [0.5, 0.5, 0.0]
    assert out.mask.tolist() == [True, True, False]
    assert per_answer(rewards, np.arange(4)) is rewards
