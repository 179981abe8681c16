"""The project's own JSON-lines format: what is read, what is written, and what is said about a bad row."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocoder.datasets.base import signature_of
from zerocoder.datasets.jsonl import Jsonl, read_jsonl, write_jsonl
from zerocoder.problems import Label, Problem, Style, TestCase, ZeroCoderError

ADD = {
    "id": "add",
    "statement": "Add two numbers.",
    "entry_point": "add",
    "solution": "def add(a, b=0):\n    return a + b",
    "tests": ["assert add(1, 2) == 3", "assert add(5) == 5"],
}
ECHO = {
    "id": 7,
    "statement": "Print the input.",
    "style": "stdin",
    "solution": "print(input())",
    "tests": [{"stdin": "a\n", "stdout": "a\n"}],
    "difficulty": "easy",
}


def write(path: Path, *rows: Any) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def test_function_and_stdin_rows(tmp_path: Path) -> None:
    add, echo = Jsonl(path=write(tmp_path / "p.jsonl", ADD, ECHO)).train()
    assert add == Problem(
        id="add",
        statement="Add two numbers.",
        entry_point="add",
        signature="def add(a, b=0):",
        label=Label(
            "def add(a, b=0):\n    return a + b",
            (TestCase(code="assert add(1, 2) == 3"), TestCase(code="assert add(5) == 5")),
        ),
    )
    assert echo == Problem(
        id="7",
        statement="Print the input.",
        style=Style.STDIN,
        label=Label("print(input())", (TestCase(stdin="a\n", stdout="a\n"),)),
        difficulty="easy",
    )


def test_the_signature_comes_from_the_row_the_solution_or_the_name(tmp_path: Path) -> None:
    bare = {"id": "b", "statement": "s", "entry_point": "f"}
    rows = [bare, bare | {"id": "c", "signature": "def f(x: int) -> int:"}, bare | {"id": "d", "solution": "g = 1"}]
    problems = read_jsonl(write(tmp_path / "p.jsonl", *rows))
    assert [p.signature for p in problems] == ["def f(...):", "def f(x: int) -> int:", "def f(...):"]


def test_the_last_definition_gives_the_signature() -> None:
    source = (
        "import os\ndef f(a): pass\n@cache\ndef f(a: 'x', *b, c=(1,\n  2), **d) -> int:\n  def f(): pass\n  return 1"
    )
    assert signature_of(source, "f") == "def f(a: 'x', *b, c=(1, 2), **d) -> int:"
    assert signature_of(source, "g") is None


@pytest.mark.parametrize("missing", ["solution", "tests"])
def test_half_a_label_is_none(tmp_path: Path, missing: str) -> None:
    (problem,) = read_jsonl(write(tmp_path / "p.jsonl", {k: v for k, v in ADD.items() if k != missing}))
    assert problem.label is None


def test_heldout_problems_need_tests_but_no_solution(tmp_path: Path) -> None:
    scored = {k: v for k, v in ADD.items() if k != "solution"}
    path = write(tmp_path / "p.jsonl", scored)
    (problem,) = Jsonl(path="unused", heldout_path=path).heldout()
    assert problem.label == Label("", (TestCase(code="assert add(1, 2) == 3"), TestCase(code="assert add(5) == 5")))
    path = write(tmp_path / "p.jsonl", ADD, {k: v for k, v in ADD.items() if k != "tests"} | {"id": "x"})
    with pytest.raises(ZeroCoderError, match=r'p.jsonl:2: a held-out problem needs "tests"'):
        Jsonl(path="unused", heldout_path=path).heldout()


def test_without_a_heldout_file_nothing_is_held_out(tmp_path: Path) -> None:
    assert Jsonl(path="unused").heldout() == []


def test_packed_files_blank_lines_byte_order_marks_and_odd_line_ends(tmp_path: Path) -> None:
    odd = ADD | {"statement": "line\u2028separator\x85and\x0bmore"}
    text = "\ufeff" + json.dumps(odd, ensure_ascii=False) + "\r\n\n  \n" + json.dumps(ECHO)
    (tmp_path / "p.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    add, echo = read_jsonl(tmp_path / "p.jsonl.gz")
    assert add.statement == "line\u2028separator\x85and\x0bmore"
    assert echo.id == "7"


BAD_ROWS = [
    ({k: v for k, v in ADD.items() if k != "id"}, 'the field "id" is missing'),
    ({k: v for k, v in ADD.items() if k != "statement"}, 'the field "statement" is missing'),
    ({k: v for k, v in ADD.items() if k != "entry_point"}, 'the field "entry_point" is missing'),
    (ADD | {"statement": 3}, 'the field "statement" must be text, got a number'),
    (ADD | {"statement": " "}, 'the field "statement" is empty'),
    (ADD | {"id": True}, 'the field "id" must be text, got true or false'),
    (ADD | {"style": "class"}, 'the field "style" must be "function" or "stdin", got "class"'),
    (ADD | {"entry_point": "a.b"}, 'the field "entry_point" must be the name of a function, got "a.b"'),
    (ADD | {"entry_point": "class"}, 'must be the name of a function, got "class"'),
    (ADD | {"solution": "def add(:"}, 'the field "solution" is no Python: invalid syntax, line 1'),
    (ADD | {"solution": "\x00"}, 'the field "solution" is no Python'),
    (ADD | {"solution": "(" * 5000}, 'the field "solution" is no Python'),
    (ADD | {"tests": "assert True"}, 'the field "tests" must be a list, got text'),
    (ADD | {"tests": [{"stdin": "", "stdout": ""}]}, r'the field "tests"\[0\] must be text, got an object'),
    (ADD | {"tests": ["assert True", "assert ("]}, r'the field "tests\[1\]" is no Python'),
    (ADD | {"statement": "\ud800"}, "half a surrogate pair"),
    (ADD | {"soluton": "x"}, 'there is no field "soluton"; did you mean "solution"?'),
    (ECHO | {"entry_point": "main"}, 'a problem of style "stdin" has no "entry_point"'),
    (ECHO | {"tests": ["assert True"]}, r'the field "tests"\[0\] must be {"stdin": text, "stdout": text}'),
    (ECHO | {"tests": [{"stdin": "a"}]}, r'the field "tests"\[0\] must be {"stdin": text, "stdout": text}'),
    (ECHO | {"tests": [{"stdin": "a", "stdout": 1}]}, 'the field "stdout" must be text, got a number'),
    ([1, 2], "a JSON object is expected, got a list"),
    (ADD | {"id": 7}, 'the id "7" was used before, on line 1'),
]


@pytest.mark.parametrize(("row", "message"), BAD_ROWS)
def test_a_bad_row_is_named_by_file_and_line(tmp_path: Path, row: Any, message: str) -> None:
    path = write(tmp_path / "p.jsonl", ECHO, row)
    with pytest.raises(ZeroCoderError, match=rf"p\.jsonl:2: .*{message}") as error:
        read_jsonl(path)
    assert "\n" not in str(error.value)


def test_unknown_fields_that_resemble_none_are_ignored(tmp_path: Path) -> None:
    assert len(read_jsonl(write(tmp_path / "p.jsonl", ADD | {"license": "MIT", "url": None}))) == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "p.jsonl is empty"),
        (b"\n \n", "p.jsonl is empty"),
        (b"{}\n\xff\n", r"p.jsonl:1: .*missing"),
        (b"\xff\xfe{\n", r"p.jsonl:1: not UTF-8 text \(byte 0 of the line\)"),
        (b'{"id": "a",\n', r"p.jsonl:1: not JSON"),
        (b"[" * 100000, r"p.jsonl:1: not JSON"),
    ],
)
def test_what_is_no_jsonl_file(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "p.jsonl").write_bytes(content)
    with pytest.raises(ZeroCoderError, match=message):
        read_jsonl(tmp_path / "p.jsonl")


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(ZeroCoderError, match=r"data.source.path=.*: there is no such file"):
        Jsonl(path=str(tmp_path / "none.jsonl")).train()
    with pytest.raises(ZeroCoderError, match="data.source.path must name a JSON-lines file"):
        Jsonl().train()
    with pytest.raises(ZeroCoderError, match="there is no such file"):
        Jsonl(path=str(tmp_path)).train()
    packed = gzip.compress(json.dumps(ADD).encode() * 1000)
    for content in (b"not packed", packed[: len(packed) // 2], packed[:-20] + b"x" * 20):
        (tmp_path / "p.jsonl.gz").write_bytes(content)
        with pytest.raises(ZeroCoderError, match="p.jsonl.gz"):
            read_jsonl(tmp_path / "p.jsonl.gz")


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
filled = words.filter(str.strip)
code = st.sampled_from(["assert f(1) == 'é\u2028'", "x = 1\nassert f(x)", "assert f() == '''\n'''"])
stdin_tests = st.builds(lambda a, b: TestCase(stdin=a, stdout=b), words, words)
function_labels = st.builds(Label, code, st.lists(code.map(lambda c: TestCase(code=c)), min_size=1).map(tuple))
stdin_labels = st.builds(Label, code, st.lists(stdin_tests, min_size=1).map(tuple))
functions = st.builds(
    Problem,
    id=filled,
    statement=filled,
    entry_point=st.sampled_from(["f", "größer", "_x1"]),
    signature=words,
    label=st.none() | function_labels,
    source=words,
    difficulty=words,
)
scripts = st.builds(
    Problem,
    id=filled,
    statement=filled,
    style=st.just(Style.STDIN),
    signature=words,
    label=st.none() | stdin_labels,
    source=words,
    difficulty=words,
)


@given(st.lists(functions | scripts, min_size=1, max_size=5, unique_by=lambda p: p.id), st.booleans())
def test_what_is_written_is_read_back(problems: list[Problem], packed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("p.jsonl.gz" if packed else "p.jsonl")
        write_jsonl(problems, path)
        assert read_jsonl(path) == problems
        assert [p.name for p in Path(folder).iterdir()] == [path.name]
