"""The process that runs one program, or some in turn that may share it: arguments in, encoded values out.

Everything after `exec` is untrusted. It holds the program and the arguments, no expected value and no test. Each test
gets a fresh namespace of the compiled program; what a test leaves behind in modules of the standard library stays
visible to the next test of the same process, and to nothing else.

Frames in: PROGRAM (marshalled code or source, entry point) first and whenever the program changes, CALLS (a cell's
number and its calls), GROUP (several of those, for one list of answers) or REMOTE (one call of a judge). Frames out:
JSON `[cell, "v", values]`, `[cell, "x", exception
names, its arguments]`, `[cell, "u"]` for a value without plain form, or `[cell, "e"]` when the program was proven to be
endless (endless.py); and whenever the program changes FIT, once what the last one left is gone, or UNFIT where it took
memory that a new process would have.
"""

from __future__ import annotations

import ast
import builtins
import decimal
import gc
import marshal
import mmap
import os
import random
import re
import resource
import signal
import struct
import sys
import types
from typing import Any

from . import codec, endless, sealed
from .wire import FrameStream

PROGRAM, CALLS, GROUP, REMOTE = b"P", b"C", b"G", b"R"
FIT, UNFIT = b"fit", b"unfit"
CELL = struct.Struct("<I")
REMOTE_CELL = struct.Struct("<I?")  # number, and whether the namespace is to be a fresh one
_RECURSION_LIMIT = 1000
_MAX_MESSAGE_CHARS = 2000
_WARM_UP_CELLS = 64
_RSS_UNIT = 1 if sys.platform == "darwin" else 1024
_SLACK_BYTES = 8 << 20  # what the interpreter keeps for itself after a while

Namespace = dict[str, Any]

# What random.seed does for a number, but none of its own code, which every runner would have to copy
_random: Any = random._inst  # type: ignore[attr-defined]
_seed = super(random.Random, _random).seed


def serve(stream: FrameStream, output_bytes: int) -> None:
    """Answers calls until it is killed."""
    program: _Program | None = None
    room = Room()
    cell = 0

    def report() -> None:
        stream.write(codec.to_bytes([cell, "e"]))
        os._exit(0)

    lookout = endless.Lookout(report)
    signal.signal(endless.SIGNAL, lookout.look)
    while True:
        message = stream.read()
        kind, body = message[:1], message[1:]
        if kind == PROGRAM:
            if program is not None:
                program = None
                sys.modules.pop(sealed.PROGRAM_MODULE, None)
                re.purge()  # it takes flags for known that it would refuse
                gc.collect()
                stream.write(FIT if room.is_all_there() else UNFIT)
            code_hex, source, entry = marshal.loads(body)
            program = _Program(code_hex, source, entry, output_bytes, room)
        elif program is None:
            os._exit(1)
        elif kind == CALLS:
            (cell,) = CELL.unpack_from(body)
            lookout.source = program.source
            answer = program.cell(cell, body[CELL.size :])
            lookout.end()
            stream.write(answer)
        elif kind == GROUP:
            answers = [program.cell(number, calls) for number, calls in marshal.loads(body)]
            stream.write(b"[%b]" % b",".join(answers))
        elif kind == REMOTE:
            cell, fresh = REMOTE_CELL.unpack_from(body)
            lookout.source = program.source
            answer = program.remote(cell, fresh, body[REMOTE_CELL.size :])
            lookout.end()
            stream.write(answer)
        else:
            os._exit(1)


def warm_up() -> None:
    """Runs a program of ours often enough for the interpreter to have specialised the code that all cells go through.

    Done once by the zygote: what every runner would find out anew, and pay for in copied pages, it then inherits.
    """
    program = _Program(None, "def f(x):\n    return [x]", "f", 1 << 10, Room())
    calls = marshal.dumps([((1, "a", [2.5]), {}, ())])
    for number in range(_WARM_UP_CELLS):
        program.cell(number, calls)
        program.remote(number, True, codec.dumps(((1,), {})))
        codec.loads(codec.dumps([1, (2, "b"), {"c": [None, True]}]), rich=True)
    sys.modules.pop(sealed.PROGRAM_MODULE, None)
    re.purge()


class Room:
    """The memory that a program or test may take in this process, before and after others."""

    interpreter_bytes = 0
    """Address space that each process has on top of what is allowed; 0 where nothing is limited."""

    def __init__(self) -> None:
        self._first = _most_resident()
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        limited = self.interpreter_bytes and limit != resource.RLIM_INFINITY
        self._wanted = limit - self.interpreter_bytes - _SLACK_BYTES if limited else 0

    def was_taken(self) -> bool:
        """Whether much of it has been in use. Quick, and blind to what was taken and never written to."""
        return _most_resident() - self._first > _SLACK_BYTES

    def is_all_there(self) -> bool:
        """Whether the next one finds as much as in a new process."""
        if self._wanted <= 0:
            return not self.was_taken()
        try:
            mmap.mmap(-1, self._wanted).close()
        except OSError:
            return False
        return True


