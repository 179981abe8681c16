"""Proves that a loop never ends: all that a program can look at is as it was before, at the same place.

A program that computes for long is interrupted, and the loops it is in are followed for a moment. What a sealed program
(sealed.py) does next is decided by its names, the values behind them, which of those are one and the same object, and
where it is. When all of that is equal at two rounds of a loop, every round after them is like those between the two.

What could differ unseen is not taken for equal: values of kinds that hide something (iterators, sets with their order
to come, whatever is not listed) prove nothing. Iterators of `for` loops around a loop rest while it runs, and those
within it are at their end, or their beginning, when a round begins. Nothing else about a program changes: it is not
stopped unless the proof is complete, and what recurs (and might lack the depth for an interruption) is not looked at.
"""

from __future__ import annotations

import ast
import collections
import re
import signal
import struct
import sys
import time
import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from .nodes import all_nodes

PYTHONS = ((3, 11),)
"""Versions under which the tests of this file have passed: where a line begins is an interpreter's own affair."""
SIGNAL = signal.SIGUSR1
FILENAME = "<solution>"
_MAX_PARTS = 400  # of a state
_MAX_CPU_SECONDS = 0.004  # of one look
_MAX_SOURCE_CHARS = 20_000
_PLAIN = (type(None), bool, int, float, complex, str, bytes, range, type(...), type(NotImplemented))
_DOUBLE = struct.Struct("<d")
_BY_IDENTITY = (type, types.ModuleType, re.Pattern)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp)  # since Python 3.12 loops of the function they are in


def is_watchable(source: str, nodes: Sequence[ast.AST]) -> bool:
    """Whether a sealed program, by all of its nodes, has a loop to look at and no function that might call itself."""
    if sys.version_info[:2] not in PYTHONS or len(source) > _MAX_SOURCE_CHARS:
        return False
    kinds = set(map(type, nodes))
    if ast.While not in kinds or ast.ClassDef in kinds:  # what instances and methods keep is not compared
        return False
    definitions = (ast.FunctionDef, ast.Assign) if ast.Lambda in kinds else (ast.FunctionDef,)
    named = ((_function_name(node), node) for node in nodes if isinstance(node, definitions))
    functions = [(name, node) for name, node in named if name is not None]
    if not {name for name, _ in functions} & _names_read(nodes):
        return True  # as of most programs: nothing calls anything of theirs
    mentions: dict[str, set[str]] = {}
    for name, node in functions:
        mentions.setdefault(name, set()).update(_names_read(all_nodes(node)))
    known = {name: names & mentions.keys() for name, names in mentions.items()}
    while leaves := [name for name, names in known.items() if not names]:
        for name in leaves:
            del known[name]
        for names in known.values():
            names.difference_update(leaves)
    return not known


def _names_read(nodes: Iterable[ast.AST]) -> set[str]:
    return {node.id for node in nodes if type(node) is ast.Name and type(node.ctx) is ast.Load}


def _function_name(node: ast.AST) -> str | None:
    if isinstance(node, ast.FunctionDef):
        return node.name
    if isinstance(node, ast.Assign) and any(isinstance(part, ast.Lambda) for part in ast.walk(node.value)):
        return next((target.id for target in node.targets if isinstance(target, ast.Name)), None)
    return None


@dataclass(frozen=True)
class _Loop:
    """A `while`, by its lines, and the line of it where rounds are compared; None: nothing happens in any round."""

    first: int
    last: int
    anchor: int | None

    def holds(self, frame: types.FrameType) -> bool:
        """Whether a frame is in the loop. What the compiler added is on no line."""
        return frame.f_lineno is not None and self.first <= frame.f_lineno <= self.last


def _loops(source: str) -> list[_Loop]:
    tree = ast.parse(source)
    hidden = {
        line
        for node in ast.walk(tree)
        if isinstance(node, _COMPREHENSIONS)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    loops = []
    for loop in ast.walk(tree):
        if isinstance(loop, ast.While):
            line = None if _does_nothing(loop) else next(_anchors(loop), 0)
            if line is None or (line and line not in hidden):
                loops.append(_Loop(loop.lineno, loop.end_lineno or loop.lineno, line))
    return loops


def _does_nothing(loop: ast.While) -> bool:
    """`while True: pass`, of which a tracer hears nothing."""
    constant = isinstance(loop.test, ast.Constant) and bool(loop.test.value)
    return constant and all(isinstance(statement, (ast.Pass, ast.Continue)) for statement in loop.body)


def _anchors(loop: ast.While) -> Iterator[int]:
    """Lines on which a statement begins in every round, and no value is in the middle of being computed."""
    if not isinstance(loop.test, ast.Constant) and loop.test.end_lineno == loop.lineno:
        yield loop.lineno
    for statement in loop.body:
        if isinstance(statement, (ast.If, ast.While)):
            whole = statement.test.end_lineno == statement.lineno
        elif isinstance(statement, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Pass)):
            whole = statement.end_lineno == statement.lineno
        else:
            whole = isinstance(statement, ast.Try)
        if whole:
            yield statement.lineno


@dataclass
class _Rounds:
    """What a loop has been through: Brent's search for a repetition."""

    loop: _Loop
    kept: Any = None
    num_since: int = 0
    until: int = 1

    def repeats(self, state: Any) -> bool:
        if state == self.kept:
            return True
        if self.num_since == self.until:
            self.until *= 2
            self.num_since = 0
        if self.num_since == 0:
            self.kept = state
        self.num_since += 1
        return False

    def restart(self) -> None:
        self.kept, self.num_since, self.until = None, 0, 1


