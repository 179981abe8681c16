"""The process that holds the expected values: asks runners and judges, compares, and answers the trainer with verdicts.

No untrusted code ever runs here; what comes from runners and judges is decoded as data (codec/) and compared as
plain builtins. One request of the trainer is one program on all tests of its problem (a row), or the plan of a
problem. Requests are marshalled tuples (the trainer is trusted), answers are JSON.
"""

from __future__ import annotations

import json
import marshal
import operator
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import codec, judge, planner, runner, scriptcell, zygote
from .peer import Budget, Gone, Late, Peer
from .verdict import Verdict
from .wire import FrameStream

PLAN, ROW, REST = "plan", "row", "rest"  # kinds of requests
LITERAL, CODE, SCRIPT = "literal", "code", "script"  # kinds of tests
_PLAN_CPU_SECONDS = 4.0
_PLAN_MEMORY_BYTES = 512 << 20
_PLAN_OUTPUT_BYTES = 64 << 20
_JUDGE_CPU_SECONDS = 24 * 3600  # it serves many programs; each cell has its own budget

_CHECKS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "is": operator.is_,
    "is not": operator.is_not,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda value, expected: value in expected,
    "not in": lambda value, expected: value not in expected,
    planner.TRUE: lambda value, expected: bool(value),
    planner.FALSE: lambda value, expected: not value,
}


@dataclass(frozen=True)
class Work:
    """The tests of a problem and what a program may use on each."""

    entry: str
    tests: list[tuple[Any, ...]]  # (CODE, source) | (LITERAL, source, calls, checks) | (SCRIPT, stdin, stdout)
    cpu_seconds: float
    memory_bytes: int
    output_bytes: int

    @classmethod
    def decoded(cls, entry: str, tests: list[tuple[Any, ...]], cpu: float, memory: int, output: int) -> Work:
        """From a request, in which the checks of literal tests are encoded, as the planner wrote them."""
        return cls(entry, [_with_checks(test) for test in tests], cpu, memory, output)

    def allowance(self, cpu_seconds: float | None = None) -> zygote.Allowance:
        total = self.cpu_seconds * max(1, len(self.tests)) if cpu_seconds is None else cpu_seconds
        return zygote.Allowance(self.memory_bytes, int(total) + 2, self.output_bytes)


def _with_checks(test: tuple[Any, ...]) -> tuple[Any, ...]:
    if test[0] != LITERAL:
        return test
    try:
        return LITERAL, test[1], test[2].encode("ascii"), codec.loads(test[3].encode("ascii"))
    except codec.Unsupported:  # expected values that take too long to build
        return CODE, test[1]


def serve(trainer: FrameStream, server: zygote.Client) -> None:
    """Answers requests `(ticket, kind, ...)`. Raises EOFError when the trainer closes the connection."""
    work = Work("", [], 0.0, 0, 0)
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
        if kind == ROW:
            new_work, code_hex, source = body
            work = work if new_work is None else Work.decoded(*new_work)
            row = _Row(server, work, judges, (code_hex, source))
            trainer.write(json.dumps([ticket, row.run()]).encode())


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


@dataclass(frozen=True)
class _Answer:
    """What a runner said about the cell it was asked about: as it came, and as JSON of whatever shape."""

    payload: bytes
    parts: list[Any]


