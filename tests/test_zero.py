"""DDP and DeepSpeed's ZeRO in two processes on the CPU: the weights of plain PyTorch on the whole batch."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from tiny import tiny_policy
from transformers import AutoModelForCausalLM
from zero_on_cpu import ALGORITHM, TEMPERATURE, Job, Outcome, run, samples

from zerocoder.experience import batch_plan
from zerocoder.runs import Layout, complete
from zerocoder.world import World

ROOT = Path(__file__).parents[1]
DEEPSPEED = importlib.util.find_spec("deepspeed") is not None
ZERO = [f"deepspeed_stage_{stage}" for stage in (1, 2, 3)]
STRATEGIES = ["ddp", *(ZERO if DEEPSPEED else [])]
missing = pytest.mark.skipif(not DEEPSPEED, reason="DeepSpeed is not installed")
each_strategy = pytest.mark.parametrize("strategy", ["ddp", *(pytest.param(name, marks=missing) for name in ZERO)])


def launch(jobs: Sequence[Job], ranks: int = 2) -> None:
    """Run `jobs` one after the other in `ranks` processes, each of which runs all of them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    common = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    common["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    command = [sys.executable, str(ROOT / "tests" / "zero_on_cpu.py"), json.dumps([asdict(job) for job in jobs])]
    logs = [Path(jobs[0].out).parent / f"log{rank}.txt" for rank in range(ranks)]
    running = []
    for rank, log in enumerate(logs):
        place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks)}
        with log.open("w") as out:
            running.append(
                subprocess.Popen(command, cwd=ROOT, env={**common, **place}, stdout=out, stderr=subprocess.STDOUT)
            )
    try:
        codes = [process.wait(timeout=240) for process in running]
    finally:
        for process in running:
            process.kill()
    assert codes == [0] * ranks, "\n".join(log.read_text()[-4000:] for log in logs)


def outcome(job: Job) -> Outcome:
    """What the ranks of a job saw, which has to be the same."""
    ranks = [Outcome(**json.loads(file.read_text())) for file in sorted(Path(job.out).glob("rank*.json"))]
    assert len(ranks) > 1 and all(rank == ranks[0] for rank in ranks)
    return ranks[0]


class Step(NamedTuple):
    """What a step left behind: the weights, and the gradient's norm before clipping."""

    weights: dict[str, torch.Tensor]
    norm: float


def plain_adamw(steps: int) -> list[Step]:
    """The steps of PyTorch's AdamW on all sequences, one by one."""
    policy = tiny_policy()
    optimizer = torch.optim.AdamW(
        policy.parameters(), lr=ALGORITHM.learning_rate, betas=ALGORITHM.adam_betas, weight_decay=ALGORITHM.weight_decay
    )
    out = []
    for step in range(steps):
        batch = samples(step)
        tokens = sum(len(s.completion) for s in batch)
        for s in batch:
            ids = torch.tensor([s.prompt + s.completion])
            logits = policy(input_ids=ids).logits[0, len(s.prompt) - 1 : -1] / TEMPERATURE
            logprobs = logits.log_softmax(-1)[range(len(s.completion)), list(s.completion)]
            delta = s.ref_logprobs - logprobs
            # Each rollout is used once: the ratio is 1, and its gradient is that of the log-prob.
            loss = (-s.advantage * logprobs + ALGORITHM.kl_coefficient * (delta.exp() - delta - 1)).sum()
            (loss / tokens).backward()
        norm = float(torch.nn.utils.clip_grad_norm_(policy.parameters(), ALGORITHM.max_grad_norm))
        assert norm > 2 * ALGORITHM.max_grad_norm  # clipping is active
        optimizer.step()
        optimizer.zero_grad()
        out.append(Step({name: p.detach().clone() for name, p in policy.named_parameters()}, norm))
    return out


@pytest.fixture(scope="module")
def expected() -> list[Step]:
    return plain_adamw(3)


def hf(job: Job, step: int) -> Path:
    return Path(job.out, "checkpoints", f"step_{step:06}", "hf")


def load(found: Path) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = AutoModelForCausalLM.from_pretrained(found).state_dict()
    return weights


def error(found: Path, wanted: Step) -> float:
    """How far a model folder's weights are from the wanted ones, as a share of what training changed."""
    weights = load(found)
    start = tiny_policy().state_dict()
    off = sum((weights[name] - w).square().sum().item() for name, w in wanted.weights.items())
    changed = sum((start[name] - w).square().sum().item() for name, w in wanted.weights.items())
    return math.sqrt(off / changed)


class Trained(NamedTuple):
    """A run, and the same continued from its second step."""

    whole: Job
    resumed: Job


class Jobs(NamedTuple):
    trained: dict[str, Trained]
    refused: dict[tuple[str, str], Job]  # by strategy and what is wrong
    halved: dict[int, Job]  # ZeRO in 16 bit, by stage


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Jobs:
    """Starting two processes takes longer than all of their training, so that one pair does it all."""
    folder, jobs = tmp_path_factory.mktemp("ranks"), Jobs({}, {}, {})
    for strategy in STRATEGIES:
        whole = Job(str(folder / strategy), strategy, every=2, checkpointing=strategy.endswith("3"))
        resumed = replace(whole, out=f"{whole.out}_resumed", resume=str(hf(whole, 2).parent))
        jobs.trained[strategy] = Trained(whole, resumed)
    for strategy, bad in [("ddp", "advantages"), ("ddp", "log-probs"), *((s, "gradient") for s in STRATEGIES)]:
        jobs.refused[strategy, bad] = Job(str(folder / f"{strategy}_{bad}"), strategy, bad=bad)
    for stage in (1, 2, 3) if DEEPSPEED else ():
        strategy = f"deepspeed_stage_{stage}"
        jobs.halved[stage] = Job(str(folder / f"{strategy}_bf16"), strategy, precision="bf16-mixed")
    trained = [job for run in jobs.trained.values() for job in run]
    launch([*trained, *jobs.refused.values(), *jobs.halved.values()])
    return jobs


