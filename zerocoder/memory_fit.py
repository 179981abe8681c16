"""Whether a run fits by its memory plan, and if not, which settings would make it fit.

The advice is not a rule of thumb: the plan is made anew under every setting that may help, and those that save most are
told first, with the plan they lead to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from zerocoder.config import Config, LoraConfig
from zerocoder.memory import GIB, Plan, make_plan
from zerocoder.problems import ZeroCoderError
from zerocoder.rollout.vllm import VllmRollout

MAX_ADVICE = 4
WORTH = 0.01  # a setting that saves less than this share of the plan is not advised


def require_fit(config: Config, plan: Plan) -> None:
    """Raises ZeroCoderError with what exceeds, by how much, and what to set instead, the most helpful first."""
    if plan.fits:
        return
    phase = max(plan.phases, key=lambda name: plan.phases[name])
    largest = max(plan.sampling if phase == "sampling" else plan.training, key=lambda part: part.bytes)
    # Adapters are another way of training: only where nothing else will do.
    advice = _advice(config, plan, adapters=False) or _advice(config, plan, adapters=True)
    tell = f"set {advice}" if advice else "no setting makes it fit: take a smaller model or more memory"
    raise ZeroCoderError(
        f"{phase} needs {plan.peak / GIB:.1f} GiB, {(plan.peak - plan.capacity) / GIB:.1f} GiB more than the "
        f"{plan.capacity / GIB:.1f} GiB {plan.place}; its largest part is {largest.name} with "
        f"{largest.bytes / GIB:.1f} GiB: {tell}"
    )


def _advice(config: Config, plan: Plan, adapters: bool) -> str:
    """Settings with what the plan is under them: those of which one will do, or else several to set together.

    Nothing when they do not suffice.
    """
    found = _smaller(config, plan, adapters)
    enough = [f"{key}={_typed(value)} ({other.peak / GIB:.1f} GiB)" for (key, value), other in found if other.fits]
    if enough:
        return ", or ".join(enough[:MAX_ADVICE])
    together: list[str] = []
    while found and not plan.fits and len(together) < MAX_ADVICE:
        (key, value), plan = found[0]
        config = _with(config, key, value)
        together.append(f"{key}={_typed(value)} ({plan.peak / GIB:.1f} GiB)")
        found = _smaller(config, plan, adapters)
    return ", with it ".join(together) if plan.fits else ""


def _typed(value: Any) -> str:
    """As on the command line."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _smaller(config: Config, plan: Plan, adapters: bool) -> list[tuple[tuple[str, Any], Plan]]:
    """Settings that make the plan smaller, each with its plan, what helps most first."""
    found = []
    for key, value in _tweaks(config, adapters):
        try:
            other = make_plan(_with(config, key, value))
        except ZeroCoderError:  # settings that do not go together
            continue
        if other.peak < plan.peak * (1 - WORTH):
            found.append(((key, value), other))
    return sorted(found, key=lambda item: item[1].peak)


def _tweaks(config: Config, adapters: bool) -> Iterator[tuple[str, Any]]:
    trainer, model, rollout = config.trainer, config.model, config.rollout
    if trainer.accelerator != "cpu":
        for strategy in ("deepspeed_stage_2", "deepspeed_stage_3", "deepspeed_stage_3_offload"):
            if trainer.strategy != strategy:
                yield "trainer.strategy", strategy
        if trainer.sharding is not None:
            yield "trainer.devices", trainer.devices * 2
    if trainer.sharding is not None and not trainer.sharding.offload_optimizer:
        yield "trainer.offload_optimizer", True
    if trainer.accelerator != "cpu" and not trainer.offload_reference and config.algorithm.kl_coefficient:
        yield "trainer.offload_reference", True
    if not model.gradient_checkpointing:
        yield "model.gradient_checkpointing", True
    if model.dtype == "float32" and trainer.precision == "32-true":
        yield "trainer.precision", "bf16-true"
    if adapters and model.lora is None:
        yield "model.lora.r", 16
    longest = model.max_prompt_tokens + rollout.max_new_tokens
    if trainer.micro_batch_tokens > longest:
        yield "trainer.micro_batch_tokens", max(longest, trainer.micro_batch_tokens // 4)
    if trainer.logprob_chunk > 256:
        yield "trainer.logprob_chunk", 256
    if isinstance(rollout, VllmRollout):
        if not rollout.sleep:
            yield "rollout.sleep", True
        yield "rollout.gpu_memory_utilization", round(rollout.gpu_memory_utilization / 2, 2)
    elif rollout.batch_size > 8:
        yield "rollout.batch_size", max(8, rollout.batch_size // 4)


def _with(config: Config, key: str, value: Any) -> Config:
    """The config with one key, `section.field`, set."""
    section, _, name = key.partition(".")
    if key == "model.lora.r":
        name, value = "lora", LoraConfig(r=value)
    return replace(config, **{section: replace(getattr(config, section), **{name: value})})
