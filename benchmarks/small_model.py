"""What a training step of a small model costs now and before: `python benchmarks/small_model.py --before CHECKOUT`.

CHECKOUT is the folder of another revision (`git worktree add ../before REVISION`). Both sides do the same work, each
with its own code, in fresh processes and in turns: answers of both roles to some problems, then the reference and the
forward and backward passes for either role's answers. On a machine that others use too, CPU time is the steadier one.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import command
from benchmarks.report import Report
from zerocoder.files import write_json

ROOT = Path(__file__).resolve().parents[1]
SIDE = Path(__file__).with_name("small_side.py")


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, required=True, help="folder of the revision to compare with")
    parser.add_argument("--model", default="nano")
    parser.add_argument("--problems", type=int, default=18, help="answered by both roles, 8 answers each")
    parser.add_argument("--tokens", type=int, default=96, help="at most, of an answer")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write all figures to this file too")
    args = parser.parse_args(argv)
    report = Report(f"a step of {args.model}, {args.threads} threads")
    checkouts = {"now": ROOT, "before": args.before.resolve()}
    rounds = []
    for n in range(args.rounds):
        order = list(checkouts)[:: 1 if n % 2 == 0 else -1]
        rounds.append({name: side(checkouts[name], args) for name in order})
    summarise(rounds, report)
    Console().print(report.table())
    if args.json is not None:
        write_json(args.json, report.as_json())
    return 0


def side(checkout: Path, args: argparse.Namespace) -> dict[str, Any]:
    """What a fresh process measured of the code in `checkout`."""
    settings = {name: getattr(args, name) for name in ("model", "problems", "tokens", "threads")}
    quiet = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(args.threads)}
    done = subprocess.run(
        [sys.executable, str(SIDE), str(checkout), json.dumps(settings)],
        capture_output=True,
        text=True,
        env={**os.environ, **quiet},
    )
    if done.returncode:
        raise RuntimeError(f"{checkout} failed:\n{done.stderr[-3000:]}")
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def summarise(rounds: Sequence[dict[str, dict[str, Any]]], report: Report) -> None:
    for part in rounds[0]["now"]["seconds"]:
        for name in ("now", "before"):
            report.figure(part, name, [r[name]["cpu_seconds"][part] for r in rounds], "CPU s")
        for key, what in (("cpu_seconds", "CPU time"), ("seconds", "by the clock")):
            ratios = [r["before"][key][part] / r["now"][key][part] for r in rounds]
            report.figure(part, f"before / now, {what}", ratios, "x")
    now, before = ([tuple(a) for row in rounds[0][name]["answers"] for a in row] for name in ("now", "before"))
    equal = sum(a == b for a, b in zip(now, before, strict=True))
    report.facts["equal answers"] = f"{equal} of {len(now)}, {sum(map(len, now))} tokens"


if __name__ == "__main__":
    command.run(main)
