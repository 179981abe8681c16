"""A run's folder: runs/<experiment>/<date-time>/, made once, locked while in use, reopened to resume.

config.yaml  environment.json  log.txt  summary.json  samples.jsonl  contamination.json
tensorboard/  checkpoints/step_000040/{trainer.ckpt, hf/, layout.json}
../latest -> the newest run of the experiment
"""

from __future__ import annotations

import fcntl
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import zipfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from zerocoder.compose import to_yaml
from zerocoder.config import Config
from zerocoder.console import say
from zerocoder.files import write_json, write_text
from zerocoder.problems import ZeroCoderError
from zerocoder.world import World

PACKAGES = ("torch", "lightning", "transformers", "tokenizers", "torchmetrics", "hydra-core", "omegaconf", "mutmut",
            "libcst", "numpy", "scipy", "tensorboard", "vllm", "deepspeed")  # fmt: skip
STATE, LAYOUT = "trainer.ckpt", "layout.json"
MAY_CHANGE = ("trainer.max_steps", "trainer.resume", "trainer.root", "trainer.threads", "trainer.evaluate",
              "trainer.devices", "trainer.num_nodes", "trainer.micro_batch_tokens", "trainer.logprob_chunk",
              "trainer.offload_reference", "model.gradient_checkpointing", "callbacks.", "verifier.workers",
              "verifier.cache_mb", "verifier._target_", "verifier.address", "verifier.patience_seconds", "dry_run",
              "data.cache", "data.heldout_limit")  # fmt: skip
"""Settings that a resumed run may have other values of: they decide how long, how watched, how fast and in how much
memory, not what is learnt."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Who wrote a checkpoint, and with DeepSpeed how many parts its state has."""

    strategy: str
    ranks: int

    @property
    def sharded(self) -> bool:
        return self.strategy.startswith("deepspeed")

    def write(self, checkpoint: Path) -> None:
        write_json(checkpoint / LAYOUT, asdict(self))

    @classmethod
    def read(cls, checkpoint: Path) -> Layout:
        return cls(**json.loads((checkpoint / LAYOUT).read_text(encoding="utf-8")))


