"""The reference: the frozen initial policy that the KL term keeps the policy close to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Reference(Protocol):
    """Where the reference's log-probs come from."""

    def model(self, device: torch.device) -> AbstractContextManager[PreTrainedModel]:
        """The initial policy on `device`, while the context lasts."""
        ...


class FrozenCopy:
    """A second model with the initial weights; with `offload` it is on the device only while it is used.

    The weights stay where they are then, since they never change: they are copied to the device, and the copy is
    dropped.
    """

    def __init__(self, model: PreTrainedModel, offload: bool = False) -> None:
        self._model = model.requires_grad_(False)
        self._offload = offload

    @contextmanager
    def model(self, device: torch.device) -> Iterator[PreTrainedModel]:
        home = [(parameter, parameter.data) for parameter in self._model.parameters()]
        try:
            torch.nn.Module.to(self._model, device)
            yield self._model
        finally:
            if self._offload:
                for parameter, data in home:
                    parameter.data = data
                torch.nn.Module.to(self._model, "cpu")  # the buffers, which are small
