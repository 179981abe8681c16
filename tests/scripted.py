"""A rollout engine that reads its answers from a table: the other parts can then be tested on known texts."""

from __future__ import annotations

from collections.abc import Sequence

from tiny import tiny_tokenizer
from transformers import PreTrainedModel

from zerocoder.problems import Label, Problem, TestCase
from zerocoder.prompts import PromptStyle
from zerocoder.rollout.engine import Completion, OnDone, Request, Sampling
from zerocoder.rollout.sampler import Sampler
from zerocoder.rollout.transformers import TransformersRollout


def fenced(code: str) -> str:
    return f"```python\n{code}\n```"


class ScriptedEngine:
    """`solutions` and `tests` by statement; sample i gets answer i, starting over at the end of the list."""

    def __init__(self, solutions: dict[str, list[str]], tests: dict[str, list[str]]) -> None:
        self.tokenizer = tiny_tokenizer()
        self.scripts = {"Solve": solutions, "Test": tests}
        self.asked: list[str] = []

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, on_done: OnDone | None = None
    ) -> list[list[Completion]]:
        answers = [[self._answer(r, i) for i in range(len(r.seeds))] for r in requests]
        for request, row in enumerate(answers):
            for sample, completion in enumerate(row):
                if on_done is not None:
                    on_done(request, sample, completion)
        return answers

    def _answer(self, request: Request, i: int) -> Completion:
        prompt = str(self.tokenizer.decode(request.prompt, skip_special_tokens=True))
        self.asked.append(prompt)
        kind, rest = prompt.split(": ", 1)
        answers = self.scripts[kind][rest.split("\n")[0]]
        text = answers[i % len(answers)]
        ids = tuple(self.tokenizer(text + "<|end|>", add_special_tokens=False)["input_ids"])
        return Completion(ids, tuple(-0.5 for _ in ids), False, text)

    def pause(self) -> None:
        pass

    def sync_weights(self, policy: PreTrainedModel) -> None:
        pass

    def close(self) -> None:
        pass


def scripted_sampler(
    solutions: dict[str, list[str]], tests: dict[str, list[str]], n: int = 4, tests_n: int = 0
) -> Sampler:
    engine = ScriptedEngine(solutions, tests)
    config = TransformersRollout(max_new_tokens=64, solutions=n, tests=tests_n or n)
    return Sampler(engine, engine.tokenizer, config, PromptStyle.COMPACT, seed=0)


DOUBLE = Problem(
    id="double",
    statement="Double x.",
    entry_point="double",
    signature="def double(x):",
    label=Label(
        "def double(x):\n    return 2 * x",
        tuple(TestCase(f"assert double({x}) == {2 * x}") for x in (0, 1, 2, 3, -4, 10)),
    ),
)
DOUBLE_SOLUTIONS = [
    fenced("def double(x):\n    return x + x"),
    fenced("def double(x):\n    return x * 2"),
    fenced("def double(x):\n    return x ** 2"),
    "I cannot do that.",
]
DOUBLE_TESTS = [
    fenced("assert double(2) == 4"),  # weak: squaring passes too
    fenced("assert double(3) == 6"),
    fenced("assert double(3) == 9"),  # the misreading's
    "no test",
]
