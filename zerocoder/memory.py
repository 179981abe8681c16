"""The memory plan: what a run holds on each GPU while it samples and while it trains, from the model's config alone.

Both phases count, and the larger one has to fit (see `memory_fit`). Every part names what decides it. Weights,
gradients and optimizer state are counted by the strategy; activations and logits are traced on the model's own code
(see `tracing`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from zerocoder.config import Config
from zerocoder.models import resolve
from zerocoder.problems import ZeroCoderError
from zerocoder.rollout.vllm import VllmRollout

if TYPE_CHECKING:
    from transformers import PretrainedConfig

    from zerocoder.tracing import Pass, Trace

GIB = 2**30
CUDA_CONTEXT = 1.5 * GIB  # CUDA context, collectives' buffers and what the allocator cannot use; assumed
PROCESS = 0.7 * GIB  # Python with PyTorch, transformers and Lightning loaded; assumed
REDUCE_BUCKET = 200_000_000  # elements, see strategies.deepspeed_config
GATHERED = 1_000_000_000  # parameters that ZeRO-3 holds at once at most, DeepSpeed's stage3_max_live_parameters
DECODING_ROOM = 256  # most tokens by which the transformers engine's cache grows, see rollout/slots.py


class UnknownArchitecture(ZeroCoderError):
    """The model is neither here nor described in its settings, so that nothing can be planned."""


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes that one thing takes on a GPU, or of a process on the CPU."""

    name: str
    bytes: float
    why: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What is held in each phase. `capacity` is bytes of a GPU, or of a process's share of the machine."""

    sampling: tuple[Part, ...]
    training: tuple[Part, ...]
    capacity: float
    place: str  # what has the capacity
    source: str  # where the architecture was read

    @property
    def phases(self) -> dict[str, float]:
        return {"sampling": _sum(self.sampling), "training": _sum(self.training)}

    @property
    def peak(self) -> float:
        return max(self.phases.values())

    @property
    def fits(self) -> bool:
        return self.peak <= self.capacity

    def summary(self) -> str:
        phases = ", ".join(f"{name} {size / GIB:.2f} GiB" for name, size in self.phases.items())
        return f"{phases} of {self.capacity / GIB:.1f} GiB {self.place}"


def make_plan(config: Config) -> Plan:
    """The plan of a run. Raises UnknownArchitecture for a model that is not here and has no model.architecture."""
    architecture, source = read_architecture(config)
    return _Planner(config, architecture, source).plan()


def read_architecture(config: Config) -> tuple[PretrainedConfig, str]:
    """The model's config, and where it was found: its folder, the hub's cache, or the settings."""
    from transformers import AutoConfig

    found = resolve(config.model.path)
    try:
        revision = config.model.revision or "main"
        return AutoConfig.from_pretrained(found, revision=revision, local_files_only=True), "its config.json"
    except (OSError, ValueError, KeyError) as error:
        given = config.model.architecture
        if given is None:
            raise UnknownArchitecture(f"known once {found} is downloaded") from error
        dims = {name: value for name, value in vars(given).items() if value is not None and name != "model_type"}
        return AutoConfig.for_model(given.model_type, **dims), "model.architecture (it is not downloaded yet)"


