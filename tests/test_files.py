"""What is written appears whole, and replaces nothing but files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zerocoder.files import require_writable, write_text
from zerocoder.problems import ZeroCoderError


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "new" / "file.txt"
    for text in ("first", "second"):
        write_text(file, text)
        assert file.read_text() == text
    assert [path.name for path in file.parent.iterdir()] == ["file.txt"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file.txt").write_text("old")
    link = tmp_path / "link.txt"
    link.symlink_to(Path("there", "file.txt"))
    write_text(link, "new")
    assert link.is_symlink() and (tmp_path / "there" / "file.txt").read_text() == "new"


def test_only_files_are_replaced(tmp_path: Path) -> None:
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    os.mkfifo(pipe)
    folder.mkdir()
    with pytest.raises(ZeroCoderError, match="pipe is no regular file: give the name of a file"):
        write_text(pipe, "text")
    with pytest.raises(ZeroCoderError, match="folder is a folder: give the name of a file"):
        write_text(folder, "text")
    assert pipe.is_fifo() and folder.is_dir()
    assert sorted(tmp_path.iterdir()) == [folder, pipe]


def test_a_folder_that_can_be_written_is_not_made(tmp_path: Path) -> None:
    assert require_writable(tmp_path / "a" / "b", "root=x") == tmp_path
    assert require_writable(tmp_path / "a" / ".." / ".." / tmp_path.name / "b", "root=x") == tmp_path
    assert require_writable(tmp_path, "root=x") == tmp_path
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named_with_its_setting(tmp_path: Path) -> None:
    """Root may write everywhere by the permissions, and still cannot in /proc."""
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for folder, place in (
        (tmp_path / "file", tmp_path / "file"),
        (tmp_path / "file" / "x", tmp_path / "file"),
        (tmp_path / "dangling", tmp_path / "dangling"),
        (Path("/proc/x/y"), Path("/proc")),
        (Path("/proc"), Path("/proc")),
        (tmp_path / ("x" * 300), tmp_path),
    ):
        with pytest.raises(ZeroCoderError) as error:
            require_writable(folder, "data.cache=x")
        assert str(error.value).startswith(f"data.cache=x: {place} is no folder that can be written to (")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dangling", "file"]
