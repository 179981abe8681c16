"""The process that runs a problem's own checker on one printed output. Data sets' source, so as untrusted as a program.

A checker is called with the names of three files: the test's input, the expected output and what was printed. Nothing
in the sandbox can be written to, so the files exist in this process only: `open` and `os.stat` know their names. What
it prints is its judgement; the expected output is in here, and no candidate's code ever is.
"""

from __future__ import annotations

import builtins
import io
import marshal
import os
import types
from typing import Any

from . import runner, script
from .wire import FrameStream

NAMES = ("input.txt", "correct_output.txt", "submission_output.txt")
_READABLE_FILE = 0o100444


def serve(stream: FrameStream, output_bytes: int) -> None:
    """Runs the checker and ends. The one frame holds its source and the contents of the three files."""
    source, *contents = marshal.loads(stream.read())
    os.close(stream.fd)

    def load() -> types.CodeType:
        _provide(dict(zip(NAMES, contents, strict=True)))
        return runner.compile_source(source, "<checker>")

    script.run_main(load, ["checker.py", *NAMES])


def _provide(files: dict[str, bytes]) -> None:
    """Lets `open`, and what builds on it (pathlib, codecs, fileinput), find files that are only in memory."""
    real_open, real_stat = io.open, os.stat

    def name_of(file: Any) -> str | None:
        try:
            return os.path.normpath(os.fsdecode(file))
        except TypeError:  # a descriptor
            return None

    def open_file(
        file: Any, mode: str = "r", buffering: int = -1, encoding: Any = None, errors: Any = None, newline: Any = None,
        closefd: bool = True, opener: Any = None,
    ) -> Any:  # fmt: skip
        content = files.get(name_of(file) or "")
        if content is None or set(mode) - set("rbtU"):
            return real_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
        raw = io.BytesIO(content)
        return raw if "b" in mode else io.TextIOWrapper(raw, encoding or "utf-8", errors, newline)

    def stat_file(path: Any, *args: Any, **kwargs: Any) -> os.stat_result:
        content = files.get(name_of(path) or "")
        if content is None:
            return real_stat(path, *args, **kwargs)
        return os.stat_result((_READABLE_FILE, 0, 0, 1, 0, 0, len(content), 0, 0, 0))

    builtins.open = io.open = open_file  # type: ignore[assignment]
    os.stat = stat_file
