"""Answers on disk: whole lines whatever happens, one evaluation a file, and answers made elsewhere."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from zerocoder.evaluation.questions import Key, Reply
from zerocoder.evaluation.saved import Answers, Header, read, read_folder, read_outside
from zerocoder.problems import Role, ZeroCoderError

HEADER = Header("nano", {"temperature": 0.0, "benchmarks": ["b"], "limit": None}, {"b": "aa"}, {"b": 4})
ONE, TWO = Key("b", "p/1", Role.CODER, 0), Key("b", "p/1", Role.TESTER, 1)
REPLIES = {ONE: Reply("11", "text with \ud800,\n\u2028 and ``` in it", True), TWO: Reply("22", "", too_long=True)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "out" / "generations" / "nano.jsonl"


def fill(file: Path, header: Header = HEADER) -> None:
    with Answers(file, header) as answers:
        for key, reply in REPLIES.items():
            answers.add(key, reply)


def test_answers_come_back_as_they_were(file: Path) -> None:
    fill(file)
    saved = read(file)
    assert (saved.header, saved.replies) == (HEADER, REPLIES)
    assert len(file.read_bytes().splitlines()) == 3
    with Answers(file, HEADER) as answers:
        assert answers.replies == REPLIES


def test_the_file_appears_with_its_first_answer(file: Path) -> None:
    with Answers(file, HEADER) as answers:
        assert not file.parent.exists()
        answers.add(ONE, REPLIES[ONE])
        assert read(file).replies == {ONE: REPLIES[ONE]}  # it is on disk before the evaluation ends


@pytest.mark.parametrize("left", range(1, 60, 7))
def test_a_torn_last_line_is_written_again(file: Path, left: int) -> None:
    fill(file)
    content = file.read_bytes()
    lines = content.splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:2]) + lines[2][:left])
    assert read(file).replies == {ONE: REPLIES[ONE]}
    with Answers(file, HEADER) as answers:
        assert answers.replies == {ONE: REPLIES[ONE]}
        answers.add(TWO, REPLIES[TWO])
    assert file.read_bytes() == content


def test_a_torn_header_is_no_file_yet(file: Path) -> None:
    fill(file)
    content = file.read_bytes()
    file.write_bytes(content[:50])
    fill(file)
    assert file.read_bytes() == content


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (replace(HEADER, model="other"), 'model="nano" (now "other")'),
        (replace(HEADER, settings={**HEADER.settings, "temperature": 0.5}), "temperature=0.0 (now 0.5)"),
        (replace(HEADER, settings={**HEADER.settings, "n": 2}), "n=null (now 2)"),
        (replace(HEADER, prompts={"b": "bb"}), 'prompts of b="aa" (now "bb")'),
        (replace(HEADER, prompts={}, answers={}), 'prompts of b="aa" (now null), answers to b=4 (now null)'),
    ],
)
def test_an_evaluation_with_other_settings_is_refused(file: Path, other: Header, told: str) -> None:
    fill(file)
    before = file.read_bytes()
    with pytest.raises(ZeroCoderError) as refused:
        Answers(file, other)
    assert f"output={file.parents[1]} was started with {told}; repeat the settings" in str(refused.value)
    assert file.read_bytes() == before


def test_one_evaluation_at_a_time(file: Path) -> None:
    with Answers(file, HEADER) as answers:
        answers.add(ONE, REPLIES[ONE])
        with pytest.raises(ZeroCoderError, match="is being written by another evaluation"):
            Answers(file, HEADER)
    Answers(file, HEADER)


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """The kernel refuses to write more into a file: after a part of it, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_whole_lines(file: Path) -> None:
    with Answers(file, HEADER) as answers:
        answers.add(ONE, REPLIES[ONE])
        before = file.read_bytes()
        with files_up_to(len(before) + 40), pytest.raises(ZeroCoderError, match="no disk space to write .*nano.jsonl"):
            answers.add(TWO, REPLIES[TWO])
        assert file.read_bytes() == before
        assert TWO not in answers.replies
        answers.add(TWO, REPLIES[TWO])  # somebody made room
    assert read(file).replies == REPLIES


def test_no_room_for_the_first_answer(file: Path) -> None:
    with files_up_to(30), Answers(file, HEADER) as answers, pytest.raises(ZeroCoderError, match="no disk space"):
        answers.add(ONE, REPLIES[ONE])
    assert file.read_bytes() == b""
    fill(file)
    assert read(file).replies == REPLIES


