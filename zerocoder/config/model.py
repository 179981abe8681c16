"""The policy's initial weights, its shape and its adapters."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from zerocoder.config.rules import require
from zerocoder.prompts import PromptStyle


class DType(StrEnum):
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True)
class LoraConfig:
    """Low-rank adapters (Hu et al. 2021, "LoRA"): they train, the model's own weights stay as they are."""

    r: int = 16
    """Rank of an adapter; `model.lora.r=16` alone switches adapters on."""
    alpha: float = 32.0
    """An adapter's output is scaled by alpha / r."""
    target_modules: list[str] | None = None
    """Names of the linear layers that get one, such as [q_proj, v_proj]; null is all of them but the head."""

    def __post_init__(self) -> None:
        require(self.r > 0, "model.lora.r", "> 0", self.r)
        require(self.alpha > 0, "model.lora.alpha", "> 0", self.alpha)
        require(self.target_modules != [], "model.lora.target_modules", "at least one name, or null", "[]")


@dataclass(frozen=True)
class ArchitectureConfig:
    """What the memory plan has to know of a model whose config.json is not at hand."""

    model_type: str
    """As in config.json: qwen2, qwen3, llama, ..."""
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    num_key_value_heads: int
    intermediate_size: int
    vocab_size: int
    tie_word_embeddings: bool = False
    head_dim: int | None = None
    """Size of an attention head; null is hidden_size / num_attention_heads."""


@dataclass(frozen=True)
class ModelConfig:
    """The policy's initial weights and how it is spoken to."""

    path: str = "nano"
    """`nano`, `smollm2-135m`, a Hugging Face folder, or a hub id."""
    revision: str | None = None
    """A hub revision (branch, tag or commit)."""
    prompt_style: PromptStyle = PromptStyle.STANDARD
    chat_template: str | None = None
    """A Jinja file, or `plain` for a base model that continues text; null is the tokenizer's own template."""
    dtype: DType = DType.FLOAT32
    max_prompt_tokens: int = 1024
    """Problems with longer prompts are dropped and counted."""
    max_completion_tokens: int = 1024
    """The longest answer the model is given room for; conf/rollout/*.yaml take it as their max_new_tokens."""
    gradient_checkpointing: bool = False
    """Keep only the layers' inputs for the backward pass and compute the rest anew: less memory, a third more time."""
    attention: str | None = None
    """transformers' attention: sdpa, eager, flash_attention_2, ...; null is the model's default."""
    lora: LoraConfig | None = None
    """Train low-rank adapters instead of all weights; the model without them is the reference."""
    architecture: ArchitectureConfig | None = None
    """For the memory plan of a model that is not downloaded yet; its own config.json goes first."""

    def __post_init__(self) -> None:
        require(self.path != "", "model.path", "a folder, a hub id, nano or smollm2-135m", repr(self.path))
        for key in ("max_prompt_tokens", "max_completion_tokens"):
            require(getattr(self, key) > 0, f"model.{key}", "> 0", getattr(self, key))
