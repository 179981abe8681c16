"""CodeForces: rows made by the published columns, and real problems in the other forms that are read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from zerocoder.datasets.codeforces import Codeforces
from zerocoder.execution import Verdict, VerifierConfig
from zerocoder.interaction import label_job
from zerocoder.problems import Grading, OutputMatch, Program, Style, TestCase, ZeroCoderError

SHARED = Path(__file__).parents[2].parent / "shared" / "data"
needs_real = pytest.mark.skipif(not SHARED.exists(), reason="real rows are not at hand")

CHECKER = """\
import sys

def main(input_path, output_path, submission_path):
    n = int(open(input_path).read())
    parts = sorted(map(int, open(submission_path).read().split()))
    print(1 if len(parts) == 2 and sum(parts) == n else 0)

main(*sys.argv[1:])
"""
LATE, EARLY = 1733207100, 1504432800  # December 2024, September 2017


def row(number: str = "2046/A", **changes: Any) -> dict[str, Any]:
    """A row with all of the published columns."""
    contest, _, index = number.partition("/")
    return {
        "id": number,
        "aliases": None,
        "contest_id": contest,
        "contest_name": "Codeforces Round 990 (Div. 1)",
        "contest_type": "CF",
        "contest_start": LATE,
        "contest_start_year": 2024,
        "index": index,
        "time_limit": 2.0,
        "memory_limit": 512.0,
        "title": "Twice",
        "description": "Print twice\r\nthe number.",
        "input_format": "A number.",
        "output_format": None,
        "interaction_format": None,
        "note": "Easy.",
        "examples": [{"input": "1\n", "output": "2\n"}],
        "editorial": None,
        "rating": 1200,
        "tags": ["math"],
        "testset_size": 2,
        "official_tests": [{"input": "1\r\n", "output": "2\r\n"}, {"input": "5\r\n6\r\n", "output": "10\r\n"}],
        "official_tests_complete": True,
        "input_mode": "stdio",
        "generated_checker": None,
        "executable": True,
        "generated_tests": 0,
    } | changes


def write(path: Path, *rows: dict[str, Any]) -> str:
    if path.suffix == ".parquet":
        import pyarrow
        from pyarrow import parquet

        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(pyarrow.Table.from_pylist(list(rows)), path)
    else:
        path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    return str(path)


def heldout(tmp_path: Path, *rows: dict[str, Any], **settings: Any) -> Codeforces:
    return Codeforces(path=write(tmp_path / "test.jsonl", *rows), **settings)


def test_a_row_becomes_a_problem_that_shows_no_test(tmp_path: Path) -> None:
    (problem,) = heldout(tmp_path, row(aliases=["2047/C"])).heldout()
    assert (problem.id, problem.style, problem.signature) == ("codeforces/2046/A", Style.STDIN, "")
    assert problem.statement == (
        "Twice\n\nPrint twice\nthe number.\n\nInput\n\nA number.\n\n"
        "Example input\n\n1\n\nExample output\n\n2\n\nNote\n\nEasy."
    )
    assert (problem.source, problem.difficulty) == ("codeforces", "1200")
    assert problem.origins == ("codeforces/2046/A", "codeforces/2047/C")
    assert problem.label is not None and problem.label.solution == ""
    assert problem.label.tests == (TestCase(stdin="1\n", stdout="2\n"), TestCase(stdin="5\n6\n", stdout="10\n"))
    assert problem.label.grading == Grading(OutputMatch.NUMBERS, seconds=2.0, memory_mb=512)


def test_columns_may_be_null(tmp_path: Path) -> None:
    empty = ("title", "input_format", "note", "examples", "rating", "time_limit", "memory_limit", "testset_size")
    (problem,) = heldout(tmp_path, row(**dict.fromkeys(empty))).heldout()
    assert problem.statement == "Print twice\nthe number." and problem.difficulty == ""
    assert problem.label is not None and problem.label.grading == Grading(OutputMatch.NUMBERS)


def test_several_examples_are_numbered(tmp_path: Path) -> None:
    shown = [{"input": "1", "output": "2"}, {"input": "3", "output": "6"}]
    (problem,) = heldout(tmp_path, row(examples=shown)).heldout()
    assert "Example input 2\n\n3\n\nExample output 2\n\n6" in problem.statement


def test_a_checker_judges_in_place_of_the_expected_output(tmp_path: Path) -> None:
    tests = [{"input": "7\r\n", "output": "3 4\r\n"}]
    (problem,) = heldout(tmp_path, row(generated_checker=CHECKER, official_tests=tests)).heldout()
    assert problem.label is not None and problem.label.grading.checker == CHECKER.strip()
    programs = [Program(f"print({answer!r})") for answer in ("3 4", "1 6", "1 5", "7")]
    with VerifierConfig().build() as executor:
        (verdicts,) = executor.run([label_job(problem, programs)])
    assert [v == Verdict.PASS for v in verdicts[:, 0]] == [True, True, False, False]


def test_the_training_split_is_unlabelled(tmp_path: Path) -> None:
    source = Codeforces(
        path=write(tmp_path / "train.jsonl", row()), heldout_path=write(tmp_path / "t.jsonl", row("1/A"))
    )
    assert [(p.id, p.label) for p in source.train()] == [("codeforces/2046/A", None)]
    assert [p.id for p in source.heldout()] == ["codeforces/1/A"]


def test_the_published_parquet_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "codeforces"
    write(home / "verifiable" / "train-00000-of-00002.parquet", row("1/A"))
    write(home / "verifiable" / "train-00001-of-00002.parquet", row("1/B"))
    write(home / "verifiable" / "test-00000-of-00001.parquet", row("2/A", official_tests=[]), row("2/B"))
    write(home / "data" / "test-00000-of-00001.parquet", row("3/A"))
    monkeypatch.setenv("ZEROCODER_DATA", str(tmp_path))
    source = Codeforces()
    assert [p.id for p in source.train()] == ["codeforces/1/A", "codeforces/1/B"]
    assert [p.id for p in source.heldout()] == ["codeforces/2/B"] and source.report() == {"no tests": 1}
    assert [p.id for p in Codeforces(config="default").heldout()] == ["codeforces/3/A"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"official_tests": []}, "no tests"),
        ({"official_tests": None}, "no tests"),
        ({"input_mode": "file"}, "reads and writes files"),
        ({"interaction_format": "Ask the judge."}, "interactive"),
        ({"executable": False}, "its tests did not confirm known solutions"),
        ({"language": "cpp"}, "the same problem with a prompt for another language"),
        ({"description": None}, "no description"),
        ({"generated_checker": "#include <testlib.h>\nint main() {}"}, "its checker is no Python"),
    ],
)
def test_rows_that_cannot_be_used_are_counted(tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    source = heldout(tmp_path, row(), row("2046/B", **changes))
    assert [p.id for p in source.heldout()] == ["codeforces/2046/A"] and source.report() == {reason: 1}


def test_incomplete_tests_are_kept_without_those_that_were_cut_and_counted(tmp_path: Path) -> None:
    cut = {"input": "1 2 3 4...", "output": "5"}
    whole = row()["official_tests"]
    source = heldout(
        tmp_path,
        row("1/A"),
        row("1/B", official_tests=[*whole, cut], official_tests_complete=False),
        row("1/C", official_tests=[cut], official_tests_complete=False),
    )
    first, second = source.heldout()
    assert first.label is not None and second.label is not None and first.label.tests == second.label.tests
    assert source.report() == {"no tests": 1, "kept, though only a part of the official tests is known": 1}


def test_generated_tests_are_added(tmp_path: Path) -> None:
    folder = tmp_path / "generated"
    more = [
        {"problem_id": name, "input": f"{i}\r\n", "output": f"{2 * i}\r\n", "test_case_i": i}
        for name, i in (("852/B", 9), ("852/A", 2), ("852/A", 1))
    ]
    write(folder / "test_cases_0852.parquet", *more)
    settings = {"official_tests_complete": False, "generated_tests": 2}
    source = heldout(tmp_path, row("852/A", **settings), generated_tests=str(folder))
    (problem,) = source.heldout()
    assert problem.label is not None and source.report() == {}
    assert [t.stdin for t in problem.label.tests] == ["1\n", "5\n6\n", "1\n", "2\n"]
    assert problem.label.tests[-1].stdout == "4\n"
    with pytest.raises(ZeroCoderError, match=r"holds 0 tests of problem codeforces/853/A, and 2 are announced"):
        heldout(tmp_path, row("853/A", **settings), generated_tests=str(folder)).heldout()


def test_the_papers_sample_cannot_overlap_with_apps(tmp_path: Path) -> None:
    undated = row("4/A", contest_start=None)
    source = heldout(
        tmp_path, row("1/A"), row("2/A", contest_start=EARLY), row("3/A"), undated, sample="codeforces-300"
    )
    assert [p.id for p in source.heldout()] == ["codeforces/1/A", "codeforces/3/A"]
    assert source.report() == {
        "of a contest before APPS was published": 1,
        "no date of its contest to tell it from APPS's problems by": 1,
        "missing from codeforces-300": 298,
    }
    many = [row(f"{n}/{letter}") for n in range(2000, 2100) for letter in "ABCD"]
    drawn = heldout(tmp_path, *many, sample="codeforces-300").heldout()
    assert len(drawn) == 300 and drawn == heldout(tmp_path, *reversed(many), sample="codeforces-300").heldout()[::-1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": 7}, r'test.jsonl:2: the field "id" must be text'),
        ({"official_tests": ["1"]}, r'test.jsonl:2: the field "official_tests"\[0\] must be an object, got text'),
        ({"official_tests": [{"input": "1"}]}, r'test.jsonl:2: the field "output" is missing'),
        ({"time_limit": -1}, r'test.jsonl:2: the field "time_limit" must be a number above 0, got -1'),
        ({"id": "1/A"}, r'test.jsonl:2: the id "codeforces/1/A" was used before, on line 1'),
    ],
)
def test_a_malformed_file_names_the_line(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ZeroCoderError, match=message):
        heldout(tmp_path, row("1/A"), row("1/B") | changes).heldout()


def test_settings_that_are_refused() -> None:
    with pytest.raises(ZeroCoderError, match="data.source.config must be one of verifiable, default"):
        Codeforces(config="all")


@needs_real
def test_real_problems_of_codeelo() -> None:
    file = SHARED / "codeforces_codeelo.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    source = Codeforces(heldout_path=str(file))
    problems = source.heldout()
    assert len(problems) == len(rows) == 254 and source.report() == {} and source.train() == []
    for problem, fields in zip(problems, rows, strict=True):
        assert problem.label is not None and problem.style is Style.STDIN
        assert [(t.stdin, t.stdout) for t in problem.label.tests] == [
            (t["input"], t["output"]) for t in fields["tests"]
        ]
        assert "Time Limit:" not in problem.statement and "Tags:" not in problem.statement
        grading = problem.label.grading
        assert f"Time Limit: {round((grading.seconds or 0) * 1000)} ms" in fields["problem"]
        assert f"Memory Limit: {grading.memory_mb} MB" in fields["problem"]


@needs_real
def test_real_problems_of_codecontests() -> None:
    file = SHARED / "code_contests_test.jsonl.gz"
    rows = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    source = Codeforces(path=str(file))
    problems = source.heldout()
    assert len(problems) == len(rows) == 103 and source.report() == {}
    for problem, fields in zip(problems, rows, strict=True):
        assert problem.label is not None
        assert [t.stdin for t in problem.label.tests] == fields["tests"]["inputs"]
        assert [t.stdout for t in problem.label.tests] == fields["tests"]["outputs"]
        assert problem.label.grading.seconds and "Memory Limit" not in problem.statement


@needs_real
def test_problems_with_judges_as_functions_are_another_format() -> None:
    with pytest.raises(ZeroCoderError, match=r"special_judge.jsonl:1: no row of open-r1/codeforces: .*judge"):
        Codeforces(heldout_path=str(SHARED / "codeforces_codeelo_special_judge.jsonl")).heldout()
