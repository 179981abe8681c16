"""What processes do for decoding on a CPU, against threads: `python benchmarks/decoding.py` or `... --model MODEL`.

The same answers of both roles to some problems, in turns: by one process with one of torch's threads, by one with one
thread for each core, and by one process for each core (`rollout.processes`).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as train.py has it

from benchmarks import command
from benchmarks.report import Report
from zerocoder.compose import for_model, load
from zerocoder.datasets.builtin import Builtin
from zerocoder.files import write_json
from zerocoder.models import load_policy, load_tokenizer
from zerocoder.rollout.sampler import Sampler
from zerocoder.rollout.transformers import TransformersRollout


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--problems", type=int, default=18, help="answered by both roles, 8 answers each")
    parser.add_argument("--tokens", type=int, default=96, help="at most, of an answer")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, help="write all figures to this file too")
    args = parser.parse_args(argv)
    report = measure(args)
    Console().print(report.table())
    if args.json is not None:
        write_json(args.json, report.as_json())
    return 0


def measure(args: argparse.Namespace) -> Report:
    config = load(for_model(args.model))
    tokenizer, policy = load_tokenizer(config.model), load_policy(config.model)
    problems = Builtin().train()[: args.problems]
    sides = {"one thread": (1, 1), f"{args.cores} threads": (args.cores, 1), f"{args.cores} processes": (1, args.cores)}
    samplers = {}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    answers: dict[str, set[tuple[int, ...]]] = {name: set() for name in sides}
    try:
        for name, (_, processes) in sides.items():
            rollout = TransformersRollout(
                temperature=1.0, top_p=1.0, max_new_tokens=args.tokens, batch_size=512, processes=processes
            )
            engine = rollout.start(policy, tokenizer)
            samplers[name] = Sampler(engine, tokenizer, rollout, config.model.prompt_style, seed=0)
            samplers[name].sample(problems, ("warm-up",))
        for turn in range(args.rounds):
            for name in list(sides)[:: 1 if turn % 2 == 0 else -1]:
                torch.set_num_threads(sides[name][0])
                start = time.perf_counter()
                groups = samplers[name].sample(problems, ("round", turn))
                seconds[name].append(time.perf_counter() - start)
                answers[name] |= {r.completion.token_ids for g in groups for r in (*g.solutions, *g.tests)}
    finally:
        for sampler in samplers.values():
            sampler.engine.close()
    report = Report(f"decoding with {args.model}, {args.problems} problems x 16 answers")
    single, *others = sides
    for name, values in seconds.items():
        report.figure("rollout", name, values, "s")
    for name in others:
        ratios = [alone / value for alone, value in zip(seconds[single], seconds[name], strict=True)]
        report.figure("rollout", f"{single} / {name}", ratios, "x")
        report.facts[f"different answers, {single} and {name}"] = len(answers[single] ^ answers[name])
    return report


if __name__ == "__main__":
    command.run(main)
