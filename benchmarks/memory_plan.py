"""The memory plan beside what training really takes: `python benchmarks/memory_plan.py`. See docs/performance.md.

A fresh process trains two steps on made-up sequences of the planned lengths, and the kernel tells the peak of its
resident memory beyond what was resident with the model loaded. On CPUs that is the plan's training phase without the
process and the weights.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import command
from benchmarks.grpo_step import VOCABULARY, policy_folder, random_folder, side
from benchmarks.report import Report
from zerocoder.compose import load
from zerocoder.memory import make_plan
from zerocoder.models import resolve

BEFORE = ("process", "weights")  # resident before the steps


@contextmanager
def model_folder(name: str) -> Iterator[tuple[Path, str]]:
    if name == "nano":
        yield Path(resolve("nano")), "zerocoder-nano"
    elif name == "135m":
        with policy_folder() as found:
            yield found
    else:
        with random_folder(VOCABULARY, hidden=64, layers=2) as folder:
            yield folder, f"2 layers, vocabulary {VOCABULARY:,}"


def planned(folder: Path, tokens: int, width: int, chunk: int) -> float:
    """Bytes of the plan's training phase beyond those that are resident before."""
    prompt = max(1, width // 16)
    config = load(
        [
            "model=huggingface",
            f"model.path='{folder}'",
            f"model.max_prompt_tokens={prompt}",
            f"rollout.max_new_tokens={width - prompt}",
            f"trainer.micro_batch_tokens={tokens}",
            f"trainer.logprob_chunk={chunk}",
            "algorithm.kl_coefficient=0",
            "trainer=cpu",
        ]
    )
    return sum(part.bytes for part in make_plan(config).training if part.name not in BEFORE)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default="nano,135m,vocabulary", help="comma list of nano, 135m, vocabulary")
    parser.add_argument("--tokens", type=int, default=2048, help="tokens of a micro-batch")
    parser.add_argument("--width", type=int, default=256, help="tokens of a sequence")
    parser.add_argument("--chunk", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=1)
    args = parser.parse_args(argv)
    report = Report("memory plan")
    threads = len(os.sched_getaffinity(0))
    for name in args.models.split(","):
        with model_folder(name) as (folder, shown):
            plan = planned(folder, args.tokens, args.width, args.chunk)
            settings = {"tokens": args.tokens, "width": args.width, "chunk": args.chunk, "threads": threads}
            found = [side("whole_ours", model=str(folder), **settings)["peak_bytes"] for _ in range(args.rounds)]
        report.figure(shown, "planned", [plan / 2**20], "MiB")
        report.figure(shown, "measured", [size / 2**20 for size in found], "MiB")
        report.figure(shown, "planned / measured", [plan / size for size in found], "x")
    Console().print(report.table())
    return 0


if __name__ == "__main__":
    command.run(main)
