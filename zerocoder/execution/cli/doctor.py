"""`doctor`: what isolation this host gives, what would give more, and whether verdicts come out right and how fast."""

from __future__ import annotations

import argparse
import json
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from zerocoder.execution import sandbox
from zerocoder.execution.cli import selfcheck
from zerocoder.execution.cli.matrix import terminal
from zerocoder.execution.cli.remedies import remedies
from zerocoder.execution.executor import ProcessExecutor
from zerocoder.problems import ZeroCoderError

_PROBE = "import sys; sys.path.insert(0, sys.argv[1]); from sandbox import probe; del sys.path[0]; probe.main()"
_PROBE_SECONDS = 60.0
_PURPOSES = {
    "user namespace": "lets an ordinary user make the others",
    "mount namespace": "a read-only root with the standard library only, no /proc",
    "pid namespace": "no process outside can be seen or signalled; nothing survives",
    "net namespace": "no network, loopback services included",
    "ipc namespace": "no shared memory or queues of others",
    "uts namespace": "no host name",
    "no_new_privs": "no set-uid program gives anything back",
    "seccomp": "system calls from a list: no processes, programs, sockets, signals",
    "landlock": "files can be read below the standard library only, without namespaces",
    "rlimits": "memory, descriptors, file sizes",
    "yama": "who may trace whom (for information)",
    "cgroup v2": "delegated groups (for information)",
}
_WRONG = 1  # exit code


@dataclass(frozen=True)
class Diagnosis:
    """What `doctor` found.

    host: the report of `sandbox/probe.py`.
    advice: what to install or change for more isolation, one command or sentence each.
    floor: the isolation that the check was run with.
    """

    host: dict[str, Any]
    advice: list[str]
    floor: str
    check: selfcheck.Measurement


def run(arguments: argparse.Namespace) -> int:
    """The command. The status says whether the self-check's matrix was right."""
    host = probe_host()
    floor = "none" if host["level"] == "none" else "standard"
    with ProcessExecutor(workers=arguments.workers, isolation=floor) as executor:
        check = selfcheck.measure(executor, secrets.token_hex(8))
    diagnosis = Diagnosis(host, remedies(host), floor, check)
    if arguments.format == "json":
        sys.stdout.write(json.dumps(as_json(diagnosis), indent=1) + "\n")
    else:
        print_report(diagnosis, terminal())
    return _WRONG if check.wrong else 0


def probe_host() -> dict[str, Any]:
    """The report of `sandbox/probe.py`, made by a clean interpreter, as a worker is one.

    Raises ZeroCoderError when that interpreter does not answer.
    """
    command = [sys.executable, "-s", "-S", "-P", "-c", _PROBE, str(Path(sandbox.__file__).parents[1])]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_SECONDS, cwd="/")
        report: dict[str, Any] = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError) as error:
        raise ZeroCoderError(f"a plain Python process does not run here, so no worker will: {error!r}") from error
    return report


def as_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """The diagnosis as documented in docs/verifier.md."""
    check = diagnosis.check
    primitives = {
        name: {"available": available, "detail": detail}
        for name, (available, detail) in diagnosis.host["primitives"].items()
    }
    return {
        **diagnosis.host,
        "primitives": primitives,
        "advice": diagnosis.advice,
        "check": {
            "right": not check.wrong,
            "wrong": check.wrong,
            "isolation": check.isolation,
            "workers": check.num_workers,
            "start_seconds": round(check.start_seconds, 4),
            "worker_mb": None if check.worker_mb is None else round(check.worker_mb, 1),
            "cells": check.cells,
            "seconds": round(check.seconds, 4),
            "cells_per_second": round(check.cells / check.seconds, 1),
        },
    }


def print_report(diagnosis: Diagnosis, console: Console) -> None:
    """The host, its primitives, the level, the advice and the check, for a person."""
    host, check = diagnosis.host, diagnosis.check
    user = "root" if host["root"] else "an ordinary user"
    where = ", in a container" if host["container"] else ""
    console.print(f"Python {host['python']} on {host['system']} {host['kernel']} ({host['machine']}), {user}{where}")
    console.print(f"{host['cores']} cores, {host['memory_mb'] / 1024:.1f} GiB of memory\n")
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, (available, detail) in host["primitives"].items():
        state = Text("yes", "green") if available else Text("no", "red")
        table.add_row(name, state, Text(detail), Text(_PURPOSES[name], "dim"))
    console.print(table)
    console.print(Text.assemble("\nisolation ", (host["description"], "bold")))
    for line in diagnosis.advice:
        console.print(Text(f"for more: {line}"))
    for level, obstacle in host["obstacles"].items():
        console.print(Text(f"not {level}: {obstacle}"))
    console.print(f"\n{_counted(check)} ready after {check.start_seconds:.2f} s{_memory(check)}")
    console.print(f"{check.cells / check.seconds:.0f} cells/s ({check.cells} cells of tiny programs)")
    if check.wrong:
        console.print(Text("the matrix of the self-check is WRONG:", "bold red"))
        for line in check.wrong:
            console.print(Text(f"  {line}"))
    else:
        console.print(Text("the matrix of the self-check is right", "green"))


def _counted(check: selfcheck.Measurement) -> str:
    return f"{check.num_workers} worker{'s' if check.num_workers > 1 else ''}"


def _memory(check: selfcheck.Measurement) -> str:
    return "" if check.worker_mb is None else f", {check.worker_mb:.0f} MiB each"
