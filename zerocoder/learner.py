"""The policy's loss on a step's experience, micro-batch by micro-batch, and what it tells about the step.

The reference's log-probs are computed first, for all sequences in the order of the micro-batches, so that they can be
had while tests still run and so that an offloaded reference visits the device once a step.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from zerocoder.config import AlgorithmConfig, Packing, TrainerConfig
from zerocoder.experience import Experience, MicroBatch, TrainingSample, batch_plan, collate, cut_to
from zerocoder.grpo import importance_weights, policy_loss
from zerocoder.logprobs import completion_logprobs
from zerocoder.oom import out_of_memory
from zerocoder.reference import Reference
from zerocoder.trees import Tree, by_prompt, collate_trees, pays, sees_trees, tree_of
from zerocoder.world import World

if TYPE_CHECKING:
    from transformers import PreTrainedModel


ENOUGH_TOKENS = 1024
"""On a CPU a micro-batch of so many tokens is as fast, a token, as a larger one; padding is not worth it any more."""


@dataclass(slots=True)
class TokenSums:
    """Sums over completion tokens."""

    loss: float = 0.0
    kl: float = 0.0
    entropy: float = 0.0  # nats
    clipped: float = 0.0
    importance: float = 0.0  # weights of the truncated importance sampling, 1 each without it
    gap: float = 0.0  # |engine - trainer| log-prob
    gap_max: float = 0.0  # a maximum, not a sum

    def add(self, other: TokenSums) -> None:
        for name in ("loss", "kl", "entropy", "clipped", "importance", "gap"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.gap_max = max(self.gap_max, other.gap_max)

    @classmethod
    def total(cls, parts: Iterable[TokenSums]) -> TokenSums:
        """All of them added up."""
        out = cls()
        for part in parts:
            out.add(part)
        return out


@dataclass(frozen=True, slots=True)
class _Member:
    """A row of a micro-batch to be: one sequence, or several as a tree. `rows` are theirs among a step's samples."""

    rows: tuple[int, ...]
    samples: tuple[TrainingSample, ...]
    tree: Tree | None

    @property
    def length(self) -> int:
        return self.samples[0].length if self.tree is None else len(self.tree.tokens)


def packs(trainer: TrainerConfig, attention: str | None) -> bool:
    """Whether the sequences of a micro-batch share a row: asked for, or with a kernel that costs nothing for it.

    Flash attention takes the borders of sequences as they are. The others get a mask of all tokens by all tokens.
    """
    if trainer.packing is Packing.AUTO:
        return (attention or "").startswith("flash_attention")
    return trainer.packing is Packing.ON


