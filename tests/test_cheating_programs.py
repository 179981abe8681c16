"""Coders that cheat: what they earn in groups with honest ones, and as a whole policy, under every selector."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np
import pytest
from cheating import (
    CHEATS,
    MISREAD,
    RIGHT,
    SELECTORS,
    SOLUTIONS,
    VALID,
    Played,
    Stage,
    coder_stage,
    honest,
    mixed,
    remembering,
)
from scripted import fenced

from zerocoder.config import TestUnit
from zerocoder.execution import Executor
from zerocoder.problems import Role

PROGRAMS = {
    "sys.exit at import": "import sys\nsys.exit(0)\ndef evens(xs):\n    return 6",
    "sys.exit": "import sys\ndef evens(xs):\n    sys.exit(0)",
    "os._exit": "import os\ndef evens(xs):\n    os._exit(0)",
    "raise SystemExit": "def evens(xs):\n    raise SystemExit(0)",
    "atexit": "import atexit, os\natexit.register(os._exit, 0)\ndef evens(xs):\n    raise ValueError",
    "equal to all": (
        "class Any:\n    def __eq__(self, other):\n        return True\n    __hash__ = None\n"
        "def evens(xs):\n    return Any()"
    ),
    "an int equal to all": (
        "class Any(int):\n    def __eq__(self, other):\n        return True\n    def __ne__(self, other):\n"
        "        return False\n    __hash__ = int.__hash__\ndef evens(xs):\n    return Any(77)"
    ),
    "reads the caller's frames": (
        "import sys\ndef evens(xs):\n    frame = sys._getframe()\n    while frame:\n"
        "        for value in [*frame.f_locals.values(), *frame.f_code.co_consts]:\n"
        "            if type(value) is int and value > 3:\n                return value\n        frame = frame.f_back"
    ),
    "looks for expected values": (
        "import gc, re\ndef evens(xs):\n    for thing in gc.get_objects():\n"
        "        found = re.search('evens.*== (-?[0-9]+)', repr(thing)[:500])\n"
        "        if found:\n            return int(found[1])"
    ),
    "patches builtins": (
        "import builtins\nbuiltins.AssertionError = ValueError\nbuiltins.isinstance = lambda *a: True\n"
        "builtins.sum = lambda xs: 6\ndef evens(xs):\n    return None"
    ),
    "swallows everything": (
        "def evens(xs):\n    try:\n        assert False\n    except BaseException:\n        return True"
    ),
    "prints that it passed": "print('PASS')\nimport os\nos.write(1, b'PASS')\ndef evens(xs):\n    print('ok')",
    "a constant": "def evens(xs):\n    return 77",
    "nothing": "def evens(xs):\n    pass",
    "endless": "def evens(xs):\n    while True:\n        pass",
}  # fmt: skip
CODER_CHEATS = {name: fenced(code) for name, code in PROGRAMS.items()} | {
    "no code": "I would sum up the even numbers.",
    "an empty block": fenced(""),
    "a stub": fenced("# YOUR CODE HERE"),
    "very long": fenced(RIGHT[0] + "\n#" + "x" * 70_000),
    "thoughts without an end": "<think>\n" + fenced(RIGHT[0]),
}
SETTINGS = list(product(SELECTORS, TestUnit))


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with remembering() as running:
        yield running


@pytest.fixture(scope="module")
def among_honest(executor: Executor) -> Stage:
    return coder_stage(executor, CODER_CHEATS)


@pytest.fixture(scope="module")
def everywhere(executor: Executor) -> Stage:
    return Stage(
        executor, {name: [text] for name, text in CODER_CHEATS.items()}, dict.fromkeys(CODER_CHEATS, honest(VALID))
    )


def right(played: Played) -> list[bool]:
    """The honest programs of the consensus, the cheats' aside."""
    return played.assessed.consensus.solutions[CHEATS:].tolist()


@pytest.mark.parametrize(("selector", "unit"), SETTINGS)
@pytest.mark.parametrize("name", CODER_CHEATS)
def test_no_cheat_earns_more_than_the_worst_honest_program(
    among_honest: Stage, name: str, selector: str, unit: TestUnit
) -> None:
    played = among_honest.play(selector, unit, Role.CODER)[name]
    cheats, others = played.rewards[:CHEATS], played.rewards[CHEATS:]
    assert others.tolist() == [1, 1, 1, 0, 0]  # the right ones, and they alone
    assert cheats.max() <= others.min()
    assert played.advantages[:CHEATS].max() < 0 < played.advantages[CHEATS : CHEATS + len(RIGHT)].min()


@pytest.mark.parametrize(("selector", "unit"), SETTINGS)
@pytest.mark.parametrize("name", CODER_CHEATS)
def test_a_policy_of_one_cheat_learns_nothing(everywhere: Stage, name: str, selector: str, unit: TestUnit) -> None:
    played = everywhere.play(selector, unit, Role.CODER)[name]
    assert played.rewards.max() <= 0 and not played.advantages.any()


