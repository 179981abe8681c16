"""How fast training is and what it needs beside others: `python benchmarks/grpo_step.py`. See docs/performance.md.

Both sides of a ratio do the same work in fresh processes, in turns; the medians are compared. Wall time and CPU
time are both shown: on a machine that others use too, the CPU time is the steadier of the two.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import command
from benchmarks.report import Report
from zerocoder.files import write_json
from zerocoder.models import resolve
from zerocoder.problems import ZeroCoderError

SIDE = Path(__file__).parent / "grpo_side.py"
PARTS = ("step", "peak", "pass")
VOCABULARY = 151_936  # of Qwen2.5


def side(name: str, **settings: Any) -> dict[str, Any]:
    """What a fresh process measured. Raises RuntimeError with what it said when it fails."""
    command = [sys.executable, str(SIDE), name, json.dumps(settings)]
    quiet = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": str(settings["threads"])}
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **quiet})
    if done.returncode:
        raise RuntimeError(f"{name} failed:\n{done.stderr[-3000:]}")
    measured: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return measured


def in_turns(ours: str, theirs: str, rounds: int, **settings: Any) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """(ours, theirs) of each round; who goes first changes."""
    pairs = []
    for n in range(rounds):
        order = (ours, theirs) if n % 2 == 0 else (theirs, ours)
        measured = {name: side(name, **settings) for name in order}
        pairs.append((measured[ours], measured[theirs]))
    return pairs


def compare(report: Report, part: str, what: str, pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    for key, unit in (("seconds", "s"), ("cpu_seconds", "CPU s")):
        for who, index in (("ours", 0), (what, 1)):
            report.figure(part, who, [value for pair in pairs for value in pair[index][key]], unit)


def ratios(pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]], key: str) -> list[float]:
    """theirs / ours, round by round."""
    return [sum(theirs[key]) / sum(ours[key]) for ours, theirs in pairs]


def measure_step(report: Report, rounds: int, threads: int) -> None:
    with policy_folder() as (folder, name):
        pairs = in_turns("grpo_ours", "grpo_trl", rounds, model=str(folder), repetitions=1, threads=threads)
    compare(report, f"GRPO step, {name}", "TRL", pairs)
    report.figure("GRPO step", "TRL / ours", ratios(pairs, "seconds"), "x", at_least=1.5)
    report.figure("GRPO step", "TRL / ours, CPU time", ratios(pairs, "cpu_seconds"), "x", at_least=1.5)


def measure_peak(report: Report, rounds: int, threads: int) -> None:
    with random_folder(VOCABULARY, hidden=64, layers=2) as folder:
        pairs = in_turns("peak_ours", "peak_trl", rounds, model=str(folder), threads=threads)
    for who, index in (("ours", 0), ("TRL", 1)):
        report.figure("peak", f"{who} beyond the weights", [pair[index]["peak_bytes"] / 2**20 for pair in pairs], "MiB")
    shares = [ours["peak_bytes"] / theirs["peak_bytes"] for ours, theirs in pairs]
    report.figure("peak", "ours / TRL", shares, "x", at_most=0.5, note=f"4,096 tokens, vocabulary {VOCABULARY:,}")


def measure_pass(report: Report, rounds: int, threads: int) -> None:
    with policy_folder() as (folder, name):
        pairs = in_turns("pass_ours", "pass_bare", rounds, model=str(folder), tokens=1024, width=256, threads=threads)
    compare(report, f"forward + backward, {name}", "bare transformers", pairs)
    for key, note in (("seconds", ""), ("cpu_seconds", ", CPU time")):
        values = [1 / ratio for ratio in ratios(pairs, key)]
        report.figure("forward + backward", f"ours / bare{note}", values, "x", at_most=1.15)


@contextmanager
def policy_folder() -> Iterator[tuple[Path, str]]:
    """SmolLM2-135M, or where its weights are not installed, its architecture with random weights."""
    try:
        yield Path(resolve("smollm2-135m")), "SmolLM2-135M"
    except ZeroCoderError:
        with random_folder(49_152, hidden=576, layers=30, heads=9, kv_heads=3, intermediate=1536) as folder:
            yield folder, "SmolLM2-135M's architecture"


@contextmanager
def random_folder(
    vocabulary: int, hidden: int, layers: int, heads: int = 4, kv_heads: int = 2, intermediate: int | None = None
) -> Iterator[Path]:
    """A Llama with random weights, and zerocoder-nano's tokenizer."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(resolve("nano"))
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=hidden,
        intermediate_size=intermediate or 2 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=kv_heads,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    with tempfile.TemporaryDirectory() as folder:
        LlamaForCausalLM(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        yield Path(folder)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help=f"comma list of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path, help="write all figures to this file too")
    args = parser.parse_args(argv)
    report = Report("training benchmark")
    for part in args.parts.split(","):
        {"step": measure_step, "peak": measure_peak, "pass": measure_pass}[part](report, args.rounds, args.threads)
    Console().print(report.table())
    if args.json is not None:
        write_json(args.json, report.as_json())
    return 0


if __name__ == "__main__":
    command.run(main)
