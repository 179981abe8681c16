"""conf/ and the command line -> a checked `Config`, without importing torch.

Hydra composes the groups (`selector=b4`, `experiment=qwen2.5-coder-7b`); every other override (`selector.beta0=1e5`)
is laid over the result, so that each key of the schema can be set though no YAML mentions it; `binding` fills in the
schema's defaults and checks all of it. The order on the command line is free, the last of two equal keys wins.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Override, OverrideType, QuotedString
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from zerocoder.binding import MissingValue, bind, complete, nearest, plain
from zerocoder.config import Config, EvaluationConfig, ReferencesConfig
from zerocoder.models import NAMED, resolve
from zerocoder.problems import ZeroCoderError

CONF = Path(__file__).resolve().parent.parent / "conf"
MODEL_MARK = "zerocoder_model"
"""Key of a model's config.json that names the file of conf/model/ with the settings it was made for."""
OTHER_MODEL = "huggingface"
"""The file of conf/model/ and conf/experiment/ for models that conf/ does not know."""


@dataclass(frozen=True)
class _Setting:
    """One override that is not a group's choice."""

    key: str
    value: Any


def load(overrides: Sequence[str], conf_dir: Path = CONF) -> Config:
    """The config of a training run. Raises ZeroCoderError with one line for anything that is wrong."""
    config: Config = _load(Config, "config", overrides, conf_dir)
    return config


def load_for_dry_run(overrides: Sequence[str], conf_dir: Path = CONF) -> tuple[Config, ZeroCoderError | None]:
    """As `load`, but a dry run may name no data yet: it gets a stand-in, and the mistake is returned to be told."""
    try:
        return load(overrides, conf_dir), None
    except MissingValue as missing:
        if not missing.key.startswith("data.source."):
            raise
        config, _ = load_for_dry_run([*overrides, f"{missing.key}='?'"], conf_dir)
        if not config.dry_run:
            raise
        return config, missing


def load_evaluation(overrides: Sequence[str], conf_dir: Path = CONF) -> EvaluationConfig:
    """The config of an evaluation. Raises ZeroCoderError with one line for anything that is wrong."""
    config: EvaluationConfig = _load(EvaluationConfig, "evaluate", overrides, conf_dir)
    return config


def load_references(overrides: Sequence[str], conf_dir: Path = CONF) -> ReferencesConfig:
    """The config of sampling pseudo references. Raises ZeroCoderError with one line for anything that is wrong."""
    config: ReferencesConfig = _load(ReferencesConfig, "references", overrides, conf_dir)
    return config


def for_model(path: str, conf_dir: Path = CONF) -> list[str]:
    """Overrides that take the model at `path` with the settings made for it; put after others, they win."""
    return [f"model={_model_option(path, conf_dir)}", f"model.path={quoted(path)}"]


def to_dict(config: Config | EvaluationConfig | ReferencesConfig) -> dict[str, Any]:
    """Everything that is set, as plain values; nodes keep their `_target_`."""
    values: dict[str, Any] = plain(config)
    return values


def to_yaml(config: Config | EvaluationConfig | ReferencesConfig) -> str:
    return yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True)


def groups(conf_dir: Path = CONF) -> dict[str, list[str]]:
    """The config groups and their options."""
    folders = sorted(path for path in conf_dir.iterdir() if path.is_dir())
    return {folder.name: sorted(file.stem for file in folder.glob("*.yaml")) for folder in folders}


def groups_of(name: str, conf_dir: Path) -> dict[str, list[str]]:
    """The config groups that the top file `name` is made of, and their options."""
    file = conf_dir / f"{name}.yaml"
    if not file.is_file():
        raise ZeroCoderError(f"there is no {file}; the settings' files belong into {conf_dir}")
    used = {group for entry in OmegaConf.load(file).defaults if entry != "_self_" for group in entry}
    return {group: options for group, options in groups(conf_dir).items() if group in used}


