"""What zerocoder-nano can do, measured with the project's own parts: the numbers of its model card.

Sampled with the settings of conf/experiment/nano.yaml: Pass@1 and test accuracy on the held-out problems, ranks of the
passing matrices on the training problems. Greedy: what `evaluate.py` reports.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zerocoder.answers import split_asserts
from zerocoder.compose import load, quoted
from zerocoder.config import TestUnit
from zerocoder.console import bar
from zerocoder.datasets.builtin import Builtin
from zerocoder.evaluation.records import Scores
from zerocoder.evaluation.runner import evaluate_policy
from zerocoder.execution import Executor, Job, ProcessExecutor, Verdict
from zerocoder.interaction import Interaction, check_against_labels, interact
from zerocoder.models import load_policy, load_tokenizer
from zerocoder.problems import Problem, Program, Role
from zerocoder.rollout.engine import sampling_of
from zerocoder.rollout.sampler import RolloutGroup, Sampler

AT_ONCE = 32  # problems sampled between two advances of the bar


@dataclass(frozen=True)
class Measured:
    """Shares in [0, 1], lengths in tokens."""

    pass_at_1: float  # sampled, held-out
    assert_accuracy: float  # asserts that the reference passes; an unparsable answer counts as one wrong assert
    answer_accuracy: float  # tester answers all of whose asserts the reference passes
    coder_format_errors: float
    tester_format_errors: float
    ranks: dict[int, int]  # training problems by the rank of their passing matrix
    answer_tokens: float
    prompt_tokens: float
    greedy: Scores

    @property
    def kept(self) -> float:
        """Share of the training problems that tau = 2 keeps."""
        return sum(n for rank, n in self.ranks.items() if rank >= 2) / sum(self.ranks.values())

    def lines(self) -> list[str]:
        rows = {
            "held-out Pass@1, sampled": self.pass_at_1,
            "held-out Pass@1, greedy": self.greedy.pass_at_1,
            "test accuracy by assert, sampled": self.assert_accuracy,
            "test accuracy by assert, greedy": self.greedy.test_accuracy,
            "test accuracy by answer, sampled": self.answer_accuracy,
            "mutation score, greedy": self.greedy.mutation_score,
            "coder format errors, sampled": self.coder_format_errors,
            "tester format errors, sampled": self.tester_format_errors,
            "training problems with rank >= 2": self.kept,
        }
        shares = [f"{name:<34} {100 * value:5.1f} %" for name, value in rows.items()]
        histogram = ", ".join(f"{rank}: {n}" for rank, n in sorted(self.ranks.items()))
        lengths = f"{self.prompt_tokens:.0f} tokens a prompt, {self.answer_tokens:.0f} an answer"
        return [*shares, f"{'training problems by rank':<34} {histogram}", f"{'mean lengths':<34} {lengths}"]


def measure(model: Path | str, seed: int = 0) -> Measured:
    """Measure the model in a Hugging Face folder (or by one of the names that `model.path` takes)."""
    config = load(["experiment=nano", f"model.path={quoted(str(model))}"])
    tokenizer, policy = load_tokenizer(config.model), load_policy(config.model)
    style, rollout = config.model.prompt_style, config.rollout
    sampler = Sampler(rollout.start(policy, tokenizer), tokenizer, rollout, style, seed)
    source = Builtin()
    with ProcessExecutor() as executor:
        heldout = _sample(sampler, source.heldout())
        truths = check_against_labels(executor, [(g.problem, g.programs) for g in heldout])
        valid = _valid_asserts(executor, heldout)
        trained = _trained(sampler, executor, source.train(), config.algorithm.test_unit)
        greedy = evaluate_policy(
            sampler.engine,
            tokenizer,
            style,
            source.heldout(),
            executor,
            sampling_of(rollout),
            max_prompt_tokens=config.model.max_prompt_tokens,
            max_mutants=config.algorithm.max_mutants,
        )
    rollouts = {role: [r for g in heldout for r in g.of(role)] for role in Role}
    everything = [r for rows in rollouts.values() for r in rows]
    return Measured(
        pass_at_1=float(np.mean(np.concatenate([t.correct for t in truths]))),
        assert_accuracy=float(np.mean([v for answer in valid for v in answer])),
        answer_accuracy=float(np.mean([all(answer) for answer in valid])),
        coder_format_errors=float(np.mean([not r.parsed for r in rollouts[Role.CODER]])),
        tester_format_errors=float(np.mean([not r.parsed for r in rollouts[Role.TESTER]])),
        ranks=dict(Counter(i.matrix.rank for i in trained)),
        answer_tokens=float(np.mean([len(r.completion.token_ids) for r in everything])),
        prompt_tokens=float(np.mean([len(r.prompt) for r in everything])),
        greedy=greedy,
    )


def _sample(sampler: Sampler, problems: Sequence[Problem]) -> list[RolloutGroup]:
    groups: list[RolloutGroup] = []
    with bar("sampling held-out problems", len(problems)) as advance:
        for start in range(0, len(problems), AT_ONCE):
            chunk = problems[start : start + AT_ONCE]
            groups += sampler.sample(chunk, ("measure",))
            advance(len(chunk))
    return groups


def _trained(sampler: Sampler, executor: Executor, problems: Sequence[Problem], unit: TestUnit) -> list[Interaction]:
    interactions: list[Interaction] = []
    with bar("sampling training problems", len(problems)) as advance:
        for start in range(0, len(problems), AT_ONCE):
            chunk = problems[start : start + AT_ONCE]
            interactions += interact(sampler, executor, chunk, ("measure",), unit)
            advance(len(chunk))
    return interactions


def _valid_asserts(executor: Executor, groups: Sequence[RolloutGroup]) -> list[list[bool]]:
    """For every tester answer, which of its asserts the reference passes; [False] for one that does not parse."""
    answers = [[split_asserts(t) if t is not None else () for t in g.test_cases] for g in groups]
    jobs = []
    for group, tests in zip(groups, answers, strict=True):
        assert group.problem.label is not None
        columns = tuple(assertion for answer in tests for assertion in answer)
        jobs.append(Job((Program(group.problem.label.solution),), columns, group.problem.entry_point))
    out: list[list[bool]] = []
    for tests, verdicts in zip(answers, executor.run(jobs), strict=True):
        row = iter((verdicts[0] == Verdict.PASS).tolist())
        out += [[next(row) for _ in answer] or [False] for answer in tests]
    return out
