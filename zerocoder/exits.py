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

    A standard output that takes nothing is the user's mistake, too: one that is closed, or lies on a full disk.
    `worded` puts a mistake into the words of the command, where it has others than the parts that raise it.
    """
    try:
        if sys.stdout is None:
            raise ZeroCoderError("standard output is closed: send it somewhere, e.g. > /dev/null")
        sys.exit(_printed(work))
    except BrokenPipeError:  # the reader of our output is gone, as in `... | head`
        _mute()
        sys.exit(0)
    except (ZeroCoderError, KeyboardInterrupt, OSError) as error:
        sys.exit(told(error, worded))


def told(error: BaseException, worded: Callable[[str], str] = str) -> int:
    """Tell on stderr what ended a command; its status."""
    if isinstance(error, ZeroCoderError):
        print(f"error: {worded(' '.join(str(error).split()))}", file=sys.stderr)
        return MISTAKE
    if isinstance(error, KeyboardInterrupt):
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    if isinstance(error, OSError) and _is_of_stdout(error):
        _mute()
        print(f"error: cannot write standard output: {error.strerror}", file=sys.stderr)
        return MISTAKE
    traceback.print_exception(error)
    return 1


def _printed(work: Callable[[], int]) -> int:
    """The status of the work once all that it printed is out: at exit, what fails there could not be told any more."""
    try:
        status = work()
    except SystemExit:  # after --help
        sys.stdout.flush()
        raise
    sys.stdout.flush()
    return status


def _is_of_stdout(error: OSError) -> bool:
    """Whether it was standard output that could not be written: then it does not take an empty line either."""
    if error.errno is None or error.filename is not None:
        return False
    try:
        print(flush=True)
    except OSError as again:
        return again.errno == error.errno
    return False


def _mute() -> None:
    """Keep Python from complaining at exit about what standard output still should have taken."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
