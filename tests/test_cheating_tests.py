"""Testers that cheat: what they earn in groups with honest ones, and as a whole policy, under every selector."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pytest
from cheating import (
    CHEATS,
    RIGHT,
    SELECTORS,
    SOLUTIONS,
    TESTS,
    VALID,
    Played,
    Stage,
    honest,
    mixed,
    remembering,
    tester_stage,
)
from scripted import fenced

from zerocoder.config import TestUnit
from zerocoder.execution import Executor
from zerocoder.interaction import BLIND
from zerocoder.problems import Role

SETTINGS = list(product(SELECTORS, TestUnit))

# What the parser refuses: the text of the test says it.
REFUSED = {
    "no answer": "The function adds up even numbers.",
    "an empty block": fenced(""),
    "assert True": fenced("assert True\nassert 1 == 1"),
    "only a call": fenced("evens([1, 2])\nassert True"),
    "everything is caught": fenced("try:\n    assert evens([1, 2]) == 2\nexcept BaseException:\n    pass"),
    "another function": fenced("def total(xs):\n    return sum(xs)\nassert total([2]) == 2"),
    "its own function": fenced("def evens(xs):\n    return 6\nassert evens([1, 2]) == 6"),
    "its own function, late": fenced("assert evens([1, 2]) == 6\nevens = lambda xs: 6"),
    "its own Solution": fenced("class Solution:\n    def evens(self, xs):\n        return 6\nassert evens([1]) == 6"),
    "imports the answer": fenced("from solution import evens\nassert evens([1, 2]) == 2"),
    "imports all of the answer": fenced("from solution import *\nassert evens([1, 2]) == 2"),
    "a tuple": fenced("assert (evens([1, 2]) == 77, 'always true')"),
    "very long": fenced("assert evens([" + "1, " * 30_000 + "]) == 0"),
}
# What no program's result can fail: that is seen when strangers meet it.
BLINDS = {
    "itself": "assert evens([1, 2]) == evens([1, 2])",
    "or True": "assert evens([1, 2]) is not None or True",
    "or another": "assert evens([1, 2]) == 2 or evens([1, 2]) != 2",
    "an object": "assert isinstance(evens([1, 2]), object)",
    "in itself": "assert evens([1, 2]) in [evens([1, 2])]",
    "a list": "assert [evens([1, 2])]",
    "as text": "assert len(str(evens([1, 2]))) >= 0",
    "not that one": "assert evens([1, 2]) != 77",
    "not as text": "assert 'error' not in str(evens([1, 2]))",
    "too slow": "def wait():\n    while True:\n        pass\nassert wait() or evens([1, 2]) == 2",
    "callable and called": "assert callable(evens) and [evens([2])]",
    "a helper that catches": (
        "def holds(x):\n    try:\n        return evens([x]) == 77\n    except BaseException:\n        pass\n"
        "    finally:\n        return True\nassert holds(2)"
    ),
    "a helper that forgets": "def call(xs):\n    evens(xs)\n    return 6\nassert call([1, 2]) == 6",
    "a patched module": (
        "import math\ndef patched():\n    math.isclose = lambda *a: True\n    return True\n"
        "assert patched() and math.isclose(evens([1, 2]), 77)"
    ),
    "a patched builtin": "len = lambda x: 6\nassert len([evens([1, 2])]) == 6",
    "eight times": "\n".join(["assert evens([1, 2]) == evens([1, 2])"] * 8),
}
# What hardly any result can fail: valid beside any program that returns something of the kind.
LAX = {
    "not None": "assert evens([1, 2]) is not None",
    "an int": "assert isinstance(evens([1, 2]), int)\nassert type(evens([])) == int",
    "a whole number": "assert int(evens([1, 2])) == evens([1, 2])",
    "a wide range": "assert -10**9 < evens([1, 2]) < 10**9",
    "one of many": "assert evens([1, 2]) in range(-1000, 1000)",
    "exits where it fails": (
        "def out():\n    raise SystemExit(0)\nassert isinstance(evens([1, 2]), int) or out()"
    ),
    "slow": "def wait():\n    return sum(range(10**6)) > 0\nassert wait() and evens([1, 2]) is not None",
    "fifty": "\n".join(f"assert evens([{n}]) is not None" for n in range(50)),
}  # fmt: skip
# What fails beside any right program.
WRONG = {
    "exits": "def out():\n    raise SystemExit(0)\nassert evens([1, 2]) == 77 or out()",
    "fifty wrong ones": "\n".join(f"assert evens([{2 * n}]) == {2 * n + 1}" for n in range(50)),
    "the same wrong one": "\n".join(["assert evens([1, 2]) == 77"] * 8),
    "a wrong solution": "def total(xs):\n    return sum(xs)\nassert evens([1, 2]) == total([1, 2])",
    "too slow for right ones": "assert evens(range(10**9)) == 77\nassert evens(range(10**9 + 1)) == 77",
}
TESTER_CHEATS = REFUSED | {name: fenced(code) for name, code in {**BLINDS, **LAX, **WRONG}.items()}


@pytest.fixture(scope="module")
def executor() -> Iterator[Executor]:
    with remembering() as running:
        yield running


@pytest.fixture(scope="module")
def among_honest(executor: Executor) -> Stage:
    return tester_stage(executor, TESTER_CHEATS)


@pytest.fixture(scope="module")
def on_labelled(executor: Executor) -> Stage:
    return tester_stage(executor, TESTER_CHEATS, labelled=True)


@pytest.fixture(scope="module")
def everywhere(executor: Executor) -> Stage:
    policies = {name: [text] for name, text in TESTER_CHEATS.items()}
    return Stage(executor, dict.fromkeys(policies, honest(SOLUTIONS)), policies)


def assert_below_honest(played: Played) -> None:
    cheats, others = played.rewards[:CHEATS], played.rewards[CHEATS:]
    assert others[: len(VALID)].min() > 0.5 and others[len(VALID) :].tolist() == [0]
    assert cheats.max() <= others.min()
    assert played.advantages[:CHEATS].max() < 0 < played.advantages[CHEATS : CHEATS + len(VALID)].min()


@pytest.mark.parametrize(("selector", "unit"), SETTINGS)
@pytest.mark.parametrize("name", TESTER_CHEATS)
def test_no_cheat_earns_more_than_a_wrong_honest_test(
    among_honest: Stage, name: str, selector: str, unit: TestUnit
) -> None:
    assert_below_honest(among_honest.play(selector, unit, Role.TESTER)[name])


@pytest.mark.parametrize("unit", TestUnit)
@pytest.mark.parametrize("name", TESTER_CHEATS)
def test_nor_on_labelled_problems(on_labelled: Stage, name: str, unit: TestUnit) -> None:
    assert_below_honest(on_labelled.play("dyb4-labels", unit, Role.TESTER)[name])


@pytest.mark.parametrize(("selector", "unit"), SETTINGS)
@pytest.mark.parametrize("name", TESTER_CHEATS)
def test_cheating_tests_do_not_change_which_programs_are_chosen(
    among_honest: Stage, name: str, selector: str, unit: TestUnit
) -> None:
    played = among_honest.play(selector, unit, Role.CODER)[name]
    assert played.rewards.tolist() == [1, 1, 1, 0, 0, 1, 1, 1]


@pytest.mark.parametrize(("selector", "unit"), SETTINGS)
@pytest.mark.parametrize("name", TESTER_CHEATS)
def test_a_policy_of_one_cheat_learns_nothing(everywhere: Stage, name: str, selector: str, unit: TestUnit) -> None:
    played = everywhere.play(selector, unit, Role.TESTER)[name]
    assert not played.advantages.any()
    if name in LAX:  # beside right programs
        assert played.rewards.max() <= 0


@pytest.mark.parametrize(("selector", "unit"), SETTINGS)
@pytest.mark.parametrize("name", [*REFUSED, *BLINDS])
def test_what_tells_nothing_apart_rewards_no_program(
    everywhere: Stage, name: str, selector: str, unit: TestUnit
) -> None:
    played = everywhere.play(selector, unit, Role.CODER)[name]
    assert played.assessed.consensus.empty and not played.rewards.any()
    interaction = played.assessed.interaction
    assert interaction.group.test_cases == (None,) * 8 and not interaction.matrix.tests_shown.any()
    assert name in REFUSED or {r.answer for r in interaction.group.tests} == {BLIND}


def test_what_tells_nothing_apart_is_left_out_of_an_answer(executor: Executor) -> None:
    """As a column of its own; beside other asserts of one column it does nothing anyway."""
    code = f"{BLINDS['itself']}\n{VALID[2]}\n{BLINDS['or True']}"
    stage = Stage(executor, {"partly": honest(SOLUTIONS)}, {"partly": mixed(fenced(code), TESTS)})
    for unit in TestUnit:
        played = stage.play("codet", unit, Role.TESTER)["partly"]
        interaction = played.assessed.interaction
        assert interaction.owners.tolist()[:CHEATS] == [0, 1, 2] and None not in interaction.columns
        honest_one = CHEATS + VALID.index(VALID[2])
        assert played.rewards[:CHEATS].tolist() == [played.rewards[honest_one]] * CHEATS


# --- votes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("selector", SELECTORS)
def test_an_answer_repeats_its_vote_in_vain(executor: Executor, selector: str) -> None:
    misread = "assert evens([1, 2]) == 1"
    solutions = [fenced(SOLUTIONS[3])] * 4 + [fenced(code) for code in (*RIGHT, RIGHT[0])]
    once = [fenced(code) for code in (misread, *VALID[:3])]
    often = [fenced("\n".join([misread] * 8)), *once[1:]]
    stage = Stage(executor, dict.fromkeys(["once", "often"], solutions), {"once": once, "often": often})
    for role in Role:
        played = stage.play(selector, TestUnit.ASSERTION, role)
        assert played["often"].rewards.tolist() == played["once"].rewards.tolist()
    owners = played["often"].assessed.interaction.owners.tolist()
    assert owners.count(0) == 1 and played["often"].rewards[0] == 0


@pytest.mark.parametrize(("selector", "unit"), SETTINGS)
def test_a_pasted_solution_earns_what_its_values_earn(executor: Executor, selector: str, unit: TestUnit) -> None:
    pasted = "def ref(xs):\n    return sum(x for x in xs if not x % 2)\nassert evens([2, 2]) == ref([2, 2])"
    stage = Stage(executor, {"pasted": honest(SOLUTIONS)}, {"pasted": [fenced(code) for code in (pasted, *TESTS)]})
    played = stage.play(selector, unit, Role.TESTER)["pasted"]
    assert played.rewards[0] == played.rewards[1 + VALID.index("assert evens([2, 2]) == 4")] > 0.5


@pytest.mark.parametrize(("selector", "unit"), SETTINGS)
def test_lax_tests_of_all_testers_earn_no_tester_anything(everywhere: Stage, selector: str, unit: TestUnit) -> None:
    """They do reward every program that returns something; docs/cheating.md says what bounds that."""
    programs = everywhere.play(selector, unit, Role.CODER)["an int"]
    assert programs.rewards.tolist() == [1] * 8 and not programs.advantages.any()
    assert not everywhere.play(selector, unit, Role.TESTER)["an int"].rewards.any()