class RunFolder:
    """One run on disk. Use it as a context: leaving it gives the lock back.

    A new run that ends by a user's mistake or an interrupt before it has learnt anything leaves nothing behind; after
    a bug its log stays. Rank 0 owns the folder; what it is to other ranks, which only read, is a RunFolder that is not
    `owned`.
    """

    def __init__(self, path: Path, checkpoint: Path | None = None, owned: bool = True) -> None:
        self.path = path
        self.checkpoint = checkpoint
        self._latest_before: str | None = None
        self._lock = lock(path) if owned else None

    @classmethod
    def open(cls, config: Config, world: World) -> RunFolder:
        """The folder of this run, new or the one to continue, on every rank."""
        run = None
        if world.is_main:
            run = cls.open_for_resume(config) if config.trainer.resume else cls.create(config)
        where = world.from_main(None if run is None else (run.path, run.checkpoint))
        assert where is not None  # rank 0 knows
        return run or cls(*where, owned=False)

    @classmethod
    def create(cls, config: Config) -> RunFolder:
        """A new folder named by the time, and the experiment's `latest` link to it."""
        experiment = _experiment(config)
        stamp = time.strftime("%Y-%m-%d_%H-%M-%S")
        try:
            path = _fresh(experiment, stamp)
        except OSError as error:
            raise ZeroCoderError(
                f"trainer.root={config.trainer.root}: cannot write there ({error.strerror})"
            ) from error
        run = cls(path)
        write_text(path / "config.yaml", to_yaml(config))
        with suppress(OSError):
            run._latest_before = os.readlink(experiment / "latest")
        _point_latest(experiment, path.name)
        return run

    @classmethod
    def open_for_resume(cls, config: Config) -> RunFolder:
        """The folder and checkpoint that `trainer.resume` names: `latest`, a run's folder or one of its checkpoints."""
        wanted = str(config.trainer.resume)
        path = _experiment(config) / "latest" if wanted == "latest" else Path(wanted).expanduser()
        if not path.exists():
            hint = "start one without trainer.resume" if wanted == "latest" else "name a run's folder, or latest"
            raise ZeroCoderError(f"trainer.resume={wanted}: there is no {path}; {hint}")
        path = _last_with_checkpoint(path.resolve()) if wanted == "latest" else path.resolve()
        chosen = path if path.name.startswith("step_") else None
        folder = path.parent.parent if chosen else path
        if not (folder / "config.yaml").is_file():
            raise ZeroCoderError(f"trainer.resume={wanted}: {folder} is no run's folder (it has no config.yaml)")
        checkpoint = chosen or _newest_complete(folder)
        if checkpoint is None or not complete(checkpoint):
            raise ZeroCoderError(
                f"trainer.resume={wanted}: {checkpoint or folder / 'checkpoints'} holds no complete checkpoint; "
                "start anew without trainer.resume"
            )
        _require_same(config, folder)
        _require_fit(config, checkpoint)
        run = cls(folder, checkpoint)
        run._rewind(int(checkpoint.name.removeprefix("step_")))
        return run

    def _rewind(self, step: int) -> None:
        """Take back what was written after `step`: those steps are run again."""
        self.truncate_after(step)
        for later in self.checkpoints():
            if later > self.checkpoint_path(step):
                shutil.rmtree(later)
        for unfinished in (self.path / "checkpoints").glob(".tmp-*"):
            shutil.rmtree(unfinished, ignore_errors=True)

    @property
    def resume_checkpoint(self) -> Path | None:
        """The trainer's state to continue from."""
        return None if self.checkpoint is None else self.checkpoint / STATE

    @property
    def resume_step(self) -> int | None:
        """Complete steps of the checkpoint to continue from."""
        return None if self.checkpoint is None else int(self.checkpoint.name.removeprefix("step_"))

    def checkpoint_path(self, step: int) -> Path:
        return self.path / "checkpoints" / f"step_{step:06}"

    def checkpoints(self) -> list[Path]:
        """Oldest first. Unfinished ones carry another name and are not among them."""
        return _checkpoints(self.path)

    def append_sample(self, record: dict[str, Any]) -> None:
        with (self.path / "samples.jsonl").open("a", encoding="utf-8", errors="replace") as file:
            file.write(json.dumps(record) + "\n")

    def truncate_after(self, step: int) -> None:
        """Drop the samples of steps from `step` on, which are run again, and a last line that was cut off."""
        file = self.path / "samples.jsonl"
        if not file.exists():
            return
        kept = []
        for line in file.read_text(encoding="utf-8").splitlines():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if record["step"] < step:
                kept.append(line + "\n")
        write_text(file, "".join(kept))

    def write_summary(self, summary: dict[str, Any]) -> None:
        write_json(self.path / "summary.json", summary)

    def write_environment(self, isolation: str, seed: int) -> None:
        write_json(self.path / "environment.json", environment(isolation, seed))

    def environment_text(self) -> str:
        file = self.path / "environment.json"
        return file.read_text(encoding="utf-8") if file.exists() else "{}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is None:
            return
        undone = isinstance(error, ZeroCoderError | KeyboardInterrupt)
        if undone and self.checkpoint is None and not self._has_learnt():
            self._discard()
        os.close(self._lock)

    def _has_learnt(self) -> bool:
        return (self.path / "samples.jsonl").exists() or bool(self.checkpoints())

    def _discard(self) -> None:
        """Remove the folder and give `latest` back to the run before, which a resume can continue."""
        latest = self.path.parent / "latest"
        if latest.resolve() == self.path:
            if self._latest_before is None:
                latest.unlink()
            else:
                _point_latest(self.path.parent, self._latest_before)
        shutil.rmtree(self.path, ignore_errors=True)


def complete(checkpoint: Path) -> bool:
    """Whether a checkpoint has its name (it gets it last) and its parts, with the trainer's state not cut short."""
    try:
        layout = Layout.read(checkpoint)
    except (OSError, ValueError, TypeError):
        return False
    state = checkpoint / STATE
    parts = list((state / "checkpoint").glob("*.pt")) if layout.sharded else [state]
    optimizers = sum(part.name.endswith("_optim_states.pt") for part in parts)
    return (
        checkpoint.name.startswith("step_")
        and (checkpoint / "hf" / "config.json").is_file()
        and all(map(zipfile.is_zipfile, parts))  # an archive, whose directory is at its end
        and (not layout.sharded or optimizers == layout.ranks)
    )


