"""What a step learns from: sequences with their advantages, and how they are cut into micro-batches.

Sequences of like length go together, so that little is padded; those that begin alike may be one row (`trees`). What a
sequence contributes to the loss does not depend on its company.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

MOST_PADDING = 0.1


@dataclass(frozen=True, slots=True)
class TrainingSample:
    """One prompt and completion to learn from."""

    prompt: tuple[int, ...]
    completion: tuple[int, ...]
    rollout_logprobs: tuple[float, ...]  # [T], by the engine, at the sampling temperature
    advantage: float = 0.0  # known last, when all tests have run
    ref_logprobs: Tensor | None = None  # [T] float32 on the CPU; None without a reference

    @property
    def length(self) -> int:
        """Tokens of prompt and completion."""
        return len(self.prompt) + len(self.completion)


@dataclass(frozen=True, slots=True)
class Shared:
    """Where the completion tokens of sequences are that share tokens; U of them are in the rows, T in the sequences."""

    predictors: Tensor  # [U] the token before each of them, counted over all rows: row x L + column
    nodes: Tensor  # [T] which of the U each sequence's token is


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """Sequences and what the loss needs of their completion tokens, flattened sequence by sequence to [T].

    They are right-padded, one a row; or packed: one after the other in the only row, without a mask, where
    `position_ids` that begin anew at 0 tell the attention which tokens belong together; or `shared`, see `trees`.
    """

    input_ids: Tensor  # [B, L]
    attention_mask: Tensor | None  # [B, L]; None when packed; bool [B, 1, L, L] when shared
    loss_mask: Tensor  # bool [B, L]: tokens of the completion
    targets: Tensor  # the completion tokens of the rows: [T], or [U] when shared
    advantages: Tensor  # [T]
    rollout_logprobs: Tensor  # [T]
    ref_logprobs: Tensor | None  # [T]
    position_ids: Tensor | None = None  # [1, L] when packed, [B, L] when shared
    shared: Shared | None = None


@dataclass(frozen=True, slots=True)
class Experience:
    """All sequences of one step. `tokens` is the number of completion tokens, the loss's one normaliser."""

    sequences: tuple[TrainingSample, ...]

    @property
    def tokens(self) -> int:
        return sum(len(s.completion) for s in self.sequences)


def batch_plan(
    lengths: Sequence[int], max_tokens: int, packed: bool = False, enough: int | None = None
) -> list[list[int]]:
    """Which sequences share a micro-batch: those of like length, at most `max_tokens` tokens, padding included.

    A sequence that is longer than `max_tokens` gets a micro-batch of its own. `packed` sequences need no padding. A
    micro-batch that has `enough` tokens is complete when another sequence would make more than `MOST_PADDING` of it
    padding.
    """
    batches: list[list[int]] = []
    total = 0  # tokens of the last micro-batch's sequences
    for row in sorted(range(len(lengths)), key=lambda row: lengths[row]):
        with_it = total + lengths[row]
        room = with_it if packed else lengths[row] * (len(batches[-1]) + 1 if batches else 1)
        complete = enough is not None and total >= enough and with_it < (1 - MOST_PADDING) * room
        if batches and room <= max_tokens and not complete:
            batches[-1].append(row)
            total = with_it
        else:
            batches.append([row])
            total = lengths[row]
    return batches


def cut_to(plan: Sequence[list[int]], count: int) -> list[list[int]]:
    """The plan with its micro-batches of most sequences halved until there are `count`.

    Where a pass over a micro-batch is one of all ranks, each rank has to make as many passes as the one with the
    longest sequences. There are as many sequences on every rank: a plan can be cut as fine as any other rank's.

    Example: [[0], [1, 2, 3]] cut to 3 is [[0], [1], [2, 3]].
    """
    plan = list(plan)
    while len(plan) < count:
        at = max(range(len(plan)), key=lambda i: len(plan[i]))
        half = len(plan[at]) // 2
        if not half:
            raise ValueError(f"{len(plan)} sequences cannot make {count} micro-batches: ranks hold unequal numbers")
        plan[at : at + 1] = [plan[at][:half], plan[at][half:]]
    return plan


def collate(batch: Sequence[TrainingSample], pad_token: int, device: torch.device, packed: bool = False) -> MicroBatch:
    """The sequences as one micro-batch on `device`, padded or packed. Every sequence begins with a prompt."""
    rows = _packed(batch) if packed else _padded(batch, pad_token)
    return micro_batch(batch, rows, device)


@dataclass(frozen=True, slots=True)
class Rows:
    """What the model reads of a micro-batch, still on the CPU; fields as in `MicroBatch`."""

    input_ids: Tensor
    attention_mask: Tensor | None
    loss_mask: Tensor
    position_ids: Tensor | None = None
    shared: Shared | None = None


def micro_batch(batch: Sequence[TrainingSample], rows: Rows, device: torch.device) -> MicroBatch:
    """`rows` and what the loss needs of the sequences that they were made of, on `device`."""
    advantages = torch.cat([torch.full((len(s.completion),), s.advantage) for s in batch])
    rollout_logprobs = torch.tensor([x for s in batch for x in s.rollout_logprobs], dtype=torch.float32)
    references = [s.ref_logprobs for s in batch if s.ref_logprobs is not None]
    shared = rows.shared
    return MicroBatch(
        input_ids=rows.input_ids.to(device),
        attention_mask=None if rows.attention_mask is None else rows.attention_mask.to(device),
        loss_mask=rows.loss_mask.to(device),
        targets=rows.input_ids[rows.loss_mask].to(device),
        advantages=advantages.float().to(device),
        rollout_logprobs=rollout_logprobs.to(device),
        ref_logprobs=torch.cat(references).to(device) if references else None,
        position_ids=None if rows.position_ids is None else rows.position_ids.to(device),
        shared=None if shared is None else Shared(shared.predictors.to(device), shared.nodes.to(device)),
    )


def _padded(batch: Sequence[TrainingSample], pad_token: int) -> Rows:
    """[B, L], a sequence a row."""
    width = max(s.length for s in batch)
    ids = torch.full((len(batch), width), pad_token)
    attention = torch.zeros(len(batch), width, dtype=torch.long)
    loss_mask = torch.zeros(len(batch), width, dtype=torch.bool)
    for row, s in enumerate(batch):
        ids[row, : s.length] = torch.tensor(s.prompt + s.completion)
        attention[row, : s.length] = 1
        loss_mask[row, len(s.prompt) : s.length] = True
    return Rows(ids, attention, loss_mask)


def _packed(batch: Sequence[TrainingSample]) -> Rows:
    """[1, L], one sequence after the other."""
    ids = torch.tensor([token for s in batch for token in (*s.prompt, *s.completion)])
    loss_mask = torch.cat([torch.arange(s.length) >= len(s.prompt) for s in batch])
    positions = torch.cat([torch.arange(s.length) for s in batch])
    return Rows(ids[None], None, loss_mask[None], positions[None])
