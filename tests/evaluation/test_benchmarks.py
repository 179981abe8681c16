"""Benchmarks: the files of conf/benchmark, what chooses them, and the problems they hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from zerocoder.datasets.apps import Apps
from zerocoder.datasets.hub import MissingDataError
from zerocoder.datasets.jsonl import Jsonl
from zerocoder.datasets.mbpp import Mbpp
from zerocoder.evaluation.benchmarks import (
    PAPER,
    Benchmark,
    known_benchmarks,
    load_benchmarks,
    sample,
    select,
)
from zerocoder.problems import Label, Problem, Role, TestCase, ZeroCoderError

FILES = Path(__file__).parents[2] / "conf" / "benchmark"
ROW = {"id": "a", "statement": "s", "entry_point": "f", "solution": "def f(): return 1", "tests": ["assert f() == 1"]}


class Source:
    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems

    def train(self) -> list[Problem]:
        return []

    def heldout(self) -> list[Problem]:
        return self.problems

    def report(self) -> dict[str, int]:
        return {}


def problems(count: int) -> list[Problem]:
    label = Label("def f(): pass", (TestCase(code="assert f() is None"),))
    return [Problem(str(i), "s", entry_point="f", label=label) for i in range(count)]


@pytest.fixture
def no_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No data set is on this machine, and there is no network; the folder where they would be looked for."""
    import huggingface_hub.constants

    monkeypatch.setenv("ZEROCODER_DATA", str(tmp_path))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path


def names(specs: list[str], **changes: Any) -> list[str]:
    return [benchmark.name for benchmark, _ in load_benchmarks(specs, FILES, changes)]


def test_every_file_is_a_benchmark_in_the_form_that_a_user_chooses() -> None:
    for name in known_benchmarks(FILES):
        spec = f"{name}:problems.jsonl" if name == "jsonl" else name
        [(benchmark, optional)] = load_benchmarks([spec], FILES)
        assert (benchmark.name, benchmark.spec, optional) == (name, spec, False)
        assert benchmark.title
        assert benchmark.roles


def test_a_sample_is_seeded_and_in_order() -> None:
    some = [int(p.id) for p in sample(problems(20), 5, 1, "b")]
    assert len(some) == 5
    assert some == sorted(some)
    assert [int(p.id) for p in sample(problems(20), 5, 1, "b")] == some
    assert [int(p.id) for p in sample(problems(20), 5, 2, "b")] != some
    assert len(sample(problems(20), 99, 0, "b")) == len(sample(problems(20), None, 0, "b")) == 20


def test_a_benchmark_needs_labelled_problems() -> None:
    with pytest.raises(ZeroCoderError, match="benchmark b has no held-out problems"):
        Benchmark("b", "B", Source([])).problems()
    with pytest.raises(ZeroCoderError, match="benchmark b: problem 0 has no tests"):
        Benchmark("b", "B", Source([problems(1)[0].unlabelled()])).problems()


def test_a_benchmark_by_its_name_and_file() -> None:
    (mbpp, _), (mine, _), (apps, _) = load_benchmarks(["mbpp:a/mbpp.jsonl", "jsonl:mine.jsonl", "apps:t.jsonl"], FILES)
    assert (mbpp.name, mbpp.source) == ("mbpp", Mbpp("a/mbpp.jsonl"))
    assert mine.name == "jsonl"
    assert mine.source == Jsonl("mine.jsonl", "mine.jsonl")
    assert apps.source == Apps(heldout_path="t.jsonl", sample="apps-300")
    assert apps.roles == (Role.CODER,)


def test_two_files_of_one_benchmark_are_called_by_their_files() -> None:
    assert names(["jsonl:a.jsonl", "jsonl:b.jsonl", "jsonl:a.jsonl"]) == ["jsonl:a.jsonl", "jsonl:b.jsonl"]


def test_groups() -> None:
    assert names(["paper"]) == list(PAPER)
    assert names(["builtin", "paper", "mbpp"]) == ["builtin", *PAPER]
    everything = load_benchmarks(["mbpp", "all"], FILES)
    assert {b.name for b, _ in everything} == set(known_benchmarks(FILES)) - {"jsonl"}  # which only a user can name
    assert [b.name for b, optional in everything if not optional] == ["mbpp"]


def test_what_a_file_says_can_be_changed() -> None:
    [(mbpp, _)] = load_benchmarks(["mbpp"], FILES, {"mbpp": {"source": {"show_tests": 3}, "roles": ["tester"]}})
    assert mbpp.source == Mbpp(show_tests=3)
    assert mbpp.roles == (Role.TESTER,)


