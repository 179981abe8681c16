"""Offline test-driven RL: only the coder learns, from tests written once before training (the paper's section 4).

The initial policy writes one answer a problem by greedy decoding; its asserts are the problem's tests throughout. The
answers are kept on disk under a key of everything that decides them, as the pre-filter's ranks are: a run that is
resumed meets the same tests, and a sampling that was cut off goes on where it stopped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from zerocoder.algorithms.base import Algorithm, Labels
from zerocoder.answers import parse_test
from zerocoder.console import bar, say
from zerocoder.files import write_text
from zerocoder.interaction import Interaction
from zerocoder.prefilter import PROBLEMS_AT_ONCE, fingerprint, problem_key
from zerocoder.problems import Problem, Role, TestCase
from zerocoder.prompts import prompts_hash
from zerocoder.rewarding import Rewarder
from zerocoder.rewards import Rewards
from zerocoder.rollout.engine import Request, sampling_of
from zerocoder.rollout.sampler import RolloutGroup, Sampler
from zerocoder.selection.base import Consensus
from zerocoder.world import World

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True)
class Answer:
    """A tester's answer as it was written, so that a change of what is read out of it needs no new one."""

    text: str
    truncated: bool


@dataclass
class Offline(Algorithm):
    """A program is rewarded with 1 iff it passes all fixed tests of its problem."""

    name: ClassVar[str] = "offline"
    selects: ClassVar[bool] = False
    labels: ClassVar[Labels] = Labels.NONE
    turns: ClassVar[tuple[Role, ...]] = (Role.CODER,)
    keeps: ClassVar[bool] = True

    fixed: dict[str, TestCase | None] = field(init=False, repr=False, default_factory=dict)
    """By problem id, the tests of the greedy answer; None where it did not parse."""

    def prepare(
        self, problems: Sequence[Problem], policy: PreTrainedModel, sampler: Sampler, cache: Path, world: World
    ) -> None:
        """Write the fixed tests of `problems`, or read those that the same policy wrote before."""
        settings = {
            "rollout": sampler.config.deciding,
            "prompts": [prompts_hash(sampler.prompt_style), sampler.tokenizer.chat_template],
        }
        key = fingerprint(policy, settings) if world.is_main else "unused"
        answers = greedy_tests(problems, sampler, cache / "fixed_tests" / f"{key}.jsonl", world)
        for problem, answer in zip(problems, answers, strict=True):
            test = parse_test(answer.text, problem, answer.truncated)
            self.fixed[problem.id] = test if isinstance(test, TestCase) else None
        if world.is_main:
            tested = sum(test is not None for test in self.fixed.values())
            say(f"fixed tests for {tested} of {len(problems)} problems; the others give no reward")

    def answering(self, role: Role) -> tuple[Role, ...]:
        return (Role.CODER,)

    def tests(self, group: RolloutGroup) -> tuple[TestCase | None, ...]:
        return (self.fixed[group.problem.id],)

    def coder_rewards(self, rewarder: Rewarder, interaction: Interaction, consensus: Consensus) -> Rewards:
        return rewarder.coder_by_tests(interaction)


def greedy_tests(problems: Sequence[Problem], sampler: Sampler, cache_file: Path, world: World) -> list[Answer]:
    """The tester's greedy answer to each problem; reads and extends `cache_file`.

    With several ranks each writes its share, rank 0 alone uses the file, and all get the same.
    """
    answers = world.from_main(_read(cache_file) if world.is_main else {})
    missing = [p for p in problems if problem_key(p) not in answers]
    at_once = PROBLEMS_AT_ONCE * world.size
    with bar("fixed tests", len(problems)) as advance:
        advance(len(problems) - len(missing))
        for start in range(0, len(missing), at_once):
            chunk = missing[start : start + at_once]
            written = world.merge(world.gather(_write(world.share(chunk), sampler)))
            answers |= {problem_key(p): answer for p, answer in zip(chunk, written, strict=True)}
            if world.is_main:
                rows = [{"key": k, "text": a.text, "truncated": a.truncated} for k, a in answers.items()]
                write_text(cache_file, "".join(json.dumps(row) + "\n" for row in rows))
            advance(len(chunk))
    return [answers[problem_key(p)] for p in problems]


def _write(problems: Sequence[Problem], sampler: Sampler) -> list[Answer]:
    requests = [Request(sampler.prompt(problem, Role.TESTER), (0,)) for problem in problems]
    completions = sampler.engine.generate(requests, sampling_of(sampler.config).greedy())
    return [Answer(completion.text, completion.truncated) for (completion,) in completions]


def _read(cache_file: Path) -> dict[str, Answer]:
    if not cache_file.exists():
        return {}
    rows = [json.loads(line) for line in cache_file.read_text(encoding="utf-8").splitlines()]
    return {row["key"]: Answer(row["text"], row["truncated"]) for row in rows}
