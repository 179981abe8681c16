"""Benchmarks: the held-out problems of the data sets in conf/data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zerocoder.datasets.jsonl import Jsonl
from zerocoder.datasets.mbpp import Mbpp
from zerocoder.evaluation.benchmarks import Benchmark, load_benchmarks
from zerocoder.problems import Label, Problem, TestCase, ZeroCoderError

DATA = Path(__file__).parents[2] / "conf" / "data"


class Source:
    def __init__(self, problems: list[Problem]) -> None:
        self.problems = problems

    def train(self) -> list[Problem]:
        return []

    def heldout(self) -> list[Problem]:
        return self.problems


def problems(count: int) -> list[Problem]:
    label = Label("def f(): pass", (TestCase(code="assert f() is None"),))
    return [Problem(str(i), "s", entry_point="f", label=label) for i in range(count)]


def test_a_benchmark_limits_by_a_seeded_sample_in_order() -> None:
    benchmark = Benchmark("b", Source(problems(20)))
    some = [int(p.id) for p in benchmark.problems(limit=5, seed=1)]
    assert len(some) == 5
    assert some == sorted(some)
    assert [int(p.id) for p in benchmark.problems(limit=5, seed=1)] == some
    assert [int(p.id) for p in benchmark.problems(limit=5, seed=2)] != some
    assert len(benchmark.problems(limit=99)) == len(benchmark.problems()) == 20


def test_a_benchmark_needs_labelled_problems() -> None:
    with pytest.raises(ZeroCoderError, match="benchmark b has no held-out problems"):
        Benchmark("b", Source([])).problems()
    with pytest.raises(ZeroCoderError, match="benchmark b: problem 0 has no tests"):
        Benchmark("b", Source([problems(1)[0].unlabelled()])).problems()


def test_a_data_set_is_a_benchmark_by_its_name_and_file() -> None:
    mbpp, mine = load_benchmarks(["mbpp:a/mbpp.jsonl", "jsonl:mine.jsonl"], DATA)
    assert (mbpp.name, mbpp.source) == ("mbpp", Mbpp("a/mbpp.jsonl"))
    assert mine.name == "jsonl"
    assert isinstance(mine.source, Jsonl)
    assert mine.source.heldout_path == "mine.jsonl"


def test_two_files_of_one_data_set_are_called_by_their_files() -> None:
    specs = ["jsonl:a.jsonl", "jsonl:b.jsonl", "jsonl:a.jsonl"]
    assert [b.name for b in load_benchmarks(specs, DATA)] == ["jsonl:a.jsonl", "jsonl:b.jsonl"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mbbp", "unknown benchmark 'mbbp'; known: .*mbpp.*; did you mean 'mbpp'?"),
        ("mbpp", "benchmark mbpp needs its file: benchmarks=mbpp:<file>"),
        ("builtin:x.jsonl", "benchmark builtin takes no file, got 'x.jsonl'"),
    ],
)
def test_bad_benchmarks_are_one_line(spec: str, message: str) -> None:
    with pytest.raises(ZeroCoderError, match=message):
        load_benchmarks([spec], DATA)


def test_held_out_problems_come_from_the_file(tmp_path: Path) -> None:
    row = {"id": "a", "statement": "s", "entry_point": "f", "tests": ["assert f() == 1"]}
    (tmp_path / "mine.jsonl").write_text(json.dumps(row))
    (benchmark,) = load_benchmarks([f"jsonl:{tmp_path / 'mine.jsonl'}"], DATA)
    assert [p.id for p in benchmark.problems()] == ["a"]
