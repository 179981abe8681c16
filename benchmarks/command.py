"""What the benchmarks share as commands: mistakes told in one line, and an end that leaves no process behind."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import NoReturn

from zerocoder.exits import exit_with

TERMINATED = 143


def run(main: Callable[[Sequence[str]], int]) -> NoReturn:
    """Runs a command and exits with its status: 2 for a mistake of the user, 130 for Ctrl-C, 143 for SIGTERM.

    SIGTERM and SIGHUP become an exception, so that every `with` on the way out ends what it started.
    """

    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(TERMINATED)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGHUP, end)
    exit_with(lambda: main(sys.argv[1:]))
