"""Checkpoints: the trainer's state beside a ready Hugging Face folder, written whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L

from zerocoder.files import new_dir
from zerocoder.interrupts import Stopped
from zerocoder.lora import has_adapters, save_adapter
from zerocoder.module import ZeroCoderModule
from zerocoder.problems import ZeroCoderError
from zerocoder.runs import STATE, Layout, RunFolder
from zerocoder.weights import policy_weights
from zerocoder.world import World

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SPARE_BYTES = 64 * 2**20


class Checkpoints(L.Callback):
    """Writes checkpoints/step_000040/ every `every` steps, at the end and on an interrupt; keeps the newest `keep`.

    All ranks take part: rank 0 writes alone, or with DeepSpeed each rank its own part of the state, and never the
    optimizer's state as a whole.

    It has to be the last of the callbacks: a checkpoint holds the state after all others have seen the step, and
    an interrupt that was held back during the update is let through only then.
    """

    def __init__(self, run: RunFolder, tokenizer: PreTrainedTokenizerBase, every: int | None, keep: int) -> None:
        self.run = run
        self.tokenizer = tokenizer
        self.every = every
        self.keep = keep
        self._failed = False

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, ZeroCoderModule)
        step = trainer.global_step
        if step == trainer.max_steps or (self.every is not None and step % self.every == 0):
            self.save(trainer, pl_module)
        pl_module.interrupts.release()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Keep what an interrupted or failed run has learnt: the weights are those of the last complete step."""
        assert isinstance(pl_module, ZeroCoderModule)
        pl_module.interrupts.end()
        if pl_module.world.size > 1 and not isinstance(exception, Stopped):
            return  # the other ranks are elsewhere, and a checkpoint is the work of all
        complete = pl_module.result is not None and pl_module.result.step + 1 == trainer.global_step
        if complete and not self._failed:
            self.save(trainer, pl_module)

    def save(self, trainer: L.Trainer, module: ZeroCoderModule) -> Path:
        """Write the checkpoint of the step that was just completed, if it is not there yet. A call of all ranks."""
        world, final = module.world, self.run.checkpoint_path(trainer.global_step)
        if world.from_main(final.exists()):
            return final
        self._failed = True  # unless the next lines succeed
        if world.is_main:
            self._require_space(module)
        with _new_dir(final, world) as folder:
            trainer.save_checkpoint(folder / STATE, weights_only=False)
            self._save_model(module, folder / "hf")
            if has_adapters(module.policy):
                save_adapter(module.policy, folder / "adapter", write=world.is_main)
            if world.is_main:
                Layout(module.settings.strategy, world.size).write(folder)
        self._failed = False
        if world.is_main:
            self._drop_old()
        return final

    def _save_model(self, module: ZeroCoderModule, folder: Path) -> None:
        weights = {}
        for name, weight in policy_weights(module.policy):
            if module.world.is_main:
                weights[name] = weight.cpu()
        if module.world.is_main:
            module.policy.save_pretrained(folder, state_dict=weights)
            self.tokenizer.save_pretrained(folder)

    def _require_space(self, module: ZeroCoderModule) -> None:
        needed = SPARE_BYTES + sum(
            # With ZeRO-3 a parameter is empty between its uses, and `ds_numel` is its size.
            getattr(p, "ds_numel", p.numel())
            * (module.settings.checkpoint_bytes(p.element_size()) if p.requires_grad else p.element_size())
            for p in module.policy.parameters()
        )
        free = shutil.disk_usage(self.run.path).free
        if free < needed:
            raise ZeroCoderError(
                f"no disk space for the checkpoint: it needs {needed / 2**20:.0f} MiB, {self.run.path} has "
                f"{free / 2**20:.0f} MiB left; free some and continue with trainer.resume=latest"
            )

    def _drop_old(self) -> None:
        if not self.keep:
            return
        for path in self.run.checkpoints()[: -self.keep]:
            shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _new_dir(final: Path, world: World) -> Iterator[Path]:
    """`new_dir` for all ranks: rank 0 makes the folder, and gives it its name when all have written."""
    with ExitStack() as stack:
        yield world.from_main(stack.enter_context(new_dir(final)) if world.is_main else final)
        world.barrier()
    world.barrier()
