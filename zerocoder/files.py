"""Files and folders that appear whole or not at all.

The new content is written beside its place, flushed to the disk and renamed over it, so that a reader, a crash or a
full disk never meets half a file. A full disk is the user's to solve and becomes a `ZeroCoderError`.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from zerocoder.problems import ZeroCoderError

_FULL = (errno.ENOSPC, errno.EDQUOT)


def user_cache() -> Path:
    """The user's cache folder for things that can be made again."""
    home = os.environ.get("XDG_CACHE_HOME")
    return (Path(home) if home else Path.home() / ".cache") / "zerocoder"


def check_target(path: Path | str) -> None:
    """Raise ZeroCoderError where `path` is there and no file: a device or a pipe must not be renamed over."""
    path = Path(path)
    with _explained(path):
        if path.exists() and not path.is_file():
            what = "a folder" if path.is_dir() else "no regular file"
            raise ZeroCoderError(f"{path} is {what}: give the name of a file")


def require_writable(folder: Path | str, setting: str) -> Path:
    """The nearest folder above `folder`, or itself, that is there.

    Raises ZeroCoderError, naming `setting`, where `folder` cannot be made or takes nothing. That is tried, and what the
    trial makes is removed again: by the permissions root may write on read-only disks and in /proc, too.
    """
    wanted = Path(os.path.abspath(folder))
    nearest = next(path for path in (wanted, *wanted.parents) if os.path.lexists(path))
    try:
        with tempfile.TemporaryDirectory(prefix=".tmp-", dir=nearest) as trial:
            Path(trial, wanted.relative_to(nearest)).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ZeroCoderError(
            f"{setting}: {nearest} is no folder that can be written to ({error.strerror}); name another"
        ) from error
    return nearest


def write_bytes(path: Path | str, content: bytes) -> None:
    """Write `content` to `path`, making its folders; the old file stays as it was if anything fails."""
    check_target(path)
    path = Path(os.path.realpath(path))  # a link stays, with new content: it may be /dev/stdout
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        tmp = _beside(path)
        try:
            with tmp.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(tmp, path)
        except BaseException:
            with suppress(OSError):
                tmp.unlink()
            raise


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8; lone surrogates, which model-written text can hold, become `?`."""
    write_bytes(path, text.encode("utf-8", errors="replace"))


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON with a newline at its end."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def replace_dir(tmp: Path | str, final: Path | str) -> None:
    """Give the finished folder `tmp` its name `final`; a folder that had the name is removed.

    Both lie on one file system. A crash in between leaves `final` absent, never half of it.
    """
    tmp, final = Path(tmp), Path(final)
    with _explained(final):
        for folder, _, names in os.walk(tmp):
            for name in names:
                _flush(Path(folder, name))
            _flush(Path(folder))
        old = _beside(final)
        if final.exists():
            os.replace(final, old)
        os.replace(tmp, final)
        _flush(final.parent)
        shutil.rmtree(old, ignore_errors=True)


@contextmanager
def new_dir(final: Path | str) -> Iterator[Path]:
    """A fresh folder beside `final` to fill; it becomes `final` when the block ends well, else it is removed."""
    final = Path(final)
    with _explained(final):
        final.parent.mkdir(parents=True, exist_ok=True)
        tmp = _beside(final)
        tmp.mkdir()
        try:
            yield tmp
            replace_dir(tmp, final)
        except BaseException:
            shutil.rmtree(tmp, ignore_errors=True)
            raise


def _flush(path: Path) -> None:
    """Push a file or folder to the disk, so that a rename never survives a power cut that its content did not."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _beside(path: Path) -> Path:
    """A free name in the same folder, hidden and marked as unfinished."""
    return path.with_name(f".tmp-{path.name}-{secrets.token_hex(4)}")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Turn a full disk and a folder that cannot be written into one line."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise ZeroCoderError(f"no disk space to write {path}") from error
        if isinstance(error, PermissionError):
            raise ZeroCoderError(f"cannot write {error.filename or path}: {error.strerror}") from error
        raise
