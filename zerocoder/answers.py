"""A model's answer text -> `Program`, `TestCase`, or `FormatError` with the reason it is neither.

The text is hostile input: it is parsed, never executed. Programs are taken as they are written, with what their problem
takes for granted in front (`zerocoder.surroundings`). Tests are brought into a plain form (imports, helpers, assert
statements) by `zerocoder.asserts`. docs/prompts.md lists what counts as an answer.
"""

from __future__ import annotations

import ast
import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from zerocoder.asserts import plain_asserts
from zerocoder.markdown import Block, fenced_blocks
from zerocoder.pairs import input_output
from zerocoder.problems import Problem, Program, Style, TestCase
from zerocoder.prompts import PLAIN_QUESTION
from zerocoder.splitting import split as split_code
from zerocoder.surroundings import with_surroundings
from zerocoder.syntax import Unusable, checked_module, is_main_guard
from zerocoder.unittest_methods import SOLUTION

MAX_CHARS = 65_536
"""Longer answers, and longer inputs or outputs of a test, are refused."""
MAX_ASSERTS = 8
"""Further asserts of an answer are left out: more of them would make a test stricter for free."""

_PYTHON = ("python", "py", "python3", "py3")
_BARE = ("",)
_PARTS = (
    *("answers", "asserts", "grading", "markdown", "pairs"),
    *("scrutiny", "splitting", "surroundings", "syntax", "unittest_methods"),
)


def _extractor() -> str:
    sources = [Path(__file__).with_name(f"{part}.py").read_bytes() for part in _PARTS]
    return hashlib.blake2b(b"\0".join(sources), digest_size=6).hexdigest()


EXTRACTOR = _extractor()
"""Changes with the code that turns answers into programs and tests: scores of two values do not compare."""


@dataclass(frozen=True, slots=True)
class FormatError:
    """An answer that holds no usable program or test."""

    reason: str


def parse_program(text: str, problem: Problem, truncated: bool = False) -> Program | FormatError:
    """The program of a coder's answer, ready to be run: `runnable` of what `written_program` finds.

    Args:
        text: the completion, without special tokens.
        problem: says the style, the entry point and the starter code.
        truncated: the completion was cut off at the token limit; a block that is then still open is no answer.
    """
    source = written_program(text, problem, truncated)
    return runnable(source, problem) if isinstance(source, str) else source


def written_program(text: str, problem: Problem, truncated: bool = False) -> str | FormatError:
    """The source that a coder's answer gives as its program, as it is written.

    Function style: the last python (or untagged) block that defines the entry point at the top level, by `def`, by
    assignment or as a method of `class Solution`. Standard-input style: the last python block, or the last untagged
    one, that calls anything. An answer without any fence counts when it is a program throughout.
    """
    try:
        answer, truncated = _final_answer(text, truncated)
        blocks = fenced_blocks(answer, truncated)
        entry_point = problem.entry_point
        return _script(answer, blocks) if entry_point is None else _function(answer, blocks, entry_point)
    except Unusable as error:
        return FormatError(str(error))


def runnable(source: str, problem: Problem) -> Program | FormatError:
    """A program as tests can call it: any solution of `problem`, a model's or a data set's reference.

    What the problem takes for granted (imports of LeetCode, helpers of the starter code) is put in front where the
    program uses it without defining it. Function style: a method of `class Solution` gets an alias at the top level,
    and demonstrations that cannot matter to a caller are left out: top-level `print(...)` statements and
    `if __name__ == "__main__":` blocks.
    """
    try:
        if problem.entry_point is not None:
            source = _callable(source, problem.entry_point)
        else:
            checked_module(source)
        return Program(with_surroundings(source, problem))
    except Unusable as error:
        return FormatError(str(error))


