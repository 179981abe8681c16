"""Standard output and error of what is judged by its values: what is printed goes nowhere, and costs next to nothing.

Programs that show what they do print thousands of lines. To keep, encode and hand those to `/dev/null` would take as
long as everything else in them. A text is still refused where Python refuses it, but for lone surrogates: those fail
when they are encoded, which here nothing is.
"""

from __future__ import annotations

import io
import sys
from typing import Any


class Nowhere(io.TextIOWrapper):
    """The interpreter's own text stream, but that `write` only checks that it got a text and returns its length.

    As soon as a program closes it or has it encode otherwise, `write` is the stream's own again, with its errors.
    """

    write = staticmethod(str.__len__)  # type: ignore[assignment]  # C code, with no frame of ours: half a print's price

    def close(self) -> None:
        super().close()
        self._write_again()

    def detach(self) -> Any:
        buffer = super().detach()
        self._write_again()
        return buffer

    def reconfigure(self, **options: Any) -> None:
        super().reconfigure(**options)
        self._write_again()

    def _write_again(self) -> None:
        self.write = super().write  # type: ignore[method-assign]


def open_streams() -> None:
    """Puts them in the place of the interpreter's."""
    sys.stdout = sys.__stdout__ = _instead_of(sys.stdout)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _instead_of(sys.stderr)  # type: ignore[misc]


def _instead_of(stream: Any) -> Nowhere:
    encoding, errors, by_line = stream.encoding, stream.errors, stream.line_buffering
    return Nowhere(stream.detach(), encoding, errors, line_buffering=by_line)
