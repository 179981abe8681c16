"""Published rows: every format, where they are looked for, the hub, and what is said about files that are something else."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from zerocoder.datasets.base import FORMATS, Row, UnusableRowError, collect
from zerocoder.datasets.hub import Hub, MissingDataError
from zerocoder.datasets.reading import published_rows, read_rows
from zerocoder.problems import Problem, ZeroCoderError

ROWS = [{"id": 1, "text": "a\u2028b", "tests": ["x", "y"]}, {"id": 2, "text": "ü", "tests": []}]
FILES = {"test": ("test*.jsonl", "data/test-*.parquet")}
NOWHERE = Hub("nobody/nothing", "0123456789abcdef")


def lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def written(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = json.dumps(ROWS, indent=1, ensure_ascii=False).encode()
    match path.name.partition(".")[2]:
        case "jsonl":
            path.write_bytes(b"\n" + lines(ROWS))
        case "jsonl.gz":
            path.write_bytes(gzip.compress(lines(ROWS)))
        case "json":
            path.write_bytes(b"\xef\xbb\xbf \n" + array + b"\n")
        case "json.gz":
            path.write_bytes(gzip.compress(array))
        case "parquet":
            parquet.write_table(pyarrow.Table.from_pylist(ROWS), path)
    return path


def rows(path: str | None, hub: Hub = NOWHERE) -> list[Row]:
    return list(published_rows("mine", path, "data.source.path", FILES, hub, "test"))


@pytest.mark.parametrize(
    ("name", "places"),
    [("a.jsonl", [2, 3]), ("a.jsonl.gz", [1, 2]), ("a.json", [3, 11]), ("a.json.gz", [2, 10]), ("a.parquet", [1, 2])],
)
def test_every_format_holds_the_same_rows(tmp_path: Path, name: str, places: list[int]) -> None:
    path = written(tmp_path / name)
    found = rows(str(path))
    assert [row.fields for row in found] == ROWS
    assert [(row.path, row.line) for row in found] == [(path, place) for place in places]


def test_json_lines_may_be_called_json(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(lines(ROWS))
    assert [row.fields for row in rows(str(tmp_path / "a.json"))] == ROWS


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"a": 1}\nno\n', r"a\.jsonl:2: not JSON"),
        ("a.jsonl", b"[1]\n", r"a\.jsonl:1: a JSON object is expected, got a list"),
        ("a.jsonl", b"\n", r"a\.jsonl is empty"),
        ("a.jsonl.gz", b"plain", r"cannot read .*a\.jsonl\.gz: Not a gzipped file"),
        ("a.json", b'[\n{"a": 1},\n{"a": }]', r"a\.json:3: no JSON"),
        ("a.json", b'[\n{"a": 1},\n3]', r"a\.json:3: a JSON object is expected, got a number"),
        ("a.json", b'[{"a": 1} {"a": 2}]', r"a\.json:1: a comma or the end of the array is expected"),
        ("a.json", b'[{"a": 1}', r"a\.json:1: a comma or the end"),
        ("a.json", b'[{"a": 1}] more', r"a\.json:1: no JSON"),
        ("a.json", b'[{"a": "\xff"}]', r"a\.json: not UTF-8 text \(byte 8\)"),
        ("a.json", b"[]", r"a\.json is empty"),
        ("a.parquet", b"no table", r"cannot read .*a\.parquet: Parquet magic bytes not found"),
    ],
)
def test_broken_files_are_told_with_their_place(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ZeroCoderError, match=message) as raised:
        list(read_rows(tmp_path / name, "data.source.path"))
    assert "\n" not in str(raised.value)


def test_a_folder_is_searched_for_the_published_names(tmp_path: Path) -> None:
    (tmp_path / "other.jsonl").write_text("{}")
    with pytest.raises(ZeroCoderError, match=r"the folder holds no test\*\.jsonl or data/test-\*\.parquet"):
        rows(str(tmp_path))
    written(tmp_path / "data" / "test-00000-of-00001.parquet")
    assert [row.fields["id"] for row in rows(str(tmp_path))] == [1, 2]
    for number in (10, 2):
        (tmp_path / f"test{number}.jsonl.gz").write_bytes(gzip.compress(b'{"id": %d}' % number))
    (tmp_path / "test.jsonl").write_text('{"id": 0}')
    assert [row.fields["id"] for row in rows(str(tmp_path))] == [0, 2, 10]  # the first pattern counts, 2 before 10


def test_the_users_folder_of_data_sets_comes_before_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "mine" / "test.jsonl")
    monkeypatch.setenv("ZEROCODER_DATA", str(tmp_path))
    assert len(rows(None)) == 2
    for path, message in ((str(tmp_path / "nowhere"), "no such file or folder"), ("", "is empty")):
        with pytest.raises(ZeroCoderError, match=f"data.source.path.*{message}"):
            rows(path)


OFFLINE = """
from zerocoder.datasets.hub import Hub, MissingDataError
from zerocoder.datasets.reading import published_rows
for files in ({}, {"test": ("test.jsonl",)}):
    hub = Hub("nobody/nothing", "0123456789abcdef", files=files)
    try:
        list(published_rows("mine", None, "data.source.path", {"test": ("test.jsonl",)}, hub, "test"))
    except MissingDataError as error:
        print(error)
