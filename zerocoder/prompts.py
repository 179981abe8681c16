"""Coder and tester prompts: a problem -> the chat messages of a role.

Three styles exist. `standard` spells the task out for instruct models and follows the paper's Figures 2 and 3 in
spirit (their texts are not published in machine-readable form). `one_shot` puts a solved example in front of it as an
earlier turn of the chat, for models below about 1.5 B parameters: asked in words alone, Qwen2.5-Coder-0.5B solves the
problem instead of testing it. `compact` says the same in a handful of words, for models with a short context such as
zerocoder-nano.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from enum import StrEnum

from zerocoder.problems import Problem, Role, Style

PLAIN_QUESTION = "### Programming task"
"""Starts a question in the plain format of base models (`zerocoder.prompting`). What a model writes from there on is a
question that it asks itself."""
_CLASS = re.compile(r"^\s*class Solution\b", re.MULTILINE)


class PromptStyle(StrEnum):
    STANDARD = "standard"
    ONE_SHOT = "one_shot"
    COMPACT = "compact"


@dataclass(frozen=True, slots=True)
class Shot:
    """A problem with the answer of each role, shown before the question."""

    problem: Problem
    coder: str
    tester: str

    def answer(self, role: Role) -> str:
        return self.coder if role is Role.CODER else self.tester


@dataclass(frozen=True, slots=True)
class Templates:
    """User turns by role and problem style.

    `{statement}`, `{signature}` and `{entry_point}` are filled in as the problem gives them; `{shown}`, `{asked}` and
    `{called}` by whether the signature is a `def` line or starter code with LeetCode's `class Solution`.
    """

    coder_function: str
    coder_stdin: str
    tester_function: str
    tester_stdin: str
    system: str = ""
    shots: tuple[Shot, ...] = ()
    """A question is preceded by those of its own problem style."""

    def user_turn(self, problem: Problem, role: Role) -> str:
        template: str = getattr(self, f"{role.value}_{problem.style.value}")
        name = problem.entry_point or ""
        in_class = bool(_CLASS.search(problem.signature))
        fields = {
            "{statement}": problem.statement.strip(),
            "{signature}": problem.signature.strip(),
            "{entry_point}": name,
            "{shown}": "Starter code" if in_class else "Signature",
            "{asked}": f"class `Solution` with its method `{name}`" if in_class else f"function `{name}`",
            "{called}": f" Call `{name}` by its name alone, without `Solution()`." if in_class else "",
        }
        # Not str.format: statements hold braces, and a filled-in text must not be searched again.
        return _fill(template, fields)


def _fill(template: str, fields: dict[str, str]) -> str:
    out, rest = [], template
    while rest:
        at, key = min(((rest.find(k), k) for k in fields if k in rest), default=(-1, ""))
        if at < 0:
            break
        out += [rest[:at], fields[key]]
        rest = rest[at + len(key) :]
    return "".join([*out, rest]).strip()


STANDARD = Templates(
    system="You are an expert Python programmer.",
    coder_function=(
        "Write a Python function that solves the problem below.\n\n"
        "### Problem\n{statement}\n\n"
        "### {shown}\n```python\n{signature}\n```\n\n"
        "Answer with one fenced ```python block that holds the complete {asked} and the imports it needs. "
        "No examples, no tests, no explanation after the block."
    ),
    coder_stdin=(
        "Write a Python program that solves the problem below. It reads from standard input and prints the answer to "
        "standard output.\n\n"
        "### Problem\n{statement}\n\n"
        "Answer with one fenced ```python block that holds the complete program. No explanation after the block."
    ),
    tester_function=(
        "Write tests for the problem below. You do not see a solution: work out each expected value from the problem "
        "statement.\n\n"
        "### Problem\n{statement}\n\n"
        "### {shown}\n```python\n{signature}\n```\n\n"
        "Answer with one fenced ```python block that holds nothing but 3 assert statements of the form\n"
        "`assert {entry_point}(<arguments>) == <expected value>`\n"
        "with literal arguments and literal expected values. Cover an ordinary case and the edge cases that a wrong "
        "solution would miss.{called} Do not define or import `{entry_point}`."
    ),
    tester_stdin=(
        "Write a test for the problem below: an input and the output a correct program prints for it. You do not see "
        "a solution: work the output out from the problem statement.\n\n"
        "### Problem\n{statement}\n\n"
        "Answer with two fenced blocks, the input first:\n"
        "```input\n<standard input>\n```\n```output\n<expected standard output>\n```"
    ),
)

ONE_SHOT = replace(
    STANDARD,
    shots=(
        Shot(
            Problem(
                id="shot/function",
                statement="Write a function to count how many numbers of a list are larger than a limit.",
                entry_point="count_larger",
                signature="def count_larger(numbers, limit):",
            ),
            coder=(
                "```python\ndef count_larger(numbers, limit):\n"
                "    return sum(1 for number in numbers if number > limit)\n```"
            ),
            tester=(
                "```python\nassert count_larger([4, 9, 2, 7], 3) == 3\nassert count_larger([5, 5, 5], 5) == 0\n"
                "assert count_larger([], 1) == 0\n```"
            ),
        ),
        Shot(
            Problem(
                id="shot/stdin",
                style=Style.STDIN,
                statement=(
                    "The first line holds a number n, the second line n whole numbers. Print how many of them are "
                    "negative."
                ),
            ),
            coder=(
                "```python\nn = int(input())\nnumbers = list(map(int, input().split()))\n"
                "print(sum(1 for number in numbers if number < 0))\n```"
            ),
            tester="```input\n4\n3 -1 0 -25\n```\n```output\n2\n```",
        ),
    ),
)

COMPACT = Templates(
    coder_function="Solve: {statement}\n{signature}",
    coder_stdin="Program: {statement}",
    tester_function="Test: {statement}\n{signature}",
    tester_stdin="Test program: {statement}",
)

TEMPLATES = {PromptStyle.STANDARD: STANDARD, PromptStyle.ONE_SHOT: ONE_SHOT, PromptStyle.COMPACT: COMPACT}


def messages(problem: Problem, role: Role, style: PromptStyle = PromptStyle.STANDARD) -> list[dict[str, str]]:
    """The chat that asks the policy, in `role`, to answer `problem`."""
    templates = TEMPLATES[style]
    system = [{"role": "system", "content": templates.system}] if templates.system else []
    shots = [
        {"role": speaker, "content": content}
        for shot in templates.shots
        if shot.problem.style is problem.style
        for speaker, content in (("user", templates.user_turn(shot.problem, role)), ("assistant", shot.answer(role)))
    ]
    return [*system, *shots, {"role": "user", "content": templates.user_turn(problem, role)}]


def prompts_hash(style: PromptStyle) -> str:
    """Changes with anything that a style's prompts say. Results of two values do not compare."""
    signatures = {Style.FUNCTION: ("def f(x):", "class Solution:\n    def f(self, x):"), Style.STDIN: ("",)}
    probes = [
        Problem("", "S", style=kind, entry_point="f" if kind is Style.FUNCTION else None, signature=signature)
        for kind in Style
        for signature in signatures[kind]
    ]
    said = json.dumps([messages(problem, role, style) for problem in probes for role in Role])
    return hashlib.blake2b(said.encode(), digest_size=6).hexdigest()
