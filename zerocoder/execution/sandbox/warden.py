"""The process that holds the expected values: asks runners and judges, compares, and answers the trainer with verdicts.

No untrusted code ever runs here; what comes from runners and judges is decoded as data (codec.py) and compared as
plain builtins (rows.py). One request of the trainer is some programs on all tests of their problem (rows), or the plan
of a problem. Requests are marshalled tuples (the trainer is trusted), answers are JSON.
"""

from __future__ import annotations

import json
import marshal

from . import zygote
from .peer import Budget, Gone, Late, Peer
from .rows import Rows, Work
from .wire import FrameStream

PLAN, ROWS, REST = "plan", "rows", "rest"  # kinds of requests
_PLAN_CPU_SECONDS = 4.0
_PLAN_MEMORY_BYTES = 512 << 20
_PLAN_OUTPUT_BYTES = 64 << 20


def serve(trainer: FrameStream, server: zygote.Client) -> None:
    """Answers requests `(ticket, kind, ...)`. Raises EOFError when the trainer closes the connection."""
    work = Work("", [], 0.0, 0, 0, 0.0, False, False, 0)
    judges: dict[int, Peer] = {}
    while True:
        ticket, kind, *body = marshal.loads(trainer.read())
        if kind == PLAN:
            trainer.write(b"[%d,%b]" % (ticket, _plan(server, *body)))
            continue
        if kind == REST or body[0] is not None:  # the judges' tests are done with
            for peer in judges.values():
                peer.end()
            judges.clear()
        if kind == ROWS:
            new_work, cpu_seconds, programs = body
            work = work if new_work is None else Work.decoded(*new_work)
            outcomes = Rows(server, work, judges, cpu_seconds, len(programs)).run(programs)
            trainer.write(json.dumps([ticket, outcomes]).encode())


def _plan(server: zygote.Client, programs: list[str], tests: list[str], entry: str) -> bytes:
    """The planner's answer as it stands, or `null` when parsing these sources takes too much."""
    allowance = zygote.Allowance(_PLAN_MEMORY_BYTES, int(_PLAN_CPU_SECONDS) + 2, _PLAN_OUTPUT_BYTES)
    peer = Peer(server, zygote.Role.PLANNER, allowance, [])
    try:
        peer.send(marshal.dumps((programs, tests, entry)))
        return peer.receive(Budget([peer.pid], _PLAN_CPU_SECONDS))
    except (Late, Gone):
        return b"null"
    finally:
        peer.end()