def parse_test(
    text: str, problem: Problem, truncated: bool = False, max_asserts: int = MAX_ASSERTS
) -> TestCase | FormatError:
    """The test of a tester's answer.

    Function style: the asserts of the last python (or untagged) block that has any, in the plain form of
    `zerocoder.asserts`, at most `max_asserts` of them. Standard-input style: an `input` block and the `output` block
    that follows it, or what else `zerocoder.pairs` reads.
    """
    try:
        answer, truncated = _final_answer(text, truncated)
        blocks = fenced_blocks(answer, truncated)
        if problem.entry_point is None:
            return input_output(blocks)
        written = [b for b in blocks if b.tag in (*_PYTHON, *_BARE) and "assert" in b.text]
        if blocks and not written:
            raise Unusable("no fenced python block holds an assert")
        source = written[-1].code if written else answer
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


def _final_answer(text: str, truncated: bool) -> tuple[str, bool]:
    """The text after the model's thoughts and before a question that it asks itself, and whether that is cut off.

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
    answer = answer.replace("\r\n", "\n").replace("\r", "\n")
    answer, further, _ = answer.partition(f"\n{PLAIN_QUESTION}\n")
    return answer, truncated and not further


def _script(answer: str, blocks: list[Block]) -> str:
    """The last python block, else the last untagged one, that does anything: `2` or a lone comment prints nothing."""
    sources = [b.code for tags in (_PYTHON, _BARE) for b in reversed(blocks) if b.tag in tags]
    for source in sources if blocks else [answer]:
        if any(isinstance(node, ast.Call) for node in ast.walk(checked_module(source))):
            return source
    raise Unusable("no fenced python block holds a program" if blocks else "no fenced block, and no program")


def _function(answer: str, blocks: list[Block], entry_point: str) -> str:
    """The source of the last candidate that defines `entry_point`; else the last candidate's error is raised."""
    sources = [b.code for b in blocks if b.tag in (*_PYTHON, *_BARE)] if blocks else [answer]
    first_error = Unusable("no fenced python block")
    for number, source in enumerate(reversed(sources)):
        try:
            _place_of(entry_point, checked_module(source))
            return source
        except Unusable as error:
            first_error = error if number == 0 else first_error
    raise first_error


def _callable(source: str, entry_point: str) -> str:
    """The source with `entry_point` at its top level."""
    tree = checked_module(source)
    place = _place_of(entry_point, tree)
    source = _without_demo(source, tree)
    if place is tree:
        return source
    return f"{source.rstrip()}\n\n\n{entry_point} = {SOLUTION}().{entry_point}\n"


def _place_of(entry_point: str, tree: ast.Module) -> ast.Module | ast.ClassDef:
    """What defines the entry point: the module, or its `class Solution`."""
    if any(_defines(statement, entry_point) for statement in tree.body):
        return tree
    for solution in tree.body:
        if isinstance(solution, ast.ClassDef) and solution.name == SOLUTION:
            if any(_defines(statement, entry_point) for statement in solution.body):
                return solution
    raise Unusable(f"does not define {entry_point} at the top level")


def _defines(statement: ast.stmt, name: str) -> bool:
    values = (ast.Lambda, ast.Name, ast.Call, ast.Attribute)
    match statement:
        case ast.FunctionDef():
            return statement.name == name
        case ast.Assign(targets=targets, value=value):
            return isinstance(value, values) and any(isinstance(t, ast.Name) and t.id == name for t in targets)
        case ast.AnnAssign(target=ast.Name(id=target), value=value):
            return isinstance(value, values) and target == name
    return False


def _without_demo(source: str, tree: ast.Module) -> str:
    """The source without demonstrations that stand on lines of their own.

    They change nothing for a caller, but their mutants would survive every test.
    """
    lines = source.split("\n")
    used = Counter(line for s in tree.body for line in {s.lineno, s.end_lineno or s.lineno})
    for statement in reversed(tree.body):
        first, last = statement.lineno, statement.end_lineno or statement.lineno
        if _is_demo(statement) and used[first] == used[last] == 1:
            del lines[first - 1 : last]
    return "\n".join(lines)


def _is_demo(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.If):
        return is_main_guard(statement)
    call = statement.value if isinstance(statement, ast.Expr) else None
    return isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "print"
