"""Typed pipelines: the grammar behind the built-in problems and the text that zerocoder-nano learns from.

A *step* turns one kind of value into another and knows its wordings, its Python expression and its *trap*: the one
plausible misreading people (and the nano policy) fall into. A *pipeline* is one to three steps whose kinds fit; it
yields a statement, a signature, the right program and the trapped one. The tuple of its steps' names is its
*composition*, the identity by which problems are reserved from pre-training.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

Value = Any  # what a generated function takes and returns: int, bool, str, and lists and dicts of them


class Kind(StrEnum):
    """What flows between steps; the value is also the variable's name in the generated programs."""

    NUMBERS = "xs"
    TEXT = "s"
    WORDS = "ws"
    TABLE = "d"
    ROWS = "rows"
    NUMBER = "n"
    TRUTH = "ok"


class Split(StrEnum):
    """Who may see a composition."""

    PRETRAIN = "pretrain"
    TRAIN = "train"
    VALIDATION = "validation"
    HELDOUT = "heldout"


@dataclass(frozen=True, slots=True)
class Step:
    """One operation. In `code`, `trap` and `phrases`, `K` is the parameter, `J` is K - 1 and `@` is a letter.

    The last of three or more phrases is reserved: only held-out problems use it.
    """

    name: str
    takes: Kind
    gives: Kind
    tag: str  # names the function when the step comes last
    code: str
    phrases: tuple[str, ...]
    trap: str = ""
    strong: bool = False  # a strong trap is what a coder falls for more often than not
    low: int = 0
    high: int = 0  # the range of K; 0, 0: no parameter

    @property
    def seen_phrases(self) -> int:
        """Number of wordings that pre-training may use."""
        return len(self.phrases) - 1 if len(self.phrases) > 2 else len(self.phrases)


@dataclass(frozen=True, slots=True)
class Use:
    """A step with its parameter, its letter and its wording chosen."""

    step: Step
    k: int = 0
    letter: str = "a"
    phrase: int = 0

    def fill(self, text: str) -> str:
        return text.replace("K", str(self.k)).replace("J", str(self.k - 1)).replace("@", self.letter)


INTROS: dict[Kind, tuple[str, ...]] = {
    Kind.NUMBERS: ("", "given a list xs of numbers, ", "for the list xs, "),
    Kind.TEXT: ("", "given a string s, ", "for the text s, "),
    Kind.WORDS: ("", "given a list ws of words, ", "for the words ws, "),
    Kind.TABLE: ("", "given a dict d of letters and numbers, ", "for the dict d, "),
    Kind.ROWS: ("", "given a list rows of lists, ", "for the nested list rows, "),
    Kind.NUMBER: ("", "given a number n, ", "for the number n, "),
}
JOINS = (", then ", " and then ", "; ")


@dataclass(frozen=True)
class Pipeline:
    """A chain of one to three steps, worded."""

    uses: tuple[Use, ...]
    intro: int = 0
    join: int = 0

    @property
    def composition(self) -> tuple[str, ...]:
        return tuple(use.step.name for use in self.uses)

    @property
    def source_kind(self) -> Kind:
        return self.uses[0].step.takes

    @property
    def entry_point(self) -> str:
        return self.uses[-1].step.tag

    @property
    def signature(self) -> str:
        return f"def {self.entry_point}({self.source_kind}):"

    @cached_property
    def statement(self) -> str:
        phrases = [use.fill(use.step.phrases[use.phrase]) for use in self.uses]
        # Only the last step returns; before it a value is found and used.
        phrases[:-1] = [phrase.replace("return ", "find ", 1) for phrase in phrases[:-1]]
        text = INTROS[self.source_kind][self.intro] + JOINS[self.join].join(phrases) + "."
        return text[0].upper() + text[1:]

    @cached_property
    def trap_at(self) -> int | None:
        """The step that is misread: the last strong trap, else the last weak one."""
        trapped = [i for i, use in enumerate(self.uses) if use.step.trap]
        return max(trapped, key=lambda i: (self.uses[i].step.strong, i), default=None)

    @property
    def strong(self) -> bool:
        return self.trap_at is not None and self.uses[self.trap_at].step.strong

    @cached_property
    def source(self) -> str:
        return self.render(self.uses)

    @cached_property
    def trap_source(self) -> str:
        """The program of the pipeline's misreading; a pipeline without a trap loses a step instead."""
        if self.trap_at is not None:
            return self.render(self.uses, self.trap_at)
        return next(self.shortened(), self.source)

    def shortened(self) -> Iterator[str]:
        """Programs that forget one step, the last such step first."""
        for i in range(len(self.uses) - 1, -1, -1):
            step = self.uses[i].step
            if step.takes is step.gives and len(self.uses) > 1:
                yield self.render(self.uses[:i] + self.uses[i + 1 :])

    def render(self, uses: tuple[Use, ...], trap_at: int | None = None) -> str:
        """The program of `uses` under this pipeline's signature."""
        lines = [self.signature]
        for i, use in enumerate(uses):
            code = use.fill(use.step.trap if i == trap_at else use.step.code)
            lines.append(f"    return {code}" if i == len(uses) - 1 else f"    {use.step.gives} = {code}")
        return "\n".join(lines)

    def parameters(self) -> tuple[int, ...]:
        return tuple(use.k for use in self.uses if use.step.high)


def split_of(composition: tuple[str, ...]) -> Split:
    """Where a composition belongs; fixed for ever by a hash of its name. Single steps belong to pre-training."""
    if len(composition) < 2:
        return Split.PRETRAIN
    bucket = int.from_bytes(hashlib.sha256("|".join(composition).encode()).digest()[:4], "big") % 100
    borders = {Split.HELDOUT: 10, Split.VALIDATION: 14, Split.TRAIN: 25}
    return next((split for split, border in borders.items() if bucket < border), Split.PRETRAIN)


def compile_function(source: str, entry_point: str) -> Callable[[Value], Value]:
    """The function of a program of our own making. Never for model-written code."""
    scope: dict[str, Any] = {}
    exec(compile(source, "<family>", "exec"), scope)
    function: Callable[[Value], Value] = scope[entry_point]
    return function


def literal(value: Value) -> str:
    """Python source of a value, strings in double quotes."""
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list):
        return "[" + ", ".join(map(literal, value)) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in value.items()) + "}"
    return repr(value)
