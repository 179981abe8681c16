"""GRPO: group-relative advantages, log-probs of completions, and the clipped policy-gradient loss.

Three pure pieces (Shao et al. 2024, DeepSeekMath, section 4; the paper's section 2). Log-probs are computed from the
hidden states of completion tokens in chunks, so that [tokens x vocabulary] logits never exist at once. The loss is a
sum over tokens divided once by the completion tokens of the whole step, so that splitting a step into micro-batches
does not change its gradient.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from zerocoder.problems import ZeroCoderError

if TYPE_CHECKING:
    from transformers import PreTrainedModel

ADVANTAGE_EPS = 1e-6
EQUAL_REWARDS = 1e-9  # rewards closer than this are the same; float noise in std must not become an advantage


def group_advantages(rewards: NDArray[np.float64], counts: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(r - mean) / (std + eps) within one group [n]; 0 where `counts` is False and in groups without spread.

    The standard deviation is the unbiased one, as in the paper's framework. Samples that do not count (their
    verdicts were lost to a failure of ours) take no part in mean and std.
    """
    advantages = np.zeros(len(rewards))
    kept = rewards[counts]
    if len(kept) > 1 and np.ptp(kept) > EQUAL_REWARDS:
        advantages[counts] = (kept - kept.mean()) / (kept.std(ddof=1) + ADVANTAGE_EPS)
    return advantages


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """One prompt and completion to learn from."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    rollout_logprobs: tuple[float, ...]  # [T], by the engine, at the sampling temperature
    advantage: float


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Right-padded sequences and what the loss needs of their completion tokens, flattened row by row to [T]."""

    input_ids: Tensor  # [B, L]
    attention_mask: Tensor  # [B, L]
    loss_mask: Tensor  # bool [B, L]: tokens of the completion
    targets: Tensor  # [T] the completion tokens
    advantages: Tensor  # [T]
    rollout_logprobs: Tensor  # [T]


@dataclass(frozen=True, slots=True)
class Experience:
    """All sequences of one step. `tokens` is the number of completion tokens, the loss's one normaliser."""

    sequences: tuple[TrainingSample, ...]

    @property
    def tokens(self) -> int:
        return sum(len(s.completion) for s in self.sequences)

    def micro_batches(self, max_tokens: int, pad_token: int, device: torch.device) -> Iterator[MicroBatch]:
        """Sequences of like length together, at most `max_tokens` tokens (padding included) at a time."""
        ordered = sorted(self.sequences, key=lambda s: len(s.prompt) + len(s.completion))
        batch: list[TrainingSample] = []
        for sequence in ordered:
            width = len(sequence.prompt) + len(sequence.completion)
            if batch and width * (len(batch) + 1) > max_tokens:
                yield collate(batch, pad_token, device)
                batch = []
            batch.append(sequence)
        if batch:
            yield collate(batch, pad_token, device)


def collate(batch: Sequence[TrainingSample], pad_token: int, device: torch.device) -> MicroBatch:
    width = max(len(s.prompt) + len(s.completion) for s in batch)
    ids = torch.full((len(batch), width), pad_token)
    attention = torch.zeros(len(batch), width, dtype=torch.long)
    loss_mask = torch.zeros(len(batch), width, dtype=torch.bool)
    for row, s in enumerate(batch):
        end = len(s.prompt) + len(s.completion)
        ids[row, :end] = torch.tensor(s.prompt + s.completion)
        attention[row, :end] = 1
        loss_mask[row, len(s.prompt) : end] = True
    advantages = torch.cat([torch.full((len(s.completion),), s.advantage) for s in batch])
    rollout_logprobs = torch.tensor([x for s in batch for x in s.rollout_logprobs], dtype=torch.float32)
    return MicroBatch(
        input_ids=ids.to(device),
        attention_mask=attention.to(device),
        loss_mask=loss_mask.to(device),
        targets=ids[loss_mask].to(device),
        advantages=advantages.float().to(device),
        rollout_logprobs=rollout_logprobs.to(device),
    )


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
    batch = MicroBatch(ids, ones, loss_mask, ids[0, 1:], ones[0, 1:].float(), ones[0, 1:].float())
    ours = completion_logprobs(model, batch, 1.0, 4).logprobs
    theirs = logits.gather(1, ids[0, 1:, None])[:, 0]
    if not torch.allclose(ours, theirs, atol=0.05 if model.dtype is torch.bfloat16 else 1e-3):
        raise ZeroCoderError(
            f"model.path: {type(model).__name__} does more to its logits than a linear head; "
            "log-probs in chunks do not fit it, choose another architecture"
        )


class PolicyLoss(NamedTuple):
    """Sums over tokens; divide by the step's token count."""

    loss: Tensor  # scalar, with gradient
    kl: Tensor  # scalar sum of the k3 estimate
    clipped: Tensor  # scalar count of tokens at which the clip was active


def policy_loss(
    logprobs: Tensor,
    old_logprobs: Tensor,
    ref_logprobs: Tensor | None,
    advantages: Tensor,
    clip: float,
    kl_coefficient: float,
) -> PolicyLoss:
    """Sum over tokens of -min(ratio A, clip(ratio) A) + kl_coefficient * k3; all arguments [T].

    k3 = exp(ref - logp) - (ref - logp) - 1, Schulman's low-variance estimate of KL(policy || reference).
    """
    ratio = (logprobs - old_logprobs).exp()
    clipped_ratio = ratio.clamp(1 - clip, 1 + clip)
    surrogate = torch.minimum(ratio * advantages, clipped_ratio * advantages)
    clipped = (clipped_ratio * advantages < ratio * advantages).sum()
    if ref_logprobs is None:
        return PolicyLoss(-surrogate.sum(), logprobs.new_zeros(()), clipped)
    delta = ref_logprobs - logprobs
    kl = (delta.exp() - delta - 1).sum()
    return PolicyLoss(-surrogate.sum() + kl_coefficient * kl, kl.detach(), clipped)
