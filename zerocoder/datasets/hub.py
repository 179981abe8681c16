"""A data set on the Hugging Face hub: fetched once, into the library's own cache, from where later runs read it.

The revision is pinned, so that the rows of a benchmark stay the rows. A data set whose repository holds tables is
loaded by `datasets`; one that consists of a loading script, which `datasets` runs no longer and we would not run, has
its published files fetched and read as local files are. Nothing is streamed: a run needs all rows of a split, and the
next one is to work without a network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zerocoder.problems import ZeroCoderError


class MissingDataError(ZeroCoderError):
    """A data set is neither on this machine nor to be had from the hub."""


@dataclass(frozen=True)
class Hub:
    """Where a data set lies on the hub.

    name: `owner/name`.
    revision: a commit; None takes the newest.
    config: of its configurations, as `datasets` calls them; None takes the default.
    files: by split, the files to fetch from the repository; empty leaves it to `datasets`.
    """

    name: str
    revision: str | None
    config: str | None = None
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name}@{self.revision[:8]}" if self.revision else self.name


def fetched_files(hub: Hub, split: str, title: str, remedy: str) -> list[Path]:
    """The published files of a split, from the library's cache or the hub.

    Raises MissingDataError, "<title>: ... cannot be reached; put <remedy>", where that fails.
    """
    from huggingface_hub import hf_hub_download

    with _explained(hub, title, remedy):
        return [
            Path(hf_hub_download(hub.name, file, repo_type="dataset", revision=hub.revision))
            for file in hub.files[split]
        ]


def fetched_table(hub: Hub, split: str, title: str, remedy: str) -> Iterable[dict[str, Any]]:
    """The rows of a split, memory-mapped from the library's cache. Raises as `fetched_files` does."""
    from datasets import load_dataset

    with _explained(hub, title, remedy):
        rows: Iterable[dict[str, Any]] = load_dataset(hub.name, hub.config, split=split, revision=hub.revision)
        return rows


@contextmanager
def _explained(hub: Hub, title: str, remedy: str) -> Iterator[None]:
    """Tell in one line why nothing came, instead of retries and a traceback."""
    from huggingface_hub import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    except Exception as error:  # network, credentials, a full disk, a name that is gone: whatever the libraries raise
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        if _unreachable(error) or _unreachable(error.__cause__):
            what = f"{hub} is not on this machine and the hub cannot be reached"
        else:
            what = f"{hub} cannot be loaded from the hub ({reason})"
        raise MissingDataError(f"{title}: {what}; put {remedy}") from error
    finally:
        logging.set_verbosity(verbosity)


def _unreachable(error: BaseException | None) -> bool:
    from huggingface_hub.errors import LocalEntryNotFoundError

    # The hub's library has taken one HTTP client after the other (httpx, httpx2), with errors of the same names.
    of_client = any(kind.__name__ == "TransportError" for kind in type(error).__mro__)
    return of_client or isinstance(error, (ConnectionError, LocalEntryNotFoundError))
