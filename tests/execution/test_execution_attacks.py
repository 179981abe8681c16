"""Hostile programs: none passes, each costs its budget at most, and the harness and the host do not notice them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from attacks import FORGERIES, HARM
from execution_helpers import Matrix, RunCell, as_job

from zerocoder.execution import Limits, ProcessExecutor, Verdict

SECRET = "s3cret-" + "zq"
HONEST = "def f(x): return 42 if x == 3 else 's3cret-' + 'zq'"
TESTS = [
    "assert f(3) == 42",
    "for y in [f(3)]: assert y == 42",
    f"assert f(4) == {SECRET!r}",
    f"for y in [f(4)]: assert y == {SECRET!r}",
]
LIMITS = Limits(cpu_seconds=0.08, memory_mb=256)
ATTACKS = {**FORGERIES, **HARM}


class Surroundings:
    """What attacks may try to touch on the host."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "kept").write_text("kept")
        path.chmod(0o777)
        self.service = socket.create_server(("127.0.0.1", 0))
        self.service.setblocking(False)

    def aim(self, attack: str) -> str:
        port = str(self.service.getsockname()[1])
        return attack.replace("{port}", port).replace("{path}", str(self.path)).replace("{pid}", str(os.getpid()))


@pytest.fixture(scope="module")
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    made = Surroundings(tmp_path_factory.mktemp("host"))
    with made.service:
        yield made


@pytest.fixture(scope="module")
def outcomes(executor: ProcessExecutor, surroundings: Surroundings) -> dict[str, Matrix]:
    """For each attack the rows of the attack and of an honest program that comes after it."""
    os.environ["ZEROCODER_SECRET"] = "x"
    jobs = [as_job([surroundings.aim(attack), HONEST], TESTS, "f", LIMITS) for attack in ATTACKS.values()]
    matrices = executor.run(jobs)
    del os.environ["ZEROCODER_SECRET"]
    return {
        name: [[Verdict(value).name for value in row] for row in verdicts]
        for name, verdicts in zip(ATTACKS, matrices, strict=True)
    }


@pytest.mark.parametrize("name", ATTACKS)
def test_no_attack_passes(outcomes: dict[str, Matrix], name: str) -> None:
    attack, honest = outcomes[name]
    assert "PASS" not in attack
    assert not {"INFRA", "SKIPPED"} & set(attack)
    assert honest == ["PASS"] * 4


def test_nothing_is_left_outside(outcomes: dict[str, Matrix], surroundings: Surroundings) -> None:
    assert sorted(entry.name for entry in surroundings.path.iterdir()) == ["kept"]
    assert (surroundings.path / "kept").read_text() == "kept"
    with pytest.raises(BlockingIOError):
        surroundings.service.accept()


@pytest.mark.parametrize(
    "script",
    ["print('x' * 10**9)", "while True: print('x' * 10**6, flush=True)", "import os\nos.fork()\nprint(42)",
     "import os\nos.write(3, b'true')\nprint(1)", "import os\nos.kill(os.getppid(), 9)\nprint(42)",
     "import socket\nsocket.create_connection(('127.0.0.1', 1))", "open('/etc/passwd')\nprint(42)",
     "import sys\nsys.stdout.close()\nwhile True: pass", "import time\ntime.sleep(60)"],
)  # fmt: skip
def test_hostile_scripts(verdict: RunCell, script: str) -> None:
    assert verdict(script, ("", "42"), None, LIMITS) in ("ERROR", "TIMEOUT", "FAIL", "MEMORY")


def test_hostile_tests_only_fail(executor: ProcessExecutor) -> None:
    """Test code is a model's too: it may decide its own column, and nothing beyond it."""
    tests = [
        "import os\nos._exit(0)",
        "import sys\nsys.exit(0)",
        "while True: pass",
        "x = [0] * 10**10",
        "import os, struct\nos.write(3, struct.pack('<I', 2) + b'D\\x63')\nimport time\ntime.sleep(60)",
        "import os\nos.write(3, b'\\xff' * 100)",
        "f(object())",
        "f(lambda: 1)",
        "class V:\n    pass\ndef check():\n    f(V())\ncheck()",
        "f('x' * 10**7)",
        "import os\nos.kill(os.getppid(), 9)",
        "assert f(3) == 42\n" * 20_000,
        "import ctypes\nctypes.string_at(0)",
        "raise BaseException",
        "f.__globals__.clear()" if False else "import gc\nassert gc.get_objects() == 1",
    ]
    [verdicts] = executor.run(
        [as_job([HONEST, "def f(x): return 0"], [*tests, "for y in [f(3)]: assert y == 42"], "f", LIMITS)]
    )
    assert verdicts[:, -1].tolist() == [Verdict.PASS, Verdict.FAIL]
    assert Verdict.INFRA not in verdicts
    assert Verdict.PASS not in verdicts[1]
