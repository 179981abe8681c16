"""Low-rank adapters, by peft: put into the policy in place, so that it stays the transformers model all else works on.

Only the adapters train. The model without them is the initial policy, which is what the KL term needs, and a sum of
both is a plain model again, which is what checkpoints and engines need.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from zerocoder.config import LoraConfig
from zerocoder.problems import ZeroCoderError
from zerocoder.weights import gathered

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_NAME = "default"  # peft's own name for the only adapter
_SAVED_PREFIX = "base_model.model."  # of every weight in an adapter's file, as `PeftModel.from_pretrained` reads it


def require_peft() -> None:
    """Raises ZeroCoderError with the command to type when peft is not installed."""
    try:
        import peft  # noqa: F401
    except ImportError as error:
        raise ZeroCoderError("model.lora needs peft: pip install -e '.[lora]', or set model.lora=null") from error


def add_adapters(policy: PreTrainedModel, config: LoraConfig, path: str | None = None) -> None:
    """Give the policy's linear layers adapters that start as nothing, and freeze everything else.

    `path` is what the adapter's own file says about the model it belongs to. Raises ZeroCoderError for
    `target_modules` that the model does not have, that are no linear layers or that include the head.
    """
    require_peft()
    from peft import LoraConfig as PeftConfig
    from peft import inject_adapter_in_model

    targets = config.target_modules or linear_layers(policy)
    heads = {id(policy.get_output_embeddings()), id(policy.get_input_embeddings())}
    for name, module in policy.named_modules():
        if id(module) in heads and any(name == target or name.endswith(f".{target}") for target in targets):
            raise ZeroCoderError(f"model.lora.target_modules={targets}: {name} cannot have an adapter, take it out")
    settings = PeftConfig(
        r=config.r,
        lora_alpha=config.alpha,  # type: ignore[arg-type]  # peft divides it by r, whatever number it is
        target_modules=targets,
        base_model_name_or_path=path,
        task_type="CAUSAL_LM",
    )
    try:
        inject_adapter_in_model(settings, policy)
    except ValueError as error:
        first = " ".join(str(error).split())
        raise ZeroCoderError(f"model.lora.target_modules={targets} does not fit the model: {first}") from error


def linear_layers(policy: PreTrainedModel) -> list[str]:
    """Names of the policy's linear layers but its head, such as q_proj, each once."""
    head = policy.get_output_embeddings()
    return sorted(
        {
            name.rpartition(".")[2]
            for name, module in policy.named_modules()
            if isinstance(module, nn.Linear) and module is not head
        }
    )


def adapted_layers(policy: nn.Module) -> dict[str, Any]:
    """The layers with an adapter, by the name that they have in the plain model."""
    try:
        from peft.tuners.lora import LoraLayer
    except ImportError:  # then none was ever added
        return {}
    return {name: module for name, module in policy.named_modules() if isinstance(module, LoraLayer)}


def has_adapters(policy: nn.Module) -> bool:
    return bool(adapted_layers(policy))


@contextmanager
def without_adapters(policy: nn.Module) -> Iterator[None]:
    """The policy computes what the initial policy did, while the context lasts."""
    layers = adapted_layers(policy).values()
    for layer in layers:
        layer.enable_adapters(False)
    try:
        yield
    finally:
        for layer in layers:
            layer.enable_adapters(True)


def save_adapter(policy: PreTrainedModel, folder: Path, write: bool = True) -> None:
    """Write the adapters alone, as `peft.PeftModel.from_pretrained(model, folder)` reads them.

    Under ZeRO-3 all ranks have to take part, as with `policy_weights`, and one of them has to `write`.
    """
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    with gathered([p for p in policy.parameters() if p.requires_grad]):
        if not write:
            return
        # Without a look at the hub for what the vocabulary was.
        state = get_peft_model_state_dict(policy, adapter_name=_NAME, save_embedding_layers=False)
        tensors = {f"{_SAVED_PREFIX}{name}": tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    next(iter(policy.peft_config.values())).save_pretrained(str(folder))
