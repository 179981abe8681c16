"""What is traced on fake tensors against the same passes on real ones, counted by PyTorch's own tracker."""

from __future__ import annotations

import pytest
import torch
from torch.distributed._tools.mem_tracker import MemTracker
from transformers import LlamaConfig, LlamaForCausalLM, PretrainedConfig, Qwen3Config

from zerocoder.config import LoraConfig
from zerocoder.logprobs import head_logprobs
from zerocoder.tracing import Pass, trace

LLAMA = LlamaConfig(
    vocab_size=4000,
    hidden_size=64,
    intermediate_size=160,
    num_hidden_layers=5,
    num_attention_heads=4,
    num_key_value_heads=2,
    tie_word_embeddings=True,
)
PASS = Pass(rows=3, width=40, completion_tokens=90, masked=True, dtype=torch.float32, mixed=False, chunk=16)


def measured(config: PretrainedConfig, settings: Pass) -> int:
    """Bytes beyond weights and gradients at the peak of a real forward and backward pass."""
    policy = LlamaForCausalLM(config).train()
    if settings.checkpointing:
        policy.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    for p in policy.parameters():
        p.grad = torch.zeros_like(p)
    ids = torch.zeros(settings.rows, settings.width, dtype=torch.long)
    mask = torch.ones(settings.rows, 1, settings.width, settings.width, dtype=torch.bool)
    tracker = MemTracker()
    tracker.track_external(policy)
    with tracker:
        hidden = policy.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
        states = hidden.flatten(0, 1)[torch.arange(settings.completion_tokens)]
        targets = torch.zeros(settings.completion_tokens, dtype=torch.long)
        head_logprobs(policy.lm_head, states, targets, 0.7, settings.chunk).logprobs.sum().backward()
    (peak,) = [kinds["Total"] for kinds in tracker.get_tracker_snapshot("peak").values()]
    return int(peak) - 2 * sum(p.numel() * p.element_size() for p in policy.parameters())


@pytest.mark.parametrize("checkpointing", [False, True])
def test_traced_activations_are_those_of_a_real_pass(checkpointing: bool) -> None:
    settings = Pass(**{**vars(PASS), "checkpointing": checkpointing})
    traced = trace(LLAMA, settings)
    assert traced.backward + traced.backward_head == pytest.approx(measured(LLAMA, settings), rel=0.1)


def test_any_number_of_layers_follows_from_two() -> None:
    shallow, deep = (LlamaConfig(**{**LLAMA.to_dict(), "num_hidden_layers": n}) for n in (2, 9))
    per_layer = 64 * (2 * 64 + 2 * 32) + 3 * 64 * 160 + 2 * 64  # q and o, k and v, three of the MLP, two norms
    a, b = trace(shallow, PASS), trace(deep, PASS)
    assert a.parameters == 4000 * 64 + 64 + 2 * per_layer and b.parameters == a.parameters + 7 * per_layer
    assert sum(p.numel() for p in LlamaForCausalLM(deep).parameters()) == b.parameters
    assert (b.backward - a.backward) % 7 == 0 and b.forward == a.forward


def test_what_a_smaller_chunk_checkpointing_packing_and_adapters_save() -> None:
    def other(**changes: object) -> Pass:
        return Pass(**{**vars(PASS), **changes})

    base = trace(LLAMA, PASS)
    logits = trace(LLAMA, other(chunk=8)).head_bytes, base.head_bytes
    assert logits[0] < logits[1]
    assert trace(LLAMA, other(checkpointing=True)).backward < base.backward / 2
    assert trace(LLAMA, other(masked=False)).backward <= base.backward
    half = trace(LLAMA, other(dtype=torch.bfloat16))
    assert half.parameters == base.parameters and base.backward * 0.4 < half.backward < base.backward * 0.8
    adapted = trace(LLAMA, other(lora=LoraConfig(r=2)))
    assert adapted.trained == 5 * 2 * (2 * (64 + 64) + 2 * (64 + 32) + 3 * (64 + 160))
    assert adapted.parameters == base.parameters + adapted.trained


def test_flash_attention_is_planned_without_its_package_and_other_architectures_too() -> None:
    qwen = Qwen3Config(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
    )
    packed = Pass(**{**vars(PASS), "rows": 1, "width": 120, "masked": False, "attention": "flash_attention_2"})
    assert 0 < trace(qwen, packed).backward < trace(qwen, Pass(**{**vars(packed), "attention": "eager"})).backward
