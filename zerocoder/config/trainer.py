"""The run: length, hardware, numbers, memory, seed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from zerocoder.config.rules import require, require_one_of

ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")
PRECISIONS = ("32-true", "bf16-mixed", "64-true")
STRATEGY = re.compile(r"auto|ddp|deepspeed_stage_([123])(_offload)?")


class Packing(StrEnum):
    AUTO = "auto"  # what the attention is fastest with
    ON = "on"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Sharding:
    """What DeepSpeed's ZeRO spreads over the ranks (1: optimizer state, 2: gradients too, 3: weights too)."""

    stage: int
    offload_optimizer: bool
    offload_parameters: bool


@dataclass(frozen=True)
class TrainerConfig:
    """The run: length, hardware, seed, checkpoints."""

    max_steps: int = 40
    """RL steps: one batch of rollouts and one optimizer step each."""
    seed: int = 0
    accelerator: str = "auto"
    devices: int = 1
    """Processes (GPUs) on each node."""
    num_nodes: int = 1
    strategy: str = "auto"
    """auto (ddp for several processes), ddp, or deepspeed_stage_1, _2 or _3; with _offload the optimizer's state is
    kept on the CPU, in stage 3 the weights too. See docs/deepspeed.md."""
    offload_optimizer: bool = False
    """Keep the optimizer's state on the CPU and step there: 12 bytes a parameter less on the GPUs. DeepSpeed only."""
    offload_reference: bool = False
    """Keep the reference on the CPU while it is not used."""
    precision: str = "32-true"
    """32-true; bf16-mixed: 16-bit arithmetic on 32-bit weights, with DeepSpeed on 16-bit weights beside those in 32; or
    64-true. Not Lightning's bf16-true, which also rounds the frequencies of rotary positions, and in whose weights the
    small steps of reinforcement learning are lost."""
    micro_batch_tokens: int = 16384
    """Tokens, with padding, of one forward and backward pass; memory, not the result, depends on it."""
    packing: Packing = Packing.AUTO
    """Put the sequences of a micro-batch one after the other in one row, without padding. `auto` does with flash
    attention, which takes their borders as they are; other kernels then need a mask of all tokens by all tokens. With
    sdpa, `auto` computes once what answers to one prompt begin with, where that is less work. `off` does neither."""
    logprob_chunk: int = 512
    """Completion tokens whose logits exist at once: [chunk, vocabulary]."""
    gpu_memory_gb: float = 80.0
    """GiB of one GPU, for the memory plan on a machine that has none; a GPU that is there is asked itself."""
    overlap: bool = True
    """Run tests, mutants and the reference while answers are still written, and draw DyB4's calibration answers in one
    batch with the step's; false does one after the other, with the same rewards."""
    importance_cap: float | None = None
    """Weigh every token by min(policy / engine probability, cap), which corrects for an engine that computes the policy
    a little differently than the trainer does; null does not. 2 is the usual cap. With top_p < 1 or top_k > 0 the
    estimate stays biased by what they cut: take rollout.top_p=1 where that matters more than the paper's settings."""
    max_logprob_gap: float | None = 0.1
    """The run stops when engine and trainer differ by more than so much in the mean log-prob of a step's tokens: the
    engine then has other weights than the trainer. null never stops."""
    deterministic: bool = True
    """Refuse non-deterministic kernels. One seed then makes a CPU run repeat bit for bit."""
    threads: int | None = None
    """CPU threads of torch; null lets torch choose."""
    resume: str | None = None
    """`latest` (this experiment's newest run that has a checkpoint) or a run or checkpoint folder to continue."""
    root: str = "runs"
    """Run folders are made under <root>/<experiment>/."""
    evaluate: bool = True
    """Score the policy on held-out problems before and after training."""
    eval_answers: int = 1
    """Answers a held-out problem and role: 1 is a greedy one. More are drawn as rollouts are: with few problems, less
    depends on those that a greedy answer just misses."""

    def __post_init__(self) -> None:
        counts = ("max_steps", "devices", "num_nodes", "micro_batch_tokens", "logprob_chunk", "eval_answers")
        for key in (*counts, "gpu_memory_gb"):
            require(getattr(self, key) > 0, f"trainer.{key}", "> 0", getattr(self, key))
        for key in ("importance_cap", "max_logprob_gap"):
            value = getattr(self, key)
            require(value is None or value > 0, f"trainer.{key}", "> 0 or null", value)
        require(0 <= self.seed < 2**32, "trainer.seed", "between 0 and 2**32 - 1", self.seed)
        require_one_of(self.accelerator, ACCELERATORS, "trainer.accelerator")
        require_one_of(self.precision, PRECISIONS, "trainer.precision")
        require(self.root != "", "trainer.root", "a folder", repr(self.root))
        known = "auto, ddp, or deepspeed_stage_1, _2 or _3, with or without _offload"
        require(STRATEGY.fullmatch(self.strategy) is not None, "trainer.strategy", known, repr(self.strategy))
        require(self.threads is None or self.threads > 0, "trainer.threads", "> 0 or null", self.threads)

    @property
    def sharding(self) -> Sharding | None:
        """What DeepSpeed shards; None where every rank holds everything."""
        match = STRATEGY.fullmatch(self.strategy)
        assert match is not None
        if match[1] is None:
            return None
        stage, offload = int(match[1]), match[2] is not None
        return Sharding(stage, self.offload_optimizer or offload, offload and stage == 3)

    def checkpoint_bytes(self, of_weight: int) -> int:
        """Bytes that a checkpoint takes for a parameter whose weight takes `of_weight`.

        The weight is in the state and in hf/, Adam's two moments are in the state; DeepSpeed keeps these and a second
        copy of the weight in 32 bit.
        """
        return 4 * of_weight if self.sharding is None else 2 * of_weight + 12

    @property
    def ranks(self) -> int:
        """Processes on all nodes together."""
        return self.devices * self.num_nodes
