"""Batched decoding with a transformers model, made for many short samples of few prompts.

Four things make it faster than `generate` for rollouts: a prompt is read once and its cache is shared out to its
samples; keys and values are written in place into a buffer instead of being copied for every token; sequences that
have ended leave the batch; and on a CPU the weights are packed for few rows. Every sample draws its random
numbers from its own seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import Cache, DynamicLayer

from zerocoder.rollout.engine import Completion, OnDone, Request, Sampling
from zerocoder.rollout.packed import packed_linears

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

NUCLEUS_CANDIDATES = 1024  # top-p is looked for among so many likeliest tokens before the whole vocabulary is sorted
COMPACT_BELOW = 0.85  # the batch is compacted when no more than this share of it is still being written


class BufferedLayer(DynamicLayer):
    """Keys and values of one layer, [batch, heads, tokens, head size], with room for the tokens to come."""

    room = 256

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.length = 0
        self.buffers = tuple(
            self._written(old, new)
            for old, new in zip(getattr(self, "buffers", (None, None)), (key_states, value_states), strict=True)
        )
        self.length += key_states.shape[-2]
        self.keys, self.values = (b[:, :, : self.length] for b in self.buffers)
        return self.keys, self.values

    def _written(self, buffer: Tensor | None, new: Tensor) -> Tensor:
        end = self.length + new.shape[-2]
        if buffer is None or end > buffer.shape[-2]:
            grown = new.new_empty(*new.shape[:-2], end + self.room, new.shape[-1])
            if buffer is not None:
                grown[:, :, : self.length] = buffer[:, :, : self.length]
            buffer = grown
        buffer[:, :, self.length : end] = new
        return buffer

    def batch_select_indices(self, indices: Tensor) -> None:
        self.buffers = tuple(b[indices] for b in self.buffers)
        self.keys, self.values = (b[:, :, : self.length] for b in self.buffers)


class TransformersEngine:
    """A `RolloutEngine` over a causal transformers model that lives in this process."""

    def __init__(self, policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, batch_size: int) -> None:
        self.policy = policy
        self.tokenizer = tokenizer
        self.batch_size = batch_size
        self.end_tokens = end_tokens(policy, tokenizer)
        self.pad_token = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else min(self.end_tokens)

    def sync_weights(self, policy: PreTrainedModel) -> None:
        """Decode with `policy` from now on; it is used in place, so its later changes need no copy."""
        self.policy = policy

    def pause(self) -> None:
        pass  # between two calls it holds nothing but the policy itself

    def close(self) -> None:
        pass

    @torch.inference_mode()
    def generate(
        self, requests: Sequence[Request], sampling: Sampling, on_done: OnDone | None = None
    ) -> list[list[Completion]]:
        self._check_lengths(requests, sampling)
        training = self.policy.training
        self.policy.eval()
        try:
            answers: list[list[Completion | None]] = [[None] * len(r.seeds) for r in requests]
            with packed_linears(self.policy):
                for batch in self._batches(requests):
                    for (request, sample), completion in self._decode(requests, batch, sampling):
                        answers[request][sample] = completion
                        if on_done is not None:
                            on_done(request, sample, completion)
        finally:
            self.policy.train(training)
        return [[c for c in row if c is not None] for row in answers]

    def _check_lengths(self, requests: Sequence[Request], sampling: Sampling) -> None:
        limit = getattr(self.policy.config, "max_position_embeddings", None)
        longest = max((len(r.prompt) for r in requests), default=0)
        if limit is not None and longest + sampling.max_new_tokens > limit:
            raise ValueError(
                f"a prompt of {longest} tokens and {sampling.max_new_tokens} new ones exceed the model's {limit}"
            )

    def _batches(self, requests: Sequence[Request]) -> Iterator[list[tuple[int, int]]]:
        """(request, sample) pairs, prompts of like length together, at most `batch_size` at a time."""
        order = sorted(range(len(requests)), key=lambda i: (len(requests[i].prompt), i))
        batch: list[tuple[int, int]] = []
        for request in order:
            for sample in range(len(requests[request].seeds)):
                batch.append((request, sample))
                if len(batch) == self.batch_size:
                    yield batch
                    batch = []
        if batch:
            yield batch

    def _decode(
        self, requests: Sequence[Request], batch: list[tuple[int, int]], sampling: Sampling
    ) -> Iterator[tuple[tuple[int, int], Completion]]:
        """The batch's completions, each as soon as it has ended."""
        state = _Decoding(self, requests, batch, sampling)
        steps = sampling.max_new_tokens
        for step in range(steps):
            for row in state.advance(step, last=step == steps - 1):
                yield batch[row], state.completion(row)
            if not state.alive:
                break


