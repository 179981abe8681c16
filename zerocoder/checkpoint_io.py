"""How the trainer's state is put into a file: as it is serialised, not by way of a second copy in memory.

Lightning's own plugin builds the whole file in memory first, to write it whole or not at all. Our checkpoints appear
by the renaming of their folder (`zerocoder.files.new_dir`), so the file can grow in its place: for a policy of 0.5
billion parameters that is 6 GB less at the moment when most is needed.
"""

from __future__ import annotations

from typing import Any

import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO


class StreamedCheckpointIO(TorchCheckpointIO):
    """Writes with `torch.save` straight to a local path, whose folder exists."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        torch.save(checkpoint, path)