class Hidden(Exception):
    """A value whose state can not be seen, or is too large."""


@dataclass
class Lookout:
    """Looks at a program when `SIGNAL` arrives. `report` is called with a proof, in the middle of the program."""

    report: Callable[[], None]
    source: str | None = None
    """Of the program that is running; None while none is."""
    _watched: dict[types.FrameType, list[_Rounds]] = field(default_factory=dict)
    _end: float = 0.0

    def look(self, signum: int, frame: types.FrameType | None) -> None:
        """The signal's handler."""
        if self.source is None or self._watched:
            return
        try:
            ended = self._begin(_loops(self.source), frame)
        except Exception:  # out of memory: nothing of it is to be felt by the program
            self.rest()
            return
        if ended:
            self.rest()
            self.report()
        elif self._watched:
            self._end = time.process_time() + _MAX_CPU_SECONDS
            sys.settrace(_no_new_frames)

    def _begin(self, loops: Sequence[_Loop], frame: types.FrameType | None) -> bool:
        """Follows the frames that are in loops from now on. True where nothing happens in one of them."""
        while frame is not None:
            if frame.f_code.co_filename == FILENAME:
                around = [_Rounds(loop) for loop in loops if loop.holds(frame)]
                if any(rounds.loop.anchor is None for rounds in around):
                    return True
                if around:
                    self._watched[frame] = around
                    frame.f_trace = self._step
            frame = frame.f_back
        return False

    def end(self) -> None:
        """The program does not run any more."""
        self.source = None
        self.rest()

    def rest(self) -> None:
        """Looks no longer, for now."""
        if self._watched:
            sys.settrace(None)
            for frame in self._watched:
                frame.f_trace = None
            self._watched.clear()

    def _step(self, frame: types.FrameType, event: str, argument: Any) -> Any:
        """Of a frame that is looked at: the next line, or its end."""
        if event == "return":
            self._watched.pop(frame, None)
            if not self._watched:
                sys.settrace(None)
            return None
        if event == "line":
            try:
                proven = self._repeats(frame)
            except Exception:  # Hidden, or out of memory
                self.rest()
                return None
            if proven:
                self.rest()
                self.report()
                return None
            if time.process_time() > self._end:
                self.rest()
                return None
        return self._step

    def _repeats(self, frame: types.FrameType) -> bool:
        """Whether a frame is where it was, in a loop around the line it has come to. Raises Hidden."""
        repeats = False
        for rounds in self._watched.get(frame, ()):
            if not rounds.loop.holds(frame):
                rounds.restart()
            elif frame.f_lineno == rounds.loop.anchor:
                repeats = rounds.repeats((frame.f_lasti, state_of(frame))) or repeats
        return repeats


def _no_new_frames(frame: types.FrameType, event: str, argument: Any) -> None:
    return None


def state_of(frame: types.FrameType) -> list[Any]:
    """All that a frame can see, so that equal states are equal in everything but the addresses of objects.

    Raises Hidden.
    """
    reading = _State(frame.f_globals)
    for names in (frame.f_locals, frame.f_globals):
        for name, value in names.items():
            if not name.startswith("__"):
                reading.out.append(name)
                reading.add(value)
    return reading.out


def _exactly(value: Any) -> Any:
    """What is equal for equal plain values alone: zeros and nans have signs, empty ranges a start and a step."""
    kind = type(value)
    if kind is float:
        return _DOUBLE.pack(value)
    if kind is complex:
        return _DOUBLE.pack(value.real), _DOUBLE.pack(value.imag)
    return (value.start, value.stop, value.step) if kind is range else value


class _State:
    """Values in the order in which they are met: each is written once, then by the number it has."""

    def __init__(self, own: dict[str, Any]) -> None:
        self.out: list[Any] = []
        self._own = own
        self._numbers: dict[int, int] = {}
        self._alive: list[Any] = []  # so that no address is used twice

    def add(self, value: Any) -> None:
        number = self._numbers.setdefault(id(value), len(self._numbers))
        self.out.append(number)
        if number < len(self._alive):
            return
        self._alive.append(value)
        if number > _MAX_PARTS:
            raise Hidden
        kind = type(value)
        self.out.append(kind)
        if kind in _PLAIN:
            self.out.append(_exactly(value))
        elif kind in (list, tuple, collections.deque):
            self.out += (len(value), getattr(value, "maxlen", None))
            for item in value:
                self.add(item)
        elif kind in (dict, collections.Counter, collections.OrderedDict, collections.defaultdict):
            self.out.append(len(value))
            self.add(getattr(value, "default_factory", None))
            for key, item in value.items():
                self.add(key)
                self.add(item)
        elif kind is bytearray:
            self.out.append(bytes(value))
        elif kind is Fraction:
            self.out += (value.numerator, value.denominator)
        elif kind is types.FunctionType:
            self._add_function(value)
        elif not self._is_constant(value):
            raise Hidden

    def _add_function(self, function: types.FunctionType) -> None:
        if function.__globals__ is not self._own:  # of a module, which keeps nothing: sealed.py
            self.out.append(id(function))
            return
        if function.__closure__:  # which frame's names it shares is not to be seen
            raise Hidden
        self.out.append(id(function.__code__))
        for part in (function.__defaults__, function.__kwdefaults__, function.__dict__):
            self.add(part)

    def _is_constant(self, value: Any) -> bool:
        kind = type(value)
        if kind is types.BuiltinFunctionType and isinstance(value.__self__, (types.ModuleType, type(None))):
            pass
        elif not issubclass(kind, _BY_IDENTITY) and kind.__module__ != "typing":
            return False
        self.out.append(id(value))
        return True
