"""`policy_weights` against what transformers and peft themselves write as a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import tiny_policy
from torch import Tensor
from transformers import PreTrainedModel
from two_ranks import run_two_ranks

from zerocoder.weights import is_sharded, policy_weights


def checkpoint(policy: PreTrainedModel, folder: Path) -> dict[str, Tensor]:
    policy.save_pretrained(folder)
    return load_file(folder / "model.safetensors")


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor], atol: float = 0) -> None:
    assert list(ours) == list(dict.fromkeys(ours)) and set(ours) == set(theirs)
    for name, tensor in theirs.items():
        assert torch.allclose(ours[name], tensor, rtol=0, atol=atol), name


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("bucket_bytes", [1, 20_000, 2**29])
def test_a_plain_policy_is_its_own_checkpoint(tied: bool, bucket_bytes: int, tmp_path: Path) -> None:
    policy = tiny_policy(tied=tied)
    ours = list(policy_weights(policy, bucket_bytes))
    assert len(ours) == len({name for name, _ in ours})
    assert ("lm_head.weight" in dict(ours)) is not tied
    assert_same(dict(ours), checkpoint(policy, tmp_path))
    assert not any(tensor.requires_grad for _, tensor in ours) and not is_sharded(policy)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lora_is_merged_on_the_way_and_left_as_it_is(dtype: torch.dtype, tmp_path: Path) -> None:
    peft = pytest.importorskip("peft")
    policy, plain = tiny_policy().to(dtype), tiny_policy().to(dtype)
    policy.add_adapter(peft.LoraConfig(r=4, lora_alpha=6, target_modules=["q_proj", "down_proj"]))
    torch.manual_seed(1)
    for name, parameter in policy.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    before = {name: p.clone() for name, p in policy.named_parameters()}
    ours = dict(policy_weights(policy, 10_000))
    with torch.no_grad():  # W + (alpha / r) B A, by hand
        for index, layer in enumerate(plain.model.layers):
            adapted = policy.model.layers[index]
            pairs = ((layer.self_attn.q_proj, adapted.self_attn.q_proj), (layer.mlp.down_proj, adapted.mlp.down_proj))
            for module, lora in pairs:
                a, b = lora.lora_A["default"].weight.float(), lora.lora_B["default"].weight.float()
                module.weight += (1.5 * b @ a).to(dtype)
    assert_same(ours, checkpoint(plain, tmp_path), atol=1e-6 if dtype is torch.float32 else 2**-7)
    assert not torch.equal(
        plain.model.layers[0].self_attn.q_proj.weight, tiny_policy().to(dtype).model.layers[0].self_attn.q_proj.weight
    )
    assert all(torch.equal(p, before[name]) for name, p in policy.named_parameters())
    policy.disable_adapters()
    assert_same(dict(policy_weights(policy)), checkpoint(tiny_policy().to(dtype), tmp_path / "base"))


def test_shards_of_zero_3_are_gathered_and_merged_bucket_by_bucket() -> None:
    pytest.importorskip("deepspeed")
    pytest.importorskip("peft")
    for told in run_two_ranks("zero3_weights.py"):
        assert told.splitlines()[-1] == "same 20"
