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
) -> tuple[Interaction, Consensus]:
    sampler = scripted_sampler({problem.statement: DOUBLE_SOLUTIONS}, {problem.statement: tests})
    (interaction,) = interact(sampler, executor, [problem], ("t",), unit)
    return interaction, select_shown(CodeT(), interaction.matrix)


def test_coder_rewards_of_consensus_and_of_labels(executor: Executor) -> None:
    rewarder = Rewarder(executor, AlgorithmConfig(), seed=0)
    # Unlabelled: CodeT prefers {0, 1} (2 tests, sqrt 2) to {2} (2 tests, sqrt 1).
    rewards = rewarder.coder(*step(executor, DOUBLE.unlabelled()))
    assert rewards.total.tolist() == [1, 1, 0, -1]
    # Labelled: the consensus is not asked.
    interaction, _ = step(executor, DOUBLE)
    wrong = Consensus(np.array([False, False, True, False]), np.array([True, False, True, False]), 1.0)
    rewards = rewarder.coder(interaction, wrong)
    assert rewards.total.tolist() == [1, 1, 0, -1]


def test_tester_rewards_of_a_proxy(executor: Executor) -> None:
    rewarder = Rewarder(executor, AlgorithmConfig(max_mutants=50), seed=0)
    interaction, consensus = step(executor, DOUBLE.unlabelled())
    proxy = rewarder.proxy(interaction, consensus, step=3)
    assert proxy is not None and proxy.valid.tolist() == [True, True, False, False]
    verdicts = rewarder.mutant_verdicts(interaction, proxy)
    assert verdicts is not None
    rewards = rewarder.tester(interaction, proxy, verdicts, lam=0.5)
    # An independent count of the kills, by running the mutants here: they are our own text.
    from zerocoder.mutation import mutants
    from zerocoder.rollout.engine import request_seed

    sources = mutants(proxy.program.source, 50, request_seed(0, "mutants", "double"))
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
    interaction, consensus = step(executor, DOUBLE.unlabelled(), [fenced("assert double(1) == 77"), "none"])
    assert consensus.empty
    proxy = rewarder.proxy(interaction, consensus, step=0)
    assert proxy is None and rewarder.mutant_verdicts(interaction, proxy) is None
    rewards = rewarder.tester(interaction, proxy, None, lam=0.5)
    assert rewards.total.tolist() == [0, -1, 0, -1]


def test_labelled_problems_use_the_reference_as_proxy(executor: Executor) -> None:
    rewarder = Rewarder(executor, AlgorithmConfig(), seed=0)
    interaction, _ = step(executor, DOUBLE)
    wrong = Consensus(np.array([False, False, True, False]), np.array([True, False, True, False]), 1.0)
    proxy = rewarder.proxy(interaction, wrong, step=0)
    assert proxy is not None and DOUBLE.label is not None and proxy.program.source == DOUBLE.label.solution
    assert proxy.valid.tolist() == [True, True, False, False]


def test_proxies_and_mutants_repeat_with_the_seed(executor: Executor) -> None:
    interaction, consensus = step(executor, DOUBLE.unlabelled())

    def sources(seed: int) -> list[str]:
        rewarder = Rewarder(executor, AlgorithmConfig(), seed)
        proxies = [rewarder.proxy(interaction, consensus, s) for s in range(12)]
        return [p.program.source for p in proxies if p is not None]

    assert sources(0) == sources(0) != sources(1)
    assert len(set(sources(0))) == 2  # both members of the consensus are drawn


def test_per_answer_averages_columns() -> None:
    columns = np.array([1.0, 0.0, 0.5, 0.0])
    rewards = Rewards(columns, columns, columns, np.zeros(4), np.array([True, True, True, False]), 0.3)
    out = per_answer(rewards, np.array([0, 0, 1, 2]))
    assert out.total.tolist() == [0.5, 0.5, 0.0]
    assert out.mask.tolist() == [True, True, False]
    assert per_answer(rewards, np.arange(4)) is rewards
