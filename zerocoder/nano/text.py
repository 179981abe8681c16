"""The text zerocoder-nano learns from: coder and tester turns about random pipelines, imperfect at stated rates.

A plausible instruct model is wrong in a few typical ways and in many rare ones. So wrong answers here follow the one
misreading (*trap*) of a problem, drawn independently of anything else in the prompt, so that the model learns to be
unsure, or have one of many small bugs. Coders fall for traps more often than testers do; a consensus of both can
therefore tell the readings apart, which is what ZeroCoder's training lives on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

from zerocoder.datasets.families.core import Kind, Pipeline, Split, Value, compile_function, literal
from zerocoder.datasets.families.sampling import (
    CORE_WEIGHTS,
    KIND_WEIGHTS,
    attempt,
    bugs,
    draw_input,
    draw_pipeline,
    is_presentable,
)
from zerocoder.problems import Problem, Role
from zerocoder.prompts import PromptStyle, messages

ASSERTS = (2, 3)  # asserts in a tester answer, equally often
TRIES = 24  # inputs drawn in search of one that serves


@dataclass(frozen=True, slots=True)
class Text:
    """What a phase of pre-training reads. Rates are shares of the answers about one problem; what is left is right."""

    kinds: dict[Kind, int]  # what the pipelines take
    early: dict[int, float]  # number of steps of a pipeline at the start: skills first
    late: dict[int, float]  # and in the end: compositions
    curriculum: float  # share of the phase over which the lengths move from early to late
    tester_share: float  # of the turns; computing outputs is the harder skill
    coder_strong: float  # coders that fall for a strong trap
    coder_weak: float  # coders that fall for a weak trap, or forget a step where there is no trap
    coder_bugs: float  # off-by-one constants, swapped or forgotten steps: many modes, each of them rare
    tester_misreads: float  # tester answers that follow the trap, with at least one assert that shows it
    tester_weak: float  # right answers on inputs that no reading tells apart
    tester_slips: float  # answers with one wrong value
    brief: bool = False  # whether testers keep to short lists and strings

    def lengths(self, progress: float) -> dict[int, float]:
        late = min(1.0, progress / self.curriculum)
        return {n: (1 - late) * self.early[n] + late * self.late[n] for n in self.late}


BROAD = Text(
    kinds=KIND_WEIGHTS,
    early={1: 0.75, 2: 0.25, 3: 0.0},
    late={1: 0.20, 2: 0.52, 3: 0.28},
    curriculum=0.4,
    tester_share=0.64,
    coder_strong=0.54,
    coder_weak=0.36,
    coder_bugs=0.06,
    tester_misreads=0.28,
    tester_weak=0.12,
    tester_slips=0.05,
)
"""All kinds of values: the first phase."""
CORE = Text(
    kinds=CORE_WEIGHTS,
    early={1: 0.20, 2: 0.60, 3: 0.20},
    late={1: 0.12, 2: 0.68, 3: 0.20},
    curriculum=0.5,
    tester_share=0.75,
    coder_strong=0.56,
    coder_weak=0.34,
    coder_bugs=0.05,
    tester_misreads=0.18,
    tester_weak=0.10,
    tester_slips=0.04,
)
"""The kinds of the built-in problems: the second phase."""
CLEAR = replace(
    CORE, early=CORE.late, tester_share=0.7, coder_strong=0.52, coder_weak=0.30, tester_misreads=0.07, tester_weak=0.06,
    tester_slips=0.03, brief=True,
)  # fmt: skip
"""Testers who keep a clearer head than coders and choose inputs that they can work out: the third phase."""
VARIED = replace(CLEAR, coder_strong=0.28, coder_weak=0.18, coder_bugs=0.26, tester_misreads=0.05)
"""Coders who are right more often than wrong in any one way, as instruct models are: the last phase."""


class Reading(StrEnum):
    RIGHT = "right"
    MISREAD = "misread"
    BUG = "bug"
    WEAK = "weak"
    SLIP = "slip"


@dataclass(frozen=True, slots=True)
class Turn:
    """One training sample: the user's words and the assistant's."""

    role: Role
    reading: Reading
    pipeline: Pipeline
    prompt: str
    answer: str


def as_problem(pipeline: Pipeline) -> Problem:
    """The pipeline as the policy sees it."""
    return Problem("", pipeline.statement, entry_point=pipeline.entry_point, signature=pipeline.signature)


def fenced(code: str) -> str:
    return f"```python\n{code}\n```"


def draw_turn(rng: Random, text: Text, progress: float = 1.0) -> Turn:
    """A random turn; `progress` in [0, 1] is how far the phase has come."""
    while True:
        pipeline = draw_pipeline(rng, Split.PRETRAIN, text.lengths(progress), text.kinds)
        role = Role.TESTER if rng.random() < text.tester_share else Role.CODER
        reading = draw_reading(pipeline, role, text, rng)
        answer = (
            write_program(pipeline, reading, rng)
            if role is Role.CODER
            else write_tests(pipeline, reading, rng, text.brief)
        )
        if answer is not None:
            prompt = messages(as_problem(pipeline), role, PromptStyle.COMPACT)[-1]["content"]
            return Turn(role, reading, pipeline, prompt, fenced(answer))


def draw_reading(pipeline: Pipeline, role: Role, text: Text, rng: Random) -> Reading:
    """How this answer reads the problem."""
    can_misread = pipeline.trap_source != pipeline.source
    if role is Role.CODER:
        misreads = text.coder_strong if pipeline.strong else text.coder_weak
        rates = {Reading.MISREAD: misreads * can_misread, Reading.BUG: text.coder_bugs}
    else:
        misreads = text.tester_misreads * can_misread
        rates = {Reading.MISREAD: misreads, Reading.WEAK: text.tester_weak, Reading.SLIP: text.tester_slips}
    return rng.choices([*rates, Reading.RIGHT], [*rates.values(), 1 - sum(rates.values())])[0]


def write_program(pipeline: Pipeline, reading: Reading, rng: Random) -> str:
    """A program under `reading`."""
    if reading is Reading.MISREAD:
        return pipeline.trap_source
    if reading is Reading.BUG:
        return rng.choice(bugs(pipeline))
    return pipeline.source


def write_tests(pipeline: Pipeline, reading: Reading, rng: Random, brief: bool) -> str | None:
    """Two or three asserts under `reading`, or None when no inputs serve it."""
    name = pipeline.entry_point
    right = compile_function(pipeline.source, name)
    wrong = compile_function(pipeline.trap_source, name)
    function = wrong if reading is Reading.MISREAD else right
    count = rng.choice(ASSERTS)
    telling = 0 if reading is Reading.WEAK or pipeline.trap_source == pipeline.source else 1
    arguments = _choose_inputs(pipeline, function, right, wrong, count, telling, rng, brief)
    if arguments is None:
        return None
    arguments.sort(key=lambda a: len(literal(a)))
    values = [function(a) for a in arguments]
    if reading is Reading.SLIP:
        at = rng.randrange(count)
        values[at] = slip(values[at], rng)
    return "\n".join(f"assert {name}({literal(a)}) == {literal(v)}" for a, v in zip(arguments, values, strict=True))


def _choose_inputs(
    pipeline: Pipeline,
    function: Callable[[Value], Value],
    right: Callable[[Value], Value],
    wrong: Callable[[Value], Value],
    count: int,
    telling: int,
    rng: Random,
    brief: bool,
) -> list[Value] | None:
    """`count` different inputs; the first `telling` tell the readings apart, all do not when `telling` is 0."""
    chosen: dict[str, Value] = {}
    for _ in range(TRIES):
        argument = draw_input(pipeline, rng, short=not telling and rng.random() < 0.3, brief=brief)
        ok, value = attempt(function, argument)
        if not ok or not is_presentable(value) or literal(argument) in chosen:
            continue
        if not value and any(not function(a) for a in chosen.values()) and rng.random() < 0.7:
            continue  # one empty result an answer is enough
        tells = attempt(right, argument) != attempt(wrong, argument)
        if (telling and len(chosen) < telling and not tells) or (not telling and tells and wrong is not right):
            continue
        chosen[literal(argument)] = argument
        if len(chosen) == count:
            return list(chosen.values())
    return None


def slip(value: Value, rng: Random) -> Value:
    """`value` with one small mistake."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + rng.choice((-1, 1))
    if isinstance(value, str):
        return value[:-1] if value else rng.choice("aeo")
    if isinstance(value, dict):
        return {k: slip(v, rng) for k, v in value.items()} if value else {"a": 1}
    if not value:
        return [rng.randrange(5)]
    at = rng.randrange(len(value))
    return value[:at] + value[at + 1 :] if rng.random() < 0.5 else [*value[:at], slip(value[at], rng), *value[at + 1 :]]