@pytest.mark.parametrize(
    ("spec", "changes", "message"),
    [
        ("mbbp", {}, "unknown benchmark 'mbbp'; known: .*mbpp.*, paper, all; did you mean 'mbpp'?"),
        ("papers", {}, "did you mean 'paper'?"),
        ("jsonl", {}, "benchmark jsonl needs its file: benchmarks=jsonl:<file>"),
        ("builtin:x.jsonl", {}, "benchmark builtin takes no file, got 'x.jsonl'"),
        ("paper:x.jsonl", {}, "paper is several benchmarks and takes no file"),
        ("mbpp", {"mbbp": {}}, "unknown benchmark 'mbbp'"),
        (
            "mbpp",
            {"mbpp": {"source": {"show_test": 3}}},
            "benchmark.mbpp: unknown key 'source.show_test'; did you mean",
        ),
        ("mbpp", {"mbpp": {"roles": ["codr"]}}, "benchmark.mbpp: roles.0. must be one of coder, tester"),
    ],
)
def test_bad_benchmarks_are_one_line(spec: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ZeroCoderError, match=message):
        load_benchmarks([spec], FILES, changes)


def test_a_file_that_is_no_benchmark(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("title: mine\n")
    with pytest.raises(ZeroCoderError, match=r"mine.yaml is no benchmark: title and source"):
        load_benchmarks(["mine"], tmp_path)


def test_missing_data_is_refused_or_left_out(no_data: Path) -> None:
    told: list[str] = []
    with pytest.raises(
        MissingDataError, match=r"^benchmark mbpp_sanitized: .* is not on this machine .* put .* under "
    ):
        select(["mbpp_sanitized", "builtin"], FILES, {}, None, 0, told.append)
    assert told == []
    (chosen,) = select(["all"], FILES, {}, None, 0, told.append)
    assert chosen.benchmark.name == "builtin"
    missing = set(known_benchmarks(FILES)) - {"jsonl", "builtin"}
    assert sorted(line.partition(":")[0] for line in told) == ["left out"] * len(missing)
    assert {line.split()[3].rstrip(":") for line in told} == missing
    assert all("benchmarks=" in line for line in told)


def test_missing_files_are_told_in_the_words_of_this_command(no_data: Path) -> None:
    with pytest.raises(ZeroCoderError, match=r"^benchmarks=jsonl:nowhere.jsonl: there is no such file"):
        select(["jsonl:nowhere.jsonl"], FILES, {}, None, 0, print)
    (no_data / "mine.jsonl").write_text('{"task_id": "HumanEval/0"}')
    with pytest.raises(ZeroCoderError, match=r"mine.jsonl:1: "):
        select([f"mbpp:{no_data / 'mine.jsonl'}"], FILES, {}, None, 0, print)


def test_tests_need_references(tmp_path: Path) -> None:
    rows = [ROW, {k: v for k, v in ROW.items() if k != "solution"} | {"id": "b"}]
    file = tmp_path / "mine.jsonl"
    told: list[str] = []
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    tests_only = {"jsonl": {"roles": ["tester"]}}
    (chosen,) = select([f"jsonl:{file}"], FILES, tests_only, None, 0, told.append)
    assert [p.id for p in chosen.problems] == ["a"]
    file.write_text(json.dumps(rows[1]))
    (chosen,) = select([f"jsonl:{file}", "builtin"], FILES, tests_only, 3, 0, told.append)
    assert chosen.benchmark.name == "builtin"
    assert told == ["left out: benchmark jsonl judges tests, and no problem has a reference solution"]
    with pytest.raises(ZeroCoderError, match="benchmark jsonl judges tests, and no problem has a reference"):
        select([f"jsonl:{file}"], FILES, tests_only, None, 0, told.append)


def test_the_problems_and_how_they_were_chosen(tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps(ROW | {"id": str(i)}) + "\n" for i in range(5)))
    (everything,) = select([f"jsonl:{file}"], FILES, {}, None, 0, print)
    assert (len(everything.problems), everything.sample) == (5, "all")
    (some,) = select([f"jsonl:{file}"], FILES, {"jsonl": {"sample": "mine"}}, 2, 7, print)
    assert (len(some.problems), some.sample) == (2, "2 of 5 (seed 7), mine")
    assert (some.task.name, list(some.task.problems), some.task.roles) == ("jsonl", list(some.problems), tuple(Role))
