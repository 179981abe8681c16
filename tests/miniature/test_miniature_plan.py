"""The plan: which runs there are, which are shared, and what makes a run another one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from zerocoder.compose import load, load_evaluation
from zerocoder.miniature import plan as planning
from zerocoder.miniature.__main__ import PAGE, evaluations, main, parse, training
from zerocoder.miniature.plan import FIXED, SETTINGS, Plan, Run, add
from zerocoder.problems import ZeroCoderError


@pytest.fixture
def plan(at: Callable[[Path], Plan], tmp_path: Path) -> Plan:
    return at(tmp_path)


def test_every_setting_of_the_tables_has_a_run_for_every_seed(plan: Plan) -> None:
    asked = {(name, run.seed) for run in plan.runs for name in run.settings}
    assert asked == {(setting.name, seed) for setting in SETTINGS for seed in (0, 1)}
    assert len(SETTINGS) == 22 and len(plan.runs) == 2 * 20
    shared = [run.settings for run in plan.runs if len(run.settings) > 1]
    assert shared == [("dyb4", "tau-2", "labels-10")] * 2  # tau = 2 and L = 10 are the method's own


def test_settings_are_what_their_names_say(plan: Plan) -> None:
    def config(name: str) -> object:
        return load([*plan.run(name, 1).overrides, *FIXED])

    one = config("b4-5-3-labelled")
    assert (one.selector.beta0, one.selector.alpha_xy, one.data.calibration) == (1e5, 1e3, 10)  # type: ignore[attr-defined]
    two = config("codet")
    assert (two.selector.name, two.data.calibration, two.trainer.seed) == ("codet", 0, 1)  # type: ignore[attr-defined]
    bare = config("dyb4-no-mutation")
    assert (bare.selector.name, bare.algorithm.lambda_low, bare.algorithm.lambda_high) == ("dyb4", 0, 0)  # type: ignore[attr-defined]
    assert config("tau-4").data.tau == 4 and config("labels-50").data.calibration == 50  # type: ignore[attr-defined]
    assert not config("dyb4").trainer.evaluate and config("dyb4").trainer.threads == 1  # type: ignore[attr-defined]


def test_runs_are_lighter_than_the_default_unless_told(tmp_path: Path) -> None:
    def sizes(steps: int | None, *overrides: str) -> tuple[int, int]:
        config = load([*planning.make_plan(tmp_path, [0], steps, overrides, None).runs[0].overrides, *FIXED])
        return config.data.batch_size, config.trainer.max_steps

    assert sizes(None) == (16, 40)
    assert sizes(3, "data.batch_size=4") == (4, 3)


def test_a_plan_says_what_all_its_runs_are_told(tmp_path: Path) -> None:
    """As it is: what was typed wins over what makes the runs lighter, and is there once."""
    made = planning.make_plan(tmp_path, [0], 3, ["data.batch_size=4", "data.limit=40"], None)
    assert made.extra == ("data.batch_size=4", "trainer.max_steps=3", "algorithm.learning_rate=1.5e-4", "data.limit=40")
    assert planning.make_plan(tmp_path, [0], None, [], None).extra == planning.LIGHTER


def test_checkpoints_are_evaluated_by_answers_sampled_as_in_training(tmp_path: Path) -> None:
    made = planning.make_plan(tmp_path, [0], None, ["rollout.solutions=6", "rollout.temperature=0.9"], None)
    evaluation = load_evaluation(made.evaluation)
    assert (evaluation.n, evaluation.temperature, evaluation.top_p) == (made.answers, 0.9, 1.0) == (6, 0.9, 1.0)


def test_runs_that_filter_alike_share_their_ranks(plan: Plan) -> None:
    of = {name: plan.run(name, 0).ranks for name in ("dyb4", "codet", "tau-4", "tau-0")}
    assert of["dyb4"] == of["codet"] == of["tau-4"] is not None and of["tau-0"] is None
    assert plan.run("dyb4", 1).ranks != of["dyb4"]


def test_what_decides_a_run_is_in_its_folder(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def folder(*overrides: str) -> Path:
        runs: dict[str, Run] = {}
        add(runs, SETTINGS[0], load([*plan.runs[0].overrides, *FIXED, *overrides]), (), plan.root)
        (run,) = runs.values()
        return run.folder

    same = plan.runs[0].folder
    assert same.parent == plan.root / "dyb4" / "seed0"
    assert folder() == folder("trainer.root=elsewhere", "verifier.workers=2") == same
    assert len({same, folder("rollout.temperature=0.5"), folder("trainer.max_steps=7")}) == 3
    monkeypatch.setattr(planning, "weights_digest", lambda model: "other weights")
    assert folder() != same
    monkeypatch.undo()
    monkeypatch.setattr(planning, "_training", lambda config: "other problems")
    assert folder() != same


def test_weights_are_known_by_their_content(tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    first = planning.weights_digest.__wrapped__(str(tmp_path))
    (tmp_path / "README.md").write_text("a card")
    assert planning.weights_digest.__wrapped__(str(tmp_path)) == first
    (tmp_path / "model.safetensors").write_bytes(b"x")
    assert planning.weights_digest.__wrapped__(str(tmp_path)) != first


def test_a_run_goes_on_from_its_checkpoint_and_is_done_after_its_last_step(plan: Plan, tmp_path: Path) -> None:
    run = replace(plan.run("dyb4", 0), folder=tmp_path / "my runs", steps=4)
    assert run.latest is None and run.finished is None and "trainer.resume=latest" not in run.command
    assert f"trainer.root='{run.folder}'" in run.command
    folder = run.folder / "nano" / "2026-01-01_00-00-00"
    folder.mkdir(parents=True)
    (folder.parent / "latest").symlink_to(folder.name)
    assert "trainer.resume=latest" not in run.command  # killed before its first checkpoint: it begins anew
    (folder / "checkpoints" / "step_000002").mkdir(parents=True)
    assert run.command[-1] == "trainer.resume=latest" and run.finished is None
    (folder / "summary.json").write_text(json.dumps({"steps": 3}))
    assert run.finished is None
    (folder / "summary.json").write_text(json.dumps({"steps": 4}))
    assert run.finished == folder


def test_jobs_are_what_is_not_done(plan: Plan) -> None:
    job = training(plan.run("codet", 1))
    assert (job.name, job.kind, job.script, job.steps) == ("codet seed 1", "training", "train.py", plan.runs[0].steps)
    (base,) = evaluations(plan, plan.runs)  # no run is finished
    assert base.setting == "base" and "model.path='nano'" in base.arguments()
    done = plan.scores_folder(None)
    done.mkdir(parents=True)
    (done / "results.json").write_text("{}")
    assert evaluations(plan, plan.runs) == []


def test_a_plan_is_printed_and_nothing_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = tmp_path / "runs"
    assert main(["--plan", "--only", "tau-2,codet", "--seeds", "3", "--steps", "2", "--root", str(root)]) == 0
    said = capsys.readouterr().out
    assert "dyb4 seed 3" in said and "dyb4 = tau-2 = labels-10" in said and "codet seed 3" in said
    assert "maxpass" not in said and "3 of 3 checkpoints to come" in said and "nothing has run here yet" in said
    assert not root.exists()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--only", "dyb5"], "unknown setting 'dyb5'; known: base, dyb4, maxpass"),
        (["--seeds", "0,x"], "whole numbers are expected"),
        (["--steps", "0"], "above 0"),
        (["--plan", "data.tua=2"], "data.tua"),
        (["--nothing"], "unrecognized arguments"),
    ],
)
def test_mistakes_are_told_in_one_line(argv: list[str], said: str, tmp_path: Path) -> None:
    with pytest.raises(ZeroCoderError) as error:
        main([*argv, "--root", str(tmp_path / "runs")])
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--root", "file"], "--root file: {}/file is no folder that can be written to"),
        (["--root", "file/x"], "--root file/x: {}/file is no folder that can be written to"),
        (["--root", "/proc/x"], "--root /proc/x: /proc is no folder that can be written to"),
        (["--out", "/proc/x/y.md"], "--out /proc/x/y.md: /proc is no folder that can be written to"),
        (["--out", "folder"], "folder is a folder: give the name of a file"),
        (["--out", "file/y.md"], "--out file/y.md: {}/file is no folder that can be written to"),
    ],
)
@pytest.mark.parametrize("plan", [["--plan"], []])
def test_places_that_cannot_be_written_are_told_before_anything_runs(
    argv: list[str], said: str, plan: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ZeroCoderError) as error:
        main([*plan, "--only", "base", *argv])
    assert said.format(tmp_path) in str(error.value)
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder"]


def test_the_default_page_is_that_of_the_docs() -> None:
    assert parse([]).seeds == (0, 1, 2) and parse([]).out is None
    assert Path(__file__).parents[2] / "docs" / "miniature.md" == PAGE