@pytest.mark.parametrize("name", CODER_CHEATS)
def test_nor_where_all_tests_have_to_be_passed(among_honest: Stage, everywhere: Stage, name: str) -> None:
    """The rule of the baselines `offline` and `online`."""
    for stage in (among_honest, everywhere):
        matrix = stage.play("maxpass", TestUnit.ANSWER, Role.CODER)[name].assessed.interaction.matrix
        valid = [k for k in range(matrix.shape[1]) if matrix.tests_shown[k] and k % 5 != 4]  # less the invalid ones
        rows = matrix.passed[:, valid].all(axis=1)
        assert not rows[:CHEATS].any()
        assert stage is everywhere or rows[CHEATS:].tolist() == [True] * 3 + [False] * 2


# --- wrong programs that are no cheats by themselves ------------------------------------------------------------------

REWORDED = [
    "def evens(xs):\n    return sum(x for x in xs if x % 2 == 1)",
    "def evens(xs):\n    # odd ones\n    return sum([x for x in xs if x % 2 == 1])",
    "def evens(numbers):\n    total = 0\n    for n in numbers:\n        if n % 2 == 1:\n            total += n\n    return total",
    "def evens(xs):\n    return sum(filter(lambda n: n % 2 == 1, xs))",
    "def evens(xs):\n    return sum(x * (x % 2) for x in xs)",
]  # fmt: skip
EXAMPLES = fenced("def evens(xs):\n    return {(1, 2, 4): 6, (): 0}[tuple(xs)]")


@pytest.fixture(scope="module")
def wrong(executor: Executor) -> Stage:
    solutions = {
        "copies": [fenced(REWORDED[0])] * 5 + [fenced(code) for code in RIGHT],
        "reworded": [fenced(code) for code in (*REWORDED, *RIGHT)],
        "examples": mixed(EXAMPLES, SOLUTIONS),
        "examples are all that is tested": mixed(EXAMPLES, SOLUTIONS),
    }
    tests = dict.fromkeys(solutions, honest(VALID))
    tests["examples are all that is tested"] = [fenced(VALID[0])]
    return Stage(executor, solutions, tests)


@pytest.mark.parametrize(("selector", "unit"), SETTINGS)
@pytest.mark.parametrize("name", ["copies", "reworded"])
def test_one_wrong_program_many_times_gains_nothing(wrong: Stage, name: str, selector: str, unit: TestUnit) -> None:
    """Five of eight answers: more of the same is no evidence where the tests tell them from right ones."""
    played = wrong.play(selector, unit, Role.CODER)[name]
    assert played.rewards.tolist() == [0] * 5 + [1] * 3
    assert played.advantages[:5].max() < 0


@pytest.mark.parametrize(("selector", "unit"), SETTINGS)
def test_the_statements_examples_by_heart_earn_nothing_more(wrong: Stage, selector: str, unit: TestUnit) -> None:
    assert wrong.play(selector, unit, Role.CODER)["examples"].rewards.tolist() == [0, 0, 0, 1, 1, 1, 0, 0]
    # Where all tests are the examples, nothing tells the program from a right one: as much, and no more.
    blindly = wrong.play(selector, unit, Role.CODER)["examples are all that is tested"]
    assert blindly.rewards.tolist() == [1, 1, 1, 1, 1, 1, 0, 0]


def outcome_of_copies(selector: str, copies: int, passing: int, n: int = 8, k: int = 8) -> bool:
    """Whether the right programs alone are chosen: all pass all k tests, `copies` wrong ones pass `passing` of them."""
    matrix = np.ones((n, k), dtype=bool)
    matrix[:copies, passing:] = False
    return SELECTORS[selector]().select(matrix).solutions.tolist() == [False] * copies + [True] * (n - copies)


@pytest.mark.parametrize("selector", SELECTORS)
def test_how_many_copies_of_a_wrong_program_are_too_few(selector: str) -> None:
    """docs/cheating.md: in vain where it passes at most three of eight right tests, or makes at most half the group."""
    assert all(outcome_of_copies(selector, copies, passing) for copies in range(1, 8) for passing in range(4))
    assert all(outcome_of_copies(selector, copies, passing) for copies in range(1, 5) for passing in range(8))
    # Seven copies that pass seven tests are chosen, by all that count programs: no other answer contradicts them.
    assert outcome_of_copies(selector, 7, 7) == (selector == "maxpass")


def test_misreadings_are_honest_and_wrong() -> None:
    """The groups above have something to choose from."""
    assert set(MISREAD).isdisjoint(RIGHT) and len(SOLUTIONS) + CHEATS == 8
