"""The runners and judges of a worker: started when they are needed, kept for as long as they may serve.

A program has a runner to itself, and so has a family. Sealed programs (sealed.py) run in one after each other, those of
the next problems too; sealed tests likewise share a judge. Any other judge serves the programs of its problem, unless
its test imports anything: in a module it could remember which programs it has met.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable
from dataclasses import dataclass

from . import judge, runner, zygote
from .peer import Budget, Gone, Late, Peer
from .work import CODE, NOTHING, Asked, Work

_KEPT_CPU_SECONDS = 24 * 3600  # of what serves many programs: each cell has its own budget
_FAMILY = 16  # programs of which one runner may spend all of the time, at the most
_MAX_PROGRAMS = 256  # of one runner, and tests of one judge: whatever might add up does not


@dataclass
class _Seat:
    """A process and whom it serves."""

    peer: Peer | None = None
    asked: Asked | None = None  # of a runner: its program
    num_served: int = 0

    def end(self) -> None:
        if self.peer is not None:
            self.peer.end()
        self.peer, self.asked, self.num_served = None, None, 0


class Crew:
    """What the warden has forked and not ended yet."""

    def __init__(self, server: zygote.Client) -> None:
        self._server = server
        self._work = NOTHING
        self._own = _Seat()  # of programs that are not sealed
        self._sealed = _Seat()
        self._serving = self._own
        self._judges: dict[int, Peer] = {}  # by their tests
        self.in_groups = True  # whether programs of this problem may meet several tests for one answer
        self._sealed_judge = _Seat()

    def begin(self, work: Work) -> None:
        """Turns to another problem."""
        for cell in list(self._judges):
            if not self._may_share(cell):
                self.drop_judge(cell)
        self._judges.clear()
        if work.allowance(0) != self._work.allowance(0):
            self.rest()
        self._work = work
        self.in_groups = True

    def rest(self) -> None:
        """Ends all processes: nothing is to be done for a while."""
        for cell in list(self._judges):
            self.drop_judge(cell)
        for seat in (self._own, self._sealed, self._sealed_judge):
            seat.end()

    def release(self) -> None:
        """Ends what serves the programs of one request only."""
        self._own.end()

    def runner(self, asked: Asked, budget: Callable[[list[int]], Budget]) -> Peer:
        """The runner of a program, which has it."""
        seat = self._seat(asked)
        if seat.peer is not None and seat.asked is not asked and not self._taken_over(seat, asked, budget):
            seat.end()
        if seat.peer is None:
            seconds = self._work.cpu_seconds * max(1, len(self._work.tests)) * _FAMILY
            allowance = self._work.allowance(seconds if seat is self._own else _KEPT_CPU_SECONDS)
            seat.peer = Peer(self._server, zygote.Role.RUNNER, allowance, [])
            self._send_program(seat.peer, asked)
            seat.asked, seat.num_served = asked, 1
        self._serving = seat
        return seat.peer

    def has(self, peer: Peer) -> bool:
        """Whether a runner has not been dropped."""
        return self._serving.peer is peer

    def drop_runner(self) -> None:
        """Ends the runner that was asked for last."""
        self._serving.end()

    def judge(self, cell: int) -> Peer:
        """The judge of a test, which has it."""
        if cell not in self._judges:
            allowance = self._work.allowance(_KEPT_CPU_SECONDS)
            if not self._may_share(cell):
                peer = Peer(self._server, zygote.Role.JUDGE, allowance, [])
            else:
                seat = self._sealed_judge
                if seat.num_served >= _MAX_PROGRAMS:
                    self._end_sealed_judge()
                seat.peer = peer = seat.peer or Peer(self._server, zygote.Role.JUDGE, allowance, [])
                seat.num_served += 1
            peer.send(judge.TEST + marshal.dumps((cell, self._work.tests[cell][1], self._work.entry)))
            self._judges[cell] = peer
        return self._judges[cell]

    def part_with_judge(self, cell: int) -> None:
        """Ends the judge of a test that is not to meet the next program with it."""
        if "import" in self._work.tests[cell][1] and not self._may_share(cell):
            self.drop_judge(cell)

    def drop_judge(self, cell: int) -> None:
        """Ends the judge of a test, if there is one."""
        if cell in self._judges and self._may_share(cell):
            self._end_sealed_judge()
        elif (peer := self._judges.pop(cell, None)) is not None:
            peer.end()

    def _end_sealed_judge(self) -> None:
        self._judges = {cell: peer for cell, peer in self._judges.items() if not self._may_share(cell)}
        self._sealed_judge.end()

    def _may_share(self, cell: int) -> bool:
        """Whether a test that a judge runs may share one with others."""
        kind, _, *rest = self._work.tests[cell]
        return kind == CODE and bool(rest[0]) and not self._work.process_each

    def _seat(self, asked: Asked) -> _Seat:
        return self._sealed if asked.sealed and not self._work.process_each else self._own

    def _taken_over(self, seat: _Seat, asked: Asked, budget: Callable[[list[int]], Budget]) -> bool:
        """Whether the next program may have a runner, and has it."""
        if seat.peer is None or seat.num_served >= _MAX_PROGRAMS:
            return False
        self._send_program(seat.peer, asked)
        seat.asked = asked
        seat.num_served += 1
        try:
            return seat.peer.receive(budget([seat.peer.pid])) == runner.FIT
        except (Late, Gone):
            return False

    def _send_program(self, peer: Peer, asked: Asked) -> None:
        peer.send(runner.PROGRAM + marshal.dumps((*asked.program, self._work.entry)))
