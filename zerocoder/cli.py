"""What train.py and evaluate.py share as commands: help, printed configs, and mistakes told in one line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from zerocoder import __version__
from zerocoder.compose import groups_of
from zerocoder.exits import exit_with
from zerocoder.problems import ZeroCoderError


def run(
    main: Callable[[list[str]], int], describe: Callable[[list[str]], str], help_text: Callable[[], str]
) -> NoReturn:
    """Run a command and exit with its status.

    `describe` turns overrides into the resolved config's YAML for `--cfg job`. A ZeroCoderError ends with one line
    and status 2, an interrupt with status 130. Anything else is a bug of ours and keeps its traceback.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")  # the tokenizer's threads do not survive our forks
    if "OMP_WAIT_POLICY" not in os.environ:
        # Torch's threads wait for each other a thousand times a second. GNU OpenMP's spin for milliseconds meanwhile,
        # which on cores that tests or others use, too, keeps those from running that are waited for.
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    exit_with(lambda: dispatch(main, describe, help_text, sys.argv[1:]))


def dispatch(
    main: Callable[[list[str]], int],
    describe: Callable[[list[str]], str],
    help_text: Callable[[], str],
    argv: list[str],
) -> int:
    """What `run` runs: the flags, or `main` with the overrides."""
    if any(a in ("-h", "--help") for a in argv):
        print(help_text())
        return 0
    if "--version" in argv:
        print(f"zerocoder {__version__}")
        return 0
    argv = [part for a in argv for part in (a.split("=", 1) if a.startswith("--cfg=") else [a])]
    if "--cfg" in argv:
        at = argv.index("--cfg")
        if argv[at + 1 : at + 2] != ["job"]:
            raise ZeroCoderError("--cfg takes one word: --cfg job")
        print(describe(argv[:at] + argv[at + 2 :]), end="")
        return 0
    flag = next((a for a in argv if a.startswith("-")), None)
    if flag is not None:
        raise ZeroCoderError(
            f"unknown flag {flag}; settings are written key=value, flags are --help, --cfg job, --version"
        )
    return main(argv)


def usage(doc: str | None, script: str, top: str, conf_dir: Path, examples: Sequence[str]) -> str:
    """The text of --help: what the script's docstring says, the groups of conf/, examples."""
    groups = groups_of(top, conf_dir)
    width = max(map(len, groups))
    return "\n".join(
        [
            f"{(doc or '').strip()}\n\nusage: python {script} [group=option ...] [key=value ...]\n",
            "groups and their options:",
            *(f"  {group:<{width}}  {', '.join(options)}" for group, options in groups.items()),
            "\nflags: --cfg job prints every key with its value; --version; --help",
            "\nexamples:",
            *(f"  python {script} {example}" for example in examples),
        ]
    )
