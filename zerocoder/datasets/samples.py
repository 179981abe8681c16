"""The paper's samples of large benchmarks, by name: the same problems for everyone who asks for one.

A drawn sample takes the problems whose ids have the lowest hashes under the sample's name. So the draw depends neither
on the order of the rows nor on the machine, and a problem's place in the queue on nothing but its id: rows that cannot
be used leave theirs to the next in line and to no one else. A window is a range of contest dates.
"""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from zerocoder.binding import nearest
from zerocoder.datasets.base import Row, UnusableRowError
from zerocoder.problems import Problem, ZeroCoderError

EVERY = ""
"""The stratum of samples that are drawn from all problems alike."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """So many problems of every stratum (a difficulty, or EVERY). `data` is the data set's name."""

    name: str
    data: str
    sizes: Mapping[str, int]

    def stratum(self, problem: Problem) -> str | None:
        """The stratum that a problem belongs to, None for none."""
        return EVERY if EVERY in self.sizes else problem.difficulty if problem.difficulty in self.sizes else None


@dataclass(frozen=True, slots=True)
class Window:
    """Contest dates from `start` to `end`, both included, and the style of the problems that are taken."""

    start: date | None
    end: date | None
    style: str = "all"

    def require(self, day: date, before: bool) -> None:
        """Raises UnusableRowError for a contest outside of the window, or with `before`, not before it."""
        early = self.start is not None and day < self.start
        late = self.end is not None and day > self.end
        if before and not early:
            raise UnusableRowError("not before the window of contest dates")
        if not before and (early or late):
            raise UnusableRowError("outside of the window of contest dates")


DRAWN = {
    sample.name: sample
    for sample in (
        Drawn("apps-300", "apps", {"introductory": 60, "interview": 180, "competition": 60}),
        Drawn("codeforces-300", "codeforces", {EVERY: 300}),
    )
}
WINDOWS = {
    "livecodebench-2024-10": ("2024-10-01", "2025-02-28", "all"),
    "livecodebench-function": (None, None, "function"),
}
"""What the paper scores the coder on, and what it draws the tester's problems from: by its count of 323 problems with a
pseudo reference, function-style ones of all dates."""


class _Windowed(Protocol):
    """A source with a window."""

    @property
    def start(self) -> str | None: ...
    @property
    def end(self) -> str | None: ...
    @property
    def style(self) -> str: ...
    @property
    def sample(self) -> str | None: ...


def drawn(name: str | None, data: str) -> Drawn | None:
    """The drawn sample of a data set by its name; None for None. Raises ZeroCoderError for an unknown one."""
    if name is None:
        return None
    known = [sample.name for sample in DRAWN.values() if sample.data == data]
    if name not in known:
        raise ZeroCoderError(
            f"data.source.sample: data={data} has no sample '{name}'; known: {', '.join(known)}{nearest(name, known)}"
        )
    return DRAWN[name]


def window_of(source: _Windowed) -> Window:
    """The window of a source: the one that `sample` names, else `start`, `end` and `style`.

    Raises ZeroCoderError for an unknown sample, one that contradicts what else is set, or dates that are none.
    """
    given = (source.start, source.end, source.style)
    if source.sample is not None:
        if source.sample not in WINDOWS:
            known = list(WINDOWS)
            raise ZeroCoderError(
                f"data.source.sample: unknown '{source.sample}'; known: {', '.join(known)}"
                f"{nearest(source.sample, known)}"
            )
        named = WINDOWS[source.sample]
        default = tuple(getattr(type(source), key) for key in ("start", "end", "style"))
        for key, value, wanted, usual in zip(("start", "end", "style"), given, named, default, strict=True):
            if value not in (wanted, usual):
                raise ZeroCoderError(
                    f"data.source.sample={source.sample} has {key}={wanted}, and data.source.{key}={value} is set: "
                    "leave one of the two out"
                )
        given = named
    start, end = (_date(key, value) for key, value in zip(("start", "end"), given[:2], strict=True))
    if start is not None and end is not None and start > end:
        raise ZeroCoderError(f"data.source.start={start} is after data.source.end={end}")
    return Window(start, end, given[2])


def _date(key: str, value: str | None) -> date | None:
    try:
        return None if value is None else date.fromisoformat(value)
    except ValueError as error:
        raise ZeroCoderError(f"data.source.{key} must be a date such as 2024-10-01, got '{value}'") from error


def place_in_queue(sample: str, problem_id: str) -> str:
    """Where a problem stands when the sample is drawn: the lowest come first."""
    return hashlib.sha256(f"{sample}:{problem_id}".encode()).hexdigest()


def draw(rows: Iterable[Row], parse: Callable[[Row], Problem], sample: Drawn) -> tuple[list[Problem], dict[str, int]]:
    """The sampled problems of `rows`, in their order, and how many rows were left out for which reason.

    As `base.collect`, but only the problems drawn so far are held at a time: of the gigabyte that APPS's tests take,
    300 problems' worth. A stratum with fewer problems than wanted is taken whole, and the report says what is missing.
    """
    queues: dict[str, list[tuple[int, int, Problem]]] = {stratum: [] for stratum in sample.sizes}
    reasons: Counter[str] = Counter()
    places: dict[str, str] = {}
    for number, row in enumerate(rows):
        try:
            problem = parse(row)
            stratum = sample.stratum(problem)
            if stratum is None:
                raise UnusableRowError(f"of difficulty {problem.difficulty or 'unknown'}")
        except UnusableRowError as reason:
            reasons[str(reason)] += 1
            continue
        if problem.id in places:
            row.refuse(f'the id "{problem.id}" was used before, on {places[problem.id]}')
        places[problem.id] = f"{row.path}:{row.line}"
        entry = (-int(place_in_queue(sample.name, problem.id), 16), number, problem)
        push = heapq.heappush if len(queues[stratum]) < sample.sizes[stratum] else heapq.heappushpop
        if push(queues[stratum], entry) is not None:
            reasons[f"not drawn into {sample.name}"] += 1
    for stratum, queue in queues.items():
        if len(queue) < sample.sizes[stratum]:
            what = f"missing from {sample.name}" + (f" ({stratum})" if stratum else "")
            reasons[what] = sample.sizes[stratum] - len(queue)
    return [
        problem
        for _, problem in sorted(((n, p) for queue in queues.values() for _, n, p in queue), key=lambda entry: entry[0])
    ], dict(reasons)


def main(argv: Sequence[str]) -> int:
    """`python -m zerocoder.datasets ids`: print the ids of a data set's held-out problems, one a line, in its order."""
    from zerocoder.compose import load

    flag = next((text for text in argv if text.startswith("-")), None)
    if flag is not None:
        raise ZeroCoderError(f"ids takes settings only, such as data=apps data.source.sample=apps-300, got {flag}")
    for problem in load(argv).data.source.heldout():
        print(problem.id)
    return 0