def _load(kind: type, name: str, overrides: Sequence[str], conf_dir: Path) -> Any:
    known = groups_of(name, conf_dir)
    choices: dict[str, str] = {}
    settings: list[_Setting] = []
    for text in overrides:
        override = _parse(text)
        if override.key_or_group in known:
            choices[override.key_or_group] = _choice(override, known)
        else:
            settings.append(_setting(override))
    _follow_the_model(choices, settings, known, conf_dir)
    node = _compose(name, choices, conf_dir)
    OmegaConf.set_struct(node, False)  # `bind` knows the schema's keys, also those that no YAML mentions
    try:
        for setting in settings:
            OmegaConf.update(node, setting.key, setting.value, merge=True)
        shape = OmegaConf.to_container(node, resolve=False)
        node = OmegaConf.merge(complete(kind, shape), node)  # type: ignore[arg-type, assignment]
        values: Any = OmegaConf.to_container(node, resolve=True)
    except (OmegaConfBaseException, ValueError) as error:
        where = getattr(error, "full_key", None)
        raise ZeroCoderError(f"{where}: {_first_line(error)}" if where else _first_line(error)) from error
    return bind(kind, values)


def _parse(text: str) -> Override:
    """One override by Hydra's grammar."""
    shown = text if len(text) <= 160 else text[:157] + "..."
    if text.startswith(("+", "~")):
        fix = "to switch something off, set it to null" if text.startswith("~") else "write it without '+'"
        raise ZeroCoderError(f"cannot take '{shown}': every key exists already; {fix}")
    try:
        override = OverridesParser.create().parse_override(text)
    except HydraException as error:
        quotes = "; put a value with special characters in quotes: key=\"'value'\"" if "=" in text else ""
        raise ZeroCoderError(f"cannot read '{shown}': key=value is expected{quotes}") from error
    if override.type is not OverrideType.CHANGE or override.package is not None or override.is_hydra_override():
        raise ZeroCoderError(f"cannot take '{shown}': key=value is expected, with a key that --cfg job prints")
    return override


def _choice(override: Override, known: dict[str, list[str]]) -> str:
    group, value = override.key_or_group, override.value()
    options = known[group]
    if not isinstance(value, str):
        raise ZeroCoderError(f"{group} is chosen by name: {group}=<one of {', '.join(options)}>, one for a run")
    if value not in options:
        raise ZeroCoderError(f"unknown {group} '{value}'; known: {', '.join(options)}{nearest(value, options)}")
    return value


def _setting(override: Override) -> _Setting:
    key, value = override.key_or_group, override.value()
    if isinstance(value, ChoiceSweep) and value.simple_form and not value.shuffle:
        value = [item.text if isinstance(item, QuotedString) else item for item in value.list]  # a,b is [a,b] here
    elif override.is_sweep_override():
        raise ZeroCoderError(f"cannot take '{override.input_line}': a run has one value for {key}")
    return _Setting(key, value)


def _follow_the_model(
    choices: dict[str, str], settings: Sequence[_Setting], known: dict[str, list[str]], conf_dir: Path
) -> None:
    """Choose what the command line leaves open by the model that it names.

    `model.path=X` takes the model settings made for X (prompts, lengths, number format), and a model takes the
    experiment of its own name (learning rate, hardware, data): otherwise another model would silently be spoken to in
    zerocoder-nano's way and be trained at its learning rate.
    """
    path = next((s.value for s in reversed(settings) if s.key == "model.path"), None)
    if "experiment" not in choices and "model" not in choices and isinstance(path, str):
        choices["model"] = _model_option(path, conf_dir)
    model = choices.get("model")
    if "experiment" not in choices and model in known.get("experiment", ()):
        choices["experiment"] = str(model)


def _model_option(path: str, conf_dir: Path) -> str:
    """The file of conf/model/ whose settings fit the model at `path`."""
    options = groups(conf_dir)["model"]
    if path in NAMED and path in options:
        return path
    folder = resolve(path)
    if isinstance(folder, Path):
        try:
            mark = json.loads((folder / "config.json").read_text("utf-8")).get(MODEL_MARK)
        except (OSError, ValueError, AttributeError) as error:
            raise ZeroCoderError(f"model.path={path}: {folder / 'config.json'} cannot be read: {error}") from error
        if mark in options:
            return str(mark)
    return next((o for o in options if path == _path_in(conf_dir / "model" / f"{o}.yaml")), OTHER_MODEL)


def _path_in(file: Path) -> Any:
    node = OmegaConf.load(file)
    return node.get("path") if isinstance(node, DictConfig) else None


def _compose(name: str, choices: dict[str, str], conf_dir: Path) -> DictConfig:
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(conf_dir.resolve()), job_name=name, version_base=None):
            return compose(name, overrides=[f"{group}={option}" for group, option in choices.items()])
    except (HydraException, OmegaConfBaseException) as error:
        raise ZeroCoderError(f"cannot compose {conf_dir}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def quoted(text: str) -> str:
    """`text` as the value of an override, whatever characters it has."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
