"""The isolation level is what the host gives, is reported, and holds on lesser hosts too."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from attacks import FORGERIES, HARM
from execution_helpers import as_job, names

from zerocoder.execution import Limits, ProcessExecutor, Verdict

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces and seccomp are Linux's")
HERE = Path(__file__).parent
HONEST = "def f(x): return 42"
TESTS = ["assert f(3) == 42", "for y in [f(3)]: assert y == 42"]
TRIED = {
    name: {**FORGERIES, **HARM}[name]
    for name in (
        "exit 0 at import", "object equal to all", "walk frames", "search the heap", "markers to all descriptors",
        "fork by ctypes", "kills everyone", "ptrace", "parent's memory", "environment of others", "password file",
        "writes anywhere", "raises its limits", "listens", "shared memory", "mounts", "memory", "other system calls",
    )
}  # fmt: skip


def on_lesser_host(host: str, floor: str) -> dict[str, Any]:
    """What `lesser_host.py` reports, after importing modules with shared libraries and running the attacks."""
    programs = ["import bz2, ctypes, hashlib, unicodedata\n" + HONEST, *TRIED.values()]
    request = json.dumps({"honest": HONEST, "tests": TESTS, "programs": programs})
    command = [sys.executable, str(HERE / "lesser_host.py"), host, floor]
    done = subprocess.run(command, input=request, capture_output=True, text=True, timeout=120, cwd=HERE.parents[1],
                          env={"PYTHONPATH": str(HERE.parents[1])})  # fmt: skip
    if "unshare" in done.stderr or "max_user_namespaces" in done.stderr:
        pytest.skip(f"this host lets nobody make a user namespace to try this in: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def assert_attacks_fail(answer: dict[str, Any]) -> None:
    imports, *attacks = answer["matrices"]
    assert imports == [["PASS", "PASS"]] * 2
    for name, (attack, honest) in zip(TRIED, attacks, strict=True):
        assert not {"PASS", "INFRA"} & set(attack), name
        assert honest == ["PASS", "PASS"], name


def test_an_ordinary_user_reaches_strict() -> None:
    answer = on_lesser_host("user", "strict")
    if "refused" in answer:
        pytest.skip(f"an ordinary user of this host may not make namespaces: {answer['refused']}")
    assert answer["isolation"] == "strict: user+mount+pid+net+ipc+uts namespaces, seccomp, rlimits"
    assert_attacks_fail(answer)


def test_without_namespaces_standard_is_reached_and_holds() -> None:
    answer = on_lesser_host("confined", "standard")
    assert answer["isolation"].startswith("standard: ")
    assert "seccomp, rlimits" in answer["isolation"]
    assert_attacks_fail(answer)


def test_strict_refuses_where_namespaces_are_refused() -> None:
    refused = on_lesser_host("confined", "strict")["refused"]
    assert "namespaces cannot be entered" in refused
    assert "verifier.isolation=standard" in refused
    assert "\n" not in refused


def test_level_is_reported(executor: ProcessExecutor) -> None:
    level = executor.isolation
    assert level.startswith(("strict: ", "standard: "))
    assert "seccomp" in level
    assert "rlimits" in level


def test_none_is_plain_processes_and_still_right() -> None:
    with ProcessExecutor(workers=1, limits=Limits(cpu_seconds=0.2), isolation="none") as executor:
        assert executor.isolation == "none: plain processes, rlimits"
        programs = [HONEST, FORGERIES["object equal to all"], "def f(x):\n    while True: pass"]
        [verdicts] = executor.run([as_job(programs, [*TESTS, ("", "")])])
    assert [[Verdict(value).name for value in row] for row in verdicts] == [
        ["PASS", "PASS", "PASS"],
        ["UNSUPPORTED", "UNSUPPORTED", "PASS"],
        ["TIMEOUT", "TIMEOUT", "PASS"],
    ]


WITHOUT_FILES = """
import os, sys
sys.path.insert(0, {path!r})
from sandbox import seccomp, syscalls
syscalls.set_no_new_privileges()
syscalls.install_filter(seccomp.allow_list())
print(len(open(os.__file__).read()) > 0)
syscalls.install_filter(seccomp.lid(files={files}))
for attempt in (lambda: open(os.__file__), lambda: open('/tmp/x', 'w'), os.fork, lambda: os.kill(0, 0)):
    try:
        attempt()
        print('allowed')
    except PermissionError:
        print('refused')
"""


@pytest.mark.parametrize("files", [True, False])
def test_the_lid(files: bool) -> None:
    path = str(HERE.parents[1] / "zerocoder" / "execution")
    source = WITHOUT_FILES.format(path=path, files=files)
    done = subprocess.run([sys.executable, "-S", "-c", source], capture_output=True, text=True)
    assert done.stdout.split() == ["True", "allowed" if files else "refused", "refused", "refused", "refused"], (
        done.stderr
    )


def test_who_may_kill_itself_cannot_pass_for_our_failure() -> None:
    """A SIGKILL of the system's is our failure; where a program can send one itself, it is its own."""
    suicide = "import os, signal\ndef f(x): os.kill(os.getpid(), signal.SIGKILL)"
    for isolation in ("none", "standard"):
        with ProcessExecutor(workers=1, limits=Limits(cpu_seconds=0.2), isolation=isolation) as executor:
            [verdicts] = executor.run([as_job([suicide, HONEST], TESTS)])
        assert names(verdicts) == [["ERROR", "ERROR"], ["PASS", "PASS"]]
