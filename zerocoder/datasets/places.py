"""Data sets that are published as one file or folder a split, APPS and CodeForces: where a split lies, and its reading.

A folder holds both splits. A file holds one (see `split_of`); `heldout_path` names the other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path

from zerocoder.problems import Problem

PATH, HELDOUT_PATH = "data.source.path", "data.source.heldout_path"


def place_of(split: str, path: str | None, heldout_path: str | None) -> tuple[str | None, str] | None:
    """The place to read `split` ("train" or "test") from and the setting that names it; None where there is none.

    A place of None is left to be looked for, as `reading.published_rows` does.
    """
    if split == "test" and heldout_path is not None:
        return heldout_path, HELDOUT_PATH
    if path is not None and Path(path).expanduser().is_file():
        return (path, PATH) if split_of(Path(path)) == split else None
    if path is None and heldout_path is not None and Path(heldout_path).expanduser().is_file():
        return None  # what was asked for is one file: do not go and look for another
    return path, PATH


def split_of(place: Path) -> str:
    """The split that a file or folder holds: "test" when its name says so, as the published ones do, else "train"."""
    return "test" if "test" in place.name.lower() else "train"


class TwoSplits(ABC):
    """A source with a training and a test split, each read when it is asked for, and once."""

    @abstractmethod
    def _collected(self, split: str) -> tuple[list[Problem], dict[str, int]]:
        """The problems of `split` ("train" or "test"), and why rows were left out -> how many."""

    def train(self) -> list[Problem]:
        """The problems of the training split."""
        return list(self._train[0])

    def heldout(self) -> list[Problem]:
        """The problems of the test split, or the sample of them."""
        return list(self._test[0])

    def report(self) -> dict[str, int]:
        """Why rows were left out, or kept with reservations -> how many.

        Of the splits that were read, of both where none was yet.
        """
        # An evaluation reads one split only, and the other may not be at hand.
        read = [self.__dict__[split] for split in ("_train", "_test") if split in self.__dict__]
        left_out = [part for _, part in read or (self._train, self._test)]
        return {reason: sum(part.get(reason, 0) for part in left_out) for part in left_out for reason in part}

    @cached_property
    def _train(self) -> tuple[list[Problem], dict[str, int]]:
        return self._collected("train")

    @cached_property
    def _test(self) -> tuple[list[Problem], dict[str, int]]:
        return self._collected("test")
