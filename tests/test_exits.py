"""How commands end where their output goes nowhere: in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
START = "from zerocoder.exits import exit_with\n"
PRINTS = "def work():\n    print('a line' * {times})\n    return 0\nexit_with(work)"
FULL = "error: cannot write standard output: No space left on device\n"

needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")


def run(code: str, redirection: str) -> tuple[int, str, str]:
    """A command of ours under a shell's redirection; its status, standard output and standard error."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "$1" {redirection}', sys.executable, START + code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""},
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


@needs_full
@pytest.mark.parametrize("times", [1, 10_000])  # waits in the buffer until the end; fails when it is printed
def test_a_full_standard_output(times: int) -> None:
    assert run(PRINTS.format(times=times), "> /dev/full") == (2, "", FULL)


@needs_full
def test_help_on_a_full_standard_output() -> None:
    code = "import argparse\nexit_with(lambda: argparse.ArgumentParser().parse_args(['-h']))"
    assert run(code, "> /dev/full") == (2, "", FULL)


def test_a_closed_standard_output_is_refused_before_the_work() -> None:
    status, out, err = run("import sys\nexit_with(lambda: print('worked', file=sys.stderr) or 0)", ">&-")
    assert (status, out, err) == (2, "", "error: standard output is closed: send it somewhere, e.g. > /dev/null\n")


def test_a_reader_that_is_gone_is_no_mistake() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", START + PRINTS.format(times=1)]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, cwd=ROOT, timeout=60)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")


def test_what_fails_elsewhere_keeps_its_traceback() -> None:
    code = "def work():\n    print('a line')\n    raise OSError(28, 'No space left on device')\nexit_with(work)"
    status, out, err = run(code, "")
    assert (status, out.rstrip()) == (1, "a line")
    assert err.startswith("Traceback") and err.endswith("OSError: [Errno 28] No space left on device\n")
