"""A model's answer text -> `Program`, `TestCase`, or `FormatError` with the reason it is neither.

The text is hostile input: it is parsed, never executed. Programs are taken as they are. Tests are brought into a plain
form (imports, helpers, assert statements) by `zerocoder.asserts`.
"""

from __future__ import annotations

import ast
import re
import textwrap
from dataclasses import dataclass
from itertools import pairwise

from zerocoder.asserts import plain_asserts
from zerocoder.problems import Problem, Program, Style, TestCase
from zerocoder.splitting import split as split_code
from zerocoder.syntax import Unusable, checked_module, is_main_guard

MAX_CHARS = 65_536
"""Longer answers, and longer inputs or outputs of a test, are refused."""
MAX_ASSERTS = 8
"""Further asserts of an answer are left out: more of them would make a test stricter for free."""

_PYTHON = ("python", "py", "python3", "py3")
_BARE = ("",)
_PLAIN = (*_BARE, "text", "txt", "plaintext", "plain")
_INPUT = ("input", "stdin")
_OUTPUT = ("output", "stdout")
_FENCE = re.compile(r"([ \t]*)(`{3,}|~{3,})[ \t]*([^`]*)")
_TAG = re.compile(r"[\w+#-]+")


@dataclass(frozen=True, slots=True)
class FormatError:
    """An answer that holds no usable program or test."""

    reason: str


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block of Markdown; `tag` is the first word after the fence in lower case."""

    tag: str
    text: str
    closed: bool

    @property
    def code(self) -> str:
        """The text as a module: without an indentation that all its lines share."""
        return textwrap.dedent(self.text) if self.text.lstrip("\n")[:1] in (" ", "\t") else self.text


def parse_program(text: str, problem: Problem, truncated: bool = False) -> Program | FormatError:
    """The program of a coder's answer.

    Function style: the last python (or untagged) block that defines the entry point at the top level, by `def`, by
    assignment or as a method of `class Solution`, which then gets an alias. Demonstrations that cannot matter to a
    caller are left out: top-level `print(...)` statements and `if __name__ == "__main__":` blocks.
    Standard-input style: the last python block, or the last untagged one.
    An answer without any fence counts when it is a program throughout.

    Args:
        text: the completion, without special tokens.
        problem: says the style and the entry point.
        truncated: the completion was cut off at the token limit; a block that is then still open is no answer.
    """
    try:
        blocks = fenced_blocks(_final_answer(text), truncated)
        if problem.entry_point is None:
            return Program(_script(text, blocks))
        return Program(_function(text, blocks, problem.entry_point))
    except Unusable as error:
        return FormatError(str(error))


def parse_test(
    text: str, problem: Problem, truncated: bool = False, max_asserts: int = MAX_ASSERTS
) -> TestCase | FormatError:
    """The test of a tester's answer.

    Function style: the asserts of the last python (or untagged) block that has any, in the plain form of
    `zerocoder.asserts`, at most `max_asserts` of them. Standard-input style: an `input` block and the `output` block
    that follows it, or else the answer's only two blocks; line ends at the end of the output do not matter.
    """
    try:
        blocks = fenced_blocks(_final_answer(text), truncated)
        if problem.entry_point is None:
            return _input_output(blocks)
        written = [b for b in blocks if b.tag in (*_PYTHON, *_BARE) and "assert" in b.text]
        if blocks and not written:
            raise Unusable("no fenced python block holds an assert")
        source = written[-1].code if written else _final_answer(text)
        return TestCase(code=plain_asserts(source, problem.entry_point, max_asserts))
    except Unusable as error:
        return FormatError(str(error))


def split_asserts(test: TestCase) -> tuple[TestCase, ...]:
    """One test for each assert statement, with what it needs; a test that cannot be split is returned alone.

    Works on any function-style test whose asserts stand at the top level, official ones included.
    """
    if test.style is Style.STDIN:
        return (test,)
    return tuple(TestCase(code=code) for code in split_code(test.code))


def fenced_blocks(text: str, truncated: bool = False) -> list[Block]:
    """The fenced blocks of a Markdown text, without the indentation of their fences.

    A fence that is indented by four or more columns inside of a block belongs to the block (a docstring's example);
    a fence with a tag inside of a block starts the next one (the model forgot to close the first).

    Raises:
        Unusable: the text is `truncated` inside of a block, or has none at all.
    """
    blocks: list[Block] = []
    lines: list[str] = []
    opened: tuple[str, str, int] | None = None  # tag, fence, indentation

    def close(closed: bool) -> None:
        if opened is not None:
            blocks.append(Block(opened[0], "\n".join(lines), closed))
            lines.clear()

    for line in text.split("\n"):
        fence = _FENCE.fullmatch(line)
        if fence and opened and not _is_limit(fence, opened):
            fence = None
        if fence is None:
            if opened:
                lines.append(_dedent(line, opened[2]))
            continue
        close(True)
        info = fence[3].strip()
        tag = _TAG.search(info)
        starts = opened is None or bool(info)
        opened = (tag[0].lower() if tag else "", fence[2], len(fence[1])) if starts else None
    close(False)
    if truncated and (not blocks or not blocks[-1].closed):
        raise Unusable("cut off at the token limit")
    return blocks


def _is_limit(fence: re.Match[str], opened: tuple[str, str, int]) -> bool:
    """Whether a fence closes the open block (or, with a tag, starts the next)."""
    return fence[2].startswith(opened[1]) and len(fence[1]) <= opened[2] + 3


def _dedent(line: str, indent: int) -> str:
    return line[indent:] if line[:indent].strip() == "" else line.lstrip()


def _final_answer(text: str) -> str:
    """The text after the model's thoughts, with plain line ends.

    Raises:
        Unusable: characters that no source file can hold, too long, or thoughts without an end.
    """
    if len(text) > MAX_CHARS:
        raise Unusable(f"longer than {MAX_CHARS} characters")
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise Unusable("NUL or surrogate characters")
    _, end, answer = text.rpartition("</think>")
    if not end and "<think>" in text:
        raise Unusable("the reasoning has no end")
    return (answer if end else text).replace("\r\n", "\n").replace("\r", "\n")


def _script(text: str, blocks: list[Block]) -> str:
    """The last python block, else the last untagged one, that does anything: `2` or a lone comment prints nothing."""
    sources = [b.code for tags in (_PYTHON, _BARE) for b in reversed(blocks) if b.tag in tags]
    if not blocks:
        sources = [_final_answer(text)]
    for source in sources:
        if any(isinstance(node, ast.Call) for node in ast.walk(checked_module(source))):
            return source
    raise Unusable("no fenced python block holds a program" if blocks else "no fenced block, and no program")


def _function(text: str, blocks: list[Block], entry_point: str) -> str:
    """The source of the last candidate that defines `entry_point`; else the last candidate's error is raised."""
    sources = [b.code for b in blocks if b.tag in (*_PYTHON, *_BARE)]
    if not blocks:
        sources = [_final_answer(text)]
    first_error = Unusable("no fenced python block")
    for number, source in enumerate(reversed(sources)):
        try:
            return _defining(source, entry_point)
        except Unusable as error:
            first_error = error if number == 0 else first_error
    raise first_error


def _defining(source: str, entry_point: str) -> str:
    tree = checked_module(source)
    if any(_defines(statement, entry_point) for statement in tree.body):
        return _without_demo(source, tree)
    solutions = [s for s in tree.body if isinstance(s, ast.ClassDef) and s.name == "Solution"]
    if any(_defines(statement, entry_point) for solution in solutions for statement in solution.body):
        return f"{_without_demo(source, tree).rstrip()}\n\n\n{entry_point} = Solution().{entry_point}\n"
    raise Unusable(f"does not define {entry_point} at the top level")


def _defines(statement: ast.stmt, name: str) -> bool:
    if isinstance(statement, ast.FunctionDef):
        return statement.name == name
    if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Lambda | ast.Name | ast.Call):
        return any(isinstance(target, ast.Name) and target.id == name for target in statement.targets)
    return False


def _without_demo(source: str, tree: ast.Module) -> str:
    """The source without demonstrations that stand on lines of their own.

    They change nothing for a caller, but their mutants would survive every test.
    """
    lines = source.split("\n")
    used = [line for s in tree.body for line in {s.lineno, s.end_lineno}]
    for statement in reversed(tree.body):
        first, last = statement.lineno, statement.end_lineno or statement.lineno
        if _is_demo(statement) and used.count(first) == used.count(last) == 1:
            del lines[first - 1 : last]
    return "\n".join(lines)


def _is_demo(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.If):
        return is_main_guard(statement)
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print"


def _input_output(blocks: list[Block]) -> TestCase:
    pairs = [(a, b) for a, b in pairwise(blocks) if a.tag in _INPUT and b.tag in _OUTPUT]
    if not pairs and len(blocks) == 2 and all(b.tag in _PLAIN for b in blocks):
        pairs = [(blocks[0], blocks[1])]
    if not pairs:
        raise Unusable("needs an input block followed by an output block")
    given, expected = pairs[-1]
    if not expected.text.strip():
        raise Unusable("the output block is empty")
    return TestCase(stdin=f"{given.text}\n", stdout=f"{expected.text.rstrip()}\n")
