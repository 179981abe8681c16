"""What an evaluation found, problem by problem, and the scores that follow from it.

Scores are a function of the items alone: items of several processes are put together and scored once.

How things are counted:
- Tester answers are taken apart into their assert statements, each of which is one test; a standard-input answer is
  one test. An answer that does not parse counts as one wrong test that kills nothing.
- A test that the reference fails kills nothing. Problems whose reference has no mutants do not enter the mutation
  score.
- A prompt over the limit leaves the problem unanswered, which counts as a wrong answer, so that models with other
  tokenizers are measured on the same problems.
- Where a failure of ours hid an outcome, the answer or test is left out of the score and counted in `infra`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch

from zerocoder.evaluation.metrics import MutationScore, PassAt1, TestAccuracy
from zerocoder.problems import TestCase

TOO_LONG = "the prompt is over model.max_prompt_tokens"


@dataclass(frozen=True, slots=True)
class Answer:
    """One greedy answer in one role."""

    prompt_hash: str  # of the prompt's token ids
    text: str
    truncated: bool
    format_error: str | None  # why it has no program or test


@dataclass(frozen=True, slots=True)
class CoderItem:
    answer: Answer
    program: str | None
    verdicts: tuple[str, ...]  # [official tests]
    correct: bool | None  # passes them all; None: a failure of ours hid it


@dataclass(frozen=True, slots=True)
class TesterItem:
    __test__: ClassVar[bool] = False  # not a pytest class

    answer: Answer
    tests: tuple[TestCase, ...]  # [T]
    verdicts: tuple[str, ...]  # [T] of the reference
    valid: tuple[bool | None, ...]  # [T] the reference passes it; None: a failure of ours hid it
    kills: tuple[float | None, ...]  # [T] share of the mutants killed; None: no mutant could be run
    mutants: int


@dataclass(frozen=True, slots=True)
class Item:
    """One problem. A role that was not measured on it is None."""

    problem: str
    source: str
    difficulty: str
    coder: CoderItem | None
    tester: TesterItem | None


@dataclass(frozen=True, slots=True)
class Scores:
    """One model on one benchmark. Shares lie in [0, 1]; NaN where nothing was measured."""

    pass_at_1: float
    test_accuracy: float
    mutation_score: float
    coder_format_errors: float  # share of coder answers without a program
    tester_format_errors: float  # share of tester answers without a test
    problems: int
    programs: int  # answers behind pass_at_1
    tests: int  # tests behind test_accuracy, an unparsable answer counting as one
    mutation_tests: int  # tests behind mutation_score
    too_long: int  # prompts over the limit
    infra: int  # answers and tests hidden by a failure of ours
    seconds: float
    items: tuple[Item, ...]


def score(items: Sequence[Item], seconds: float) -> Scores:
    """The scores of `items`, which took `seconds` to get."""
    pass_at_1, accuracy, mutation = PassAt1(), TestAccuracy(), MutationScore()
    coders = [i.coder for i in items if i.coder is not None]
    testers = [i.tester for i in items if i.tester is not None]
    valid = [v for t in testers for v in (t.valid if t.tests else (False,))]
    kills = [k for t in testers if t.mutants for k in (t.kills if t.tests else (0.0,))]
    correct = [c.correct for c in coders]
    for metric, values in ((pass_at_1, correct), (accuracy, valid), (mutation, kills)):
        known = [v for v in values if v is not None]
        if known:
            metric.update(torch.tensor(known, dtype=torch.float64))
    return Scores(
        pass_at_1=_value(pass_at_1),
        test_accuracy=_value(accuracy),
        mutation_score=_value(mutation),
        coder_format_errors=_share([c.answer.format_error is not None for c in coders]),
        tester_format_errors=_share([t.answer.format_error is not None for t in testers]),
        problems=len(items),
        programs=int(pass_at_1.count),
        tests=int(accuracy.count),
        mutation_tests=int(mutation.count),
        too_long=sum(a.format_error == TOO_LONG for a in [*(c.answer for c in coders), *(t.answer for t in testers)]),
        infra=correct.count(None) + valid.count(None) + kills.count(None) - _hidden_twice(testers),
        seconds=seconds,
        items=tuple(items),
    )


def read_summary(file: Path | str) -> Scores:
    """Scores without items, out of the JSON that `report.summary` made of them."""
    values = json.loads(Path(file).read_text(encoding="utf-8"))
    shares = {k: math.nan for k, v in values.items() if v is None}
    return Scores(**(values | shares), items=())


def _hidden_twice(testers: Sequence[TesterItem]) -> int:
    """Tests whose verdict and kills are both unknown, which are one failure each."""
    pairs = [(v, k) for t in testers if t.mutants for v, k in zip(t.valid, t.kills, strict=True)]
    return pairs.count((None, None))


def _value(metric: PassAt1 | TestAccuracy | MutationScore) -> float:
    return float(metric.total / metric.count) if int(metric.count) else math.nan


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else math.nan