def environment(isolation: str, seed: int) -> dict[str, Any]:
    """What a result depends on beside the config."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "command": sys.argv,
        "python": platform.python_version(),
        "packages": versions,
        "git": _git(),
        "seed": seed,
        "isolation": isolation,
        "hardware": {
            "machine": platform.machine(),
            "system": platform.platform(),
            "cores": os.cpu_count(),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            "gpus": _gpus(),
        },
    }


def _gpus() -> list[str]:
    torch = sys.modules.get("torch")  # this file must not be what loads it
    if torch is None or not torch.cuda.is_available():
        return []
    return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]


def _git() -> dict[str, Any] | None:
    root = Path(__file__).parent

    def ask(*args: str) -> str:
        return subprocess.run(["git", *args], cwd=root, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {"revision": ask("rev-parse", "HEAD"), "changed": bool(ask("status", "--porcelain", "-uno"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def _experiment(config: Config) -> Path:
    """The folder of an experiment's runs."""
    return Path(config.trainer.root).expanduser() / config.experiment


def _fresh(experiment: Path, stamp: str) -> Path:
    experiment.mkdir(parents=True, exist_ok=True)
    for n in range(1000):
        path = experiment / (stamp if n == 0 else f"{stamp}_{n}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path.resolve()
    raise RuntimeError(f"a thousand runs were started at {stamp}")


def lock(path: Path) -> int:
    """The lock of a folder; the kernel gives it back when the process ends, however it ends.

    Raises ZeroCoderError where another process has it.
    """
    handle = os.open(path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise ZeroCoderError(f"{path} is in use by another process; wait for it to end, or stop it") from error
    return handle


def _point_latest(experiment: Path, name: str) -> None:
    link = experiment / f".tmp-latest-{os.getpid()}"
    link.symlink_to(name)
    os.replace(link, experiment / "latest")


def _checkpoints(folder: Path) -> list[Path]:
    return sorted((folder / "checkpoints").glob("step_*"))


def _last_with_checkpoint(latest: Path) -> Path:
    """`latest`; where that was stopped before its first checkpoint, the newest run before it that has one, if any."""
    if _checkpoints(latest):
        return latest
    for run in sorted(latest.parent.iterdir(), reverse=True):
        if run.name < latest.name and _checkpoints(run) and not run.is_symlink():
            os.close(lock(latest))  # refuses one that is at work: it may be about to write its first checkpoint
            say(f"{latest} ended before its first checkpoint; continuing {run}, the newest run before it that has one")
            return run
    return latest


def _newest_complete(folder: Path) -> Path | None:
    for checkpoint in reversed(_checkpoints(folder)):
        if complete(checkpoint):
            return checkpoint
        say(f"warning: {checkpoint} is damaged; an older checkpoint is taken")
    return None


def _require_fit(config: Config, checkpoint: Path) -> None:
    """Every rank reads back its own part of a sharded state; the state of one file fits any number of ranks."""
    layout, ranks = Layout.read(checkpoint), config.trainer.ranks
    if layout.sharded and layout.ranks != ranks:
        raise ZeroCoderError(
            f"trainer.resume: {checkpoint} has the optimizer's state in {layout.ranks} parts, one for each rank of "
            f"{layout.strategy}, and there are {ranks} ranks now: resume with {layout.ranks} in all (trainer.devices x "
            f"trainer.num_nodes), or start anew from its weights with model.path={checkpoint / 'hf'}"
        )


def flat(values: Any, at: str = "") -> dict[str, Any]:
    """A nested config as dotted key -> value."""
    if not isinstance(values, dict):
        return {at: values}
    return {k: v for key, value in values.items() for k, v in flat(value, f"{at}.{key}" if at else key).items()}


def _require_same(config: Config, folder: Path) -> None:
    old = flat(yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8")))
    new = flat(yaml.safe_load(to_yaml(config)))
    changed = sorted(
        key for key in old.keys() | new.keys() if old.get(key) != new.get(key) and not key.startswith(MAY_CHANGE)
    )
    if changed:
        told = ", ".join(f"{key}={old.get(key)} (now {new.get(key)})" for key in changed[:4])
        more = f" and {len(changed) - 4} more" if len(changed) > 4 else ""
        raise ZeroCoderError(
            f"trainer.resume: {folder} was run with {told}{more}; "
            "repeat the overrides it was started with, or start anew"
        )
