"""What a benchmark found: figures with one value a round, and matrices that came out exactly or did not.

The median counts; the lowest and the highest round tell how far to trust it.
"""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.markup import escape
from rich.table import Table

_MAX_NAMED = 3


@dataclass(frozen=True)
class Figure:
    """One quantity, measured in some rounds. `at_least` and `at_most` are goals, where it has one."""

    part: str
    name: str
    values: tuple[float, ...]  # one a round
    unit: str
    at_least: float | None = None
    at_most: float | None = None
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def holds(self) -> bool | None:
        """Whether the median reaches the goal; None without one."""
        if self.at_least is not None:
            return self.median >= self.at_least
        return None if self.at_most is None else self.median <= self.at_most

    @property
    def goal(self) -> str:
        if self.at_least is not None:
            return f">= {_number(self.at_least)} {self.unit}"
        return "" if self.at_most is None else f"<= {_number(self.at_most)} {self.unit}"


@dataclass
class Exactness:
    """Matrices of one runner against the truth, over all of its runs."""

    part: str
    name: str
    required: bool  # it is ours; a peer may be wrong
    num_runs: int = 0
    num_exact: int = 0
    num_wrong_cells: int = 0
    named: list[str] = field(default_factory=list)

    def add(self, num_wrong: int, names: Sequence[str] = ()) -> None:
        """Counts one run, with its number of wrong cells and the names of some of them."""
        self.num_runs += 1
        self.num_exact += num_wrong == 0
        self.num_wrong_cells += num_wrong
        self.named += names[: _MAX_NAMED - len(self.named)]

    @property
    def holds(self) -> bool:
        return self.num_exact == self.num_runs


class Report:
    """All findings of one run of a benchmark."""

    def __init__(self, title: str = "verifier benchmark") -> None:
        self.title = title
        self.facts: dict[str, Any] = {
            "python": platform.python_version(),
            "system": platform.platform(),
            "cores": len(os.sched_getaffinity(0)),
            "load_at_start": round(os.getloadavg()[0], 2),
        }
        self.figures: list[Figure] = []
        self.exactness: list[Exactness] = []

    @property
    def exact(self) -> bool:
        """Whether every matrix of ours is the truth."""
        return all(entry.holds for entry in self.exactness if entry.required)

    def figure(
        self,
        part: str,
        name: str,
        values: Sequence[float],
        unit: str,
        at_least: float | None = None,
        at_most: float | None = None,
        note: str = "",
    ) -> None:
        self.figures.append(Figure(part, name, tuple(values), unit, at_least, at_most, note))

    def matrices(self, part: str, name: str, required: bool = True) -> Exactness:
        """A new entry to count runs in."""
        self.exactness.append(Exactness(part, name, required))
        return self.exactness[-1]

    def table(self) -> Table:
        """All figures, and below them whether the matrices are exact."""
        facts = ", ".join(f"{name} {value}" for name, value in self.facts.items())
        table = Table(title=self.title, caption=escape(facts), caption_justify="left")
        for heading in ("part", "what"):
            table.add_column(heading)
        for heading in ("median", "rounds", "goal"):
            table.add_column(heading, justify="right")
        table.add_column("holds")
        table.add_column("note", style="dim")
        for figure in self.figures:
            low, high = min(figure.values), max(figure.values)
            spread = f"{_number(low)}..{_number(high)} ({len(figure.values)})" if len(figure.values) > 1 else ""
            shown = f"{_number(figure.median)} {figure.unit}"
            table.add_row(
                figure.part, escape(figure.name), shown, spread, figure.goal, _sign(figure.holds), escape(figure.note)
            )
        table.add_section()
        for entry in (entry for entry in self.exactness if entry.num_runs):  # others were interrupted
            shown = f"{entry.num_exact} of {entry.num_runs}"
            goal = f"{entry.num_runs} of {entry.num_runs}" if entry.required else ""
            note = f"{entry.num_wrong_cells} wrong cells {' '.join(entry.named)}" if entry.num_wrong_cells else ""
            holds = entry.holds if entry.required else None
            table.add_row(
                entry.part, escape(f"matrix exact: {entry.name}"), shown, "", goal, _sign(holds), escape(note)
            )
        return table

    def as_json(self) -> dict[str, Any]:
        """Everything, with the values of all rounds."""
        return {
            "facts": self.facts,
            "exact": self.exact,
            "figures": [{**vars(figure), "median": figure.median, "holds": figure.holds} for figure in self.figures],
            "matrices": [{**vars(entry), "holds": entry.holds} for entry in self.exactness],
        }


def _number(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _sign(holds: bool | None) -> str:
    return "" if holds is None else "[green]yes[/]" if holds else "[red]no[/]"
