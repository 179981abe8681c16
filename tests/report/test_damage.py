"""What is missing of a finished run's log."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from logged import write_run, write_scalars

from zerocoder.report.damage import damage
from zerocoder.report.logs import read_run

STEPS = 40


def finished(folder: Path) -> Path:
    """A run of 40 steps, and its summary that says so."""
    names = ("reward/coder", "time/step", "truth/coder")
    return write_run(folder, {name: [(n, 1.0) for n in range(STEPS)] for name in names}, summary={"steps": STEPS})


def events(run: Path) -> Path:
    [file] = (run / "tensorboard").glob("*.tfevents.*")
    return file


def overwrite(file: Path, start: int, count: int) -> None:
    content = bytearray(file.read_bytes())
    content[start : start + count] = b"\xa5" * count
    file.write_bytes(content)


def test_a_whole_log_and_one_that_is_written(tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    assert damage(read_run(run)) is None
    (run / "summary.json").unlink()
    overwrite(events(run), 1000, 200)
    assert damage(read_run(run)) is None  # nobody can say how long it should be


def test_bytes_in_the_middle(tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    file = events(run)
    # time/step is written after the whole of reward/coder: the middle of the file is the middle of time/step
    overwrite(file, file.stat().st_size // 2, 200)
    log = read_run(run)
    assert 0 < log.steps < STEPS
    assert damage(log) == f"the log is damaged after step {log.steps}: it has {log.steps} steps of 40 by summary.json"


def test_a_gap_between_two_files(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"time/step": [(n, 1.0) for n in range(10)]}, summary={"steps": STEPS})
    write_scalars(run, {"time/step": [(n, 1.0) for n in range(30, STEPS)]}, purge_step=30)
    assert damage(read_run(run)) == (
        "the log is damaged after step 10, or a resume from there has not finished: it has 20 steps of 40 by summary.json"
    )


@pytest.mark.parametrize("content", [b"", b"\0" * 300, b"\xff" * 300, b"no events at all" * 20])
def test_nothing_can_be_read(tmp_path: Path, content: bytes) -> None:
    run = finished(tmp_path / "run")
    file = events(run)
    file.write_bytes(content)
    told = damage(read_run(run))
    assert told == f"the log is damaged from its start ({file.name}): it has 0 steps of 40 by summary.json"


def test_no_events_file(tmp_path: Path) -> None:
    run = finished(tmp_path / "run")
    told = "tensorboard/ has no events file: there is no step to read of 40 by summary.json"
    events(run).unlink()
    assert damage(read_run(run)) == told
    shutil.rmtree(run / "tensorboard")
    assert damage(read_run(run)) == told


def test_a_summary_that_does_not_say_how_many(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"time/step": [(0, 1.0)]}, summary={"steps": "many"})
    assert damage(read_run(run)) is None
