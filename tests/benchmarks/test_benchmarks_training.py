"""The sides of the training benchmarks run and measure; what they measure is for a quiet machine."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
import torch

from benchmarks.decoding import measure as measure_decoding
from benchmarks.grpo_step import compare, random_folder, ratios, side
from benchmarks.memory_plan import planned
from benchmarks.report import Report
from zerocoder.nano import MODEL_DIR


@pytest.mark.slow
@pytest.mark.parametrize("name", ["grpo_ours", "pass_ours", "pass_bare", "peak_ours", "whole_ours"])
def test_a_side_measures_time_and_memory(name: str) -> None:
    measured = side(name, model=str(MODEL_DIR), samples=2, new_tokens=8, tokens=64, width=32, threads=1)
    assert len(measured["seconds"]) == len(measured["cpu_seconds"]) == 1
    assert measured["seconds"][0] > 0 and measured["peak_bytes"] > 0


@pytest.mark.slow
def test_the_plan_is_near_what_a_process_takes() -> None:
    """With buffers so large that what libraries load besides does not count."""
    with random_folder(100_000, hidden=64, layers=2) as folder:
        plan = planned(folder, tokens=1024, width=128, chunk=512)
        measured = side("whole_ours", model=str(folder), tokens=1024, width=128, chunk=512, threads=1)
    assert plan == pytest.approx(measured["peak_bytes"], rel=0.15)


def test_ratios_are_taken_round_by_round() -> None:
    def one(seconds: float) -> dict[str, list[float]]:
        return {"seconds": [seconds], "cpu_seconds": [2 * seconds]}

    pairs = [(one(1.0), one(2.0)), (one(10.0), one(15.0))]
    assert ratios(pairs, "seconds") == [2.0, 1.5]
    report = Report("training")
    compare(report, "a part", "others", pairs)
    assert [(f.name, f.unit, f.values) for f in report.figures] == [
        ("ours", "s", (1.0, 10.0)),
        ("others", "s", (2.0, 15.0)),
        ("ours", "CPU s", (2.0, 20.0)),
        ("others", "CPU s", (4.0, 30.0)),
    ]


def test_the_plan_knows_what_the_benchmark_does() -> None:
    small, large = (planned(Path(MODEL_DIR), tokens=tokens, width=64, chunk=16) for tokens in (128, 1024))
    assert 0 < small < large


def test_decoding_compares_the_same_answers() -> None:
    before = torch.get_num_threads()
    try:
        report = measure_decoding(Namespace(model="nano", problems=2, tokens=8, cores=2, rounds=1))
    finally:
        torch.set_num_threads(before)
    assert [(f.name, f.unit) for f in report.figures] == [
        ("one thread", "s"),
        ("2 threads", "s"),
        ("2 processes", "s"),
        ("one thread / 2 threads", "x"),
        ("one thread / 2 processes", "x"),
    ]
    assert report.facts["different answers, one thread and 2 processes"] == 0
