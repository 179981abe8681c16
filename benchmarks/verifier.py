"""How fast the verifier is, as ratios to other ways of running the same cells in the same minutes.

    python benchmarks/verifier.py --json figures.json
    python benchmarks/verifier.py --parts load --under-load 50
    python benchmarks/verifier.py --quick                 # does everything run?

benchmarks/README.md says how to read the table. The exit status is 1 when a matrix of the verifier is not the truth;
a missed goal of speed does not change it, as a busy machine misses some.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this checkout, however the script is started

from benchmarks import command, processes, workloads
from benchmarks.parts import PARTS, Settings
from benchmarks.report import Report
from zerocoder.console import say
from zerocoder.execution import VerifierConfig
from zerocoder.files import write_json
from zerocoder.problems import ZeroCoderError

_PIPED_WIDTH = 170  # so that a table in a file stays whole


def main(argv: Sequence[str]) -> int:
    """Runs the chosen parts and prints one table. Returns 1 when a matrix of the verifier is wrong, else 0."""
    options = _parser().parse_args(argv)
    parts = [part.strip() for part in options.parts.split(",")]
    if unknown := [part for part in parts if part not in PARTS]:
        raise ZeroCoderError(f"--parts {unknown[0]}: it must be some of {','.join(PARTS)}")
    settings = _settings(options)
    processes.require_proc()
    report = Report()
    report.facts |= {
        "workers": settings.workers,
        "cpu_seconds": settings.cpu_seconds,
        "cancel_after": settings.cancel_after,
        "isolation": _isolation(settings),
    }
    try:
        for part in parts:
            PARTS[part](settings, report)
    finally:  # an interrupt shows the parts that are complete
        Console(width=None if sys.stdout.isatty() else _PIPED_WIDTH).print(report.table())
    if options.json is not None:
        write_json(options.json, report.as_json())
        say(f"figures in {options.json}")
    return 0 if report.exact else 1


def _settings(options: argparse.Namespace) -> Settings:
    for name in ("workers", "rounds", "under_load"):
        value = getattr(options, name)
        if value is not None and value < 1:
            raise ZeroCoderError(f"--{name.replace('_', '-')} is {value}: it must be at least 1")
    if options.shared is not None:
        workloads.from_file(options.shared)  # a mistake shows now, not after minutes
    settings = Settings(
        workers=options.workers,
        cpu_seconds=options.cpu_seconds,
        cancel_after=options.cancel_after,
        isolation=options.isolation,
        seed=options.seed,
        shared=options.shared,
    )
    if options.quick:
        settings.rounds, settings.copies, settings.load_runs = 1, 1, 1
        settings.peer_cells, settings.sampled_cells, settings.memory_seconds = 16, 4, 0.1
    settings.rounds = options.rounds or settings.rounds
    settings.load_runs = options.under_load or settings.load_runs
    return settings


def _isolation(settings: Settings) -> str:
    """What the workers reach. Raises ZeroCoderError where this host gives less than asked for."""
    with settings.executor() as executor:
        return executor.isolation


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", default=",".join(PARTS), help=f"which to run (default: {','.join(PARTS)})")
    parser.add_argument("--quick", action="store_true", help="a minute to see that all runs; the figures mean little")
    parser.add_argument("--rounds", type=int, help="of everything that is compared (default: 3; quick: 1)")
    parser.add_argument("--under-load", type=int, metavar="N", help="runs of the load part (default: 10; quick: 1)")
    parser.add_argument("--workers", type=int, default=2, help="of the verifier, and cells a peer runs at a time")
    parser.add_argument("--cpu-seconds", type=float, default=0.1, help="the verifier's budget of a cell (default: 0.1)")
    parser.add_argument(
        "--cancel-after",
        type=int,
        default=VerifierConfig.cancel_after,
        help="late tests after which a program is taken for endless (default: %(default)s, as in training)",
    )
    parser.add_argument("--isolation", default="standard", help="the least that is accepted: strict, standard or none")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes all figures, with the values of each round")
    parser.add_argument("--shared", type=Path, metavar="FILE", help="a Python file with a further workload (README.md)")
    parser.add_argument("--seed", type=int, default=0, help="of the random samples")
    return parser


if __name__ == "__main__":
    command.run(main)
