"""`data=humaneval`: HumanEval (Chen et al., 2021) as published, HumanEval.jsonl.gz. Held out only.

The official program is the prompt with a completion, and it is right when `check` of the row's test returns within 3
seconds. Here the policy writes the whole function. It is shown the prompt in two parts, the docstring as the statement
and the rest (imports, helper functions, the `def` line) as the starter code; what stands before the function in the
prompt is put before its program as it officially is, so an answer without the imports does not fail for that. The
reference is the official one, prompt and canonical solution.

`check` is one test, not one for each assert: a program that keeps something between calls, in a mutable default for
example, officially meets all asserts one after the other. Its body is written out as plain statements where that says
the same. Special cases of the published rows:

- 32, 38 and 50 call a helper function of the prompt (`poly`, `encode_cyclic`, `encode_shift`) in their test, which
  gets a copy of it.
- 32, 38, 44, 50 and 53 check in loops, most with random numbers; the seed is fixed here.
- 47 and 116 have examples in their docstrings that contradict their tests; the tests count.
- 115 has an `import` before its docstring, and 64 a stray constant before its function.
- Many rows assert `True`: such asserts always hold.
"""

from __future__ import annotations

import ast
import inspect
from dataclasses import dataclass
from functools import cached_property

from zerocoder.datasets.base import FORMATS, Row, UnusableRowError, collect, readable
from zerocoder.datasets.needs import needs_of, straight
from zerocoder.datasets.reading import Hub, published_rows
from zerocoder.problems import Grading, Label, Problem, TestCase

SECONDS = 3.0
_FILES = {"test": ("HumanEval.jsonl", "openai_humaneval/*.parquet")}


@dataclass(frozen=True)
class HumanEval:
    """HumanEval, 164 problems."""

    path: str | None = None
    """HumanEval.jsonl.gz (or its folder); null looks in $ZEROCODER_DATA and on the hub."""
    revision: str | None = "7dce6050a7d6d172f3cc5c32aa97f52fa1a2e544"
    """Of openai/openai_humaneval on the Hugging Face hub."""

    def train(self) -> list[Problem]:
        """None: it is a benchmark."""
        return []

    def heldout(self) -> list[Problem]:
        return list(self._parsed[0])

    def report(self) -> dict[str, int]:
        """Why rows were left out -> how many, over the whole file."""
        return dict(self._parsed[1])

    @cached_property
    def _parsed(self) -> tuple[list[Problem], dict[str, int]]:
        hub = Hub("openai/openai_humaneval", self.revision)
        rows = published_rows("humaneval", self.path, "data.source.path", _FILES, hub, "test")
        return collect(rows, _problem)


def _problem(row: Row) -> Problem:
    row.expect("HumanEval", FORMATS["humaneval"])
    prompt, entry_point = row.text("prompt"), row.text("entry_point")
    solution = prompt + row.text("canonical_solution")
    head, statement, starter = _prompt_parts(prompt, solution, entry_point)
    return Problem(
        id=f"humaneval/{row.text('task_id').rpartition('/')[2]}",
        statement=statement,
        entry_point=entry_point,
        signature=starter,
        label=Label(
            solution,
            (TestCase(code=_test(row.text("test"), entry_point, head)),),
            Grading(seconds=SECONDS, prelude=head),
        ),
        source="humaneval",
    )


def _prompt_parts(prompt: str, solution: str, entry_point: str) -> tuple[str, str, str]:
    """What stands before the function, its docstring, and the prompt without the docstring."""
    function = _function(readable("the reference", solution), entry_point)
    if function is None:
        raise UnusableRowError("the reference does not define the entry point")
    lines = prompt.split("\n")
    first = min([function.lineno, *(d.lineno for d in function.decorator_list)]) - 1
    for node in function.body:
        match node:
            case ast.Expr(value=ast.Constant(value=str() as text), lineno=start, end_lineno=int() as end) if end <= len(
                lines
            ):
                del lines[start - 1 : end]
                return "\n".join(lines[:first]).strip(), inspect.cleandoc(text), "\n".join(lines).strip()
    return "\n".join(lines[:first]).strip(), prompt.strip(), prompt.strip()


def _test(source: str, entry_point: str, head: str) -> str:
    """The official test as code that needs nothing but the entry point."""
    check = _function(readable("the test", source), "check")
    if check is None or len(check.args.args) != 1:
        raise UnusableRowError("the test defines no check(candidate)")
    body = straight(check, {entry_point})
    if body is None:
        code = f"{ast.unparse(check)}\ncheck({entry_point})\n"
    else:
        renamed = ast.Module(body, [])
        for node in ast.walk(renamed):
            if isinstance(node, ast.Name) and node.id == check.args.args[0].arg:
                node.id = entry_point
        code = ast.unparse(renamed) + "\n"
    return needs_of(code, entry_point, f"{head}\n{source}").code + code


def _function(tree: ast.Module, name: str) -> ast.FunctionDef | None:
    """The last function of that name, which is the one that holds."""
    return next((s for s in reversed(tree.body) if isinstance(s, ast.FunctionDef) and s.name == name), None)
