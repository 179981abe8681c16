"""Checks before a run: is the model there, is the data, are the devices, the extras and the disk space?

`check` runs the cheap ones before every run, so that a mistake costs seconds and leaves nothing half-written;
`dry_run` also starts a worker of the verifier, and tells about every point.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from zerocoder import memory
from zerocoder.algorithms.base import require_labels
from zerocoder.config import Config, TestUnit
from zerocoder.files import require_writable
from zerocoder.memory_fit import require_fit
from zerocoder.models import resolve
from zerocoder.problems import ZeroCoderError
from zerocoder.rollout.transformers import TransformersRollout

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Check:
    """One point that was looked at and found in order; what is not raises."""

    name: str
    found: str


def check(config: Config) -> list[Check]:
    """The checks that take a moment. Raises ZeroCoderError at the first point that is not in order."""
    return [point(config) for point in QUICK]


def dry_run(config: Config, no_data: ZeroCoderError | None = None) -> int:
    """All checks, with a table of what was found. The exit status: 0, or 2 when a point is not in order.

    `no_data` is what is wrong when the config names no data, which is then told instead of looking for them.
    """
    table = Table("checked", "found")
    wrong = 0
    for point in (*QUICK, check_verifier):
        try:
            if no_data is not None and point is check_data:
                raise no_data
            done = point(config)
        except ZeroCoderError as mistake:
            wrong += 1
            name = point.__name__.removeprefix("check_")
            table.add_row(Text(name, style="red"), Text(f"error: {mistake}", style="red", overflow="fold"))
        else:
            table.add_row(done.name, Text(done.found, overflow="fold"))
    state = f"{wrong} of {table.row_count} points not in order" if wrong else "in order"
    table.title = f"experiment {config.experiment}: {state}, nothing was trained"
    Console().print(table)
    _print_plan(config)
    return 2 if wrong else 0


def _print_plan(config: Config) -> None:
    """The memory plan part by part; nothing where none can be made, which the table of checks has told."""
    try:
        plan = memory.make_plan(config)
    except ZeroCoderError:
        return
    table = Table(title=f"memory plan, GiB {plan.place}")
    table.add_column("part")
    for phase in plan.phases:
        table.add_column(phase, justify="right")
    table.add_column("what decides it", overflow="fold")
    for name, part in {part.name: part for part in (*plan.sampling, *plan.training)}.items():
        sizes = [next((p.bytes for p in phase if p.name == name), 0.0) for phase in (plan.sampling, plan.training)]
        table.add_row(name, *(f"{size / memory.GIB:.2f}" if size else "" for size in sizes), part.why)
    table.add_section()
    totals = (f"{size / memory.GIB:.2f}" for size in plan.phases.values())
    table.add_row("together", *totals, f"of {plan.capacity / memory.GIB:.1f}; architecture by {plan.source}")
    Console().print(table)


def check_model(config: Config) -> Check:
    found = resolve(config.model.path)
    if isinstance(found, Path):
        return Check("model", f"{found}, {weight_bytes(found) / 2**20:.1f} MiB of weights")
    cached = _hub_folder() / f"models--{found.replace('/', '--')}"
    state = "in the hub's cache" if cached.exists() else "not cached yet, will be downloaded from the hub"
    return Check("model", f"{found}, {state}")


def _hub_folder() -> Path:
    if "HF_HUB_CACHE" in os.environ:
        return Path(os.environ["HF_HUB_CACHE"])
    return Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface") / "hub"


def weight_bytes(folder: Path) -> int:
    return sum(f.stat().st_size for pattern in ("*.safetensors", "*.bin") for f in folder.glob(pattern))


def check_data(config: Config) -> Check:
    """The data set can be read and is large enough."""
    train = config.data.source.train()
    labelled = sum(p.label is not None for p in train)
    if len(train) < config.data.batch_size:
        raise ZeroCoderError(
            f"data.batch_size={config.data.batch_size} is larger than the {len(train)} training problems; lower it"
        )
    if labelled < config.data.calibration:
        raise ZeroCoderError(
            f"data.calibration={config.data.calibration} labelled problems are wanted, but only {labelled} of "
            f"{len(train)} training problems have solution and tests; lower data.calibration or add labels"
        )
    require_labels(config.algorithm.method, train)
    return Check(
        "data", f"{len(train)} training problems, {labelled} labelled; {len(config.data.source.heldout())} held out"
    )


def device(accelerator: str, key: str = "trainer.accelerator", local_rank: int = 0) -> torch.device:
    """The torch device of an accelerator's name, for a rank of this machine.

    Raises ZeroCoderError, naming the setting, when there is none.
    """
    import torch

    if accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
        raise ZeroCoderError(
            f"{key}={accelerator}: PyTorch sees no CUDA GPU; use {key}=cpu, or install "
            "a CUDA build of PyTorch (make install TORCH_INDEX=<url>)"
        )
    if accelerator == "mps" and not torch.backends.mps.is_available():
        raise ZeroCoderError(f"{key}=mps: there is no Apple GPU here; use {key}=cpu")
    if accelerator == "auto":
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device("cuda", local_rank) if accelerator in ("gpu", "cuda") else torch.device(accelerator)


def check_devices(config: Config) -> Check:
    import torch

    chosen, wanted = device(config.trainer.accelerator), config.trainer.devices
    if chosen.type == "cuda" and torch.cuda.device_count() < wanted:
        raise ZeroCoderError(
            f"trainer.devices={wanted}: there are {torch.cuda.device_count()} GPUs here; lower trainer.devices"
        )
    if chosen.type == "mps" and wanted > 1:
        raise ZeroCoderError(f"trainer.devices={wanted}: an Apple GPU takes one process; set trainer.devices=1")
    nodes = f" on each of {config.trainer.num_nodes} nodes" if config.trainer.num_nodes > 1 else ""
    return Check("devices", f"{wanted} x {chosen.type}{nodes}")


def check_strategy(config: Config) -> Check:
    trainer, sharding = config.trainer, config.trainer.sharding
    if sharding is None:
        return Check("strategy", trainer.strategy)
    if importlib.util.find_spec("deepspeed") is None:
        raise ZeroCoderError(f"trainer.strategy={trainer.strategy} needs DeepSpeed: pip install -e '.[gpu]'")
    if device(trainer.accelerator).type != "cuda":
        raise ZeroCoderError(
            f"trainer.strategy={trainer.strategy} needs GPUs, and there are none here: set trainer.strategy=auto"
        )
    if sharding.stage == 3 and trainer.ranks > 1 and isinstance(config.rollout, TransformersRollout):
        raise ZeroCoderError(
            f"trainer.strategy={trainer.strategy} spreads the weights over the ranks, and rollout=transformers samples "
            "with them on each rank by itself: set rollout=vllm, or trainer.strategy=deepspeed_stage_2"
        )
    spread = ("optimizer state", "gradients", "weights")[: sharding.stage]
    on_cpu = ["optimizer state"] * sharding.offload_optimizer + ["weights"] * sharding.offload_parameters
    kept = f", {' and '.join(on_cpu)} on the CPU" if on_cpu else ""
    return Check("strategy", f"{trainer.strategy}: {', '.join(spread)} spread over {trainer.ranks} ranks{kept}")


def check_rollout(config: Config) -> Check:
    return Check("rollout", config.rollout.check(config.trainer.devices * config.trainer.num_nodes))


def check_disk(config: Config) -> Check:
    """Room for the checkpoints that are kept and the one that is being written."""
    root = config.trainer.root
    existing = require_writable(Path(root).expanduser(), f"trainer.root={root}")
    found = resolve(config.model.path)
    keep = config.callbacks.checkpoints.keep if config.callbacks.checkpoints else 1
    free = shutil.disk_usage(existing).free
    if isinstance(found, str):
        return Check("disk", f"{free / 2**30:.1f} GiB free at {existing}; known once the model is downloaded")
    parameters = weight_bytes(found) // _bytes_of(_stored_as(found))
    sharded_bf16 = config.trainer.sharding is not None and config.trainer.precision == "bf16-mixed"
    trained_as = "bfloat16" if sharded_bf16 else config.model.dtype
    needed = parameters * config.trainer.checkpoint_bytes(_bytes_of(trained_as)) * (max(keep, 1) + 1)
    if free < needed:
        raise ZeroCoderError(
            f"no disk space for the checkpoints: they need {needed / 2**20:.0f} MiB, {existing} has "
            f"{free / 2**20:.0f} MiB left; free some, or name another trainer.root"
        )
    return Check("disk", f"{free / 2**30:.1f} GiB free at {existing}, checkpoints need {needed / 2**30:.2f} GiB")


def _stored_as(folder: Path) -> str:
    """The number format of a Hugging Face folder's weights, by its config.json."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return str(config.get("dtype") or config.get("torch_dtype") or "float32")


