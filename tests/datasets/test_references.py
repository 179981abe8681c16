"""Pseudo references from a real HTTP server that speaks the API, and from the local model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from zerocoder.datasets.builtin import Builtin
from zerocoder.datasets.jsonl import write_jsonl
from zerocoder.datasets.references import main
from zerocoder.problems import Label, Problem, Style, TestCase, ZeroCoderError

RIGHT = {"double": "def double(x):\n    return 2 * x", "script": "print(int(input()) + 1)"}
PROBLEMS = [
    Problem("double", "Double x.", entry_point="double", signature="def double(x):",
            label=Label("", (TestCase("assert double(2) == 4"), TestCase("assert double(0) == 0")))),
    Problem("script", "Add one.", style=Style.STDIN, label=Label("", (TestCase(stdin="1\n", stdout="2\n"),))),
    Problem("hard", "Too hard.", entry_point="hard", signature="def hard():",
            label=Label("", (TestCase("assert hard() == 1"),))),
]  # fmt: skip
Answer = tuple[int, dict[str, Any]]


class Server(ThreadingHTTPServer):
    """What it answers is up to `respond`, which gets the request's number and body."""

    daemon_threads = True

    def __init__(self, respond: Callable[[int, dict[str, Any]], Answer]) -> None:
        self.respond = respond
        self.models: Answer = (200, {"data": [{"id": "big"}]})
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._send(*(self.server.models if self.path == "/v1/models" else (404, {})))

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(body)
        self.server.headers.append(dict(self.headers))
        number = len(self.server.requests)
        if self.path != "/v1/chat/completions":
            return self._send(404, {"detail": "Not Found"})
        return self._send(*self.server.respond(number, body))

    def _send(self, status: int, value: Any) -> None:
        if status == 0:
            self.connection.close()  # in the middle of a conversation
            return
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        if status == 307:
            self.send_header("Location", "http://elsewhere.example/v1")
        if status == 429:
            self.send_header("Retry-After", "0")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        pass


def chosen(*texts: str | None, finish: str = "stop") -> Answer:
    return 200, {"choices": [{"message": {"content": t}, "finish_reason": finish} for t in texts]}


def fenced(code: str) -> str:
    return f"```python\n{code}\n```"


def solve(number: int, body: dict[str, Any]) -> Answer:
    """Wrong answers, then a right one last; nothing usable for the hard problem."""
    question = body["messages"][-1]["content"]
    name = "double" if "Double" in question else "script" if "Add one" in question else "hard"
    if name == "hard":
        return chosen("I do not know.", None, *[fenced("def hard():\n    return 2")] * (body["n"] - 2))
    wrong = fenced("def double(x):\n    return x\nprint(0)")
    return chosen(*[wrong] * (body["n"] - 1), f"Here:\n{fenced(RIGHT[name])}")


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Server]]:
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    servers: list[Server] = []

    def started(respond: Callable[[int, dict[str, Any]], Answer] = solve) -> Server:
        servers.append(Server(respond))
        threading.Thread(target=servers[-1].serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return servers[-1]

    yield started
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., list[str]]:
    """The arguments that sample the three problems from a server into references.jsonl."""
    write_jsonl(PROBLEMS, tmp_path / "problems.jsonl")

    def arguments(url: str, *more: str) -> list[str]:
        return [
            "data=jsonl", f"data.source.path='{tmp_path / 'problems.jsonl'}'",
            f"data.source.heldout_path='{tmp_path / 'problems.jsonl'}'", f"output='{tmp_path / 'references.jsonl'}'",
            f"server={url}", "retry_seconds=0.01", "verifier.workers=1", "verifier.cache_mb=0", *more,
        ]  # fmt: skip

    return arguments


def rows(tmp_path: Path) -> dict[str, dict[str, Any]]:
    lines = (tmp_path / "references.jsonl").read_text("utf-8").splitlines()
    return {row["id"]: row for row in map(json.loads, lines)}


