"""The rank pre-filter: keep problems whose passing matrix under the initial policy is diverse (the paper's 3.1).

Ranks are measured once, by the initial policy, and kept on disk under a key of everything that decides them: the
weights, the problem, the sampling, the prompts and the verifier. The threshold is no part of the key, so another tau
costs nothing; a measurement that was cut off goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zerocoder.config import TestUnit
from zerocoder.execution import Executor
from zerocoder.files import write_text
from zerocoder.interaction import Interaction, interact
from zerocoder.problems import Problem, ZeroCoderError
from zerocoder.rollout.sampler import Sampler
from zerocoder.world import World

if TYPE_CHECKING:
    from transformers import PreTrainedModel

PROBLEMS_AT_ONCE = 64  # between two writes of the cache
VERSION = 1  # of what a rank means; a change of prompts or parsing is caught by the key itself


@dataclass(frozen=True, slots=True)
class FilterReport:
    """How many problems of each rank there are, and what the threshold leaves."""

    tau: int
    ranks: dict[int, int]

    @property
    def kept(self) -> int:
        return sum(n for rank, n in self.ranks.items() if rank >= self.tau)

    @property
    def dropped(self) -> int:
        return sum(self.ranks.values()) - self.kept

    def lines(self) -> list[str]:
        """The histogram, one line a rank."""
        most = max(self.ranks.values(), default=1)
        bars = [
            f"  rank {rank}  {'#' * round(30 * n / most):<30} {n:>5}{'' if rank >= self.tau else '  dropped'}"
            for rank, n in sorted(self.ranks.items())
        ]
        return [f"rank pre-filter: kept {self.kept}, dropped {self.dropped} (rank < tau = {self.tau})", *bars]


def fingerprint(policy: PreTrainedModel, settings: dict[str, Any]) -> str:
    """A key of the weights and of every setting that decides a problem's matrix."""
    import torch  # here, so that the filter's arithmetic can be used without it

    digest = hashlib.blake2b(digest_size=16)
    for name, parameter in policy.named_parameters():
        digest.update(name.encode())
        digest.update(parameter.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data)
    digest.update(json.dumps([VERSION, settings], sort_keys=True, default=str).encode())
    return digest.hexdigest()


def measure_ranks(
    problems: Sequence[Problem],
    sampler: Sampler,
    executor: Executor,
    unit: TestUnit,
    cache_file: Path,
    on_done: Callable[[int], None],
    world: World = World(),  # noqa: B008
) -> dict[str, int]:
    """Problem key -> rank of its passing matrix; reads and extends `cache_file`.

    With several ranks each measures its share, rank 0 alone uses the file, and all get the same.
    """
    ranks = world.from_main(_read(cache_file) if world.is_main else {})
    missing = [p for p in problems if problem_key(p) not in ranks]
    on_done(len(problems) - len(missing))
    at_once = PROBLEMS_AT_ONCE * world.size
    for start in range(0, len(missing), at_once):
        chunk = [p.unlabelled() for p in missing[start : start + at_once]]
        interactions = interact(sampler, executor, world.share(chunk), ("pre-filter",), unit)
        measured = world.merge(world.gather([_rank(interaction) for interaction in interactions]))
        ranks |= {problem_key(p): rank for p, rank in zip(chunk, measured, strict=True) if rank is not None}
        if world.is_main:
            write_text(cache_file, "".join(json.dumps({"key": k, "rank": r}) + "\n" for k, r in ranks.items()))
        on_done(len(chunk))
    return ranks


def _rank(interaction: Interaction) -> int | None:
    """None where a failure of ours hid a part of the matrix: that says nothing about the problem."""
    return None if interaction.matrix.solutions_masked.any() else interaction.matrix.rank


def keep_diverse(problems: Sequence[Problem], ranks: dict[str, int], tau: int) -> tuple[list[Problem], FilterReport]:
    """Problems of rank >= tau, in order. Raises ZeroCoderError when none is left."""
    known = [(p, ranks[problem_key(p)]) for p in problems if problem_key(p) in ranks]
    report = FilterReport(tau, dict(Counter(rank for _, rank in known)))
    kept = [p for p, rank in known if rank >= tau]
    if not kept:
        best = max(report.ranks, default=0)
        raise ZeroCoderError(
            f"the pre-filter keeps none of {len(problems)} problems: the highest rank is {best}, data.tau is {tau}; "
            "lower data.tau (0 keeps all), raise rollout.solutions and rollout.tests, or choose harder problems"
        )
    return kept, report


def _read(cache_file: Path) -> dict[str, int]:
    if not cache_file.exists():
        return {}
    rows = [json.loads(line) for line in cache_file.read_text(encoding="utf-8").splitlines()]
    return {row["key"]: int(row["rank"]) for row in rows}


def problem_key(problem: Problem) -> str:
    """What the policy and the verifier see of a problem, so that an edited statement is measured anew."""
    seen = asdict(problem.unlabelled())
    del seen["origins"]
    return f"{problem.id}:{hashlib.blake2b(json.dumps(seen, sort_keys=True).encode(), digest_size=8).hexdigest()}"
