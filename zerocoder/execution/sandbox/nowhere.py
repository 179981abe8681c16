"""Standard output and error of what is judged by its values: what is printed goes nowhere, and costs next to nothing.

Programs that show what they do print thousands of lines. To keep, encode and hand those to `/dev/null` would take as
long as everything else in them. A text is still refused where Python refuses it, but for lone surrogates: those fail
when they are encoded, which here nothing is.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any


def open_streams() -> None:
    """Has the interpreter's own streams only check that they are given texts, and say how long those are.

    Once a program closes one or has it encode otherwise, it writes again, with all errors that this may have.
    """
    for stream in (sys.stdout, sys.stderr):
        write_nothing(stream)


def write_nothing(stream: Any) -> None:
    """Puts C code in the place of a text stream's `write`, without a frame of ours: half the price of a print."""

    def writing_again(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            vars(stream).pop("write", None)
            return method(*args, **kwargs)

        return call

    stream.write = str.__len__
    for owner, names in ((stream, ("close", "detach", "reconfigure")), (stream.buffer, ("close", "detach"))):
        for name in names:
            setattr(owner, name, writing_again(getattr(owner, name)))