def test_one_that_passes_is_kept(
    serve: Callable[..., Server], command: Callable[..., list[str]], tmp_path: Path
) -> None:
    server = serve()
    assert main(command(server.url, "samples=3", "temperature=0.9", "max_tokens=100")) == 0
    assert rows(tmp_path) == {
        "double": {"id": "double", "solution": RIGHT["double"], "model": "big", "sampled": 3, "passed": 1},
        "script": {"id": "script", "solution": RIGHT["script"], "model": "big", "sampled": 3, "passed": 1},
        "hard": {"id": "hard", "solution": "", "model": "big", "sampled": 3, "passed": 0},
    }
    assert len(server.requests) == 3
    body = server.requests[0]
    assert {k: v for k, v in body.items() if k != "messages"} == {
        "model": "big", "n": 3, "temperature": 0.9, "top_p": 0.95, "max_tokens": 100,
    }  # fmt: skip
    assert [turn["role"] for turn in body["messages"]] == ["system", "user"]
    assert all("Authorization" not in headers for headers in server.headers)


def test_what_is_there_is_not_sampled_again(
    serve: Callable[..., Server], command: Callable[..., list[str]], tmp_path: Path
) -> None:
    first = {"id": "double", "solution": "def double(x): return x + x", "model": "old", "sampled": 8, "passed": 2}
    tried = {"id": "hard", "solution": "", "model": "big", "sampled": 2, "passed": 0}
    torn = '{"id": "script", "solution": "print('
    file = tmp_path / "references.jsonl"
    file.write_text(f"{json.dumps(first)}\n{json.dumps(tried)}\n{torn}")
    server = serve()
    assert main(command(server.url, "samples=2")) == 0
    assert [r["messages"][-1]["content"].count("Add one") for r in server.requests] == [1]
    assert [json.loads(line)["id"] for line in file.read_text().splitlines()] == ["double", "hard", "script"]
    assert main(command(server.url, "samples=4")) == 0, "more samples are wanted where none passed"
    assert len(server.requests) == 2
    server.models = (200, {"data": [{"id": "bigger"}]})
    assert main(command(server.url, "samples=2")) == 0, "another model may find what this one did not"
    assert [r["model"] for r in server.requests] == ["big", "big", "bigger"]
    assert rows(tmp_path)["double"] == first


def test_a_server_that_gives_one_answer_at_a_time(
    serve: Callable[..., Server], command: Callable[..., list[str]], tmp_path: Path
) -> None:
    server = serve(lambda number, body: chosen(fenced(RIGHT["double"])))
    assert main(command(server.url, "samples=4", "limit=1", "server_model=any", "server_options={n: null, x: 1}")) == 0
    assert rows(tmp_path)["double"]["sampled"] == 4
    assert [("n" in r, r["x"], r["model"]) for r in server.requests] == [(False, 1, "any")] * 4


def test_cut_off_answers_are_none(
    serve: Callable[..., Server], command: Callable[..., list[str]], tmp_path: Path
) -> None:
    server = serve(lambda number, body: chosen(f"```python\n{RIGHT['double']}", finish="length"))
    assert main(command(server.url, "samples=1", "limit=1")) == 0
    assert rows(tmp_path)["double"]["passed"] == 0


