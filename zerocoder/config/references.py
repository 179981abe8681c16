"""What samples pseudo references: a server or a local model, and how much of it is asked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from zerocoder.config.data import DataConfig
from zerocoder.config.model import ModelConfig
from zerocoder.config.rules import require, require_one_of
from zerocoder.config.trainer import ACCELERATORS
from zerocoder.execution.config import VerifierConfig


@dataclass(frozen=True)
class ReferencesConfig:
    """`python -m zerocoder.datasets references`: solutions of a data set's held-out problems, checked by its tests."""

    data: DataConfig = field(default_factory=DataConfig)
    output: str = "references.jsonl"
    """The file of the references. What it holds already is not sampled again."""
    samples: int = 8
    """Solutions sampled a problem; the first that passes all official tests is kept."""
    limit: int | None = None
    """Only so many problems, the first ones; null takes all."""
    temperature: float = 0.7
    top_p: float = 0.95
    max_tokens: int | None = None
    """Tokens of a solution at the most; null is the server's default, or rollout.max_new_tokens of a local model."""
    seed: int = 0
    """Of a local model's samples; what a server samples does not repeat."""

    server: str | None = None
    """Address of an OpenAI-compatible API, such as http://localhost:8000/v1; null samples from the local `model`."""
    server_model: str | None = None
    """The model's name there; null is the only one that the server lists."""
    server_key: str = "OPENAI_API_KEY"
    """The environment variable that holds the key; unset sends none."""
    server_options: dict[str, Any] = field(default_factory=dict)
    """Further fields of a request; null takes one away: {max_tokens: null, max_completion_tokens: 4096}."""
    concurrency: int = 8
    """Requests under way at once."""
    timeout_seconds: float = 600.0
    """For one request."""
    retry_seconds: float = 1.0
    """Pause before the first new try of a request that failed; it doubles from try to try."""

    model: ModelConfig = field(default_factory=ModelConfig)
    rollout: Any = None
    accelerator: str = "auto"
    threads: int | None = None
    """CPU threads of torch; null lets torch choose."""
    verifier: Any = field(default_factory=VerifierConfig)

    def __post_init__(self) -> None:
        require(self.output != "", "output", "a file", "''")
        require(self.samples > 0, "samples", "> 0", self.samples)
        require(self.limit is None or self.limit > 0, "limit", "> 0 or null", self.limit)
        require(self.temperature >= 0, "temperature", ">= 0", self.temperature)
        require(0 < self.top_p <= 1, "top_p", "above 0 and at most 1", self.top_p)
        require(self.max_tokens is None or self.max_tokens > 0, "max_tokens", "> 0 or null", self.max_tokens)
        require(0 <= self.seed < 2**32, "seed", "between 0 and 2**32 - 1", self.seed)
        address = self.server is None or self.server.startswith(("http://", "https://"))
        require(address, "server", "an address such as http://localhost:8000/v1", repr(self.server))
        require(self.server_key != "", "server_key", "the name of an environment variable", "''")
        for key in ("concurrency", "timeout_seconds", "retry_seconds"):
            require(getattr(self, key) > 0, key, "> 0", getattr(self, key))
        require_one_of(self.accelerator, ACCELERATORS, "accelerator")
        require(self.threads is None or self.threads > 0, "threads", "> 0 or null", self.threads)
