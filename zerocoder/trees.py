"""Sequences that begin alike as one row of a micro-batch: a tree whose nodes are tokens.

The answers to one prompt share it, and short programs of a policy that is sure of itself share much more. Every token
that has the same tokens before it is one node, which sees its ancestors and nothing else: what the model computes for
it is what it would compute in each of the sequences, once. The loss is a sum over the sequences' tokens, so its
gradient is the same.

Example: prompt p with answers `a b` and `a c` is the row p a b c with positions 0 1 2 2, where c does not see b.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from zerocoder.experience import MicroBatch, Rows, Shared, TrainingSample, collate, micro_batch
from zerocoder.logprobs import completion_logprobs

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, slots=True)
class Tree:
    """The nodes [L], a parent before its children, of sequences with one prompt, whose tokens are the first nodes."""

    tokens: list[int]
    parents: list[int]  # -1 of the first
    positions: list[int]
    prompt: int  # tokens of the prompt
    paths: list[list[int]]  # of each sequence, the nodes of its completion

    @property
    def visible(self) -> NDArray[np.bool_]:
        """[L, L] which nodes (columns) a node (row) sees: its ancestors and itself."""
        seen = np.eye(len(self.tokens), dtype=bool)
        for node, parent in enumerate(self.parents[1:], 1):
            seen[node] |= seen[parent]
        return seen


def tree_of(samples: Sequence[TrainingSample]) -> Tree:
    """The tree of samples with the same prompt."""
    prompt = samples[0].prompt
    tokens, parents, positions = list(prompt), list(range(-1, len(prompt) - 1)), list(range(len(prompt)))
    children: dict[tuple[int, int], int] = {}
    paths = []
    for sample in samples:
        node, path = len(prompt) - 1, []
        for token in sample.completion:
            child = children.setdefault((node, token), len(tokens))
            if child == len(tokens):
                tokens.append(token)
                parents.append(node)
                positions.append(positions[node] + 1)
            path.append(child)
            node = child
        paths.append(path)
    return Tree(tokens, parents, positions, len(prompt), paths)


def by_prompt(samples: Sequence[TrainingSample]) -> list[list[int]]:
    """The rows of samples with the same prompt, in order."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for row, sample in enumerate(samples):
        groups.setdefault(sample.prompt, []).append(row)
    return list(groups.values())


def pays(tree: Tree, samples: Sequence[TrainingSample], hidden_size: int) -> bool:
    """Whether one row costs less arithmetic than the sequences alone.

    A layer's matrices take about 24 x hidden^2 operations a token, and attention, which looks at all pairs of tokens
    in a row whether they see each other or not, 4 x hidden a pair.
    """
    lengths = np.array([sample.length for sample in samples])
    size = len(tree.tokens)
    return bool(6 * hidden_size * (lengths.sum() - size) > size**2 - (lengths**2).sum())


def collate_trees(
    groups: Sequence[Sequence[TrainingSample]], trees: Sequence[Tree], pad_token: int, device: torch.device
) -> MicroBatch:
    """The trees of `groups` as one right-padded micro-batch, a tree a row."""
    size = len(trees), max(len(tree.tokens) for tree in trees)
    ids, positions = torch.full(size, pad_token), torch.zeros(size, dtype=torch.long)
    loss_mask = torch.zeros(size, dtype=torch.bool)
    visible = torch.eye(size[1], dtype=torch.bool).repeat(len(trees), 1, 1)  # padding sees itself: no row is empty
    predictors: list[int] = []
    nodes: list[int] = []
    for row, tree in enumerate(trees):
        length, first = len(tree.tokens), len(predictors) - tree.prompt
        ids[row, :length] = torch.tensor(tree.tokens)
        positions[row, :length] = torch.tensor(tree.positions)
        loss_mask[row, tree.prompt : length] = True
        visible[row, :length, :length] = torch.from_numpy(tree.visible)
        predictors += [row * size[1] + parent for parent in tree.parents[tree.prompt :]]
        nodes += [first + node for path in tree.paths for node in path]
    shared = Shared(torch.tensor(predictors), torch.tensor(nodes))
    samples = [sample for group in groups for sample in group]
    return micro_batch(samples, Rows(ids, visible[:, None], loss_mask, positions, shared), device)


def sees_trees(policy: PreTrainedModel) -> bool:
    """Whether the model takes a mask of its own for every pair of tokens, found out on a tree of five."""
    config = policy.config
    windows = set(getattr(config, "layer_types", None) or ()) - {"full_attention"}
    if config._attn_implementation != "sdpa" or windows or getattr(config, "sliding_window", None) is not None:
        return False
    samples = [TrainingSample((0, 1), (token, 2), (0.0, 0.0)) for token in (0, 3)]
    together = collate_trees([samples], [tree_of(samples)], 0, policy.device)
    with torch.no_grad():
        alone, shared = (
            completion_logprobs(policy, batch, 1.0, 8).logprobs.float()
            for batch in (collate(samples, 0, policy.device), together)
        )
    return torch.allclose(alone, shared, atol=0.05 if policy.dtype is torch.bfloat16 else 1e-3)
