"""Published rows: looked for on this machine, then on the Hugging Face hub, and read in the format they come in.

A data set is read from `path` where one is set; else from the folder `$ZEROCODER_DATA/<name>/`; else from the hub.
Files are JSON lines, a JSON array (`.json`), either of them packed by gzip (`.gz`), or parquet. What a file holds is
data: nothing in it is executed or unpickled.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from io import BufferedReader
from pathlib import Path
from typing import Any

from zerocoder.datasets.base import Row
from zerocoder.datasets.hub import Hub, fetched_files, fetched_table
from zerocoder.jsonlines import json_object, kind_of
from zerocoder.problems import ZeroCoderError

HOME = "ZEROCODER_DATA"
"""Environment variable with the folder that holds a folder for each data set."""


def published_rows(
    name: str, path: str | None, key: str, files: Mapping[str, tuple[str, ...]], hub: Hub, split: str
) -> Iterator[Row]:
    """The rows of one split of a data set, in the published order.

    Args:
        name: of the data set, as in `data=<name>`.
        path: a file, which is read whatever the split, or a folder of the published files; None looks for them.
        key: the setting that `path` comes from, for messages.
        files: by split, the names of the published files below their folder. Each is a glob pattern; the first that
            any file matches counts (packed by gzip or not), with all files that do, 2 before 10.
        hub: where the data set lies on the Hugging Face hub.
        split: which rows, a key of `files` and a split on the hub.

    Raises:
        ZeroCoderError: no such file, not readable, or neither on this machine nor reachable; one line says which file
            to put where.
    """
    here = local_files(name, path, key, files[split])
    told = (f"data={name}", f"{_wanted(files[split])} under ${HOME}/{name}/ or set {key}=<file>")
    if here or hub.files:
        for file in here or fetched_files(hub, split, *told):
            yield from read_rows(file, key)
        return
    place = Path(str(hub)) / split
    for number, fields in enumerate(fetched_table(hub, split, *told), 1):
        yield Row(place, number, fields)


def local_files(name: str, path: str | None, key: str, patterns: tuple[str, ...]) -> list[Path]:
    """The files on this machine that `patterns` name; empty where the data set is not here.

    Raises ZeroCoderError where `path` is set and there is no such file or folder, or none of the files in it.
    """
    place = local_place(name, path, key)
    if place is None:
        return []
    if place.is_file():
        return [place]
    for pattern in patterns:
        found = [*place.glob(pattern), *(place.glob(f"{pattern}.gz") if pattern.endswith(("json", "jsonl")) else ())]
        if found:
            return sorted((file for file in found if file.is_file()), key=_natural)
    if path is not None:
        raise ZeroCoderError(f"{key}={path}: the folder holds no {_wanted(patterns)}")
    return []


def local_place(name: str, path: str | None, key: str) -> Path | None:
    """The file or folder that `path` names, else the data set's folder in `$ZEROCODER_DATA`, or None.

    Raises ZeroCoderError where `path` names nothing.
    """
    if path is not None:
        if not path:
            raise ZeroCoderError(f"{key} is empty; it names a file or folder, or is null")
        place = Path(path).expanduser()
        if not place.exists():
            raise ZeroCoderError(f"{key}={path}: there is no such file or folder")
        return place
    home = os.environ.get(HOME)
    folder = Path(home).expanduser() / name if home else None
    return folder if folder is not None and folder.is_dir() else None


def read_rows(path: str | Path, key: str) -> Iterator[Row]:
    """The objects of a file of JSON lines (blank lines are skipped), a JSON array or parquet, by the name's ending.

    `key` is the setting that named the file. Raises ZeroCoderError, with file and line, for what is no such file.
    """
    if not str(path):
        raise ZeroCoderError(f"{key} must name a JSON-lines file")
    path = Path(path).expanduser()
    if not path.is_file():
        raise ZeroCoderError(f"{key}={path}: there is no such file")
    rows = _parquet_rows(path) if path.suffix == ".parquet" else _json_rows(path)
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise ZeroCoderError(f"{path} is empty; one JSON object a line is expected")


def _json_rows(path: Path) -> Iterator[Row]:
    """Lines are split at line feeds only: JSON text may hold other characters that Python counts as line ends."""
    try:
        with _opened(path) as file:
            if path.name.removesuffix(".gz").endswith(".json") and _is_array(file):
                yield from _array_rows(path, file.read())
                return
            for number, raw in enumerate(file, 1):
                if raw.strip():
                    yield Row(path, number, json_object(raw, f"{path}:{number}"))
    except (OSError, EOFError, zlib.error) as error:
        raise ZeroCoderError(f"cannot read {path}: {error}") from error


def _opened(path: Path) -> gzip.GzipFile | BufferedReader:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _is_array(file: gzip.GzipFile | BufferedReader) -> bool:
    """Whether the first character that is no white space is a bracket."""
    start = file.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()
    file.seek(0)
    return start.startswith(b"[")


def _array_rows(path: Path, content: bytes) -> Iterator[Row]:
    """The objects of a JSON array, each with the line it starts on."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ZeroCoderError(f"{path}: not UTF-8 text (byte {error.start})") from error
    decoder = json.JSONDecoder()
    at, line, counted = text.index("[") + 1, 1, 0
    while True:
        at = _skip(text, at)
        if text[at : at + 1] == "]" and not text[at + 1 :].strip():
            return
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise ZeroCoderError(f"{path}:{line}: no JSON ({error}); an array of objects is expected") from error
        if not isinstance(value, dict):
            raise ZeroCoderError(f"{path}:{line}: a JSON object is expected, got {kind_of(value)}")
        yield Row(path, line, value)
        at = _skip(text, at)
        if text[at : at + 1] == ",":
            at += 1
        elif text[at : at + 1] != "]":
            raise ZeroCoderError(f"{path}:{line}: a comma or the end of the array is expected after this object")


def _skip(text: str, at: int) -> int:
    """The first place from `at` on that holds no white space."""
    found = re.compile(r"[^ \t\r\n]").search(text, at)
    return found.start() if found else len(text)


def _parquet_rows(path: Path) -> Iterator[Row]:
    import pyarrow
    from pyarrow import parquet

    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=256):
                for fields in batch.to_pylist():
                    number += 1
                    yield Row(path, number, fields)
    except (OSError, pyarrow.ArrowException) as error:
        raise ZeroCoderError(f"cannot read {path}: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def _natural(file: Path) -> tuple[str, list[Any], str]:
    """A sort key by which test.jsonl, test2.jsonl and test10.jsonl come in this order."""
    stem = file.name.partition(".")[0]
    parts = [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", stem)]
    return str(file.parent), parts, file.name


def _wanted(patterns: tuple[str, ...]) -> str:
    return " or ".join(patterns)


__all__ = ["HOME", "Hub", "local_files", "local_place", "published_rows", "read_rows"]
