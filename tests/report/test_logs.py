"""A run's folder as numbers: every scalar, what a resume took back, a run that is still written, and mistakes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from logged import CONFIG, write_run, write_scalars

from zerocoder.problems import ZeroCoderError
from zerocoder.report.logs import find_runs, is_run, read_run

STEPS = [(0, 2.0), (1, 4.0), (2, 3.0)]


def test_everything_that_a_run_wrote(tmp_path: Path) -> None:
    log = "19:37:46 run folder\n19:37:47 warning: it is late\n19:37:48 step 1\n19:37:49 warning: it is late\n"
    scores = {"pass_at": {"1": 0.5}, "test_accuracy": 0.25}
    summary = {"steps": 3, "heldout_before": scores}
    points = {"time/step": STEPS, "reward/coder": [(0, 0.5), (2, math.nan)], "selector/noise": [(0, 0.125)]}
    folder = write_run(tmp_path / "nano" / "today", points, summary=summary, before=scores, log=log)
    run = read_run(folder)
    assert run.folder == folder and run.name == "nano/today"
    assert run.config == CONFIG and run.seed == 0
    assert run.environment["python"] == "3.11.7"
    assert run.summary == summary and run.finished and run.steps == 3
    assert run.evaluation == {"before": scores}
    assert run.warnings == ("it is late",)
    assert sorted(run.scalars) == ["reward/coder", "selector/noise", "time/step"]
    assert run.scalars["time/step"].steps.tolist() == [0, 1, 2]
    assert run.scalars["time/step"].values.tolist() == [2.0, 4.0, 3.0]
    np.testing.assert_array_equal(run.scalars["reward/coder"].values, [0.5, math.nan])


def test_what_a_resume_took_back_is_not_there(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", {"time/step": [(n, 1.0) for n in range(6)], "reward/coder": [(4, 1.0)]})
    write_scalars(folder, {"time/step": [(3, 9.0), (4, 8.0)], "reward/coder": [(3, 0.25)]}, purge_step=3)
    run = read_run(folder)
    assert run.scalars["time/step"].steps.tolist() == [0, 1, 2, 3, 4]
    assert run.scalars["time/step"].values.tolist() == [1.0, 1.0, 1.0, 9.0, 8.0]
    assert run.scalars["reward/coder"].steps.tolist() == [3]


def test_a_run_is_read_while_it_is_written(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", {})
    run = read_run(folder)
    assert (run.steps, run.scalars, run.summary, run.evaluation, run.finished) == (0, {}, {}, {}, False)
    write_scalars(folder, {"time/step": STEPS})
    [events] = (folder / "tensorboard").iterdir()
    whole = events.read_bytes()
    steps = []
    for size in (*range(0, len(whole), 5), len(whole)):
        events.write_bytes(whole[:size])
        steps.append(read_run(folder).steps)
    assert steps == sorted(steps) and set(steps) == {0, 1, 2, 3}


def test_runs_are_found(tmp_path: Path) -> None:
    late = write_run(tmp_path / "b" / "nano" / "2", {})
    early = write_run(tmp_path / "b" / "nano" / "1", {})
    other = write_run(tmp_path / "a" / "nano" / "3", {})
    (early / "checkpoints" / "step_000001").mkdir(parents=True)
    (early / "checkpoints" / "step_000001" / "config.yaml").touch()  # nothing inside of a run is a run
    write_run(tmp_path / "b" / ".tmp" / "4", {})
    latest = tmp_path / "b" / "nano" / "latest"
    latest.symlink_to("2")
    assert find_runs([tmp_path / "b"]) == [early, late]
    assert find_runs([latest, tmp_path]) == [late, other, early]
    assert is_run(latest) and not is_run(tmp_path)


def test_mistakes_are_told(tmp_path: Path) -> None:
    run = write_run(tmp_path / "runs" / "nano" / "1", {})
    (tmp_path / "gone").symlink_to("nowhere")
    (tmp_path / "empty").mkdir()
    for place, told in {
        tmp_path / "rans": r"rans: there is no such folder; .* has empty, runs",
        tmp_path / "gone": "points to nowhere, which is gone",
        tmp_path / "empty": "none below it",
        run / "config.yaml": "a file; name a run's folder",
    }.items():
        with pytest.raises(ZeroCoderError, match=told):
            find_runs([place])
    with pytest.raises(ZeroCoderError, match="no run's folder"):
        read_run(tmp_path / "empty")
    for name, text in {
        "summary": '{"steps": ', "evaluation_before": '{"pass_at": 3}', "evaluation_after": '{"test_accuracy": "good"}',
        "environment": '{"packages": 3}',
    }.items():  # fmt: skip
        file = run / f"{name}.json"
        before = file.read_text() if file.exists() else "{}"
        file.write_text(text)
        with pytest.raises(ZeroCoderError, match=rf"{name}\.json: damaged.*; remove it to leave it out"):
            read_run(run)
        file.write_text(before)
    (run / "summary.json").unlink()
    (run / "summary.json").mkdir()
    with pytest.raises(ZeroCoderError, match=r"summary\.json: cannot be read: Is a directory"):
        read_run(run)
    (run / "summary.json").rmdir()
    for text in (
        "seed: [",
        "just a line",
        json.dumps({"trainer": {}}),
        "trainer: {seed: 0}",
        "trainer: {seed: 0}\n1: x",
    ):
        (run / "config.yaml").write_text(text)
        with pytest.raises(ZeroCoderError, match=r"config\.yaml: not the config of a run"):
            read_run(run)
