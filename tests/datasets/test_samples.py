"""The paper's samples: drawn by the hashes of ids, alike on every machine and for every order of the rows."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest

from zerocoder.datasets.__main__ import run
from zerocoder.datasets.apps import Apps
from zerocoder.datasets.base import Row
from zerocoder.datasets.codeforces import Codeforces
from zerocoder.datasets.samples import DRAWN, Drawn, draw, drawn
from zerocoder.problems import Problem, Style, ZeroCoderError

APPS_300 = (["apps/test/0000", "apps/test/0047", "apps/test/0053"], "ab4037489915d004")
"""The first ids of the paper's sample, and a digest of all: the draw must not change once scores were published on it."""
SMALL = Drawn("small", "made", {"easy": 2, "hard": 1})


def parse(row: Row) -> Problem:
    return Problem(f"made/{row.fields['n']}", "s", Style.STDIN, source="made", difficulty=row.fields["difficulty"])


def rows(*entries: tuple[int, str]) -> list[Row]:
    return [Row(Path("made"), i, {"n": n, "difficulty": d}) for i, (n, d) in enumerate(entries, 1)]


def queue(numbers: range, difficulty: str) -> list[tuple[int, str]]:
    """Problems by the rule, spelt out: ascending SHA-256 of "<sample>:<id>"."""
    ranked = sorted(numbers, key=lambda n: hashlib.sha256(f"small:made/{n}".encode()).digest())
    return [(n, difficulty) for n in ranked]


def test_the_lowest_hashes_of_every_stratum_are_drawn_and_keep_the_rows_order() -> None:
    easy, hard = queue(range(40), "easy"), queue(range(40, 60), "hard")
    everything = sorted([*easy, *hard])
    problems, left_out = draw(rows(*everything), parse, SMALL)
    wanted = sorted([*easy[:2], *hard[:1]])
    assert [(int(p.id[5:]), p.difficulty) for p in problems] == wanted
    assert left_out == {"not drawn into small": 57}


def test_neither_the_order_nor_other_rows_change_the_draw() -> None:
    easy, hard = queue(range(40), "easy"), queue(range(40, 60), "hard")
    entries = [*easy, *hard]
    wanted = {p.id for p in draw(rows(*entries), parse, SMALL)[0]}
    for seed in range(5):
        Random(seed).shuffle(entries)
        assert {p.id for p in draw(rows(*entries), parse, SMALL)[0]} == wanted
    fewer = [*easy[:2], *easy[9:], *hard]  # undrawn rows go
    assert {p.id for p in draw(rows(*fewer), parse, SMALL)[0]} == wanted
    without_first = {p.id for p in draw(rows(*easy[1:], *hard), parse, SMALL)[0]}  # a drawn row goes: the next moves up
    assert without_first == wanted - {f"made/{easy[0][0]}"} | {f"made/{easy[2][0]}"}


def test_too_few_problems_are_all_taken_and_told() -> None:
    problems, left_out = draw(rows((1, "easy"), (2, "odd")), parse, SMALL)
    assert [p.id for p in problems] == ["made/1"]
    assert left_out == {"of difficulty odd": 1, "missing from small (easy)": 1, "missing from small (hard)": 1}


def test_an_id_that_comes_twice_is_refused() -> None:
    with pytest.raises(ZeroCoderError, match=r'made:3: the id "made/1" was used before, on made:1'):
        draw(rows((1, "easy"), (2, "easy"), (1, "easy")), parse, SMALL)


def test_names() -> None:
    assert drawn(None, "apps") is None
    assert drawn("apps-300", "apps") is DRAWN["apps-300"]
    assert DRAWN["apps-300"].sizes == {"introductory": 60, "interview": 180, "competition": 60}
    with pytest.raises(ZeroCoderError, match="data=apps has no sample 'apps300'; known: apps-300; did you mean"):
        Apps(sample="apps300")
    with pytest.raises(ZeroCoderError, match="data=codeforces has no sample 'apps-300'"):
        Codeforces(sample="apps-300")


def apps_test_split() -> list[dict[str, Any]]:
    """All 5000 ids of the published test split, with their difficulties."""
    ranges = {"interview": range(3000), "competition": range(3000, 4000), "introductory": range(4000, 5000)}
    tests = json.dumps({"inputs": ["1"], "outputs": ["1"]})
    return [
        {"problem_id": n, "question": "q", "solutions": "", "input_output": tests, "difficulty": d}
        for d, numbers in ranges.items()
        for n in numbers
    ]


def test_the_papers_apps_sample(tmp_path: Path) -> None:
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in apps_test_split()))
    apps = Apps(path=str(tmp_path / "test.jsonl"), sample="apps-300")
    problems = apps.heldout()
    assert Counter(p.difficulty for p in problems) == {"introductory": 60, "interview": 180, "competition": 60}
    assert apps.report() == {"not drawn into apps-300": 4700}
    ids = [p.id for p in problems]
    assert ids == sorted(ids) and ids[:3] == APPS_300[0]
    assert hashlib.sha256("\n".join(ids).encode()).hexdigest()[:16] == APPS_300[1]


def test_the_ids_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in apps_test_split()[:5]))
    assert run(["ids", "data=apps", f"data.source.path={tmp_path}/test.jsonl"]) == 0
    assert capsys.readouterr().out.splitlines() == [f"apps/test/{n:04d}" for n in range(5)]
    with pytest.raises(ZeroCoderError, match="ids takes settings only"):
        run(["ids", "--all"])
