"""Some programs on the tests of their problem: asks runners and judges, compares what they say, keeps the time.

Literal tests are calls with constant arguments and checks of the values: the calls go to the runner, all ahead. As most
programs take next to no time, some tests at a time get one answer, within a small budget. Where that is not enough, or
the process ends, nothing has been said about any of them: the program meets them again, each by itself and with all of
its time, and so do the other programs of the problem. Other tests run in a judge, whose calls are relayed, and so do
checks of values that the warden's small language does not decide. Scripts have a process each.
"""

from __future__ import annotations

import marshal
import time
from collections import deque
from dataclasses import dataclass
from typing import Any

from . import codec, judge, runner, scriptcell, zygote
from .crew import Crew
from .expressions import Evaluation, Undecided, is_direct
from .peer import Budget, Gone, Late, Peer
from .translation import ASSERT, Check
from .verdict import Verdict
from .work import FOR_GOOD, LITERAL, SCRIPT, Asked, Outcome, Work

_GROUP = 4  # tests that are met for one answer
_GROUP_SECONDS, _GROUP_PATIENCE = 0.008, 0.1  # of CPU and by the wall clock, before they are met one by one
_TURN_SECONDS = 0.05  # after which a request is answered as far as it got: other workers may help with the rest


@dataclass(frozen=True)
class _Answer:
    """What a runner said about the cell it was asked about: as it came, and as JSON of whatever shape."""

    payload: bytes
    parts: list[Any]


