"""Greedy evaluation of a policy in both roles, with an engine and an executor that are already running.

`evaluate.py` and the before -> after table of a training run share it. Problems carry labels here: programs are run
against the official tests, tests against the reference solution and its mutants (the paper's section 4.1).
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from zerocoder.answers import FormatError, parse_program, parse_test, split_asserts
from zerocoder.evaluation.records import TOO_LONG, Answer, CoderItem, Item, Scores, TesterItem, score
from zerocoder.execution import Executor, Job, Verdict
from zerocoder.mutation_testing import killed_from_verdicts, mutant_job
from zerocoder.problems import Label, Problem, Program, Role, TestCase
from zerocoder.prompting import prompt_ids
from zerocoder.prompts import PromptStyle
from zerocoder.rollout.engine import Completion, Request, RolloutEngine, Sampling, request_seed
from zerocoder.world import World

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

T = TypeVar("T")
MAX_TESTS = 64
"""Assert statements of one answer that are scored. Training keeps fewer, so that none is free; here all that a model
writes of its own accord count, and only an answer that repeats itself to the token limit is cut."""

OnProgress = Callable[[str, int, int], None]
"""Told of (stage, done so far, total) as the work of a stage goes on."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """One problem in one role: what was asked, what came back, what it parsed into."""

    problem: Problem
    answer: Answer
    parsed: Program | TestCase | None

    @property
    def label(self) -> Label:
        if self.problem.label is None:
            raise ValueError(f"problem {self.problem.id} has no label to be scored by")
        return self.problem.label


def evaluate_policy(
    engine: RolloutEngine,
    tokenizer: PreTrainedTokenizerBase,
    prompt_style: PromptStyle,
    problems: Sequence[Problem],
    executor: Executor,
    sampling: Sampling,
    max_prompt_tokens: int,
    max_mutants: int,
    on_progress: OnProgress | None = None,
    roles: Sequence[Role] = (Role.CODER, Role.TESTER),
    world: World = World(),  # noqa: B008
) -> Scores:
    """Score the policy on labelled `problems`, one greedy answer a problem and role.

    Problems whose label has no reference solution are put to the coder only. `max_mutants` bounds the mutants of a
    reference, a sample that depends on the problem alone. `records` says how everything is counted. The ranks of
    `world` share the problems out, and each gets the scores of all; `on_progress` is told of its own.
    """
    start = time.perf_counter()
    progress = on_progress or (lambda stage, done, total: None)
    mine = world.share(problems)
    coder_turns = [p for p in mine if Role.CODER in roles]
    tester_turns = [p for p in mine if Role.TESTER in roles and p.label is not None and p.label.solution]
    turns = [(p, Role.CODER) for p in coder_turns] + [(p, Role.TESTER) for p in tester_turns]
    asked = _ask(engine, tokenizer, prompt_style, turns, sampling.greedy(), max_prompt_tokens, progress)
    coder = _judge_programs(asked[: len(coder_turns)], executor, progress)
    tester = _judge_tests(asked[len(coder_turns) :], executor, max_mutants, progress)
    coder_items = dict(zip((p.id for p in coder_turns), coder, strict=True))
    tester_items = dict(zip((p.id for p in tester_turns), tester, strict=True))
    items = [
        Item(p.id, p.source, p.difficulty, _one(coder_items.get(p.id)), _one(tester_items.get(p.id))) for p in mine
    ]
    return score(world.merge(world.gather(items)), time.perf_counter() - start)


def _one(item: T | None) -> tuple[T, ...]:
    return () if item is None else (item,)


def _ask(
    engine: RolloutEngine,
    tokenizer: PreTrainedTokenizerBase,
    prompt_style: PromptStyle,
    turns: Sequence[tuple[Problem, Role]],
    sampling: Sampling,
    max_prompt_tokens: int,
    progress: OnProgress,
) -> list[_Asked]:
    prompts = [prompt_ids(tokenizer, problem, role, prompt_style) for problem, role in turns]
    fitting = [n for n, prompt in enumerate(prompts) if len(prompt) <= max_prompt_tokens]
    requests = [Request(prompts[n], (request_seed("evaluation", turns[n][0].id, turns[n][1].value),)) for n in fitting]
    answers = engine.generate(requests, sampling, _counter(progress, "answers", len(requests)))
    completions = {n: answer[0] for n, answer in zip(fitting, answers, strict=True)}
    return [
        _parse(problem, role, prompt, completions.get(n))
        for n, ((problem, role), prompt) in enumerate(zip(turns, prompts, strict=True))
    ]


def _parse(problem: Problem, role: Role, prompt: tuple[int, ...], completion: Completion | None) -> _Asked:
    prompt_hash = hashlib.blake2b(np.array(prompt, dtype=np.int64).tobytes(), digest_size=8).hexdigest()
    if completion is None:
        return _Asked(problem, Answer(prompt_hash, "", False, TOO_LONG), None)
    parsed = (
        parse_program(completion.text, problem, completion.truncated)
        if role is Role.CODER
        else parse_test(completion.text, problem, completion.truncated, MAX_TESTS)
    )
    error = parsed.reason if isinstance(parsed, FormatError) else None
    answer = Answer(prompt_hash, completion.text, completion.truncated, error)
    return _Asked(problem, answer, None if isinstance(parsed, FormatError) else parsed)


def _judge_programs(asked: Sequence[_Asked], executor: Executor, progress: OnProgress) -> list[CoderItem]:
    """Run every program against the official tests of its problem."""
    programs = [a.parsed if isinstance(a.parsed, Program) else None for a in asked]
    jobs = [Job((p,), a.label.tests, a.problem.entry_point) for a, p in zip(asked, programs, strict=True)]
    items = []
    for a, program, verdicts in zip(asked, programs, _run(executor, jobs, "programs", progress), strict=True):
        row = verdicts[0]
        if program is None or bool(np.isin(row, (Verdict.PASS, Verdict.INFRA), invert=True).any()):
            correct: bool | None = False  # one failed test settles it, whatever was hidden beside it
        else:
            correct = None if bool((row == Verdict.INFRA).any()) else True
        items.append(CoderItem(a.answer, program.source if program else None, _names(row), correct))
    return items


def _judge_tests(
    asked: Sequence[_Asked], executor: Executor, max_mutants: int, progress: OnProgress
) -> list[TesterItem]:
    """Run every test against the reference, and what it passes against the reference's mutants."""
    tests = [_single_tests(a) for a in asked]
    references = [
        Job((Program(a.label.solution),), t, a.problem.entry_point, cancel=False)
        for a, t in zip(asked, tests, strict=True)
    ]
    verdicts = [v[0] for v in _run(executor, references, "tests", progress)]
    jobs = [
        mutant_job(
            a.label.solution,
            # A test that the reference fails kills nothing whatever it does to the mutants: it need not run.
            [x if v == Verdict.PASS else None for x, v in zip(t, row, strict=True)],
            a.problem.entry_point,
            max_mutants,
            request_seed("evaluation", "mutants", a.problem.id),
        )
        for a, t, row in zip(asked, tests, verdicts, strict=True)
    ]
    killed = _run(executor, jobs, "mutants", progress)
    return [
        TesterItem(a.answer, t, _names(row), _validity(row), _kills(row, cells), len(job.programs))
        for a, t, row, job, cells in zip(asked, tests, verdicts, jobs, killed, strict=True)
    ]


