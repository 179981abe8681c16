"""A run's folder: made, locked, rewound and reopened."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from zerocoder.compose import load
from zerocoder.config import Config
from zerocoder.problems import ZeroCoderError
from zerocoder.runs import Layout, RunFolder, complete


def config(root: Path, *overrides: str) -> Config:
    return load([f"trainer.root={root}", *overrides])


def checkpoint(run: RunFolder, step: int, parts: tuple[str, ...] = ("trainer.ckpt", "hf/config.json")) -> Path:
    folder = run.checkpoint_path(step)
    for part in parts:
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        (folder / part).write_text("x")
    if "trainer.ckpt" in parts:
        with zipfile.ZipFile(folder / "trainer.ckpt", "w") as state:  # as torch.save writes it
            state.writestr("data.pkl", "x" * 100)
    Layout("auto", 1).write(folder)
    return folder


def sharded_checkpoint(run: RunFolder, step: int, layout: Layout) -> Path:
    """As DeepSpeed writes it."""
    folder = run.checkpoint_path(step)
    parts = ["mp_rank_00_model_states", *(f"zero_pp_rank_{n}_mp_rank_00_optim_states" for n in range(layout.ranks))]
    for part in parts:
        file = folder / "trainer.ckpt" / "checkpoint" / f"{part}.pt"
        file.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(file, "w") as state:
            state.writestr("data.pkl", "x" * 100)
    (folder / "hf").mkdir()
    (folder / "hf" / "config.json").write_text("{}")
    layout.write(folder)
    return folder


def closed(run: RunFolder) -> RunFolder:
    with run:
        return run


def test_a_new_run_has_its_config_and_is_the_latest(tmp_path: Path) -> None:
    first, second = RunFolder.create(config(tmp_path)), RunFolder.create(config(tmp_path))
    assert first.path != second.path and (tmp_path / "nano" / "latest").resolve() == second.path
    assert "max_steps" in (first.path / "config.yaml").read_text()
    second.write_environment("none", seed=3)
    environment = json.loads(second.environment_text())
    assert environment["seed"] == 3 and environment["packages"]["mutmut"].startswith("3.8")
    assert environment["hardware"]["cores"] == os.cpu_count()


def test_a_run_in_use_is_refused_and_free_after_its_process_died(tmp_path: Path) -> None:
    run = RunFolder.create(config(tmp_path))
    checkpoint(run, 2)
    with pytest.raises(ZeroCoderError, match="is in use by another process"):
        RunFolder.open_for_resume(config(tmp_path, "trainer.resume=latest"))
    closed(run)
    hold = f"import fcntl, os; f = os.open({str(run.path / '.lock')!r}, os.O_RDWR); fcntl.flock(f, 2); print(1, flush=1); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline()
        with pytest.raises(ZeroCoderError, match="in use"):
            RunFolder.open_for_resume(config(tmp_path, "trainer.resume=latest"))
        other.kill()
    assert RunFolder.open_for_resume(config(tmp_path, "trainer.resume=latest")).resume_step == 2


def test_resume_takes_the_newest_complete_checkpoint(tmp_path: Path) -> None:
    run = closed(RunFolder.create(config(tmp_path)))
    checkpoint(run, 2)
    checkpoint(run, 4)
    checkpoint(run, 6, parts=("trainer.ckpt",))  # its Hugging Face folder is missing
    (run.path / "checkpoints" / ".tmp-step_000008-abc").mkdir()
    again = RunFolder.open_for_resume(config(tmp_path, "trainer.resume=latest"))
    assert again.resume_step == 4 and again.resume_checkpoint == run.checkpoint_path(4) / "trainer.ckpt"
    closed(again)
    by_name = closed(RunFolder.open_for_resume(config(tmp_path, f"trainer.resume={run.checkpoint_path(2)}")))
    assert by_name.resume_step == 2
    assert [p.name for p in by_name.checkpoints()] == ["step_000002"]  # later steps are run again


def test_a_damaged_checkpoint_is_passed_over_with_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = closed(RunFolder.create(config(tmp_path)))
    checkpoint(run, 2)
    state = checkpoint(run, 4) / "trainer.ckpt"
    state.write_bytes(state.read_bytes()[:-30])
    (run.path / "checkpoints" / ".tmp-step_000006-abc").mkdir()
    again = closed(RunFolder.open_for_resume(config(tmp_path, "trainer.resume=latest")))
    assert again.resume_step == 2
    assert "step_000004 is damaged" in " ".join(capsys.readouterr().err.split())
    assert [p.name for p in (run.path / "checkpoints").iterdir()] == ["step_000002"]


@pytest.mark.parametrize("error", [ZeroCoderError("data.tau=3 keeps nothing"), KeyboardInterrupt()])
def test_a_mistake_or_an_interrupt_before_the_first_step_leaves_nothing(tmp_path: Path, error: BaseException) -> None:
    first = closed(RunFolder.create(config(tmp_path)))
    second = RunFolder.create(config(tmp_path))
    with pytest.raises(type(error)), second:
        raise error
    assert not second.path.exists()
    assert (tmp_path / "nano" / "latest").resolve() == first.path


def test_a_bug_before_the_first_step_leaves_the_log_and_does_not_keep_others_from_resuming(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older, old, *failing = (RunFolder.create(config(tmp_path)) for _ in range(4))
    checkpoint(closed(older), 2)
    checkpoint(closed(old), 4)
    for run in failing:
        with pytest.raises(ValueError, match="a bug"), run:
            raise ValueError("a bug")
    newest = failing[-1].path
    assert newest.exists() and (tmp_path / "nano" / "latest").resolve() == newest
    again = closed(RunFolder.open_for_resume(config(tmp_path, "trainer.resume=latest")))
    assert (again.path, again.resume_step) == (old.path, 4)
    said = " ".join(capsys.readouterr().err.split())
    assert f"{newest} ended before its first checkpoint; continuing {old.path}" in said


def test_a_run_at_work_is_not_passed_over_before_its_first_checkpoint(tmp_path: Path) -> None:
    checkpoint(closed(RunFolder.create(config(tmp_path))), 2)
    running = RunFolder.create(config(tmp_path))
    with pytest.raises(ZeroCoderError, match="in use"), running:
        RunFolder.open_for_resume(config(tmp_path, "trainer.resume=latest"))


def test_a_run_whose_checkpoints_are_damaged_is_not_passed_over(tmp_path: Path) -> None:
    checkpoint(closed(RunFolder.create(config(tmp_path))), 2)
    damaged = closed(RunFolder.create(config(tmp_path)))
    checkpoint(damaged, 4, parts=("trainer.ckpt",))
    with pytest.raises(ZeroCoderError, match=f"{damaged.path}/checkpoints holds no complete checkpoint"):
        RunFolder.open_for_resume(config(tmp_path, "trainer.resume=latest"))


def test_a_root_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    run = closed(RunFolder.create(config(Path("'~/runs'"))))
    assert run.path.parent == tmp_path / "runs" / "nano"
    checkpoint(run, 2)
    assert closed(RunFolder.open_for_resume(config(Path("'~/runs'"), "trainer.resume=latest"))).path == run.path


def test_the_first_run_of_an_experiment_leaves_no_dangling_link(tmp_path: Path) -> None:
    with pytest.raises(ZeroCoderError), RunFolder.create(config(tmp_path)):
        raise ZeroCoderError("data.tau=9 keeps nothing")
    assert list((tmp_path / "nano").iterdir()) == []


@pytest.mark.parametrize("error", [ZeroCoderError("no disk space"), KeyboardInterrupt(), ValueError("a bug")])
def test_what_was_learnt_stays_whatever_ends_the_run(tmp_path: Path, error: BaseException) -> None:
    run = RunFolder.create(config(tmp_path))
    with pytest.raises(type(error)), run:
        run.append_sample({"step": 0})
        raise error
    assert run.path.exists() and (tmp_path / "nano" / "latest").resolve() == run.path


def test_samples_are_rewound_to_the_checkpoint(tmp_path: Path) -> None:
    run = RunFolder.create(config(tmp_path))
    for step in range(4):
        run.append_sample({"step": step})
    with (run.path / "samples.jsonl").open("a") as file:
        file.write('{"step": 3, "cut off')
    checkpoint(run, 2)
    closed(run)
    RunFolder.open_for_resume(config(tmp_path, "trainer.resume=latest"))
    assert (run.path / "samples.jsonl").read_text() == '{"step": 0}\n{"step": 1}\n'


@pytest.mark.parametrize(
    ("resume", "message"),
    [
        ("latest", "there is no .*latest; start one without trainer.resume"),
        ("/nowhere", "there is no /nowhere; name a run's folder"),
    ],
)
def test_nothing_to_resume(tmp_path: Path, resume: str, message: str) -> None:
    with pytest.raises(ZeroCoderError, match=message):
        RunFolder.open_for_resume(config(tmp_path, f"trainer.resume={resume}"))


def test_a_run_without_checkpoint_cannot_resume(tmp_path: Path) -> None:
    closed(RunFolder.create(config(tmp_path)))
    with pytest.raises(ZeroCoderError, match="holds no complete checkpoint"):
        RunFolder.open_for_resume(config(tmp_path, "trainer.resume=latest"))
    assert not complete(tmp_path)


def test_other_settings_are_refused_and_longer_runs_are_not(tmp_path: Path) -> None:
    run = closed(RunFolder.create(config(tmp_path)))
    checkpoint(run, 2)
    with pytest.raises(ZeroCoderError, match=r"was run with trainer.seed=0 \(now 1\)"):
        RunFolder.open_for_resume(config(tmp_path, "trainer.resume=latest", "trainer.seed=1"))
    closed(RunFolder.open_for_resume(config(tmp_path, "trainer.resume=latest", "trainer.max_steps=99")))


def test_another_number_of_ranks_is_refused_where_the_state_has_a_part_for_each(tmp_path: Path) -> None:
    zero = ("trainer.accelerator=gpu", "trainer.strategy=deepspeed_stage_2", "trainer.devices=2")
    run = closed(RunFolder.create(config(tmp_path, *zero)))
    folder = sharded_checkpoint(run, 2, Layout("deepspeed_stage_2", 2))
    assert complete(folder)
    closed(RunFolder.open_for_resume(config(tmp_path, *zero, "trainer.resume=latest")))
    message = (
        r"in 2 parts, one for each rank of deepspeed_stage_2, and there are 4 ranks now: resume with 2 in all .*, or "
        rf"start anew from its weights with model\.path={folder / 'hf'}$"
    )
    with pytest.raises(ZeroCoderError, match=message):
        RunFolder.open_for_resume(config(tmp_path, *zero, "trainer.resume=latest", "trainer.num_nodes=2"))
    (folder / "trainer.ckpt" / "checkpoint" / "zero_pp_rank_1_mp_rank_00_optim_states.pt").unlink()
    assert not complete(folder)


def test_another_number_of_ranks_continues_where_the_state_is_one_file(tmp_path: Path) -> None:
    run = closed(RunFolder.create(config(tmp_path)))
    checkpoint(run, 2)
    again = closed(RunFolder.open_for_resume(config(tmp_path, "trainer.resume=latest", "trainer.devices=2")))
    assert again.resume_step == 2


def test_a_root_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    base = config(tmp_path)
    broken = replace(base, trainer=replace(base.trainer, root=str(tmp_path / "file")))
    with pytest.raises(ZeroCoderError, match=r"trainer.root=.*file: cannot write there"):
        RunFolder.create(broken)
