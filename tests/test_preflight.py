"""What is looked at before a run."""

from __future__ import annotations

import json
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch
from tiny import tiny_policy, tiny_tokenizer

from zerocoder import preflight
from zerocoder.compose import load
from zerocoder.config import Config
from zerocoder.problems import ZeroCoderError

TIMER = "lightning.pytorch.callbacks.Timer"
Usage = namedtuple("Usage", "total used free")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    tiny_policy().save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture
def problems(tmp_path: Path) -> Path:
    labelled = {"solution": "def f(x):\n    return x", "tests": ["assert f(1) == 1"]}
    rows = [{"id": n, "statement": "x", "entry_point": "f", **(labelled if n < 3 else {})} for n in range(6)]
    file = tmp_path / "problems.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def config(model: Path, problems: Path, *overrides: str) -> Config:
    return load(
        [
            f"model.path={model}",
            "data=jsonl",
            f"data.source.path={problems}",
            "data.batch_size=4",
            "data.calibration=3",
            "verifier.workers=1",
            f"trainer.root={problems.parent / 'runs'}",
            *overrides,
        ]
    )


def test_the_oracle_is_told_of_missing_labels_before_the_model_is_loaded(model: Path, problems: Path) -> None:
    with pytest.raises(ZeroCoderError, match=r"algorithm=oracle .* 3 of 6 training problems \('3' is the first\)"):
        preflight.check(config(model, problems, "algorithm=oracle"))


def test_a_run_that_can_start(model: Path, problems: Path) -> None:
    found = {done.name: done.found for done in preflight.check(config(model, problems))}
    assert str(model) in found["model"] and found["devices"] == "1 x cpu"
    assert found["data"] == "6 training problems, 3 labelled; 0 held out"
    assert not (problems.parent / "runs").exists()


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.batch_size=7"], "data.batch_size=7 is larger than the 6 training problems"),
        (["data.calibration=4"], "data.calibration=4 labelled problems are wanted, but only 3 of 6"),
        (["data.source.path=nowhere.jsonl"], "data.source.path=nowhere.jsonl: there is no such file"),
        (["trainer=gpu"], "trainer.accelerator=gpu: PyTorch sees no CUDA GPU; use trainer.accelerator=cpu"),
        (["trainer.accelerator=mps"], "use trainer.accelerator=cpu"),
        (["trainer.root=/proc/x"], "trainer.root=/proc/x: /proc is no folder that can be written to"),
        (["data.cache=/proc/x"], "data.cache=/proc/x: /proc is no folder that can be written to"),
        (["data.cache=/proc/x", "data.tau=0"], "data.cache=/proc/x: /proc is no folder that can be written to"),
        (["data.tau=9"], "data.tau=9 keeps no problem: of 8 solutions and 8 tests a matrix has at most rank 8"),
        (["data.tau=4", "rollout.tests=3"], "a matrix has at most rank 3; lower data.tau, or raise rollout.solutions"),
        (
            ["data.tau=4", "rollout.solutions=3", "algorithm.test_unit=assertion"],
            "data.tau=4 keeps no problem: of 3 solutions a matrix has at most rank 3",
        ),
        (["callbacks.extra=[{_target_: nope.X}]"], "callbacks.extra[0]: nope.X cannot be made: Error loading 'nope.X'"),
        (
            ["callbacks.extra=[{_target_: lightning.pytorch.callbacks.EarlyStopping}]"],
            "missing 1 required positional argument: 'monitor'",
        ),
        (
            [f"callbacks.extra=[{{_target_: {TIMER}, duration: '00:00:01:00'}},{{_target_: {TIMER}, duration: x}}]"],
            f"callbacks.extra[1]: {TIMER} cannot be made: ",
        ),
        (["callbacks.extra=[{_target_: os.getcwd}]"], "callbacks.extra[0]: os.getcwd is no Lightning callback"),
    ],
)
def test_what_is_missing_is_one_line(
    model: Path, problems: Path, overrides: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ZeroCoderError) as error:
        preflight.check(config(model, problems, *overrides))
    assert message in str(error.value) and "\n" not in str(error.value)