def test_the_key_is_sent_and_never_shown(
    serve: Callable[..., Server],
    command: Callable[..., list[str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("MY_KEY", "secret-key")
    server = serve()
    assert main(command(server.url, "server_key=MY_KEY")) == 0
    assert {headers["Authorization"] for headers in server.headers} == {"Bearer secret-key"}
    assert "secret-key" not in (tmp_path / "references.jsonl").read_text() + "".join(capsys.readouterr())


@pytest.mark.parametrize("failure", [(429, {}), (500, {"error": {"message": "out of memory"}}), (503, {}), (0, {})])
def test_failures_that_pass_are_tried_again(
    serve: Callable[..., Server], command: Callable[..., list[str]], tmp_path: Path, failure: Answer
) -> None:
    server = serve(lambda number, body: failure if number in (1, 2, 5) else solve(number, body))
    assert main(command(server.url, "concurrency=1")) == 0
    assert len(server.requests) == 6
    assert sum(bool(row["solution"]) for row in rows(tmp_path).values()) == 2


def test_a_failure_that_stays_ends_the_command_and_keeps_what_came(
    serve: Callable[..., Server], command: Callable[..., list[str]], tmp_path: Path
) -> None:
    server = serve(lambda number, body: (502, {"error": "bad gateway"}) if number > 1 else solve(number, body))
    with pytest.raises(ZeroCoderError, match="failed 7 times in a row .502 bad gateway.; what was answered is saved"):
        main(command(server.url, "concurrency=1"))
    assert set(rows(tmp_path)) == {"double"}
    server.respond = solve
    assert main(command(server.url)) == 0
    assert set(rows(tmp_path)) == {"double", "script", "hard"}


def test_one_refused_problem_does_not_stop_the_others(
    serve: Callable[..., Server],
    command: Callable[..., list[str]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    too_long = 400, {"error": {"message": "This model's maximum context length is 8 tokens"}}
    server = serve(lambda number, body: too_long if number == 2 else solve(number, body))
    assert main(command(server.url, "concurrency=1")) == 0
    assert set(rows(tmp_path)) == {"double", "hard"}
    assert "1 refused by the server (400 This model's maximum context length is 8 tokens)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("models", "answer", "more", "message"),
    [
        ((200, {"data": [{"id": "a"}, {"id": "b"}]}), chosen("x"), [], "name the model by server_model=.*: it has a, b"),
        ((404, {}), chosen("x"), [], "name the model by server_model=.*does not list any"),
        ((401, {}), chosen("x"), [], "wants a key .401.: put it into the environment variable OPENAI_API_KEY"),
        ((404, {}), (401, {}), ["server_model=a"], "wants a key"),
        ((200, b"<html>"), chosen("x"), [], "is no OpenAI-compatible API: .* usually ends in /v1"),
        ((200, {"data": [{"id": "large"}]}), (404, {"error": {"message": "no such model"}}), ["server_model=larg"],
         "has no model larg at this address .no such model.: its models are large; did you mean 'large'"),
        ((404, {}), (404, {"detail": "Not Found"}), ["server_model=a"], "Not Found.: the address usually ends in /v1"),
        ((307, {}), chosen("x"), [], "sends requests on to http://elsewhere.example/v1: set server= to where"),
        ((200, {"data": [{"id": "a"}]}), (400, {"error": {"message": "no max_tokens"}}), [],
         "refuses the request .400 no max_tokens.; server_options="),
        ((200, {"data": [{"id": "a"}]}), (200, b"no json"), [], "answers what is no JSON"),
        ((200, {"data": [{"id": "a"}]}), (200, {"id": 1}), [], "answers what is no chat completion: ..id.: 1"),
        ((200, {"data": [{"id": "a"}]}), (200, {"choices": []}), [], "answers without any text"),
    ],
)  # fmt: skip
def test_mistakes_about_the_server(
    serve: Callable[..., Server],
    command: Callable[..., list[str]],
    models: Answer,
    answer: Answer,
    more: list[str],
    message: str,
) -> None:
    server = serve(lambda number, body: answer)
    server.models = models
    with pytest.raises(ZeroCoderError, match=message) as caught:
        main(command(server.url, *more))
    assert "\n" not in str(caught.value)


def test_a_wrong_key_is_told_from_none(
    serve: Callable[..., Server], command: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "stale")
    server = serve()
    server.models = (401, {"error": {"message": "expired"}})
    with pytest.raises(ZeroCoderError, match=r"refuses the key in \$OPENAI_API_KEY .401 expired."):
        main(command(server.url))


def test_a_server_that_is_not_there(command: Callable[..., list[str]], serve: Callable[..., Server]) -> None:
    server = serve()
    server.shutdown()
    server.server_close()
    with pytest.raises(ZeroCoderError, match="cannot be reached .Connection refused.: is it running"):
        main(command(server.url))
    with pytest.raises(ZeroCoderError, match="server must be an address such as http://localhost:8000/v1"):
        main(command("localhost:8000"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["data=builtin"], "say what samples: server="),
        (["server=http://127.0.0.1:9/v1"], "say which data set: data=livecodebench"),
        (["data=builtin", "model=nano", "samples=0"], "samples must be > 0"),
        (["data=builtin", "model=nano", "sample=4"], "did you mean 'samples'"),
        (["data=builtin", "model=nano", "max_tokens=4096"], "max_tokens=4096 leaves no room for a prompt in the"),
        (["--fast"], "unknown flag --fast"),
    ],
)
def test_mistakes_on_the_command_line(arguments: list[str], message: str) -> None:
    with pytest.raises(ZeroCoderError, match=message):
        main(arguments)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"id": "a", "solution": 3}\n', r"references.jsonl:1: "),
        ('{"id": "a", "solution": "x", "model": "m"}\n', "1: is no row of references"),
        ("[1]\n", "1: a JSON object is expected"),
    ],
)
def test_an_output_of_another_kind(
    command: Callable[..., list[str]], serve: Callable[..., Server], tmp_path: Path, content: str, message: str
) -> None:
    (tmp_path / "references.jsonl").write_text(content)
    with pytest.raises(ZeroCoderError, match=message):
        main(command(serve().url))
    assert (tmp_path / "references.jsonl").read_text() == content


