"""train.py with adapters: what a run leaves, and that a resumed one ends where the unbroken one does."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM
from user import User

from zerocoder.nano import MODEL_DIR

SETTINGS = ("model.lora.r=4", "algorithm.learning_rate=1e-3", "callbacks.checkpoints.every=1", "trainer.max_steps=2")


def state(run: Path, step: int) -> dict[str, Any]:
    return torch.load(run / "checkpoints" / f"step_{step:06}" / "trainer.ckpt", weights_only=False)


def test_adapters_train_are_saved_and_resume(user: User) -> None:
    done = user.train(*SETTINGS)
    assert done.returncode == 0, done.stderr[-3000:]
    (run,) = [p for p in (user.home / "runs").glob("*/*") if not p.is_symlink()]
    last = run / "checkpoints" / "step_000002"

    kept = state(run, 2)["state_dict"]
    assert kept and all(".lora_" in name for name in kept), "the frozen weights are those of model.path"
    sizes = [(last / name).stat().st_size for name in ("trainer.ckpt", "hf/model.safetensors")]
    assert sizes[0] < sizes[1] / 4
    initial = AutoModelForCausalLM.from_pretrained(MODEL_DIR).state_dict()
    merged = AutoModelForCausalLM.from_pretrained(last / "hf").state_dict()
    assert merged.keys() == initial.keys()
    moved = {name for name in merged if not torch.equal(merged[name].float(), initial[name].float())}
    assert moved and all(name.endswith("_proj.weight") for name in moved)
    assert all("lora_" in name for name in load_file(last / "adapter" / "adapter_model.safetensors"))

    resumed = User(user.home / "resumed")
    resumed.home.mkdir()
    folder = resumed.home / "runs" / run.parent.name / run.name
    shutil.copytree(run, folder)
    shutil.rmtree(folder / "checkpoints" / "step_000002")
    done = resumed.train(*SETTINGS, f"trainer.resume={folder}")
    assert done.returncode == 0, done.stderr[-3000:]
    again = state(folder, 2)["state_dict"]
    assert again.keys() == kept.keys() and all(torch.equal(again[name], kept[name]) for name in kept)
