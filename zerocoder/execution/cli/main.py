"""Arguments, exit codes and mistakes of `python -m zerocoder.execution`.

Exit codes: 0 the command ran; 1 `doctor` found a wrong matrix; 2 a mistake, told in one line; 130 interrupted.
"""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from zerocoder import __version__
from zerocoder.execution.cli import doctor, matrix
from zerocoder.execution.limits import Limits
from zerocoder.execution.sandbox.isolation import FLOORS
from zerocoder.exits import exit_with
from zerocoder.problems import ZeroCoderError

_PROGRAM = "python -m zerocoder.execution"
_EXAMPLES = f"""examples:
  {_PROGRAM} doctor
  {_PROGRAM} matrix programs.jsonl tests.jsonl
  {_PROGRAM} matrix - tests.jsonl --format json < programs.jsonl

programs: one JSON object a line, "source" and optionally "id", "problem", "entry_point"
tests:    one JSON object a line, "code" (asserts) or "stdin" and "stdout", and optionally "id", "problem"
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ZeroCoderError(f"{message}; see {self.prog} --help")


def main() -> NoReturn:
    """Runs the command in `sys.argv` and exits with its status."""
    exit_with(_run, _as_flags)


def _as_flags(line: str) -> str:
    """A message with the flags of this command for what are keys of a config file elsewhere."""
    return re.sub(r"\bverifier\.(\w+)", lambda key: f"--{key[1].replace('_', '-')}", line)


def _run() -> int:
    arguments = _parser().parse_args()
    return int(arguments.run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=_PROGRAM,
        description="Runs untrusted programs against tests in isolated processes.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"zerocoder {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_matrix(commands.add_parser("matrix", help="every program of a problem against every test of it"))
    _add_doctor(commands.add_parser("doctor", help="what isolation this host gives, and whether verdicts are right"))
    return parser


def _add_matrix(parser: argparse.ArgumentParser) -> None:
    default = Limits()
    parser.description = "Runs every program of a problem against every test of it. '-' reads standard input."
    parser.add_argument("programs", help="JSONL of programs")
    parser.add_argument("tests", help="JSONL of tests")
    parser.add_argument("--entry-point", metavar="NAME", help="function that the asserts call, in all problems")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write there instead of to standard output")
    parser.add_argument(
        "--cpu-seconds",
        type=_positive(float),
        default=default.cpu_seconds,
        metavar="S",
        help="CPU time of one program on one test (default %(default)s)",
    )
    parser.add_argument(
        "--memory-mb",
        type=_positive(int),
        default=default.memory_mb,
        metavar="M",
        help="memory of one program (default %(default)s)",
    )
    parser.add_argument(
        "--cancel-after",
        type=_positive(int),
        default=0,
        metavar="K",
        help="take a program for endless after K late tests and leave the others (default: run all)",
    )
    parser.add_argument("--numpy", action="store_true", help="let programs and tests import numpy")
    parser.add_argument("--isolation", choices=FLOORS, default="standard", help="the least that is accepted (standard)")
    _add_common(parser)
    parser.set_defaults(run=matrix.run)


def _add_doctor(parser: argparse.ArgumentParser) -> None:
    parser.description = "Tries every isolation primitive, measures, and checks a matrix whose truth is known."
    _add_common(parser)
    parser.set_defaults(run=doctor.run)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--format", choices=("table", "json"), default="table")
    parser.add_argument("--workers", type=_positive(int), default=0, metavar="N", help="processes (default one a core)")


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not 0 < value < math.inf:
            raise argparse.ArgumentTypeError(f"{text!r} must be a number above 0, e.g. 1")
        return value

    return parse
