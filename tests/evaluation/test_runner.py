"""Evaluation with real execution and mutation; only the answers are scripted, so that every share is known."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny import tiny_tokenizer

from zerocoder.evaluation.questions import Key, Reply, Task, prompts_of, questions_of
from zerocoder.evaluation.records import TOO_LONG, Item, Scores, score
from zerocoder.evaluation.runner import Asking, evaluate_policy, evaluate_tasks, judge_saved
from zerocoder.execution import Executor, Job, Verdict, VerifierConfig
from zerocoder.mutation import mutants
from zerocoder.problems import Label, Problem, Role, Style, TestCase
from zerocoder.prompting import prompt_ids
from zerocoder.prompts import PromptStyle
from zerocoder.rollout.engine import Completion, OnDone, Request, RolloutEngine, Sampling, request_seed

STYLE = PromptStyle.COMPACT
SAMPLING = Sampling(temperature=0.7, top_p=0.8, top_k=0, max_new_tokens=100)
TOKENIZER = tiny_tokenizer()


def problem(name: str, body: str, *tests: str) -> Problem:
    label = Label(f"def {name}(a, b):\n    return {body}\n", tuple(TestCase(code=t) for t in tests))
    return Problem(name, f"Compute {name}.", entry_point=name, signature=f"def {name}(a, b):", label=label)


ADD = problem("add", "a + b", "assert add(1, 2) == 3", "assert add(0, 5) == 5")  # one mutant: a - b
MUL = problem("mul", "a * b", "assert mul(2, 5) == 10", "assert mul(1, 5) == 5")  # one mutant: a / b
LEFT = problem("left", "a", "assert left(1, 2) == 1")  # no mutant
ECHO = Problem(
    "echo",
    "Print the number plus one.",
    style=Style.STDIN,
    label=Label("print(int(input()) + 1)", (TestCase(stdin="1\n", stdout="2\n"),)),
)


def fenced(text: str) -> str:
    return f"```python\n{text}\n```"


class ScriptedEngine:
    """Answers each prompt with a given text."""

    def __init__(self, answers: dict[tuple[str, Role], str], problems: Sequence[Problem]) -> None:
        self.texts = {
            prompt_ids(TOKENIZER, p, role, STYLE): answers[p.id, role]
            for p in problems
            for role in Role
            if (p.id, role) in answers
        }
        self.samplings: list[Sampling] = []

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, on_done: OnDone | None = None
    ) -> list[list[Completion]]:
        self.samplings.append(sampling)
        answers = [[Completion((1,), (0.0,), False, self.texts[r.prompt]) for _ in r.seeds] for r in requests]
        for request, row in enumerate(answers):
            for sample, completion in enumerate(row):
                if on_done is not None:
                    on_done(request, sample, completion)
        return answers

    def pause(self) -> None: ...

    def sync_weights(self, policy: object) -> None: ...

    def close(self) -> None: ...


class Unlucky:
    """An executor whose infrastructure fails where `fails(job, program's row, test's column)` says so."""

    def __init__(self, executor: Executor, fails: Callable[[Job, int, int], bool]) -> None:
        self.executor = executor
        self.fails = fails

    def submit(self, job: Job) -> Future[NDArray[np.int8]]:
        verdicts = self.executor.submit(job).result().copy()
        for n, k in np.ndindex(verdicts.shape):
            if self.fails(job, n, k):
                verdicts[n, k] = Verdict.INFRA
        done: Future[NDArray[np.int8]] = Future()
        done.set_result(verdicts)
        return done


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    built = VerifierConfig(workers=2).build()
    yield built
    built.close()


def run(
    executor: Executor, problems: Sequence[Problem], answers: dict[tuple[str, Role], str], **options: object
) -> Scores:
    settings = {"max_prompt_tokens": 500, "max_mutants": 16} | options
    return evaluate_policy(
        ScriptedEngine(answers, problems), TOKENIZER, STYLE, problems, executor, SAMPLING, **settings
    )


def perfect(problems: Sequence[Problem]) -> dict[tuple[str, Role], str]:
    answers = {}
    for p in problems:
        assert p.label is not None
        answers[p.id, Role.CODER] = fenced(p.label.solution)
        answers[p.id, Role.TESTER] = fenced("\n".join(t.code for t in p.label.tests))
    return answers


def test_the_references_have_the_mutants_that_the_numbers_below_rely_on() -> None:
    for p, expected in ((ADD, ["a - b"]), (MUL, ["a / b"]), (LEFT, [])):
        assert p.label is not None
        assert [m.split("return ")[1].strip() for m in mutants(p.label.solution, 16, 0)] == expected


def test_references_score_all_and_broken_answers_nothing(executor: Executor) -> None:
    problems = [ADD, MUL, LEFT]
    scores = run(executor, problems, perfect(problems))
    assert (scores.pass_at_1, scores.test_accuracy) == (1.0, 1.0)
    # Killed are a - b by both tests, a / b by neither (2 / 5 != 10 and 1 / 5 != 5 by both); left has no mutant.
    assert scores.mutation_score == 1.0
    assert (scores.problems, scores.programs, scores.tests, scores.mutation_tests) == (3, 3, 5, 4)
    broken = dict.fromkeys(perfect(problems), "no code at all")
    scores = run(executor, problems, broken)
    assert (scores.pass_at_1, scores.test_accuracy, scores.mutation_score) == (0.0, 0.0, 0.0)
    assert (scores.coder_format_errors, scores.tester_format_errors) == (1.0, 1.0)
    assert (scores.tests, scores.mutation_tests) == (3, 2)  # one wrong test an answer; left still has no mutant


def test_a_mixed_set_is_scored_exactly(executor: Executor) -> None:
    problems = [ADD, MUL, LEFT]
    scores = run(
        executor,
        problems,
        {
            ("add", Role.CODER): fenced("def add(a, b):\n    return b + a"),
            ("mul", Role.CODER): fenced("def mul(a, b):\n    return a * b if a > 1 else 0"),  # passes one of two
            ("left", Role.CODER): "I cannot.",
            # kills its mutant; is blind to it; fails on the reference
            ("add", Role.TESTER): fenced("assert add(1, 2) == 3\nassert add(4, 0) == 4\nassert add(1, 1) == 3"),
            ("mul", Role.TESTER): "Tests are hard.",
            ("left", Role.TESTER): fenced("assert left(3, 4) == 3"),
        },
    )
    assert scores.pass_at_1 == pytest.approx(1 / 3)
    assert scores.test_accuracy == pytest.approx(3 / 5)  # 1, 1, 0 of add; 0 for mul's answer; 1 of left
    assert scores.mutation_score == pytest.approx(1 / 4)  # 1, 0, 0 of add; 0 for mul's answer; left has no mutant
    assert scores.coder_format_errors == pytest.approx(1 / 3)
    assert scores.tester_format_errors == pytest.approx(1 / 3)
    add, mul, left = scores.items
    (coder,), (tester,) = add.coder, add.tester
    assert coder.program is not None
    assert coder.correct is True
    assert coder.verdicts == ("pass", "pass")
    assert [t.code.strip() for t in tester.tests] == [
        "assert add(1, 2) == 3",
        "assert add(4, 0) == 4",
        "assert add(1, 1) == 3",
    ]
    assert tester.verdicts == ("pass", "pass", "fail")
    assert tester.valid == (True, True, False)
    assert tester.kills == (1.0, 0.0, 0.0)
    assert tester.mutants == 1
    assert mul.coder[0].correct is False
    assert mul.coder[0].verdicts == ("pass", "fail")
    assert mul.tester[0].answer.format_error
    assert left.coder[0].answer.text == "I cannot."
    assert left.coder[0].program is None


def test_answers_are_greedy_and_progress_is_told(executor: Executor) -> None:
    engine = ScriptedEngine(perfect([ADD]), [ADD])
    told: dict[str, tuple[int, int]] = {}

    def on_progress(stage: str, done: int, total: int) -> None:
        told[stage] = (done, total)

    evaluate_policy(engine, TOKENIZER, STYLE, [ADD], executor, SAMPLING, 500, 16, on_progress)
    assert engine.samplings == [SAMPLING.greedy()]
    assert list(told) == ["answers", "verdicts"]
    assert all(done == total > 0 for done, total in told.values())


def test_several_answers_are_drawn_as_the_policy_draws_and_all_count(executor: Executor) -> None:
    engine = ScriptedEngine(perfect([ADD]), [ADD])
    scores = evaluate_policy(engine, TOKENIZER, STYLE, [ADD], executor, SAMPLING, 500, 16, n=3)
    assert engine.samplings == [SAMPLING]
    assert scores.pass_at_1 == 1 and [len(item.coder) for item in scores.items] == [3]


def test_standard_input_problems(executor: Executor) -> None:
    answers = {
        ("echo", Role.CODER): fenced("print(1 + int(input()))"),
        ("echo", Role.TESTER): "```input\n41\n```\n```output\n42\n```",
    }
    scores = run(executor, [ECHO], answers)
    assert (scores.pass_at_1, scores.test_accuracy, scores.tests) == (1.0, 1.0, 1)
    assert scores.mutation_score == 1.0  # every mutant prints something else or crashes


def test_a_problem_without_reference_is_put_to_the_coder_only(executor: Executor) -> None:
    assert ADD.label is not None
    bare = Problem("bare", "Add.", entry_point="add", label=Label("", ADD.label.tests))
    scores = run(executor, [bare], {("bare", Role.CODER): fenced(ADD.label.solution)})
    assert scores.pass_at_1 == 1.0
    assert math.isnan(scores.test_accuracy)
    assert math.isnan(scores.mutation_score)
    assert scores.items[0].tester == ()


def test_one_role_can_be_measured_alone(executor: Executor) -> None:
    scores = run(executor, [ADD], perfect([ADD]), roles=(Role.TESTER,))
    assert math.isnan(scores.pass_at_1)
    assert scores.test_accuracy == 1.0
    assert scores.items[0].coder == ()


def test_a_prompt_over_the_limit_is_a_wrong_answer(executor: Executor) -> None:
    long = Problem("long", "x" * 600, entry_point="add", signature="def add(a, b):", label=ADD.label)
    scores = run(executor, [ADD, long], perfect([ADD]))
    assert (scores.pass_at_1, scores.too_long) == (0.5, 2)
    assert scores.test_accuracy == pytest.approx(2 / 3)
    assert scores.items[1].coder[0].answer.format_error == TOO_LONG


def test_hidden_verdicts_are_left_out_and_counted(executor: Executor) -> None:
    """The whole column of a test is lost: the right program is not judged, a program that fails another test is."""
    problems = [ADD, MUL]
    answers = perfect(problems) | {("mul", Role.CODER): fenced("def mul(a, b):\n    return 0")}
    answers["add", Role.TESTER] = fenced("assert add(1, 2) == 3\nassert add(2, 2) == 4")

    def fails(job: Job, n: int, k: int) -> bool:
        return k == 1

    scores = run(Unlucky(executor, fails), problems, answers)  # type: ignore[arg-type]
    assert scores.pass_at_1 == 0.0
    assert scores.programs == 1
    assert scores.tests == 2  # the first of each tester answer
    assert scores.test_accuracy == 1.0
    assert scores.mutation_tests == 2
    assert scores.mutation_score == 1.0
    assert scores.infra == 3  # add's program and one test of each problem


def test_hidden_mutants_leave_the_others(executor: Executor) -> None:
    body = "a + b + 1"  # three mutants: the two signs and the number
    three = problem("three", body, "assert three(1, 2) == 4")
    assert three.label is not None
    count = len(mutants(three.label.solution, 16, 0))
    assert count >= 2

    def first_mutant_fails(job: Job, n: int, k: int) -> bool:
        return len(job.programs) == count and n == 0

    def all_mutants_fail(job: Job, n: int, k: int) -> bool:
        return len(job.programs) == count

    scores = run(Unlucky(executor, first_mutant_fails), [three], perfect([three]))  # type: ignore[arg-type]
    assert (scores.mutation_score, scores.mutation_tests, scores.infra) == (1.0, 1, 0)
    scores = run(Unlucky(executor, all_mutants_fail), [three], perfect([three]))  # type: ignore[arg-type]
    assert math.isnan(scores.mutation_score)
    assert (scores.test_accuracy, scores.infra) == (1.0, 1)


def test_unlabelled_problems_are_a_mistake_of_the_caller(executor: Executor) -> None:
    with pytest.raises(ValueError, match="add has no label"):
        run(executor, [ADD.unlabelled()], perfect([ADD]))


# Several answers a question, answers that are there already, and judging while others are being written.

ADD_ANSWERS = ["def add(a, b):\n    return b + a", "def add(a, b):\n    return 3", "no"]


class ByOneEngine(ScriptedEngine):
    """Answers a prompt with the text that its seed is given, telling the caller of each answer, then `wait()`."""

    def __init__(self, texts: dict[int, str], wait: Callable[[int], None] = lambda done: None) -> None:
        super().__init__({}, [])
        self.by_seed = texts
        self.wait = wait
        self.requests: list[Request] = []

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, on_done: OnDone | None = None
    ) -> list[list[Completion]]:
        self.samplings.append(sampling)
        self.requests += requests
        assert on_done is not None
        done = 0
        for request, asked in reversed(list(enumerate(requests))):
            for sample, seed in enumerate(asked.seeds):
                on_done(request, sample, Completion((1,), (0.0,), False, self.by_seed[seed]))
                done += 1
                self.wait(done)
        return []


def seed_of(p: Problem, role: Role, sample: int) -> int:
    return request_seed("evaluation", 0, p.id, role.value, sample)


def ask(
    engine: RolloutEngine, executor: Executor, *problems_: Problem, n: int = 3, **options: Any
) -> dict[str, list[Item]]:
    tasks = [Task("first", problems_), Task("second", problems_, (Role.CODER,))]
    questions = questions_of(tasks)
    asking = Asking(engine, SAMPLING, 500, n)
    return evaluate_tasks(tasks, questions, prompts_of(questions, TOKENIZER, STYLE), asking, executor, 16, **options)


def texts_of_add() -> dict[int, str]:
    texts = {seed_of(ADD, Role.CODER, i): fenced(text) for i, text in enumerate(ADD_ANSWERS)}
    tests = ["assert add(1, 2) == 3", "assert add(1, 2) == 4\nassert add(2, 2) == 4", "none"]
    return texts | {seed_of(ADD, Role.TESTER, i): fenced(text) for i, text in enumerate(tests)}


def test_n_answers_a_question(executor: Executor) -> None:
    engine = ByOneEngine(texts_of_add())
    items = ask(engine, executor, ADD)
    assert engine.samplings == [SAMPLING]  # all benchmarks and both roles in one batch, drawn as asked
    assert sorted(len(r.seeds) for r in engine.requests) == [3, 3, 3]
    [item] = items["first"]
    assert [c.correct for c in item.coder] == [True, False, False]
    assert [t.valid for t in item.tester] == [(True,), (False, True), ()]
    scores = score(items["first"], 0.0, ks=[1, 2, 5])
    assert scores.pass_at == pytest.approx({1: 1 / 3, 2: 2 / 3})
    assert scores.test_accuracy == pytest.approx(2 / 4)  # three tests of two answers, and one that does not parse
    [other] = items["second"]
    assert [c.correct for c in other.coder] == [True, False, False]
    assert other.tester == ()


def test_what_is_known_is_not_asked_again(executor: Executor) -> None:
    arrived: dict[Key, Reply] = {}
    whole = ask(ByOneEngine(texts_of_add()), executor, ADD, on_reply=arrived.__setitem__)
    assert len(arrived) == 9
    known = dict(list(arrived.items())[:4])
    engine, rest = ByOneEngine(texts_of_add()), {}
    again = ask(engine, executor, ADD, known=known, on_reply=rest.__setitem__)
    assert sum(len(r.seeds) for r in engine.requests) == 5
    assert known | rest == arrived
    assert not known.keys() & rest.keys()
    assert again == whole
    assert ask(ByOneEngine({}), executor, ADD, known=arrived) == whole  # nothing is asked


def test_saved_answers_score_as_they_did(executor: Executor) -> None:
    arrived: dict[Key, Reply] = {}
    whole = ask(ByOneEngine(texts_of_add()), executor, ADD, on_reply=arrived.__setitem__)
    tasks = [Task("first", [ADD]), Task("second", [ADD], (Role.CODER,))]
    told: list[tuple[str, int, int, int]] = []
    assert judge_saved(tasks, arrived, executor, 16, lambda *state: told.append(state)) == whole
    assert told[:2] == [("first", 0, 0, 6), ("second", 0, 0, 3)]
    assert {("first", 6, 6, 6), ("second", 3, 3, 3)} <= set(told)
    coder = {key: reply for key, reply in arrived.items() if key.benchmark == "first" and key.role is Role.CODER}
    [item] = judge_saved(tasks, coder, executor, 16)["first"]
    assert (item.coder, item.tester) == (whole["first"][0].coder, ())


def test_a_prompt_over_the_limit_is_saved_as_such(executor: Executor) -> None:
    long = Problem("long", "x" * 600, entry_point="add", signature="def add(a, b):", label=ADD.label)
    arrived: dict[Key, Reply] = {}
    whole = ask(ByOneEngine({}), executor, long, n=1, on_reply=arrived.__setitem__)
    assert [reply.too_long for reply in arrived.values()] == [True] * 3
    assert ask(ByOneEngine({}), executor, long, n=1, known=arrived) == whole
    assert whole["first"][0].coder[0].answer.format_error == TOO_LONG


def test_answers_are_judged_while_others_are_written(executor: Executor) -> None:
    judged = threading.Event()

    def watch(benchmark: str, answered: int, done: int, total: int) -> None:
        if done:
            judged.set()

    def wait(done: int) -> None:
        if done == 1:
            assert judged.wait(60)  # before the second answer is there

    ask(ByOneEngine(texts_of_add(), wait), executor, ADD, watch=watch)


def test_a_failure_ends_the_evaluation_before_all_answers_are_there(executor: Executor) -> None:
    class Broken:
        def submit(self, job: Job) -> Future[NDArray[np.int8]]:
            raise RuntimeError("no worker")

    def wait(done: int) -> None:
        assert done < 9
        time.sleep(0.05)

    with pytest.raises(RuntimeError, match="no worker"):
        ask(ByOneEngine(texts_of_add(), wait), Broken(), ADD)  # type: ignore[arg-type]


def test_an_interrupt_cancels_what_runs() -> None:
    endless = {seed_of(ADD, role, i): fenced("def add(a, b):\n    while True: pass") for role in Role for i in range(3)}
    futures: list[Future[NDArray[np.int8]]] = []

    def interrupt(done: int) -> None:
        if done == 3:
            raise KeyboardInterrupt

    with VerifierConfig(workers=1, cpu_seconds=600, cpu_multiple=0, cache_mb=0).build() as alone:

        class Noted:
            def submit(self, job: Job) -> Future[NDArray[np.int8]]:
                futures.append(alone.submit(job))
                return futures[-1]

        with pytest.raises(KeyboardInterrupt):
            ask(ByOneEngine(endless, interrupt), Noted(), ADD)  # type: ignore[arg-type]
        assert futures
        assert all(future.cancelled() for future in futures)


P, F, INFRA, BROKEN, CUT = Verdict.PASS, Verdict.FAIL, Verdict.INFRA, Verdict.BROKEN, Verdict.CANCELLED


@pytest.mark.parametrize(
    ("verdicts", "correct"),
    [
        ((P, P), True),
        ((P, F), False),
        ((INFRA, F), False),  # one failed test settles it, whatever was hidden beside it
        ((P, INFRA), None),
        ((BROKEN, P), None),
        ((INFRA, CUT), None),  # the rest was not run because of a failure of ours
        ((F, CUT), False),
        ((Verdict.TIMEOUT, CUT), False),
    ],
)
def test_what_verdicts_say_of_a_program(
    executor: Executor, verdicts: tuple[Verdict, ...], correct: bool | None
) -> None:
    class Given:
        def submit(self, job: Job) -> Future[NDArray[np.int8]]:
            done: Future[NDArray[np.int8]] = Future()
            done.set_result(np.array([verdicts], dtype=np.int8))
            return done

    scores = run(Given(), [ADD], perfect([ADD]), roles=(Role.CODER,))  # type: ignore[arg-type]
    assert scores.items[0].coder[0].correct is correct
