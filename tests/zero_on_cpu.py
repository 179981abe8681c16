"""One rank of training runs on given experience, as a program: `python zero_on_cpu.py '<list of Jobs as JSON>'`.

Lightning refuses DeepSpeed without a GPU, though DeepSpeed itself runs on CPUs over gloo. `ZeroOnCPU` lifts those checks
and nothing else. RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT say which rank this is.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, cast

import lightning as L
import torch
from lightning.fabric.plugins.environments import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy, Strategy
from scripted import scripted_sampler
from tiny import tiny_policy, tiny_tokenizer
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from callbacks.checkpoints import Checkpoints
from zerocoder import world
from zerocoder.checkpoint_io import StreamedCheckpointIO
from zerocoder.config import AlgorithmConfig, TrainerConfig
from zerocoder.experience import Experience, TrainingSample
from zerocoder.module import ZeroCoderModule
from zerocoder.problems import ZeroCoderError
from zerocoder.runs import STATE, RunFolder
from zerocoder.selection.codet import CodeT
from zerocoder.strategies import ZeroStrategy, build_strategy
from zerocoder.weights import policy_weights

VOCABULARY = 261
SEQUENCES = 8  # a step, over all ranks together
ALGORITHM = AlgorithmConfig(learning_rate=1e-2, kl_coefficient=0.1, max_grad_norm=0.5, weight_decay=0.1)
TEMPERATURE = 0.7  # of tests/scripted.py


@dataclass(frozen=True)
class Job:
    out: str  # folder of what the run leaves behind
    strategy: str = "auto"
    steps: int = 3
    micro_batch_tokens: int = 36
    logprob_chunk: int = 5
    precision: str = "32-true"
    offload_optimizer: bool = False
    checkpointing: bool = False  # of activations
    every: int | None = None  # steps between checkpoints
    resume: str | None = None  # a checkpoint
    bad: str | None = None  # what is wrong on rank 0: its "advantages", its engine's "log-probs", its "gradient"

    def trainer(self) -> TrainerConfig:
        return TrainerConfig(
            accelerator="auto",
            devices=int(os.environ.get("WORLD_SIZE", "1")),
            strategy=self.strategy,
            precision=self.precision,
            offload_optimizer=self.offload_optimizer,
            micro_batch_tokens=self.micro_batch_tokens,
            logprob_chunk=self.logprob_chunk,
            max_logprob_gap=50.0,
        )


class ZeroOnCPU(ZeroStrategy):
    @property
    def root_device(self) -> torch.device:
        return torch.device("cpu", self.local_rank)  # DeepSpeed wants an index

    def setup_environment(self) -> None:
        DDPStrategy.setup_environment(self)

    def setup_distributed(self) -> None:
        self.set_world_ranks()
        self._init_deepspeed_distributed()


class Given(ZeroCoderModule):
    """Learns from experience that is given, instead of sampling it."""

    stats: list[dict[str, float]]
    bad: str | None = None
    reductions = 0  # of DDP's buckets of gradients

    def on_train_start(self) -> None:
        super().on_train_start()
        model = self.trainer.strategy.model
        if isinstance(model, DistributedDataParallel):
            model.register_comm_hook(None, self._reduce)

    def _reduce(self, state, bucket):  # type: ignore[no-untyped-def]  # DDP compares annotations, and knows no strings
        self.reductions += 1
        return allreduce_hook(None, bucket)

    def training_step(self, batch: Any, batch_idx: int) -> None:
        mine = self.world.share(samples(self.global_step))
        if self.bad is not None and self.world.is_main:
            mine = [spoilt(s, self.bad) for s in mine]
            if self.bad == "gradient":
                self.policy.model.norm.weight.register_hook(lambda gradient: gradient * float("nan"))
        self.stats.append(asdict(self.update(Experience(tuple(mine)), self.global_step)))


def spoilt(sample: TrainingSample, how: str) -> TrainingSample:
    if how == "log-probs":
        return replace(sample, rollout_logprobs=tuple(-1e4 for _ in sample.completion))
    return replace(sample, advantage=float("nan")) if how == "advantages" else sample


def samples(step: int) -> list[TrainingSample]:
    """A step's experience: long sequences for even places, short ones for odd ones, as two ranks share them."""
    generator = torch.Generator().manual_seed(step)

    def draw(low: int, high: int, count: int = 1) -> list[int]:
        return torch.randint(low, high, (count,), generator=generator).tolist()

    out = []
    for place in range(SEQUENCES):
        length = draw(12, 30)[0] if place % 2 == 0 else draw(2, 9)[0]
        logprobs = tuple((-10 - 2 * torch.rand(length, generator=generator)).tolist())
        out.append(
            TrainingSample(
                prompt=tuple(draw(5, VOCABULARY, 6)),
                completion=tuple(draw(5, VOCABULARY, length)),
                rollout_logprobs=logprobs,
                advantage=float(torch.randn((), generator=generator)),
                ref_logprobs=torch.tensor(logprobs) + 1,
            )
        )
    return out


def strategy_of(job: Job) -> str | Strategy:
    strategy = build_strategy(job.trainer(), ALGORITHM)
    if not isinstance(strategy, ZeroStrategy):
        return strategy
    import deepspeed

    # gloo, instead of a library for shared memory that DeepSpeed would have to compile
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    return ZeroOnCPU(config=strategy.config)


def run(job: Job, me: world.World) -> None:
    """Leaves checkpoints/ and, of every rank, what it saw: see `Outcome`."""
    policy = tiny_policy()
    if job.checkpointing:
        policy.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    sampler = scripted_sampler({}, {})
    module = Given(policy, None, sampler, cast(Any, None), CodeT(), ALGORITHM, job.trainer())
    module.stats, module.bad = [], job.bad
    trainer = L.Trainer(
        max_steps=job.steps,
        max_epochs=-1,
        accelerator="cpu",
        devices=me.size,
        strategy=strategy_of(job),
        precision=cast(Any, job.precision),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        plugins=[LightningEnvironment(), *([] if job.trainer().sharding else [StreamedCheckpointIO()])],
        callbacks=[Checkpoints(RunFolder(Path(job.out), owned=False), tiny_tokenizer(), job.every, 0)],
    )
    resume = None if job.resume is None else Path(job.resume, STATE)
    refused = None
    try:
        trainer.fit(module, DataLoader(range(1000), batch_size=None), ckpt_path=resume)
    except ZeroCoderError as error:
        refused = str(error)
    initial = dict(tiny_policy().named_parameters())
    changed = [name for name, weight in policy_weights(policy) if not torch.equal(weight, initial[name].to(weight))]
    outcome = Outcome(trainer.global_step, module.stats, refused, bool(changed), module.reductions)
    (Path(job.out) / f"rank{me.rank}.json").write_text(json.dumps(asdict(outcome)))


@dataclass(frozen=True)
class Outcome:
    global_step: int
    stats: list[dict[str, float]]  # of the steps that were done
    refused: str | None
    changed: bool  # the weights are not the initial ones
    reductions: int


if __name__ == "__main__":
    place = {name: int(os.environ.get(name.upper(), "0")) for name in ("rank", "local_rank")}
    size = int(os.environ.get("WORLD_SIZE", "1"))
    me = world.init(world.World(**place, size=size, local_size=size), cuda=False)
    for job in json.loads(sys.argv[1]):
        Path(job["out"]).mkdir(exist_ok=True)
        print(f"rank {me.rank}: {job}", flush=True)
        run(Job(**job), me)
    world.leave()
