"""Both roles answer a batch of problems: prompts, one call of the engine, parsed answers.

The sampler is what training, the rank pre-filter and DyB4's calibration share. A sample's seed is derived from the
run's seed, what it is drawn for, the problem, the role and its number, so that any of them can be repeated alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zerocoder.answers import FormatError, parse_program, parse_test
from zerocoder.problems import Problem, Program, Role, TestCase
from zerocoder.prompting import prompt_ids
from zerocoder.prompts import PromptStyle
from zerocoder.rollout.engine import Completion, Request, RolloutConfig, RolloutEngine, request_seed, sampling_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Rollout:
    """One answer of the policy in one role and what it parsed into."""

    role: Role
    prompt: tuple[int, ...]
    completion: Completion
    answer: Program | TestCase | FormatError

    @property
    def parsed(self) -> bool:
        return not isinstance(self.answer, FormatError)


@dataclass(frozen=True, slots=True)
class RolloutGroup:
    """All answers to one problem: N solutions and K tests."""

    problem: Problem
    solutions: tuple[Rollout, ...]
    tests: tuple[Rollout, ...]

    def of(self, role: Role) -> tuple[Rollout, ...]:
        return self.solutions if role is Role.CODER else self.tests

    @property
    def programs(self) -> tuple[Program | None, ...]:
        """[N]; None where the answer did not parse."""
        return tuple(r.answer if isinstance(r.answer, Program) else None for r in self.solutions)

    @property
    def test_cases(self) -> tuple[TestCase | None, ...]:
        """[K]; None where the answer did not parse."""
        return tuple(r.answer if isinstance(r.answer, TestCase) else None for r in self.tests)


class Sampler:
    """Draws rollout groups with one engine, one tokenizer and one set of sampling parameters."""

    def __init__(
        self,
        engine: RolloutEngine,
        tokenizer: PreTrainedTokenizerBase,
        config: RolloutConfig,
        prompt_style: PromptStyle,
        seed: int,
    ) -> None:
        self.engine = engine
        self.tokenizer = tokenizer
        self.config = config
        self.prompt_style = prompt_style
        self.seed = seed
        self.listeners: list[Callable[[int, int], None]] = []  # told (completions done, completions in all)

    def prompt(self, problem: Problem, role: Role) -> tuple[int, ...]:
        return prompt_ids(self.tokenizer, problem, role, self.prompt_style)

    def fits(self, problem: Problem, max_prompt_tokens: int) -> bool:
        """Whether both roles' prompts stay within the limit."""
        return all(len(self.prompt(problem, role)) <= max_prompt_tokens for role in Role)

    def sample(
        self,
        problems: Sequence[Problem],
        key: Iterable[int | str],
    ) -> list[RolloutGroup]:
        """One group a problem, in order. `key` says what for, such as ("train", step)."""
        wanted = [(p, role, n) for p in problems for role, n in self._counts()]
        stem = (self.seed, *key)
        requests = [
            Request(self.prompt(p, role), tuple(request_seed(*stem, p.id, role.value, i) for i in range(n)))
            for p, role, n in wanted
        ]
        answers = self.engine.generate(requests, sampling_of(self.config), self._reporter(requests))
        rollouts = [
            tuple(_parse(problem, role, request.prompt, c) for c in completions)
            for (problem, role, _), request, completions in zip(wanted, requests, answers, strict=True)
        ]
        pairs = zip(rollouts[::2], rollouts[1::2], strict=True)
        return [RolloutGroup(p, solutions, tests) for p, (solutions, tests) in zip(problems, pairs, strict=True)]

    def _reporter(self, requests: Sequence[Request]) -> Callable[[int], None]:
        done, total = 0, sum(len(r.seeds) for r in requests)

        def report(finished: int) -> None:
            nonlocal done
            done += finished
            for listener in self.listeners:
                listener(done, total)

        return report

    def _counts(self) -> tuple[tuple[Role, int], tuple[Role, int]]:
        return (Role.CODER, self.config.solutions), (Role.TESTER, self.config.tests)


def _parse(problem: Problem, role: Role, prompt: tuple[int, ...], completion: Completion) -> Rollout:
    parse = parse_program if role is Role.CODER else parse_test
    return Rollout(role, prompt, completion, parse(completion.text, problem, completion.truncated))
