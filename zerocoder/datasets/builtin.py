"""`data=builtin`: problems of the project's own, from the pipeline grammar and by hand, each with its label.

The grammar's problems take compositions that `split_of` reserves: none of them occurs in the text zerocoder-nano was
pre-trained on, and training, validation and test problems share none. Held-out problems also use wordings that
pre-training never shows. Everything is a function of fixed seeds: the same problems on every machine.

The test problems are the second ones. Scores on the first were read while methods and the policy were still worked on,
so those are retired, and none of their compositions is used again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from random import Random

from zerocoder.datasets.families.core import Pipeline, Split, compile_function, literal, split_of
from zerocoder.datasets.families.handwritten import HANDWRITTEN, Handwritten
from zerocoder.datasets.families.sampling import (
    CORE_WEIGHTS,
    attempt,
    bugs,
    draw_composition,
    draw_input,
    is_sound,
    word_pipeline,
)
from zerocoder.problems import Label, Problem, TestCase, ZeroCoderError

SOURCE = "builtin"
LENGTHS = {2: 0.8, 3: 0.2}  # share of the compositions by number of steps
RESERVED_WORDING = 0.3  # of the steps of a held-out problem that have a reserved wording
TESTS = 8  # labelled tests a problem
CANDIDATES = 60  # inputs from which they are chosen
HELDOUT = {"test": Split.HELDOUT, "validation": Split.VALIDATION}
_NAMES = {Split.HELDOUT: "test"}  # of problems; `heldout-000` and so on are those of the first test
_FIRST_TEST = (Split.HELDOUT, 150, "builtin:heldout")  # how the retired problems were drawn
_DIFFICULTY = {2: "two steps", 3: "three steps"}


@dataclass(frozen=True)
class Builtin:
    """The built-in problems."""

    num_train: int = 320
    """Training problems from the grammar; the hand-written ones come on top."""
    num_heldout: int = 150
    """Held-out problems from the grammar; the test split's hand-written ones come on top."""
    heldout_split: str = "test"
    """`test`, or `validation`: problems to choose settings by, without a look at those of the test."""

    def __post_init__(self) -> None:
        if self.heldout_split not in HELDOUT:
            raise ZeroCoderError(f"heldout_split must be one of {', '.join(HELDOUT)}, got {self.heldout_split}")

    def train(self) -> list[Problem]:
        """Training problems, in a fixed random order."""
        return self._problems(Split.TRAIN, self.num_train)

    def heldout(self) -> list[Problem]:
        """Held-out problems, in a fixed random order."""
        return self._problems(HELDOUT[self.heldout_split], self.num_heldout)

    def report(self) -> dict[str, int]:
        """Empty: every problem is made to be used."""
        return {}

    def _problems(self, split: Split, count: int) -> list[Problem]:
        pipelines = draw_pipelines(split, count)
        name = _NAMES.get(split, split)
        problems = [_from_pipeline(f"{name}-{i:03d}", pipeline) for i, pipeline in enumerate(pipelines)]
        problems += [_from_handwritten(entry) for entry in HANDWRITTEN if entry.split is split]
        Random(f"builtin:{split}:order").shuffle(problems)
        return problems


def draw_pipelines(split: Split, count: int) -> list[Pipeline]:
    """`count` worded pipelines of different compositions, all reserved for `split`."""
    if split is not Split.HELDOUT:
        return _drawn(split, count, f"builtin:{split}")
    return _drawn(split, count, "builtin:test", {pipeline.composition for pipeline in _drawn(*_FIRST_TEST)})


def _drawn(split: Split, count: int, seed: str, retired: Collection[tuple[str, ...]] = ()) -> list[Pipeline]:
    rng = Random(seed)
    wording = 0.0 if split is Split.TRAIN else RESERVED_WORDING
    found: dict[tuple[str, ...], Pipeline] = {}
    while len(found) < count:
        composition = draw_composition(rng, LENGTHS, CORE_WEIGHTS)
        known = composition in found or composition in retired
        if not known and split_of(composition) is split and is_sound(composition):
            found[composition] = word_pipeline(composition, rng, reserved_wording=wording)
    return list(found.values())


def _from_pipeline(name: str, pipeline: Pipeline) -> Problem:
    return Problem(
        id=f"{SOURCE}/{name}",
        statement=pipeline.statement,
        entry_point=pipeline.entry_point,
        signature=pipeline.signature,
        label=Label(pipeline.source, choose_tests(pipeline)),
        source=SOURCE,
        difficulty=_DIFFICULTY[len(pipeline.uses)],
    )


def choose_tests(pipeline: Pipeline) -> tuple[TestCase, ...]:
    """Tests that catch every wrong program of the grammar that any candidate input catches, then random ones."""
    rng = Random(f"builtin:tests:{pipeline.statement}")
    name = pipeline.entry_point
    right = compile_function(pipeline.source, name)
    candidates = {}
    for _ in range(CANDIDATES):
        argument = draw_input(pipeline, rng)
        candidates[literal(argument)] = (argument, right(argument))
    chosen: dict[str, None] = {}
    for source in dict.fromkeys([pipeline.trap_source, *bugs(pipeline)]):
        wrong = compile_function(source, name)
        telling = [key for key, (a, value) in candidates.items() if attempt(wrong, a) != (True, value)]
        if telling and not any(key in chosen for key in telling):
            chosen[telling[0]] = None
    for key in candidates:
        if len(chosen) < TESTS:
            chosen[key] = None
    return tuple(TestCase(code=f"assert {name}({key}) == {literal(candidates[key][1])}") for key in chosen)


def _from_handwritten(entry: Handwritten) -> Problem:
    return Problem(
        id=f"{SOURCE}/{entry.name}",
        statement=entry.statement,
        entry_point=entry.name,
        signature=entry.signature,
        label=Label(entry.solution, tuple(TestCase(code=f"assert {entry.name}({t}") for t in entry.tests)),
        source=SOURCE,
        difficulty="hand-written",
    )
