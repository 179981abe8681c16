"""The keys and values of sequences that are being written, in buffers that stay where they are.

Every sequence has a slot of the buffers, and all of them end at the same column: a pass writes one column in place, and
attention reads a window of columns without a copy. Sequences that join later are put into the columns before the
present end; what a slot holds before its first token is masked. A prompt's keys and values are in the slots of its
sequences, or they are kept once for all of them (`shared`), and the slots hold what was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from zerocoder.rollout.shared import SharedPrompts

ROOM, MOST_ROOM = 32, 256
"""Columns for tokens to come whenever the buffers are made anew: a quarter of those in use, but within these bounds.

More would be cleared by the system and stepped over for nothing where answers are short; fewer are copied more often.
"""


@dataclass(slots=True)
class Window:
    """What attention reads: columns `first` to `end` of the slots before `rows`."""

    rows: int
    first: int
    end: int


class SlotLayer(DynamicLayer):
    """One layer's keys and values, two buffers [slots, heads, columns, head size]."""

    def __init__(self, keys: Tensor, values: Tensor, slots: int, window: Window) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.window = window
        self.buffers = [
            new.new_empty(slots, new.shape[1], _columns(window.end), new.shape[3]) for new in (keys, values)
        ]

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        rows, first, end = self.window.rows, self.window.first, self.window.end
        for buffer, new in zip(self.buffers, (key_states, value_states), strict=True):
            buffer[:rows, :, end : end + 1] = new
        self.keys, self.values = (buffer[:rows, :, first : end + 1] for buffer in self.buffers)
        return self.keys, self.values

    def get_seq_length(self) -> int:
        return self.window.end - self.window.first


class SlotCache(Cache):
    """A transformers cache for decoding, one token a pass, with room for `slots` sequences.

    `prompts` holds the first sequences' prompts, of `lengths` tokens and left-padded; they take the first slots. With
    `share` their keys and values are kept in `shared`, and the slots begin with the first token of the answers.
    """

    def __init__(self, prompts: Cache, lengths: Sequence[int], slots: int, share: bool) -> None:
        states = _states(prompts)
        self.shared = SharedPrompts() if share else None
        self.window = Window(0, 0, 0 if share else states[0][0].shape[2])
        self._layers = [SlotLayer(keys, values, slots, self.window) for keys, values in states]
        super().__init__(layers=list(self._layers))
        self.join(prompts, lengths)

    def join(self, prompts: Cache, lengths: Sequence[int]) -> None:
        """The sequences of `prompts` take the next slots and end at the present column.

        They must fit into the window, as they do where the longest prompts come first.
        """
        given = _states(prompts)
        window, (rows, _, width, _) = self.window, given[0][0].shape
        if self.shared is not None:
            self.shared.join(given, lengths)
        begin = width if self.shared is not None else 0  # of what the slots get
        at, start = slice(window.rows, window.rows + rows), window.end - (width - begin)
        for layer, new in zip(self._layers, given, strict=True):
            for buffer, states in zip(layer.buffers, new, strict=True):
                buffer[at, :, window.first : start] = 0  # masked, but attention multiplies what it holds by 0
                buffer[at, :, start : window.end] = states[:, :, begin:]
        window.rows += rows

    def copy(self, sources: Sequence[int], targets: Sequence[int]) -> None:
        """Slots `targets` get what slots `sources` hold; none may be in both."""
        if self.window.first == self.window.end:
            return
        columns, device = slice(self.window.first, self.window.end), self._layers[0].buffers[0].device
        of, to = torch.tensor(sources, device=device), torch.tensor(targets, device=device)
        for layer in self._layers:
            for buffer in layer.buffers:
                used = buffer[:, :, columns]
                used.index_copy_(0, to, used.index_select(0, of))

    def advance(self) -> None:
        """A pass has written its column."""
        self.window.end += 1

    def make_room(self, first: int) -> int:
        """No sequence begins before column `first`: how far to the left all columns were moved, mostly 0."""
        window = self.window
        window.first = first
        if window.end < self._layers[0].buffers[0].shape[2]:
            return 0
        rows, used = window.rows, window.end - first
        for layer in self._layers:
            for n, old in enumerate(layer.buffers):
                layer.buffers[n] = old.new_empty(*old.shape[:2], _columns(used), old.shape[3])
                layer.buffers[n][:rows, :, :used] = old[:rows, :, first : window.end]
        window.first, window.end = 0, used
        return first


def _columns(used: int) -> int:
    """How many to make where so many are in use."""
    return used + min(max(ROOM, used // 4), MOST_ROOM)


def _states(cache: Cache) -> list[tuple[Tensor, Tensor]]:
    """Keys and values [rows, heads, columns, head size] of every layer."""
    found = []
    for layer in cache.layers:
        assert isinstance(layer, DynamicLayer) and layer.keys is not None and layer.values is not None
        found.append((layer.keys, layer.values))
    return found
