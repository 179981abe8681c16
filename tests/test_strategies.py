"""What `trainer.strategy` becomes. That it trains is tests/test_zero.py's to show."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from zerocoder.config import AlgorithmConfig, Sharding, TrainerConfig
from zerocoder.strategies import ZeroStrategy, adamw, build_strategy, deepspeed_config


def trainer(**settings: Any) -> TrainerConfig:
    return TrainerConfig(accelerator="gpu", **settings)


@pytest.mark.parametrize(
    ("settings", "sharding"),
    [
        ({"strategy": "auto"}, None),
        ({"strategy": "ddp"}, None),
        ({"strategy": "deepspeed_stage_1"}, Sharding(1, False, False)),
        ({"strategy": "deepspeed_stage_2_offload"}, Sharding(2, True, False)),
        ({"strategy": "deepspeed_stage_3"}, Sharding(3, False, False)),
        ({"strategy": "deepspeed_stage_3", "offload_optimizer": True}, Sharding(3, True, False)),
        ({"strategy": "deepspeed_stage_3_offload"}, Sharding(3, True, True)),
    ],
)
def test_what_is_sharded(settings: dict[str, Any], sharding: Sharding | None) -> None:
    assert trainer(**settings).sharding == sharding


def test_lightnings_strategies_go_by_name() -> None:
    assert build_strategy(trainer(), AlgorithmConfig()) == "auto"
    assert build_strategy(trainer(devices=2), AlgorithmConfig()) == "ddp"
    assert build_strategy(trainer(num_nodes=2, strategy="ddp"), AlgorithmConfig()) == "ddp"


def test_zero_is_told_stage_clipping_and_offload() -> None:
    pytest.importorskip("deepspeed")
    settings = trainer(strategy="deepspeed_stage_3_offload", precision="bf16-mixed", devices=4)
    strategy = build_strategy(settings, AlgorithmConfig(max_grad_norm=0.3))
    assert isinstance(strategy, ZeroStrategy) and isinstance(strategy.config, dict)
    zero = strategy.config["zero_optimization"]
    assert zero["stage"] == 3 and zero["offload_optimizer"]["device"] == zero["offload_param"]["device"] == "cpu"
    assert strategy.config["gradient_clipping"] == 0.3
    assert strategy.config["bf16"]["enabled"] and strategy.config["data_types"] == {"grad_accum_dtype": "fp32"}


def test_zero_in_32_bit_says_nothing_of_16() -> None:
    config = deepspeed_config(Sharding(2, False, False), "32-true", 1.0)
    assert not {"bf16", "fp16", "data_types"} & config.keys()
    assert not {"offload_optimizer", "offload_param"} & config["zero_optimization"].keys()


def test_the_optimizer_has_the_algorithms_settings() -> None:
    algorithm = AlgorithmConfig(learning_rate=0.1, adam_betas=(0.5, 0.6), weight_decay=0.2)
    (group,) = adamw([torch.nn.Parameter(torch.ones(1))], algorithm, trainer()).param_groups
    assert (group["lr"], group["betas"], group["weight_decay"]) == (0.1, (0.5, 0.6), 0.2)
