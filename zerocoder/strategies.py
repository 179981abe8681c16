"""Where a policy's weights, gradients and optimizer state live, and how many processes make one optimizer step.

`build_strategy` turns `trainer.strategy` into what Lightning's Trainer takes. `Stepping` is what the update needs to
know of it: how the micro-batches of a step, on all ranks, become the gradient of one big batch and exactly one
optimizer step. Gradients are averaged over the ranks, by DDP as by DeepSpeed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

import lightning as L
import torch
from lightning.pytorch.strategies import DDPStrategy, DeepSpeedStrategy, Strategy
from torch.nn.parallel import DistributedDataParallel

from zerocoder.config import AlgorithmConfig, Sharding, TrainerConfig

if TYPE_CHECKING:
    from zerocoder.experience import MicroBatch
    from zerocoder.learner import TokenSums


class ZeroStrategy(DeepSpeedStrategy):
    """DeepSpeed's ZeRO, with the engine's forward pass being that of a micro-batch.

    Lightning passes a whole training step through the engine as one forward pass. Ours is many: the engine learns from
    each where a gradient begins, and would keep the last micro-batch's gradient only if it saw one for all.
    """

    def training_step(self, *args: Any, **kwargs: Any) -> Any:
        assert self.lightning_module is not None
        with self.precision_plugin.train_step_context():
            return self.lightning_module.training_step(*args, **kwargs)


def build_strategy(trainer: TrainerConfig, algorithm: AlgorithmConfig) -> str | Strategy:
    """What Lightning's Trainer takes as its strategy."""
    if trainer.sharding is None:
        return "ddp" if trainer.ranks > 1 else trainer.strategy
    return ZeroStrategy(config=deepspeed_config(trainer.sharding, trainer.precision, algorithm.max_grad_norm))


def deepspeed_config(sharding: Sharding, precision: str, max_grad_norm: float) -> dict[str, Any]:
    """DeepSpeed's settings, in its own words (https://www.deepspeed.ai/docs/config-json/)."""
    zero: dict[str, Any] = {
        "stage": sharding.stage,
        "overlap_comm": True,
        "contiguous_gradients": True,
        "reduce_bucket_size": 200_000_000,  # elements
        "allgather_bucket_size": 200_000_000,
    }
    if sharding.offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": True}
    if sharding.offload_parameters:
        zero["offload_param"] = {"device": "cpu", "pin_memory": True}
    config: dict[str, Any] = {
        "zero_optimization": zero,
        "gradient_clipping": max_grad_norm,
        "train_micro_batch_size_per_gpu": 1,  # for DeepSpeed's own statistics, which nobody reads
        "zero_allow_untested_optimizer": True,
    }
    if precision.startswith("bf16"):
        config["bf16"] = {"enabled": True, "check_grad_overflow": True}
        # Micro-batches add up: in bf16 the later ones would be rounded away.
        config["data_types"] = {"grad_accum_dtype": "fp32"}
    return config


def adamw(
    parameters: Sequence[torch.nn.Parameter], algorithm: AlgorithmConfig, trainer: TrainerConfig
) -> torch.optim.Optimizer:
    """The optimizer, for where its state is: DeepSpeed's vectorised one on the CPU when the state is offloaded."""
    settings: dict[str, Any] = {
        "lr": algorithm.learning_rate,
        "betas": algorithm.adam_betas,
        "weight_decay": algorithm.weight_decay,
    }
    if trainer.sharding is not None and trainer.sharding.offload_optimizer:
        from deepspeed.ops.adam import DeepSpeedCPUAdam

        offloaded: torch.optim.Optimizer = DeepSpeedCPUAdam(parameters, **settings)
        return offloaded
    # The fused kernel: on GPUs the default one makes a temporary copy of the second moments, on CPUs it is 6x slower.
    return torch.optim.AdamW(parameters, fused=True, **settings)


class Stepping:
    """One process: gradients add up in the parameters."""

    def __init__(self, module: L.LightningModule) -> None:
        self.module = module

    def accumulate(self, batch: MicroBatch, scale: float, last: bool) -> TokenSums:
        """Add `scale` times the gradient of a micro-batch's loss; `last` of the step's. Returns the batch's sums."""
        with self._context(last):
            loss, sums = self._forward(batch)
            self.module.manual_backward(loss * scale)
        return sums  # type: ignore[no-any-return]

    def step(self, max_norm: float) -> float:
        """Clip, and take the optimizer step. Returns the gradient's norm before clipping.

        With a norm that is not finite the weights stay as they are. The gradients are gone in any case: they take as
        much memory as the weights, and the next stage has its own needs.
        """
        optimizer = self._optimizer()
        norm = float(torch.nn.utils.clip_grad_norm_(self.module.parameters(), max_norm))
        if math.isfinite(norm):
            optimizer.step()
        optimizer.zero_grad()
        return norm

    def _optimizer(self) -> L.pytorch.core.optimizer.LightningOptimizer:
        optimizer = self.module.optimizers()
        assert not isinstance(optimizer, list)
        return optimizer  # type: ignore[return-value]

    def _context(self, last: bool) -> AbstractContextManager[None]:
        return nullcontext()

    def _forward(self, batch: MicroBatch) -> Any:
        return self.module(batch)


class AveragedStepping(Stepping):
    """DDP: gradients are averaged over the ranks in the last micro-batch's backward pass, not before."""

    def __init__(self, module: L.LightningModule, model: DistributedDataParallel) -> None:
        super().__init__(module)
        self._model = model

    def _context(self, last: bool) -> AbstractContextManager[None]:
        return nullcontext() if last else self._model.no_sync()


class ShardedStepping(Stepping):
    """ZeRO: the engine averages, shards, clips and steps."""

    def __init__(self, module: L.LightningModule, engine: Any) -> None:
        super().__init__(module)
        self._engine = engine

    def _context(self, last: bool) -> AbstractContextManager[None]:
        self._engine.set_gradient_accumulation_boundary(last)
        return nullcontext()

    def _forward(self, batch: MicroBatch) -> Any:
        return self._engine(batch)

    def step(self, max_norm: float) -> float:
        self._optimizer().step()  # of the engine, which clips to the norm it was built with and clears the gradients
        # It looks at the gradients before it steps, and does not where one is not finite.
        return float(self._engine.get_global_grad_norm()) if self._engine.was_step_applied() else math.inf


def stepping_of(module: L.LightningModule) -> Stepping:
    """How the strategy that trains `module` makes its steps. Raises for strategies that were not prepared for."""
    strategy = module.trainer.strategy
    if isinstance(strategy, ZeroStrategy):
        return ShardedStepping(module, strategy.deepspeed_engine)
    if isinstance(strategy, DDPStrategy) and isinstance(strategy.model, DistributedDataParallel):
        return AveragedStepping(module, strategy.model)
    if strategy.model is not module:
        raise RuntimeError(f"no update was written for {type(strategy).__name__}")
    return Stepping(module)
