"""Every file of conf/ composes; overrides are checked against the schema before anything heavy is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from zerocoder.compose import CONF, groups, load, load_evaluation, to_yaml
from zerocoder.config import TestUnit
from zerocoder.problems import ZeroCoderError
from zerocoder.prompts import PromptStyle
from zerocoder.selection.b4 import B4
from zerocoder.selection.dyb4 import DyB4

OPTIONS = [f"{group}={option}" for group, options in groups(CONF).items() for option in options]


def needed(option: str) -> list[str]:
    """What has to be given beside an option: paths that only a user knows."""
    name = option.split("=")[1]
    paths = []
    if name in ("jsonl", "mbpp", "qwen2.5-1.5b", "qwen2.5-coder-0.5b", "qwen2.5-coder-7b", "qwen3-4b"):
        paths.append("data.source.path=problems.jsonl")
    if name == "huggingface":
        paths.append("model.path=nano")
    return paths if not option.startswith("model=q") else [*paths, "data=jsonl"]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_yaml_composes_and_validates(option: str) -> None:
    config = load([option, *needed(option)])
    assert yaml.safe_load(to_yaml(config))["trainer"]["max_steps"] > 0


def test_the_default_is_the_main_job() -> None:
    config = load([])
    assert isinstance(config.selector, DyB4) and config.model.path == "nano"
    assert config.model.prompt_style is PromptStyle.COMPACT and config.trainer.max_steps >= 40
    assert to_yaml(load(["selector=dyb4"])) == to_yaml(config)


@pytest.mark.parametrize("name", ["qwen2.5-coder-7b", "qwen3-4b", "qwen2.5-1.5b"])
def test_experiments_hold_the_papers_settings(name: str) -> None:
    config = load([f"experiment={name}", "data.source.path=apps.jsonl"])
    assert config.experiment == name
    assert (config.trainer.devices, config.trainer.max_steps, config.data.batch_size) == (4, 150, 32)
    assert config.trainer.strategy.startswith("deepspeed")
    r = config.rollout
    assert (r.solutions, r.tests, r.temperature, r.top_p, r.max_new_tokens) == (8, 8, 0.7, 0.8, 2048)
    assert (config.algorithm.clip, config.algorithm.kl_coefficient) == (0.2, 0.001)
    assert (config.data.tau, config.data.calibration) == (2, 10)
    assert config.algorithm.learning_rate == 1e-6
    assert (config.algorithm.lambda_low, config.algorithm.lambda_high) == (0.1, 0.9)
    assert (config.selector.log10_min, config.selector.log10_max) == (0, 6)


def test_overrides_win_in_any_order() -> None:
    for order in (["selector=b4", "selector.beta0=1e5"], ["selector.beta0=1e5", "selector=b4"]):
        assert load(order).selector == B4(beta0=1e5, alpha_xy=1e3)
    assert load(["selector=dyb4", "selector=codet"]).selector.name == "codet"
    assert load(["trainer.max_steps=3", "trainer.max_steps=5"]).trainer.max_steps == 5
    assert load(["algorithm.test_unit=assertion"]).algorithm.test_unit is TestUnit.ASSERTION
    assert load(["callbacks.samples=null"]).callbacks.samples is None
    assert load(["data=jsonl", "data.source.path=a.jsonl"]).data.source.path == "a.jsonl"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["trainer.max_step=2"], "trainer.max_steps"),
        (["selektor=b4"], "selector"),
        (["selector=codett"], "unknown selector 'codett'; known: b4, codet, dyb4, maxpass.*codet"),
        (["selector=maxpass", "selector.beta0=1"], "selector.beta0"),
        (["trainer.max_steps=many"], "trainer.max_steps"),
        (["trainer.max_steps=0"], "trainer.max_steps must be > 0, got 0"),
        (["algorithm.clip=2"], "algorithm.clip"),
        (["rollout.top_p=1.5"], "rollout.top_p must be above 0 and at most 1, got 1.5"),
        (["rollout.solutions=1"], "rollout.solutions must be > 1"),
        (["selector.points=1"], "selector.points"),
        (["verifier.isolation=soft"], "verifier.isolation"),
        (["+trainer.new=1"], "without '\\+'"),
        (["~selector"], "null"),
        (["trainer"], "key=value"),
        (["model.path=./nowhere"], "nowhere"),
    ],
)
def test_mistakes_name_the_key_in_one_line(overrides: list[str], message: str) -> None:
    with pytest.raises(ZeroCoderError, match=message) as error:
        load(overrides)
    assert "\n" not in str(error.value)


def test_dyb4_without_labels_is_refused() -> None:
    with pytest.raises(ZeroCoderError, match=r"data.calibration"):
        load(["selector=dyb4", "data.calibration=0"])
    assert load(["selector=b4", "data.calibration=0"]).data.calibration == 0


def test_evaluation_overrides() -> None:
    config = load_evaluation(["model.path=nano", "benchmarks=builtin", "compare=[nano]", "limit=4"])
    assert (config.benchmarks, config.compare, config.limit) == (["builtin"], ["nano"], 4)


def test_checking_a_config_loads_nothing_heavy() -> None:
    heavy = "('torch', 'transformers', 'lightning', 'vllm', 'deepspeed', 'tensorboard', 'libcst', 'scipy')"
    code = (
        "import sys; from zerocoder.compose import load, load_evaluation; load(['selector=b4']); load_evaluation([]); "
        f"print([m for m in {heavy} if m in sys.modules and m != 'scipy'])"
    )
    root = Path(__file__).parents[1]
    out = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
