"""The policy's weights as a plain Hugging Face checkpoint would name and hold them, however the policy is trained.

Whether parameters are sharded over ranks (ZeRO-3) or carry a LoRA adapter, who reads weights sees full, merged
tensors. They come bucket by bucket, so that the whole model is never gathered at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import Module, Parameter

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BUCKET_BYTES = 2**29


@dataclass(frozen=True, slots=True)
class _Weight:
    """One tensor of the checkpoint and what it is made of."""

    name: str
    parameter: Parameter
    adapted: Any = None  # peft's LoraLayer around the parameter

    @property
    def parts(self) -> list[Parameter]:
        return [self.parameter] if self.adapted is None else list(self.adapted.parameters())

    @property
    def num_bytes(self) -> int:
        return sum(_numel(p) * p.element_size() for p in self.parts)

    def tensor(self) -> Tensor:
        weight = self.parameter.detach()
        if self.adapted is None or self.adapted.merged or self.adapted.disable_adapters:
            return weight
        for adapter in self.adapted.active_adapters:
            if adapter in self.adapted.scaling:
                weight = weight + self.adapted.get_delta_weight(adapter).to(weight.dtype)
        return weight


@torch.no_grad()
def policy_weights(policy: PreTrainedModel, bucket_bytes: int = BUCKET_BYTES) -> Iterator[tuple[str, Tensor]]:
    """Names and full tensors of the merged model, each tied tensor once.

    A tensor may share the policy's memory: copy what has to outlast the next update. Under ZeRO-3 all ranks have to
    iterate to the end, for about `bucket_bytes` are gathered from all of them at a time. A LoRA adapter is merged into
    each tensor on the way out and stays as it is.
    """
    for bucket in _buckets(_weights(policy), bucket_bytes):
        with gathered([part for weight in bucket for part in weight.parts]):
            for weight in bucket:
                yield weight.name, weight.tensor()


def gathered(parameters: list[Parameter]) -> AbstractContextManager[None]:
    """The shards put together while the context lasts. Such contexts must not be nested: the inner one's end takes the
    parameters apart again."""
    if not any(_is_shard(p) for p in parameters):
        return nullcontext()
    import deepspeed

    context: AbstractContextManager[None] = deepspeed.zero.GatheredParameters(parameters)
    return context


def is_sharded(policy: Module) -> bool:
    """Whether ranks hold parts of the parameters (ZeRO-3), so that no rank can read them alone."""
    return any(_is_shard(p) for p in policy.parameters())


def _weights(policy: PreTrainedModel) -> Iterator[_Weight]:
    """In the module's order, which keeps the parts of a layer together; `named_parameters` tells tied ones once."""
    layers = {id(layer.get_base_layer().weight): layer for layer in _lora_layers(policy)}
    adapters = {
        id(parameter)
        for layer in layers.values()
        for name, parameter in layer.named_parameters()
        if not name.startswith("base_layer.")
    }
    for name, parameter in policy.named_parameters():
        if id(parameter) not in adapters:
            yield _Weight(name.replace(".base_layer.", "."), parameter, layers.get(id(parameter)))


def _lora_layers(policy: PreTrainedModel) -> list[Any]:
    if "peft" not in sys.modules:  # nobody has made one
        return []
    from peft.tuners.lora import LoraLayer

    return [module for module in policy.modules() if isinstance(module, LoraLayer)]


def _buckets(weights: Iterable[_Weight], bucket_bytes: int) -> Iterator[list[_Weight]]:
    bucket: list[_Weight] = []
    size = 0
    for weight in weights:
        if bucket and size + weight.num_bytes > bucket_bytes:
            yield bucket
            bucket, size = [], 0
        bucket.append(weight)
        size += weight.num_bytes
    if bucket:
        yield bucket


def _is_shard(parameter: Parameter) -> bool:
    return hasattr(parameter, "ds_id")


def _numel(parameter: Parameter) -> int:
    return int(getattr(parameter, "ds_numel", parameter.numel()))
