"""Draws pipelines and inputs for them, and decides which compositions make sound problems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise
from random import Random

from zerocoder.datasets.families.core import (
    INTROS,
    JOINS,
    Kind,
    Pipeline,
    Split,
    Step,
    Use,
    Value,
    compile_function,
    split_of,
)
from zerocoder.datasets.families.steps import BY_NAME, STEPS

# Share of pipelines by what they take. Lists of numbers lead: they combine most freely.
KIND_WEIGHTS = {Kind.NUMBERS: 50, Kind.TEXT: 19, Kind.WORDS: 8, Kind.TABLE: 7, Kind.ROWS: 7, Kind.NUMBER: 9}
# Of the built-in problems: what a policy of this size can learn to compute, not only to write.
CORE_WEIGHTS = {Kind.NUMBERS: 55, Kind.TEXT: 30, Kind.NUMBER: 15}
SIGNED = frozenset({"pos", "neg", "flip", "abs", "nabs"})  # steps that are pointless without negative numbers
SMALL = frozenset({"sum", "square", "rsums", "dsum", "nsquare", "nrange", "nto", "ndown"})
REPEATING = frozenset({"uniq", "counts", "times", "ne", "sdist", "scounts", "sdel", "sswap", "scount"})
LETTERS = "abcdeinorst"
MAX_INT, MAX_ITEMS, MAX_TEXT = 40, 5, 8  # outputs beyond these are not worth asking a small tester for
PROBES = 32  # random inputs that decide whether a composition is sound


@lru_cache
def _steps(takes: Kind, within: frozenset[Kind]) -> list[Step]:
    """Steps that a chain over the kinds `within` may take next; a truth ends any chain."""
    return [step for step in STEPS if step.takes is takes and step.gives in within | {Kind.TRUTH}]


def draw_uses(composition: tuple[str, ...], rng: Random, *, reserved_wording: float = 0.0) -> tuple[Use, ...]:
    """Parameters, letters and wordings for a composition; `reserved_wording` is the share of reserved ones."""
    uses = []
    for name in composition:
        step = BY_NAME[name]
        reserved = len(step.phrases) > step.seen_phrases and rng.random() < reserved_wording
        phrase = len(step.phrases) - 1 if reserved else rng.randrange(step.seen_phrases)
        uses.append(Use(step, rng.randint(step.low, step.high), rng.choice("aeorst"), phrase))
    return tuple(uses)


def word_pipeline(composition: tuple[str, ...], rng: Random, *, reserved_wording: float = 0.0) -> Pipeline:
    uses = draw_uses(composition, rng, reserved_wording=reserved_wording)
    # Half the statements have no introduction: the signature already names what is given.
    intro = 0 if rng.random() < 0.5 else rng.randrange(1, len(INTROS[uses[0].step.takes]))
    return Pipeline(uses, intro, rng.randrange(len(JOINS)))


def draw_composition(rng: Random, lengths: dict[int, float], kinds: dict[Kind, int]) -> tuple[str, ...]:
    """Names of a random chain of steps; `lengths` weighs the number of steps, `kinds` what the first one takes.

    Not necessarily sound.
    """
    length = rng.choices(list(lengths), list(lengths.values()))[0]
    kind = rng.choices(list(kinds), list(kinds.values()))[0]
    names: list[str] = []
    while len(names) < length and kind in kinds:
        step = rng.choice(_steps(kind, frozenset(kinds)))
        names.append(step.name)
        kind = step.gives
    return tuple(names)


def draw_pipeline(rng: Random, split: Split, lengths: dict[int, float], kinds: dict[Kind, int]) -> Pipeline:
    """A random sound pipeline of `split` in wordings that pre-training may use."""
    while True:
        composition = draw_composition(rng, lengths, kinds)
        if split_of(composition) is split and is_sound(composition):
            return word_pipeline(composition, rng)


def draw_input(pipeline: Pipeline, rng: Random, *, short: bool = False) -> Value:
    """An argument for the pipeline's function, drawn near its parameters; `short` keeps to trivial ones."""
    names = set(pipeline.composition)
    pool = _numbers(pipeline, names)
    letters = LETTERS if not names & REPEATING else LETTERS[:5]
    letters += "".join(use.letter for use in pipeline.uses if "@" in use.step.code) * 5
    repeat = bool(names & REPEATING)
    kind = pipeline.source_kind
    if kind is Kind.NUMBER:
        return rng.choice(pool)
    if kind is Kind.TEXT:
        return _string(rng, letters, rng.randint(0, 2) if short else rng.choice((1, 2, 3, 3, 4, 4, 5)))
    size = rng.randint(0, 1) if short else rng.choice((0, 1, 2, 2, 3, 3, 3, 4))
    if kind is Kind.NUMBERS:
        return _list(rng, pool, size, repeat)
    size = min(size, 3)
    if kind is Kind.WORDS:
        return [_string(rng, letters, rng.choice((1, 2, 2, 3))) for _ in range(size)]
    if kind is Kind.TABLE:
        keys = rng.sample(sorted(set(letters)), size)
        return {key: rng.choice(pool) for key in keys}
    return [_list(rng, pool, rng.choice((0, 1, 2, 2)), repeat) for _ in range(size)]