class Rows:
    """One request: a program, or several that may share a runner, each on some of the problem's tests."""

    def __init__(self, server: zygote.Client, work: Work, crew: Crew, cpu_seconds: float) -> None:
        self._server = server
        self._work = work
        self._crew = crew
        self._cpu_seconds = cpu_seconds
        self._asked: Asked  # the program in progress
        self._outcomes: dict[int, Outcome] = {}
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
            self._crew.release()

    def _row(self, asked: Asked) -> list[Outcome | None]:
        cells = asked.cells
        self._asked, self._outcomes = asked, {}
        self._num_late, self._has_ended = asked.num_late, asked.has_ended
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
                    self._crew.drop_runner()

    def _stopped(self) -> bool:
        """Whether the rest of the row need not be run."""
        work = self._work
        if work.first_failure and any(verdict is not Verdict.PASS for verdict, _ in self._outcomes.values()):
            return True
        patience = self._asked.patience
        if self._has_ended and patience > 1:  # slow tests that are not the most cannot keep a program from the others
            patience = max(patience, len(work.tests) // 2 + 1)
        return bool(patience) and self._num_late >= patience

    def _note(self, cell: int, verdict: Verdict, micros: int) -> None:
        self._outcomes[cell] = (verdict, micros)
        self._has_ended = True

    def _note_late(self, cells: list[int], late: Late) -> None:
        """Of cells that were one run."""
        for cell in cells:
            self._outcomes[cell] = (Verdict.TIMEOUT, FOR_GOOD if late.for_good else int(1e6 * self._cpu_seconds))
        self._num_late += 1

    def _budget(self, pids: list[int]) -> Budget:
        return Budget(pids, self._cpu_seconds, self._work.patience_seconds)

    def _runner(self) -> Peer:
        return self._crew.runner(self._asked, self._budget)

    def _literal_cells(self, cells: list[int]) -> None:
        """Writes calls ahead and reads the answers; a runner that fails is replaced for what is left.

        Cells that differ in what they expect only, as tests of several answers often do, share an answer.
        """
        sharing: dict[bytes, list[int]] = {}
        for cell in cells:
            sharing.setdefault(self._work.tests[cell][2], []).append(cell)
        ahead = 1 if self._work.process_each or self._work.first_failure else len(sharing)
        pending = deque(sharing.items())
        while pending and not self._stopped():
            peer = self._runner()
            size = _GROUP if ahead > 1 and self._may_group() else 1
            asked = [pending[n] for n in range(min(ahead, len(pending)))]
            groups = [asked[n : n + size] for n in range(0, len(asked), size)]
            peer.send(*map(_request, groups))
            for group in groups:
                if self._literal_group(peer, [sharers for _, sharers in group]):
                    for _ in group:
                        pending.popleft()
                if not self._crew.has(peer):
                    break  # what it was asked besides is asked again
            if self._work.process_each:
                self._crew.drop_runner()

    def _may_group(self) -> bool:
        return self._crew.in_groups and self._cpu_seconds >= 2 * _GROUP_SECONDS

    def _literal_group(self, peer: Peer, group: list[list[int]]) -> bool:
        """The verdicts of cells that share some answers, each list of them one. False where there are none as yet."""
        if len(group) == 1:
            self._literal_cell(peer, group[0])
            return True
        budget = Budget([peer.pid], _GROUP_SECONDS, _GROUP_PATIENCE)
        try:
            answers = codec.from_bytes(peer.receive(budget))
        except (Late, Gone, codec.Unsupported):
            answers = None
        firsts = [sharers[0] for sharers in group]
        if type(answers) is not list or len(answers) != len(firsts) or not all(map(_is_answer, answers, firsts)):
            self._crew.drop_runner()
            self._crew.in_groups = False
            return False
        micros = budget.used_micros() // len(group)
        for sharers, parts in zip(group, answers, strict=True):
            self._settle(sharers, parts, micros)
        return True

    def _literal_cell(self, peer: Peer, sharers: list[int]) -> None:
        """The verdicts of all cells that share the answer to the first of them."""
        budget = self._budget([peer.pid])
        try:
            answer = self._ask(peer, sharers[0], budget)
        except Late as late:
            self._note_late(sharers, late)
            return
        self._settle(sharers, answer.parts if isinstance(answer, _Answer) else answer, budget.used_micros())

    def _settle(self, sharers: list[int], answer: list[Any] | Verdict, micros: int) -> None:
        """Of cells that share an answer, or a verdict in its place."""
        for cell in sharers:
            verdict = answer if isinstance(answer, Verdict) else checked(answer, self._work.tests[cell][3])
            if verdict is None:
                self._has_ended = True
                self._undecided.append(cell)
            else:
                self._note(cell, verdict, micros)

    def _ask(self, peer: Peer, cell: int, budget: Budget) -> _Answer | Verdict:
        """The runner's answer for a cell, or the verdict that its absence is; then, or if Late, the runner is dropped.

        Raises Late.
        """
        try:
            payload = peer.receive(budget, self._asked.watched)
            parts = codec.from_bytes(payload)
            if parts == [cell, "e"]:
                raise Late(for_good=True)
            if _is_answer(parts, cell):
                return _Answer(payload, parts)
            verdict = Verdict.ERROR
        except Late:
            self._crew.drop_runner()
            raise
        except codec.Unsupported:
            verdict = Verdict.ERROR
        except Gone as gone:
            verdict = self._verdict_on_end(peer, gone)
        self._crew.drop_runner()  # it ended, or writes what our runner does not: the program writes into the channel
        return verdict

    def _verdict_on_end(self, peer: Peer, gone: Gone) -> Verdict:
        """On a cell whose runner or judge is gone."""
        return Verdict.INFRA if gone.ended and peer.was_killed(self._cpu_seconds) else Verdict.ERROR

    def _judged_cell(self, cell: int) -> None:
        """One round of a judge, whose calls are relayed to the runner."""
        peer, examiner = self._runner(), self._crew.judge(cell)
        budget = self._budget([peer.pid, examiner.pid])
        examiner.send(judge.GO + marshal.dumps((cell,)))
        try:
            verdict = self._round(peer, examiner, cell, budget)
            self._note(cell, verdict, budget.used_micros())
            self._crew.part_with_judge(cell)
        except Late as late:
            self._crew.drop_judge(cell)
            self._crew.drop_runner()
            self._note_late([cell], late)

    def _round(self, peer: Peer, examiner: Peer, cell: int, budget: Budget) -> Verdict:
        """The verdict of a judge that was told to go. Raises Late."""
        fresh = True
        while True:
            try:
                message = examiner.receive(budget)
            except Gone as gone:
                verdict = self._verdict_on_end(examiner, gone)
                self._crew.drop_judge(cell)
                self._crew.drop_runner()  # it may still owe an answer
                return verdict
            if message[:1] != judge.CALL:
                verdict, as_new = _reported(message)
                if not as_new:
                    self._crew.drop_judge(cell)
                return self._imported(peer, cell, budget) if fresh and verdict is Verdict.PASS else verdict
            peer.send(runner.REMOTE + runner.REMOTE_CELL.pack(cell, fresh) + message[1:])
            fresh = False
            answer = self._ask(peer, cell, budget)
            if not isinstance(answer, _Answer):
                self._crew.drop_judge(cell)
                return answer
            examiner.send(answer.payload)

    def _imported(self, peer: Peer, cell: int, budget: Budget) -> Verdict:
        """The verdict of a test that passed without a call: the program must at least import. Raises Late."""
        peer.send(runner.CALLS + runner.CELL.pack(cell) + marshal.dumps([]))
        answer = self._ask(peer, cell, budget)
        verdict = checked(answer.parts, []) if isinstance(answer, _Answer) else answer
        return Verdict.ERROR if verdict is None else verdict

    def _script_cell(self, cell: int) -> None:
        _, stdin, stdout = self._work.tests[cell]
        test = scriptcell.Examination(stdin, stdout, self._work.output_rule, self._work.checker)
        allowance = self._work.allowance(self._work.cpu_seconds)
        try:
            self._outcomes[cell] = scriptcell.run(
                self._server, self._asked.program, test, allowance, self._cpu_seconds, self._work.patience_seconds
            )
        except Late as late:
            self._note_late([cell], late)


def _request(group: list[tuple[bytes, list[int]]]) -> bytes:
    """What a runner is asked: the calls of each of the cells, and which is the first that they stand for."""
    if len(group) == 1:
        [(calls, sharers)] = group
        return runner.CALLS + runner.CELL.pack(sharers[0]) + calls
    return runner.GROUP + marshal.dumps([(sharers[0], calls) for calls, sharers in group])


def _is_answer(parts: Any, cell: int) -> bool:
    return type(parts) is list and len(parts) >= 2 and type(parts[0]) is int and parts[0] == cell


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
    except (Undecided, codec.NotPlain):
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
