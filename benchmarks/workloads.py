"""Programs, tests and the truth about them: what the verifier's benchmarks run.

A `Workload` is a list of problems of 8 programs x 8 tests, with the matrix that is right when each program meets each
test alone in a fresh interpreter state. The truth is computed in this process, which is safe for programs of our own
that end; an endless program passes nothing. No two problems of a workload, and no two workloads of different salts,
share a program: every source is marked by a bare annotation, which costs nothing, survives normalisation of the
syntax tree and has no mutants. So neither joining equal programs nor a cache of verdicts can flatter a figure.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from benchmarks.problems import CRASHING, PROBLEMS, Sources
from zerocoder.problems import ZeroCoderError

Matrix = NDArray[np.bool_]  # [N, K]


@dataclass(frozen=True)
class Problem:
    """N programs, K tests and which passes which."""

    name: str
    entry_point: str
    programs: tuple[str, ...]  # [N]; the first is right
    tests: tuple[str, ...]  # [K]
    truth: Matrix  # [N, K]
    endless: tuple[int, ...] = ()  # rows that never end

    @property
    def num_cells(self) -> int:
        return self.truth.size


@dataclass(frozen=True)
class Cell:
    """One program on one test, by themselves."""

    program: str
    test: str
    entry_point: str
    truth: bool


@dataclass(frozen=True)
class Workload:
    """Problems to be run together."""

    name: str
    problems: tuple[Problem, ...]

    @property
    def num_cells(self) -> int:
        return sum(problem.num_cells for problem in self.problems)

    def cells(self) -> list[Cell]:
        """All cells, problem by problem and row by row."""
        return [
            Cell(program, test, problem.entry_point, bool(problem.truth[row, column]))
            for problem in self.problems
            for row, program in enumerate(problem.programs)
            for column, test in enumerate(problem.tests)
        ]


def mixed(copies: int = 1, endless: bool = True, salt: str = "", num_problems: int = len(PROBLEMS)) -> Workload:
    """`copies` of the first `num_problems` problems, with or without the endless programs (one in 16)."""
    problems = [_problem(sources, f"{salt}_{copy}", endless) for copy in range(copies) for sources in PROBLEMS]
    chosen = [problem for i, problem in enumerate(problems) if i % len(PROBLEMS) < num_problems]
    return Workload("mixed" if endless else "ending", tuple(chosen))


def literal(num_problems: int = 16, salt: str = "") -> Workload:
    """Programs of next to no work on tests that compare literals: what is left is the cost of the verifier."""
    problems = []
    for index in range(num_problems):
        programs = tuple(
            f"{_mark(f'{salt}_{index}', row)}def shifted(x):\n    return x + {index * 8 + row}\n" for row in range(8)
        )
        # test j expects what program j returns: the truth is the diagonal
        tests = tuple(f"assert shifted({test}) == {index * 8 + 2 * test}" for test in range(8))
        problems.append(Problem(f"literal#{index}", "shifted", programs, tests, np.eye(8, dtype=bool)))
    return Workload("literal", tuple(problems))


def crashing(salt: str = "") -> Problem:
    """A problem of programs that crash, with one right program among them."""
    sources = ("def double(x):\n    return 2 * x\n", *CRASHING)
    programs = tuple(_mark(salt, row) + source for row, source in enumerate(sources))
    tests = ("assert double(4) == 8", "for n in range(3):\n    assert double(n) == n + n")
    truth = np.zeros((len(programs), len(tests)), dtype=bool)
    truth[0] = True
    return Problem(f"crashing#{salt}", "double", programs, tests, truth)


@cache
def from_file(path: Path, copies: int = 1, endless: bool = True) -> Workload:
    """The workload of a file that defines `workload(scale, loop, timeout) -> (problems, truths)`.

    Problems are mappings with `id`, `entry_point`, `solutions`, `tests`; a truth is a list of rows of booleans. Each
    call gives the same programs: a cache of verdicts would show.

    Raises:
        ZeroCoderError: there is no such file, or it defines no such function.
    """
    make = getattr(_loaded(path), "workload", None)
    if make is None:
        raise ZeroCoderError(f"--shared {path}: it defines no function workload(scale, loop, timeout)")
    listed, truths = make(copies, endless, 1.0)
    problems = tuple(
        Problem(item["id"], item["entry_point"], tuple(item["solutions"]), tuple(item["tests"]), np.array(truth, bool))
        for item, truth in zip(listed, truths, strict=True)
    )
    return Workload(f"{path.stem}: {'mixed' if endless else 'ending'}", problems)


@cache
def _loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"shared_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ZeroCoderError(f"--shared {path}: there is no such Python file; leave --shared out to run without it")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _problem(sources: Sources, salt: str, endless: bool) -> Problem:
    programs, truth = _programs(sources), _truth(sources)
    rows = [row for row in range(len(programs)) if endless or row not in _endless_rows(sources)]
    return Problem(
        name=f"{sources.name}#{salt}",
        entry_point=sources.entry_point,
        programs=tuple(_mark(salt, row) + programs[row] for row in rows),
        tests=_tests(sources),
        truth=truth[rows],
        endless=_endless_rows(sources) if endless else (),
    )


def _mark(salt: str, row: int) -> str:
    return f"_attempt{salt}_{row}: int\n"


def _programs(sources: Sources) -> tuple[str, ...]:
    entry = sources.entry_point
    talkative = (
        f"{sources.right}_quiet = {entry}\ndef {entry}(*args):\n    for i in range(1200):\n"
        f"        print('looking at', i, '.' * 60)\n    return _quiet(*args)\n"
    )
    slow = (
        f"{sources.right}_quick = {entry}\ndef {entry}(*args):\n    total = 0\n    for i in range(40000):\n"
        f"        total ^= i\n    return _quick(*args)\n"
    )
    first, second = sources.wrong
    return (sources.right, sources.other_right, first, talkative, sources.failing, slow, second, sources.odd)


def _endless_rows(sources: Sources) -> tuple[int, ...]:
    return (7,) if sources.odd_is_endless else ()


def _tests(sources: Sources) -> tuple[str, ...]:
    right, wrong = sources.right_tests, sources.wrong_tests
    return (*right[:3], wrong[0], *right[3:], wrong[1])


@cache
def _truth(sources: Sources) -> Matrix:
    return np.array(
        [
            [row not in _endless_rows(sources) and _passes(program, test) for test in _tests(sources)]
            for row, program in enumerate(_programs(sources))
        ]
    )


def _passes(program: str, test: str) -> bool:
    """Whether a program of ours that ends passes a test, alone in a fresh namespace of this process."""
    namespace = {"__name__": "candidate"}
    stdin, sys.stdin = sys.stdin, io.StringIO()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            exec(compile(program, "<program>", "exec"), namespace)
            exec(compile(test, "<test>", "exec"), namespace)
        return True
    except Exception:
        return False
    finally:
        sys.stdin = stdin
