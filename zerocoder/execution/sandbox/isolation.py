"""How much of the host a worker takes away from itself, and how it finds out what this host allows.

Two levels, tried from the strongest. `strict`: own mount, pid, net, ipc and uts namespaces (and a user namespace when
not root), a read-only root that holds the standard library and its shared libraries and nothing else, no /proc, an
unprivileged uid without capabilities, no_new_privs, seccomp, rlimits. `standard`, where namespaces are refused: the
same without them; landlock confines files where the kernel has it, and where it has not, programs may open no file.
A floor of `none` runs plain processes with rlimits. Namespaces are entered once a worker, never once a program.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

from . import seccomp, syscalls

NOBODY = 65534
FLOORS = ("strict", "standard", "none")
_PACKAGES = ("site-packages", "dist-packages")
_NAMESPACES = (
    syscalls.CLONE_NEWNS | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWNET | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS
)


class Refused(Exception):
    """This host does not reach the level that is asked for."""


@dataclass(frozen=True)
class Level:
    """What a worker will do to itself."""

    namespaces: bool
    seccomp: bool
    landlock: bool
    drops_root: bool

    @property
    def files(self) -> bool:
        """Whether programs may open files for reading: only where something confines which ones."""
        return self.namespaces or self.landlock or not self.seccomp

    def describe(self) -> str:
        name = "strict" if self.namespaces and self.seccomp else "standard" if self.seccomp else "none"
        user = "" if self.drops_root else "user+"
        parts = [f"{user}mount+pid+net+ipc+uts namespaces"] if self.namespaces else []
        parts += ["plain processes"] if not self.namespaces and not self.seccomp else []
        parts += [f"uid {NOBODY}"] if self.drops_root else []
        parts += ["landlock"] if self.landlock else []
        parts += ["seccomp"] if self.seccomp else []
        return f"{name}: {', '.join([*parts, 'rlimits'])}"


def choose(floor: str) -> Level:
    """The best level of this host. Raises Refused where that is below `floor` (one of FLOORS)."""
    if floor == "none":
        return Level(namespaces=False, seccomp=False, landlock=False, drops_root=False)
    if sys.platform != "linux":
        if floor == "strict":
            raise Refused(f"namespaces exist on Linux only, not on {sys.platform}")
        return Level(namespaces=False, seccomp=False, landlock=False, drops_root=False)
    root = os.geteuid() == 0
    best = Level(namespaces=True, seccomp=True, landlock=False, drops_root=root)
    problem = _attempt(best) if seccomp.supported() else f"no seccomp filter is known for {syscalls.machine()}"
    if problem is None:
        return best
    if floor == "strict":
        raise Refused(f"namespaces cannot be entered ({problem})")
    for landlock in [True, False] if syscalls.landlock_abi() else [False]:
        level = Level(namespaces=False, seccomp=True, landlock=landlock, drops_root=root)
        if not seccomp.supported() or (problem := _attempt(level)) is None:
            break
    if problem is not None:
        raise Refused(f"system calls cannot be filtered ({problem})")
    return level


def enter(level: Level) -> None:
    """First half, by the guard: new namespaces. The next child is the first process of the pid namespace."""
    if not level.namespaces:
        return
    uid, gid = os.geteuid(), os.getegid()
    if level.drops_root:
        syscalls.unshare(_NAMESPACES)
        return
    syscalls.unshare(_NAMESPACES | syscalls.CLONE_NEWUSER)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{NOBODY} {uid} 1"), ("gid_map", f"{NOBODY} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)


def settle(level: Level) -> None:
    """Second half, by the warden: the small root, the unprivileged uid, no way back."""
    if level.namespaces:
        _small_root(_visible_paths())
    if level.drops_root:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    if level.namespaces or level.drops_root:
        syscalls.drop_capabilities()
    if level.seccomp:
        syscalls.set_no_new_privileges()
        syscalls.set_undumpable()
    if level.landlock:
        syscalls.landlock_read_only([path for path in _visible_paths() if os.access(path, os.R_OK)])
    die_with_parent()


def die_with_parent(number: int = signal.SIGKILL) -> None:
    """To be called again after every change of credentials and in every child."""
    if sys.platform == "linux":
        syscalls.set_parent_death_signal(number)


def _attempt(level: Level) -> str | None:
    """Tries the whole of a level in a child that is thrown away. None, or what failed, twice in a row."""

    def innermost() -> None:
        settle(level)
        if level.seccomp:
            syscalls.install_filter(seccomp.allow_list())

    def outermost() -> None:
        enter(level)
        if problem := in_child(innermost):
            raise OSError(problem)

    return in_child(outermost) and in_child(outermost)


def in_child(steps: Callable[[], object]) -> str | None:
    """Takes steps in a child that is thrown away. None, or what failed."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            steps()
            os.write(writer, b".")
        except Exception as error:
            os.write(writer, str(error).encode()[:1000])
        os._exit(0)
    os.close(writer)
    report = os.read(reader, 1000)
    os.close(reader)
    os.waitpid(pid, 0)
    return None if report == b"." else report.decode(errors="replace") or "the attempt was killed"


