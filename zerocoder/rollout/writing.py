"""Answers while they are being written: those that say the same so far are one row of the model's batch.

Answers of one prompt share their row until they differ, so what several of them begin with is computed once. Then the
row is split: its keys and values are copied into another slot. A row whose answers have all ended gives up its slot to
the last row, and new prompts join when there is room.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from zerocoder.rollout.attention import shares_prompts
from zerocoder.rollout.drawing import draw
from zerocoder.rollout.engine import Sampling
from zerocoder.rollout.slots import SlotCache

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(slots=True)
class Answer:
    """One answer: sample `sample` of request `request`, drawn with `uniforms`, one number a token."""

    request: int
    sample: int
    uniforms: np.ndarray
    tokens: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    ended: bool = False  # by itself; otherwise it ran out of tokens


@dataclass(slots=True)
class Row:
    """Answers of one prompt that say the same so far. `start` is the column of the first token that its slot holds.

    Where prompts are shared, its own has number `prompt` and `before` tokens; otherwise the slot holds it.
    """

    answers: list[Answer]
    start: int
    prompt: int
    before: int


class Batch:
    """What is being written at the moment; `rows[i]` has slot i and row i of every tensor."""

    def __init__(
        self, policy: PreTrainedModel, sampling: Sampling, end_tokens: set[int], pad_token: int, slots: int
    ) -> None:
        self.rows: list[Row] = []
        self._policy, self._sampling = policy, sampling
        self._end_tokens, self._pad_token, self._slots = end_tokens, pad_token, slots
        self._logits: Tensor | None = None  # [rows, V] of each row's next token
        self._cache: SlotCache | None = None

    @property
    def answers(self) -> int:
        return sum(len(row.answers) for row in self.rows)

    def join(self, prompts: Sequence[tuple[int, ...]], answers: Sequence[list[Answer]]) -> None:
        """Read prompts, none of them longer than those before, and begin their answers."""
        logits, cache = self._prefill(prompts)
        lengths = [len(prompt) for prompt in prompts]
        if not self.rows or self._cache is None or self._logits is None:
            self._cache = SlotCache(cache, lengths, self._slots, shares_prompts(self._policy))
            self._logits = logits
        else:
            self._cache.join(cache, lengths)
            self._logits = torch.cat([self._logits, logits])
        end, shared = self._cache.window.end, self._cache.shared
        number = len(shared) - len(prompts) if shared is not None else 0
        for prompt, (length, group) in enumerate(zip(lengths, answers, strict=True), number):
            before = length if shared is not None else 0
            self.rows.append(Row(group, end - (length - before), prompt, before))

    def _prefill(self, prompts: Sequence[tuple[int, ...]]) -> tuple[Tensor, Cache]:
        """Logits after the last prompt token [P, V], and the left-padded prompts' cache."""
        device, width = self._policy.device, max(map(len, prompts))
        ids = torch.full((len(prompts), width), self._pad_token)
        mask = torch.zeros(len(prompts), width, dtype=torch.long)
        for i, prompt in enumerate(prompts):
            ids[i, width - len(prompt) :] = torch.tensor(prompt)
            mask[i, width - len(prompt) :] = 1
        ids, mask = ids.to(device), mask.to(device)
        out = self._policy(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            past_key_values=Cache(layer_class_to_replicate=DynamicLayer),
            use_cache=True,
            logits_to_keep=1,
        )
        return out.logits[:, -1].float(), out.past_key_values

    def advance(self) -> list[Answer]:
        """Draw one token for every answer and read it; the answers that are complete with it."""
        complete: list[Answer] = []
        branches = []
        for row, tokens, logprobs in zip(self.rows, *self._drawn(), strict=True):
            by_token: dict[int, list[Answer]] = {}
            for answer, token, logprob in zip(row.answers, tokens, logprobs, strict=False):
                answer.tokens.append(token)
                answer.logprobs.append(logprob)
                answer.ended = token in self._end_tokens
                if answer.ended or len(answer.tokens) == self._sampling.max_new_tokens:
                    complete.append(answer)
                else:
                    by_token.setdefault(token, []).append(answer)
            branches.append([Row(answers, row.start, row.prompt, row.before) for answers in by_token.values()])
        self._settle(branches)
        if self.rows:
            self._read()
        return complete

    def _drawn(self) -> tuple[list[list[int]], list[list[float]]]:
        """Tokens and log-probs of every row's answers; what is beyond their number means nothing."""
        assert self._logits is not None
        uniforms = np.zeros((len(self.rows), max(len(row.answers) for row in self.rows)))
        for i, row in enumerate(self.rows):
            uniforms[i, : len(row.answers)] = [answer.uniforms[len(answer.tokens)] for answer in row.answers]
        tokens, logprobs = draw(self._logits, torch.from_numpy(uniforms).to(self._logits.device), self._sampling)
        return tokens.tolist(), logprobs.tolist()

    def _settle(self, branches: Sequence[list[Row]]) -> None:
        """Give every branch of the rows a slot: the first one its row's, the others those that are free."""
        count = sum(map(len, branches))
        settled: dict[int, Row] = {}
        moving: list[tuple[int, Row]] = []
        for slot, (first, *others) in ((s, b) for s, b in enumerate(branches) if b):
            moving += [(slot, row) for row in others]
            if slot < count:
                settled[slot] = first
            else:
                moving.append((slot, first))
        free = [slot for slot in range(count) if slot not in settled]
        if moving:
            assert self._cache is not None
            self._cache.copy([source for source, _ in moving], free)
        settled.update(zip(free, (row for _, row in moving), strict=True))
        self.rows = [settled[slot] for slot in range(count)]

    def _read(self) -> None:
        """Every row's last token goes through the model."""
        assert self._cache is not None
        device, window, shared = self._policy.device, self._cache.window, self._cache.shared
        window.rows = len(self.rows)
        moved = self._cache.make_room(min(row.start for row in self.rows))
        for row in self.rows:
            row.start -= moved
        more: dict[str, Any] = {}
        if shared is not None:
            numbers = shared.serve([row.prompt for row in self.rows])
            for row, number in zip(self.rows, numbers, strict=True):
                row.prompt = number
            more["shared"] = shared  # goes through the model to attention
        starts = torch.tensor([[row.start] for row in self.rows], device=device)
        before = torch.tensor([[row.before] for row in self.rows], device=device)
        columns = torch.arange(window.first, window.end + 1, device=device)
        out = self._policy(
            input_ids=torch.tensor([[row.answers[0].tokens[-1]] for row in self.rows], device=device),
            attention_mask=columns >= starts,
            position_ids=window.end - starts + before,
            past_key_values=self._cache,
            use_cache=True,
            **more,
        )
        self._cache.advance()
        self._logits = out.logits[:, -1].float()