def test_what_is_kept_nowhere_needs_no_cache(model: Path, problems: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/x")
    found = preflight.check_filter(config(model, problems, "data.tau=0")).found
    assert found == "data.tau=0: all problems are kept"
    for overrides in (["data.tau=1"], ["data.tau=0", "algorithm=offline"]):
        with pytest.raises(ZeroCoderError, match="data.cache=null: /proc is no folder that can be written to"):
            preflight.check_filter(config(model, problems, *overrides))
    asserts = ("data.tau=8", "rollout.tests=3", "algorithm.test_unit=assertion", f"data.cache={problems.parent}")
    assert "up to 8" in preflight.check_filter(config(model, problems, *asserts)).found


def test_further_callbacks_are_made_for_a_try(model: Path, problems: Path) -> None:
    assert preflight.check_callbacks(config(model, problems)).found == "no further ones"
    settings = config(model, problems, f"callbacks.extra=[{{_target_: {TIMER}, duration: '00:00:01:00'}}]")
    assert preflight.check_callbacks(settings).found == f"also {TIMER}"


def test_more_gpus_than_there_are(model: Path, problems: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ZeroCoderError, match="trainer.devices=4: there are 1 GPUs here"):
        preflight.check(config(model, problems, "trainer=deepspeed", "trainer.strategy=auto"))


def test_deepspeed_is_named_with_its_command(model: Path, problems: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ZeroCoderError, match=r"needs DeepSpeed: pip install -e '.\[gpu\]'"):
        preflight.check_strategy(config(model, problems, "trainer=deepspeed"))


def test_deepspeed_without_a_gpu(model: Path, problems: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("deepspeed")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    settings = config(model, problems, "trainer=deepspeed", "trainer.accelerator=auto")
    with pytest.raises(ZeroCoderError, match="needs GPUs, and there are none here: set trainer.strategy=auto"):
        preflight.check_strategy(settings)


def test_weights_that_are_spread_cannot_be_sampled_from(
    model: Path, problems: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("deepspeed")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    zero3 = ("trainer=deepspeed", "trainer.strategy=deepspeed_stage_3_offload", "rollout=transformers")
    with pytest.raises(ZeroCoderError, match="set rollout=vllm, or trainer.strategy=deepspeed_stage_2"):
        preflight.check_strategy(config(model, problems, *zero3))
    found = preflight.check_strategy(config(model, problems, *zero3, "trainer.devices=1")).found
    assert found.endswith(
        "optimizer state, gradients, weights spread over 1 ranks, optimizer state and weights on the CPU"
    )


def test_disk_space_of_sharded_states_counts_the_weights_in_32_bit(
    model: Path, problems: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parameters = (model / "model.safetensors").stat().st_size // 4
    needed = parameters * (2 + 2 + 12) * 3
    for free, fits in ((needed - 1, False), (needed + 1, True)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: Usage(0, 0, free))
        if fits:
            preflight.check_disk(config(model, problems, "trainer=deepspeed"))
        else:
            with pytest.raises(ZeroCoderError, match="no disk space for the checkpoints: they need"):
                preflight.check_disk(config(model, problems, "trainer=deepspeed"))


def test_disk_space_is_asked_for_by_the_weights(model: Path, problems: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = (model / "model.safetensors").stat().st_size
    needed = 4 * stored * 3  # weights twice, two moments; two checkpoints are kept and a third is being written
    for free, fits in ((needed - 1, False), (needed + 1, True)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: Usage(0, 0, free))
        if fits:
            preflight.check_disk(config(model, problems))
        else:
            with pytest.raises(ZeroCoderError, match="no disk space for the checkpoints: they need"):
                preflight.check_disk(config(model, problems))
    # Half the size in memory, half the room.
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(0, 0, needed // 2 + 1))
    preflight.check_disk(config(model, problems, "model.dtype=bfloat16"))


def test_a_root_that_is_a_file(model: Path, problems: Path) -> None:
    with pytest.raises(ZeroCoderError, match="is no folder that can be written to"):
        preflight.check_disk(config(model, problems, f"trainer.root={problems}/runs"))


def test_a_hub_model_needs_no_network_to_be_checked(
    problems: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    chosen = config(Path("some-org/some-model"), problems)
    assert preflight.check_model(chosen).found == "some-org/some-model, not cached yet, will be downloaded from the hub"
    (tmp_path / "hub" / "models--some-org--some-model").mkdir(parents=True)
    assert preflight.check_model(chosen).found == "some-org/some-model, in the hub's cache"
    assert "known once the model is downloaded" in preflight.check_disk(chosen).found


def test_a_dry_run_tells_about_every_point(model: Path, problems: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert preflight.dry_run(config(model, problems)) == 0
    told = capsys.readouterr().out
    assert "in order, nothing was trained" in " ".join(told.split())
    points = ("model", "devices", "strategy", "rollout", "disk", "memory", "callbacks", "filter", "data", "verifier")
    for name in points:
        assert f" {name} " in told
    assert preflight.dry_run(config(model, problems, "data.batch_size=7", f"trainer.root={problems}/runs")) == 2
    told = capsys.readouterr().out
    assert "2 of 10 points not in order" in told and "data.batch_size=7" in told
