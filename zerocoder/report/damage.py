"""What is missing of a finished run's log: its summary says how many steps there should be."""

from __future__ import annotations

from zerocoder.report.logs import BOARD, RunLog


def damage(run: RunLog) -> str | None:
    """What is wrong with the log of a run that has finished, in a line; None where all of its steps are there.

    A run at work has no summary yet: of its log nobody can say how long it should be.
    """
    steps = run.summary.get("steps")
    if not isinstance(steps, int) or run.steps >= steps:
        return None
    told = f"of {steps} by summary.json"
    files = sorted((run.folder / BOARD).glob("*.tfevents.*"))
    if not files:
        return f"{BOARD}/ has no events file: there is no step to read {told}"
    whole = _first_missing(run)
    if not whole:
        return f"the log is damaged from its start ({files[0].name}): it has {_steps(run.steps)} {told}"
    resumed = ", or a resume from there has not finished" if len(files) > 1 else ""
    return f"the log is damaged after step {whole}{resumed}: it has {_steps(run.steps)} {told}"


def _first_missing(run: RunLog) -> int:
    """The first step, counted from 0, that was not logged: how many there are before it."""
    logged = set(run.scalars["time/step"].steps.tolist()) if run.steps else set()
    return next(n for n in range(len(logged) + 1) if n not in logged)


def _steps(count: int) -> str:
    return f"{count} step{'' if count == 1 else 's'}"
