"""What this host lets a process take away from itself, one primitive at a time, each tried in a child of its own.

Run in a clean interpreter, as a worker is, so that what it finds is what a worker will find. It only looks: nothing of
the host is changed, and every child that was tried on is thrown away.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import isolation, seccomp, syscalls

_NAMESPACES = {
    "mount namespace": syscalls.CLONE_NEWNS,
    "pid namespace": syscalls.CLONE_NEWPID,
    "net namespace": syscalls.CLONE_NEWNET,
    "ipc namespace": syscalls.CLONE_NEWIPC,
    "uts namespace": syscalls.CLONE_NEWUTS,
}
_SYSCTLS = (
    "kernel.unprivileged_userns_clone",
    "kernel.apparmor_restrict_unprivileged_userns",
    "user.max_user_namespaces",
    "kernel.yama.ptrace_scope",
)
_CONTAINER_FILES = ("/.dockerenv", "/run/.containerenv")
_PROBED_BYTES = 64 << 30  # a limit that costs the child nothing


def main() -> None:
    """Prints the report as one line of JSON."""
    print(json.dumps(report()))


def report() -> dict[str, Any]:
    """The host's facts and primitives.

    `primitives` maps a name to [whether it is there, a detail]; `level` is the best isolation that is reached, with
    `description` what it consists of and `obstacles` why not more: "strict" and "standard" -> the reason.
    """
    linux = sys.platform == "linux"
    level, obstacles = _level()
    return {
        "system": platform.system(),
        "kernel": platform.release(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "root": os.geteuid() == 0,
        "container": any(os.path.exists(path) for path in _CONTAINER_FILES) or "KUBERNETES_SERVICE_HOST" in os.environ,
        "cores": len(os.sched_getaffinity(0)) if linux else os.cpu_count() or 1,
        "memory_mb": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        "sysctls": {name: _sysctl(name) for name in _SYSCTLS},
        "primitives": {**_limits(), **(_linux_primitives() if linux else {})},
        "level": level.describe().partition(":")[0],
        "description": level.describe(),
        "obstacles": obstacles,
    }


def _level() -> tuple[isolation.Level, dict[str, str]]:
    obstacles: dict[str, str] = {}
    for floor in isolation.FLOORS:
        try:
            return isolation.choose(floor), obstacles
        except isolation.Refused as refused:
            obstacles[floor] = str(refused)
    raise AssertionError("plain processes are never refused")


def _limits() -> dict[str, tuple[bool, str]]:
    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (_PROBED_BYTES, _PROBED_BYTES))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))

    return {"rlimits": _tried(lower)}


def _linux_primitives() -> dict[str, tuple[bool, str]]:
    needed = 0 if os.geteuid() == 0 else syscalls.CLONE_NEWUSER

    def filtered() -> None:
        if not seccomp.supported():
            raise OSError(errno.ENOSYS, f"no filter is known for {syscalls.machine()}")
        syscalls.set_no_new_privileges()
        syscalls.install_filter(seccomp.allow_list())

    found = {"user namespace": _tried(lambda: syscalls.unshare(syscalls.CLONE_NEWUSER))}
    for name, flag in _NAMESPACES.items():
        found[name] = _tried(lambda flag=flag: syscalls.unshare(needed | flag))  # type: ignore[misc]
    found["no_new_privs"] = _tried(syscalls.set_no_new_privileges)
    found["seccomp"] = _tried(filtered)
    abi = syscalls.landlock_abi()
    found["landlock"] = (abi > 0, f"ABI {abi}" if abi else "not in this kernel, or not among its lsm= modules")
    found["yama"] = _yama()
    found["cgroup v2"] = _delegated_cgroup()
    return found


def _tried(steps: Callable[[], object]) -> tuple[bool, str]:
    problem = isolation.in_child(steps)
    return problem is None, problem or ""


def _yama() -> tuple[bool, str]:
    scope = _sysctl("kernel.yama.ptrace_scope")
    return scope not in (None, "0"), "not in this kernel" if scope is None else f"ptrace_scope {scope}"


def _delegated_cgroup() -> tuple[bool, str]:
    """Whether this process may make control groups below its own. The verifier does not use them."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
        own = next((line[3:] for line in lines if line.startswith("0::")), None)
        if own is None:
            return False, "version 1 only"
        folder = Path("/sys/fs/cgroup") / own.lstrip("/")
        controllers = (folder / "cgroup.controllers").read_text().split()
    except OSError as error:
        return False, error.strerror or "not mounted"
    writable = os.access(folder / "cgroup.procs", os.W_OK) and os.access(folder, os.W_OK)
    return writable and {"memory", "pids"} <= set(controllers), f"controllers {' '.join(controllers) or 'none'}"


def _sysctl(name: str) -> str | None:
    try:
        return Path("/proc/sys", *name.split(".")).read_text().strip()
    except OSError:
        return None
