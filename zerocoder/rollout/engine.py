"""The rollout engine's interface: prompts as token ids in, completions with their sampled log-probs out.

An engine samples from the current policy and nothing else. It is handed prompts as token ids and returns token ids,
never re-tokenised text. Every completion has a seed of its own, so that a run repeats whatever the batching and a
resumed run continues as the unbroken one would have.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class Sampling:
    """How completions are drawn. `temperature` 0 is greedy; `top_k` 0 and `top_p` 1 switch the cut off."""

    temperature: float
    top_p: float
    top_k: int
    max_new_tokens: int

    def greedy(self) -> Sampling:
        return Sampling(temperature=0.0, top_p=1.0, top_k=0, max_new_tokens=self.max_new_tokens)


@dataclass(frozen=True, slots=True)
class Request:
    """`len(seeds)` completions of one prompt; completion i is drawn with `seeds[i]`."""

    prompt: tuple[int, ...]
    seeds: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Completion:
    """One answer of the policy.

    `logprobs[t]` is the log-probability of `token_ids[t]` under the engine's weights at the sampling temperature,
    before top-p and top-k cut the tail (both [T]). A completion that ended by itself has its end token in
    `token_ids`; one that ran out of tokens is `truncated`.
    """

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    truncated: bool
    text: str


OnDone = Callable[[int, int, Completion], None]
"""Told the index of a request, the index of one of its seeds, and the completion."""


class RolloutEngine(Protocol):
    """Samples completions from the policy's current weights."""

    def generate(
        self, requests: Sequence[Request], sampling: Sampling, on_done: OnDone | None = None
    ) -> list[list[Completion]]:
        """Completions of every request, in order; `on_done` gets each as soon as it has ended."""
        ...

    def pause(self) -> None:
        """Hand the accelerator's memory to the trainer; `sync_weights` ends the pause."""
        ...

    def sync_weights(self, policy: PreTrainedModel) -> None:
        """Make the next `generate` sample from `policy`'s weights as they are now."""
        ...

    def close(self) -> None:
        """Free what the engine holds."""
        ...


class RolloutConfig(Protocol):
    """What every engine's settings offer; the node of conf/rollout/*.yaml names the class by `_target_`."""

    @property
    def temperature(self) -> float: ...
    @property
    def top_p(self) -> float: ...
    @property
    def top_k(self) -> int: ...
    @property
    def max_new_tokens(self) -> int: ...
    @property
    def solutions(self) -> int:
        """N, coder answers a problem."""
        ...

    @property
    def tests(self) -> int:
        """K, tester answers a problem."""
        ...

    @property
    def deciding(self) -> dict[str, Any]:
        """Everything that decides what an answer says, as plain values."""
        ...

    def check(self, ranks: int) -> str:
        """What of the engine was found, for a trainer of `ranks` processes, without loading anything heavy.

        Raises ZeroCoderError where it cannot run.
        """
        ...

    def start(self, policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> RolloutEngine:
        """An engine that samples from `policy` as it is now. Of several ranks all have to start theirs at once."""
        ...


def sampling_of(config: RolloutConfig) -> Sampling:
    return Sampling(config.temperature, config.top_p, config.top_k, config.max_new_tokens)


def request_seed(*parts: int | str) -> int:
    """A seed from what identifies a sample, such as (run seed, step, purpose, problem, role, sample)."""
    digest = hashlib.blake2b("\x1f".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1  # torch's generators take 63 bits
