"""Adapters: what trains, what the reference is, what is saved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from test_grpo import CPU, SAMPLES
from tiny import tiny_policy
from transformers import AutoModelForCausalLM, PreTrainedModel

pytest.importorskip("peft")

from peft import PeftModel

from zerocoder.compose import load
from zerocoder.config import AlgorithmConfig, LoraConfig, TrainerConfig
from zerocoder.experience import Experience, collate
from zerocoder.learner import Learner
from zerocoder.logprobs import check_head, completion_logprobs
from zerocoder.lora import add_adapters, linear_layers, save_adapter
from zerocoder.problems import ZeroCoderError
from zerocoder.reference import WithoutAdapters
from zerocoder.weights import policy_weights
from zerocoder.world import current

ALL = ["down_proj", "gate_proj", "k_proj", "o_proj", "q_proj", "up_proj", "v_proj"]


def adapted(tied: bool = True) -> PreTrainedModel:
    policy = tiny_policy(tied=tied)
    add_adapters(policy, LoraConfig(r=3, alpha=6.0))
    return policy


def train(policy: PreTrainedModel, steps: int = 3) -> Learner:
    learner = Learner(policy, WithoutAdapters(policy), AlgorithmConfig(), TrainerConfig(), 0.7, current())
    optimizer = torch.optim.AdamW([p for p in policy.parameters() if p.requires_grad], lr=0.03)
    experience = Experience(tuple(learner.with_reference(SAMPLES, CPU)))
    for _ in range(steps):
        optimizer.zero_grad()
        for batch, _ in learner.micro_batches(experience, CPU):
            learner.loss(batch)[0].backward()
        optimizer.step()
    return learner


def logprobs(policy: PreTrainedModel) -> torch.Tensor:
    with torch.no_grad():
        return completion_logprobs(policy, collate(SAMPLES, 0, CPU), 0.7, 16).logprobs


def test_adapters_begin_as_nothing_and_alone_get_a_gradient() -> None:
    policy = adapted()
    check_head(policy)
    assert torch.equal(logprobs(policy), logprobs(tiny_policy()))
    completion_logprobs(policy, collate(SAMPLES, 0, CPU), 0.7, 16).logprobs.sum().backward()
    trained = {name for name, p in policy.named_parameters() if p.requires_grad}
    assert trained == {name for name, p in policy.named_parameters() if p.grad is not None}
    assert all(".lora_A." in name or ".lora_B." in name for name in trained) and len(trained) == 2 * 7 * 2
    # r (in + out) for each of two layers: hidden 32, keys and values 16, intermediate 64
    by_hand = 2 * 3 * (2 * (32 + 32) + 2 * (32 + 16) + 3 * (32 + 64))
    assert sum(p.numel() for p in policy.parameters() if p.requires_grad) == by_hand


def test_gradient_checkpointing_reaches_the_adapters() -> None:
    gradients = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        policy = adapted().train()
        if checkpointing:
            policy.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        completion_logprobs(policy, collate(SAMPLES, 0, CPU), 0.7, 16).logprobs.sum().backward()
        gradients.append([p.grad for p in policy.parameters() if p.requires_grad])
    torch.testing.assert_close(*gradients)


def test_the_reference_stays_the_initial_policy() -> None:
    policy, initial = adapted(), logprobs(tiny_policy())
    learner = train(policy)
    after = learner.with_reference(SAMPLES, CPU)
    rows = sorted(range(len(SAMPLES)), key=lambda row: SAMPLES[row].length)  # any order: samples know their own
    expected = dict(zip(range(len(SAMPLES)), initial.split([len(s.completion) for s in SAMPLES]), strict=True))
    for row in rows:
        torch.testing.assert_close(after[row].ref_logprobs, expected[row], atol=1e-5, rtol=1e-5)
    assert (logprobs(policy) - initial).abs().max() > 0.1, "the policy itself has moved"
    assert all(p.requires_grad for name, p in policy.named_parameters() if ".lora_" in name)


@pytest.mark.parametrize("tied", [True, False])
def test_the_merged_model_computes_what_the_adapted_one_does(tied: bool, tmp_path: Path) -> None:
    policy = adapted(tied)
    train(policy)
    ours = logprobs(policy)
    before = {name: p.clone() for name, p in policy.named_parameters()}
    merged = tiny_policy(seed=1, tied=tied)
    weights = dict(policy_weights(policy))
    merged.load_state_dict(weights, strict=not tied)
    assert weights.keys() == dict(merged.named_parameters()).keys()
    torch.testing.assert_close(logprobs(merged), ours, atol=1e-4, rtol=1e-4)
    policy.save_pretrained(tmp_path / "hf", state_dict=weights)  # as callbacks/checkpoints.py does
    save_adapter(policy, tmp_path / "adapter")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "hf")
    torch.testing.assert_close(logprobs(loaded), ours, atol=1e-4, rtol=1e-4)
    assert not any("lora" in name or "base_layer" in name for name in loaded.state_dict())
    peft = PeftModel.from_pretrained(tiny_policy(tied=tied), str(tmp_path / "adapter"))
    torch.testing.assert_close(logprobs(peft.base_model.model), ours, atol=1e-4, rtol=1e-4)
    for name, parameter in policy.named_parameters():
        assert torch.equal(parameter, before[name]), "saving changes nothing"


def test_an_adapter_file_says_what_it_belongs_to(tmp_path: Path) -> None:
    policy = tiny_policy()
    add_adapters(policy, LoraConfig(r=2, target_modules=["v_proj", "q_proj"]), "org/model")
    save_adapter(policy, tmp_path)
    said = json.loads((tmp_path / "adapter_config.json").read_text())
    assert said["r"] == 2 and said["base_model_name_or_path"] == "org/model"
    assert sorted(said["target_modules"]) == ["q_proj", "v_proj"] and said["task_type"] == "CAUSAL_LM"


def test_what_can_have_an_adapter() -> None:
    assert linear_layers(tiny_policy(tied=False)) == ALL
    for targets in (["q_porj"], ["lm_head"], ["q_proj", "embed_tokens"]):
        with pytest.raises(ZeroCoderError, match=r"model.lora.target_modules=\['") as error:
            add_adapters(tiny_policy(tied=False), LoraConfig(target_modules=targets))
        assert "\n" not in str(error.value)


def test_settings_as_a_user_types_them() -> None:
    assert load([]).model.lora is None
    assert load(["model.lora.r=8"]).model.lora == LoraConfig(r=8)
    assert load(["model.lora={r: 8, alpha: 16}"]).model.lora == LoraConfig(r=8, alpha=16.0)
    assert load(["model.lora.target_modules=q_proj,v_proj"]).model.lora == LoraConfig(
        target_modules=["q_proj", "v_proj"]
    )
    assert load(["model.lora.r=8", "model.lora=null"]).model.lora is None
    with pytest.raises(ZeroCoderError, match="model.lora.r must be > 0, got 0"):
        load(["model.lora.r=0"])
    with pytest.raises(ZeroCoderError, match="unknown key 'model.lora.rank'"):
        load(["model.lora.rank=4"])


def test_a_missing_peft_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    real = builtins.__import__

    def without(name: str, *args: object, **kwargs: object) -> object:
        if name == "peft":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ZeroCoderError, match=r"model.lora needs peft: pip install -e '.\[lora\]'"):
        add_adapters(tiny_policy(), LoraConfig())
