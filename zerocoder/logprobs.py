"""Log-probs of completions under a model, without [tokens x vocabulary] logits ever being there at once.

They are computed from the hidden states of completion tokens, a chunk at a time, and recomputed in the backward pass.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from zerocoder.experience import MicroBatch
from zerocoder.problems import ZeroCoderError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class TokenLogprobs(NamedTuple):
    logprobs: Tensor  # [T]
    entropy: Tensor  # [T], without gradient


def completion_logprobs(model: PreTrainedModel, batch: MicroBatch, temperature: float, chunk: int) -> TokenLogprobs:
    """Log-probs of the completion tokens at `temperature`, and the entropy of each token's distribution (nats)."""
    hidden = model.base_model(input_ids=batch.input_ids, attention_mask=batch.attention_mask).last_hidden_state
    # The hidden state of a position predicts the next token.
    predicts = batch.loss_mask[:, 1:]
    hidden = hidden[:, :-1][predicts]
    head = model.get_output_embeddings()
    parts = []
    for start in range(0, len(hidden), chunk):
        piece = (hidden[start : start + chunk], batch.targets[start : start + chunk], head, temperature)
        if torch.is_grad_enabled():
            parts.append(checkpoint(_chunk_logprobs, *piece, use_reentrant=False))
        else:
            parts.append(_chunk_logprobs(*piece))
    return TokenLogprobs(torch.cat([p[0] for p in parts]), torch.cat([p[1] for p in parts]))


def _chunk_logprobs(
    hidden: Tensor, targets: Tensor, head: torch.nn.Module, temperature: float
) -> tuple[Tensor, Tensor]:
    logits = head(hidden).float() / temperature
    normaliser = logits.logsumexp(-1)
    logprobs = logits.gather(1, targets[:, None])[:, 0] - normaliser
    with torch.no_grad():
        entropy = normaliser - (torch.softmax(logits, -1) * logits).sum(-1)
    return logprobs, entropy


@torch.no_grad()
def check_head(model: PreTrainedModel) -> None:
    """Refuse models whose logits are more than a linear head over the hidden states (soft caps, scaled logits)."""
    vocabulary = model.get_output_embeddings().weight.shape[0]
    ids = torch.arange(8, device=model.device)[None] % vocabulary
    logits = model(input_ids=ids).logits[0, :-1].float().log_softmax(-1)
    ones = torch.ones_like(ids)
    loss_mask = ones.bool()
    loss_mask[:, 0] = False
    batch = MicroBatch(ids, ones, loss_mask, ids[0, 1:], ones[0, 1:].float(), ones[0, 1:].float(), None)
    ours = completion_logprobs(model, batch, 1.0, 4).logprobs
    theirs = logits.gather(1, ids[0, 1:, None])[:, 0]
    if not torch.allclose(ours, theirs, atol=0.05 if model.dtype is torch.bfloat16 else 1e-3):
        raise ZeroCoderError(
            f"model.path: {type(model).__name__} does more to its logits than a linear head; "
            "log-probs in chunks do not fit it, choose another architecture"
        )
