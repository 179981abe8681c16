"""Rewards of one role for a step's problems: the executions that `zerocoder.rewards` needs, and their bookkeeping.

Unlabelled problems are rewarded by their consensus, labelled ones by their ground truth (the paper's sections 3.2
and 5.2). Each function returns one `Rewards` a problem, with one entry an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zerocoder.config import AlgorithmConfig
from zerocoder.execution import Executor, Job, Verdict
from zerocoder.interaction import Interaction, check_against_labels
from zerocoder.mutation_testing import killed_from_verdicts, mutant_job
from zerocoder.problems import Program
from zerocoder.rewards import (
    Rewards,
    choose_proxy,
    coder_rewards,
    labelled_coder_rewards,
    tester_rewards,
)
from zerocoder.rollout.engine import request_seed
from zerocoder.selection.base import Consensus


@dataclass(frozen=True, slots=True)
class Proxy:
    """The solution that stands for the truth when a problem's tests are rewarded."""

    program: Program
    valid: NDArray[np.bool_]  # [K] the columns it passes
    known: NDArray[np.bool_]  # [K] False where a failure of ours hid the verdict


class Rewarder:
    """Computes the rewards of either role; `seed` decides the proxies and the mutants."""

    def __init__(self, executor: Executor, config: AlgorithmConfig, seed: int) -> None:
        self.executor = executor
        self.config = config
        self.seed = seed

    def coder(self, interactions: Sequence[Interaction], consensus: Sequence[Consensus]) -> list[Rewards]:
        penalty = self.config.format_penalty
        rewards = [coder_rewards(i.matrix, c, penalty) for i, c in zip(interactions, consensus, strict=True)]
        labelled = [n for n, i in enumerate(interactions) if i.problem.label is not None]
        truths = check_against_labels(
            self.executor, [(interactions[n].problem, interactions[n].group.programs) for n in labelled]
        )
        for n, truth in zip(labelled, truths, strict=True):
            rewards[n] = labelled_coder_rewards(truth.correct, interactions[n].matrix.programs, penalty, truth.known)
        return rewards

    def proxies(
        self, interactions: Sequence[Interaction], consensus: Sequence[Consensus], step: int
    ) -> list[Proxy | None]:
        """A random solution of each consensus, or the reference of a labelled problem; None without consensus."""
        proxies: list[Proxy | None] = []
        for interaction, chosen in zip(interactions, consensus, strict=True):
            rng = np.random.default_rng(request_seed(self.seed, "proxy", step, interaction.problem.id))
            row = choose_proxy(chosen, rng)
            program = None if row is None else interaction.group.programs[row]
            if interaction.problem.label is not None:
                proxies.append(None)  # filled in below
            elif row is None or program is None:
                proxies.append(None)
            else:
                verdicts = interaction.matrix.verdicts[row]
                proxies.append(Proxy(program, verdicts == Verdict.PASS, verdicts != Verdict.INFRA))
        self._add_references(interactions, proxies)
        return proxies

    def _add_references(self, interactions: Sequence[Interaction], proxies: list[Proxy | None]) -> None:
        labels = [(n, i, i.problem.label) for n, i in enumerate(interactions) if i.problem.label is not None]
        jobs = [
            Job((Program(label.solution),), i.columns, i.problem.entry_point, cancel=False) for _, i, label in labels
        ]
        for (n, _, label), verdicts in zip(labels, self.executor.run(jobs), strict=True):
            row = verdicts[0]
            proxies[n] = Proxy(Program(label.solution), row == Verdict.PASS, row != Verdict.INFRA)

    def mutant_verdicts(
        self, interactions: Sequence[Interaction], proxies: Sequence[Proxy | None]
    ) -> list[NDArray[np.int8] | None]:
        """[M, K] verdicts of each proxy's mutants; None where there is no proxy, no valid test or no mutant."""
        wanted = [n for n, proxy in enumerate(proxies) if proxy is not None and proxy.valid.any()]
        ran = self.executor.run(self._mutant_job(interactions[n], proxies[n]) for n in wanted)
        by_problem = dict(zip(wanted, ran, strict=True))
        return [v if (v := by_problem.get(n)) is not None and len(v) else None for n in range(len(interactions))]

    def _mutant_job(self, interaction: Interaction, proxy: Proxy | None) -> Job:
        assert proxy is not None
        return mutant_job(
            proxy.program.source,
            # A test that the proxy fails kills nothing whatever it does to the mutants: it need not run.
            [t if ok else None for t, ok in zip(interaction.columns, proxy.valid, strict=True)],
            interaction.problem.entry_point,
            self.config.max_mutants,
            request_seed(self.seed, "mutants", interaction.problem.id),
        )

    def tester(
        self,
        interactions: Sequence[Interaction],
        proxies: Sequence[Proxy | None],
        mutant_verdicts: Sequence[NDArray[np.int8] | None],
        lam: float,
    ) -> list[Rewards]:
        out = []
        for interaction, proxy, verdicts in zip(interactions, proxies, mutant_verdicts, strict=True):
            columns = len(interaction.columns)
            killed, counted = (None, None) if verdicts is None else killed_from_verdicts(verdicts)
            rewards = tester_rewards(
                valid=np.zeros(columns, dtype=bool) if proxy is None else proxy.valid,
                parsed=interaction.matrix.tests_shown,
                killed=killed,
                lam=lam,
                format_penalty=self.config.format_penalty,
                mask=None if proxy is None else proxy.known,
                counted=counted,
            )
            out.append(per_answer(rewards, interaction.owners))
        return out


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
