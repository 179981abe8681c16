"""How every command of ours ends: a user's mistake in one line, an interrupt in a word, a bug with its traceback."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import NoReturn

from zerocoder.problems import ZeroCoderError

MISTAKE, INTERRUPTED = 2, 130


def exit_with(work: Callable[[], int], worded: Callable[[str], str] = str) -> NoReturn:
    """Exit with the status that `work` returns: 2 after a ZeroCoderError, 130 after an interrupt.

    `worded` puts a mistake into the words of the command, where it has others than the parts that raise it.
    """
    try:
        status = work()
        sys.stdout.flush()  # here, where a reader that is gone can be told from a bug
        sys.exit(status)
    except (ZeroCoderError, KeyboardInterrupt) as error:
        sys.exit(told(error, worded))
    except BrokenPipeError:
        # The reader of our output is gone, as in `... | head`; keep Python from complaining at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def told(error: BaseException, worded: Callable[[str], str] = str) -> int:
    """Tell on stderr what ended a command; its status."""
    if isinstance(error, ZeroCoderError):
        print(f"error: {worded(' '.join(str(error).split()))}", file=sys.stderr)
        return MISTAKE
    if isinstance(error, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    traceback.print_exception(error)
    return 1
