"""System call filters: an allow-list for everything below the zygote, and a lid that takes forking away from a runner.

The zygote installs the allow-list once; it is inherited by what it forks. A runner, judge or planner adds the lid:
a few instructions, so that a fork stays cheap. What is not allowed fails with EPERM, which Python turns into an
ordinary exception. Threads are allowed (scripts use them for a deeper stack), processes, programs, sockets that reach
anything, signals to others, writing files and raising limits are not.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from . import syscalls

# Numbers by (x86_64, aarch64); None where the architecture has no such call.
_COMMON: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63), "write": (1, 64), "close": (3, 57), "fstat": (5, 80), "lseek": (8, 62), "mmap": (9, 222),
    "mprotect": (10, 226), "munmap": (11, 215), "brk": (12, 214), "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135), "rt_sigreturn": (15, 139), "pread64": (17, 67), "readv": (19, 65),
    "writev": (20, 66), "sched_yield": (24, 124), "mremap": (25, 216), "madvise": (28, 233), "dup": (32, 23),
    "dup2": (33, None), "dup3": (292, 24), "nanosleep": (35, 101), "getitimer": (36, 102), "getpid": (39, 172),
    "exit": (60, 93), "uname": (63, 160), "fcntl": (72, 25), "getcwd": (79, 17), "getdents64": (217, 61),
    "readlink": (89, None), "readlinkat": (267, 78), "stat": (4, None), "lstat": (6, None), "newfstatat": (262, 79),
    "statx": (332, 291), "access": (21, None), "faccessat": (269, 48), "faccessat2": (439, 439),
    "gettimeofday": (96, 169), "time": (201, None), "getrusage": (98, 165), "getrlimit": (97, 163),
    "sysinfo": (99, 179), "times": (100, 153), "getuid": (102, 174), "getgid": (104, 176), "geteuid": (107, 175),
    "getegid": (108, 177), "getppid": (110, 173), "getpgrp": (111, None), "getpgid": (121, 155),
    "getsid": (124, 156), "getgroups": (115, 158), "getresuid": (118, 148), "getresgid": (120, 150),
    "getpriority": (140, 141), "sched_getparam": (143, 121), "sched_getscheduler": (145, 120), "statfs": (137, 43),
    "fstatfs": (138, 44), "sigaltstack": (131, 132), "gettid": (186, 178), "futex": (202, 98),
    "sched_getaffinity": (204, 123), "getcpu": (309, 168), "set_tid_address": (218, 96), "restart_syscall": (219, 128),
    "clock_gettime": (228, 113), "clock_getres": (229, 114), "clock_nanosleep": (230, 115), "exit_group": (231, 94),
    "set_robust_list": (273, 99), "get_robust_list": (274, 100), "poll": (7, None), "ppoll": (271, 73),
    "select": (23, None), "pselect6": (270, 72), "getrandom": (318, 278), "membarrier": (324, 283),
    "rseq": (334, 293), "epoll_create1": (291, 20), "epoll_ctl": (233, 21), "epoll_wait": (232, None),
    "epoll_pwait": (281, 22), "socketpair": (53, 199), "pipe2": (293, 59),
    # for the zygote only; the lid takes them away again
    "wait4": (61, 260), "recvmsg": (47, 212), "sendmsg": (46, 211), "recvfrom": (45, 207), "sendto": (44, 206),
    "close_range": (436, 436), "prctl": (157, 167),
}  # fmt: skip
_OPENAT, _IOCTL, _CLONE, _CLONE3, _PRLIMIT = (257, 56), (16, 29), (56, 220), (435, 435), (302, 261)
_FORK_ONLY = ("wait4", "recvmsg", "sendmsg", "recvfrom", "sendto", "prctl")
_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_LOAD, _JUMP_EQ, _JUMP_GE, _JUMP_SET, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER_AT, _ARCH_AT, _ARGS_AT = 0, 4, 16
_ALLOW, _KILL = 0x7FFF0000, 0x80000000
_DENY = 0x00050000 | errno.EPERM
_ABSENT = 0x00050000 | errno.ENOSYS
_X32_BIT = 0x40000000
_OPEN_FOR_CHANGE = 0o3 | 0o100 | 0o1000 | 0o2000 | 0o20000000  # WRONLY|RDWR, CREAT, TRUNC, APPEND, O_TMPFILE's own bit
_CLONE_THREAD = 0x00010000
_TERMINAL_AND_FLAGS = (0x5401, 0x5413, 0x5421, 0x5450, 0x5451)  # TCGETS, TIOCGWINSZ, FIONBIO, FIONCLEX, FIOCLEX

_Instruction = tuple[int, int, int, int]


def supported() -> bool:
    """Whether the call numbers of this machine are known."""
    return syscalls.machine() in _ARCHITECTURES


def allow_list() -> ctypes.Array[ctypes.c_char]:
    """The filter of the zygote and everything it forks."""
    column, architecture = _ARCHITECTURES[syscalls.machine()]
    code = _prologue(architecture)
    allowed = sorted(row[column] for row in _COMMON.values() if row[column] is not None)  # type: ignore[type-var]
    for number in allowed:
        code += [(_JUMP_EQ, 0, 1, number or 0), (_RETURN, 0, 0, _ALLOW)]
    for number in (_CLONE[column], _PRLIMIT[column]):
        code += [(_JUMP_EQ, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    code += [(_JUMP_EQ, 0, 1, _CLONE3[column]), (_RETURN, 0, 0, _ABSENT)]  # glibc then falls back to clone
    code += _if_number(
        _OPENAT[column], [_argument(2), (_JUMP_SET, 0, 1, _OPEN_FOR_CHANGE), (_RETURN, 0, 0, _DENY)], _ALLOW
    )
    ioctls = [_argument(1)]
    for command in _TERMINAL_AND_FLAGS:
        ioctls += [(_JUMP_EQ, 0, 1, command), (_RETURN, 0, 0, _ALLOW)]
    code += _if_number(_IOCTL[column], ioctls, _DENY)
    return _assembled([*code, (_RETURN, 0, 0, _DENY)])


def lid(files: bool) -> ctypes.Array[ctypes.c_char]:
    """The filter that a runner adds: no processes, no limits, no messages, and no files at all unless `files`."""
    column, architecture = _ARCHITECTURES[syscalls.machine()]
    code = _prologue(architecture)
    denied = [_COMMON[name][column] for name in _FORK_ONLY]
    if not files:
        denied += [_OPENAT[column], _COMMON["getdents64"][column], _COMMON["readlinkat"][column]]
    for number in denied:
        code += [(_JUMP_EQ, 0, 1, number or 0), (_RETURN, 0, 0, _DENY)]
    code += _if_number(_CLONE[column], [_argument(0), (_JUMP_SET, 1, 0, _CLONE_THREAD), (_RETURN, 0, 0, _DENY)], _ALLOW)
    new_limit = [_argument(2), (_JUMP_EQ, 1, 0, 0), (_RETURN, 0, 0, _DENY)]
    new_limit += [_argument(2, high=True), (_JUMP_EQ, 1, 0, 0), (_RETURN, 0, 0, _DENY)]
    other = [_argument(0), (_JUMP_EQ, 1, 0, 0), (_RETURN, 0, 0, _DENY)]
    code += _if_number(_PRLIMIT[column], new_limit + other, _ALLOW)
    return _assembled([*code, (_RETURN, 0, 0, _ALLOW)])


def _prologue(architecture: int) -> list[_Instruction]:
    """Leaves the call's number in the accumulator; another architecture's calls kill the process."""
    code = [(_LOAD, 0, 0, _ARCH_AT), (_JUMP_EQ, 1, 0, architecture), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NUMBER_AT)]
    return [*code, (_JUMP_GE, 0, 1, _X32_BIT), (_RETURN, 0, 0, _KILL)]


def _argument(index: int, high: bool = False) -> _Instruction:
    """Loads half of an argument (both architectures are little-endian)."""
    return (_LOAD, 0, 0, _ARGS_AT + 8 * index + (4 if high else 0))


def _if_number(number: int, body: list[_Instruction], otherwise: int) -> list[_Instruction]:
    """`body` for one call, which then returns `otherwise`; all other calls jump over it."""
    block = [*body, (_RETURN, 0, 0, otherwise)]
    return [(_JUMP_EQ, 0, len(block), number), *block]


def _assembled(code: list[_Instruction]) -> ctypes.Array[ctypes.c_char]:
    """The `sock_fprog` that the kernel takes; it keeps its instructions alive."""
    packed = b"".join(struct.pack("HBBI", *instruction) for instruction in code)
    instructions = ctypes.create_string_buffer(packed, len(packed))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(code), ctypes.addressof(instructions)))
    program.keep_alive = instructions  # type: ignore[attr-defined]
    return program