class _Planner:
    """Adds up the parts of one config."""

    def __init__(self, config: Config, architecture: PretrainedConfig, source: str) -> None:
        self.config, self.architecture, self.source = config, architecture, source
        self.trainer, self.model = config.trainer, config.model
        self.sharding = config.trainer.sharding
        self.cuda, self.capacity, self.place = _capacity(config)
        self.trace = _traced(json.dumps(architecture.to_dict(), sort_keys=True, default=str), self._pass())
        self.weight_bytes = _bytes(self._dtype())

    def plan(self) -> Plan:
        base = [self._process(), *self._weights(), *self._optimizer(), *self._engine_asleep()]
        moments = [self._backward(), self._reference_pass(), self._step()]
        held, sampling = self._reference_kept(), self._sampling()
        training = max(moments, key=_sum)
        return Plan(
            tuple(p for p in [*base, *held, *sampling] if p.bytes),
            tuple(p for p in [*base, *held, *training] if p.bytes),
            self.capacity,
            self.place,
            self.source,
        )

    def _dtype(self) -> str:
        """Number format of the weights that are trained."""
        if self.sharding is not None:  # DeepSpeed converts them
            return "bfloat16" if self.trainer.precision.startswith("bf16") else "float32"
        return {"bf16-true": "bfloat16", "64-true": "float64"}.get(self.trainer.precision, self.model.dtype.value)

    def _pass(self) -> Pass:
        import torch

        from zerocoder.learner import packs
        from zerocoder.tracing import Pass

        tokens, new = self.trainer.micro_batch_tokens, self.config.rollout.max_new_tokens
        width = self.model.max_prompt_tokens + new
        rows = max(1, tokens // width)
        packed = packs(self.trainer, self.model.attention)
        flash = (self.model.attention or "").startswith("flash_attention")
        return Pass(
            rows=1 if packed else rows,
            width=max(tokens, width) if packed else width,
            completion_tokens=rows * new,
            masked=rows > 1 and not flash,
            dtype=getattr(torch, self._dtype()),
            mixed=self.trainer.precision == "bf16-mixed" and self.sharding is None,
            chunk=self.trainer.logprob_chunk,
            attention=self.model.attention,
            checkpointing=self.model.gradient_checkpointing,
            lora=self.model.lora,
        )

    def _process(self) -> Part:
        if self.cuda:
            return Part("CUDA", CUDA_CONTEXT, "context, collectives, fragmentation (assumed)")
        return Part("process", PROCESS, "Python with PyTorch (assumed)")

    def _shares(self, stage: int) -> int:
        """Ranks over which ZeRO of at least `stage` spreads what it shards."""
        return self.trainer.ranks if self.sharding is not None and self.sharding.stage >= stage else 1

    def _weights(self) -> Iterator[Part]:
        count, size = self.trace.parameters, self.weight_bytes
        spread = self._shares(3)
        offloaded = self.sharding is not None and self.sharding.offload_parameters
        why = f"{count / 1e9:.3g} billion in {8 * size} bit" + (f", over {spread} ranks" if spread > 1 else "")
        yield Part("weights", 0 if offloaded else count * size / spread, why)
        if self.sharding is not None and self.sharding.stage == 3:
            yield Part("gathered weights", min(count, GATHERED) * size, "ZeRO-3 puts layers together for their passes")

    def _gradients(self) -> Iterator[Part]:
        count, size = self.trace.trained, self.weight_bytes
        if self.sharding is None:
            buckets = self.trainer.ranks > 1
            why = f"of {count / 1e9:.3g} billion" + (", and DDP's buckets" if buckets else "")
            yield Part("gradients", count * size * (2 if buckets else 1), why)
            return
        wide = 4  # strategies.deepspeed_config adds micro-batches up in 32 bit
        spread = self._shares(2)
        offloaded = self.sharding.offload_optimizer and self.sharding.stage > 1
        why = f"added up in {8 * wide} bit" + (f", over {spread} ranks" if spread > 1 else "")
        yield Part("gradients", 0 if offloaded else count * wide / spread, why)
        yield Part("gradient buckets", 2 * min(count, REDUCE_BUCKET) * size, "on their way to other ranks")

    def _optimizer(self) -> Iterator[Part]:
        count = self.trace.trained
        if self.sharding is None:
            yield Part(
                "optimizer", 2 * count * self.weight_bytes, f"AdamW's two moments in {8 * self.weight_bytes} bit"
            )
            return
        spread, offloaded = self._shares(1), self.sharding.offload_optimizer
        why = "32-bit weights and AdamW's two moments" + (f", over {spread} ranks" if spread > 1 else "")
        yield Part("optimizer", 0 if offloaded else 12 * count / spread, why)

    def _reference_bytes(self) -> float:
        """0 where there is none, or where it is the policy without its adapters."""
        if not self.config.algorithm.kl_coefficient or self.model.lora is not None:
            return 0
        return self.trace.parameters * _bytes(self.model.dtype.value)

    def _reference_kept(self) -> list[Part]:
        away = self.trainer.offload_reference and self.cuda
        why = f"the initial policy, in {8 * _bytes(self.model.dtype.value)} bit"
        return [Part("reference", 0 if away else self._reference_bytes(), why)]

    def _backward(self) -> list[Part]:
        settings = self._pass()
        way = "inputs of layers, one layer anew" if settings.checkpointing else "no gradient checkpointing"
        return [
            *self._gradients(),
            Part("activations", self.trace.backward, f"{settings.rows} x {settings.width} tokens, {way}"),
            Part("logits", self.trace.backward_head, self._head_why()),
        ]

    def _head_why(self) -> str:
        return f"{self.trainer.logprob_chunk} tokens x {self.architecture.vocab_size:,} at a time, the head's gradient"

    def _reference_pass(self) -> list[Part]:
        if not self.config.algorithm.kl_coefficient:
            return []
        settings, away = self._pass(), self.trainer.offload_reference and self.cuda
        return [
            Part("reference on a visit", self._reference_bytes() if away else 0, "trainer.offload_reference"),
            Part("reference pass", self.trace.forward, f"{settings.rows} x {settings.width} tokens, without gradient"),
        ]

    def _step(self) -> list[Part]:
        if self.sharding is None:
            return [*self._gradients()]  # the fused kernel needs nothing of its own
        copies = 0 if self.sharding.offload_optimizer else 4 * self.trace.trained / self._shares(1)
        return [*self._gradients(), Part("optimizer step", copies, "gradients in 32 bit")]

    def _sampling(self) -> list[Part]:
        rollout = self.config.rollout
        if isinstance(rollout, VllmRollout):
            return [] if not rollout.sleep else self._vllm(rollout)
        tokens = self.model.max_prompt_tokens + rollout.max_new_tokens + DECODING_ROOM
        cache_bytes = rollout.batch_size * tokens * self._cache_bytes(self.weight_bytes)
        # Logits and log-probs in 32 bit, candidates in order, and their sum in 64 bit.
        logits = 4 * rollout.batch_size * self.architecture.vocab_size * 4
        packed = self.trace.parameters * 4 if not self.cuda and self.weight_bytes == 4 else 0
        return [
            Part("packed weights", packed, "a copy for decoding, at most"),  # see rollout/packed.py
            Part("KV cache", cache_bytes, f"{rollout.batch_size} answers x {tokens} tokens"),
            Part("sampling", logits, f"{rollout.batch_size} answers x {self.architecture.vocab_size:,}"),
        ]

    def _engine_asleep(self) -> list[Part]:
        """What vLLM holds while the policy trains."""
        rollout = self.config.rollout
        return self._vllm(rollout) if isinstance(rollout, VllmRollout) and not rollout.sleep else []

    def _vllm(self, rollout: VllmRollout) -> list[Part]:
        dtype = rollout.dtype or self.model.dtype
        weights = self.trace.parameters * _bytes(dtype.value) / rollout.tensor_parallel
        if not self.cuda:
            return [
                Part("vLLM weights", weights, f"in {dtype.value}"),
                Part("vLLM KV cache", rollout.kv_cache_gb * GIB, "rollout.kv_cache_gb"),
            ]
        share = rollout.gpu_memory_utilization * self.capacity
        length = rollout.max_model_len or rollout.max_prompt_tokens + rollout.max_new_tokens
        one = length * self._cache_bytes(_bytes(dtype.value)) / rollout.tensor_parallel
        if weights + one > share:
            raise ZeroCoderError(
                f"rollout.gpu_memory_utilization={rollout.gpu_memory_utilization:g} gives vLLM {share / GIB:.1f} GiB; "
                f"its weights take {weights / GIB:.1f} and one answer of {length} tokens {one / GIB:.2f} GiB: raise "
                "it, or rollout.tensor_parallel"
            )
        answers = int((share - weights) // one)
        return [
            Part("vLLM weights", weights, f"in {dtype.value}"),
            Part("vLLM KV cache", share - weights, f"rollout.gpu_memory_utilization; {answers} answers of {length}"),
        ]

    def _cache_bytes(self, size: int) -> float:
        """Of keys and values of one token."""
        a = self.architecture
        head = getattr(a, "head_dim", None) or a.hidden_size // a.num_attention_heads
        return float(
            2 * a.num_hidden_layers * (getattr(a, "num_key_value_heads", 0) or a.num_attention_heads) * head * size
        )


@cache
def _traced(architecture: str, settings: Pass) -> Trace:
    """`architecture` is the JSON of a transformers config."""
    from transformers import AutoConfig

    from zerocoder.tracing import trace

    values = json.loads(architecture)
    return trace(AutoConfig.for_model(values.pop("model_type"), **values), settings)


def _capacity(config: Config) -> tuple[bool, float, str]:
    """Whether a GPU is meant, bytes for one rank, and what has them."""
    import torch

    name = config.trainer.accelerator
    if name in ("gpu", "cuda") or (name == "auto" and torch.cuda.is_available()):
        if torch.cuda.is_available():
            properties = torch.cuda.get_device_properties(0)
            return True, properties.total_memory, f"of {properties.name}"
        return True, config.trainer.gpu_memory_gb * GIB, "of trainer.gpu_memory_gb (there is no GPU here)"
    many = config.trainer.devices
    return False, _machine_bytes() / many, "of this machine" + (f", shared by {many} processes" if many > 1 else "")


def _machine_bytes() -> float:
    """Memory of the machine, or of the container that this is."""
    import os

    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for limit in (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes")):
        if limit.is_file() and (text := limit.read_text().strip()).isdigit():
            total = min(total, int(text))
    return total


def _bytes(dtype: str) -> int:
    return {"bfloat16": 2, "float64": 8}.get(dtype, 4)


def _sum(parts: tuple[Part, ...] | list[Part]) -> float:
    return sum(part.bytes for part in parts)
