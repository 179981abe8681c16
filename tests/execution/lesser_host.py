"""Runs an executor as on a host that gives less, and prints what came of it as JSON.

    python lesser_host.py user|confined FLOOR < {"attacks": {name: program}, ...}

`user`: an ordinary user without capabilities. `confined`: the same, where user namespaces are switched off, as in many
containers. Both are made with a real user namespace, whatever the caller is.
"""

from __future__ import annotations

import ctypes
import json
import os
import struct
import sys

CLONE_NEWUSER = 0x10000000
USER = 1000


def become_ordinary(namespaces: bool) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    uid, gid = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "unshare")
    for name, text in (("setgroups", "deny"), ("uid_map", f"{USER} {uid} 1"), ("gid_map", f"{USER} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    if not namespaces:
        with open("/proc/sys/user/max_user_namespaces", "w") as file:
            file.write("0")
    if libc.capset(struct.pack("II", 0x20080522, 0), bytes(24)):
        raise OSError(ctypes.get_errno(), "capset")


def main() -> None:
    host, floor = sys.argv[1:]
    request = json.load(sys.stdin)
    become_ordinary(namespaces=host == "user")
    # only now: numpy starts threads, and a process with threads may not change its user namespace
    from zerocoder.execution import Job, Limits, ProcessExecutor, Verdict
    from zerocoder.problems import Program, TestCase, ZeroCoderError

    jobs = [
        Job((Program(attack), Program(request["honest"])), tuple(map(TestCase, request["tests"])), "f")
        for attack in request["programs"]
    ]
    try:
        with ProcessExecutor(workers=2, limits=Limits(cpu_seconds=0.15, memory_mb=256), isolation=floor) as executor:
            matrices = [[[Verdict(v).name for v in row] for row in matrix] for matrix in executor.run(jobs)]
            print(json.dumps({"isolation": executor.isolation, "matrices": matrices}))
    except ZeroCoderError as error:
        print(json.dumps({"refused": str(error)}))


if __name__ == "__main__":
    main()
