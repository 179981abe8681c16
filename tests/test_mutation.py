"""Mutants: compared with mutmut's own `create_mutations`, with hand-counted sets, and against hostile sources."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from zerocoder.mutation import MAX_SOURCE_CHARS, mutants

SUM = "def total(xs):\n    s = 0\n    for x in xs:\n        s += x\n    return s\n"


def same_program(source: str) -> str:
    return ast.unparse(ast.parse(source))


def test_every_mutant_of_a_small_function() -> None:
    assert mutants(SUM) == (
        SUM.replace("s = 0", "s = None"),
        SUM.replace("s = 0", "s = 1"),
        SUM.replace("s += x", "s = x"),
        SUM.replace("s += x", "s -= x"),
    )


def test_a_module_level_script() -> None:
    found = mutants("n = int(input())\nprint(n * 2 + 1)\n", 100)
    assert "n = int(input())\nprint(n * 2 - 1)\n" in found
    assert "n = int(input())\nprint(n / 2 + 1)\n" in found
    assert "n = None\nprint(n * 2 + 1)\n" in found


PLAIN = [
    SUM,
    "import math\n\n\ndef area(r, scale=2):\n    # half\n    return math.pi * r ** scale if r > 0 else None\n",
    (
        "class A:\n    def go(self, a):\n        while a and not a[0]:\n            a = a[1:]\n            if a == 'x':\n"
        "                break\n        return a\n\n\nprint(A().go([1, 2]))\n"
    ),
    "x = 1; y = x < 3\nprint('a b'.split(' ', 1), y)  # trailing\n",
    "def f(s):\n    return s.lower().find('ab') is not None or s in ('a', 'b')",  # no newline at the end
]


@pytest.mark.parametrize("source", PLAIN)
def test_nothing_is_lost_or_added_to_mutmut(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On code without what we lift (decorators, len, pragmas), mutmut's own entry point gives the same set."""
    import libcst
    from mutmut.configuration import reset_config
    from mutmut.mutation.file_mutation import create_mutations, deep_replace

    (tmp_path / "setup.cfg").write_text("[mutmut]\nsource_paths=.\n")
    monkeypatch.chdir(tmp_path)
    reset_config()
    module, mutations, *_ = create_mutations("x.py", source)
    reset_config()
    theirs = set()
    for mutation in mutations:
        mutated = deep_replace(module, mutation.original_node, mutation.mutated_node)
        assert isinstance(mutated, libcst.Module)
        theirs.add(same_program(mutated.code))
    assert {same_program(m) for m in mutants(source, 1000)} == theirs - {same_program(source)}


def test_works_outside_of_any_project_and_leaves_the_folder_alone(tmp_path: Path) -> None:
    program = "from zerocoder.mutation import mutants; print(len(mutants('def f(a):\\n    return a + 1\\n')))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(Path(__file__).resolve().parents[1]), "PATH": ""},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "2\n" and done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_a_projects_mutmut_settings_have_no_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "setup.cfg").write_text("[mutmut]\nsource_paths=.\ndo_not_mutate_patterns=return\n")
    monkeypatch.chdir(tmp_path)
    assert len(mutants("def settings(a):\n    return a + 1\n")) == 2


@pytest.mark.parametrize(
    "marked",
    [
        "def f(a):  # pragma: no mutate block\n    return a + 1\n",
        "def f(a):\n    return a + 1  # pragma: no mutate\n",
        "# pragma: no mutate start\ndef f(a):\n    return a + 1\n",  # mutmut itself refuses: no end
        "def f(a):\n    # pragma: no mutate end\n    return a + 1\n",
    ],
)
def test_pragmas_do_not_steer(marked: str) -> None:
    plain = {same_program(m) for m in mutants("def f(a):\n    return a + 1\n")}
    assert {same_program(m) for m in mutants(marked)} == plain
    assert len(plain) == 2


def test_what_mutmut_leaves_out_is_mutated() -> None:
    decorated = "from functools import lru_cache\n\n\n@lru_cache(maxsize=None)\ndef f(n):\n    return n + len(n[1:])\n"
    found = mutants(decorated, 100)
    assert decorated.replace("n + len", "n - len") in found
    assert decorated.replace("n[1:]", "n[2:]") in found
    assert all("maxsize=None" in m and "len(None)" not in m for m in found)


def test_duplicates_and_equal_programs_are_dropped() -> None:
    source = "def f(x):\n    'doc'\n    return not not x\n"
    # both `not`s can be removed, with the same result; the docstring's mutants are the same program
    assert mutants(source) == ("def f(x):\n    'doc'\n    return not x\n",)


def test_mutants_compile() -> None:
    source = "for i in range(3):\n    if i:\n        break\n"  # mutmut makes `return` of `break`
    for mutant in mutants(source, 100):
        compile(mutant, "mutant", "exec")
    assert not any("return" in m for m in mutants(source, 100))


def test_cap_and_seed() -> None:
    source = "def f(a, b):\n    return a * 2 + b * 3 - (a + b) * (a - b) + 4 * a // 5 + 6 * b % 7\n"
    everything = mutants(source, 1000)
    assert len(everything) > 16
    first = mutants(source, 16, 1)
    assert len(first) == 16 and set(first) < set(everything)
    assert list(first) == [m for m in everything if m in first]  # in the order of their places
    assert {mutants(source, 16, seed) for seed in range(5)} != {first}
    mutants.cache_clear()
    assert mutants(source, 16, 1) == first
    assert mutants(source, 0) == ()


@pytest.mark.parametrize(
    "source",
    [
        "",
        "# nothing\n",
        "def f(:\n",
        "def f():\n\treturn 1\n        return 2\n",
        "x = '\0'\n",
        "x = '\ud800'\n",
        "x = 1\n" * (MAX_SOURCE_CHARS // 6 + 1),
        "x = " + "(" * 3000 + "1" + ")" * 3000,
        "x = " + "-" * 3000 + "1",
        "x = a" + "[0]" * 3000,
        "x = a" + ".b" * 6000,
        "x = " + "1 if a else " * 1200 + "2",
        "x = " + "lambda:" * 2000 + "1",
        "x = " + "''" * 8000,
        "x = " + "f'{a}'" * 2500,
        "if a:\n    pass\n" + "elif a:\n    pass\n" * 900,
        "x = " + "9" * 5000,
    ],
    ids=lambda s: ascii(s[:20]),
)
def test_hostile_sources_have_no_mutants(source: str) -> None:
    assert mutants(source) == ()


def test_numbers_that_python_cannot_print() -> None:
    assert mutants("x = 0x" + "f" * 5000) == ()


def test_odd_but_valid_sources() -> None:
    assert mutants("x = 1 + 2 \\\n    + 3\r\ny = x\r\n")
    assert mutants("# -*- coding: latin-1 -*-\nx = 'é' + 'b'\n")
    assert mutants("def f(x):\n  if x == 1:\n\t  return 2\n  return 3\n")  # Python accepts this mix of tabs
    assert mutants("x = '\\d' + 'a'\n")  # an invalid escape only warns
    assert mutants("async def f(x):\n    async with x as y:\n        return y + 1\n")
    assert mutants("def f(x):\n    match x:\n        case 1: return 2\n        case _: return 3\n")
