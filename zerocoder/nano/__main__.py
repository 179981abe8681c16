"""`python -m zerocoder.nano pretrain` makes zerocoder-nano from nothing; `... measure` says what it can do."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from rich.console import Console

from zerocoder.nano import MODEL_DIR
from zerocoder.problems import ZeroCoderError


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m zerocoder.nano", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("pretrain", help="pre-train; continues where a killed run stopped")
    train.add_argument("--out", type=Path, default=Path("runs/nano-pretrain/model"), help="the folder to write")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--steps", type=int, default=None, help="optimizer steps (default: those of the shipped model)")
    look = commands.add_parser("measure", help="Pass@1, test accuracy, ranks of the passing matrices")
    look.add_argument("--model", type=Path, default=MODEL_DIR)
    look.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args(argv)
    try:
        return pretrain(arguments) if arguments.command == "pretrain" else measure(arguments)
    except ZeroCoderError as mistake:
        print(f"error: {mistake}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the same command continues", file=sys.stderr)
        return 130


def pretrain(arguments: argparse.Namespace) -> int:
    from zerocoder.nano.pretrain import Recipe
    from zerocoder.nano.pretrain import pretrain as run

    recipe = Recipe(seed=arguments.seed)
    if arguments.steps is not None:
        if arguments.steps < len(recipe.phases):
            raise ZeroCoderError(f"--steps must be at least {len(recipe.phases)}, one a phase, got {arguments.steps}")
        recipe = recipe.shortened(arguments.steps)
    if arguments.out.exists():
        raise ZeroCoderError(f"--out {arguments.out} exists already; name a new folder")
    run(recipe, arguments.out, Console(stderr=True))
    return 0


def measure(arguments: argparse.Namespace) -> int:
    from zerocoder.nano.measure import measure as run

    print("\n".join(run(arguments.model, arguments.seed).lines()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
