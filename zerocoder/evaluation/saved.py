"""Answers on disk: those of a running evaluation as they arrive, of an earlier one, or made elsewhere.

An evaluation keeps a JSON-lines file a model in `generations/` of its output folder. The first line, the header, says
what decides the answers; every other one holds an answer and is written as soon as there is one. A killed evaluation
leaves whole lines, but for the last, which is written again; the same evaluation started again asks for what is
missing. Answers made elsewhere (`answers=mine.jsonl`) need no header: one object a line,

    {"problem": "mbpp/11", "role": "coder", "text": "```python\\n...```"}

and, where they are needed, "benchmark" (a problem id may occur in several), "sample" (0, 1, ... of the n answers to
one question; they are counted up where it is left out), "truncated" (cut off at the token limit).
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from zerocoder.evaluation.questions import Key, Reply
from zerocoder.jsonlines import json_object
from zerocoder.problems import Role, ZeroCoderError

FOLDER = "generations"
FORMAT = 1
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Header:
    """What decides a model's answers.

    settings: command-line key -> value.
    prompts: benchmark -> hash of its prompts.
    answers: benchmark -> how many answers it has when it is complete.
    """

    model: str
    settings: Mapping[str, Any]
    prompts: Mapping[str, str]
    answers: Mapping[str, int]

    def difference(self, other: Header) -> str:
        """What `other` has otherwise, in a few words; empty where it is the same."""
        mine, others = self._flat(), other._flat()
        changed = [key for key in mine | others if mine.get(key) != others.get(key)]
        told = [f"{key}={_shown(mine.get(key))} (now {_shown(others.get(key))})" for key in changed[:3]]
        return ", ".join(told) + (f" and {len(changed) - 3} more" if len(changed) > 3 else "")

    def _flat(self) -> dict[str, Any]:
        return {
            "model": self.model,
            **self.settings,
            **{f"prompts of {name}": digest for name, digest in self.prompts.items()},
            **{f"answers to {name}": count for name, count in self.answers.items()},
        }


@dataclass(frozen=True, slots=True)
class Saved:
    """The answers of one file."""

    file: Path
    header: Header
    replies: Mapping[Key, Reply]


class Answers:
    """The file of a model's answers while they arrive: `replies` are those that it had, `add` appends one.

    The file appears with its first answer. Raises ZeroCoderError where it holds answers of other settings, is damaged,
    or is being written by another process.
    """

    def __init__(self, file: Path, header: Header) -> None:
        self.file = file
        self.replies: dict[Key, Reply] = {}
        self._header = header
        self._handle: int | None = None
        self._size = 0
        if file.exists():
            self._open()
            self._continue()

    def add(self, key: Key, reply: Reply) -> None:
        """Append an answer, whole or not at all. Raises ZeroCoderError when the disk is full."""
        lines = _line(_answer_row(key, reply))
        try:
            if self._handle is None:
                self.file.parent.mkdir(parents=True, exist_ok=True)
                self._open()
            if not self._size:
                lines = _line({"format": FORMAT, **asdict(self._header)}) + lines
            self._append(lines)
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise ZeroCoderError(
                f"no disk space to write {self.file}; free some and start the same command with the same output= again"
            ) from error
        self.replies[key] = reply

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _open(self) -> None:
        self._handle = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ZeroCoderError(
                f"{self.file} is being written by another evaluation; wait for it to end, or name another output="
            ) from error

    def _continue(self) -> None:
        """Take in what is there; a last line without its end was torn and goes."""
        assert self._handle is not None
        content = self.file.read_bytes()
        self._size = content.rfind(b"\n") + 1
        if self._size < len(content):
            os.ftruncate(self._handle, self._size)
        if not self._size:
            return
        saved = read(self.file)
        difference = saved.header.difference(self._header)
        if difference:
            raise ZeroCoderError(
                f"output={self.file.parents[1]} was started with {difference}; "
                "repeat the settings it was started with, or name a new folder"
            )
        self.replies.update(saved.replies)

    def _append(self, content: bytes) -> None:
        assert self._handle is not None
        written = 0
        try:
            while written < len(content):
                written += os.write(self._handle, content[written:])
        except OSError:
            os.ftruncate(self._handle, self._size)
            raise
        self._size += written


def read(file: Path) -> Saved:
    """A file of an evaluation's answers; a torn last line is left out. Raises ZeroCoderError for any other file."""
    rows = _rows(file)
    _, first = next(rows, (0, {}))
    try:
        if first.pop("format") != FORMAT:
            raise ValueError
        header = Header(**first)
    except (KeyError, TypeError, ValueError) as error:
        raise ZeroCoderError(f"{file}:1: no header of an evaluation's answers (of format {FORMAT})") from error
    replies: dict[Key, Reply] = {}
    for number, row in rows:
        try:
            reply = Reply(row["prompt"], row["text"], row["truncated"], row.get("too_long", False))
            replies[Key(row["benchmark"], row["problem"], Role(row["role"]), row["sample"])] = reply
        except (KeyError, ValueError, TypeError) as error:
            raise ZeroCoderError(f"{file}:{number}: no answer of an evaluation; remove the line") from error
    return Saved(file, header, replies)


