"""Advantages, log-probs and loss against values worked out by hand and plain PyTorch."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from tiny import tiny_policy
from torch.utils._python_dispatch import TorchDispatchMode

from zerocoder.config import Packing, TrainerConfig
from zerocoder.experience import Experience, MicroBatch, TrainingSample, batch_plan, collate
from zerocoder.grpo import group_advantages, importance_weights, policy_loss
from zerocoder.learner import packs
from zerocoder.logprobs import check_head, completion_logprobs
from zerocoder.problems import ZeroCoderError

CPU = torch.device("cpu")


def advantages(rewards: list[float], counts: list[bool] | None = None) -> list[float]:
    mask = np.ones(len(rewards), dtype=bool) if counts is None else np.array(counts)
    return group_advantages(np.array(rewards, dtype=float), mask).tolist()


def test_advantages_by_hand() -> None:
    # mean 1/2, unbiased std sqrt((4 * 1/4) / 3) = 0.57735
    assert advantages([1, 1, 0, 0]) == pytest.approx([0.8660, 0.8660, -0.8660, -0.8660], abs=1e-4)
    # mean 0.25, deviations .75 -.25 -.25 -.25, std 0.5
    assert advantages([1, 0, 0, 0]) == pytest.approx([1.5, -0.5, -0.5, -0.5], abs=1e-4)


@pytest.mark.parametrize("rewards", [[1.0], [], [0.3] * 8, [0.1 + 0.2, 0.3, 0.3]])
def test_groups_without_spread_have_no_advantage(rewards: list[float]) -> None:
    assert advantages(rewards) == [0.0] * len(rewards)


def test_masked_samples_neither_get_nor_shape_advantages() -> None:
    assert advantages([1, 0, 99], [True, True, False]) == pytest.approx([0.7071, -0.7071, 0.0], abs=1e-4)
    assert advantages([1, 0], [True, False]) == [0.0, 0.0]


def sample(prompt: int, completion: int, advantage: float, seed: int) -> TrainingSample:
    g = np.random.default_rng(seed)
    draw = lambda n: tuple(int(t) for t in g.integers(5, 261, n))  # noqa: E731
    return TrainingSample(draw(prompt), draw(completion), tuple(-g.random(completion)), advantage)


SAMPLES = tuple(sample(3 + i, 2 + 5 * (i % 4), a, i) for i, a in enumerate([1.5, -0.5, 0.25, -1.0, 0.0, 2.0, -0.7]))


def test_collate_places_prompt_completion_and_padding() -> None:
    a = TrainingSample((7, 8), (9,), (-0.5,), 2.0)
    b = TrainingSample((5,), (6, 7, 8), (-0.1, -0.2, -0.3), -1.0)
    batch = collate([a, b], 0, CPU)
    assert batch.input_ids.tolist() == [[7, 8, 9, 0], [5, 6, 7, 8]]
    assert batch.attention_mask.tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert batch.loss_mask.tolist() == [[False, False, True, False], [False, True, True, True]]
    assert batch.targets.tolist() == [9, 6, 7, 8]
    assert batch.advantages.tolist() == [2.0, -1.0, -1.0, -1.0]
    assert batch.rollout_logprobs.tolist() == pytest.approx([-0.5, -0.1, -0.2, -0.3])


def test_packed_sequences_are_one_row_without_padding() -> None:
    a = TrainingSample((7, 8), (9,), (-0.5,), 2.0)
    b = TrainingSample((5,), (6, 7, 8), (-0.1, -0.2, -0.3), -1.0)
    batch = collate([a, b], 0, CPU, packed=True)
    assert batch.input_ids.tolist() == [[7, 8, 9, 5, 6, 7, 8]] and batch.attention_mask is None
    assert batch.position_ids is not None and batch.position_ids.tolist() == [[0, 1, 2, 0, 1, 2, 3]]
    assert batch.loss_mask.tolist() == [[False, False, True, False, True, True, True]]
    assert batch.targets.tolist() == [9, 6, 7, 8] and batch.advantages.tolist() == [2.0, -1.0, -1.0, -1.0]


def test_micro_batches_count_padding_only_where_there_is_some() -> None:
    lengths = [10, 3, 4, 9, 2]  # in order 2, 3, 4, 9, 10
    assert batch_plan(lengths, 12) == [[4, 1, 2], [3], [0]]  # 3 x 4
    assert batch_plan(lengths, 18, packed=True) == [[4, 1, 2, 3], [0]]  # 2 + 3 + 4 + 9
    assert batch_plan(lengths, 18) == [[4, 1, 2], [3], [0]]  # 4 x 9 would be 36
    assert batch_plan(lengths, 1, packed=True) == [[4], [1], [2], [3], [0]]
    # 2, 3, 4 are enough: 9 would make 18 of 36 tokens padding. 10 beside 9 makes 1 of 20.
    assert batch_plan(lengths, 100) == [[4, 1, 2, 3, 0]]
    assert batch_plan(lengths, 100, enough=9) == batch_plan(lengths, 100, enough=6) == [[4, 1, 2], [3, 0]]
    assert batch_plan(lengths, 100, enough=10) == [[4, 1, 2, 3], [0]]  # 10 would make 22 of 50 tokens padding


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_sequences_do_not_see_each_other(attention: str) -> None:
    policy = tiny_policy()
    policy.set_attn_implementation(attention)
    results = []
    for packed in (False, True):
        policy.zero_grad()
        out = completion_logprobs(policy, collate(SAMPLES, 0, CPU, packed), 0.7, 16)
        (out.logprobs * torch.linspace(0.5, 2, len(out.logprobs))).sum().backward()
        gradient = torch.cat([p.grad.flatten() for p in policy.parameters()])
        results.append((out.logprobs.detach(), out.entropy, gradient))
    torch.testing.assert_close(*results, atol=1e-4, rtol=1e-4)


def test_packing_is_for_flash_attention_unless_it_is_asked_for() -> None:
    told = {p: [packs(TrainerConfig(packing=p), a) for a in ("flash_attention_2", "sdpa", None)] for p in Packing}
    assert told[Packing.AUTO] == [True, False, False]
    assert told[Packing.ON] == [True] * 3 and told[Packing.OFF] == [False] * 3


@pytest.mark.parametrize("chunk", [1, 3, 1000])
@pytest.mark.parametrize("tied", [True, False])
def test_chunked_logprobs_equal_the_models_own(chunk: int, tied: bool) -> None:
    policy = tiny_policy(tied=tied)
    batch = collate(SAMPLES, 0, CPU)
    ours = completion_logprobs(policy, batch, 0.7, chunk)
    expected, entropy = [], []
    for s in SAMPLES:
        logits = policy(torch.tensor([s.prompt + s.completion])).logits[0, len(s.prompt) - 1 : -1] / 0.7
        table = logits.log_softmax(-1)
        expected += table.gather(1, torch.tensor(s.completion)[:, None])[:, 0].tolist()
        entropy += (-(table.exp() * table).sum(-1)).tolist()
    assert ours.logprobs.tolist() == pytest.approx(expected, abs=1e-4)
    assert ours.entropy.tolist() == pytest.approx(entropy, abs=1e-3)


def micro_batches(experience: Experience, max_tokens: int) -> list[MicroBatch]:
    plan = batch_plan([s.length for s in experience.sequences], max_tokens)
    return [collate([experience.sequences[row] for row in rows], 0, CPU) for rows in plan]


def gradient(policy: torch.nn.Module, experience: Experience, max_tokens: int, chunk: int) -> torch.Tensor:
    policy.zero_grad()
    for batch in micro_batches(experience, max_tokens):
        new = completion_logprobs(policy, batch, 0.7, chunk)
        out = policy_loss(
            new.logprobs, new.logprobs.detach() + 0.1, batch.rollout_logprobs, batch.advantages, 0.2, 0.05
        )
        (out.loss / experience.tokens).backward()
    return torch.cat([p.grad.flatten() for p in policy.parameters()])


def relative_difference(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


def test_micro_batches_give_the_gradient_of_one_big_batch() -> None:
    policy, experience = tiny_policy(), Experience(SAMPLES)
    whole = gradient(policy, experience, 10**6, 10**6)
    for max_tokens, chunk in [(1, 10**6), (30, 4), (60, 7)]:
        batches = micro_batches(experience, max_tokens)
        assert len(batches) > 1 and sum(len(b.targets) for b in batches) == experience.tokens
        assert relative_difference(gradient(policy, experience, max_tokens, chunk), whole) < 1e-5


def test_gradient_equals_plain_pytorch() -> None:
    policy, experience = tiny_policy(), Experience(SAMPLES)
    ours = gradient(policy, experience, 50, 5)
    other = copy.deepcopy(policy)
    other.zero_grad()
    total = 0.0
    for s in SAMPLES:
        logits = other(torch.tensor([s.prompt + s.completion])).logits[0, len(s.prompt) - 1 : -1] / 0.7
        logp = logits.log_softmax(-1)[torch.arange(len(s.completion)), torch.tensor(s.completion)]
        ratio = (logp - logp.detach() - 0.1).exp()
        surrogate = torch.min(ratio * s.advantage, ratio.clamp(0.8, 1.2) * s.advantage)
        delta = torch.tensor(s.rollout_logprobs) - logp
        total = total + (-surrogate + 0.05 * (delta.exp() - delta - 1)).sum()
    (total / experience.tokens).backward()
    theirs = torch.cat([p.grad.flatten() for p in other.parameters()])
    assert relative_difference(ours, theirs) < 1e-5


def test_loss_by_hand() -> None:
    # ratios e^0.5 = 1.6487 (clipped at 1.2), e^-0.5 = 0.6065 (clipped at 0.8 for a negative advantage), 1
    new = torch.tensor([0.5, -0.5, 0.0], requires_grad=True)
    out = policy_loss(
        new, torch.zeros(3), torch.tensor([0.5, -0.5, math.log(2)]), torch.tensor([1.0, -1.0, 3.0]), 0.2, 0.1
    )
    # k3 of the last token: 2 - ln 2 - 1 = 0.306853, the others 0
    assert out.kl.item() == pytest.approx(0.306853, abs=1e-5)
    assert out.loss.item() == pytest.approx(-(1.2 - 0.8 + 3.0) + 0.0306853, abs=1e-5)
    assert out.clipped.item() == 2
    out.loss.backward()
    # Clipped tokens have no policy gradient; the last has -3 from the surrogate and 0.1 (1 - 2) from k3.
    assert new.grad.tolist() == pytest.approx([0.0, 0.0, -3.1], abs=1e-5)


def test_importance_weights_are_capped_and_weigh_the_surrogate_alone() -> None:
    new = torch.tensor([0.0, 0.0, 0.0], requires_grad=True)
    # policy / engine: e^-0.5 = 0.60653, 1, and e^3 = 20.1, which the cap makes 2
    weights = importance_weights(new, torch.tensor([0.5, 0.0, -3.0]), 2.0)
    assert weights.tolist() == pytest.approx([0.60653, 1.0, 2.0], abs=1e-5) and not weights.requires_grad
    reference = torch.tensor([0.0, 0.0, math.log(2)])
    out = policy_loss(new, torch.zeros(3), reference, torch.tensor([1.0, -1.0, 3.0]), 0.2, 0.1, weights)
    assert out.loss.item() == pytest.approx(-(0.60653 - 1.0 + 6.0) + 0.0306853, abs=1e-5)
    out.loss.backward()
    assert new.grad.tolist() == pytest.approx([-0.60653, 1.0, -6.1], abs=1e-5)


def test_clip_does_not_protect_moves_in_the_wrong_direction() -> None:
    # A good token that became unlikely, a bad one that became likely: the gradient stays.
    new = torch.tensor([-0.5, 0.5], requires_grad=True)
    out = policy_loss(new, torch.zeros(2), None, torch.tensor([1.0, -1.0]), 0.2, 0.0)
    out.loss.backward()
    assert out.clipped.item() == 0 and out.kl.item() == 0
    assert new.grad.tolist() == pytest.approx([-math.exp(-0.5), math.exp(0.5)], abs=1e-5)


class LargestTensor(TorchDispatchMode):
    """Elements of the largest tensor that any operation makes."""

    def __init__(self) -> None:
        super().__init__()
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, torch.Tensor):
                self.largest = max(self.largest, tensor.numel())
        return out


@pytest.mark.parametrize("trained", [True, False])
def test_full_logits_never_exist(trained: bool) -> None:
    """With a vocabulary this large, nothing that is made is larger than [chunk, vocabulary]."""
    policy = tiny_policy(vocabulary=20_000, hidden=8).requires_grad_(trained)
    policy.get_input_embeddings().weight.requires_grad_(False)  # the head's gradient is [vocabulary, hidden]
    batch = collate(SAMPLES, 0, CPU)
    with LargestTensor() as seen:
        logprobs = completion_logprobs(policy, batch, 1.0, 9).logprobs
        if trained:
            logprobs.sum().backward()
    assert len(batch.targets) > 40 and seen.largest == 9 * 20_000


def test_check_head_refuses_soft_caps() -> None:
    check_head(tiny_policy())
    policy = tiny_policy()
    forward = policy.forward

    def capped(*args: object, **kwargs: object) -> object:
        out = forward(*args, **kwargs)
        out.logits = 2.0 * torch.tanh(out.logits / 2.0)
        return out

    policy.forward = capped
    with pytest.raises(ZeroCoderError, match="more to its logits than a linear head"):
        check_head(policy)


def test_micro_batch_is_what_the_type_says() -> None:
    batch = collate(SAMPLES[:2], 0, CPU)
    assert isinstance(batch, MicroBatch) and batch.loss_mask.sum() == len(batch.targets) == len(batch.rollout_logprobs)
