"""Both roles answer a batch of problems: prompts, one call of the engine, parsed answers.

The sampler is what training, the rank pre-filter and DyB4's calibration share. A sample's seed is derived from the
run's seed, what it is drawn for, the problem, the role and its number, so that any of them can be repeated alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    """All answers to one problem: N solutions and K tests, none of a role that was not asked."""

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


@dataclass(frozen=True, slots=True)
class Draw:
    """A problem to be answered, what for, such as ("train", step), and by which roles."""

    problem: Problem
    key: tuple[int | str, ...]
    roles: tuple[Role, ...] = tuple(Role)


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
        key: tuple[int | str, ...],
        on_group: Callable[[int, RolloutGroup], None] | None = None,
    ) -> list[RolloutGroup]:
        """One group a problem, in order; see `draw`."""
        return self.draw([Draw(problem, key) for problem in problems], on_group)

    def draw(
        self, draws: Sequence[Draw], on_group: Callable[[int, RolloutGroup], None] | None = None
    ) -> list[RolloutGroup]:
        """One group a draw, in order, all in one call of the engine.

        `on_group` gets the index of a draw and its group as soon as the last of its answers has ended.
        """
        counts = {Role.CODER: self.config.solutions, Role.TESTER: self.config.tests}
        wanted = [(index, role) for index, draw in enumerate(draws) for role in draw.roles]
        requests = [
            Request(
                self.prompt(draws[index].problem, role),
                tuple(
                    request_seed(self.seed, *draws[index].key, draws[index].problem.id, role.value, i)
                    for i in range(counts[role])
                ),
            )
            for index, role in wanted
        ]
        answers: list[dict[Role, list[Rollout | None]]] = [
            {role: [None] * counts[role] for role in draw.roles} for draw in draws
        ]
        num_left = [sum(counts[role] for role in draw.roles) for draw in draws]
        total = sum(num_left)
        done = 0
        read: dict[tuple[int, str, bool], Program | TestCase | FormatError] = {}  # small policies repeat themselves

        def group(index: int) -> RolloutGroup:
            solutions, tests = (tuple(r for r in answers[index].get(role, ()) if r is not None) for role in Role)
            return RolloutGroup(draws[index].problem, solutions, tests)

        def take(request: int, sample: int, completion: Completion) -> None:
            nonlocal done
            index, role = wanted[request]
            said = (request, completion.text, completion.truncated)
            if said not in read:
                read[said] = _parse(draws[index].problem, role, completion)
            answers[index][role][sample] = Rollout(role, requests[request].prompt, completion, read[said])
            done += 1
            num_left[index] -= 1
            if on_group is not None and not num_left[index]:
                on_group(index, group(index))
            for listener in self.listeners:
                listener(done, total)

        self.engine.generate(requests, sampling_of(self.config), take)
        return [group(index) for index in range(len(draws))]


def _parse(problem: Problem, role: Role, completion: Completion) -> Program | TestCase | FormatError:
    parse = parse_program if role is Role.CODER else parse_test
    return parse(completion.text, problem, completion.truncated)
