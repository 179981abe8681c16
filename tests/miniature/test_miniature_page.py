"""From what runs leave on the disk to the page: files by hand, read and written by the real parts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml

from zerocoder.compose import load, to_dict
from zerocoder.evaluation.records import Answer, CoderItem, Item, TesterItem, read_items
from zerocoder.files import write_text
from zerocoder.miniature.evidence import read
from zerocoder.miniature.pace import Used
from zerocoder.miniature.page import write_page
from zerocoder.miniature.plan import BASE, FIXED, Plan, Run
from zerocoder.miniature.scores import ACCURACY, AVG, CAVG, MUTATION, PASS, RAISED, TAVG, measures, raised
from zerocoder.miniature.tables import mean_and_spread
from zerocoder.problems import TestCase

LEVELS = ("two steps", "three steps", "hand-written")
TAGS = ("selector/noise", "reward/coder", "truth/coder", "reward/tester_valid", "truth/tester")
SECONDS = {"rollout": 1.0, "execution": 5.0, "mutation": 3.0, "calibration": 0.2, "training": 0.8}


def item(number: int, level: str, right: bool, holds: int, kills: float) -> Item:
    """A problem whose program is right or raises, with four tests of which `holds` hold and kill a share of mutants."""
    answer = Answer("hash", "text", False, None)
    coder = CoderItem(answer, "def f(x): ...", ("pass",) if right else ("error",), right)
    tests = tuple(TestCase(code=f"assert f({n}) == {n}") for n in range(4))
    valid = tuple(n < holds for n in range(4))
    tester = TesterItem(answer, tests, ("pass",) * 4, valid, tuple(kills * ok for ok in valid), 3)
    return Item(f"p{number}", "builtin", level, (coder,), (tester,))


def items(right: int, holds: int) -> list[Item]:
    """Twelve problems, four a level; of each level `right` are solved."""
    return [item(4 * i + n, level, n < right, holds, 0.5) for i, level in enumerate(LEVELS) for n in range(4)]


def test_columns_by_hand() -> None:
    found = measures([item(0, "two steps", True, 3, 0.5), item(1, "three steps", False, 1, 1.0)], LEVELS)
    assert {name: m.value for name, m in found.items() if m.problems} == {
        "two steps": 1.0,
        "three steps": 0.0,
        PASS: 0.5,
        ACCURACY: 0.5,  # 4 of 8
        MUTATION: pytest.approx((3 * 0.5 + 1.0) / 8),
        RAISED: 0.5,
    }


def test_every_answer_counts() -> None:
    """Two answers to one problem, one of which fails outright and one of which is right."""
    one, other = item(0, "two steps", True, 3, 0.5), item(0, "two steps", False, 1, 0.5)
    both = replace(one, coder=one.coder + other.coder, tester=one.tester + other.tester)
    found = measures([both, item(1, "two steps", True, 4, 0.0)], LEVELS)
    assert (found[PASS].value, found[ACCURACY].value) == (0.75, 8 / 12)
    assert found[RAISED].value == pytest.approx(1 / 3)


def test_a_program_fails_outright_by_an_exception_or_by_not_being_there() -> None:
    answer = Answer("", "", False, "no code")
    assert raised(CoderItem(answer, None, (), False)) and raised(CoderItem(answer, "x", ("pass", "error"), False))
    assert not raised(CoderItem(answer, "x", ("pass", "fail"), False))


def test_items_are_read_as_they_were_written(tmp_path: Path) -> None:
    written = [*items(2, 3), Item("p", "s", "", (), (TesterItem(Answer("", "", True, "none"), (), (), (), (), 0),))]
    write_text(tmp_path / "items.jsonl", "".join(json.dumps(asdict(item)) + "\n" for item in written))
    assert read_items(tmp_path / "items.jsonl") == written


def test_mean_and_spread() -> None:
    assert mean_and_spread([1.0, 2.0, 3.0]) == "2.0 ± 1.0"
    assert mean_and_spread([4.0]) == mean_and_spread([4.0, 4.0, float("nan")]) == "4.0"
    assert mean_and_spread([]) == "–"


def leave_run(run: Run, noise: float) -> None:
    """What train.py leaves of a finished run."""
    from torch.utils.tensorboard.writer import SummaryWriter

    folder = run.folder / "nano" / "2026-01-01_00-00-00"
    folder.mkdir(parents=True)
    (folder.parent / "latest").symlink_to(folder.name)
    config = to_dict(load([*run.overrides, *FIXED]))
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    ranks = {"0": 5, "1": 10 + run.seed, "2": 15, "3": 8, "4": 2}
    (folder / "summary.json").write_text(json.dumps({"steps": run.steps, "ranks": ranks}))
    (folder / "environment.json").write_text(json.dumps({"git": {"revision": "abc", "changed": False}}))
    with SummaryWriter(folder / "tensorboard") as board:
        for step in range(run.steps):
            for number, tag in enumerate(TAGS):
                board.add_scalar(tag, noise + 0.1 * number, step)
            for stage, seconds in (SECONDS | {"execution": 5.0 + 0.1 * run.seed}).items():
                board.add_scalar(f"time/{stage}", seconds / 2, step)
                board.add_scalar(f"time/busy_{stage}", seconds, step)
            board.add_scalar("time/step", sum(SECONDS.values()) / 2, step)
    Used("training", run.settings[0], run.steps, 120.0, 90.0).write(run.folder)


def leave_scores(folder: Path, found: list[Item]) -> None:
    """What evaluate.py leaves of a finished evaluation."""
    lines = "".join(json.dumps(asdict(item)) + "\n" for item in found)
    write_text(folder / "items" / "model" / "builtin.jsonl", lines)
    write_text(folder / "results.json", "{}")


@pytest.fixture(scope="module")
def partial(at: Callable[[Path], Plan], tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Base, DyB4 with both seeds and CodeT with one; the evaluation of CodeT is not there."""
    plan = at(tmp_path_factory.mktemp("runs"))
    leave_scores(plan.scores_folder(None), items(1, 2))
    for run, solved in ((plan.run("dyb4", 0), 3), (plan.run("dyb4", 1), 4), (plan.run("codet", 0), None)):
        leave_run(run, 0.2 if solved else 0.4)
        if solved:
            leave_scores(plan.scores_folder(run), items(solved, 3))
    Used("training", "oracle", 6, 9.0, 9.0, "error: nothing is left").write(plan.run("oracle", 1).folder)
    return plan


