"""Answers become verdicts while further answers are being written.

Programs are run against the official tests, tests against the reference solution and then, where it passes, against
its mutants (the paper's section 4.1). Every answer is judged alone: its verdicts do not depend on those of others, nor
on the order in which they came.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from zerocoder.answers import FormatError, parse_program, parse_test, split_asserts
from zerocoder.evaluation.questions import Key, Question, Reply, Task
from zerocoder.evaluation.records import TOO_LONG, Answer, CoderItem, Item, TesterItem
from zerocoder.execution import Executor, Job, Verdict
from zerocoder.execution.verdicts import is_unknown
from zerocoder.interaction import label_job
from zerocoder.mutation_testing import killed_from_verdicts, mutant_job
from zerocoder.problems import Program, Role, TestCase
from zerocoder.rollout.engine import request_seed

MAX_TESTS = 64
"""Assert statements of one answer that are scored. Training keeps fewer, so that none is free; here all that a model
writes of its own accord count, and only an answer that repeats itself to the token limit is cut."""
MAX_JUDGED_AT_ONCE = 256

Judged = CoderItem | TesterItem


class Judge:
    """`add` takes an answer and returns at once, `items` waits for what became of all.

    Every answer has a thread, which waits for the executor. Leaving the block early cancels what is running. Answers
    are taken apart, and references mutated, in the caller's thread: CPython's parser fails now and then ("AST
    constructor recursion depth mismatch") where several threads use it at once.
    `max_mutants` bounds the mutants of a reference, a sample that depends on the problem alone; `on_judged` is told of
    every question whose answer has its verdicts, from any thread.
    """

    def __init__(
        self, executor: Executor, max_mutants: int, on_judged: Callable[[Question], None] = lambda question: None
    ) -> None:
        self._executor = executor
        self._max_mutants = max_mutants
        self._on_judged = on_judged
        self._threads = ThreadPoolExecutor(MAX_JUDGED_AT_ONCE, thread_name_prefix="judge")
        self._judged: dict[Key, Future[Judged]] = {}
        self._running: set[Future[NDArray[np.int8]]] = set()
        self._lock = threading.Lock()
        self._failed: Future[Judged] | None = None
        self._stopped = False

    def add(self, question: Question, sample: int, reply: Reply) -> None:
        """Judge an answer. Raises what went wrong with an earlier one, rather than at the end of a long evaluation."""
        if self._failed is not None:
            self._failed.result()
        judge = self._program if question.role is Role.CODER else self._tests
        future = self._threads.submit(self._in_thread, question, judge(question, reply))
        future.add_done_callback(self._note)
        self._judged[question.key(sample)] = future

    def items(self) -> dict[Key, Judged]:
        return {key: future.result() for key, future in self._judged.items()}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for future in running:
            future.cancel()  # does nothing to those that are done
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _note(self, future: Future[Judged]) -> None:
        if not future.cancelled() and future.exception() is not None:
            self._failed = future

    def _in_thread(self, question: Question, judge: Callable[[], Judged]) -> Judged:
        judged = judge()
        self._on_judged(question)
        return judged

    def _program(self, question: Question, reply: Reply) -> Callable[[], CoderItem]:
        """How to run the answer's program against the official tests."""
        parsed = parse_program(reply.text, question.problem, reply.truncated)
        answer = _answer(reply, parsed)
        if isinstance(parsed, FormatError):
            verdicts = (_name(Verdict.SKIPPED),) * len(question.label.tests)
            return lambda: CoderItem(answer, None, verdicts, correct=False)
        job = label_job(question.problem, [parsed])

        def judge() -> CoderItem:
            row = self._run(job)[0]
            return CoderItem(answer, parsed.source, _names(row), _correct(row))

        return judge

    def _tests(self, question: Question, reply: Reply) -> Callable[[], TesterItem]:
        """How to run the answer's tests against the reference, and those it passes against the reference's mutants."""
        problem, reference = question.problem, question.label.solution
        parsed = parse_test(reply.text, problem, reply.truncated, MAX_TESTS)
        answer = _answer(reply, parsed)
        tests = () if isinstance(parsed, FormatError) else split_asserts(parsed)
        # The official seconds are for official tests; those of a model get what the verifier gives, mutants as well.
        grading = replace(question.label.grading, seconds=None)
        on_reference = Job((Program(reference),), tests, problem.entry_point, cancel=False, grading=grading)
        seed = request_seed("evaluation", "mutants", problem.id)
        on_mutants = mutant_job(reference, tests, problem.entry_point, self._max_mutants, seed)

        def judge() -> TesterItem:
            row = self._run(on_reference)[0]
            # A test that the reference fails kills nothing whatever it does to the mutants: it need not run.
            passed = tuple(t if v == Verdict.PASS else None for t, v in zip(tests, row, strict=True))
            kills = _kills(row, self._run(replace(on_mutants, tests=passed, grading=grading)))
            return TesterItem(answer, tests, _names(row), _validity(row), kills, len(on_mutants.programs))

        return judge

    def _run(self, job: Job) -> NDArray[np.int8]:
        """Verdicts [N, K] of a job; one without a cell is not handed to the executor."""
        if not (job.programs and any(test is not None for test in job.tests)):
            return np.full((len(job.programs), len(job.tests)), Verdict.SKIPPED, dtype=np.int8)
        with self._lock:
            if self._stopped:
                raise RuntimeError("the evaluation has been stopped")
            future = self._executor.submit(job)
            self._running.add(future)
        try:
            return future.result()
        finally:
            with self._lock:
                self._running.discard(future)


def items_of(task: Task, judged: Mapping[Key, Judged], n: int) -> list[Item]:
    """The task's problems with what became of their n answers, in order."""
    items = []
    for p in task.problems:
        answers = [judged.get(Key(task.name, p.id, role, i)) for role in task.roles for i in range(n)]
        coder = tuple(a for a in answers if isinstance(a, CoderItem))
        tester = tuple(a for a in answers if isinstance(a, TesterItem))
        items.append(Item(p.id, p.source, p.difficulty, coder, tester))
    return items


def _answer(reply: Reply, parsed: Program | TestCase | FormatError) -> Answer:
    error = parsed.reason if isinstance(parsed, FormatError) else None
    return Answer(reply.prompt, reply.text, reply.truncated, TOO_LONG if reply.too_long else error)


def _correct(row: NDArray[np.int8]) -> bool | None:
    """Whether the verdicts [K] are all passes; None where a failure of ours leaves that open."""
    if bool((row == Verdict.PASS).all()):
        return True
    # What was not run is no evidence: the tests after the first that did not pass are cancelled.
    telling = ~is_unknown(row) & (row != Verdict.PASS) & (row != Verdict.CANCELLED)
    return False if bool(telling.any()) else None


def _validity(row: NDArray[np.int8]) -> tuple[bool | None, ...]:
    return tuple(None if unknown else bool(v == Verdict.PASS) for v, unknown in zip(row, is_unknown(row), strict=True))


def _kills(row: NDArray[np.int8], cells: NDArray[np.int8]) -> tuple[float | None, ...]:
    """Share of mutants killed by each test: `row` [T] verdicts of the reference, `cells` [M, T] of the mutants."""
    killed, counted = killed_from_verdicts(cells)
    shares: list[float | None] = []
    for t, valid in enumerate(_validity(row)):
        if valid:
            shares.append(float(killed[:, t].sum() / counted[:, t].sum()) if counted[:, t].any() else None)
        else:
            shares.append(None if valid is None else 0.0)
    return tuple(shares)


def _names(row: Sequence[int] | NDArray[np.int8]) -> tuple[str, ...]:
    return tuple(_name(v) for v in row)


def _name(verdict: int) -> str:
    return Verdict(int(verdict)).name.lower()
