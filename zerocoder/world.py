"""The processes that train together: which one this is, and how they exchange what is not a gradient.

Every rank samples and verifies its own share of the problems; what is then decided on (ranks, priors, scores) is
gathered, so that all ranks decide alike. Objects travel over gloo between CPUs, also where gradients travel over NCCL.
Importing this file loads no torch, and a world of one process needs no process group.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from zerocoder.problems import ZeroCoderError

T = TypeVar("T")

JOIN_SECONDS = 600
"""How long the ranks wait for each other at the start."""
PATIENCE = datetime.timedelta(hours=2)
"""How long a rank waits for the others in one exchange: longer than the slowest rank rolls out. A rank that died is
noticed at once by whoever started it."""
_SIGNS = ("gloo", "nccl", "connection closed by peer", "connection reset by peer")


class RankLost(Exception):
    """Another rank is gone in the middle of an exchange. What it says says more than this rank could."""


@dataclass(frozen=True, slots=True)
class World:
    """This process's place among `size` processes on `num_nodes` machines. All ranks make the same calls in one order.

    Ranks are numbered node by node: those of one machine follow each other.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1
    num_nodes: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is rank 0, which writes the run's files and talks to the terminal."""
        return self.rank == 0

    @property
    def is_local_main(self) -> bool:
        """Whether this is the first rank of its machine."""
        return self.local_rank == 0

    def gather(self, value: T) -> list[T]:
        """The value of every rank, in rank order, on every rank. Values are pickled.

        Raises RankLost when another rank is gone, as everything below does.
        """
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        values: list[Any] = [None] * self.size
        with _told():
            dist.all_gather_object(values, value, group=_group)
        return values

    def gather_on_main(self, value: T) -> list[T]:
        """Like `gather`, for what only rank 0 needs: the other ranks get an empty list."""
        if self.size == 1:
            return [value]
        import torch.distributed as dist

        values: list[Any] = [None] * self.size if self.is_main else []
        with _told():
            dist.gather_object(value, values if self.is_main else None, dst=0, group=_group)
        return values

    def from_main(self, value: T) -> T:
        """Rank 0's value, on every rank. What the others pass is dropped."""
        return value if self.size == 1 else self.gather(value if self.is_main else None)[0]  # type: ignore[return-value]

    def sum(self, *numbers: float) -> list[float]:
        """The sum over the ranks of each number: bit for bit the same on every rank."""
        return [sum(column) for column in zip(*self.gather(numbers), strict=True)]

    def max(self, number: float) -> float:
        """The largest of the ranks' numbers."""
        return max(self.gather(number))

    def barrier(self) -> None:
        """Waits until every rank is here."""
        self.gather(None)

    def share(self, items: Sequence[T]) -> list[T]:
        """This rank's part of a list that all ranks have: every `size`-th item.

        Example: ranks 0 and 1 of two get [a, c] and [b] of [a, b, c].
        """
        return list(items[self.rank :: self.size])

    def merge(self, parts: Sequence[Sequence[T]]) -> list[T]:
        """The ranks' parts, in rank order, as `share` cut them -> the whole list in its first order.

        Example: [[a, c], [b]] -> [a, b, c].
        """
        total = sum(len(part) for part in parts)
        return [parts[n % len(parts)][n // len(parts)] for n in range(total)]


_current = World()
_group: Any = None  # ours alone: a gather may go on in a thread of its own while gradients travel


def current() -> World:
    """This process's world: of size 1 until `init` joined others."""
    return _current


def init(world: World, cuda: bool) -> World:
    """Join the other ranks at MASTER_ADDR and MASTER_PORT. Lightning's strategies find the group and use it.

    Raises ZeroCoderError when the others do not come.
    """
    global _current, _group
    if world.size > 1:
        import torch.distributed as dist

        os.environ.update(RANK=str(world.rank), WORLD_SIZE=str(world.size), LOCAL_RANK=str(world.local_rank))
        try:
            patience = datetime.timedelta(seconds=JOIN_SECONDS)
            store, _, _ = next(dist.rendezvous("env://", world.rank, world.size, timeout=patience))
            store.set_timeout(PATIENCE)
            # No `device_id`: NCCL connects at its first use, so that nothing touches a GPU before the workers started.
            backend = "cpu:gloo,cuda:nccl" if cuda else "gloo"
            shared = dist.PrefixStore("zerocoder", store)
            dist.init_process_group(backend, timeout=PATIENCE, world_size=world.size, rank=world.rank, store=shared)
            _group = dist.new_group(timeout=PATIENCE, backend="gloo")
        except (dist.DistError, ValueError) as error:
            raise ZeroCoderError(
                f"rank {world.rank} of {world.size} does not reach the others at {os.environ.get('MASTER_ADDR')}:"
                f"{os.environ.get('MASTER_PORT')}: {error}"
            ) from error
    _current = world
    return world


def leave() -> None:
    """The end of `init`: this process is alone again."""
    global _current, _group
    if _current.size > 1:
        import torch.distributed as dist

        _current, _group = World(), None
        dist.destroy_process_group()


def rank_is_lost(error: BaseException) -> bool:
    """Whether `error` only tells that another rank is gone, be it of ours or of a library that exchanges gradients."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, ZeroCoderError):
        by_library = isinstance(seen, RuntimeError) and any(sign in str(seen).lower() for sign in _SIGNS)
        if isinstance(seen, RankLost) or by_library:
            return True
        seen = seen.__cause__ or seen.__context__
    return False


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # torch's own kinds of error derive from it
        raise RankLost(f"another rank is gone: {error}") from error
