"""The report as a command: `python -m zerocoder.report <run>... [--out FOLDER] [--title TEXT]`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import NoReturn

from zerocoder import __version__
from zerocoder.exits import exit_with
from zerocoder.problems import ZeroCoderError
from zerocoder.report.logs import find_runs, read_run

_PROGRAM = "python -m zerocoder.report"
_EXAMPLES = f"""examples:
  {_PROGRAM} runs/nano/latest
  {_PROGRAM} runs/nano --title "DyB4 and CodeT, three seeds each"
  {_PROGRAM} runs/nano/2026-05-01_12-00-00 runs/nano/2026-05-01_13-00-00 --out comparison

A folder stands for all runs below it. Runs whose settings differ in nothing but the seed are shown as one, with mean
and spread.
"""
OWN_FOLDER = "report"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ZeroCoderError(f"{message}; see {self.prog} --help")


def main() -> NoReturn:
    """Runs the command in `sys.argv` and exits with its status."""
    exit_with(lambda: run(sys.argv[1:]))


def run(argv: list[str]) -> int:
    """Run a command line; the exit status. Raises ZeroCoderError for a mistake."""
    arguments = _parser().parse_args(argv)
    out = _out(arguments.runs, arguments.out)
    runs = [read_run(folder) for folder in find_runs(arguments.runs)]
    from zerocoder.report.build import build
    from zerocoder.report.damage import damage
    from zerocoder.report.files import write

    write(build(runs, arguments.title), out)
    for run in runs:
        if told := damage(run):
            print(f"warning: {run.folder}: {told}", file=sys.stderr)
    print(f"{len(runs)} run{'' if len(runs) == 1 else 's'}: {out / 'report.html'}, {out / 'report.md'}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=_PROGRAM,
        description="Turns the logs of one or several training runs into a report: Markdown with pictures, and a page.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"zerocoder {__version__}")
    parser.add_argument(
        "runs", nargs="+", metavar="run", help="a run's folder, a link to one, or a folder above several"
    )
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help=f"where to write (default: {OWN_FOLDER}/ in the one folder named)"
    )
    parser.add_argument("--title", default="Training report", metavar="TEXT", help="the report's heading (%(default)s)")
    return parser


def _out(places: list[str], out: Path | None) -> Path:
    if out is None and len(places) > 1:
        raise ZeroCoderError(f"{len(places)} places are named: say with --out FOLDER where the report goes")
    folder = Path(places[0], OWN_FOLDER) if out is None else out
    folder = folder.expanduser()
    try:
        there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    except OSError as error:
        raise ZeroCoderError(f"--out {folder}: {error.strerror}") from error
    if there == folder and not folder.is_dir():
        raise ZeroCoderError(f"--out {folder}: a file has that name; name a folder")
    if not (there.is_dir() and os.access(there, os.W_OK | os.X_OK)):
        hint = "" if out is not None else "; say with --out FOLDER where the report goes"
        raise ZeroCoderError(f"{folder} cannot be written: {there} is no folder that you may write to{hint}")
    return folder


if __name__ == "__main__":
    main()
