"""Attention of one new token a sequence, where several query heads share keys and values.

With a mask, transformers' sdpa repeats the keys and values of all tokens for every query head, in every layer and for
every token that is written. The heads that share them can as well be the rows of one query: the same products, without
a copy. On a CPU, models of `SHARING` read a prompt once for all of its answers besides (`shared`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from zerocoder.rollout.shared import SharedPrompts

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NAME = "zerocoder_decoding"
SHARING = frozenset({"llama", "qwen2", "qwen3"})
"""Types of models whose attention hands its queries to `attend` as they are and does nothing else with the cache."""


def attend(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    shared: SharedPrompts | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """transformers' sdpa: `query` [B, heads, tokens, size], `key` and `value` [B, fewer heads, all tokens, size].

    With `shared` prompts, all tokens are those of the answers.
    """
    rows, heads, tokens, size = query.shape
    if tokens > 1 or kwargs.get("position_bias") is not None:
        out: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, scaling=scaling, **kwargs
        )
        return out
    grouped = query.reshape(rows, key.shape[1], heads // key.shape[1], size)
    if shared is not None:
        layer = cast(int, module.layer_idx)
        seen = shared.attend(layer, grouped, key, value, attention_mask, scaling or size**-0.5)
    else:
        seen = scaled_dot_product_attention(grouped, key, value, attn_mask=attention_mask, scale=scaling)
    return seen.reshape(rows, 1, heads, value.shape[-1]), None


AttentionInterface.register(NAME, attend)
AttentionMaskInterface.register(NAME, sdpa_mask)


@contextmanager
def grouped_attention(model: PreTrainedModel) -> Iterator[None]:
    """While it lasts, `model` decodes with `attend` where it would use sdpa."""
    before = model.config._attn_implementation
    if before == "sdpa":
        model.config._attn_implementation = NAME
    try:
        yield
    finally:
        model.config._attn_implementation = before


def shares_prompts(model: PreTrainedModel) -> bool:
    """Whether prompts can be kept once while `grouped_attention` lasts, and it pays: on a CPU, in 32 bit.

    A GPU is kept waiting by the number of products rather than by what they read.
    """
    config = model.config
    return (
        config._attn_implementation == NAME
        and config.model_type in SHARING
        and all(kind == "full_attention" for kind in getattr(config, "layer_types", None) or ())
        and model.device.type == "cpu"
        and model.dtype is torch.float32
    )
