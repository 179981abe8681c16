"""How long a plan's jobs take: told by what finished ones used, before any has ended by those at work."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from zerocoder.files import write_json

FILE = "used.json"
GUESS = {"training": 5.0, "evaluation": 40.0}
"""Seconds a step of training and an evaluation take on a core of an ordinary machine: for a plan of which nothing has
run yet."""


@dataclass(frozen=True, slots=True)
class Used:
    """What one job has used, over all its starts.

    seconds: wall time. cpu_seconds: of all its processes. steps: of training; an evaluation is one. failure: the last
    words of a start that did not end well.
    """

    kind: str
    setting: str
    steps: int
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    failure: str = ""

    def write(self, folder: Path) -> None:
        write_json(folder / FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Used | None:
        """None where no job has ended in `folder` yet."""
        file = folder / FILE
        return cls(**json.loads(file.read_text(encoding="utf-8"))) if file.is_file() else None


class Pace:
    """Seconds a step, by kind of job and setting."""

    def __init__(self, used: Iterable[Used] = ()) -> None:
        self.used = list(used)
        self.guessed = not self.used

    def add(self, used: Used) -> None:
        self.used.append(used)
        self.guessed = False

    def seconds(self, kind: str, setting: str, steps: int) -> float:
        """Of a whole job: at the mean pace of its setting's other jobs, else of its kind's, else at the guessed one."""
        same = [u for u in self.used if u.kind == kind]
        same = [u for u in same if u.setting == setting] or same
        done = sum(u.steps for u in same)
        return steps * (sum(u.seconds for u in same) / done if done else GUESS[kind])


def left(whole: Iterable[float], running: Mapping[str, tuple[float, float]], at_once: int) -> float:
    """Seconds until the last of the jobs ends, `at_once` at a time.

    whole: seconds of each job that has not begun. running: job -> (seconds it has run, share of its work that is done,
    in [0, 1]); one that has done nothing yet is taken for as long as the longest other one.
    """
    waiting = sorted(whole, reverse=True)
    cores = [0.0] * at_once
    for core, (seconds, share) in enumerate(running.values()):
        cores[core] = seconds * (1 - share) / share if share else max(waiting, default=seconds)
    for seconds in waiting:
        cores[cores.index(min(cores))] += seconds
    return max(cores)


def in_words(seconds: float) -> str:
    """`40 s`, `12 min`, `2 h 05 min`."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{round(seconds)} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