class Learner:
    """Knows the policy, its reference and the loss; `temperature` is the one that completions were sampled at."""

    def __init__(
        self,
        policy: PreTrainedModel,
        reference: Reference | None,
        algorithm: AlgorithmConfig,
        trainer: TrainerConfig,
        temperature: float,
        world: World,
    ) -> None:
        self.policy = policy
        self.reference = reference
        self.algorithm = algorithm
        self.trainer = trainer
        self.temperature = temperature
        self.world = world
        self._pad = policy.config.pad_token_id or 0
        self.packed = packs(trainer, policy.config._attn_implementation)
        # Not on several ranks, which have to make equal numbers of micro-batches.
        self.shares = trainer.packing is Packing.AUTO and not self.packed and world.size == 1 and sees_trees(policy)

    @torch.no_grad()
    def with_reference(self, samples: Sequence[TrainingSample], device: torch.device) -> list[TrainingSample]:
        """The samples with the reference's log-probs of their completions; as they are without a reference."""
        done = list(samples)
        if self.reference is None:
            return done
        with out_of_memory(device, "reference"), self.reference.model(device) as model:
            for members in self._batches(samples):
                batch = self._collate(members, device)
                rows = [row for member in members for row in member.rows]
                logprobs = completion_logprobs(model, batch, self.temperature, self.trainer.logprob_chunk).logprobs
                pieces = logprobs.float().cpu().split([len(samples[row].completion) for row in rows])
                for row, piece in zip(rows, pieces, strict=True):
                    done[row] = replace(samples[row], ref_logprobs=piece)
        return done

    def micro_batches(self, experience: Experience, device: torch.device) -> Iterator[tuple[MicroBatch, bool]]:
        """This rank's micro-batches, as many as on every other rank, and whether each is the last."""
        plan = self._batches(experience.sequences)
        for n, members in enumerate(plan, 1):
            yield self._collate(members, device), n == len(plan)

    def _batches(self, samples: Sequence[TrainingSample]) -> list[list[_Member]]:
        """What each micro-batch is made of: of trees alone, or of single sequences alone."""
        trees = self._trees(samples) if self.shares else []
        shared = {row for tree in trees for row in tree.rows}
        alone = [_Member((row,), (s,), None) for row, s in enumerate(samples) if row not in shared]
        plans = self._plan(trees, self._mask_cells(samples)) if trees else []
        return [*plans, *(self._plan(alone) if alone else [])]

    def _collate(self, members: Sequence[_Member], device: torch.device) -> MicroBatch:
        trees = [member.tree for member in members if member.tree is not None]
        if trees:
            return collate_trees([member.samples for member in members], trees, self._pad, device)
        return collate([s for member in members for s in member.samples], self._pad, device, self.packed)

    def _trees(self, samples: Sequence[TrainingSample]) -> list[_Member]:
        """The groups of samples that are better learned from as one tree."""
        trees = []
        for rows in by_prompt(samples):
            group = tuple(samples[row] for row in rows)
            tree = tree_of(group)
            small = len(tree.tokens) ** 2 <= self._mask_cells(samples)
            if small and pays(tree, group, self.policy.config.hidden_size):
                trees.append(_Member(tuple(rows), group, tree))
        return trees

    def _mask_cells(self, samples: Sequence[TrainingSample]) -> int:
        """The most that the masks of padded sequences have; the memory plan counts so many."""
        return self.trainer.micro_batch_tokens * max(s.length for s in samples)

    def _plan(self, members: Sequence[_Member], cells: int | None = None) -> list[list[_Member]]:
        """See `batch_plan`; of masks, width x width a row, no more than `cells`.

        A call of all ranks: where weights are sharded, a pass over a micro-batch is one of all.
        """
        lengths = [member.length for member in members]
        enough = ENOUGH_TOKENS if self.policy.device.type == "cpu" else None
        most = self.trainer.micro_batch_tokens
        if cells is not None:
            most = min(most, cells // max(lengths))
        plan = batch_plan(lengths, most, self.packed, enough)
        return [[members[n] for n in batch] for batch in cut_to(plan, int(self.world.max(len(plan))))]

    def loss(self, batch: MicroBatch) -> tuple[Tensor, TokenSums]:
        """The loss of a micro-batch, summed over its tokens and with gradient, and what else is known of them."""
        new = completion_logprobs(self.policy, batch, self.temperature, self.trainer.logprob_chunk)
        logprobs = new.logprobs.detach()
        cap = self.trainer.importance_cap
        importance = None if cap is None else importance_weights(logprobs, batch.rollout_logprobs, cap)
        # Rollouts are used for one step only, so the policy that drew them is the policy as it is now.
        out = policy_loss(
            new.logprobs,
            logprobs,
            batch.ref_logprobs,
            batch.advantages,
            self.algorithm.clip,
            self.algorithm.kl_coefficient,
            importance,
        )
        gap = (logprobs - batch.rollout_logprobs).abs()
        weight = torch.ones_like(gap) if importance is None else importance
        # In one transfer from the device.
        sums = [out.loss.detach(), out.kl, new.entropy.sum(), out.clipped, weight.sum(), gap.sum(), gap.max()]
        return out.loss, TokenSums(*torch.stack([s.double() for s in sums]).tolist())