class _Decoding:
    """One batch while it is being written. Row i of every tensor belongs to sequence `rows[i]` of the batch."""

    def __init__(
        self, engine: TransformersEngine, requests: Sequence[Request], batch: list[tuple[int, int]], sampling: Sampling
    ) -> None:
        self.engine, self.sampling = engine, sampling
        device = engine.policy.device
        prompts = list(dict.fromkeys(r for r, _ in batch))
        self.logits, self.cache, mask = self._prefill([requests[r].prompt for r in prompts])
        owner = torch.tensor([prompts.index(r) for r, _ in batch], device=device)
        self.logits = self.logits[owner]
        self.cache.batch_select_indices(owner)
        self.mask = mask[owner]
        self.positions = self.mask.sum(1)
        self.rows = torch.arange(len(batch))
        self.uniforms = torch.from_numpy(
            np.stack([np.random.default_rng(requests[r].seeds[s]).random(sampling.max_new_tokens) for r, s in batch])
        ).to(device)
        self.tokens = torch.zeros(len(batch), sampling.max_new_tokens, dtype=torch.long)
        self.logprobs = torch.zeros(len(batch), sampling.max_new_tokens, dtype=torch.float32)
        self.lengths = torch.zeros(len(batch), dtype=torch.long)
        self.done = torch.zeros(len(batch), dtype=torch.bool)
        self.stops = torch.tensor(sorted(engine.end_tokens), device=device)

    @property
    def alive(self) -> bool:
        return not bool(self.done.all())

    def _prefill(self, prompts: list[tuple[int, ...]]) -> tuple[Tensor, Cache, Tensor]:
        """Logits after the last prompt token [P, V], the cache, and the left-padded attention mask [P, L]."""
        device, width = self.engine.policy.device, max(map(len, prompts))
        ids = torch.full((len(prompts), width), self.engine.pad_token)
        mask = torch.zeros(len(prompts), width, dtype=torch.long)
        for i, prompt in enumerate(prompts):
            ids[i, width - len(prompt) :] = torch.tensor(prompt)
            mask[i, width - len(prompt) :] = 1
        ids, mask = ids.to(device), mask.to(device)
        cache = Cache(layer_class_to_replicate=BufferedLayer)
        out = self.engine.policy(
            input_ids=ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(1) - 1).clamp(min=0),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return out.logits[:, -1].float(), out.past_key_values, mask

    def advance(self, step: int, last: bool) -> list[int]:
        """Draw one token for every row and read it; the sequences that ended with it, all of them with the last."""
        tokens, logprobs = draw(self.logits, self.uniforms[:, step], self.sampling)
        writing = ~self.done[self.rows]
        at = self.rows[writing]
        self.tokens[at, step] = tokens.cpu()[writing]
        self.logprobs[at, step] = logprobs.cpu()[writing]
        self.lengths[at] += 1
        ended = at[torch.isin(tokens, self.stops).cpu()[writing]]
        self.done[ended] = True
        if last or not self.alive:
            return [int(row) for row in (at if last else ended)]
        keep = ~self.done[self.rows]
        if keep.float().mean() <= COMPACT_BELOW:
            tokens = self._compact(keep.nonzero()[:, 0], tokens)
        self._read(tokens)
        return [int(row) for row in ended]

    def _compact(self, keep: Tensor, tokens: Tensor) -> Tensor:
        self.rows = self.rows[keep]
        keep = keep.to(tokens.device)
        self.cache.batch_select_indices(keep)
        self.mask, self.positions, self.uniforms = self.mask[keep], self.positions[keep], self.uniforms[keep]
        return tokens[keep]

    def _read(self, tokens: Tensor) -> None:
        self.mask = torch.cat([self.mask, self.mask.new_ones(len(self.mask), 1)], dim=1)
        out = self.engine.policy(
            input_ids=tokens[:, None],
            attention_mask=self.mask,
            position_ids=self.positions[:, None],
            past_key_values=self.cache,
            use_cache=True,
        )
        self.positions = self.positions + 1
        self.logits = out.logits[:, -1].float()

    def completion(self, row: int) -> Completion:
        length = int(self.lengths[row])
        tokens, logprobs = self.tokens[row, :length].tolist(), self.logprobs[row, :length].tolist()
        text = self.engine.tokenizer.decode(tokens, skip_special_tokens=True)
        return Completion(tuple(tokens), tuple(logprobs), not bool(self.done[row]), str(text))


