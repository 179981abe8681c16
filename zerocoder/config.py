"""The typed schema of conf/: what can be set, its type, unit, range and effect.

Importing this file needs no torch, so that every key of a command line is checked before anything heavy is loaded.
`zerocoder.compose` turns YAML files and overrides into a `Config`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from zerocoder.execution.config import VerifierConfig
from zerocoder.problems import ZeroCoderError
from zerocoder.prompts import PromptStyle


def require(condition: bool, key: str, must: str, value: object) -> None:
    """Refuse a value out of range in one line that names the key."""
    if not condition:
        raise ZeroCoderError(f"{key} must be {must}, got {value}")


def require_one_of(value: str, known: tuple[str, ...], key: str) -> None:
    """Refuse a value that is none of the known ones."""
    require(value in known, key, f"one of {', '.join(known)}", value)


class TestUnit(StrEnum):
    """What one column of the passing matrix is (the paper's text leaves it open)."""

    __test__ = False  # not a pytest class

    ANSWER = "answer"  # all asserts of a tester's answer together
    ASSERTION = "assertion"  # each assert on its own; the answer's reward is the mean over its columns


@dataclass(frozen=True)
class AlgorithmConfig:
    """Rewards and the GRPO step (DESIGN: section 3; the paper's sections 3.2 and 4)."""

    learning_rate: float = 1e-6
    """Constant. The paper's value was lost from its text; 1e-6 is what its framework (verl) and its peers use."""
    weight_decay: float = 0.0
    adam_betas: tuple[float, float] = (0.9, 0.999)
    max_grad_norm: float = 1.0
    """Gradients are clipped to this global norm."""
    clip: float = 0.2
    """PPO clip range of the importance ratio."""
    kl_coefficient: float = 0.001
    """Weight of the k3 estimate of KL(policy || initial policy); 0 loads no reference model."""
    format_penalty: float = -1.0
    """Reward of an answer that does not parse. Lost from the paper's text; -1 sets it clearly below a wrong answer."""
    lambda_low: float = 0.1
    """Weight of the mutation term at the first step (lost from the paper's text: validity first)."""
    lambda_high: float = 0.9
    """Weight of the mutation term at the last step (lost from the paper's text: a tenth of validity stays)."""
    max_mutants: int = 16
    """At most so many mutants of a proxy solution are run, a seeded sample of them (the paper saw 13.4 on average)."""
    test_unit: TestUnit = TestUnit.ANSWER
    labelled_rewards: bool = True
    """Train on the labelled calibration problems too, with ground-truth rewards, when a calibration set is kept."""

    def __post_init__(self) -> None:
        require(self.learning_rate >= 0, "algorithm.learning_rate", ">= 0", self.learning_rate)
        require(self.weight_decay >= 0, "algorithm.weight_decay", ">= 0", self.weight_decay)
        require(
            len(self.adam_betas) == 2 and all(0 <= b < 1 for b in self.adam_betas),
            "algorithm.adam_betas",
            "two numbers in [0, 1)",
            self.adam_betas,
        )
        require(self.max_grad_norm > 0, "algorithm.max_grad_norm", "> 0", self.max_grad_norm)
        require(0 < self.clip < 1, "algorithm.clip", "between 0 and 1", self.clip)
        require(self.kl_coefficient >= 0, "algorithm.kl_coefficient", ">= 0", self.kl_coefficient)
        require(self.format_penalty <= 0, "algorithm.format_penalty", "<= 0", self.format_penalty)
        for key in ("lambda_low", "lambda_high"):
            require(0 <= getattr(self, key) <= 1, f"algorithm.{key}", "between 0 and 1", getattr(self, key))
        require(self.max_mutants >= 0, "algorithm.max_mutants", ">= 0", self.max_mutants)


class DType(StrEnum):
    FLOAT32 = "float32"
    BFLOAT16 = "bfloat16"


@dataclass(frozen=True)
class ModelConfig:
    """The policy's initial weights and how it is spoken to."""

    path: str = "nano"
    """`nano`, `smollm2-135m`, a Hugging Face folder, or a hub id."""
    revision: str | None = None
    """A hub revision (branch, tag or commit)."""
    prompt_style: PromptStyle = PromptStyle.STANDARD
    dtype: DType = DType.FLOAT32
    max_prompt_tokens: int = 1024
    """Problems with longer prompts are dropped and counted."""
    max_completion_tokens: int = 1024
    """The longest answer the model is given room for; conf/rollout/*.yaml take it as their max_new_tokens."""
    gradient_checkpointing: bool = False

    def __post_init__(self) -> None:
        require(self.path != "", "model.path", "a folder, a hub id, nano or smollm2-135m", repr(self.path))
        for key in ("max_prompt_tokens", "max_completion_tokens"):
            require(getattr(self, key) > 0, f"model.{key}", "> 0", getattr(self, key))


@dataclass(frozen=True)
class DataConfig:
    """Problems, their splits, the labelled calibration set and the rank pre-filter."""

    source: Any = None
    """The data set: a node with `_target_`, see zerocoder/datasets/."""
    batch_size: int = 8
    """Problems a step, over all ranks together."""
    calibration: int = 10
    """L, the number of labelled problems kept for DyB4 and labelled rewards (0: fully label-free)."""
    tau: int = 2
    """Problems whose passing matrix has a lower rank are dropped before training; 0 keeps all."""
    limit: int | None = None
    """Use only so many training problems (a seeded sample)."""
    heldout_limit: int | None = None
    """Evaluate on only so many held-out problems (a seeded sample)."""
    cache: str | None = None
    """Folder of the pre-filter's cache; null is the user's cache folder."""

    def __post_init__(self) -> None:
        require(self.batch_size > 0, "data.batch_size", "> 0", self.batch_size)
        require(self.calibration >= 0, "data.calibration", ">= 0", self.calibration)
        require(self.tau >= 0, "data.tau", ">= 0", self.tau)
        for key in ("limit", "heldout_limit"):
            value = getattr(self, key)
            require(value is None or value > 0, f"data.{key}", "> 0 or null", value)


ACCELERATORS = ("auto", "cpu", "gpu", "cuda", "mps")
PRECISIONS = ("32-true", "bf16-mixed", "64-true")
STRATEGY = re.compile(r"auto|ddp|deepspeed_stage_([123])(_offload)?")


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
    """Tokens (with padding) of one forward and backward pass; memory, not the result, depends on it."""
    logprob_chunk: int = 1024
    """Completion tokens whose logits exist at once: [chunk, vocabulary]."""
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
    """`latest` (newest run of this experiment) or a run or checkpoint folder to continue."""
    root: str = "runs"
    """Run folders are made under <root>/<experiment>/."""
    evaluate: bool = True
    """Score the policy on held-out problems before and after training."""

    def __post_init__(self) -> None:
        for key in ("max_steps", "devices", "num_nodes", "micro_batch_tokens", "logprob_chunk"):
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


@dataclass(frozen=True)
class CheckpointsConfig:
    every: int = 10
    """Steps between checkpoints; the last step always has one."""
    keep: int = 2
    """The newest checkpoints kept; 0 keeps all."""

    def __post_init__(self) -> None:
        require(self.every > 0, "callbacks.checkpoints.every", "> 0", self.every)
        require(self.keep >= 0, "callbacks.checkpoints.keep", ">= 0", self.keep)


@dataclass(frozen=True)
class SamplesConfig:
    every: int = 5
    """Steps between logged samples."""
    problems: int = 2
    """Problems of the batch that are logged."""

    def __post_init__(self) -> None:
        require(self.every > 0, "callbacks.samples.every", "> 0", self.every)
        require(self.problems > 0, "callbacks.samples.problems", "> 0", self.problems)


@dataclass(frozen=True)
class RecalibrationConfig:
    every: int = 1
    """Steps between DyB4's recalibrations (the paper: before each step)."""

    def __post_init__(self) -> None:
        require(self.every > 0, "callbacks.recalibration.every", "> 0", self.every)


@dataclass(frozen=True)
class SelectionNoiseConfig:
    every: int = 20
    """Steps between measurements."""
    problems: int = 32
    """Labelled training problems, a fixed seeded sample, whose labels are read for this measurement only."""

    def __post_init__(self) -> None:
        require(self.every > 0, "callbacks.selection_noise.every", "> 0", self.every)
        require(self.problems > 0, "callbacks.selection_noise.problems", "> 0", self.problems)


@dataclass(frozen=True)
class CallbacksConfig:
    """Which of callbacks/ run and how; null switches one off where the algorithm can do without it."""

    checkpoints: CheckpointsConfig | None = field(default_factory=CheckpointsConfig)
    samples: SamplesConfig | None = field(default_factory=SamplesConfig)
    recalibration: RecalibrationConfig = field(default_factory=RecalibrationConfig)
    selection_noise: SelectionNoiseConfig | None = field(default_factory=SelectionNoiseConfig)
    progress: bool = True
    extra: list[dict[str, Any]] = field(default_factory=list)
    """Further Lightning callbacks, each a node with `_target_` (the class) and its arguments."""

    def __post_init__(self) -> None:
        for i, node in enumerate(self.extra):
            require("_target_" in node, f"callbacks.extra[{i}]", "a node with _target_, the callback's class", node)


@dataclass(frozen=True)
class Config:
    """A whole run. `selector`, `rollout`, `verifier`, `data.source` are built from the class that `_target_` names."""

    experiment: str = "default"
    """Names the folder of the runs."""
    dry_run: bool = False
    """Check everything (model, data, devices, disk, extras), train nothing."""
    algorithm: AlgorithmConfig = field(default_factory=AlgorithmConfig)
    selector: Any = None
    model: ModelConfig = field(default_factory=ModelConfig)
    data: DataConfig = field(default_factory=DataConfig)
    rollout: Any = None
    verifier: Any = field(default_factory=VerifierConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    callbacks: CallbacksConfig = field(default_factory=CallbacksConfig)

    def __post_init__(self) -> None:
        named = re.fullmatch(r"[\w.-]*\w[\w.-]*", self.experiment)
        require(named is not None, "experiment", "a name of letters, digits, '.', '_' and '-'", repr(self.experiment))
        _deepspeed_needs_a_gpu(self.trainer)
        _limit_holds_a_batch(self.data)
        _batch_divides_over_ranks(self.data.batch_size, self.trainer)
        _dyb4_needs_labels(self)


def _deepspeed_needs_a_gpu(trainer: TrainerConfig) -> None:
    if trainer.sharding is None:
        if trainer.offload_optimizer:
            raise ZeroCoderError(
                f"trainer.offload_optimizer needs DeepSpeed, trainer.strategy is {trainer.strategy}: "
                "set trainer.strategy=deepspeed_stage_2, or trainer.offload_optimizer=false"
            )
        return
    if trainer.accelerator in ("cpu", "mps"):
        raise ZeroCoderError(
            f"trainer.strategy={trainer.strategy} needs GPUs: set trainer.accelerator=gpu, or trainer.strategy=auto"
        )
    if trainer.precision == "64-true":
        raise ZeroCoderError(
            f"trainer.strategy={trainer.strategy} computes in 32 or 16 bit: set trainer.precision=bf16-mixed"
        )


def _limit_holds_a_batch(data: DataConfig) -> None:
    if data.limit is not None and data.limit < data.batch_size:
        raise ZeroCoderError(
            f"data.batch_size={data.batch_size} is larger than data.limit={data.limit}; lower it or raise data.limit"
        )


def _batch_divides_over_ranks(batch_size: int, trainer: TrainerConfig) -> None:
    ranks = trainer.devices * trainer.num_nodes
    if batch_size % ranks:
        below = batch_size // ranks * ranks
        nearest = f"{below} or {below + ranks}" if below else f"{ranks}"
        raise ZeroCoderError(
            f"data.batch_size={batch_size} cannot be shared out evenly over {ranks} ranks (trainer.devices="
            f"{trainer.devices} x trainer.num_nodes={trainer.num_nodes}): set data.batch_size={nearest}"
        )


def _dyb4_needs_labels(config: Config) -> None:
    if getattr(config.selector, "needs_labels", False) and not config.data.calibration:
        raise ZeroCoderError(
            f"selector={config.selector.name} chooses its priors on labelled problems, and data.calibration is 0: "
            "set data.calibration=10, or take selector=b4, codet or maxpass, which need no labels"
        )


@dataclass(frozen=True)
class EvaluationConfig:
    """What evaluate.py measures: one model, or several side by side, on benchmarks."""

    model: ModelConfig = field(default_factory=ModelConfig)
    benchmarks: list[str] = field(default_factory=lambda: ["builtin"])
    """Names of benchmarks; one name needs no brackets."""
    compare: list[str] = field(default_factory=list)
    """Further models (as model.path takes them) for columns of their own."""
    output: str | None = None
    """Folder of the tables and the per-item results; null is runs/evaluate/<date-time>."""
    limit: int | None = None
    """Use only so many problems of each benchmark (a seeded sample)."""
    seed: int = 0
    accelerator: str = "auto"
    threads: int | None = None
    """CPU threads of torch; null lets torch choose."""
    max_mutants: int = 16
    """At most so many mutants of a reference solution judge a test, a seeded sample of them."""
    rollout: Any = None
    verifier: Any = field(default_factory=VerifierConfig)

    def __post_init__(self) -> None:
        require(len(self.benchmarks) > 0, "benchmarks", "at least one name", self.benchmarks)
        require(self.limit is None or self.limit > 0, "limit", "> 0 or null", self.limit)
        require(0 <= self.seed < 2**32, "seed", "between 0 and 2**32 - 1", self.seed)
        require_one_of(self.accelerator, ACCELERATORS, "accelerator")
        require(self.threads is None or self.threads > 0, "threads", "> 0 or null", self.threads)
        require(self.max_mutants > 0, "max_mutants", "> 0", self.max_mutants)
