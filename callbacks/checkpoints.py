"""Checkpoints: the trainer's state beside a ready Hugging Face folder, written whole or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import lightning as L

from zerocoder.files import new_dir
from zerocoder.lora import has_adapters, save_adapter, save_merged
from zerocoder.module import ZeroCoderModule
from zerocoder.problems import ZeroCoderError
from zerocoder.runs import RunFolder

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

STATE_FILE = "trainer.ckpt"
SPARE_BYTES = 64 * 2**20


class Checkpoints(L.Callback):
    """Writes checkpoints/step_000040/ every `every` steps, at the end and on an interrupt; keeps the newest `keep`.

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
        pl_module.interrupts.release()
        if trainer.global_step and pl_module.result is not None and not self._failed:
            self.save(trainer, pl_module)

    def save(self, trainer: L.Trainer, module: ZeroCoderModule) -> Path:
        final = self.run.checkpoint_path(trainer.global_step)
        if final.exists():
            return final
        self._failed = True  # unless the next lines succeed
        self._require_space(module)
        with new_dir(final) as folder:
            trainer.save_checkpoint(folder / STATE_FILE, weights_only=False)
            if has_adapters(module.policy):
                save_merged(module.policy, folder / "hf")
                save_adapter(module.policy, folder / "adapter")
            else:
                module.policy.save_pretrained(folder / "hf")
            self.tokenizer.save_pretrained(folder / "hf")
        self._failed = False
        self._drop_old()
        return final

    def _require_space(self, module: ZeroCoderModule) -> None:
        # Weights twice (state and hf/) and Adam's two moments.
        needed = 4 * sum(p.numel() * p.element_size() for p in module.policy.parameters()) + SPARE_BYTES
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