def _numbers(pipeline: Pipeline, names: set[str]) -> list[int]:
    top = 5 if names & SMALL else 9
    near = [k + d for k in pipeline.parameters() for d in (-1, 0, 0, 1)]
    if pipeline.uses[0].step.name == "nlast":
        near += [12, 25, 31, 47]
    return [*(range(-4, 6) if names & SIGNED else range(top + 1)), *(n for n in near if 0 <= n <= 9)]


def _list(rng: Random, pool: list[int], size: int, repeat: bool) -> list[int]:
    items = [rng.choice(pool) for _ in range(size)]
    if repeat and size > 1 and rng.random() < 0.6:
        items[rng.randrange(1, size)] = items[0]
    return items


def _string(rng: Random, letters: str, size: int) -> str:
    return "".join(rng.choice(letters) for _ in range(size))


def attempt(function: Callable[[Value], Value], argument: Value) -> tuple[bool, Value]:
    """(True, result) or (False, None) when the function raises what its misreadings may raise."""
    try:
        return True, function(argument)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        return False, None


def is_presentable(value: Value) -> bool:
    """Whether an output is small enough to be written in an assert."""
    if isinstance(value, bool):
        return True
    if isinstance(value, int):
        return abs(value) <= MAX_INT
    if isinstance(value, str):
        return len(value) <= MAX_TEXT
    if isinstance(value, dict):
        return len(value) <= MAX_ITEMS and all(map(is_presentable, value.values()))
    return isinstance(value, list) and len(value) <= MAX_ITEMS and all(map(is_presentable, value))


@lru_cache(maxsize=200_000)
def is_sound(composition: tuple[str, ...]) -> bool:
    """Whether the steps' kinds fit, every step matters, the trap shows and outputs vary; seeded by the name."""
    steps = [BY_NAME[name] for name in composition]
    if len(set(composition)) < len(composition) or any(a.gives is not b.takes for a, b in pairwise(steps)):
        return False
    rng = Random("|".join(composition))
    pipeline = word_pipeline(composition, rng)
    arguments = [draw_input(pipeline, rng) for _ in range(PROBES)]
    reference = compile_function(pipeline.source, pipeline.entry_point)
    right = [attempt(reference, a) for a in arguments]
    shown = [value for ok, value in right if ok and is_presentable(value)]
    if (
        not all(ok for ok, _ in right)
        or len(shown) < 0.5 * PROBES
        or len({repr(v) for v in shown}) < min(4, 2 * len(composition))
    ):
        if steps[-1].gives is not Kind.TRUTH or len({repr(v) for v in shown}) < 2:
            return False
    wrongs = [*pipeline.shortened()] + ([pipeline.trap_source] if pipeline.trap_at is not None else [])
    for source in wrongs:
        wrong = compile_function(source, pipeline.entry_point)
        if sum(attempt(wrong, a) != r for a, r in zip(arguments, right, strict=True)) < 0.05 * PROBES:
            return False
    return len(composition) == 1 or len(wrongs) > 0


def bugs(pipeline: Pipeline) -> list[str]:
    """Programs with one of many small mistakes: a constant off by one, a step forgotten, two steps swapped."""
    uses = pipeline.uses
    found = list(pipeline.shortened())
    for i, use in enumerate(uses):
        if use.step.high:
            found += [pipeline.render((*uses[:i], replace(use, k=use.k + d), *uses[i + 1 :])) for d in (-1, 1)]
        if i and len({uses[i - 1].step.takes, uses[i - 1].step.gives, use.step.takes, use.step.gives}) == 1:
            found.append(pipeline.render((*uses[: i - 1], use, uses[i - 1], *uses[i + 1 :])))
        if use.step.trap:
            found.append(pipeline.render(uses, i))
    return found or [pipeline.source]