@each_strategy
def test_two_ranks_train_as_plain_pytorch_on_the_whole_batch(strategy: str, jobs: Jobs, expected: list[Step]) -> None:
    job = jobs.trained[strategy].whole
    seen = outcome(job)
    assert seen.global_step == 3 and seen.refused is None
    # Adam's step is the same for a gradient and for twice the gradient: the norms tell them apart.
    assert [s["grad_norm"] for s in seen.stats] == pytest.approx([step.norm for step in expected], rel=1e-4)
    for step in (2, 3):
        assert error(hf(job, step), expected[step - 1]) < 1e-4


def test_ddp_reduces_gradients_once_a_step(jobs: Jobs) -> None:
    assert outcome(jobs.trained["ddp"].whole).reductions == 3


def test_what_two_ranks_wrote_one_continues(jobs: Jobs, tmp_path: Path, expected: list[Step]) -> None:
    whole = jobs.trained["ddp"].whole
    alone = replace(whole, out=str(tmp_path), strategy="auto", resume=str(hf(whole, 2).parent))
    run(alone, World())
    assert error(hf(alone, 3), expected[2]) < 1e-4


@pytest.mark.slow  # DeepSpeed compiles its optimizer for the CPU first
@missing
def test_an_offloaded_optimizer_takes_the_same_steps(tmp_path: Path, expected: list[Step]) -> None:
    offloaded = [
        Job(str(tmp_path / "stage2"), "deepspeed_stage_2", offload_optimizer=True, every=2),
        Job(str(tmp_path / "stage3"), "deepspeed_stage_3_offload", every=2),
    ]
    resumed = [replace(job, out=f"{job.out}_resumed", resume=str(hf(job, 2).parent)) for job in offloaded]
    launch([*offloaded, *resumed])
    for job in (*offloaded, *resumed):
        assert error(hf(job, 3), expected[2]) < 1e-4


@missing
@pytest.mark.parametrize("stage", [1, 2, 3])
def test_in_16_bit_the_steps_are_nearly_the_same(stage: int, jobs: Jobs, expected: list[Step]) -> None:
    seen = outcome(jobs.halved[stage])
    assert [s["grad_norm"] for s in seen.stats] == pytest.approx([step.norm for step in expected], rel=0.15)
    assert next(iter(load(hf(jobs.halved[stage], 3)).values())).dtype is torch.bfloat16
    assert 1e-4 < error(hf(jobs.halved[stage], 3), expected[2]) < 0.3


def test_the_ranks_had_different_numbers_of_micro_batches() -> None:
    world = [World(rank, 2) for rank in range(2)]
    limit = Job("").micro_batch_tokens
    counts = {len(batch_plan([s.length for s in w.share(samples(0))], limit)) for w in world}
    assert len(counts) == 2 and min(counts) > 1


@each_strategy
def test_a_resumed_run_repeats_the_unbroken_one(strategy: str, jobs: Jobs) -> None:
    whole, resumed = jobs.trained[strategy]
    assert outcome(resumed).stats == outcome(whole).stats[2:] and outcome(resumed).global_step == 3
    files = [(hf(job, 3) / "model.safetensors").read_bytes() for job in (whole, resumed)]
    assert files[0] == files[1]


@each_strategy
def test_checkpoints_are_complete_only_with_every_part(strategy: str, jobs: Jobs, tmp_path: Path) -> None:
    source = hf(jobs.trained[strategy].whole, 3).parent
    assert complete(source)
    assert Layout.read(source) == Layout(strategy, 2)
    parts = [f.relative_to(source) for f in source.rglob("*") if f.suffix in (".pt", ".ckpt") and f.is_file()]
    assert len(parts) == {"ddp": 1, "deepspeed_stage_3": 4}.get(strategy, 3)
    for part in parts:
        copy = tmp_path / f"{part.name}_cut" / source.name
        shutil.copytree(source, copy)
        (copy / part).write_bytes((source / part).read_bytes()[:-100])
        assert not complete(copy)
        (copy / part).unlink()
        assert not complete(copy) or "model_states" in part.name  # DeepSpeed's loader counts these


@pytest.mark.parametrize(
    ("strategy", "bad", "message"),
    [
        ("ddp", "advantages", r"^step 0: loss nan is not finite; the weights were not changed"),
        ("ddp", "log-probs", r"^step 0: the rollout engine's log-probs are \S+ away"),
        ("ddp", "gradient", r"^step 0: gradient nan is not finite; the weights were not"),
        *(
            pytest.param(name, "gradient", r"^step 0: gradient inf is not finite; the weights were not", marks=missing)
            for name in ZERO
        ),
    ],
)
def test_what_is_wrong_on_one_rank_stops_all_before_the_weights_change(
    strategy: str, bad: str, message: str, jobs: Jobs
) -> None:
    seen = outcome(jobs.refused[strategy, bad])
    assert seen.refused is not None and re.match(message, seen.refused)
    assert not seen.changed and not seen.stats
