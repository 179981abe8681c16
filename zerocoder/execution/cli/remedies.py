"""What to install or change so that this host gives more isolation: the report of `sandbox/probe.py` -> advice."""

from __future__ import annotations

from typing import Any

_IN_LINUX = (
    "run it in a Linux container or virtual machine, e.g. docker run --rm -it --user 1000 "
    '--security-opt seccomp=unconfined --security-opt apparmor=unconfined -v "$PWD":/work -w /work python:3.11 bash'
)
_SWITCHES = (  # of an ordinary user's namespaces: setting, value that forbids, value that allows
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("user.max_user_namespaces", "0", "15000"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
)


def remedies(host: dict[str, Any]) -> list[str]:
    """One line each, the most promising first; empty when there is nothing to gain."""
    if host["system"] != "Linux":
        return [f"{host['system']} has neither namespaces nor seccomp: {_IN_LINUX}"]
    advice = [] if host["level"] == "strict" else _for_strict(host)
    if host["level"] == "standard" and not host["primitives"]["landlock"][0]:
        advice.append(
            "without landlock, programs can open no file, so only preloaded modules can be imported: boot a kernel of "
            "5.13 or newer with landlock in its lsm= list"
        )
    return advice


def _for_strict(host: dict[str, Any]) -> list[str]:
    primitives, sysctls = host["primitives"], host["sysctls"]
    if not primitives["seccomp"][0]:
        return [f"system calls cannot be filtered here ({primitives['seccomp'][1]}): use a kernel with seccomp filters "
                "on x86_64 or aarch64, outside of emulators"]  # fmt: skip
    advice = []
    if not host["root"]:
        for name, forbids, allows in _SWITCHES:
            if sysctls[name] == forbids:
                advice.append(f"sudo sysctl {name}={allows}   (to keep it: a line in /etc/sysctl.d/)")
    if host["container"]:
        user = "an ordinary user (--user 1000)" if host["root"] else "this user"
        advice.append(
            "the container's default profile refuses namespaces: start it as "
            f"{user} with --security-opt seccomp=PROFILE.json --security-opt apparmor=unconfined, where the profile is "
            "Docker's default plus clone, unshare, mount, umount2 and pivot_root (or, coarser, seccomp=unconfined); "
            "in Kubernetes by securityContext.seccompProfile"
        )
    elif host["root"]:
        advice.append("root lacks CAP_SYS_ADMIN here: run as an ordinary user with user namespaces, or grant it")
    if not advice:
        advice.append(f"namespaces are refused ({host['obstacles'].get('strict', 'unknown reason')}): run as root, or "
                      "have user namespaces allowed")  # fmt: skip
    return advice
