"""The terminal: one Rich console for everything a run prints, and progress bars that nest."""

from __future__ import annotations

import logging
import os
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

console = Console(stderr=True, highlight=False)
log_files: list[Path] = []
"""Files that get a copy of every line said, with its time; a run adds its log.txt."""


def quiet_libraries() -> None:
    """Keep the libraries' advice, banners and bars off the terminal; their errors stay."""
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\).*")
    # The policy samples and learns without dropout, so it is in eval mode on purpose.
    warnings.filterwarnings("ignore", message=r".*in eval mode at the start of training.*")
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.WARNING)
    import torch
    from transformers.utils import logging as transformers_logging

    if not torch.cuda.is_available():  # DeepSpeed, which others load where it is installed, would say so itself
        os.environ.setdefault("DS_ACCELERATOR", "cpu")

    transformers_logging.disable_progress_bar()


def say(text: str) -> None:
    """Print plain text to the terminal (above a live bar) and append it to the log files."""
    console.print(text, markup=False, soft_wrap=True)
    stamp = time.strftime("%H:%M:%S")
    for path in log_files:
        with path.open("a", encoding="utf-8", errors="replace") as file:
            file.writelines(f"{stamp} {line}\n" for line in text.splitlines())


def new_progress(transient: bool = False) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
        console=console,
        transient=transient,
    )


@contextmanager
def bar(description: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show a bar and hand out the function that advances it."""
    with new_progress() as progress:
        task = progress.add_task(description, total=total, note="")

        def advance(n: int) -> None:
            progress.advance(task, n)

        yield advance


@contextmanager
def stages(description: str) -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for work in stages and hand out the function that is told (stage, done, total)."""
    with new_progress(transient=True) as progress:
        task = progress.add_task(description, total=None, note="")
        yield lambda stage, done, total: progress.update(
            task, description=f"{description}: {stage}", completed=done, total=total
        )


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds of one step by stage: `waited` for, which add up to the step, and `busy`, hidden behind others or not."""

    waited: dict[str, float]
    busy: dict[str, float]

    @property
    def step(self) -> float:
        return sum(self.waited.values())

    @property
    def hidden(self) -> float:
        """What the stages would have added to the step one after the other."""
        return sum(seconds - self.waited.get(stage, 0.0) for stage, seconds in self.busy.items())


class Clock:
    """Measures the stages of a step: those that the step's own thread is in, and what goes on behind them."""

    def __init__(self) -> None:
        self.listeners: list[Callable[[str], None]] = []
        self._waited: dict[str, float] = {}
        self._busy: dict[str, float] = {}
        self._active: dict[str, tuple[int, float]] = {}  # how many are at it, and since when anyone is
        self._lock = threading.Lock()

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """The step is in `stage`; for its own thread, one stage at a time."""
        for listener in self.listeners:
            listener(stage)
        start = time.perf_counter()
        try:
            with self.busy(stage):
                yield
        finally:
            self._waited[stage] = self._waited.get(stage, 0.0) + time.perf_counter() - start

    @contextmanager
    def busy(self, stage: str) -> Iterator[None]:
        """Something of `stage` goes on; for any thread, and time in which several are at it counts once."""
        with self._lock:
            count, since = self._active.get(stage, (0, time.perf_counter()))
            self._active[stage] = count + 1, since
        try:
            yield
        finally:
            with self._lock:
                count, since = self._active.pop(stage)
                if count > 1:
                    self._active[stage] = count - 1, since
                else:
                    self._busy[stage] = self._busy.get(stage, 0.0) + time.perf_counter() - since

    def move(self, stage: str, to: str, seconds: float) -> None:
        """Book `seconds` that were measured as `stage` as another one's: what was done in one go with it."""
        with self._lock:
            for times in (self._waited, self._busy):
                times[stage] = times.get(stage, 0.0) - seconds
                times[to] = times.get(to, 0.0) + seconds

    def reset(self) -> Times:
        """Hand out what was measured since the last reset and start anew."""
        with self._lock:
            times = Times(self._waited, self._busy)
            self._waited, self._busy = {}, {}
        return times
