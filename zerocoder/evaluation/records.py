"""What an evaluation found, problem by problem, the scores that follow from it, and what decided them.

Scores are a function of the items alone: items of several processes are put together and scored once.

How things are counted:
- Tester answers are taken apart into their assert statements, each of which is one test; a standard-input answer is
  one test. An answer that does not parse counts as one wrong test that kills nothing.
- A test that the reference fails kills nothing. Problems whose reference has no mutants do not enter the mutation
  score.
- Of n answers in one role every one counts: Pass@k is estimated from all n of a problem, and the tests of all n are
  tests of the benchmark.
- A prompt over the limit leaves the problem unanswered, which counts as a wrong answer, so that models with other
  tokenizers are measured on the same problems.
- Where a failure of ours hid an outcome, the answer or test is left out of the score and counted in `infra`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from zerocoder.evaluation.metrics import MutationScore, PassAtK, TestAccuracy
from zerocoder.problems import TestCase

TOO_LONG = "the prompt is over model.max_prompt_tokens"


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer in one role."""

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
    """One problem and its n answers in each role; a role that was not measured on it has none."""

    problem: str
    source: str
    difficulty: str
    coder: tuple[CoderItem, ...]  # [n]
    tester: tuple[TesterItem, ...]  # [n]


@dataclass(frozen=True, slots=True)
class Scores:
    """One model on one benchmark. Shares lie in [0, 1]; NaN where nothing was measured."""

    pass_at: Mapping[int, float]  # k -> Pass@k of the coder, in rising order; 1 is always there
    test_accuracy: float
    mutation_score: float
    coder_format_errors: float  # share of coder answers without a program
    tester_format_errors: float  # share of tester answers without a test
    problems: int
    programs: int  # answers behind pass_at
    tests: int  # tests behind test_accuracy, an unparsable answer counting as one
    mutation_tests: int  # tests behind mutation_score
    too_long: int  # prompts over the limit
    infra: int  # answers and tests hidden by a failure of ours
    seconds: float
    items: tuple[Item, ...]

    @property
    def pass_at_1(self) -> float:
        return self.pass_at[1]


@dataclass(frozen=True, slots=True)
class Provenance:
    """What decides the scores of one model on one benchmark, beside the model itself."""

    title: str  # the benchmark in words
    data_set: str  # where its problems come from: a file, or a data set of the hub
    revision: str | None  # of the hub's data set; None for a file
    data_hash: str  # of the problems with their tests, as they were read
    sample: str  # which of the data set's problems: a window of dates, a named sample, "50 of 500 (seed 0)", "all"
    roles: tuple[str, ...]
    problems: int
    left_out: Mapping[str, int]  # why rows of the data set cannot be used -> how many, over everything read
    n: int  # answers a problem and role
    temperature: float | None  # 0 is greedy; None, here and below: not known, for answers made elsewhere
    top_p: float | None
    top_k: int | None
    max_new_tokens: int | None
    prompts: str | None  # hash of the benchmark's prompts as token ids
    extractor: str  # version of what takes answers apart
    cpu_seconds: tuple[float, float]  # least and most that a test may take, before the machine factor
    machine_factor: float  # how much slower this machine is than the graders': it stretches the limits
    isolation: str  # of the sandbox
    versions: Mapping[str, str]  # package -> version
    seconds: float  # wall time behind the scores


Results = Mapping[str, Mapping[str, Scores]]
"""Model -> benchmark -> scores."""
Provenances = Mapping[str, Mapping[str, Provenance]]
"""Model -> benchmark -> what decided its scores: models differ in their prompts."""


def score(items: Sequence[Item], seconds: float, ks: Sequence[int] = (1,)) -> Scores:
    """The scores of `items`, which took `seconds` to get: Pass@k for 1 and those of `ks` that n answers allow."""
    accuracy, mutation = TestAccuracy(), MutationScore()
    coders = [c for i in items for c in i.coder]
    testers = [t for i in items for t in i.tester]
    valid = [v for t in testers for v in (t.valid if t.tests else (False,))]
    kills = [k for t in testers if t.mutants for k in (t.kills if t.tests else (0.0,))]
    correct = [c.correct for c in coders]
    metrics: tuple[tuple[TestAccuracy | MutationScore, Sequence[float | None]], ...] = (
        (accuracy, valid),
        (mutation, kills),
    )
    for metric, values in metrics:
        known = [v for v in values if v is not None]
        if known:
            metric.update(torch.tensor(known, dtype=torch.float64))
    answers = max((len(i.coder) for i in items), default=0)
    return Scores(
        pass_at={k: _pass_at(k, items) for k in sorted({1, *(k for k in ks if k <= answers)})},
        test_accuracy=_value(accuracy),
        mutation_score=_value(mutation),
        coder_format_errors=_share([c.answer.format_error is not None for c in coders]),
        tester_format_errors=_share([t.answer.format_error is not None for t in testers]),
        problems=len(items),
        programs=len(correct) - correct.count(None),
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
    pass_at = {int(k): math.nan if v is None else v for k, v in values["pass_at"].items()}
    return Scores(**(values | shares | {"pass_at": pass_at}), items=())


def read_items(file: Path | str) -> list[Item]:
    """The items of one model on one benchmark, out of the lines that `report.write_report` made of them."""
    return [_item(json.loads(line)) for line in Path(file).read_text(encoding="utf-8").splitlines()]


def _item(values: dict[str, Any]) -> Item:
    def answer(row: dict[str, Any]) -> Answer:
        return Answer(**row["answer"])

    coder = [CoderItem(answer(row), row["program"], tuple(row["verdicts"]), row["correct"]) for row in values["coder"]]
    tester = [
        TesterItem(
            answer(row),
            tuple(TestCase(**test) for test in row["tests"]),
            tuple(row["verdicts"]),
            tuple(row["valid"]),
            tuple(row["kills"]),
            row["mutants"],
        )
        for row in values["tester"]
    ]
    return Item(values["problem"], values["source"], values["difficulty"], tuple(coder), tuple(tester))


def file_names(names: Sequence[str]) -> dict[str, str]:
    """A file name for each model or benchmark: its name without what a file system or a shell would trip over."""
    files: dict[str, str] = {}
    for name in names:
        stem = re.sub(r"[^\w.-]+", "_", name).strip("._") or "model"
        files[name], number = stem, 2
        while list(files.values()).count(files[name]) > 1:
            files[name], number = f"{stem}-{number}", number + 1
    return files


def _pass_at(k: int, items: Sequence[Item]) -> float:
    """Pass@k of the problems that have k answers whose outcome is known."""
    metric = PassAtK(k)
    known = [[c.correct for c in item.coder if c.correct is not None] for item in items]
    counted = [outcomes for outcomes in known if len(outcomes) >= k]
    if counted:
        metric.update(torch.tensor([sum(o) for o in counted]), torch.tensor([len(o) for o in counted]))
    return _value(metric)


def _hidden_twice(testers: Sequence[TesterItem]) -> int:
    """Tests whose verdict and kills are both unknown, which are one failure each."""
    pairs = [(v, k) for t in testers if t.mutants for v, k in zip(t.valid, t.kills, strict=True)]
    return pairs.count((None, None))


def _value(metric: PassAtK | TestAccuracy | MutationScore) -> float:
    return float(metric.total / metric.count) if int(metric.count) else math.nan


def _share(flags: Sequence[bool]) -> float:
    return sum(flags) / len(flags) if flags else math.nan
