"""LiveCodeBench: made rows for every rule, packed private tests, and all real rows where they are at hand."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from zerocoder.datasets.livecodebench import GRADING, LiveCodeBench
from zerocoder.datasets.packed import unpacked_text
from zerocoder.problems import OutputMatch, Problem, Style, TestCase, ZeroCoderError

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
REAL = {name: SHARED / f"livecodebench_{name}.jsonl" for name in ("v1_noprivate", "v5v6_noprivate")}
ONE_COMPLETE = SHARED / "livecodebench_lite_with_private_1row.jsonl"
needs_real = pytest.mark.skipif(not SHARED.exists(), reason="the real rows of LiveCodeBench are not at hand")

STARTER = "class Solution:\n    def smallest(self, xs: List[int], k: int) -> int:\n        "


def cases(*pairs: tuple[str, str], kind: str = "stdin") -> list[dict[str, str]]:
    return [{"input": i, "output": o, "testtype": kind} for i, o in pairs]


def packed(value: Any, protocol: int = 4) -> str:
    return base64.b64encode(zlib.compress(pickle.dumps(value, protocol))).decode()


def stdin_row(number: str = "abc400_a", day: str = "2024-11-09T00:00:00", **changes: Any) -> dict[str, Any]:
    return {
        "question_title": "Double",
        "question_content": "Print twice X.\r\nX is small.\n",
        "platform": "atcoder",
        "question_id": number,
        "contest_id": "abc400",
        "contest_date": day,
        "starter_code": "",
        "difficulty": "easy",
        "public_test_cases": json.dumps(cases(("1\n", "2\n"))),
        "private_test_cases": json.dumps(cases(("5\n", "10\n"))),
        "metadata": "{}",
    } | changes


def function_row(number: str = "3500", **changes: Any) -> dict[str, Any]:
    return stdin_row(
        number,
        question_title="Find the K-th Smallest, II",
        platform="leetcode",
        starter_code=STARTER,
        public_test_cases=json.dumps(cases(("[3, 1]\n1", "1"), kind="functional")),
        private_test_cases=packed(json.dumps(cases(('["a"]\nnull', "[true, null]"), kind="functional"))),
        metadata=json.dumps({"func_name": "smallest"}),
    ) | (changes)


def source(tmp_path: Path, *rows: dict[str, Any], **settings: Any) -> LiveCodeBench:
    path = tmp_path / "lcb.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return LiveCodeBench(path=str(path), **settings)


def test_a_standard_input_row(tmp_path: Path) -> None:
    (problem,) = source(tmp_path, stdin_row()).heldout()
    assert (problem.id, problem.style, problem.entry_point) == ("livecodebench/abc400_a", Style.STDIN, None)
    assert problem.statement == "Print twice X.\nX is small." and problem.signature == ""
    assert (problem.source, problem.difficulty) == ("livecodebench", "easy")
    assert problem.origins == ("atcoder/abc400_a",)
    assert problem.label is not None and problem.label.solution == ""
    assert problem.label.tests == (TestCase(stdin="1\n", stdout="2\n"), TestCase(stdin="5\n", stdout="10\n"))
    grading = problem.label.grading
    assert (grading.output, grading.seconds) == (OutputMatch.DECIMALS, 6.0) and "import *" in grading.prelude


def test_a_method_of_class_solution(tmp_path: Path) -> None:
    (problem,) = source(tmp_path, function_row()).heldout()
    assert (problem.style, problem.entry_point) == (Style.FUNCTION, "smallest")
    assert problem.signature == STARTER.rstrip()
    assert problem.origins == ("leetcode/find-the-k-th-smallest-ii",)
    assert problem.label is not None
    first, second = problem.label.tests
    assert first.code == "assert smallest([3, 1], 1) == 1"
    assert second.code == "assert smallest(['a'], None) in ([True, None], (True, None))"
    assert not any(test.code in problem.statement + problem.signature for test in problem.label.tests)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_packed_text_of_every_pickle_protocol(protocol: int) -> None:
    for text in ("", "plain", "é\n\u4e00" * 200, "x" * 300):
        assert unpacked_text(packed(text, protocol)) == text


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("/tmp/zerocoder-was-unpickled"),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (packed(Hostile()), "its pickle holds"),
        (packed(["a", "b"]), "its pickle holds EMPTY_LIST"),
        (packed(("a",)), "its pickle holds TUPLE1"),
        (packed(b"bytes"), "its pickle holds"),
        (base64.b64encode(zlib.compress(b"\x80\x04.")).decode(), "holds 0 texts"),
        (base64.b64encode(zlib.compress(b"\x8c\x01a\x8c\x01b.")).decode(), "holds 2 texts"),
        (base64.b64encode(zlib.compress(b"X\xff\xff\xff\x7fshort.")).decode(), "expected"),  # claims two gigabytes
        (base64.b64encode(zlib.compress(b"\x8d" + b"\xff" * 8 + b"short.")).decode(), "byte"),  # and eight exabytes
        (packed("cut")[:12], "cut off|not zlib|not base64"),
        ("?", "not base64"),
        (base64.b64encode(b"plain").decode(), "not zlib"),
    ],
)
def test_anything_but_one_text_is_refused_without_running_it(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        unpacked_text(text)
    assert not Path("/tmp/zerocoder-was-unpickled").exists()


def test_a_bomb_is_stopped_at_the_limit() -> None:
    bomb = packed("0" * 5_000_000)
    assert len(bomb) < 10_000
    with pytest.raises(ValueError, match="over 1000000 bytes"):
        unpacked_text(bomb, max_bytes=1_000_000)


def test_the_window_compares_dates_not_times(tmp_path: Path) -> None:
    days = ("2024-09-30T23:30:00", "2024-10-01T00:00:00", "2025-02-28T19:30:00", "2025-03-01T00:00:00")
    lcb = source(tmp_path, *(stdin_row(f"q{i}", day) for i, day in enumerate(days)))
    assert [p.id[-2:] for p in lcb.heldout()] == ["q1", "q2"]
    assert [p.id[-2:] for p in lcb.train()] == ["q0"] and lcb.train()[0].label is None
    assert lcb.report() == {"outside of the window of contest dates": 2}
    unlimited = source(tmp_path, *(stdin_row(f"q{i}", day) for i, day in enumerate(days)), start=None, end=None)
    assert len(unlimited.heldout()) == 4 and unlimited.train() == []


def test_styles_and_named_samples(tmp_path: Path) -> None:
    rows = [stdin_row(), function_row(), function_row("3600", contest_date="2023-05-01T00:00:00")]

    def ids(**settings: Any) -> list[str]:
        return [p.id.removeprefix("livecodebench/") for p in source(tmp_path, *rows, **settings).heldout()]

    assert ids(style="function") == ["3500"] and ids(style="stdin") == ["abc400_a"]
    assert ids(sample="livecodebench-2024-10") == ["abc400_a", "3500"]
    assert ids(sample="livecodebench-function") == ["3500", "3600"]
    assert source(tmp_path, *rows, style="function").report()["of style stdin"] == 1


def test_rows_without_private_tests_are_no_official_problems(tmp_path: Path) -> None:
    public = {k: v for k, v in stdin_row("q2").items() if k != "private_test_cases"}
    rows = (stdin_row("q0"), stdin_row("q1", private_test_cases=""), public, stdin_row("q3", private_test_cases="[]"))
    strict = source(tmp_path, *rows)
    assert [p.id[-2:] for p in strict.heldout()] == ["q0", "q3"]
    ((reason, count),) = strict.report().items()
    assert count == 2 and "private_tests=optional" in reason
    lenient = source(tmp_path, *rows, private_tests="optional")
    assert len(lenient.heldout()) == 4
    assert lenient.report() == {"kept, though judged by its public tests alone": 2}


def test_references_make_full_labels(tmp_path: Path) -> None:
    file = tmp_path / "references.jsonl"
    file.write_text(
        json.dumps({"id": "livecodebench/3500", "solution": "def smallest(xs, k): return min(xs)", "model": "m"})
        + "\n"
        + json.dumps({"id": "livecodebench/abc400_a", "solution": None})
    )
    stdin, function = source(tmp_path, stdin_row(), function_row(), references=str(file)).heldout()
    assert stdin.label is not None and stdin.label.solution == ""
    assert function.label is not None and function.label.solution == "def smallest(xs, k): return min(xs)"
    earlier = function_row(contest_date="2023-05-01T00:00:00")
    (trained,) = source(tmp_path, earlier, references=str(file)).train()
    assert trained.label is not None and trained.label.grading == GRADING


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"public_test_cases": "[]", "private_test_cases": "[]"}, "no tests"),
        ({"public_test_cases": json.dumps(cases(("1", "2"), kind="interactive"))}, "tests of type interactive, stdin"),
        (
            {"public_test_cases": json.dumps(cases(("[1, 2", "3"), kind="functional")), "private_test_cases": "[]"}
            | {"metadata": '{"func_name": "f"}'},
            "a test's arguments or result are no JSON values",
        ),
    ],
)
def test_rows_that_cannot_be_used_are_counted(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    lcb = source(tmp_path, stdin_row("good"), stdin_row("bad", **changes))
    assert [p.id for p in lcb.heldout()] == ["livecodebench/good"] and lcb.report() == {reason: 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"contest_date": "soon"}, r'lcb.jsonl:2: the field "contest_date" must be a date'),
        ({"public_test_cases": "[{"}, r'lcb.jsonl:2: the field "public_test_cases" is no JSON'),
        ({"public_test_cases": '{"a": 1}'}, r"must be a JSON list, got an object"),
        ({"public_test_cases": "[1]"}, r'"public_test_cases"\[0\] must be an object'),
        ({"public_test_cases": '[{"input": "1"}]'}, r'lcb.jsonl:2: the field "output" is missing'),
        ({"private_test_cases": "!!"}, r'"private_test_cases" is neither JSON nor packed text: not base64'),
        ({"question_id": 5}, r'the field "question_id" must be text, got a number'),
        ({"question_id": "good"}, r'the id "livecodebench/good" was used before, on line 1'),
    ],
)
def test_a_malformed_file_names_the_line(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ZeroCoderError, match=message):
        source(tmp_path, stdin_row("good"), stdin_row("bad") | changes).heldout()


def test_a_method_must_be_named(tmp_path: Path) -> None:
    with pytest.raises(ZeroCoderError, match=r"lcb.jsonl:1: .*func_name"):
        source(tmp_path, function_row(metadata="{}")).heldout()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"start": "October"}, r"data.source.start must be a date such as 2024-10-01, got 'October'"),
        ({"start": "2025-03-01"}, r"data.source.start=2025-03-01 is after data.source.end=2025-02-28"),
        ({"style": "functional"}, r"data.source.style must be one of all, function, stdin"),
        ({"private_tests": "no"}, r"data.source.private_tests must be one of required, optional"),
        ({"sample": "livecodebench-functions"}, r"unknown .*did you mean 'livecodebench-function'"),
        ({"sample": "livecodebench-function", "style": "stdin"}, r"has style=function, and data.source.style=stdin"),
        ({"sample": "livecodebench-2024-10", "end": "2025-01-01"}, r"has end=2025-02-28, .*leave one of the two out"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ZeroCoderError, match=message):
        LiveCodeBench(**settings)


def test_a_folder_with_half_the_window_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "livecodebench"
    folder.mkdir()
    monkeypatch.setenv("ZEROCODER_DATA", str(tmp_path))
    (folder / "test5.jsonl").write_text(json.dumps(stdin_row("five")) + "\n")
    with pytest.raises(ZeroCoderError, match=r"lacks test6.jsonl, which hold problems of the dates asked for"):
        LiveCodeBench().heldout()
    (folder / "test6.jsonl").write_text(json.dumps(stdin_row("six")) + "\n")
    assert [p.id[14:] for p in LiveCodeBench().heldout()] == ["five", "six"]
    with pytest.raises(ZeroCoderError, match=r"lacks test.jsonl, test2.jsonl, test3.jsonl, test4.jsonl,"):
        LiveCodeBench(start=None).heldout()


def day_of(row: dict[str, Any]) -> date:
    return date(*map(int, row["contest_date"].split("T")[0].split("-")))


@needs_real
@pytest.mark.parametrize("name", REAL)
def test_the_real_rows(name: str) -> None:
    rows = {f"livecodebench/{r['question_id']}": r for r in map(json.loads, REAL[name].read_text().splitlines())}
    everything = LiveCodeBench(path=str(REAL[name]), start=None, end=None, private_tests="optional")
    problems = everything.heldout()
    assert [p.id for p in problems] == list(rows)
    assert everything.report() == {"kept, though judged by its public tests alone": len(rows)}
    for problem in problems:
        check_real(problem, rows[problem.id])
    window = LiveCodeBench(path=str(REAL[name]), private_tests="optional")
    wanted = [i for i, r in rows.items() if date(2024, 10, 1) <= day_of(r) <= date(2025, 2, 28)]
    assert [p.id for p in window.heldout()] == wanted
    assert [p.id for p in window.train()] == [i for i, r in rows.items() if day_of(r) < date(2024, 10, 1)]
    assert LiveCodeBench(path=str(REAL[name])).heldout() == []


def check_real(problem: Problem, row: dict[str, Any]) -> None:
    shown = json.loads(row["public_test_cases"])
    assert problem.label is not None and len(problem.label.tests) == len(shown)
    assert (problem.style is Style.FUNCTION) == (row["platform"] == "leetcode") == bool(problem.signature)
    if problem.entry_point:
        assert f"def {problem.entry_point}(self" in problem.signature
        return
    assert [(t.stdin, t.stdout) for t in problem.label.tests] == [(t["input"], t["output"]) for t in shown]


@needs_real
def test_the_counts_of_the_real_rows() -> None:
    window = LiveCodeBench(path=str(REAL["v5v6_noprivate"]), private_tests="optional").heldout()
    assert len(window) == 170 and sum(p.style is Style.FUNCTION for p in window) == 57
    old = LiveCodeBench(path=str(REAL["v1_noprivate"]), sample="livecodebench-function", private_tests="optional")
    assert len(old.heldout()) == 122 and old.report()["of style stdin"] == 151


@needs_real
def test_the_complete_real_row() -> None:
    (problem,) = LiveCodeBench(path=str(ONE_COMPLETE), start=None).heldout()
    assert problem.origins == ("codeforces/1873/A",) and problem.label is not None
    inputs = [test.stdin for test in problem.label.tests]
    assert len(inputs) == 1 + 4 and inputs[0] == "6\nabc\nacb\nbac\nbca\ncab\ncba\n"


@needs_real
@pytest.mark.parametrize("name", REAL)
def test_packing_the_real_public_tests_changes_nothing(name: str, tmp_path: Path) -> None:
    rows = [json.loads(line) for line in REAL[name].read_text().splitlines()]
    plain = [{**r, "private_test_cases": r["public_test_cases"]} for r in rows]
    hidden = [{**r, "private_test_cases": packed(r["public_test_cases"])} for r in rows]
    settings = {"start": None, "end": None}
    assert source(tmp_path, *hidden, **settings).heldout() == source(tmp_path, *plain, **settings).heldout()
