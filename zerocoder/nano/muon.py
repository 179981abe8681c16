"""Muon (Jordan et al., 2024) in float32: momentum whose matrices are orthogonalised before they are applied.

`torch.optim.Muon` orthogonalises in bfloat16, which CPUs without bfloat16 units emulate some forty times slower.
Matrices of one shape are handled in one batched product.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic Newton-Schulz iteration, from Muon's reference code
_ITERATIONS = 5


def orthogonalize(matrices: Tensor) -> Tensor:
    """The nearest (semi-)orthogonal matrices, roughly: singular values end up around 1. Shape [B, M, N]."""
    a, b, c = _COEFFICIENTS
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    tall = x.shape[1] > x.shape[2]
    x = x.mT if tall else x
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x


class Muon(torch.optim.Optimizer):
    """Muon for matrix parameters, scaled to the update size of AdamW (0.2 * sqrt(longer side))."""

    def __init__(self, params: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Applies one update from the gradients; every parameter must have one."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                by_shape[parameter.shape].append(parameter)
            for shape, parameters in by_shape.items():
                updates = orthogonalize(torch.stack([self._momentum(p, group["momentum"]) for p in parameters]))
                scale = group["lr"] * 0.2 * max(shape) ** 0.5
                for parameter, update in zip(parameters, updates, strict=True):
                    parameter.mul_(1 - group["lr"] * group["weight_decay"]).sub_(update, alpha=scale)

    def _momentum(self, parameter: Tensor, momentum: float) -> Tensor:
        """The Nesterov momentum of a parameter's gradient."""
        gradient = parameter.grad
        assert gradient is not None
        buffer: Tensor = self.state[parameter].setdefault("momentum", torch.zeros_like(parameter))
        buffer.lerp_(gradient, 1 - momentum)
        return gradient.lerp(buffer, momentum)
