"""Where a split of a data set lies that is published as one file or folder a split: APPS and CodeForces.

A folder holds both splits. A file holds one (see `split_of`); `heldout_path` names the other.
"""

from __future__ import annotations

from pathlib import Path

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
