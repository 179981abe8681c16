"""What a forward and a backward pass keep in memory, measured without computing anything.

The policy's own code runs on PyTorch's fake tensors, which have shapes and no data, while every tensor that it makes is
counted for as long as it lives. So the figures follow the architecture, the attention, adapters and gradient
checkpointing, and are those of a real pass to the byte. Two models of one and two layers tell about any number.
"""

from __future__ import annotations

import copy
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from zerocoder.config import LoraConfig
from zerocoder.logprobs import head_logprobs
from zerocoder.lora import add_adapters

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel


@dataclass(frozen=True)
class Pass:
    """What passes over one micro-batch are made of."""

    rows: int
    width: int  # tokens of a row
    completion_tokens: int  # of all rows together
    masked: bool  # with an attention mask [rows, width, width], as padding needs one
    dtype: torch.dtype  # of the weights
    mixed: bool  # 16-bit arithmetic over 32-bit weights
    chunk: int  # tokens whose logits exist at once
    attention: str | None = None
    checkpointing: bool = False
    lora: LoraConfig | None = None


@dataclass(frozen=True)
class Trace:
    """Counts of parameters, and the most bytes that are there at once beside weights and gradients."""

    parameters: int  # tied ones once
    trained: int
    backward: int  # of the layers: what the forward pass keeps, and the backward pass on top of it
    backward_head: int  # what the head needs on top of `backward`
    forward: int  # without gradient, head included
    head_bytes: int  # the head's own peak, logits in chunks included


@dataclass(frozen=True)
class _Peaks:
    """Bytes of a model of some depth. Each is a straight line over the depth; the larger of two lines is none."""

    parameters: int
    trained: int
    layers: int  # until the gradient has come down to the embedding: what was kept for each layer is still there
    layers_end: int  # from then on: the embedding's gradient
    policy: int  # the same of layers and head together
    policy_end: int
    forward: int
    head: int

    def at_depth(self, depth: int, deeper: _Peaks) -> _Peaks:
        """Of a model of `depth` layers, given this one with one layer and that with two."""
        ours, theirs = vars(self), vars(deeper)
        return _Peaks(**{name: a + (theirs[name] - a) * (depth - 1) for name, a in ours.items()})


def trace(architecture: PretrainedConfig, settings: Pass) -> Trace:
    """Measure one pass with and one without gradient."""
    one, two = (_peaks(_cut(architecture, n), settings) for n in (1, 2))
    found = one.at_depth(architecture.num_hidden_layers, two)
    layers, policy = max(found.layers, found.layers_end), max(found.policy, found.policy_end)
    return Trace(
        found.parameters,
        found.trained,
        backward=layers,
        backward_head=max(0, policy - layers),
        forward=found.forward,
        head_bytes=found.head,
    )


def _cut(architecture: PretrainedConfig, depth: int) -> PretrainedConfig:
    shallow = copy.deepcopy(architecture)
    shallow.num_hidden_layers = depth
    if getattr(shallow, "layer_types", None):
        shallow.layer_types = shallow.layer_types[-depth:]
    return shallow


def _peaks(architecture: PretrainedConfig, settings: Pass) -> _Peaks:
    policy = _build(architecture, settings)
    with FakeTensorMode():
        _become_fake(policy)
        parameters = list(policy.parameters())
        trained = [p for p in parameters if p.requires_grad]
        for p in trained:  # of the micro-batches before: new gradients are added to them
            p.grad = torch.empty_like(p)
        layers, both = _layers(policy, settings), _policy(policy, settings)
        with torch.no_grad():
            forward = _policy(policy, settings)
        return _Peaks(
            parameters=sum(p.numel() for p in parameters),
            trained=sum(p.numel() for p in trained),
            layers=layers.before,
            layers_end=layers.peak,
            policy=both.before,
            policy_end=both.peak,
            forward=forward.peak,
            head=_head(policy, settings).peak,
        )


def _build(architecture: PretrainedConfig, settings: Pass) -> PreTrainedModel:
    from transformers import AutoModelForCausalLM

    # Without flash-attn installed its memory is that of sdpa without a mask: inputs, outputs and one number a row.
    attention = settings.attention if settings.attention in ("eager", "sdpa") else "sdpa"
    with torch.device("meta"):  # shapes alone, and modules can still be changed
        policy: PreTrainedModel = AutoModelForCausalLM.from_config(
            copy.deepcopy(architecture), dtype=settings.dtype, attn_implementation=attention
        )
        if settings.lora is not None:
            add_adapters(policy, settings.lora)
    if settings.checkpointing:
        policy.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    policy.train()
    for module in policy.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            vars(module)["attention_dropout"] = 0.0
    return policy