class _Row:
    """One program on all tests of its problem."""

    def __init__(
        self, server: zygote.Client, work: Work, judges: dict[int, Peer], program: tuple[str | None, str]
    ) -> None:
        self._server = server
        self._work = work
        self._judges = judges
        self._program = program
        self._runner: Peer | None = None
        self._verdicts = [Verdict.ERROR] * len(work.tests)

    def run(self) -> list[int]:
        kinds = [test[0] for test in self._work.tests]
        try:
            self._literal_cells([cell for cell, kind in enumerate(kinds) if kind == LITERAL])
            for cell in (cell for cell, kind in enumerate(kinds) if kind == CODE):
                self._verdicts[cell] = self._judged_cell(cell)
        finally:
            self._drop_runner()
        for cell in (cell for cell, kind in enumerate(kinds) if kind == SCRIPT):
            _, stdin, stdout = self._work.tests[cell]
            self._verdicts[cell] = scriptcell.run(
                self._server, self._program, stdin, stdout, self._work.allowance(self._work.cpu_seconds),
                self._work.cpu_seconds,
            )  # fmt: skip
        return [int(verdict) for verdict in self._verdicts]

    def _live_runner(self) -> Peer:
        if self._runner is None:
            self._runner = Peer(self._server, zygote.Role.RUNNER, self._work.allowance(), [])
            self._runner.send(runner.PROGRAM + marshal.dumps((*self._program, self._work.entry)))
        return self._runner

    def _drop_runner(self) -> None:
        if self._runner is not None:
            self._runner.end()
            self._runner = None

    def _literal_cells(self, cells: list[int]) -> None:
        """Writes all calls ahead and reads one answer a cell; a runner that fails is replaced for the cells left."""
        pending = deque(cells)
        while pending:
            peer = self._live_runner()
            for cell in pending:
                peer.send(runner.CALLS + runner.CELL.pack(cell) + self._work.tests[cell][2])
            while pending and self._runner is not None:
                cell = pending.popleft()
                answer = self._ask(peer, cell, Budget([peer.pid], self._work.cpu_seconds))
                checks = self._work.tests[cell][3]
                self._verdicts[cell] = checked(answer.parts, checks) if isinstance(answer, _Answer) else answer

    def _ask(self, peer: Peer, cell: int, budget: Budget) -> _Answer | Verdict:
        """The runner's answer for a cell, or the verdict that its absence is; then the runner is dropped."""
        try:
            payload = peer.receive(budget)
            parts = codec.from_bytes(payload)
            if type(parts) is list and len(parts) >= 2 and type(parts[0]) is int and parts[0] == cell:
                return _Answer(payload, parts)
            failure = Verdict.ERROR  # not what our runner writes: the program writes into the channel
        except Late:
            failure = Verdict.TIMEOUT
        except (Gone, codec.Unsupported):
            failure = Verdict.ERROR
        self._drop_runner()
        return failure

    def _judged_cell(self, cell: int) -> Verdict:
        """One round of a judge, whose calls are relayed to the runner."""
        peer, examiner = self._live_runner(), self._live_judge(cell)
        budget = Budget([peer.pid, examiner.pid], self._work.cpu_seconds)
        examiner.send(judge.GO)
        fresh = True
        while True:
            try:
                message = examiner.receive(budget)
            except (Late, Gone) as end:
                self._drop_judge(cell)
                self._drop_runner()  # it may still owe an answer
                return Verdict.TIMEOUT if isinstance(end, Late) else Verdict.ERROR
            if message[:1] != judge.CALL:
                verdict = _reported(message)
                return self._imported(peer, cell, budget) if fresh and verdict is Verdict.PASS else verdict
            peer.send(runner.REMOTE + runner.REMOTE_CELL.pack(cell, fresh) + message[1:])
            fresh = False
            answer = self._ask(peer, cell, budget)
            if not isinstance(answer, _Answer):
                self._drop_judge(cell)
                return answer
            examiner.send(answer.payload)

    def _imported(self, peer: Peer, cell: int, budget: Budget) -> Verdict:
        """The verdict of a test that passed without a call: the program must at least import."""
        peer.send(runner.CALLS + runner.CELL.pack(cell) + codec.dumps([]))
        answer = self._ask(peer, cell, budget)
        return checked(answer.parts, []) if isinstance(answer, _Answer) else answer

    def _live_judge(self, cell: int) -> Peer:
        if cell not in self._judges:
            examiner = Peer(self._server, zygote.Role.JUDGE, self._work.allowance(_JUDGE_CPU_SECONDS), [])
            examiner.send(judge.TEST + marshal.dumps((self._work.tests[cell][1], self._work.entry)))
            self._judges[cell] = examiner
        return self._judges[cell]

    def _drop_judge(self, cell: int) -> None:
        self._judges.pop(cell).end()


def checked(answer: list[Any], checks: list[tuple[str, Any]]) -> Verdict:
    """The verdict on a runner's answer, of whatever shape, for one literal cell."""
    try:
        if answer[1] == "u":
            return Verdict.UNSUPPORTED
        if answer[1] == "x":
            return Verdict.MEMORY if "MemoryError" in answer[2] else Verdict.ERROR
        _, tag, values = answer
        if tag != "v":
            return Verdict.ERROR
        for encoded, (name, expected) in zip(values, checks, strict=True):
            if not _CHECKS[name](codec.decode(encoded), expected):
                return Verdict.FAIL
    except codec.Unsupported:
        return Verdict.UNSUPPORTED
    except Exception:  # a frame out of shape, or a comparison that raises, as it would in the test
        return Verdict.ERROR
    return Verdict.PASS


def _reported(message: bytes) -> Verdict:
    """A judge's own verdict."""
    if message[:1] != judge.DONE or len(message) != 2:
        return Verdict.ERROR
    return Verdict(message[1]) if message[1] in Verdict._value2member_map_ else Verdict.ERROR
