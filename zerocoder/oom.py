"""Out of memory, told in one line: in which part of the step, and which setting would have needed less."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from zerocoder.problems import ZeroCoderError

SETTINGS = {
    "rollout": "lower rollout.batch_size (rollout=transformers) or rollout.gpu_memory_utilization (rollout=vllm)",
    "reference": "set trainer.offload_reference=true or lower trainer.micro_batch_tokens",
    "forward and backward pass": (
        "lower trainer.micro_batch_tokens or trainer.logprob_chunk, or set model.gradient_checkpointing=true"
    ),
    "optimizer step": "set trainer.strategy=deepspeed_stage_2, with trainer.offload_optimizer=true if it has to be",
}
"""Part of the step -> what takes less memory there."""


@contextmanager
def out_of_memory(device: torch.device, part: str) -> Iterator[None]:
    """Turns a failed allocation of `part` (a key of `SETTINGS`) into a ZeroCoderError that names its settings."""
    try:
        yield
    except RuntimeError as error:
        if not (isinstance(error, torch.OutOfMemoryError) or "DefaultCPUAllocator: can't allocate" in str(error)):
            raise
        raise ZeroCoderError(
            f"out of memory on {device} in the step's {part}{_held(device)}: {SETTINGS[part]}"
        ) from error


def _held(device: torch.device) -> str:
    """What PyTorch holds there, where it keeps count."""
    if device.type != "cuda":
        return ""
    total = torch.cuda.get_device_properties(device).total_memory
    held = torch.cuda.memory_allocated(device)
    return f" (tensors of PyTorch hold {held / 2**30:.1f} of {total / 2**30:.1f} GiB)"
