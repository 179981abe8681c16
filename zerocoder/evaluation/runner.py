"""Evaluation of a policy, with an engine and an executor that are already running.

`evaluate.py` and the before -> after table of a training run share it. All questions of all benchmarks, in both roles,
are one batch of the engine; an answer is judged as soon as it is there, so that the whole takes as long as generation
and little more. Problems carry labels here.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zerocoder.evaluation.judging import Judge, items_of
from zerocoder.evaluation.questions import (
    BOTH_ROLES,
    Key,
    Question,
    Reply,
    Task,
    prompt_hash,
    prompts_of,
    questions_of,
)
from zerocoder.evaluation.records import Item, Scores, score
from zerocoder.execution import Executor
from zerocoder.problems import Problem, Role
from zerocoder.prompts import PromptStyle
from zerocoder.rollout.engine import Completion, Request, RolloutEngine, Sampling, request_seed
from zerocoder.world import World

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

OnProgress = Callable[[str, int, int], None]
"""Told of (stage, done so far, total) as the work of a stage goes on."""
Watch = Callable[[str, int, int, int], None]
"""Told of (benchmark, answers so far, judged so far, answers in all), from several threads but one at a time."""
OnReply = Callable[[Key, Reply], None]


@dataclass(frozen=True, slots=True)
class Asking:
    """How a policy is asked: `n` answers a question, drawn by `sampling`.

    Prompts over `max_prompt_tokens` are not asked. `seed` decides the answers where they are drawn at random.
    """

    engine: RolloutEngine
    sampling: Sampling
    max_prompt_tokens: int
    n: int = 1
    seed: int = 0


def evaluate_tasks(
    tasks: Sequence[Task],
    questions: Sequence[Question],
    prompts: Sequence[tuple[int, ...]],
    asking: Asking,
    executor: Executor,
    max_mutants: int,
    watch: Watch | None = None,
    known: Mapping[Key, Reply] | None = None,
    on_reply: OnReply = lambda key, reply: None,
) -> dict[str, list[Item]]:
    """Benchmark -> its items: ask every question of the tasks n times and judge the answers.

    Args:
        questions: of the tasks; `prompts` are theirs, as token ids.
        max_mutants: at most so many mutants of a reference judge each test.
        known: answers that need not be asked for.
        on_reply: is handed every other answer as it arrives.
    """
    known = known or {}
    board = _Board(questions, asking.n, watch)
    with Judge(executor, max_mutants, board.judged) as judge:

        def take(question: Question, sample: int, reply: Reply) -> None:
            board.answered(question)
            judge.add(question, sample, reply)

        asked: list[tuple[Question, tuple[int, ...], list[int]]] = []
        for question, prompt in zip(questions, prompts, strict=True):
            missing = []
            for sample in range(asking.n):
                key = question.key(sample)
                if key in known:
                    take(question, sample, known[key])
                elif len(prompt) > asking.max_prompt_tokens:
                    reply = Reply(prompt_hash(prompt), "", too_long=True)
                    on_reply(key, reply)
                    take(question, sample, reply)
                else:
                    missing.append(sample)
            if missing:
                asked.append((question, prompt, missing))

        def on_done(request: int, seed: int, completion: Completion) -> None:
            question, prompt, samples = asked[request]
            reply = Reply(prompt_hash(prompt), completion.text, completion.truncated)
            on_reply(question.key(samples[seed]), reply)
            take(question, samples[seed], reply)

        if asked:
            requests = [Request(p, tuple(_seed(asking.seed, q, i) for i in samples)) for q, p, samples in asked]
            asking.engine.generate(requests, asking.sampling, on_done)
        judged = judge.items()
    return {task.name: items_of(task, judged, asking.n) for task in tasks}


def judge_saved(
    tasks: Sequence[Task],
    replies: Mapping[Key, Reply],
    executor: Executor,
    max_mutants: int,
    watch: Watch | None = None,
) -> dict[str, list[Item]]:
    """Benchmark -> its items out of answers that are there; questions of the tasks without one are left out."""
    n = 1 + max((key.sample for key in replies), default=0)
    questions = questions_of(tasks)
    board = _Board(questions, n, watch)
    with Judge(executor, max_mutants, board.judged) as judge:
        for question in questions:
            for sample in range(n):
                reply = replies.get(question.key(sample))
                if reply is not None:
                    board.answered(question)
                    judge.add(question, sample, reply)
        judged = judge.items()
    return {task.name: items_of(task, judged, n) for task in tasks}


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
    roles: Sequence[Role] = BOTH_ROLES,
    world: World = World(),  # noqa: B008
    n: int = 1,
) -> Scores:
    """Score the policy on labelled `problems`: one greedy answer a problem and role, or `n` drawn by `sampling`.

    `records` says how everything is counted. The ranks of `world` share the problems out, and each gets the scores of
    all; `on_progress` is told of its own.
    """
    start = time.perf_counter()
    task = Task("held-out", world.share(problems), roles)
    questions = questions_of([task])
    prompts = prompts_of(questions, tokenizer, prompt_style)
    asking = Asking(engine, sampling.greedy() if n == 1 else sampling, max_prompt_tokens, n)
    watch = _staged(on_progress) if on_progress else None
    items = evaluate_tasks([task], questions, prompts, asking, executor, max_mutants, watch)[task.name]
    return score(world.merge(world.gather(items)), time.perf_counter() - start)


class _Board:
    """Counts answers and verdicts by benchmark and tells the watch."""

    def __init__(self, questions: Sequence[Question], n: int, watch: Watch | None) -> None:
        self._total = {name: n * count for name, count in Counter(q.benchmark for q in questions).items()}
        self._answered: Counter[str] = Counter()
        self._judged: Counter[str] = Counter()
        self._watch = watch
        self._lock = threading.Lock()
        for name in self._total:
            self._tell(name)

    def answered(self, question: Question) -> None:
        self._count(self._answered, question.benchmark)

    def judged(self, question: Question) -> None:
        self._count(self._judged, question.benchmark)

    def _count(self, counter: Counter[str], name: str) -> None:
        with self._lock:
            counter[name] += 1
            self._tell(name)

    def _tell(self, name: str) -> None:
        if self._watch is not None:
            self._watch(name, self._answered[name], self._judged[name], self._total[name])


def _staged(on_progress: OnProgress) -> Watch:
    """First all answers, then the verdicts that are not there yet."""

    complete = False

    def watch(benchmark: str, answered: int, judged: int, total: int) -> None:
        nonlocal complete
        if complete:
            on_progress("verdicts", judged, total)
        else:
            on_progress("answers", answered, total)
            complete = answered == total

    return watch


def _seed(seed: int, question: Question, sample: int) -> int:
    return request_seed("evaluation", seed, question.problem.id, question.role.value, sample)
