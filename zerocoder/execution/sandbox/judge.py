"""The process that runs a test that is more than literals. Its entry point is a call by message into a runner.

The test runs here as it would beside the program, with copies of the values the program returned (codec/); what a
call did to its arguments is copied back. The name of the entry point always means the remote one: a test that defines
it itself is broken. One judge serves all programs of a problem, in rounds, and all sealed tests (sealed.py).

Frames in: TEST (number, source, entry point) once for each, then GO (number: a round) and the runner's answers. Frames
out: CALL with the arguments, or DONE with the verdict and whether the judge is as good as a new one.
"""

from __future__ import annotations

import builtins
import marshal
import re
from typing import Any

from . import codec, runner, sealed
from .verdict import Verdict
from .wire import FrameStream

TEST, GO, CALL, DONE = b"T", b"G", b"C", b"D"


class _Redefined(Exception):
    """The test defines the function it should test."""


class _TestNamespace(dict[str, Any]):
    """The globals of a test, in which one name cannot be rebound. Being no plain dict, it is asked at every lookup."""

    entry: str
    remote: Any

    def __getitem__(self, name: str) -> Any:
        return self.remote if name == self.entry else dict.__getitem__(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        if name == self.entry:
            raise _Redefined(f"the test defines {name} itself")
        dict.__setitem__(self, name, value)


def serve(stream: FrameStream, output_bytes: int) -> None:
    """Answers rounds until it is killed."""
    tests: dict[int, tuple[Any, str]] = {}
    room = runner.Room()
    while True:
        message = stream.read()
        number, *rest = marshal.loads(message[1:])
        if message[:1] == TEST:
            source, entry = rest
            tests[number] = _compiled(source), entry
        else:
            verdict = _round(*tests[number], _Remote(stream, output_bytes))  # nothing of it outlives the round
            stream.write(DONE + bytes([verdict, room.is_all_there()]))


def _compiled(source: str) -> Any:
    try:
        return runner.compile_source(source, "<test>")
    except BaseException:
        return None


def _round(code: Any, entry: str, remote: _Remote) -> Verdict:
    if code is None:
        return Verdict.ERROR
    runner.reset_interpreter()
    re.purge()
    namespace = _TestNamespace(runner.fresh_module(sealed.TEST_MODULE))
    namespace.entry, namespace.remote = entry, remote.call
    dict.__setitem__(namespace, entry, remote.call)
    try:
        exec(code, namespace)
    except (codec.Undecidable, codec.Unsupported):
        return Verdict.UNSUPPORTED
    except AssertionError:
        return Verdict.FAIL
    except MemoryError:
        return Verdict.MEMORY
    except BaseException:
        return Verdict.ERROR
    return Verdict.PASS


class _Remote:
    """The entry point as the test sees it."""

    def __init__(self, stream: FrameStream, output_bytes: int) -> None:
        self._stream = stream
        self._cap = output_bytes
        self._decode = codec.rich_decoder(self._pulled)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        given = [*args, *kwargs.values()]
        match self._asked((args, kwargs)):
            case [value, list(after), alias] if len(after) == len(given):
                for argument, encoded in zip(given, after, strict=True):
                    if codec.is_mutable(argument):
                        codec.overwrite(argument, self._decoded(encoded))
                return given[alias] if type(alias) is int and 0 <= alias < len(given) else self._decoded(value)
        raise codec.Undecidable("no value")

    def _pulled(self, number: int, sent: Any) -> tuple[list[Any], bool]:
        """The next items of an iterator that the runner keeps, and whether it has ended."""
        match self._asked([number, sent]):
            case [[list(items), bool(ended)]] if items or ended:
                return self._decoded(items), ended
        raise codec.Undecidable("no items")

    def _decoded(self, encoded: Any) -> Any:
        try:
            return self._decode(encoded)
        except codec.Unsupported as error:
            raise codec.Undecidable(str(error)) from None

    def _asked(self, request: Any) -> list[Any]:
        """The runner's answer to a request (runner.remote). Raises what the program raised."""
        try:
            message = codec.dumps(request)
        except codec.Unsupported as error:
            raise codec.Undecidable(str(error)) from None
        if len(message) > self._cap:
            raise codec.Undecidable("arguments are too large")
        self._stream.write(CALL + message)
        match codec.from_bytes(self._stream.read()):
            case [_, "v", *answer]:
                return answer
            case [_, "x", list(names), encoded_args]:
                raise _rebuilt(names, encoded_args) from None
        raise codec.Undecidable("a value without plain form")


def _rebuilt(names: list[str], encoded_args: Any) -> BaseException:
    """The nearest builtin exception to the one that was raised in the runner."""
    for name in names:
        kind = getattr(builtins, name, None)
        if isinstance(kind, type) and issubclass(kind, BaseException):
            try:
                return kind(*codec.decode(encoded_args, rich=True))
            except Exception:
                continue
    return RuntimeError("the program raised")
