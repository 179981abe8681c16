"""Policies that cheat, as a model would write their answers, and the way from answers to advantages that they go.

`{f}` stands for the function's name. In a mixed group three answers of one role are the cheat's, all others are
honest: right, misread, weak and strong ones. `Stage` runs every cheat of a table in one step of training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scripted import fenced, scripted_sampler

from zerocoder.assessment import Assessed, Assessment, Turn
from zerocoder.calibration import Recalibration
from zerocoder.config import AlgorithmConfig, TestUnit
from zerocoder.console import Clock
from zerocoder.execution import Executor, Job, Limits, ProcessExecutor
from zerocoder.execution.executor import FutureExecutor
from zerocoder.grpo import group_advantages
from zerocoder.problems import Label, Problem, Role, TestCase
from zerocoder.rewarding import Rewarder
from zerocoder.rollout.sampler import Draw, RolloutGroup, Sampler
from zerocoder.selection import B4, CodeT, DyB4, MaxPass, Selector

SELECTORS: dict[str, Callable[[], Selector]] = {
    "maxpass": MaxPass,
    "codet": CodeT,
    "b4-43": partial(B4, 1e4, 1e3),
    "b4-53": partial(B4, 1e5, 1e3),
    "dyb4": DyB4,
    "dyb4-labels": DyB4,  # calibrated before the step on `LABELLED`
}
LAM = 0.5

RIGHT = [
    "def evens(xs):\n    return sum(x for x in xs if x % 2 == 0)",
    "def evens(xs):\n    total = 0\n    for x in xs:\n        if x % 2 == 0:\n            total += x\n    return total",
    "def evens(xs):\n    return sum(filter(lambda x: not x % 2, xs))",
]
MISREAD = [
    "def evens(xs):\n    return sum(x for x in xs if x % 2 == 1)",
    "def evens(xs):\n    return sum(x % 2 == 0 for x in xs)",
]
SOLUTIONS = [*RIGHT, *MISREAD]
VALID = [
    "assert evens([1, 2, 4]) == 6\nassert evens([]) == 0",
    "assert evens([3, -2]) == -2\nassert evens([10, 5, 7]) == 10",
    "assert evens([2, 2]) == 4",
    "assert evens([5]) == 0",
]
INVALID = ["assert evens([1, 2, 4]) == 7\nassert evens([8]) == 9"]
TESTS = [*VALID, *INVALID]
CHEATS = 3
GROUP = len(SOLUTIONS) + CHEATS
LABEL = Label(RIGHT[0], tuple(TestCase(f"assert evens({x}) == {y}") for x, y in [([1, 2], 2), ([5], 0), ([4, 4], 8)]))
LABELLED = Problem("labelled", "Labelled.", entry_point="evens", signature="def evens(xs):", label=LABEL)


def honest(answers: Sequence[str]) -> list[str]:
    """Honest answers as text, with as many more of the first as make a group."""
    return [fenced(code) for code in (*answers, *answers[: GROUP - len(answers)])]


def mixed(cheat: str, answers: Sequence[str]) -> list[str]:
    """The cheat's answers first: where two groups are as good, selectors take the first."""
    return [cheat] * CHEATS + [fenced(code) for code in answers]


@dataclass(frozen=True)
class Played:
    """A group after the step: rewards and advantages [n] of the role whose turn it was, and all that they come from."""

    assessed: Assessed
    advantages: NDArray[np.float64]

    @property
    def rewards(self) -> NDArray[np.float64]:
        return self.assessed.rewards.total


class Remembering(FutureExecutor):
    """Runs each job once, whichever selector it is run for."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._verdicts: dict[Job, Future[NDArray[np.int8]]] = {}

    def submit(self, job: Job) -> Future[NDArray[np.int8]]:
        if job not in self._verdicts:
            self._verdicts[job] = self._executor.submit(job)
        return self._verdicts[job]


class Replaying(Sampler):
    """Draws the answers to a problem once, whichever selector they are drawn for."""

    _groups: dict[Problem, RolloutGroup]

    @classmethod
    def of(cls, sampler: Sampler) -> Replaying:
        replaying = cls(sampler.engine, sampler.tokenizer, sampler.config, sampler.prompt_style, sampler.seed)
        replaying._groups = {}
        return replaying

    def draw(
        self, draws: Sequence[Draw], on_group: Callable[[int, RolloutGroup], None] | None = None
    ) -> list[RolloutGroup]:
        new = [draw for draw in draws if draw.problem not in self._groups]
        self._groups.update((group.problem, group) for group in super().draw(new))
        groups = [self._groups[draw.problem] for draw in draws]
        for index, group in enumerate(groups):
            if on_group is not None:
                on_group(index, group)
        return groups


@contextmanager
def remembering() -> Iterator[Executor]:
    with ProcessExecutor(workers=1, limits=Limits(cpu_seconds=0.2, cpu_floor=0.1, cancel_after=4)) as running:
        yield Remembering(running)


@dataclass
class Stage:
    """Plays a step of training with scripted answers; what was played once is remembered."""

    executor: Executor
    solutions: Mapping[str, list[str]]  # coder answers by the problem's name
    tests: Mapping[str, list[str]]
    labelled: bool = False  # whether the problems of the step carry their labels
    _sampler: Replaying | None = None
    _played: dict[tuple[object, ...], dict[str, Played]] = field(default_factory=dict)

    def play(self, selector: str, unit: TestUnit, role: Role) -> dict[str, Played]:
        """What became of each problem."""
        key = selector, unit, role
        if key not in self._played:
            self._played[key] = self._step(SELECTORS[selector](), selector == "dyb4-labels", unit, role)
        return self._played[key]

    def _step(self, selector: Selector, calibrated: bool, unit: TestUnit, role: Role) -> dict[str, Played]:
        problems = [replace(LABELLED, id=name, statement=name) for name in self.solutions]
        problems = problems if self.labelled else [problem.unlabelled() for problem in problems]
        if self._sampler is None:
            solutions = {**self.solutions, LABELLED.statement: honest(SOLUTIONS)}
            tests = {**self.tests, LABELLED.statement: honest(TESTS)}
            self._sampler = Replaying.of(scripted_sampler(solutions, tests, n=GROUP))
        recalibration = None
        if calibrated and isinstance(selector, DyB4):
            recalibration = Recalibration(selector, [LABELLED], self.executor, unit)
        rewarder, turn = Rewarder(self.executor, AlgorithmConfig(), seed=0), Turn(0, role, LAM)
        with Assessment(
            self._sampler, self.executor, selector, rewarder, unit, turn, Clock(), recalibration, overlap=True
        ) as step:
            step.sample(problems)
            assessed = step.collect()
        advantages = [group_advantages(a.rewards.total, a.rewards.mask) for a in assessed]
        return {p.id: Played(a, gained) for p, a, gained in zip(problems, assessed, advantages, strict=True)}


def coder_stage(executor: Executor, cheats: Mapping[str, str], labelled: bool = False) -> Stage:
    """Each cheat among honest programs, in front of honest tests."""
    solutions = {name: mixed(text, SOLUTIONS) for name, text in cheats.items()}
    return Stage(executor, solutions, dict.fromkeys(cheats, honest(TESTS)), labelled)


def tester_stage(executor: Executor, cheats: Mapping[str, str], labelled: bool = False) -> Stage:
    """Each cheat among honest tests, beside honest programs."""
    tests = {name: mixed(text, TESTS) for name, text in cheats.items()}
    return Stage(executor, dict.fromkeys(cheats, honest(SOLUTIONS)), tests, labelled)
