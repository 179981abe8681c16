"""Prompts that are kept once for all of their answers, and attention to them.

A query that decodes one token reads all keys and values before it, and the time goes into reading them. Where every row
holds a copy of its prompt, most of what is read is read many times. Here rows of one prompt ask it together, in one
product a head, and only what they have written is read row by row. Both parts go through one softmax, so the result is
that of attention to the whole.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

DROP_BELOW = 0.75
"""Prompts without rows are dropped when no more than this share of all is still asked: the rest has to be copied."""


class SharedPrompts:
    """Every layer's keys and values of P left-padded prompts, [P * heads, W, size], and which rows ask which."""

    def __init__(self) -> None:
        self._layers: list[tuple[Tensor, Tensor]] = []
        self._lengths: list[int] = []
        self._owners: list[int] = []

    def __len__(self) -> int:
        return len(self._lengths)

    def join(self, states: Sequence[tuple[Tensor, Tensor]], lengths: Sequence[int]) -> None:
        """Add prompts of `lengths` tokens; `states` are each layer's keys and values [prompts, heads, width, size].

        None may be longer than the longest of those that are there.
        """
        self._heads = states[0][0].shape[1]
        new = [(keys.flatten(0, 1), values.flatten(0, 1)) for keys, values in states]
        if self._layers:
            new = [
                (_stacked(keys, more_keys), _stacked(values, more_values))
                for (keys, values), (more_keys, more_values) in zip(self._layers, new, strict=True)
            ]
        self._layers = new
        self._lengths += lengths
        self._owners = []

    def serve(self, owners: Sequence[int]) -> list[int]:
        """Row i asks prompt `owners[i]` from now on; the prompts' numbers, which change when others are dropped."""
        asked = sorted(set(owners))
        if len(asked) <= DROP_BELOW * len(self):
            self._keep(asked)
            number = {old: new for new, old in enumerate(asked)}
            owners = [number[owner] for owner in owners]
        if owners != self._owners:
            self._owners = list(owners)
            self._arrange()
        return self._owners

    def _keep(self, prompts: Sequence[int]) -> None:
        rows = (torch.tensor(prompts)[:, None] * self._heads + torch.arange(self._heads)).flatten()
        self._layers = [(keys[rows], values[rows]) for keys, values in self._layers]
        self._lengths = [self._lengths[prompt] for prompt in prompts]
        self._owners = []

    def _arrange(self) -> None:
        """Where every row stands among those of its prompt: they ask as [P * heads, most rows of a prompt]."""
        owners = np.array(self._owners)
        counts = np.bincount(owners, minlength=len(self))
        order = owners.argsort(kind="stable")
        place = np.empty_like(owners)
        place[order] = np.arange(len(owners)) - (counts.cumsum() - counts)[owners[order]]
        table = np.zeros((len(self), int(counts.max())), dtype=np.int64)  # what fills it up is computed in vain
        table[owners, place] = np.arange(len(owners))
        heads = np.arange(self._heads)
        self._asking = torch.from_numpy((table[:, None] * self._heads + heads[:, None]).ravel())
        self._asked = torch.from_numpy(
            ((owners[:, None] * self._heads + heads) * table.shape[1] + place[:, None]).ravel()
        )
        width = self._layers[0][0].shape[1]
        padded = torch.arange(width) < width - torch.tensor(self._lengths).repeat_interleave(self._heads)[:, None]
        self._bias = torch.zeros(padded.shape).masked_fill_(padded, -torch.inf)[:, None]

    def attend(
        self, layer: int, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float
    ) -> Tensor:
        """Attention of `query` [rows, heads, group, size] to the rows' prompts and to what they have written.

        That is `key` and `value`, [rows, heads, T, size], but where `mask` [rows, 1, 1, T] is false.
        """
        (prompt_keys, prompt_values), (rows, heads, group, size) = self._layers[layer], query.shape
        (prompts, width, _), query = prompt_keys.shape, query.reshape(rows * heads, group, size)
        asking = query.index_select(0, self._asking).view(prompts, -1, size)
        before = torch.baddbmm(self._bias, asking, prompt_keys.transpose(1, 2), alpha=scale)
        own = torch.bmm(query, key.flatten(0, 1).transpose(1, 2)).mul_(scale)
        if mask is not None:
            own.view(rows, heads, group, -1).masked_fill_(~mask, -torch.inf)
        weights = torch.cat([before.view(-1, group, width).index_select(0, self._asked), own], -1).softmax(-1)
        before = weights[..., :width].index_select(0, self._asking).view(prompts, -1, width)
        seen = torch.bmm(before, prompt_values).view(-1, group, size).index_select(0, self._asked)
        return torch.baddbmm(seen, weights[..., width:], value.flatten(0, 1)).view(rows, heads, group, size)


def _stacked(states: Tensor, more: Tensor) -> Tensor:
    """Both below each other; `more` is padded on the left."""
    padding = more.new_zeros(more.shape[0], states.shape[1] - more.shape[1], more.shape[2])
    return torch.cat([states, torch.cat([padding, more], 1)])
