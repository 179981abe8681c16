"""Out of memory: the part of the step, the setting to change, and nothing else caught."""

from __future__ import annotations

import pytest
import torch

from zerocoder.oom import SETTINGS, out_of_memory
from zerocoder.problems import ZeroCoderError

CPU = torch.device("cpu")


@pytest.mark.parametrize("part", SETTINGS)
def test_a_failed_allocation_names_the_part_and_its_settings(part: str) -> None:
    with (
        pytest.raises(ZeroCoderError, match=f"^out of memory on cpu in the step's {part}: .*=") as error,
        out_of_memory(CPU, part),
    ):
        torch.empty(2**55)
    assert "\n" not in str(error.value)


def test_a_failed_allocation_on_a_gpu_is_told_alike() -> None:
    with pytest.raises(ZeroCoderError, match=r"trainer\.micro_batch_tokens"), out_of_memory(CPU, "reference"):
        raise torch.OutOfMemoryError("CUDA out of memory.")


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="size mismatch|must match"), out_of_memory(CPU, "rollout"):
        torch.zeros(2) + torch.zeros(3)