def _bytes_of(dtype: str) -> int:
    return 2 if dtype.endswith("16") else 4


def check_memory(config: Config) -> Check:
    """The run fits, by its memory plan. A model that is not here yet and of unknown architecture is let through."""
    if config.model.lora is not None:
        from zerocoder.lora import require_peft

        require_peft()
    try:
        plan = memory.make_plan(config)
    except memory.UnknownArchitecture as unknown:
        return Check("memory", str(unknown))
    require_fit(config, plan)
    return Check("memory", plan.summary())


def check_callbacks(config: Config) -> Check:
    """The user's own callbacks can be made. These are for the trial alone: the run makes its own."""
    if not config.callbacks.extra:
        return Check("callbacks", "no further ones")
    from zerocoder.extra import build_extra

    build_extra(config.callbacks.extra)
    return Check("callbacks", f"also {', '.join(node['_target_'] for node in config.callbacks.extra)}")


def check_filter(config: Config) -> Check:
    """Problems can pass the pre-filter, and what the initial policy is asked can be kept."""
    data, rollout = config.data, config.rollout
    # With test_unit=assertion an answer may be several columns of the matrix, and only its rows are limited.
    sizes = {"solutions": rollout.solutions}
    if config.algorithm.test_unit is TestUnit.ANSWER:
        sizes["tests"] = rollout.tests
    most = min(sizes.values())
    if data.tau > most:
        drawn = " and ".join(f"{size} {name}" for name, size in sizes.items())
        raise ZeroCoderError(
            f"data.tau={data.tau} keeps no problem: of {drawn} a matrix has at most rank {most}; lower data.tau, or "
            f"raise {' and '.join(f'rollout.{name}' for name in sizes)}"
        )
    if data.tau or data.cache is not None or config.algorithm.method.keeps:
        require_writable(data.cache_folder, f"data.cache={'null' if data.cache is None else data.cache}")
    if not data.tau:
        return Check("filter", "data.tau=0: all problems are kept")
    return Check("filter", f"data.tau={data.tau}, of ranks up to {most}, which are kept in {data.cache_folder}")


def check_verifier(config: Config) -> Check:
    with config.verifier.build() as executor:
        return Check("verifier", executor.isolation)


QUICK: tuple[Callable[[Config], Check], ...] = (
    check_model,
    check_devices,
    check_strategy,
    check_rollout,
    check_disk,
    check_memory,
    check_callbacks,
    check_filter,
    check_data,
)
"""What costs seconds at most, against the minutes that a model takes to load."""
