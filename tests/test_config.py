"""The schema's ranges, and the binding of plain values to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerocoder.binding import bind, complete, known_keys, plain
from zerocoder.config import (
    AlgorithmConfig,
    CallbacksConfig,
    CheckpointsConfig,
    Config,
    DataConfig,
    EvaluationConfig,
    ModelConfig,
    RecalibrationConfig,
    SamplesConfig,
    SelectionNoiseConfig,
    TrainerConfig,
    TruthConfig,
    WarningsConfig,
)
from zerocoder.problems import ZeroCoderError


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        (AlgorithmConfig, "learning_rate", -1e-6),
        (AlgorithmConfig, "weight_decay", -1.0),
        (AlgorithmConfig, "adam_betas", (0.9, 1.0)),
        (AlgorithmConfig, "max_grad_norm", 0.0),
        (AlgorithmConfig, "clip", 0.0),
        (AlgorithmConfig, "clip", 1.0),
        (AlgorithmConfig, "kl_coefficient", -0.1),
        (AlgorithmConfig, "format_penalty", 0.5),
        (AlgorithmConfig, "lambda_low", -0.1),
        (AlgorithmConfig, "lambda_high", 1.1),
        (AlgorithmConfig, "max_mutants", -1),
        (ModelConfig, "path", ""),
        (ModelConfig, "max_prompt_tokens", 0),
        (ModelConfig, "max_completion_tokens", 0),
        (DataConfig, "batch_size", 0),
        (DataConfig, "calibration", -1),
        (DataConfig, "tau", -1),
        (DataConfig, "limit", 0),
        (DataConfig, "heldout_limit", 0),
        (TrainerConfig, "max_steps", 0),
        (TrainerConfig, "devices", 0),
        (TrainerConfig, "num_nodes", 0),
        (TrainerConfig, "micro_batch_tokens", 0),
        (TrainerConfig, "logprob_chunk", 0),
        (TrainerConfig, "seed", 2**32),
        (TrainerConfig, "accelerator", "tpu"),
        (TrainerConfig, "precision", "8"),
        (TrainerConfig, "precision", "bf16-true"),
        (TrainerConfig, "strategy", ""),
        (TrainerConfig, "strategy", "fsdp"),
        (TrainerConfig, "strategy", "deepspeed_stage_4"),
        (TrainerConfig, "root", ""),
        (TrainerConfig, "threads", 0),
        (CheckpointsConfig, "every", 0),
        (CheckpointsConfig, "keep", -1),
        (SamplesConfig, "every", 0),
        (SamplesConfig, "problems", 0),
        (RecalibrationConfig, "every", 0),
        (SelectionNoiseConfig, "every", 0),
        (SelectionNoiseConfig, "problems", 0),
        (TruthConfig, "every", 0),
        (WarningsConfig, "window", 1),
        (CallbacksConfig, "extra", [{"x": 1}]),
        (Config, "experiment", "../elsewhere"),
        (Config, "experiment", ".."),
        (Config, "experiment", ""),
        (EvaluationConfig, "benchmarks", []),
        (EvaluationConfig, "limit", 0),
        (EvaluationConfig, "seed", -1),
        (EvaluationConfig, "accelerator", "tpu"),
        (EvaluationConfig, "threads", 0),
        (EvaluationConfig, "max_mutants", 0),
    ],
)
def test_values_out_of_range_are_refused_by_name(kind: type, key: str, value: object) -> None:
    with pytest.raises(ZeroCoderError, match=key) as error:
        kind(**{key: value})
    assert "\n" not in str(error.value)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Wheel:
    size: float = 1.0
    colour: Colour = Colour.RED


WHEEL = f"{Wheel.__module__}.Wheel"


@dataclass(frozen=True)
class Car:
    seats: int
    name: str = "car"
    fast: bool = False
    wheel: Wheel = field(default_factory=Wheel)
    spare: Wheel | None = field(default_factory=Wheel)
    doors: int | None = None
    pair: tuple[float, float] = (1.0, 2.0)
    tags: list[str] = field(default_factory=list)
    engine: Any = None
    notes: list[dict[str, Any]] = field(default_factory=list)


def car(**values: object) -> Car:
    built: Car = bind(Car, {"seats": 2, "engine": {"_target_": WHEEL}, **values})
    return built


def test_values_become_what_the_fields_say() -> None:
    built = car(
        seats=1e1,
        wheel={"size": 3, "colour": "blue"},
        spare=None,
        doors=4,
        pair=[1, 2],
        tags="one",
        engine={"_target_": WHEEL, "size": 2},
        notes=[{"_target_": "any.thing"}],
    )
    assert built == Car(
        10, "car", False, Wheel(3.0, Colour.BLUE), None, 4, (1.0, 2.0), ["one"], Wheel(2.0), [{"_target_": "any.thing"}]
    )
    assert isinstance(built.seats, int) and isinstance(built.wheel.size, float) and isinstance(built.pair, tuple)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"seats": "2"}, "seats must be a whole number, got '2'"),
        ({"seats": 2.5}, "seats must be a whole number, got 2.5"),
        ({"seats": True}, "seats must be a whole number, got true"),
        ({"seats": None}, "seats must be a whole number, got null"),
        ({"seats": float("inf")}, "seats must be a whole number, got inf"),
        ({"seats": "???"}, "seats has to be given: add seats=<value>"),
        ({"wheel": {"size": 10**400}}, "wheel.size must be a number, got 1000"),
        ({"fast": 1}, "fast must be true or false, got 1"),
        ({"name": None}, "name must be text, got null"),
        ({"wheel": 3}, "wheel must be a mapping, got 3"),
        ({"wheel": None}, "wheel must be a mapping, got null"),
        ({"wheel": {"size": float("nan")}}, "wheel.size must be a number, got nan"),
        ({"wheel": {"colour": "green"}}, "wheel.colour must be one of red, blue, got 'green'"),
        ({"spare": {"sise": 1}}, "unknown key 'spare.sise'; did you mean 'spare.size'?"),
        ({"doors": "two"}, "doors must be a whole number or null, got 'two'"),
        ({"pair": [1]}, "pair must be a list of 2 numbers, got [1]"),
        ({"pair": [1, "x"]}, "pair[1] must be a number, got 'x'"),
        ({"tags": [1]}, "tags[0] must be text, got 1 (put it in quotes: tags[0]=\"'1'\")"),
        ({"notes": "x"}, "notes must be a list, got 'x'"),
        ({"engine": None}, "engine must be a node with _target_, the class that it is built from, got null"),
        (
            {"engine": {"_target_": f"{Wheel.__module__}.car"}},
            f"engine._target_={Wheel.__module__}.car must be the dotted path",
        ),
        ({"engine": {"_target_": 3}}, "engine._target_=3 must be the dotted path of a dataclass"),
        ({"size": 3}, "unknown key 'size'; did you mean 'wheel.size'?"),
        ({"zzz": 3}, "unknown key 'zzz'; the config has seats, name, fast"),
    ],
)
def test_what_does_not_fit_is_told_with_its_key(values: dict[str, object], message: str) -> None:
    with pytest.raises(ZeroCoderError) as error:
        car(**values)
    assert message in str(error.value)


def test_defaults_are_filled_in_around_what_is_given() -> None:
    given = {"spare": None, "wheel": {"size": 2}, "engine": {"_target_": WHEEL, "colour": "blue"}}
    assert complete(Car, given) == {
        "seats": "???",
        "name": "car",
        "fast": False,
        "wheel": {"colour": "red"},
        "doors": None,
        "pair": [1.0, 2.0],
        "tags": [],
        "engine": {"size": 1.0},
        "notes": [],
    }
    assert {"wheel.size", "spare.size", "engine.colour", "doors"} <= set(known_keys(Car, given))


colours = st.sampled_from(Colour)
wheels = st.builds(Wheel, st.floats(allow_nan=False, allow_infinity=False), colours)


@given(
    st.builds(
        Car,
        seats=st.integers(-(2**53), 2**53),
        name=st.text(),
        fast=st.booleans(),
        wheel=wheels,
        spare=st.none() | wheels,
        doors=st.none() | st.integers(0, 9),
        tags=st.lists(st.text().filter(lambda text: text != "???")),
        engine=wheels,
    ).filter(lambda built: built.name != "???")
)
def test_plain_values_bind_to_what_they_came_from(built: Car) -> None:
    assert bind(Car, plain(built)) == built


@pytest.mark.parametrize(
    ("batch_size", "devices", "num_nodes", "instead"),
    [(3, 2, 1, "2 or 4"), (2, 4, 1, "4"), (20, 2, 4, "16 or 24"), (8, 4, 2, None), (7, 1, 1, None)],
)
def test_a_batch_has_to_be_shared_out_evenly(
    batch_size: int, devices: int, num_nodes: int, instead: str | None
) -> None:
    data, trainer = DataConfig(batch_size=batch_size), TrainerConfig(devices=devices, num_nodes=num_nodes)
    if instead is None:
        Config(data=data, trainer=trainer)
        return
    with pytest.raises(ZeroCoderError, match=f"data.batch_size={batch_size} cannot be .* data.batch_size={instead}$"):
        Config(data=data, trainer=trainer)
