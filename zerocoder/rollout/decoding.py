"""Batched decoding with a transformers model, made for many short samples of few prompts.

Several things make it faster than `generate` for rollouts: a prompt is read once for all of its samples, and what
several of them begin with is written once (`writing`); keys and values are written in place instead of being copied
for every token (`slots`); sequences that have ended leave the batch and others join; and on a CPU the weights are
packed for few rows (`packed`). Every sample draws its random numbers from its own seed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from zerocoder.rollout.attention import grouped_attention
from zerocoder.rollout.engine import Completion, OnDone, Request, Sampling
from zerocoder.rollout.packed import packed_linears
from zerocoder.rollout.writing import Answer, Batch

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

JOIN_BELOW = 0.75  # new prompts are read when no more than this share of the batch's answers is still being written


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
        self.check_lengths(requests, sampling)
        training = self.policy.training
        self.policy.eval()
        try:
            answers: list[list[Completion | None]] = [[None] * len(r.seeds) for r in requests]
            with packed_linears(self.policy), grouped_attention(self.policy):
                for answer in self._written(requests, sampling):
                    completion = self._completion(answer)
                    answers[answer.request][answer.sample] = completion
                    if on_done is not None:
                        on_done(answer.request, answer.sample, completion)
        finally:
            self.policy.train(training)
        return [[c for c in row if c is not None] for row in answers]

    def check_lengths(self, requests: Sequence[Request], sampling: Sampling) -> None:
        """Raises ValueError where prompts and answers are longer than what the model can read."""
        limit = getattr(self.policy.config, "max_position_embeddings", None)
        longest = max((len(r.prompt) for r in requests), default=0)
        if limit is not None and longest + sampling.max_new_tokens > limit:
            raise ValueError(
                f"a prompt of {longest} tokens and {sampling.max_new_tokens} new ones exceed the model's {limit}"
            )

    def _written(self, requests: Sequence[Request], sampling: Sampling) -> Iterator[Answer]:
        """The answers to all requests, each as soon as it is complete; at most `batch_size` are written at once."""
        waiting = self._groups(requests)
        slots = min(self.batch_size, sum(len(r.seeds) for r in requests))
        batch = Batch(self.policy, sampling, self.end_tokens, self.pad_token, slots)
        while waiting or batch.rows:
            room = self.batch_size - batch.answers
            if not batch.rows or room >= (1 - JOIN_BELOW) * self.batch_size:
                joining: list[list[tuple[int, int]]] = []
                while waiting and len(waiting[-1]) <= room:
                    joining.append(waiting.pop())
                    room -= len(joining[-1])
                if joining:
                    prompts = [requests[group[0][0]].prompt for group in joining]
                    batch.join(prompts, [[_answer(requests, *at, sampling) for at in group] for group in joining])
            yield from batch.advance()

    def _groups(self, requests: Sequence[Request]) -> list[list[tuple[int, int]]]:
        """(request, sample) pairs of one prompt, at most `batch_size`; the last ones are of the longest prompt."""
        order = sorted(range(len(requests)), key=lambda i: (len(requests[i].prompt), -i))
        pairs = [[(request, sample) for sample in range(len(requests[request].seeds))] for request in order]
        return [row[start : start + self.batch_size] for row in pairs for start in range(0, len(row), self.batch_size)]

    def _completion(self, answer: Answer) -> Completion:
        text = self.tokenizer.decode(answer.tokens, skip_special_tokens=True)
        return Completion(tuple(answer.tokens), tuple(answer.logprobs), not answer.ended, str(text))


def _answer(requests: Sequence[Request], request: int, sample: int, sampling: Sampling) -> Answer:
    random = np.random.default_rng(requests[request].seeds[sample])
    return Answer(request, sample, random.random(sampling.max_new_tokens))


def end_tokens(policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> set[int]:
    """Token ids that end an answer: the generation config's and the tokenizer's."""
    configured = getattr(policy.generation_config, "eos_token_id", None)
    listed = configured if isinstance(configured, list) else [configured]
    found = {int(t) for t in [*listed, tokenizer.eos_token_id] if t is not None}
    if not found:
        raise ValueError("neither the model nor the tokenizer names an end token")
    return found
