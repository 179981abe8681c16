"""A step of the paper's 7B run on 4 to 512 GPUs, worked out on paper: no cluster was at hand.

    python benchmarks/scaling.py                # the tables of docs/scaling.md

Every number starts from something that was measured: the stages of the paper's Table 5 (4 x A100), our verifier's CPU
time for a step of that size (benchmarks/verifier.py), or a data sheet. What is computed from them is a roofline:
decoding reads the weights and the keys and values once a token, training multiplies, collectives move bytes.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

# Qwen2.5-Coder-7B, from its config.json.
PARAMETERS = 7.6e9
LAYERS, KV_HEADS, HEAD_SIZE = 28, 4, 128
BYTES = 2  # bfloat16
KV_BYTES_A_TOKEN = 2 * LAYERS * KV_HEADS * HEAD_SIZE * BYTES

# NVIDIA A100 80 GB SXM and DGX A100, data sheets.
MEMORY_BANDWIDTH = 2.04e12  # bytes/s
PEAK_FLOPS = 312e12  # bfloat16, dense
NVLINK = 300e9  # bytes/s, one direction, of one GPU
NODE_NETWORK = 8 * 25e9  # bytes/s of a node with eight 200 Gbit/s adapters
GPUS_A_NODE = 8

# The paper: section 4 and Table 5.
PAPER_GPUS, PAPER_PROBLEMS, SAMPLES, CALIBRATION_PROBLEMS = 4, 32, 16, 10
PAPER_ROLLOUT, PAPER_TRAINING = 32.1, 52.8  # seconds
PAPER_EXECUTION_AND_MUTATION = 273.0 + 204.7
LONGEST_ANSWER = 2048

# Lengths are not in the paper; they only shift weight between the two efficiencies that are fitted below.
MEAN_PROMPT, MEAN_ANSWER = 500, 600


@dataclass(frozen=True)
class Setting:
    gpus: int
    problems: int  # a step

    @property
    def sequences(self) -> float:
        """Answers that one GPU writes for the step's problems, both roles."""
        return self.problems * SAMPLES / self.gpus

    @property
    def calibration_sequences(self) -> float:
        return CALIBRATION_PROBLEMS * SAMPLES / self.gpus

    @property
    def bandwidth(self) -> float:
        """Bytes/s of one GPU's part in a collective over all: the slower of NVLink and its share of the network."""
        return NVLINK if self.gpus <= GPUS_A_NODE else min(NVLINK, NODE_NETWORK / GPUS_A_NODE)


def decoding_seconds(sequences: float, efficiency: float) -> float:
    """The longest answer decides: a token costs a read of all weights and of what is cached."""
    cached = sequences * (MEAN_PROMPT + MEAN_ANSWER / 2) * KV_BYTES_A_TOKEN
    return LONGEST_ANSWER * (PARAMETERS * BYTES + cached) / MEMORY_BANDWIDTH / efficiency


def training_seconds(setting: Setting, efficiency: float) -> float:
    """One role's answers: 2 flops a parameter and token forward, again recomputed, again the reference's, 4 backward."""
    tokens = setting.problems * SAMPLES / 2 * (MEAN_PROMPT + MEAN_ANSWER)
    return tokens * PARAMETERS * (2 + 2 + 2 + 4) / (setting.gpus * PEAK_FLOPS) / efficiency


def collective_seconds(setting: Setting) -> float:
    """ZeRO-2: gradients are reduce-scattered (32 bit would double it) and weights gathered once a step."""
    share = (setting.gpus - 1) / setting.gpus
    return 2 * PARAMETERS * BYTES * share / setting.bandwidth


def verification_seconds(setting: Setting, core_seconds: float, cores_a_gpu: int) -> float:
    """Programs, tests and mutants of the step, on the cores of the nodes that the GPUs are in."""
    return core_seconds * (setting.problems / PAPER_PROBLEMS) / (setting.gpus * cores_a_gpu)


def rows(settings: list[Setting], core_seconds: float, cores_a_gpu: int) -> list[tuple[str, ...]]:
    paper = Setting(PAPER_GPUS, PAPER_PROBLEMS)
    decoding = decoding_seconds(paper.sequences, 1.0) / PAPER_ROLLOUT
    training = training_seconds(paper, 1.0) / PAPER_TRAINING
    out = []
    for setting in settings:
        # The calibration's answers are drawn in one batch with the step's.
        rollout = decoding_seconds(setting.sequences + setting.calibration_sequences, decoding)
        train = training_seconds(setting, training)
        moved = collective_seconds(setting)
        verified = verification_seconds(setting, core_seconds, cores_a_gpu)
        step = rollout + train + moved
        answers = setting.problems * SAMPLES
        out.append(
            (
                f"{setting.gpus}",
                f"{setting.problems}",
                f"{rollout:.1f}",
                f"{train:.1f}",
                f"{moved:.2f}",
                f"{verified:.2f}",
                f"{step:.1f}",
                f"{answers / step / setting.gpus:.2f}",
            )
        )
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--core-seconds", type=float, default=10.2, help="the verifier's CPU time for the paper's step")
    parser.add_argument("--cores-a-gpu", type=int, default=16, help="CPU cores a GPU; a DGX A100 has 128 for 8")
    parser.add_argument("--gpus", type=int, nargs="+", default=[4, 8, 64, 512])
    args = parser.parse_args()
    console = Console()
    for title, settings in (
        ("32 problems a step (the paper's batch)", [Setting(n, max(PAPER_PROBLEMS, n)) for n in args.gpus]),
        ("8 problems a GPU and step", [Setting(n, 8 * n) for n in args.gpus]),
    ):
        table = Table(title=title)
        for head in (
            "GPUs",
            "problems",
            "rollout s",
            "training s",
            "collectives s",
            "verifier s",
            "step s",
            "answers/s/GPU",
        ):
            table.add_column(head, justify="right")
        for row in rows(settings, args.core_seconds, args.cores_a_gpu):
            table.add_row(*row)
        console.print(table)


if __name__ == "__main__":
    main()
