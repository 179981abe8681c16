"""zerocoder-nano: the small policy that ships with the package, and how it was made. Imports no torch."""

from __future__ import annotations

from pathlib import Path

MODEL_DIR = Path(__file__).parent / "model"
"""The shipped Hugging Face folder: config, weights, tokenizer, chat template and model card."""

__all__ = ["MODEL_DIR"]