def _become_fake(policy: PreTrainedModel) -> None:
    """Tensors that say they were on the CPU, so that the CPU's kernels are chosen, instead of those on "meta"."""
    made: dict[int, Tensor] = {}
    for module in policy.modules():
        stores: tuple[dict[str, Any], ...] = (module._parameters, module._buffers)
        for own in stores:
            for name, tensor in own.items():
                if tensor is not None and id(tensor) not in made:
                    fake = torch.empty(tensor.shape, dtype=tensor.dtype, device="cpu")
                    is_parameter = isinstance(tensor, nn.Parameter)
                    made[id(tensor)] = nn.Parameter(fake, tensor.requires_grad) if is_parameter else fake
                if tensor is not None:
                    own[name] = made[id(tensor)]  # tied ones stay tied


def _layers(policy: PreTrainedModel, settings: Pass) -> _Living:
    """The layers' passes."""
    with _autocast(settings), _Living(policy) as living:
        hidden = _hidden(policy, settings)
        hidden.backward(torch.empty_like(hidden))
    return living


def _head(policy: PreTrainedModel, settings: Pass) -> _Living:
    """The head's passes."""
    head = policy.get_output_embeddings()
    hidden = torch.empty(settings.completion_tokens, head.in_features, dtype=settings.dtype, requires_grad=True)
    with _autocast(settings), _Living(policy) as living:
        out = _logprobs(policy, hidden, settings)
        out.backward(torch.empty_like(out))
    return living


def _policy(policy: PreTrainedModel, settings: Pass) -> _Living:
    """Both together, which is not their sum, nor does one hide the other: a head that shares the embedding's weights
    has its gradient wait for the embedding's, which comes last."""
    with _autocast(settings), _Living(policy) as living:
        hidden = _hidden(policy, settings)
        out = _logprobs(policy, hidden.flatten(0, 1)[torch.arange(settings.completion_tokens)], settings)
        if out.requires_grad:
            out.backward(torch.empty_like(out))
    return living


def _hidden(policy: PreTrainedModel, settings: Pass) -> Tensor:
    rows, width = settings.rows, settings.width
    ids = torch.zeros(rows, width, dtype=torch.long)
    mask = torch.ones(rows, 1, width, width, dtype=torch.bool) if settings.masked else None
    hidden: Tensor = policy.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    return hidden


def _logprobs(policy: PreTrainedModel, hidden: Tensor, settings: Pass) -> Tensor:
    targets = torch.zeros(len(hidden), dtype=torch.long)
    return head_logprobs(policy.get_output_embeddings(), hidden, targets, 0.7, settings.chunk).logprobs


def _autocast(settings: Pass) -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.bfloat16, enabled=settings.mixed)


class _Living(TorchDispatchMode):
    """Counts the bytes of all tensors that come to be within it and still live, but those of `model` itself.

    `before` is the peak until the gradient reaches the embedding, `peak` the one since; without that, all is `peak`.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.bytes = self.peak = self.before = 0
        self._embedding: nn.Module = model.get_input_embeddings()
        own = [*model.parameters(), *model.buffers()]
        own += [p.grad for p in model.parameters() if p.grad is not None]
        self._known = {tensor.untyped_storage()._cdata for tensor in own}

    def __enter__(self) -> _Living:
        self._hook = self._embedding.register_forward_hook(self._watch)
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._hook.remove()

    def _watch(self, module: nn.Module, inputs: Any, output: Tensor) -> None:
        if output.requires_grad:
            output.register_hook(self._reached)

    def _reached(self, gradient: Tensor) -> None:
        self.before, self.peak = self.peak, self.bytes

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return out

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata in self._known:
            return
        self._known.add(storage._cdata)
        self.bytes += storage.nbytes()
        self.peak = max(self.peak, self.bytes)
        weakref.finalize(storage, self._gone, storage._cdata, storage.nbytes())

    def _gone(self, key: int, num_bytes: int) -> None:
        self._known.discard(key)
        self.bytes -= num_bytes
