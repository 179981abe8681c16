"""Some programs on the tests of their problem: asks runners and judges, compares what they say, keeps the time.

Literal tests are calls with constant arguments and checks of the values: the calls go to the runner, all ahead, and one
answer a cell comes back. Other tests run in a judge, whose calls are relayed, and so do checks of values that the
warden's small language does not decide. Scripts have a process each.
"""

from __future__ import annotations

import marshal
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

from . import codec, judge, output, runner, scriptcell, zygote
from .expressions import Evaluation, Undecided, is_direct
from .peer import Budget, Gone, Late, Peer
from .translation import ASSERT, Check
from .verdict import Verdict

LITERAL, CODE, SCRIPT = "literal", "code", "script"  # kinds of tests
FOR_GOOD = 1 << 60
"""Stands for the CPU microseconds of a cell that sleeps, or goes round in circles: no budget is large enough."""
_JUDGE_CPU_SECONDS = 24 * 3600  # it serves many programs; each cell has its own budget
_TURN_SECONDS = 0.05  # after which a request is answered as far as it got: other workers may help with the rest

Program = tuple[str | None, str]  # its code, if it was planned, and its source
Outcome = tuple[int, int]  # a verdict, and microseconds of CPU


class Asked(NamedTuple):
    """A program, the tests it is to meet, and when it is given up.

    patience: runs that may be late, 0 for any number; above 1, a program that ended on a test is given up only when it
        is late on more than half of all, too.
    num_late, has_ended: what came of the tests that it has met before.
    in_order: test by test as listed; else literal tests first, all at once.
    watched: whether it can be proven to be endless (endless.py).
    """

    code: str | None
    source: str
    cells: list[int]
    patience: int
    num_late: int
    has_ended: bool
    in_order: bool
    watched: bool


@dataclass(frozen=True)
class Work:
    """The tests of a problem and what a program may use on each (see Limits and Job)."""

    entry: str
    tests: list[tuple[Any, ...]]  # (CODE, source, sealed) | (LITERAL, source, calls, checks) | (SCRIPT, stdin, stdout)
    cpu_seconds: float  # the most that a round gives
    memory_bytes: int
    output_bytes: int
    patience_seconds: float  # of the wall clock
    process_each: bool  # a runner a cell
    first_failure: bool
    output_rule: str = output.LINES  # of scripts
    checker: str | None = None  # likewise; in the rule's place

    @classmethod
    def decoded(cls, entry: str, tests: list[tuple[Any, ...]], *limits: Any) -> Work:
        """From a request, in which the checks of literal tests are encoded, as the planner wrote them."""
        return cls(entry, [_with_checks(test) for test in tests], *limits)

    def allowance(self, cpu_seconds: float) -> zygote.Allowance:
        return zygote.Allowance(self.memory_bytes, int(cpu_seconds) + 2, self.output_bytes)


def _with_checks(test: tuple[Any, ...]) -> tuple[Any, ...]:
    if test[0] != LITERAL:
        return test
    try:
        return LITERAL, test[1], bytes.fromhex(test[2]), codec.loads(test[3].encode("ascii"))
    except codec.Unsupported:  # expected values that take too long to build
        return CODE, test[1], False


@dataclass(frozen=True)
class _Answer:
    """What a runner said about the cell it was asked about: as it came, and as JSON of whatever shape."""

    payload: bytes
    parts: list[Any]


