"""Drawing tokens: temperature, top-k and top-p, and one uniform number for each token."""

from __future__ import annotations

import torch
from torch import Tensor

from zerocoder.rollout.engine import Sampling

CANDIDATES = (64, 1024)
"""Top-p is looked for among so many likeliest tokens, first few, then more, before the whole vocabulary is sorted."""


def draw(logits: Tensor, uniforms: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Tokens by inverting each row's cumulative distribution at its uniform numbers, and their log-probabilities.

    `logits` is [B, V]; `uniforms`, [B] or [B, S] for S tokens a row, gives both results their shape. The
    log-probability is that of the whole distribution at the sampling temperature, before top-p and top-k: the trainer
    computes the same quantity.
    """
    at = uniforms.reshape(len(logits), -1)
    if sampling.temperature == 0:
        logprobs = torch.log_softmax(logits, -1)
        tokens = logits.argmax(-1, keepdim=True).expand(at.shape)
    else:
        logprobs = torch.log_softmax(logits / sampling.temperature, -1)
        if sampling.top_p >= 1 and sampling.top_k == 0:
            tokens = _inverted(logprobs.exp(), at)
        else:
            probs, order = _nucleus(logprobs, sampling)
            tokens = order.gather(1, _inverted(probs, at))
    return tokens.reshape(uniforms.shape), logprobs.gather(1, tokens).reshape(uniforms.shape)


def _inverted(probs: Tensor, uniforms: Tensor) -> Tensor:
    """[B, S] the first column whose cumulative mass exceeds the share u of the row's mass; `probs` is [B, K]."""
    mass = probs.double().cumsum(-1)
    index = torch.searchsorted(mass, uniforms * mass[:, -1:], right=True)
    last_kept = (probs > 0).long().mul(torch.arange(probs.shape[1], device=probs.device)).amax(1, keepdim=True)
    return torch.minimum(index, last_kept)  # u < 1 keeps it inside, but for rounding


def _nucleus(logprobs: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Probabilities in falling order with everything outside top-k and top-p set to 0, and the tokens' ids."""
    vocabulary = logprobs.shape[1]
    for width in (*(n for n in CANDIDATES if n < vocabulary), vocabulary):
        top, order = logprobs.topk(width, dim=-1)
        probs = top.exp()
        if 0 < sampling.top_k <= width or bool((probs.sum(-1) >= sampling.top_p).all()):
            break
    # Keep the smallest set whose mass reaches top_p: a token stays while the mass before it is below top_p.
    before = probs.cumsum(-1) - probs
    keep = before < sampling.top_p
    if sampling.top_k:
        keep[:, sampling.top_k :] = False
    keep[:, 0] = True
    return probs * keep, order