def test_an_output_that_cannot_be_written(
    command: Callable[..., list[str]], serve: Callable[..., Server], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    server = serve()
    with pytest.raises(ZeroCoderError, match="output=.*/references.jsonl: .*/file is no folder that can be written"):
        main(command(server.url, f"output='{tmp_path / 'file' / 'references.jsonl'}'"))
    assert not server.requests


def test_help_and_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "python -m zerocoder.datasets references data=livecodebench server=" in capsys.readouterr().out
    assert main(["--cfg", "job", "data=builtin", "samples=4"]) == 0
    assert "\nsamples: 4\n" in capsys.readouterr().out


def test_an_interrupted_command_goes_on(
    serve: Callable[..., Server], command: Callable[..., list[str]], tmp_path: Path
) -> None:
    """Ctrl-C while a request hangs: the command ends at once, and its second run asks for the rest alone."""
    hang = threading.Event()

    def slow(number: int, body: dict[str, Any]) -> Answer:
        if number > 1:
            hang.wait(60)
        return solve(number, body)

    server = serve(slow)
    source = "import sys\nfrom zerocoder.datasets.references import main\nfrom zerocoder.exits import exit_with\n"
    source += "exit_with(lambda: main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", source, *command(server.url, "concurrency=1")],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )
    file = tmp_path / "references.jsonl"
    while process.poll() is None and not (file.exists() and file.read_text() and len(server.requests) == 2):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    hang.set()
    assert process.returncode == 130, err
    assert "1 of 3 are in" in err
    assert "Traceback" not in err
    assert set(rows(tmp_path)) == {"double"}
    server.requests.clear()
    server.respond = solve
    assert main(command(server.url)) == 0
    assert len(server.requests) == 2
    assert set(rows(tmp_path)) == {"double", "script", "hard"}


def test_no_torch_is_loaded_for_a_server() -> None:
    code = (
        "import sys, zerocoder.datasets.references; sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class _Held:
    ids: ClassVar = {p.id for p in Builtin().heldout()}


def test_a_local_model(tmp_path: Path) -> None:
    output = tmp_path / "references.jsonl"
    arguments = ["data=builtin", "model=nano", "samples=4", "limit=6", f"output='{output}'", "accelerator=cpu"]
    arguments += ["verifier.workers=1", "verifier.cache_mb=0"]
    assert main(arguments) == 0
    found = rows(tmp_path)
    assert len(found) == 6
    assert found.keys() <= _Held.ids
    assert all(row["model"] == "nano" and row["sampled"] == 4 for row in found.values())
    assert all(bool(row["solution"]) == (row["passed"] > 0) for row in found.values())
    assert any(row["solution"] for row in found.values()), "it solves about half of the held-out problems"
    before = output.read_bytes()
    assert main(arguments) == 0
    assert output.read_bytes() == before
