"""Sequences that begin alike in one row: the same log-probs and gradients as alone, worked on once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_policy

from zerocoder.config import AlgorithmConfig, Packing, TrainerConfig
from zerocoder.experience import Experience, TrainingSample, collate
from zerocoder.learner import Learner, TokenSums
from zerocoder.logprobs import completion_logprobs
from zerocoder.reference import FrozenCopy
from zerocoder.trees import by_prompt, collate_trees, pays, sees_trees, tree_of
from zerocoder.world import World

CPU = torch.device("cpu")
TOKENS = st.integers(5, 7)  # few, so that sequences begin alike


def sample(prompt: tuple[int, ...], completion: tuple[int, ...], advantage: float = 1.0) -> TrainingSample:
    return TrainingSample(prompt, completion, (-0.5,) * len(completion), advantage)


def test_a_tree_by_hand() -> None:
    group = [sample((7, 8), (9, 5)), sample((7, 8), (9, 6, 5)), sample((7, 8), (9, 5))]
    tree = tree_of(group)
    assert tree.tokens == [7, 8, 9, 5, 6, 5]
    assert tree.parents == [-1, 0, 1, 2, 2, 4]
    assert tree.positions == [0, 1, 2, 3, 3, 4]
    assert tree.paths == [[2, 3], [2, 4, 5], [2, 3]]
    assert tree.visible.astype(int).tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 0, 1, 0],
        [1, 1, 1, 0, 1, 1],
    ]
    other = [sample((4,), (3,))]
    batch = collate_trees([group, other], [tree, tree_of(other)], 0, CPU)
    assert batch.input_ids.tolist() == [[7, 8, 9, 5, 6, 5], [4, 3, 0, 0, 0, 0]]
    assert batch.targets.tolist() == [9, 5, 6, 5, 3]
    assert batch.shared is not None
    assert batch.shared.predictors.tolist() == [1, 2, 2, 4, 6]
    assert batch.shared.nodes.tolist() == [0, 1, 0, 2, 3, 0, 1, 4]
    assert batch.targets[batch.shared.nodes].tolist() == [9, 5, 9, 6, 5, 9, 5, 3]
    assert batch.attention_mask is not None and bool(batch.attention_mask.any(-1).all()), "no row without a token"


def test_groups_are_of_one_prompt_each() -> None:
    samples = [sample((1,), (5,)), sample((2,), (5,)), sample((1,), (6,))]
    assert by_prompt(samples) == [[0, 2], [1]]


def test_one_row_pays_where_much_is_shared_and_rows_are_short() -> None:
    prompt = tuple(range(10, 40))
    same = [sample(prompt, (5, 6, 7))] * 8
    assert pays(tree_of(same), same, 192)
    # Nothing but a prompt of one token in common: 8 x 200 tokens look at 1,593^2 pairs instead of at 8 x 200^2.
    different = [sample((1,), tuple(range(k, k + 199))) for k in range(8)]
    assert not pays(tree_of(different), different, 192)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(
        st.tuples(st.lists(TOKENS, min_size=1, max_size=4), st.lists(TOKENS, min_size=1, max_size=6)),
        min_size=1,
        max_size=8,
    )
)
def test_log_probs_entropies_and_gradients_are_those_of_the_sequences_alone(
    drawn: list[tuple[list[int], list[int]]],
) -> None:
    drawn.sort()
    samples = [sample(tuple(prompt), tuple(completion)) for prompt, completion in drawn]
    groups = [[samples[row] for row in rows] for rows in by_prompt(samples)]
    policy = tiny_policy()
    results = []
    for batch in (collate(samples, 0, CPU), collate_trees(groups, [tree_of(group) for group in groups], 0, CPU)):
        policy.zero_grad()
        out = completion_logprobs(policy, batch, 0.7, 3)
        (out.logprobs * torch.linspace(0.5, 2, len(out.logprobs))).sum().backward()
        gradient = torch.cat([p.grad.flatten() for p in policy.parameters()])
        results.append((out.logprobs.detach(), out.entropy, gradient))
    torch.testing.assert_close(*results, atol=1e-4, rtol=1e-4)


def learner(packing: Packing, max_tokens: int = 200) -> Learner:
    trainer = TrainerConfig(packing=packing, micro_batch_tokens=max_tokens, accelerator="cpu")
    return Learner(
        tiny_policy(), FrozenCopy(tiny_policy(seed=1)), AlgorithmConfig(kl_coefficient=0.05), trainer, 0.7, World()
    )


@pytest.mark.parametrize("max_tokens", [12, 60, 10_000])
def test_a_step_learns_the_same_from_trees(max_tokens: int) -> None:
    random = np.random.default_rng(0)
    prompts = [tuple(int(t) for t in random.integers(5, 261, n)) for n in (9, 4, 12)]
    samples = [
        sample(prompt, tuple(int(t) for t in random.integers(5, 8, random.integers(1, 9))), float(random.normal()))
        for _ in range(6)
        for prompt in prompts
    ]
    # One prompt's answers have nothing in common and are long: they stay alone, among trees.
    samples += [sample((9,), tuple(int(t) for t in random.integers(5, 261, 300))) for _ in range(3)]
    results = []
    for packing in (Packing.AUTO, Packing.OFF):
        ours = learner(packing, max_tokens)
        told = ours.with_reference(samples, CPU)
        references = torch.cat([s.ref_logprobs for s in told])
        sums = TokenSums()
        flags = []
        shared = 0
        for batch, last in ours.micro_batches(Experience(tuple(told)), CPU):
            loss, part = ours.loss(batch)
            loss.backward()
            sums.add(part)
            flags.append(last)
            shared += batch.shared is not None
        assert flags == [False] * (len(flags) - 1) + [True]
        assert (shared > 0) == (packing is Packing.AUTO) and shared < len(flags)
        gradient = torch.cat([p.grad.flatten() for p in ours.policy.parameters()])
        numbers = torch.tensor([sums.loss, sums.kl, sums.entropy, sums.gap, sums.gap_max])
        results.append((references, numbers, gradient / gradient.norm()))
    torch.testing.assert_close(*results, atol=1e-3, rtol=1e-4)


def test_only_models_that_take_such_a_mask_get_trees() -> None:
    policy = tiny_policy()
    assert sees_trees(policy)
    policy.set_attn_implementation("eager")  # adds what it is given to its scores
    assert not sees_trees(policy)
    policy.set_attn_implementation("sdpa")
    policy.config.sliding_window = 8
    assert not sees_trees(policy)
    policy.config.sliding_window = None
    forward = policy.model.forward
    policy.model.forward = lambda **given: forward(**(given | {"attention_mask": None}))  # a model that has its own
    assert not sees_trees(policy)


def test_several_ranks_have_a_row_for_each_sequence() -> None:
    trainer = TrainerConfig(accelerator="cpu")
    shares = [Learner(tiny_policy(), None, AlgorithmConfig(), trainer, 0.7, World(size=n)).shares for n in (1, 2)]
    assert shares == [True, False]