def test_scores_of_settings_that_share_a_run_are_the_same(partial: Plan) -> None:
    left = read(partial)
    scores = left.evidence.scores
    assert {s: round(c[CAVG].value) for s, c in scores["dyb4"].items()} == {0: 75, 1: 100}
    assert scores["tau-2"] == scores["labels-10"] == scores["dyb4"] and scores["codet"] == scores["oracle"] == {}
    base = scores[BASE][0]
    assert (base[CAVG].value, base[ACCURACY].value, base[MUTATION].value) == (25.0, 50.0, 25.0)
    assert base[TAVG].value == 37.5 and base[AVG].value == 31.25 and base is scores[BASE][1]
    assert left.evidence.times["dyb4"][0] == pytest.approx(
        {"Rollout": 10, "Execution": 50, "Mutation": 30, "Calibration": 2, "RL Training": 8}
    )


def test_the_page_says_what_is_there_and_what_is_not(partial: Plan, tmp_path: Path) -> None:
    (tmp_path / "miniature-notes.md").write_text("## Notes\n\nWords by hand.\n")
    found = write_page(partial, tmp_path / "miniature.md")
    text = (tmp_path / "miniature.md").read_text()
    assert "**This page is not complete: 2 of 40 runs are there.**" in text
    assert "- codet (seed 0): not evaluated" in text and "- codet (seed 1): not run" in text
    assert "- maxpass (seed 0, 1): not run" in text and "- dyb4 (" not in text
    assert "- oracle (seed 1): error: nothing is left" in text
    assert "| Base model | – | 25.0 | 25.0 | 25.0 | 25.0 | 25.0 | 50.0 | 25.0 | 37.5 | 31.2 |" in text
    row = "| +ZeroCoder†, DyB4 | 2 |" + " **87.5 ± 17.7** |" * 5 + " **75.0** | **37.5** | **56.2** | **71.9 ± 8.8** |"
    assert row in text
    assert "| problems | 40 ± 1 | 36 ± 1 | 25 | 10 | 2 |" in text
    assert "| Execution | 5.05 ± 0.07 | 50.2 | 2.52 ± 0.04 | 50.2 | *47.6* |" in text
    assert text.rstrip().endswith("Words by hand.")
    assert text.count("![") == 3
    for name in ("noise", "filter-and-labels", "rewards"):
        assert (
            f"](images/miniature/{name}.svg)" in text and (tmp_path / "images" / "miniature" / f"{name}.svg").is_file()
        )
    assert f"Measured at the steps {', '.join(map(str, range(6)))} on 32 labelled problems" in text
    assert "which is before every 5th step here" in text
    dominates = next(f for f in found if "dominate the time" in f.claim)
    assert dominates.verdict == "reproduced" and f"| {dominates.claim} | **reproduced** |" in text


def test_the_page_of_nothing(at: Callable[[Path], Plan], tmp_path: Path) -> None:
    write_page(at(tmp_path / "runs"), tmp_path / "page.md")
    text = (tmp_path / "page.md").read_text()
    assert "0 of 40 runs are there" in text and "- base: not evaluated" in text
    assert "not decidable here" in text and "![" not in text
