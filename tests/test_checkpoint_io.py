"""The trainer's state goes to the file as it is serialised."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import lightning as L
import pytest
import torch

from zerocoder.checkpoint_io import StreamedCheckpointIO

SIZE = 256 << 20

MEASURED = f"""
import resource, sys, torch
from zerocoder.checkpoint_io import StreamedCheckpointIO
state = {{"weights": torch.zeros({SIZE // 4})}}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
StreamedCheckpointIO().save_checkpoint(state, sys.argv[1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux")
def test_saving_takes_no_second_copy(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MEASURED, str(tmp_path / "state.ckpt")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1])
    assert int(done.stdout) < (SIZE >> 10) / 4
    assert (tmp_path / "state.ckpt").stat().st_size >= SIZE


def test_what_is_saved_can_be_loaded(tmp_path: Path) -> None:
    trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, plugins=[StreamedCheckpointIO()])
    assert isinstance(trainer.strategy.checkpoint_io, StreamedCheckpointIO)
    state = {"step": 3, "weights": torch.arange(4.0)}
    trainer.strategy.checkpoint_io.save_checkpoint(state, tmp_path / "state.ckpt")
    loaded = trainer.strategy.checkpoint_io.load_checkpoint(tmp_path / "state.ckpt")
    assert loaded["step"] == 3 and torch.equal(loaded["weights"], state["weights"])