def _most_resident() -> int:
    """The most bytes of memory that this process has had so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT


class _Program:
    """One program, compiled, with the namespace of the cell in progress."""

    def __init__(self, code_hex: str | None, source: str, entry: str, output_bytes: int, room: Room) -> None:
        self.source = source
        self._entry = entry
        self._cap = output_bytes
        self._room = room
        self._broken: BaseException | None = None
        self._namespace: Namespace = {}
        self._shelf: list[codec.Kept] = []  # the iterators that the test in progress may consume
        try:
            compiled = marshal.loads(bytes.fromhex(code_hex)) if code_hex else compile_source(source, endless.FILENAME)
            self._code: types.CodeType = compiled
        except BaseException as error:
            self._broken = error

    def cell(self, cell: int, calls: bytes) -> bytes:
        """All calls of one literal test (translation.Call), in order, until one raises."""
        try:
            self._refresh()
            values = []
            for args, kwargs, wanted in marshal.loads(calls):  # encoded before the next call, which may change them
                values.append(codec.encode(self._call(args, kwargs)))
                values += [codec.encode(args[position]) for position in wanted]
            return self._capped(cell, [cell, "v", values])
        except codec.Unsupported:
            return codec.to_bytes([cell, "u"])
        except BaseException as error:
            return _raised(cell, error)

    def remote(self, cell: int, fresh: bool, encoded: bytes) -> bytes:
        """One request of a judge: a tuple is a call, a list asks for more of an iterator."""
        try:
            if fresh:
                self._refresh()
            request = codec.loads(encoded, rich=True)
            answer = self._called(*request) if type(request) is tuple else self._pulled(*request)
            return self._capped(cell, [cell, "v", *answer])
        except (codec.Unsupported, codec.Undecidable):
            return codec.to_bytes([cell, "u"])
        except BaseException as error:
            return _raised(cell, error)

    def _called(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any]:
        """The value of a call, the arguments as the call left them, and which of them is the value."""
        value = self._call(args, kwargs)
        given = [*args, *kwargs.values()]
        alias = next((i for i, arg in enumerate(given) if arg is value and codec.is_mutable(arg)), None)
        after = [codec.encode(arg) if codec.is_mutable(arg) else None for arg in given]
        return [codec.encode(value, shelf=self._shelf), after, alias]

    def _pulled(self, number: int, sent: Any) -> list[Any]:
        """What comes next of an iterator that a call has returned."""
        return [self._shelf[number].pulled(sent, self._shelf)]

    def _refresh(self) -> None:
        self._shelf.clear()
        if self._broken is not None:
            raise self._broken
        reset_interpreter()
        self._namespace = fresh_module(sealed.PROGRAM_MODULE)
        if self._room.was_taken():
            gc.collect()  # what the last test left in circles may be most of the memory there is
        exec(self._code, self._namespace)

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if self._entry not in self._namespace:
            raise NameError(f"name {self._entry!r} is not defined")
        return self._namespace[self._entry](*args, **kwargs)

    def _capped(self, cell: int, answer: list[Any]) -> bytes:
        encoded = codec.to_bytes(answer)
        return encoded if len(encoded) <= self._cap else codec.to_bytes([cell, "u"])


def compile_source(source: str | ast.Module, filename: str) -> types.CodeType:
    """A source, or what is parsed of it, compiled without this file's own `from __future__` flags."""
    return compile(source, filename, "exec", dont_inherit=True)


def fresh_module(name: str) -> Namespace:
    """The namespace of a new module that is registered, as dataclasses and typing look their modules up by name."""
    module = types.ModuleType(name)
    module.__dict__["__builtins__"] = builtins
    sys.modules[name] = module
    return module.__dict__


def reset_interpreter() -> None:
    """The interpreter-wide state that programs commonly touch, as a new process would have it."""
    _seed(0)
    _random.gauss_next = None
    sys.setrecursionlimit(_RECURSION_LIMIT)
    decimal.setcontext(decimal.Context(decimal.DefaultContext.prec))
    if numpy_random := sys.modules.get("numpy.random"):
        numpy_random.seed(0)


def _raised(cell: int, error: BaseException) -> bytes:
    """An exception by the names of its classes, so that a judge can raise the nearest builtin one."""
    names = [kind.__name__ for kind in type(error).__mro__ if issubclass(kind, BaseException)]
    try:
        args = codec.encode(list(error.args))
        if len(codec.to_bytes(args)) > _MAX_MESSAGE_CHARS:
            raise codec.Unsupported("a long message")
    except Exception:
        args = []
    return codec.to_bytes([cell, "x", names, args])
