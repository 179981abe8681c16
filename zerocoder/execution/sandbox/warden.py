"""The process that holds the expected values: asks runners and judges, compares, and answers the trainer with verdicts.

No untrusted code ever runs here; what comes from runners and judges is decoded as data (codec.py) and compared as
plain builtins (rows.py). One request of the trainer is some programs on all tests of their problem (rows), or the plan
of a problem. Requests are marshalled tuples (the trainer is trusted), answers are JSON.
"""

from __future__ import annotations

import json
import marshal

from . import zygote
from .crew import Crew
from .peer import Budget, Gone, Late, Peer
from .rows import Rows
from .wire import FrameStream
from .work import NOTHING, Asked, Work

PLAN, ROWS, REST = "plan", "rows", "rest"  # kinds of requests


def serve(trainer: FrameStream, server: zygote.Client) -> None:
    """Answers requests `(ticket, kind, ...)`. Raises EOFError when the trainer closes the connection."""
    work = NOTHING
    crew = Crew(server)
    planner = Planner(server)
    while True:
        server.core.leave()
        ticket, kind, *body = marshal.loads(trainer.read())
        server.core.settle()
        if kind == PLAN:
            trainer.write(b"[%d,%b]" % (ticket, planner.plan(*body)))
            continue
        if kind == REST:
            crew.rest()
            planner.rest()
        if kind == ROWS:
            new_work, cpu_seconds, programs = body
            if new_work is not None:
                work = Work.decoded(*new_work)
                crew.begin(work)
            outcomes = Rows(server, work, crew, cpu_seconds).run([Asked(*program) for program in programs])
            trainer.write(json.dumps([ticket, outcomes]).encode())


class Planner:
    """The process that plans problems, until it fails at one or has done many."""

    _CPU_SECONDS = 4.0
    _MAX_PLANS = 64  # what a crafted source might do to its parser does not last, nor what its parser leaks
    _ALLOWANCE = zygote.Allowance(512 << 20, int(_MAX_PLANS * _CPU_SECONDS) + 2, 64 << 20)

    def __init__(self, server: zygote.Client) -> None:
        self._server = server
        self._peer: Peer | None = None
        self._num_plans = 0

    def plan(self, programs: list[str], tests: list[str], entry: str) -> bytes:
        """The planner's answer as it stands, or `null` when parsing these sources takes too much."""
        if self._peer is None:
            self._peer = Peer(self._server, zygote.Role.PLANNER, self._ALLOWANCE, [])
            self._num_plans = 0
        peer = self._peer
        self._num_plans += 1
        answer = b"null"
        try:
            peer.send(marshal.dumps((programs, tests, entry)))
            answer = peer.receive(Budget([peer.pid], self._CPU_SECONDS))
        except (Late, Gone):
            self._num_plans = self._MAX_PLANS
        if self._num_plans == self._MAX_PLANS:
            self.rest()
        return answer

    def rest(self) -> None:
        """Ends the process until the next plan."""
        if self._peer is not None:
            self._peer.end()
            self._peer = None
