"""Linear layers for decoding on a CPU: weights laid out for products with few rows.

A decoding step multiplies every weight matrix with one row a sequence. The layout that matrices are stored in serves
such thin products badly; in oneDNN's own, packed once before some hundred steps, they take 0.3 to 0.8 of the time
(docs/performance.md). PyTorch's compiler uses the same two operators; they have no public name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeGuard

import torch
from torch import Tensor, nn

MOST_ROWS = 64
"""With more rows, as in reading the prompts, the plain layout is as fast."""
LEAST_WEIGHTS = 2**18
"""Smaller matrices stay in the processor's cache, and a call of the packed product costs more than it saves."""


def packable(layer: nn.Module) -> TypeGuard[nn.Linear]:
    """Whether a packed copy would make `layer` faster: a large linear layer in 32 bit on a CPU that has oneDNN."""
    return (
        type(layer) is nn.Linear
        and layer.weight.device.type == "cpu"
        and layer.weight.dtype is torch.float32
        and layer.weight.numel() >= LEAST_WEIGHTS
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
    )


@contextmanager
def packed_linears(model: nn.Module) -> Iterator[None]:
    """While it lasts, large linear layers of `model` multiply few rows with packed copies of their weights.

    The copies take as much memory as the weights and are of their present values: for `torch.inference_mode`, not for
    training. Does nothing on a GPU.
    """
    layers = [layer for layer in model.modules() if packable(layer)]
    try:
        for layer in layers:
            vars(layer)["forward"] = _Packed(layer)  # what nn.Module looks up before its method
        yield
    finally:
        for layer in layers:
            vars(layer).pop("forward", None)


class _Packed:
    """The forward pass of one layer."""

    def __init__(self, layer: nn.Linear) -> None:
        self._plain = layer.forward
        self._bias = layer.bias
        self._weight: Tensor = torch.ops.mkldnn._reorder_linear_weight(layer.weight.detach(), MOST_ROWS)

    def __call__(self, hidden: Tensor) -> Tensor:
        if hidden.shape[:-1].numel() > MOST_ROWS:
            return self._plain(hidden)
        out: Tensor = torch.ops.mkldnn._linear_pointwise(hidden, self._weight, self._bias, "none", [], "")
        return out
