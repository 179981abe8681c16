"""Rewards of one role for one problem: the executions that `zerocoder.rewards` needs, and their bookkeeping.

Unlabelled problems are rewarded by their consensus, labelled ones by their ground truth (the paper's sections 3.2
and 5.2). `Rewards` have one entry an answer. The functions wait for what they run; `zerocoder.assessment` calls them
for many problems at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zerocoder.config import AlgorithmConfig
from zerocoder.execution import Executor, Job, Verdict
from zerocoder.execution.verdicts import is_unknown
from zerocoder.interaction import Interaction, label_job, labelled
from zerocoder.mutation_testing import killed_from_verdicts, mutant_job
from zerocoder.problems import Program
from zerocoder.rewards import (
    Rewards,
    choose_proxy,
    coder_rewards,
    labelled_coder_rewards,
    tester_rewards,
    unanimous_coder_rewards,
)
from zerocoder.rollout.engine import request_seed
from zerocoder.scrutiny import looking, spoiled_job
from zerocoder.selection.base import Consensus


@dataclass(frozen=True, slots=True)
class Proxy:
    """The solution that stands for the truth when a problem's tests are rewarded."""

    program: Program
    valid: NDArray[np.bool_]  # [K] the columns it passes, and would not pass with its results spoiled
    known: NDArray[np.bool_]  # [K] False where a failure of ours hid the verdict


class Rewarder:
    """Computes the rewards of either role; `seed` decides the proxies and the mutants."""

    def __init__(self, executor: Executor, config: AlgorithmConfig, seed: int) -> None:
        self.executor = executor
        self.config = config
        self.seed = seed

    def coder(self, interaction: Interaction, consensus: Consensus) -> Rewards:
        """By the label where the problem has one, else by the consensus."""
        penalty, problem = self.config.format_penalty, interaction.problem
        if problem.label is None:
            return coder_rewards(interaction.matrix, consensus, penalty)
        truth = labelled(self.executor.submit(label_job(problem, interaction.group.programs)).result())
        return labelled_coder_rewards(truth.correct, interaction.matrix.programs, penalty, truth.known)

    def coder_by_tests(self, interaction: Interaction) -> Rewards:
        """By the tests that the solutions met, all of which count."""
        return unanimous_coder_rewards(interaction.matrix, self.config.format_penalty)

    def proxy(self, interaction: Interaction, consensus: Consensus, step: int) -> Proxy | None:
        """A random solution of the consensus, or the reference of a labelled problem; None without consensus."""
        problem = interaction.problem
        if problem.label is not None:
            program = Program(problem.label.solution)
            job = Job((program,), interaction.columns, problem.entry_point, cancel=False)
            verdicts = self.executor.submit(job).result()[0]
        else:
            row = choose_proxy(consensus, np.random.default_rng(request_seed(self.seed, "proxy", step, problem.id)))
            chosen = None if row is None else interaction.group.programs[row]
            if row is None or chosen is None:
                return None
            program, verdicts = chosen, interaction.matrix.verdicts[row]
        passed = np.asarray(verdicts == Verdict.PASS)
        return Proxy(program, passed & self._looking(program, interaction, passed), ~is_unknown(verdicts))

    def _looking(self, program: Program, interaction: Interaction, passed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """[K] the columns that check what the proxy returns, among those that it passes."""
        entry_point = interaction.problem.entry_point
        if entry_point is None or not passed.any():
            return passed  # a test of standard output compares all of it
        tests = [t if ok else None for t, ok in zip(interaction.columns, passed, strict=True)]
        return looking(self.executor.submit(spoiled_job(program.source, tests, entry_point)).result())

    def mutant_verdicts(self, interaction: Interaction, proxy: Proxy | None) -> NDArray[np.int8] | None:
        """[M, K] verdicts of the proxy's mutants; None where there is no proxy, no valid test or no mutant."""
        if proxy is None or not proxy.valid.any():
            return None
        job = mutant_job(
            proxy.program.source,
            # A test that the proxy fails kills nothing whatever it does to the mutants: it need not run.
            [t if ok else None for t, ok in zip(interaction.columns, proxy.valid, strict=True)],
            interaction.problem.entry_point,
            self.config.max_mutants,
            request_seed(self.seed, "mutants", interaction.problem.id),
        )
        return self.executor.submit(job).result() if job.programs else None

    def tester(
        self, interaction: Interaction, proxy: Proxy | None, mutant_verdicts: NDArray[np.int8] | None, lam: float
    ) -> Rewards:
        columns = len(interaction.columns)
        killed, counted = (None, None) if mutant_verdicts is None else killed_from_verdicts(mutant_verdicts)
        rewards = tester_rewards(
            valid=np.zeros(columns, dtype=bool) if proxy is None else proxy.valid,
            parsed=interaction.matrix.tests_shown,
            killed=killed,
            lam=lam,
            format_penalty=self.config.format_penalty,
            mask=None if proxy is None else proxy.known,
            counted=counted,
        )
        return per_answer(rewards, interaction.owners)


def per_answer(rewards: Rewards, owners: NDArray[np.int64]) -> Rewards:
    """Rewards of columns [K] -> of answers: the mean over an answer's columns (`test_unit=assertion`)."""
    answers = int(owners.max(initial=-1)) + 1
    if answers == len(owners):
        return rewards
    sizes = np.bincount(owners, minlength=answers)

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.bincount(owners, weights=values, minlength=answers) / sizes

    return Rewards(
        total=mean(rewards.total),
        valid=mean(rewards.valid),
        mutation=mean(rewards.mutation),
        format=mean(rewards.format),
        mask=np.bincount(owners, weights=~rewards.mask, minlength=answers) == 0,
        lam=rewards.lam,
    )