def read_folder(folder: Path | str) -> list[Saved]:
    """The answers of every model of an evaluation's output folder. Raises ZeroCoderError where there are none."""
    place = Path(folder).expanduser()
    if not place.is_dir():
        raise ZeroCoderError(f"rescore={folder}: there is no such folder")
    files = sorted((place / FOLDER).glob("*.jsonl"))
    if not files:
        raise ZeroCoderError(f"rescore={folder} holds no answers of an evaluation: {place / FOLDER} has no .jsonl file")
    return [read(file) for file in files]


def read_outside(file: Path | str, problems: Mapping[str, set[str]]) -> dict[Key, Reply]:
    """Answers made elsewhere, `problems` being the ids of each benchmark.

    Raises ZeroCoderError, with file and line, for a row that is no answer or answers no problem of the benchmarks.
    """
    place = Path(file).expanduser()
    if not place.is_file():
        raise ZeroCoderError(f"answers={file}: there is no such file")
    replies: dict[Key, Reply] = {}
    seen: Counter[Key] = Counter()
    for number, row in _rows(place, complete=True):
        where = f"{file}:{number}"
        _check_fields(row, where)
        question = Key(_benchmark_of(row, problems, where), row["problem"], Role(row["role"]), 0)
        key = question._replace(sample=row.get("sample", seen[question]))
        seen[question] += 1
        if key in replies:
            raise ZeroCoderError(f"{where}: answer {key.sample} of the {key.role} to {key.problem} was given before")
        replies[key] = Reply("", row["text"], row.get("truncated", False))
    if not replies:
        raise ZeroCoderError(f"answers={file} is empty; one JSON object a line is expected")
    return replies


_FIELDS: Mapping[str, tuple[type, str]] = {
    "problem": (str, "a problem's id"),
    "role": (str, '"coder" or "tester"'),
    "text": (str, "the answer's text"),
    "benchmark": (str, "a benchmark's name"),
    "sample": (int, "a whole number from 0 on"),
    "truncated": (bool, "true or false"),
}


def _check_fields(row: Mapping[str, Any], where: str) -> None:
    for name, (kind, what) in _FIELDS.items():
        needed = name in ("problem", "role", "text")
        value = row.get(name)
        wrong = type(value) is not kind or (isinstance(value, int) and value < 0)
        if (needed or name in row) and wrong:
            raise ZeroCoderError(f'{where}: the field "{name}" must be {what}, got {_shown(value)}')
    if row["role"] not in tuple(Role):
        raise ZeroCoderError(f'{where}: the field "role" must be "coder" or "tester", got {_shown(row["role"])}')
    unknown = sorted(set(row) - set(_FIELDS))
    if unknown:
        raise ZeroCoderError(f'{where}: there is no field "{unknown[0]}"; known are {", ".join(_FIELDS)}')


def _benchmark_of(row: Mapping[str, Any], problems: Mapping[str, set[str]], where: str) -> str:
    """The benchmark that a row answers a problem of."""
    having = [name for name, ids in problems.items() if row["problem"] in ids]
    named = row.get("benchmark")
    if named is not None and named not in problems:
        raise ZeroCoderError(f"{where}: {named} is none of the benchmarks ({', '.join(problems)})")
    if named is not None and named not in having:
        raise ZeroCoderError(f"{where}: benchmark {named} has no problem {row['problem']}")
    if not having:
        raise ZeroCoderError(f"{where}: none of the benchmarks ({', '.join(problems)}) has a problem {row['problem']}")
    if named is None and len(having) > 1:
        raise ZeroCoderError(f'{where}: {row["problem"]} occurs in {", ".join(having)}; add "benchmark" to the line')
    return having[0] if named is None else str(named)


def _rows(file: Path, complete: bool = False) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line numbers and objects; the last line counts without a line end only in a `complete` file."""
    try:
        with file.open("rb") as handle:
            for number, line in enumerate(handle, 1):
                if line.strip() and (complete or line.endswith(b"\n")):
                    yield number, json_object(line, f"{file}:{number}")
    except OSError as error:
        raise ZeroCoderError(f"cannot read {file}: {error.strerror}") from error


def _answer_row(key: Key, reply: Reply) -> dict[str, Any]:
    row = {**key._asdict(), "role": key.role.value, "prompt": reply.prompt, "text": reply.text}
    return row | {"truncated": reply.truncated} | ({"too_long": True} if reply.too_long else {})


def _line(row: Mapping[str, Any]) -> bytes:
    return (json.dumps(row) + "\n").encode("ascii")


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