def end_tokens(policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Token ids that end an answer: the generation config's and the tokenizer's."""
    configured = getattr(policy.generation_config, "eos_token_id", None)
    listed = configured if isinstance(configured, list) else [configured]
    found = {int(t) for t in [*listed, tokenizer.eos_token_id] if t is not None}
    if not found:
        raise ValueError("neither the model nor the tokenizer names an end token")
    return found


def draw(logits: Tensor, uniforms: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """One token a row by inverting the cumulative distribution at `uniforms` [B], and its log-probability.

    `logits` [B, V]. The log-probability is that of the whole distribution at the sampling temperature, before top-p
    and top-k: the trainer computes the same quantity.
    """
    if sampling.temperature == 0:
        tokens = logits.argmax(-1)
        return tokens, torch.log_softmax(logits, -1).gather(1, tokens[:, None])[:, 0]
    logprobs = torch.log_softmax(logits / sampling.temperature, -1)
    if sampling.top_p >= 1 and sampling.top_k == 0:
        probs, order = logprobs.exp(), None
    else:
        probs, order = _nucleus(logprobs, sampling)
    mass = probs.double().cumsum(-1)
    # The first token whose cumulative mass exceeds u; u < 1 keeps it inside, the clamp guards against rounding.
    index = torch.searchsorted(mass, (uniforms * mass[:, -1])[:, None], right=True).clamp(max=probs.shape[1] - 1)
    last_kept = (probs > 0).long().mul(torch.arange(probs.shape[1], device=probs.device)).amax(1, keepdim=True)
    index = torch.minimum(index, last_kept)
    tokens = (index if order is None else order.gather(1, index))[:, 0]
    return tokens, logprobs.gather(1, tokens[:, None])[:, 0]


def _nucleus(logprobs: Tensor, sampling: Sampling) -> tuple[Tensor, Tensor]:
    """Probabilities in falling order with everything outside top-k and top-p set to 0, and the tokens' ids."""
    vocabulary = logprobs.shape[1]
    for width in (min(vocabulary, NUCLEUS_CANDIDATES), vocabulary):
        top, order = logprobs.topk(width, dim=-1)
        probs = top.exp()
        if width == vocabulary or bool((probs.sum(-1) >= sampling.top_p).all()):
            break
    # Keep the smallest set whose mass reaches top_p: a token stays while the mass before it is below top_p.
    before = probs.cumsum(-1) - probs
    keep = before < sampling.top_p
    if sampling.top_k:
        keep[:, sampling.top_k :] = False
    keep[:, 0] = True
    return probs * keep, order