def _visible_paths() -> list[str]:
    """The standard library, numpy where it is loaded, and the folders of the shared libraries that are loaded."""
    paths = {os.path.realpath(path) for path in sys.path if os.path.exists(path)}
    paths |= set(sys.modules["numpy"].__path__) if "numpy" in sys.modules else set()
    with open("/proc/self/maps") as maps:
        files = {line.split(maxsplit=5)[5].rstrip("\n") for line in maps if ".so" in line and "/" in line}
    paths |= {os.path.dirname(file) for file in files if os.path.exists(file)}
    return sorted(path for path in paths if not any(_shows(other, path) for other in paths))


def _shows(folder: str, path: str) -> bool:
    """Whether a path is seen where a folder is, and is not among the installed packages, which are hidden."""
    return path.startswith(f"{folder}/") and not set(path[len(folder) :].split("/")) & set(_PACKAGES)


def _package_folders(paths: list[str]) -> list[str]:
    """The folders of installed packages within `paths`."""
    bases = {*paths, *map(os.path.realpath, sys.path)}
    folders = sorted(f"{base}/{name}" for base in bases for name in _PACKAGES)
    return [folder for folder in folders if os.path.isdir(folder) and any(folder.startswith(f"{p}/") for p in paths)]


def _small_root(paths: list[str]) -> None:
    """A root of nothing but `paths`, read-only."""
    read_only = syscalls.MS_RDONLY | syscalls.MS_NOSUID | syscalls.MS_NODEV
    syscalls.mount("none", "/", None, syscalls.MS_REC | syscalls.MS_PRIVATE)
    links = {path: os.readlink(path) for path in ("/lib", "/lib64", "/usr/lib", "/usr/lib64") if os.path.islink(path)}
    bases = [base for base in ("/tmp", "/mnt", "/srv", "/opt", "/var", "/media") if os.path.isdir(base)]
    new = next(base for base in bases if not any(f"{path}/".startswith(f"{base}/") for path in paths))
    syscalls.mount("tmpfs", new, "tmpfs", syscalls.MS_NOSUID | syscalls.MS_NODEV, "size=1m,mode=755")
    emptied = _package_folders(paths)  # though numpy may have its place there
    for path in paths:
        target = new + path
        os.makedirs(target if os.path.isdir(path) else os.path.dirname(target), exist_ok=True)
        if not os.path.isdir(path):
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
        syscalls.mount(path, target, None, syscalls.MS_BIND | syscalls.MS_REC)
        flags = syscalls.MS_REMOUNT | syscalls.MS_BIND | read_only
        syscalls.mount("none", target, None, flags | (os.statvfs(target).f_flag & os.ST_NOEXEC))
        for folder in [folder for folder in emptied if folder.startswith(f"{path}/")]:
            flags = syscalls.MS_NOSUID | syscalls.MS_NODEV
            syscalls.mount("tmpfs", new + folder, "tmpfs", flags, "size=4k,mode=755")
    for folder in emptied:
        flags = syscalls.MS_REMOUNT | syscalls.MS_BIND | read_only | syscalls.MS_NOEXEC
        syscalls.mount("none", new + folder, None, flags)
    for path, destination in links.items():
        if not os.path.lexists(new + path):
            os.makedirs(os.path.dirname(new + path), exist_ok=True)
            os.symlink(destination, new + path)
    syscalls.mount("none", new, None, syscalls.MS_REMOUNT | syscalls.MS_BIND | read_only)
    syscalls.pivot_to(new)
