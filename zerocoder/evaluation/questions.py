"""What an evaluation asks: the problems of its benchmarks, each in the roles that are measured on it.

A question has a number of answers, its samples. Benchmark, problem, role and sample name an answer, in memory as on
disk, so that answers of one evaluation can be scored again by another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from zerocoder.problems import Label, Problem, Role
from zerocoder.prompting import prompt_ids
from zerocoder.prompts import PromptStyle

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BOTH_ROLES = (Role.CODER, Role.TESTER)


class Key(NamedTuple):
    """The name of an answer."""

    benchmark: str
    problem: str
    role: Role
    sample: int


@dataclass(frozen=True, slots=True)
class Task:
    """The problems of a benchmark that are measured, and the roles they are measured in."""

    name: str
    problems: Sequence[Problem]
    roles: Sequence[Role] = BOTH_ROLES


@dataclass(frozen=True, slots=True)
class Question:
    """A labelled problem of a benchmark that is put to one role."""

    benchmark: str
    problem: Problem
    role: Role

    @property
    def label(self) -> Label:
        if self.problem.label is None:
            raise ValueError(f"problem {self.problem.id} has no label to be scored by")
        return self.problem.label

    def key(self, sample: int) -> Key:
        return Key(self.benchmark, self.problem.id, self.role, sample)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back to a question."""

    prompt: str  # hash of the prompt's token ids; empty where it is not known
    text: str
    truncated: bool = False
    too_long: bool = False  # the prompt was over the limit: nothing was asked


def questions_of(tasks: Iterable[Task]) -> list[Question]:
    """Every question of the tasks. A problem whose label has no reference solution is put to the coder only."""
    return [
        Question(task.name, problem, role)
        for task in tasks
        for role in task.roles
        for problem in task.problems
        if role is Role.CODER or (problem.label is not None and problem.label.solution)
    ]


def prompts_of(
    questions: Sequence[Question], tokenizer: PreTrainedTokenizerBase, style: PromptStyle
) -> list[tuple[int, ...]]:
    """The prompt of every question as token ids."""
    return [prompt_ids(tokenizer, q.problem, q.role, style) for q in questions]


def prompt_hash(prompt: Sequence[int]) -> str:
    return hashlib.blake2b(np.array(prompt, dtype=np.int64).tobytes(), digest_size=8).hexdigest()


def prompt_hashes(questions: Sequence[Question], prompts: Sequence[Sequence[int]]) -> dict[str, str]:
    """Benchmark -> hash of all its prompts, whatever the order of the problems."""
    parts: dict[str, list[str]] = {}
    for question, prompt in zip(questions, prompts, strict=True):
        parts.setdefault(question.benchmark, []).append(f"{question.key(0)} {prompt_hash(prompt)}\n")
    return {
        name: hashlib.blake2b("".join(sorted(lines)).encode("utf-8", "replace"), digest_size=8).hexdigest()
        for name, lines in parts.items()
    }
