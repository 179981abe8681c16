"""GRPO: group-relative advantages and the clipped policy-gradient loss (Shao et al. 2024, DeepSeekMath, section 4).

The loss is a sum over tokens, divided once by the completion tokens of the whole step, so that splitting a step into
micro-batches does not change its gradient.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
    importance: Tensor | None = None,
) -> PolicyLoss:
    """Sum over tokens of -w min(ratio A, clip(ratio) A) + kl_coefficient * k3; all arguments [T].

    `importance` is w, 1 when None: see `importance_weights`.
    k3 = exp(ref - logp) - (ref - logp) - 1, Schulman's low-variance estimate of KL(policy || reference).
    """
    ratio = (logprobs - old_logprobs).exp()
    clipped_ratio = ratio.clamp(1 - clip, 1 + clip)
    surrogate = torch.minimum(ratio * advantages, clipped_ratio * advantages)
    if importance is not None:
        surrogate = surrogate * importance
    clipped = (clipped_ratio * advantages < ratio * advantages).sum()
    if ref_logprobs is None:
        return PolicyLoss(-surrogate.sum(), logprobs.new_zeros(()), clipped)
    delta = ref_logprobs - logprobs
    kl = (delta.exp() - delta - 1).sum()
    return PolicyLoss(-surrogate.sum() + kl_coefficient * kl, kl.detach(), clipped)


def importance_weights(logprobs: Tensor, rollout_logprobs: Tensor, cap: float) -> Tensor:
    """min(policy / engine, cap) for each token [T], without gradient: truncated importance sampling.

    Engine and trainer compute the same policy in different kernels and number formats, so that tokens are drawn from
    a slightly different distribution than the one that is trained. The weight corrects for it, and `cap` bounds its
    variance (Yao et al. 2025, "Your efficient RL framework secretly brings you off-policy RL training"). Both
    log-probs are those of the whole distribution: with top-p or top-k the engine draws from a part of it, and by the
    mass that was cut the weighted estimate stays biased.
    """
    return (logprobs.detach() - rollout_logprobs).exp().clamp(max=cap)
