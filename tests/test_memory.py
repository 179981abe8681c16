"""The memory plan against sums by hand, its advice, and how it is told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from zerocoder import memory
from zerocoder.compose import load
from zerocoder.config import Config
from zerocoder.memory import GIB, Plan, make_plan
from zerocoder.memory_fit import require_fit
from zerocoder.problems import ZeroCoderError

P = 7_615_616_512  # parameters of Qwen2.5-Coder-7B, by its model card 7.61 billion
SEVEN_B = ("experiment=qwen2.5-coder-7b", "data=builtin", "rollout=transformers", "trainer.offload_reference=false")


@pytest.fixture(autouse=True)
def no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))


def plan_of(*overrides: str) -> Plan:
    return make_plan(load([*SEVEN_B, *overrides]))


def parts(plan: Plan, phase: str = "training") -> dict[str, float]:
    return {part.name: part.bytes for part in getattr(plan, phase)}


def test_the_papers_run_by_hand() -> None:
    """Four GPUs, ZeRO-2, bf16: 16-bit weights everywhere, the rest in quarters."""
    found = plan_of()
    assert found.source == "model.architecture (it is not downloaded yet)" and found.capacity == 80 * GIB
    training = parts(found)
    assert training["weights"] == training["reference"] == 2 * P
    assert training["optimizer"] == 12 * P / 4 and training["gradients"] == 4 * P / 4
    assert training["gradient buckets"] == 2 * 200_000_000 * 2
    # 28 inputs of layers of 4 x 4,096 tokens x 3,584 x 2 bytes are kept, and one layer is computed anew
    kept = 28 * 4 * 4096 * 3584 * 2
    assert kept < training["activations"] < 3 * kept
    # 64 answers x (2,048 + 2,048 + 256) tokens x 28 layers x keys and values of 4 heads of 128
    assert parts(found, "sampling")["KV cache"] == 64 * 4352 * 28 * 2 * 4 * 128 * 2
    assert found.peak == max(found.phases.values()) and found.fits


@pytest.mark.parametrize(
    ("strategy", "weights", "gradients", "optimizer"),
    [
        ("deepspeed_stage_1", 2, 4, 3),
        ("deepspeed_stage_2", 2, 1, 3),
        ("deepspeed_stage_3", 0.5, 1, 3),
        ("deepspeed_stage_2_offload", 2, 0, 0),
        ("deepspeed_stage_3_offload", 0, 0, 0),
        ("ddp", 2, 4, 4),  # bf16-true: moments in 16 bit; gradients and their buckets
    ],
)
def test_bytes_a_parameter_on_four_gpus(strategy: str, weights: float, gradients: float, optimizer: float) -> None:
    training = parts(plan_of(f"trainer.strategy={strategy}"))
    for name, expected in (("weights", weights), ("gradients", gradients), ("optimizer", optimizer)):
        assert training.get(name, 0) == expected * P, name
    assert ("gathered weights" in training) == ("stage_3" in strategy)


def test_more_gpus_hold_less_each() -> None:
    four, eight = plan_of("trainer.devices=4"), plan_of("trainer.devices=4", "trainer.num_nodes=2")
    assert parts(four)["optimizer"] == 2 * parts(eight)["optimizer"]


def test_an_offloaded_reference_visits() -> None:
    found = parts(plan_of("trainer.offload_reference=true", "trainer.micro_batch_tokens=4096"))
    assert "reference" not in found
    assert "reference" not in parts(plan_of("algorithm.kl_coefficient=0"))


def test_adapters_have_no_second_model_and_little_state() -> None:
    pytest.importorskip("peft")
    training = parts(plan_of("model.lora.r=16"))
    trained = 28 * 16 * (2 * (3584 + 3584) + 2 * (3584 + 512) + 3 * (3584 + 18944))
    assert "reference" not in training and training["optimizer"] == 12 * trained / 4
    assert training["weights"] == 2 * (P + trained)


def test_vllm_takes_its_share_and_gives_it_back_while_it_sleeps() -> None:
    asleep = plan_of("rollout=vllm")
    awake = plan_of("rollout=vllm", "rollout.sleep=false")
    engine = parts(asleep, "sampling")
    assert engine["vLLM weights"] == 2 * P
    assert engine["vLLM weights"] + engine["vLLM KV cache"] == pytest.approx(0.4 * 80 * GIB)
    assert not any("vLLM" in name for name in parts(asleep))
    assert parts(awake)["vLLM KV cache"] == engine["vLLM KV cache"]
    with pytest.raises(
        ZeroCoderError, match="rollout.gpu_memory_utilization=0.1 gives vLLM 8.0 GiB; its weights take 14"
    ):
        plan_of("rollout=vllm", "rollout.gpu_memory_utilization=0.1")


def refusal(*overrides: str) -> str:
    config = load([*SEVEN_B, *overrides])
    with pytest.raises(ZeroCoderError) as error:
        require_fit(config, make_plan(config))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_cannot_fit_is_refused_with_what_would() -> None:
    said = refusal("trainer.gpu_memory_gb=60")
    assert said.startswith("training needs 67.") and "more than the 60.0 GiB of trainer.gpu_memory_gb" in said
    settings = [item.split(" (")[0] for item in said.split(": set ")[1].split(", or ")]
    assert len(settings) == 4 and settings[0] == "trainer.strategy=deepspeed_stage_3_offload"
    peaks = []
    for setting in settings:  # each is enough, and what helps most is told first
        config = load([*SEVEN_B, "trainer.gpu_memory_gb=60", setting])
        require_fit(config, make_plan(config))
        peaks.append(make_plan(config).peak)
    assert peaks == sorted(peaks)


def test_several_settings_are_put_together_where_one_is_not_enough() -> None:
    said = refusal("model.gradient_checkpointing=false", "trainer.strategy=deepspeed_stage_1")
    settings = [item.split(" (")[0] for item in said.split(": set ")[1].split(", with it ")]
    assert len(settings) > 1 and settings[0] == "model.gradient_checkpointing=true"
    config = load([*SEVEN_B, "trainer.strategy=deepspeed_stage_1", *settings])
    require_fit(config, make_plan(config))
    assert "no setting makes it fit" in refusal("trainer.gpu_memory_gb=1")


def test_a_run_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    config = load([])
    found = make_plan(config)
    parameters = 2_800_000
    training = parts(found)
    assert found.source == "its config.json"
    assert training["weights"] == training["gradients"] == pytest.approx(4 * parameters, rel=0.05)
    assert training["optimizer"] == 2 * training["weights"]
    monkeypatch.setattr(memory, "_machine_bytes", lambda: GIB)
    with pytest.raises(ZeroCoderError, match="more than the 1.0 GiB of this machine"):
        require_fit(config, make_plan(config))


def test_an_unknown_model_is_let_through() -> None:
    config = load([])
    unknown = replace(config.model, path="some-org/some-model")
    with pytest.raises(memory.UnknownArchitecture, match="known once some-org/some-model is downloaded"):
        make_plan(Config(model=unknown, rollout=config.rollout))


@pytest.mark.gpu
def test_the_plan_is_what_a_gpu_gives_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One training step of a model of Qwen2.5's kind, bf16, against PyTorch's own count of the peak."""
    from test_grpo import sample
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from zerocoder.config import AlgorithmConfig, TrainerConfig
    from zerocoder.experience import Experience
    from zerocoder.learner import Learner
    from zerocoder.strategies import adamw
    from zerocoder.world import current

    monkeypatch.undo()
    config = Qwen2Config(
        vocab_size=50_000,
        hidden_size=1024,
        intermediate_size=4096,
        num_hidden_layers=12,
        num_attention_heads=16,
        num_key_value_heads=4,
    )
    Qwen2ForCausalLM(config).to(torch.bfloat16).save_pretrained(tmp_path)
    run = load(
        [
            "model=huggingface",
            f"model.path='{tmp_path}'",
            "model.dtype=bfloat16",
            "model.max_prompt_tokens=64",
            "rollout.max_new_tokens=960",
            "algorithm.kl_coefficient=0",
            "trainer=gpu",
            "trainer.precision=bf16-true",
            "trainer.micro_batch_tokens=8192",
        ]
    )
    planned = sum(part.bytes for part in make_plan(run).training if part.name != "CUDA")
    torch.cuda.empty_cache()
    policy = Qwen2ForCausalLM.from_pretrained(tmp_path, dtype=torch.bfloat16).to("cuda").train()
    device = torch.device("cuda")
    trainer = TrainerConfig(micro_batch_tokens=8192, logprob_chunk=run.trainer.logprob_chunk)
    learner = Learner(policy, None, AlgorithmConfig(), trainer, 0.7, current())
    optimizer = adamw(list(policy.parameters()), AlgorithmConfig(), trainer)
    experience = Experience(tuple(sample(64 - n, 960, 1.0, n) for n in range(16)))
    torch.cuda.reset_peak_memory_stats()
    for _ in range(2):  # in the second step the optimizer's state is there
        for batch, _ in learner.micro_batches(experience, device):
            (learner.loss(batch)[0] / experience.tokens).backward()
        optimizer.step()
        optimizer.zero_grad()
    assert planned == pytest.approx(torch.cuda.max_memory_allocated(), rel=0.1)