def _single_tests(asked: _Asked) -> tuple[TestCase, ...]:
    """The tests of an answer as they are counted: one for each assert statement."""
    if not isinstance(asked.parsed, TestCase):
        return ()
    return split_asserts(asked.parsed)


def _run(executor: Executor, jobs: Sequence[Job], stage: str, progress: OnProgress) -> list[NDArray[np.int8]]:
    """Verdicts [N, K] of every job; jobs without a cell are not handed to the executor."""
    full = [n for n, job in enumerate(jobs) if job.programs and job.tests]
    results = [np.zeros((len(job.programs), len(job.tests)), dtype=np.int8) for job in jobs]
    advance = _counter(progress, stage, len(full))
    ran = executor.run([jobs[n] for n in full], advance)
    for n, verdicts in zip(full, ran, strict=True):
        results[n] = verdicts
    return results


def _validity(row: NDArray[np.int8]) -> tuple[bool | None, ...]:
    return tuple(None if v == Verdict.INFRA else bool(v == Verdict.PASS) for v in row)


def _kills(row: NDArray[np.int8], cells: NDArray[np.int8]) -> tuple[float | None, ...]:
    """Share of mutants killed by each test: `row` [T] verdicts of the reference, `cells` [M, T] of the mutants."""
    killed, counted = killed_from_verdicts(cells)
    shares: list[float | None] = []
    for t, verdict in enumerate(row):
        if verdict == Verdict.PASS:
            shares.append(float(killed[:, t].sum() / counted[:, t].sum()) if counted[:, t].any() else None)
        else:
            shares.append(None if verdict == Verdict.INFRA else 0.0)
    return tuple(shares)


def _names(row: NDArray[np.int8]) -> tuple[str, ...]:
    return tuple(Verdict(int(v)).name.lower() for v in row)


def _counter(progress: OnProgress, stage: str, total: int) -> Callable[..., None]:
    """Turns every call, whatever it is told, into (stage, done so far, total)."""
    done = 0
    progress(stage, 0, total)

    def advance(*_: object) -> None:
        nonlocal done
        done += 1
        progress(stage, done, total)

    return advance
