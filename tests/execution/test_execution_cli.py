"""`python -m zerocoder.execution`: matrices by hand, mistakes in one line, and what doctor says of lesser hosts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from zerocoder.execution import Verdict
from zerocoder.execution.cli import selfcheck
from zerocoder.execution.cli.main import main
from zerocoder.execution.cli.remedies import remedies

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent

ADD = "def add(a, b):\n    return a + b\n"
SUBTRACT = "def add(a, b):\n    return a - b\n"
THREE = {"problem": "sum", "code": "assert add(1, 2) == 3"}
PROGRAMS = [
    {"id": "right", "problem": "sum", "source": ADD},
    {"id": "wrong", "problem": "sum", "source": SUBTRACT, "score": 3},
    {"id": "endless", "problem": "sum", "source": "def add(a, b):\n    while True: pass\n"},
    {"id": "broken", "problem": "sum", "source": "def add(a, b)\n"},
    {"problem": 7, "source": "print(input())"},
    {"problem": 7, "source": "import sys\nprint(sys.stdin.read().upper(), end='')"},
]
TESTS = [
    THREE,
    {"problem": "sum", "id": "zero", "code": "assert add(1, 0) == 1"},
    {"problem": "sum", "code": "x = add(2, 2)\nassert x == 4"},
    {"problem": "7", "stdin": "hi\n", "stdout": "hi\n"},
    {"problem": "idle", "stdin": "", "stdout": ""},
]
VERDICTS = [
    [["PASS"] * 3, ["FAIL", "PASS", "FAIL"], ["TIMEOUT"] * 3, ["ERROR"] * 3],
    [["PASS"], ["FAIL"]],
]

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Types a command; its exit code, standard output and standard error."""

    def run(*args: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["zerocoder.execution", *map(str, args)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capsys.readouterr()
        assert isinstance(end.value.code, int)
        return end.value.code, out, err

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes rows (or a text, or bytes) as a JSONL file."""

    def to_file(name: str, content: Any) -> Path:
        path = tmp_path / f"{name}.jsonl"
        if isinstance(content, list):
            content = "".join(json.dumps(row) + "\n" for row in content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to_file


def python(*args: object, script: bool = False, **options: Any) -> subprocess.CompletedProcess[str]:
    """A command in a process of its own."""
    start = [sys.executable] if script else [sys.executable, "-m", "zerocoder.execution"]
    options.setdefault("env", {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}"})
    return subprocess.run(
        [*start, *map(str, args)], capture_output=True, text=True, timeout=120, cwd=ROOT, **options
    )  # fmt: skip


def test_matrix_as_json(write: Callable[..., Path]) -> None:
    programs = "\n\n".join(map(json.dumps, PROGRAMS))
    done = python(
        "matrix", "-", write("t", TESTS), "--format", "json", "--workers", 2, "--cpu-seconds", 0.2, input=programs
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "note: tests without programs are left out: problems 'idle'\n"
    answer = json.loads(done.stdout)
    timing = {"start_seconds", "seconds", "cells_per_second"}
    assert set(answer) == {"isolation", "limits", "workers", "cells", "counts", "problems"} | timing
    assert all(answer[key] > 0 for key in timing)
    assert set(answer["isolation"]) == {"level", "parts"}
    assert answer["isolation"]["level"] in ("strict", "standard", "none")
    assert answer["limits"] == {"cpu_seconds": 0.2, "memory_mb": 512, "cancel_after": 0}
    assert (answer["workers"], answer["cells"]) == (2, 14)
    assert answer["counts"] == {kind.name: 0 for kind in Verdict} | {"PASS": 5, "FAIL": 3, "TIMEOUT": 3, "ERROR": 3}
    seconds = [problem.pop("done_seconds") for problem in answer["problems"]]
    assert all(0 < done <= answer["seconds"] for done in seconds)
    assert answer["problems"] == [
        {
            "problem": "sum",
            "entry_point": "add",
            "programs": ["right", "wrong", "endless", "broken"],
            "tests": ["1", "zero", "3"],
            "verdicts": VERDICTS[0],
        },
        {"problem": "7", "entry_point": None, "programs": ["1", "2"], "tests": ["1"], "verdicts": VERDICTS[1]},
    ]


def test_endless_programs_can_be_cancelled_and_numpy_allowed(command: Command, write: Callable[..., Path]) -> None:
    programs = write(
        "p", [{"source": "def f(x):\n    while True: pass"}, {"source": "import numpy\ndef f(x): return x"}]
    )
    tests = write("t", [{"code": f"assert f({k}) == {k}"} for k in range(4)])
    flags = ("--cpu-seconds", 0.1, "--format", "json")
    code, out, _ = command("matrix", programs, tests, *flags, "--cancel-after", 2, "--numpy")
    assert code == 0
    assert json.loads(out)["problems"][0]["verdicts"] == [["TIMEOUT"] * 2 + ["CANCELLED"] * 2, ["PASS"] * 4]
    code, out, _ = command("matrix", programs, tests, *flags)
    assert json.loads(out)["problems"][0]["verdicts"] == [["TIMEOUT"] * 4, ["ERROR"] * 4]
    code, _, err = command("matrix", programs, tests, "--cancel-after", 0)
    assert code == 2 and "above 0" in err


def test_matrix_as_a_table(command: Command, write: Callable[..., Path], tmp_path: Path) -> None:
    many = [{"code": f"assert add({n}, 1) == {n + 1}"} for n in range(12)]
    programs = write("p", [{"id": "good\x1b[2J\nbad", "source": ADD}, {"source": SUBTRACT}])
    status, out, err = command("matrix", programs, write("t", many), "--workers", 1)
    assert (status, err) == (0, "")
    lines = [line.rstrip() for line in out.splitlines()]
    assert lines[0].startswith("2 x 12, done after ")
    assert lines[1].split() == ["program", "tests", "passed"]
    assert lines[2] == "good\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER}bad  PPPPPPPPPP PP  12/12"
    assert lines[3] == "2             FFFFFFFFFF FF  0/12"
    assert lines[5] == "P pass 12  F fail 12"
    assert lines[6].startswith("24 cells in ")
    assert "on 1 worker (" in lines[6]
    assert lines[7].startswith("isolation ")

    target = tmp_path / "new" / "matrix.txt"
    assert command("matrix", programs, write("t", many), "--output", target, "--workers", 1) == (0, "", "")
    assert [line.rstrip() for line in target.read_text().splitlines()][2:6] == lines[2:6]
    assert [path.name for path in target.parent.iterdir()] == ["matrix.txt"]


@pytest.mark.parametrize(
    ("programs", "flags", "expected"),
    [
        ([{"source": ADD}], [], "add"),
        ([{"source": "def helper(): pass\n" + ADD}, {"source": SUBTRACT}, {"source": "no python"}], [], "add"),
        ([{"source": "def helper(): pass\n" + ADD, "entry_point": "add"}, {"source": SUBTRACT}], [], "add"),
        ([{"source": "def helper(): pass\n" + ADD, "entry_point": "helper"}], ["--entry-point", "add"], "add"),
        ([{"source": "if 1:\n    from operator import add"}], ["--entry-point", "add"], "add"),
        ([{"source": "add, other = max, min"}], ["--entry-point", "add"], "add"),
    ],
)
def test_entry_points(
    command: Command, write: Callable[..., Path], programs: list[Any], flags: list[str], expected: str
) -> None:
    tests = write("t", [{"code": "assert add(1, 2) is not None"}])
    status, out, err = command("matrix", write("p", programs), tests, "--format", "json", "--workers", 1, *flags)
    assert (status, err) == (0, "")
    [problem] = json.loads(out)["problems"]
    assert (problem["problem"], problem["entry_point"], problem["verdicts"][0]) == (None, expected, ["PASS"])


def test_one_problem_without_its_function_is_the_models_failure(command: Command, write: Callable[..., Path]) -> None:
    programs = [{"problem": "a", "source": ADD}, {"problem": "b", "source": "def plus(a, b): pass\nX = 1"}]
    tests = [{"problem": name, "code": "assert add(1, 2) == 3"} for name in "ab"]
    status, out, err = command(
        "matrix", write("p", programs), write("t", tests), "--entry-point", "add", "--format", "json", "--workers", 1
    )
    assert status == 0
    assert err == "note: problem 'b': no program defines 'add'; there is 'X', 'plus'\n"
    assert [problem["verdicts"] for problem in json.loads(out)["problems"]] == [[["PASS"]], [["ERROR"]]]


CODE = [{"code": "assert add(1, 2) == 3"}]
GOOD = [{"source": ADD}]
MISTAKES: list[tuple[Any, Any, list[str], list[str]]] = [
    (None, CODE, [], ["cannot read programs from", "No such file"]),
    (GOOD, None, [], ["cannot read tests from", "No such file"]),
    ("{'source': 1}", CODE, [], ["p.jsonl:1: not JSON"]),
    ('{"source": "x"}\n\n{"source"', CODE, [], ["p.jsonl:3: not JSON"]),
    ("[" * 100_000, CODE, [], ["p.jsonl:1: not JSON"]),
    ('{"id": ' + "9" * 5000 + "}", CODE, [], ["p.jsonl:1: not JSON"]),
    (b'{"source": "\xff"}', CODE, [], ["p.jsonl:1: not UTF-8"]),
    ("3", CODE, [], ["p.jsonl:1: a JSON object is expected, got a number"]),
    ([{"sorce": ADD}], CODE, [], ["p.jsonl:1: 'source' is missing; the row has 'sorce'"]),
    ([*GOOD, {"source": 3}], CODE, [], ["p.jsonl:2: 'source' must be a string, not a number"]),
    ([{"source": None}], CODE, [], ["'source' must be a string, not null"]),
    ([{"source": ADD, "problem": [1]}], CODE, [], ["'problem' must be a string or a whole number, not a list"]),
    ([{"source": ADD, "id": True}], CODE, [], ["'id' must be", "not true or false"]),
    ([{"source": "x = '\0'"}], CODE, [], ["p.jsonl:1: 'source' holds a NUL"]),
    ([{"source": "x = '\ud800'"}], CODE, [], ["p.jsonl:1: 'source' holds a lone surrogate"]),
    ([{"source": "#" * (1 << 20) + "#"}], CODE, [], ["p.jsonl:1: 'source' has 1048577 characters, at most 1048576"]),
    (GOOD, [*CODE, {"code": "\0"}], [], ["t.jsonl:2: 'code' holds a NUL"]),
    (GOOD, [{"code": " \n"}], [], ["t.jsonl:1: 'code' is empty", "it tests nothing"]),
    (GOOD, [{"stdin": "1"}], [], ["t.jsonl:1: 'stdout' is missing"]),
    (GOOD, [{"stdin": "1", "stdout": 1}], [], ["t.jsonl:1: 'stdout' must be a string"]),
    (GOOD, [{"stdin": "\udfff", "stdout": ""}], [], ["t.jsonl:1: 'stdin' holds a lone surrogate"]),
    (GOOD, [{"stdin": "", "stdout": "", "code": "assert 1"}], [], ["t.jsonl:1: a test has either"]),
    (GOOD, [{"id": 1}], [], ["t.jsonl:1: 'code' is missing"]),
    ("", CODE, [], ["p.jsonl holds no programs"]),
    (GOOD, "\n \n", [], ["t.jsonl holds no tests"]),
    ([*GOOD, {"problem": "b", "source": ADD}], CODE, [], ["p.jsonl:2: no tests for problem 'b'"]),
    (GOOD, [{"problem": "b", **CODE[0]}], [], ["no tests for the programs that name no problem", "for 'b'"]),
    (GOOD, CODE, ["--entry-point", "sub"], ["no program defines 'sub'; there is 'add'"]),
    (GOOD, CODE, ["--entry-point", "a b"], ["'a b' is no Python name"]),
    ([{"source": "x = 1"}], CODE, [], ["p.jsonl:1: which function", "no function in common", "--entry-point"]),
    ([{"source": ADD + "def g(): pass"}], CODE, [], ["define 'add', 'g' in common"]),
    ([{"source": ADD}, {"source": "def g(): pass"}], CODE, [], ["no function in common"]),
    ([{"source": "-" * 100_000 + "1"}], CODE, [], ["no function in common"]),
    ([{"source": ADD, "entry_point": n} for n in ("add", "g")], CODE, [], ["p.jsonl:2: the entry point is 'g', but"]),
    ([{"source": ADD, "entry_point": 1}], CODE, [], ["p.jsonl:1: 'entry_point' must be a string"]),
    (GOOD, CODE, ["--cpu-seconds=0"], ["--cpu-seconds", "above 0"]),
    (GOOD, CODE, ["--cpu-seconds=nan"], ["--cpu-seconds", "above 0"]),
    (GOOD, CODE, ["--memory-mb=-1"], ["--memory-mb", "above 0"]),
    (GOOD, CODE, ["--cpu-seconds=1e6"], ["error: --cpu-seconds is 1000000.0: it must be", "at most 3600"]),
    (GOOD, CODE, ["--memory-mb=10000000000000"], ["--memory-mb is 10000000000000: it must", "at most 1048576"]),
    (GOOD, CODE, [f"--memory-mb={10**400}"], ["error: --memory-mb is 1000000000", "at most 1048576"]),
    (GOOD, CODE, ["--workers=x"], ["--workers", "above 0"]),
    (GOOD, CODE, ["--isolation=docker"], ["--isolation", "'strict', 'standard', 'none'"]),
    (GOOD, CODE, ["--isolate"], ["--isolate"]),
    (GOOD, CODE, ["--output=."], ["is a folder"]),
    (GOOD, CODE, ["--output=/dev/null/x"], ["cannot write /dev/null/x"]),
]


@pytest.mark.parametrize(("programs", "tests", "flags", "fragments"), MISTAKES, ids=[m[3][0] for m in MISTAKES])
def test_mistakes_are_told_in_one_line(
    command: Command,
    write: Callable[..., Path],
    tmp_path: Path,
    programs: Any,
    tests: Any,
    flags: list[str],
    fragments: list[str],
) -> None:
    paths = [
        tmp_path / f"{name}.jsonl" if rows is None else write(name, rows)
        for name, rows in (("p", programs), ("t", tests))
    ]
    target = tmp_path / "out" / "matrix.json"
    output = [] if any(flag.startswith("--output") for flag in flags) else ["--output", target]
    status, out, err = command("matrix", *paths, "--workers=1", *output, *flags)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for fragment in fragments:
        assert fragment in err
    assert not target.parent.exists()


def test_a_pipe_is_not_replaced_by_a_file(command: Command, write: Callable[..., Path], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    for name in ("pipe", "link"):
        # the programs are not there: the output is looked at before anything is read or run
        status, out, err = command("matrix", tmp_path / "none", write("t", CODE), "--output", tmp_path / name)
        assert (status, out) == (2, "")
        assert err == f"error: {tmp_path / name} is no regular file: give the name of a file\n"
    assert pipe.is_fifo() and (tmp_path / "link").is_symlink()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a file that is always full")
@pytest.mark.parametrize("form", ["table", "json"])
def test_a_full_standard_output_is_one_line(write: Callable[..., Path], form: str) -> None:
    command = [sys.executable, "-m", "zerocoder.execution", "matrix", write("p", GOOD), write("t", CODE)]
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*command, "--workers=1", "--format", form], stdout=full, stderr=subprocess.PIPE, text=True, cwd=ROOT
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (2, "error: cannot write standard output: No space left on device\n")


def test_both_cannot_be_standard_input(command: Command) -> None:
    status, _, err = command("matrix", "-", "-")
    assert (status, err.count("\n")) == (2, 1)
    assert "cannot both be '-'" in err


@pytest.mark.parametrize("arguments", [[], ["run"], ["matrix"], ["doctor", "--fast"]])
def test_unknown_commands(command: Command, arguments: list[str]) -> None:
    status, out, err = command(*arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert "--help" in err


def test_an_interrupt_ends_it(write: Callable[..., Path]) -> None:
    programs = [{"problem": "sum", "source": f"def add(a, b):\n    while {n}: pass\n"} for n in range(1, 30)]
    process = subprocess.Popen(
        [sys.executable, "-m", "zerocoder.execution", "matrix", write("p", programs), write("t", TESTS),
         "--entry-point=add", "--cpu-seconds=10", "--workers=1"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True,
    )  # fmt: skip
    assert process.stderr is not None
    assert process.stderr.readline().startswith("note: ")  # it is about to run
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "interrupted"
    assert "Traceback" not in err


SMALL_DISKS = """
import os, sys
from zerocoder.execution.sandbox import syscalls
from zerocoder.execution.cli.main import main
syscalls.unshare(syscalls.CLONE_NEWNS)
syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
os.makedirs("/dev/shm", exist_ok=True)
syscalls.mount("tmpfs", "/dev/shm", "tmpfs", syscalls.MS_RDONLY)
disk = sys.argv[3]
syscalls.mount("tmpfs", disk, "tmpfs", 0, "size=16k")
with open(f"{disk}/filler", "wb", buffering=0) as filler:
    try:
        while filler.write(bytes(512)):
            pass
    except OSError:
        pass
os.environ["TMPDIR"] = disk
command = ["cli", "matrix", *sys.argv[1:3], "--format", "json", "--workers", "1"]
for output in ([], ["--output", f"{disk}/matrix.json"]):
    sys.argv = [*command, *output]
    try:
        main()
    except SystemExit as end:
        print(end.code, file=sys.stderr)
print(os.listdir(disk), file=sys.stderr)
"""


@pytest.mark.skipif(sys.platform != "linux" or os.geteuid() != 0, reason="mounts small disks, which takes root")
def test_full_disks_and_no_shared_memory(write: Callable[..., Path], tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    done = python("-c", SMALL_DISKS, write("p", GOOD), write("t", CODE), disk, script=True)
    if "unshare" in done.stderr or "mount /" in done.stderr:
        pytest.skip(f"root of this host may not mount: {done.stderr[-200:]}")
    assert json.loads(done.stdout)["problems"][0]["verdicts"] == [["PASS"]]
    assert done.stderr.splitlines() == [
        "0",
        f"error: no disk space to write {disk / 'matrix.json'}",
        "2",
        "['filler']",
    ]


ON_A_LESSER_HOST = """
import sys
import lesser_host
lesser_host.become_ordinary(namespaces=False)
from zerocoder.execution.cli.main import main
main()
"""


def on_a_lesser_host(*args: object) -> subprocess.CompletedProcess[str]:
    """A command of an ordinary user where user namespaces are switched off."""
    done = python("-c", ON_A_LESSER_HOST, *args, script=True)
    if "OSError" in done.stderr and ("unshare" in done.stderr or "max_user_namespaces" in done.stderr):
        pytest.skip(f"this host lets nobody make a user namespace to try this in: {done.stderr[-200:]}")
    return done


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_a_host_that_gives_less_refuses(write: Callable[..., Path], tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    done = on_a_lesser_host("matrix", write("p", GOOD), write("t", CODE), "--isolation", "strict", "--workers", 1)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "does not reach the isolation asked for" in done.stderr
    assert "--isolation=standard" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_numpy_without_namespaces(write: Callable[..., Path], tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    programs = write("p", [{"source": "import numpy as np\ndef f(x): return np.linalg.inv(np.eye(2) * x).round(3)"}])
    tests = write("t", [{"code": "import numpy as np\nassert (f(2) == np.eye(2) / 2).all() and np.fft.fft([1]) == 1"}])
    done = on_a_lesser_host("matrix", programs, tests, "--numpy", "--workers", 1, "--format", "json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["isolation"]["level"] == "standard"
    assert answer["problems"][0]["verdicts"] == [["PASS"]]


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_doctor_on_a_host_that_gives_less() -> None:
    done = on_a_lesser_host("doctor", "--format", "json", "--workers", 1)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["level"] == "standard"
    assert answer["description"] == answer["check"]["isolation"]
    assert not answer["primitives"]["user namespace"]["available"]
    assert answer["primitives"]["seccomp"]["available"]
    assert "namespaces cannot be entered" in answer["obstacles"]["strict"]
    assert answer["advice"][0].startswith("sudo sysctl user.max_user_namespaces=15000")
    assert answer["check"]["right"]


def test_doctor(command: Command) -> None:
    status, out, err = command("doctor", "--format", "json", "--workers", 1)
    assert (status, err) == (0, "")
    answer = json.loads(out)
    assert answer["level"] in ("strict", "standard", "none")
    assert answer["check"]["right"]
    assert answer["check"]["wrong"] == []
    assert answer["check"]["cells"] % (4 * (48 + 8 + 8)) == 0  # four copies of the timed problems a round
    assert answer["check"]["start_seconds"] > 0
    assert answer["primitives"]["rlimits"] == {"available": True, "detail": ""}
    assert (answer["advice"] == []) == (answer["level"] == "strict")


def test_doctor_tells_a_wrong_matrix(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    script = selfcheck.PROBLEMS[2]
    assert script.truth == ("PP", "PP", "PF", "EE")
    monkeypatch.setattr(selfcheck, "PROBLEMS", (replace(script, truth=("PP", "PP", "PP", "xx")),))
    status, out, _ = command("doctor", "--workers", 1)
    assert status == 1
    assert "the matrix of the self-check is WRONG:" in out
    assert "scripts, program 3, test 2: FAIL instead of PASS" in out
    assert "program 4" not in out


HOST: dict[str, Any] = {
    "system": "Linux",
    "root": False,
    "container": False,
    "level": "standard",
    "obstacles": {"strict": "namespaces cannot be entered (unshare: Operation not permitted)"},
    "primitives": {"seccomp": [True, ""], "landlock": [True, "ABI 4"]},
    "sysctls": {
        "kernel.unprivileged_userns_clone": None,
        "kernel.apparmor_restrict_unprivileged_userns": None,
        "user.max_user_namespaces": "63000",
    },
}


def sysctls(**values: str) -> dict[str, Any]:
    return {"sysctls": HOST["sysctls"] | {name.replace("__", "."): value for name, value in values.items()}}


@pytest.mark.parametrize(
    ("host", "beginnings"),
    [
        ({"level": "strict"}, []),
        (sysctls(kernel__unprivileged_userns_clone="0"), ["sudo sysctl kernel.unprivileged_userns_clone=1 "]),
        (
            sysctls(kernel__apparmor_restrict_unprivileged_userns="1"),
            ["sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0 "],
        ),
        (sysctls(user__max_user_namespaces="0"), ["sudo sysctl user.max_user_namespaces=15000 "]),
        ({}, ["namespaces are refused (namespaces cannot be entered (unshare: Operation not permitted))"]),
        ({"container": True}, ["the container's default profile"]),
        ({"container": True, "root": True}, ["the container's default profile"]),
        ({"root": True}, ["root lacks CAP_SYS_ADMIN"]),
        (
            {"container": True, "primitives": {"seccomp": [True, ""], "landlock": [False, ""]}},
            ["the container's default profile", "without landlock"],
        ),
        (
            {"level": "none", "primitives": {"seccomp": [False, "no filter is known for riscv64"]}},
            ["system calls cannot be filtered here (no filter is known for riscv64)"],
        ),
        ({"system": "Darwin", "level": "none", "primitives": {}}, ["Darwin has neither namespaces nor seccomp"]),
    ],
)
def test_advice(host: dict[str, Any], beginnings: list[str]) -> None:
    advice = remedies({**HOST, **host})
    assert len(advice) == len(beginnings)
    assert all(line.startswith(beginning) for line, beginning in zip(advice, beginnings, strict=True))


def test_the_documents_example_runs() -> None:
    text = (ROOT / "docs" / "verifier.md").read_text()
    example = text.split("```python\n")[1].split("```")[0]
    assert "ProcessExecutor" in example
    exec(compile(example, "docs/verifier.md", "exec"), {})


def test_the_documents_tables_are_complete() -> None:
    text = (ROOT / "docs" / "verifier.md").read_text()
    for kind in Verdict:
        assert f"| `{kind.name}` | {kind.name[0]} |" in text
    assert len({kind.name[0] for kind in Verdict}) == len(Verdict)  # a letter names a verdict
