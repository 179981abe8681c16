"""The kernel calls that Python's standard library does not wrap, by ctypes. Importable everywhere, useful on Linux."""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Any

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_REMOUNT = 0x20
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
_MNT_DETACH = 2

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_SECCOMP = 22
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522
_NUM_CAPABILITIES = 64
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446  # one number on all architectures

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_fork = ctypes.PyDLL(None, use_errno=True)["fork"]  # holding the interpreter's lock


def _declared(name: str, *types: Any) -> Any:
    """A function whose arguments need no conversion by the caller; None where the system has no such function."""
    function = getattr(ctypes.CDLL(None, use_errno=True), name, None)
    if function is not None:
        function.argtypes = types
    return function


_prctl_numbers = _declared("prctl", ctypes.c_int, *[ctypes.c_ulong] * 4)
_prctl_program = _declared("prctl", ctypes.c_int, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong)


def machine() -> str:
    return os.uname().machine


def _check(result: int, what: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def fork() -> int:
    """A fork without Python's after-fork hooks, for a process with one thread.

    The hooks of `threading` and `random` write to so many pages that they double the price of a fork, and all they do
    is to mend other threads' state and to seed anew, which a runner does for itself.
    """
    return _check(int(_fork()), "fork")


def knows_cores() -> bool:
    """Whether this system lets processes choose their cores."""
    return hasattr(os, "sched_setaffinity") and hasattr(_libc, "sched_getcpu")


def current_core() -> int:
    """The core this thread runs on. Only where `knows_cores`."""
    return _check(int(_libc.sched_getcpu()), "sched_getcpu")


def unshare(flags: int) -> None:
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    result = _libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3])
    _check(result, f"mount {target}")


def pivot_to(new_root: str) -> None:
    """Makes `new_root` (a mount point) the root and lets go of everything else."""
    os.chdir(new_root)
    _check(_libc.syscall(ctypes.c_long(_PIVOT_ROOT[machine()]), b".", b"."), "pivot_root")
    _check(_libc.umount2(b".", _MNT_DETACH), "umount")
    os.chdir("/")


def _prctl(option: int, value: int, what: str) -> None:
    _check(_prctl_numbers(option, value, 0, 0, 0), what)


def set_parent_death_signal(number: int) -> None:
    """Note that the kernel forgets it when the process changes its credentials, and for a child."""
    _prctl(_PR_SET_PDEATHSIG, number, "prctl PDEATHSIG")


def set_undumpable() -> None:
    """Nobody of the same uid may trace this process or open its memory."""
    _prctl(_PR_SET_DUMPABLE, 0, "prctl DUMPABLE")


def set_no_new_privileges() -> None:
    _prctl(_PR_SET_NO_NEW_PRIVS, 1, "prctl NO_NEW_PRIVS")


def drop_capabilities() -> None:
    for capability in range(_NUM_CAPABILITIES):
        _prctl_numbers(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = struct.pack("II", _CAPABILITY_VERSION_3, 0)
    _check(_libc.capset(header, bytes(24)), "capset")


def install_filter(program: ctypes.Array[ctypes.c_char]) -> None:
    """Adds a seccomp filter (a `sock_fprog`, see seccomp.py) to this process for good."""
    _check(_prctl_program(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, program, 0, 0), "seccomp")


def landlock_abi() -> int:
    """The version of landlock this kernel speaks; 0 where it has none."""
    return max(0, int(_libc.syscall(ctypes.c_long(_LANDLOCK_CREATE), None, ctypes.c_size_t(0), ctypes.c_uint(1))))


def landlock_read_only(paths: list[str]) -> None:
    """Leaves this process nothing of the file system but reading below `paths`."""
    read_file, read_dir = 1 << 2, 1 << 3
    num_rights = {1: 13, 2: 14, 3: 15, 4: 15}.get(landlock_abi(), 16)
    attributes = struct.pack("Q", (1 << num_rights) - 1)
    ruleset = _libc.syscall(ctypes.c_long(_LANDLOCK_CREATE), attributes, ctypes.c_size_t(8), ctypes.c_uint(0))
    _check(ruleset, "landlock_create_ruleset")
    for path in paths:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rights = read_file | read_dir if os.path.isdir(path) else read_file
        rule = struct.pack("=Qi", rights, fd)
        _check(_libc.syscall(ctypes.c_long(_LANDLOCK_ADD), ctypes.c_int(ruleset), 1, rule, 0), "landlock_add_rule")
        os.close(fd)
    _check(_libc.syscall(ctypes.c_long(_LANDLOCK_RESTRICT), ctypes.c_int(ruleset), 0), "landlock_restrict_self")
    os.close(ruleset)
