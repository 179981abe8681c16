"""Every file of conf/ composes; overrides are checked against the schema before anything heavy is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from zerocoder.binding import bind
from zerocoder.compose import CONF, for_model, groups_of, load, load_evaluation, to_dict, to_yaml
from zerocoder.config import Config, TestUnit
from zerocoder.problems import ZeroCoderError
from zerocoder.prompts import PromptStyle
from zerocoder.selection.b4 import B4
from zerocoder.selection.dyb4 import DyB4

OPTIONS = [f"{group}={option}" for group, options in groups_of("config", CONF).items() for option in options]


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
        (["max_steps=2"], "unknown key 'max_steps'; did you mean 'trainer.max_steps'"),
        (["trainer.seed=1,2"], r"trainer.seed must be a whole number, got \[1, 2\]"),
        (["trainer.seed=range(1,3)"], "a run has one value for trainer.seed"),
        (["selector=b4,codet"], "selector is chosen by name"),
        (["trainer.root=[1"], r"cannot read 'trainer.root=\[1'"),
        (["trainer.root=${nowhere}"], "trainer.root: .*'nowhere' not found"),
        (["experiment=../nano"], "unknown experiment"),
        (["experiment.name=x"], "experiment must be text"),
        (["hydra.run.dir=x"], "--cfg job"),
        (["data=jsonl"], "data.source.path has to be given: add data.source.path=<value>"),
        (["model=huggingface"], "model.path has to be given"),
        (["selector._target_=nowhere.B4"], "selector._target_=nowhere.B4 cannot be imported"),
        (["selector._target_=os.path.join"], "must be the dotted path of a dataclass"),
        (["model.revision=12"], "model.revision must be text or null, got 12 .*quotes"),
        (["data.limit=2"], "data.batch_size=32 is larger than data.limit=2"),
        (["trainer.strategy=deepspeed_stage_2"], "needs GPUs: set trainer.accelerator=gpu"),
        (
            ["trainer.offload_optimizer=true"],
            "needs DeepSpeed, trainer.strategy is auto: set trainer.strategy=deepspeed",
        ),
        (["trainer=deepspeed", "trainer.precision=64-true"], "set trainer.precision=bf16-mixed"),
        (["callbacks.extra=[{x: 1}]"], r"callbacks.extra\[0\] must be a node with _target_"),
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


@pytest.mark.parametrize("name", ["offline", "online", "oracle"])
def test_an_algorithm_that_does_not_select_needs_no_labels_for_it(name: str) -> None:
    config = load([f"algorithm={name}", "data.calibration=0"])
    assert config.algorithm.method.name == name and config.selector.name == "dyb4"
    assert config.algorithm.learning_rate == load([]).algorithm.learning_rate  # the experiment's
    assert to_dict(config)["algorithm"]["method"]["_target_"].startswith(f"zerocoder.algorithms.{name}.")


def test_evaluation_overrides() -> None:
    config = load_evaluation(["model.path=nano", "benchmarks=builtin", "compare=[nano]", "limit=4"])
    assert (config.benchmarks, config.compare, config.limit) == (["builtin"], ["nano"], 4)


def model_folder(folder: Path, **config: str) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").write_text("{}")
    return folder


def test_a_model_brings_its_settings(tmp_path: Path) -> None:
    ours = model_folder(tmp_path / "ours", zerocoder_model="nano")
    theirs = model_folder(tmp_path / "theirs", zerocoder_model="no longer known")
    for path, experiment, style in ((ours, "nano", "compact"), (theirs, "huggingface", "standard")):
        config = load([f"model.path={path}"])
        assert (config.model.path, config.experiment, config.model.prompt_style) == (str(path), experiment, style)
        assert load_evaluation([f"model.path={path}"]).model.prompt_style == style
    assert load(["model.path=some/model"]).experiment == "huggingface"
    known = load(["model.path=Qwen/Qwen2.5-Coder-7B-Instruct", "data=builtin"])
    assert (known.experiment, known.model.max_completion_tokens) == ("qwen2.5-coder-7b", 2048)
    assert load(["model=smollm2-135m"]).experiment == "smollm2-135m"


def test_what_is_chosen_wins_over_what_a_model_brings(tmp_path: Path) -> None:
    theirs = model_folder(tmp_path / "theirs")
    config = load([f"model.path={theirs}", "experiment=nano"])
    assert (config.experiment, config.model.prompt_style) == ("nano", "compact")
    config = load(["model=huggingface", f"model.path={theirs}", "experiment=nano", "data=mbpp", "data.source.path=a"])
    assert (config.model.prompt_style, config.data.source.path) == ("standard", "a")


def test_models_side_by_side_each_have_their_settings(tmp_path: Path) -> None:
    theirs = model_folder(tmp_path / "their model, 'quoted'")
    typed = ["model.path=nano", f'compare=["{theirs}"]', "seed=3"]
    first = load_evaluation(typed)
    second = load_evaluation([*typed, *for_model(first.compare[0])])
    assert first.rollout.max_new_tokens == first.model.max_completion_tokens == 96
    assert second.model.path == str(theirs)
    assert (second.model.prompt_style, second.rollout.max_new_tokens, second.seed) == ("standard", 1024, 3)


def test_a_printed_config_is_the_config() -> None:
    """Binding what was printed gives the same config: nothing is lost or changed on the way."""
    for overrides in ([], ["selector=codet", "callbacks.samples=null"], ["algorithm.adam_betas=[0.8,0.9]"]):
        config = load(overrides)
        assert bind(Config, yaml.safe_load(to_yaml(config))) == config


def test_checking_a_config_loads_nothing_heavy() -> None:
    heavy = "('torch', 'transformers', 'lightning', 'vllm', 'deepspeed', 'tensorboard', 'libcst', 'scipy')"
    code = (
        "import sys; from zerocoder.compose import load, load_evaluation; load(['selector=b4']); load_evaluation([]); "
        f"print([m for m in {heavy} if m in sys.modules and m != 'scipy'])"
    )
    root = Path(__file__).parents[1]
    out = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