def test_damage_is_told_with_its_line(file: Path) -> None:
    fill(file)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([lines[0], b'{"problem": "p/1"}\n', lines[2]]))
    with pytest.raises(ZeroCoderError, match=r"nano.jsonl:2: no answer of an evaluation"):
        read(file)
    file.write_bytes(b"".join([lines[0], b"\xff\n", lines[2]]))
    with pytest.raises(ZeroCoderError, match=r"nano.jsonl:2: not UTF-8"):
        Answers(file, HEADER)
    file.write_bytes(lines[1])
    with pytest.raises(ZeroCoderError, match=r"nano.jsonl:1: no header"):
        read(file)


def test_an_output_folder_without_answers(tmp_path: Path, file: Path) -> None:
    with pytest.raises(ZeroCoderError, match="rescore=.*missing: there is no such folder"):
        read_folder(tmp_path / "missing")
    with pytest.raises(ZeroCoderError, match="holds no answers of an evaluation"):
        read_folder(tmp_path)
    fill(file)
    assert [saved.header.model for saved in read_folder(file.parents[1])] == ["nano"]


PROBLEMS = {"mbpp": {"mbpp/1", "mbpp/2"}, "twin": {"mbpp/1"}, "other": {"o/1"}}


def outside(folder: Path, *rows: dict[str, object]) -> dict[Key, Reply]:
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return read_outside(folder / "mine.jsonl", PROBLEMS)


def test_answers_made_elsewhere(tmp_path: Path) -> None:
    answer = {"problem": "mbpp/2", "role": "coder", "text": "x"}
    replies = outside(
        tmp_path,
        answer,
        answer | {"text": "y", "truncated": True},
        {"problem": "mbpp/1", "role": "tester", "text": "z", "benchmark": "twin", "sample": 1},
        {"problem": "o/1", "role": "coder", "text": ""},
    )
    assert replies == {
        Key("mbpp", "mbpp/2", Role.CODER, 0): Reply("", "x"),
        Key("mbpp", "mbpp/2", Role.CODER, 1): Reply("", "y", True),
        Key("twin", "mbpp/1", Role.TESTER, 1): Reply("", "z"),
        Key("other", "o/1", Role.CODER, 0): Reply("", ""),
    }


def test_the_last_line_needs_no_line_end(tmp_path: Path) -> None:
    (tmp_path / "mine.jsonl").write_text('{"problem": "o/1", "role": "coder", "text": "x"}')
    assert len(read_outside(tmp_path / "mine.jsonl", PROBLEMS)) == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"role": "coder", "text": "x"}, 'the field "problem" must be a problem\'s id, got null'),
        ({"problem": "o/1", "role": "coder"}, 'the field "text" must be the answer\'s text, got null'),
        ({"problem": "o/1", "role": "both", "text": "x"}, 'the field "role" must be "coder" or "tester", got "both"'),
        ({"problem": "o/1", "role": "coder", "text": "x", "sample": True}, 'the field "sample" must be a whole number'),
        ({"problem": "o/1", "role": "coder", "text": "x", "sample": -1}, 'the field "sample" must be a whole number'),
        ({"problem": "o/1", "role": "coder", "text": "x", "txt": 1}, 'there is no field "txt"'),
        ({"problem": "o/9", "role": "coder", "text": "x"}, r"none of the benchmarks \(mbpp, twin, other\) has a"),
        ({"problem": "mbpp/1", "role": "coder", "text": "x"}, 'mbpp/1 occurs in mbpp, twin; add "benchmark"'),
        ({"problem": "o/1", "role": "coder", "text": "x", "benchmark": "no"}, "no is none of the benchmarks"),
        ({"problem": "o/1", "role": "coder", "text": "x", "benchmark": "mbpp"}, "benchmark mbpp has no problem o/1"),
        (
            {"problem": "o/1", "role": "coder", "text": "x", "sample": 0},
            "answer 0 of the coder to o/1 was given before",
        ),
    ],
)
def test_rows_that_are_no_answers(tmp_path: Path, row: dict[str, object], message: str) -> None:
    with pytest.raises(ZeroCoderError, match=rf"mine.jsonl:2: .*{message}"):
        outside(tmp_path, {"problem": "o/1", "role": "coder", "text": "first"}, row)


def test_files_that_hold_no_answers(tmp_path: Path) -> None:
    with pytest.raises(ZeroCoderError, match="mine.jsonl is empty"):
        outside(tmp_path)
    with pytest.raises(ZeroCoderError, match="answers=nowhere.jsonl: there is no such file"):
        read_outside("nowhere.jsonl", PROBLEMS)