"""


def clean_environment(home: Path, **more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "ZEROCODER_"))}
    return kept | {"HF_HOME": str(home), **more}


def test_without_a_network_one_line_says_which_file_to_put_where(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE],
        env=clean_environment(tmp_path, HF_HUB_OFFLINE="1"),
        capture_output=True,
        text=True,
        check=True,
    )
    line = (
        "data=mine: nobody/nothing@01234567 is not on this machine and the hub cannot be reached; "
        "put test.jsonl under $ZEROCODER_DATA/mine/ or set data.source.path=<file>\n"
    )
    assert done.stdout == line * 2
    assert done.stderr == ""


SHA = "0123456789abcdef0123456789abcdef01234567"


class HubHandler(BaseHTTPRequestHandler):
    """As much of the hub's protocol as `datasets` and `huggingface_hub` ask for a repository of two files."""

    files: dict[str, bytes]

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        name = path.partition(f"/resolve/{SHA}/")[2]
        if path.startswith("/api/datasets/nobody/nothing/tree/"):
            folder = path.partition(SHA)[2].strip("/")
            entries = [self.entry(file) for file in self.files if file.startswith(folder)]
            self.answer(200, json.dumps(entries).encode())
        elif path.startswith("/api/datasets/nobody/nothing"):
            siblings = [{"rfilename": file} for file in self.files]
            self.answer(200, json.dumps({"id": "nobody/nothing", "sha": SHA, "siblings": siblings}).encode())
        elif name in self.files:
            self.answer(200, self.files[name], ETag=f'"{name}"')
        else:
            self.answer(404, b"", **{"X-Error-Code": "EntryNotFound"})

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["paths"]
        self.answer(200, json.dumps([self.entry(file) for file in self.files if file in asked]).encode())

    def entry(self, file: str) -> dict[str, Any]:
        return {"type": "file", "path": file, "size": len(self.files[file]), "oid": file.encode().hex()}

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for key, value in {"X-Repo-Commit": SHA, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def local_hub(tmp_path: Path) -> Iterator[str]:
    table = written(tmp_path / "made" / "a.parquet").read_bytes()
    handler = type("Handler", (HubHandler,), {"files": {"test.jsonl": lines(ROWS), "data/test-00000.parquet": table}})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


ONLINE = f"""
from zerocoder.datasets.hub import Hub
from zerocoder.datasets.reading import published_rows
for files in ({{"test": ("test.jsonl",)}}, {{}}):
    hub = Hub("nobody/nothing", {SHA!r}, files=files)
    for row in published_rows("mine", None, "data.source.path", {{"test": ("test.jsonl",)}}, hub, "test"):
        print(ascii(row.fields), row.path.name, row.line)
"""


def test_rows_come_from_the_hub_once_and_then_from_its_cache(tmp_path: Path, local_hub: str) -> None:
    expected = [f"{row!a} {place} {i}" for place in ("test.jsonl", "test") for i, row in enumerate(ROWS, 1)]
    for more in ({"HF_ENDPOINT": local_hub}, {"HF_HUB_OFFLINE": "1"}):
        done = subprocess.run(
            [sys.executable, "-c", ONLINE],
            env=clean_environment(tmp_path / "home", **more),
            capture_output=True,
            text=True,
        )
        assert done.stdout.splitlines() == expected, done.stderr


def row(**fields: Any) -> Row:
    return Row(Path("a.jsonl"), 7, fields)


def test_a_row_of_another_data_set_is_recognised() -> None:
    human_eval = row(task_id="HumanEval/0", prompt="def f():", canonical_solution="", test="", entry_point="f")
    with pytest.raises(
        ZeroCoderError, match=r'a.jsonl:7: no row of MBPP: "text", "code", "test_list" missing; .*=humaneval'
    ):
        human_eval.expect("MBPP", FORMATS["mbpp"])
    with pytest.raises(ZeroCoderError, match=r'"text", "code", "test_list" missing; it has "a", "b"$'):
        row(a=1, b=2).expect("MBPP", FORMATS["mbpp"])
    with pytest.raises(ZeroCoderError, match="it has no field at all"):
        row().expect("MBPP", FORMATS["mbpp"])
    human_eval.expect("HumanEval", FORMATS["humaneval"])
    row(text="", code="").expect("MBPP", FORMATS["mbpp"])  # one slip is told where the field is read


def test_rows_are_parsed_once_and_reasons_counted() -> None:
    def parse(row: Row) -> Problem:
        parsed.append(row.line)
        if row.line % 2:
            raise UnusableRowError("odd")
        return Problem(id=f"p/{row.line}", statement="", entry_point="f")

    parsed: list[int] = []
    given = [Row(Path("a"), line, {}) for line in (1, 2, 3, 4)]
    problems, reasons = collect(given, parse)
    assert [p.id for p in problems] == ["p/2", "p/4"]
    assert (reasons, parsed) == ({"odd": 2}, [1, 2, 3, 4])
    with pytest.raises(ZeroCoderError, match='a:2: the id "p/2" was used before, on line 2'):
        collect([*given, given[1]], parse)
    with pytest.raises(ZeroCoderError, match='b:2: the id "p/2" was used before, on a:2'):
        collect([*given, Row(Path("b"), 2, {})], parse)


def test_missing_data_is_a_users_mistake() -> None:
    assert issubclass(MissingDataError, ZeroCoderError)
