"""What processes use, read from /proc: CPU time and memory of a process tree, and neighbours that keep the cores busy.

CPU time is that of this process and all it started: living descendants by their own counters, ended ones by the counter
of the parent that reaped them (`cutime`), which the kernel keeps exactly. `getrusage` would not do: warm workers live
on and are never reaped. A worker's processes are in other pid namespaces, but visible from here under other numbers.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from zerocoder.problems import ZeroCoderError

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SET_CHILD_SUBREAPER = 36
# ends by itself when the benchmark dies without a word
_BUSY = "import os, sys\nwhile os.getppid() == int(sys.argv[1]):\n    for _ in range(100000): pass"


@dataclass(frozen=True)
class Process:
    """One line of /proc/PID/stat."""

    pid: int
    parent: int
    session: int
    state: str  # Z for one that ended and waits to be reaped
    cpu_seconds: float  # with its reaped children


@dataclass(frozen=True)
class Memory:
    """Bytes of some processes. `exact`: proportional set size, which counts shared pages once; else resident size."""

    num_bytes: int
    exact: bool

    @property
    def megabytes(self) -> float:
        return self.num_bytes / (1 << 20)


def require_proc() -> None:
    """Raises ZeroCoderError where there is no /proc to read from."""
    if not (_PROC / "self" / "stat").exists():
        raise ZeroCoderError("the benchmarks read CPU time and memory from /proc: run them on Linux")


def cgroups_below(own: str, mounts: str) -> set[str]:
    """The folders of all control groups below a process's own: what anyone else makes beside it does not count.

    own: /proc/PID/cgroup, a line a hierarchy (id:controllers:path; no controllers in version 2).
    mounts: /proc/PID/mounts.
    """
    paths = {tuple(line.split(":", 2)[1:]) for line in own.splitlines()}
    found: set[str] = set()
    for _, folder, kind, options, *_ in (line.split() for line in mounts.splitlines()):
        if kind not in ("cgroup", "cgroup2"):
            continue
        for controllers, path in paths:
            of_this = kind == "cgroup2" if not controllers else set(controllers.split(",")) <= set(options.split(","))
            if of_this:
                home = f"{folder}/{path.strip('/')}".rstrip("/")
                found |= {below for below, _, _ in os.walk(home) if below != home}
    return found


def own_cgroups() -> set[str]:
    """`cgroups_below` of this process."""
    return cgroups_below((_PROC / "self/cgroup").read_text(), (_PROC / "self/mounts").read_text())


def descendants(root: int | None = None) -> list[Process]:
    """All processes below `root` (this process unless told), children before grandchildren."""
    children: dict[int, list[Process]] = {}
    for process in _all():
        children.setdefault(process.parent, []).append(process)
    found: list[Process] = []
    pending = [os.getpid() if root is None else root]
    while pending:
        below = children.get(pending.pop(0), [])
        found += below
        pending += [process.pid for process in below]
    return found


def cpu_seconds() -> float:
    """CPU seconds of this process and of everything it ever started; a clock tick (10 ms) exact for each process."""
    own = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in own) + sum(process.cpu_seconds for process in descendants())


def memory(pids: list[int]) -> Memory:
    """Memory of some processes together; those that have ended count nothing.

    The proportional size of another user's process is readable for root only: the resident size stands in.
    """
    total, exact = 0, True
    for pid in pids:
        try:
            total += _proportional(pid)
        except PermissionError:
            exact = False
            with contextlib.suppress(OSError):
                total += int((_PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE
        except OSError:
            continue
    return Memory(total, exact)


def resident_bytes(pids: list[int]) -> int:
    """Sum of the resident sizes of some processes, shared pages counted once for each."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += int((_PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE
    return total


@contextlib.contextmanager
def busy_neighbours(count: int) -> Iterator[None]:
    """`count` processes that do nothing but use CPU time, for as long as the context lasts."""
    command = [sys.executable, "-I", "-S", "-c", _BUSY, str(os.getpid())]
    neighbours = [subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True) for _ in range(count)]
    try:
        yield
    finally:
        for neighbour in neighbours:
            neighbour.kill()
        for neighbour in neighbours:
            neighbour.wait()


def _all() -> Iterator[Process]:
    for folder in os.listdir(_PROC):
        if folder.isdigit():
            with contextlib.suppress(OSError):  # it has just ended
                # the name in parentheses may hold anything, blanks and parentheses too
                fields = (_PROC / folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
                used = sum(map(int, fields[11:15])) / _TICKS
                yield Process(int(folder), int(fields[1]), int(fields[3]), fields[0], used)


def own_bytes(pids: list[int]) -> int:
    """Memory that no file backs, pages shared among some processes counted once: what a leak would add to.

    Unlike the proportional size it does not change with other programs that have the same libraries loaded. Another
    user's processes are readable for root only; they count nothing here.
    """
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += _proportional(pid, "Pss_Anon:")
    return total


def _proportional(pid: int, field: str = "Pss:") -> int:
    for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    return 0


def adopt_orphans() -> None:
    """From now on descendants whose parent ends become children of this process: none can get out of sight."""
    if ctypes.CDLL(None, use_errno=True).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def reap_adopted() -> None:
    """Reaps adopted children that have ended, as init would have.

    Those we started ourselves lead a session of their own and are left to whoever waits for them.
    """
    for process in descendants():
        if process.state == "Z" and process.parent == os.getpid() and process.session != process.pid:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)


def num_descriptors(pids: list[int]) -> int:
    """Open file descriptors of some processes; other users' are readable for root only and count nothing."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += len(os.listdir(_PROC / str(pid) / "fd"))
    return total
