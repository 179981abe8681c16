"""The process that runs one program as a script on one standard input. Untrusted from `exec` on.

Descriptors 0 and 1 are pipes to the warden, so `input()`, `sys.stdin.buffer`, `open(0)` and `os.read(0, ...)` all
work. The exit status is the verdict's business: 0 after a normal end, `sys.exit()` or `sys.exit(0)`.
"""

from __future__ import annotations

import atexit
import builtins
import io
import marshal
import os
import sys
import threading
import types
from collections.abc import Callable

from . import endless, runner
from .wire import FrameStream

OUT_OF_MEMORY = 99  # exit status


def serve(stream: FrameStream, output_bytes: int) -> None:
    """Runs the script and ends."""
    code_hex, source = marshal.loads(stream.read())
    os.close(stream.fd)

    def load() -> types.CodeType:
        code: types.CodeType = (
            marshal.loads(bytes.fromhex(code_hex)) if code_hex else runner.compile_source(source, endless.FILENAME)
        )
        return code

    run_main(load, ["solution.py"])


def run_main(load: Callable[[], types.CodeType], argv: list[str]) -> None:
    """Runs code as the interpreter runs a script, then ends the process."""
    status = 1
    try:
        code = load()
        atexit._clear()
        _open_standard_streams()
        runner.reset_interpreter()
        sys.argv = argv
        # as the module `site` has them, which is not loaded
        builtins.exit = builtins.quit = sys.exit  # type: ignore[assignment]
        exec(code, runner.fresh_module("__main__"))
        status = 0
    except SystemExit as end:
        status = _exit_status(end.code)
    except MemoryError:
        status = OUT_OF_MEMORY
    except BaseException:
        status = 1
    finally:
        os._exit(_finished(status))


def _open_standard_streams() -> None:
    stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
    stdout = io.TextIOWrapper(io.BufferedWriter(io.FileIO(1, "w", closefd=False)), encoding="utf-8")
    sys.stdin = sys.__stdin__ = stdin  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = stdout  # type: ignore[misc]


def _exit_status(code: object) -> int:
    """As the interpreter itself maps the argument of sys.exit."""
    if code is None:
        return 0
    return code & 0xFF if isinstance(code, int) else 1


def _finished(status: int) -> int:
    """What the interpreter does on its way out: wait for threads, run exit handlers, flush."""
    try:
        for thread in threading.enumerate():
            if thread is not threading.current_thread() and not thread.daemon:
                thread.join()
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.__stdout__):
            if stream is not None and not stream.closed:
                stream.flush()
    except BaseException:
        return status or 1
    return status
