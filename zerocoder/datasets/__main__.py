"""The data sets as commands: `python -m zerocoder.datasets check|ids|references`."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from zerocoder import __version__
from zerocoder.exits import exit_with
from zerocoder.problems import ZeroCoderError

_PROGRAM = "python -m zerocoder.datasets"
_COMMANDS = {
    "check": "run every reference solution of a data set against its own tests",
    "ids": "print the ids of the held-out problems, a sample's for example",
    "references": "sample reference solutions for a data set that has none",
}
_EXAMPLES = f"""examples:
  {_PROGRAM} check data=mbpp data.source.path=mbpp.jsonl
  {_PROGRAM} check data=apps limit=50 --json
  {_PROGRAM} ids data=apps data.source.sample=apps-300
  {_PROGRAM} references --help

exit codes: 0 it ran, and every reference passes; 1 check: some do not; 2 a mistake, told in one line; 130 interrupted
"""


class Parser(argparse.ArgumentParser):
    """Tells a mistake in one line, as every command of ours."""

    def error(self, message: str) -> NoReturn:
        raise ZeroCoderError(f"{message}; see {self.prog} --help")


def main() -> NoReturn:
    """Runs the command in `sys.argv` and exits with its status."""
    exit_with(lambda: run(sys.argv[1:]))


def run(argv: list[str]) -> int:
    """Run a command line; the exit status. Raises ZeroCoderError for a mistake."""
    parser = Parser(
        prog=_PROGRAM,
        description="Looks into data sets.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"zerocoder {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what in _COMMANDS.items():
        commands.add_parser(name, help=what, add_help=False)
    chosen, rest = parser.parse_known_args(argv[:1])
    if chosen.command == "references":
        from zerocoder.datasets.references import main as references

        return int(references(argv[1:]))
    if chosen.command == "ids":
        from zerocoder.datasets.samples import main as ids

        return ids([*rest, *argv[1:]])
    from zerocoder.datasets.check import main as check

    return check([*rest, *argv[1:]])


if __name__ == "__main__":
    main()