class Rows:
    """One request: a program, or several that may share a runner, each on some of the problem's tests."""

    def __init__(
        self, server: zygote.Client, work: Work, judges: dict[int, Peer], cpu_seconds: float, num_programs: int
    ) -> None:
        self._server = server
        self._work = work
        self._judges = judges
        self._cpu_seconds = cpu_seconds
        self._runner_allowance = work.allowance(work.cpu_seconds * max(1, len(work.tests)) * num_programs)
        self._runner: Peer | None = None
        self._runners_program: Program | None = None
        self._program: Program = (None, "")
        self._outcomes: dict[int, Outcome] = {}  # of the program in progress
        self._watched = False
        self._patience = 0
        self._num_late = 0
        self._has_ended = False  # on any test
        self._undecided: list[int] = []  # literal cells that a judge has to see

    def run(self, programs: list[Asked]) -> list[tuple[bool, list[Outcome | None]]]:
        """For each program, as far as time allows (the first in any case), whether it has ended on any test, and what
        came of each cell; None where the program was given up before.
        """
        end = time.monotonic() + _TURN_SECONDS
        done: list[tuple[bool, list[Outcome | None]]] = []
        try:
            for asked in programs:
                if done and time.monotonic() > end:
                    break
                outcomes = self._row(asked)
                done.append((self._has_ended, outcomes))
            return done
        finally:
            self._drop_runner()

    def _row(self, asked: Asked) -> list[Outcome | None]:
        cells = asked.cells
        self._program, self._watched, self._outcomes = (asked.code, asked.source), asked.watched, {}
        self._patience, self._num_late, self._has_ended = asked.patience, asked.num_late, asked.has_ended
        for together in self._runs(cells) if asked.in_order else [cells]:
            self._meet(together)
        if killed := [cell for cell, (verdict, _) in self._outcomes.items() if verdict is Verdict.INFRA]:
            for cell in killed:
                del self._outcomes[cell]
            self._meet([cell for cell in cells if cell not in self._outcomes])
        return [self._outcomes.get(cell) for cell in cells]

    def _runs(self, cells: list[int]) -> list[list[int]]:
        """The cells in order, those together that are one run: literal ones of the same calls."""
        runs: dict[int | bytes, list[int]] = {}
        for cell in cells:
            test = self._work.tests[cell]
            runs.setdefault(test[2] if test[0] == LITERAL else cell, []).append(cell)
        return list(runs.values())

    def _meet(self, cells: list[int]) -> None:
        """Has the program meet some tests, as far as the row is not stopped."""
        self._undecided = []
        kinds = {cell: self._work.tests[cell][0] for cell in cells}
        self._literal_cells([cell for cell, kind in kinds.items() if kind == LITERAL])
        for cell in (cell for cell, kind in kinds.items() if kind != LITERAL or cell in self._undecided):
            if self._stopped():
                break
            if kinds[cell] == SCRIPT:
                self._script_cell(cell)
            else:
                self._judged_cell(cell)
                if self._work.process_each:
                    self._drop_runner()

    def _stopped(self) -> bool:
        """Whether the rest of the row need not be run."""
        work = self._work
        if work.first_failure and any(verdict is not Verdict.PASS for verdict, _ in self._outcomes.values()):
            return True
        patience = self._patience
        if self._has_ended and patience > 1:  # slow tests that are not the most cannot keep a program from the others
            patience = max(patience, len(work.tests) // 2 + 1)
        return bool(patience) and self._num_late >= patience

    def _note(self, cell: int, verdict: Verdict, budget: Budget) -> None:
        self._outcomes[cell] = (verdict, budget.used_micros())
        self._has_ended = True

    def _note_late(self, cells: list[int], late: Late) -> None:
        """Of cells that were one run."""
        for cell in cells:
            self._outcomes[cell] = (Verdict.TIMEOUT, FOR_GOOD if late.for_good else int(1e6 * self._cpu_seconds))
        self._num_late += 1

    def _budget(self, pids: list[int]) -> Budget:
        return Budget(pids, self._cpu_seconds, self._work.patience_seconds)

    def _live_runner(self) -> Peer:
        if self._runner is not None and self._runners_program is not self._program:
            self._hand_over_runner()
        if self._runner is None:
            self._runner = Peer(self._server, zygote.Role.RUNNER, self._runner_allowance, [])
            self._send_program(self._runner)
        return self._runner

    def _hand_over_runner(self) -> None:
        """Gives the last program's runner to the next one, or drops it."""
        assert self._runner is not None
        self._send_program(self._runner)
        try:
            if self._runner.receive(self._budget([self._runner.pid])) == runner.FIT:
                return
        except (Late, Gone):
            pass
        self._drop_runner()

    def _send_program(self, peer: Peer) -> None:
        peer.send(runner.PROGRAM + marshal.dumps((*self._program, self._work.entry)))
        self._runners_program = self._program

    def _drop_runner(self) -> None:
        if self._runner is not None:
            self._runner.end()
            self._runner = None

    def _literal_cells(self, cells: list[int]) -> None:
        """Writes calls ahead and reads one answer for each; a runner that fails is replaced for what is left.

        Cells that differ in what they expect only, as tests of several answers often do, share an answer.
        """
        sharing: dict[bytes, list[int]] = {}
        for cell in cells:
            sharing.setdefault(self._work.tests[cell][2], []).append(cell)
        ahead = 1 if self._work.process_each or self._work.first_failure else len(sharing)
        pending = deque(sharing.items())
        while pending and not self._stopped():
            peer = self._live_runner()
            asked = [pending[n] for n in range(min(ahead, len(pending)))]
            peer.send(*(runner.CALLS + runner.CELL.pack(sharers[0]) + calls for calls, sharers in asked))
            for _, sharers in asked:
                pending.popleft()
                self._literal_cell(peer, sharers)
                if self._runner is None:
                    break  # what it was asked besides is asked again
            if self._work.process_each:
                self._drop_runner()

    def _literal_cell(self, peer: Peer, sharers: list[int]) -> None:
        """The verdicts of all cells that share the answer to the first of them."""
        budget = self._budget([peer.pid])
        try:
            answer = self._ask(peer, sharers[0], budget)
        except Late as late:
            self._note_late(sharers, late)
            return
        for cell in sharers:
            verdict = checked(answer.parts, self._work.tests[cell][3]) if isinstance(answer, _Answer) else answer
            if verdict is None:
                self._has_ended = True
                self._undecided.append(cell)
            else:
                self._note(cell, verdict, budget)

    def _ask(self, peer: Peer, cell: int, budget: Budget) -> _Answer | Verdict:
        """The runner's answer for a cell, or the verdict that its absence is; then, or if Late, the runner is dropped.

        Raises Late.
        """
        try:
            payload = peer.receive(budget, self._watched)
            parts = codec.from_bytes(payload)
            if parts == [cell, "e"]:
                raise Late(for_good=True)
            if type(parts) is list and len(parts) >= 2 and type(parts[0]) is int and parts[0] == cell:
                return _Answer(payload, parts)
            verdict = Verdict.ERROR
        except Late:
            self._drop_runner()
            raise
        except codec.Unsupported:
            verdict = Verdict.ERROR
        except Gone as gone:
            verdict = self._verdict_on_end(peer, gone)
        self._drop_runner()  # it ended, or writes what our runner does not: the program writes into the channel
        return verdict

    def _verdict_on_end(self, peer: Peer, gone: Gone) -> Verdict:
        """On a cell whose runner or judge is gone."""
        return Verdict.INFRA if gone.ended and peer.was_killed(self._cpu_seconds) else Verdict.ERROR

    def _judged_cell(self, cell: int) -> None:
        """One round of a judge, whose calls are relayed to the runner."""
        peer, examiner = self._live_runner(), self._live_judge(cell)
        budget = self._budget([peer.pid, examiner.pid])
        examiner.send(judge.GO + marshal.dumps((cell,)))
        try:
            self._note(cell, self._round(peer, examiner, cell, budget), budget)
            if "import" in self._work.tests[cell][1] and not self._is_sealed(cell):
                self._drop_judge(cell)  # in a module it could remember how many programs it has met
        except Late as late:
            self._drop_judge(cell)
            self._drop_runner()
            self._note_late([cell], late)

    def _round(self, peer: Peer, examiner: Peer, cell: int, budget: Budget) -> Verdict:
        """The verdict of a judge that was told to go. Raises Late."""
        fresh = True
        while True:
            try:
                message = examiner.receive(budget)
            except Gone as gone:
                verdict = self._verdict_on_end(examiner, gone)
                self._drop_judge(cell)
                self._drop_runner()  # it may still owe an answer
                return verdict
            if message[:1] != judge.CALL:
                verdict, as_new = _reported(message)
                if not as_new:
                    self._drop_judge(cell)
                return self._imported(peer, cell, budget) if fresh and verdict is Verdict.PASS else verdict
            peer.send(runner.REMOTE + runner.REMOTE_CELL.pack(cell, fresh) + message[1:])
            fresh = False
            answer = self._ask(peer, cell, budget)
            if not isinstance(answer, _Answer):
                self._drop_judge(cell)
                return answer
            examiner.send(answer.payload)

    def _imported(self, peer: Peer, cell: int, budget: Budget) -> Verdict:
        """The verdict of a test that passed without a call: the program must at least import. Raises Late."""
        peer.send(runner.CALLS + runner.CELL.pack(cell) + marshal.dumps([]))
        answer = self._ask(peer, cell, budget)
        verdict = checked(answer.parts, []) if isinstance(answer, _Answer) else answer
        return Verdict.ERROR if verdict is None else verdict

    def _live_judge(self, cell: int) -> Peer:
        if cell not in self._judges:
            sealed = self._is_sealed(cell)
            shared = next((peer for other, peer in self._judges.items() if sealed and self._is_sealed(other)), None)
            examiner = shared or Peer(self._server, zygote.Role.JUDGE, self._work.allowance(_JUDGE_CPU_SECONDS), [])
            examiner.send(judge.TEST + marshal.dumps((cell, self._work.tests[cell][1], self._work.entry)))
            self._judges[cell] = examiner
        return self._judges[cell]

    def _is_sealed(self, cell: int) -> bool:
        """Whether a judged test may share a process with others."""
        return self._work.tests[cell][0] == CODE and bool(self._work.tests[cell][2])

    def _drop_judge(self, cell: int) -> None:
        """Ends the judge of a test, if there is one, and of those that share it."""
        if (examiner := self._judges.get(cell)) is not None:
            end_judges({other: self._judges.pop(other) for other, peer in [*self._judges.items()] if peer is examiner})

    def _script_cell(self, cell: int) -> None:
        _, stdin, stdout = self._work.tests[cell]
        test = scriptcell.Examination(stdin, stdout, self._work.output_rule, self._work.checker)
        allowance = self._work.allowance(self._work.cpu_seconds)
        try:
            self._outcomes[cell] = scriptcell.run(
                self._server, self._program, test, allowance, self._cpu_seconds, self._work.patience_seconds
            )
        except Late as late:
            self._note_late([cell], late)


def end_judges(judges: dict[int, Peer]) -> None:
    """Ends the processes of judges, by the numbers of their tests; some may share one."""
    for peer in set(judges.values()):
        peer.end()
    judges.clear()


def checked(answer: list[Any], checks: list[Check]) -> Verdict | None:
    """The verdict on a runner's answer, of whatever shape, for one literal cell; None where only a judge can tell."""
    direct = all(is_direct(check[-1]) for check in checks)
    try:
        if answer[1] == "u":  # perhaps an iterator, which a test may consume
            return None
        if answer[1] == "x":
            return Verdict.MEMORY if "MemoryError" in answer[2] else Verdict.ERROR
        _, tag, values = answer
        if tag != "v" or type(values) is not list:
            return Verdict.ERROR
        if not direct and not all(map(codec.is_basic, values)):
            return None
        evaluation = Evaluation([codec.decode(value) for value in values])
        for kind, *name, expression in checks:
            value = evaluation.of(expression)
            if kind != ASSERT:
                evaluation.names[name[0]] = value
            elif not value:
                return Verdict.FAIL
    except Undecided:
        return None
    except codec.Unsupported:
        return Verdict.UNSUPPORTED
    except Exception:  # a frame out of shape, or a comparison that raises, as it would in the test
        return Verdict.ERROR
    return Verdict.PASS


def _reported(message: bytes) -> tuple[Verdict, bool]:
    """A judge's own verdict, and whether it is as good as a new one."""
    if message[:1] != judge.DONE or len(message) != 3 or message[1] not in Verdict._value2member_map_:
        return Verdict.ERROR, False
    return Verdict(message[1]), bool(message[2])
