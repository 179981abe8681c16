"""From runs to a whole report."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from zerocoder.problems import ZeroCoderError
from zerocoder.report import figures, style, tables
from zerocoder.report.damage import damage
from zerocoder.report.document import Block, Document, Note, Section, Settings, Table
from zerocoder.report.figures import Drawn
from zerocoder.report.grouping import COMMON, Grouping, group
from zerocoder.report.logs import RunLog
from zerocoder.report.plots import Groups

_SPREAD = "Of several seeds: means, with one standard deviation over the seeds to either side (±, or a band)."
_SMOOTH = "Lines of many steps are running means over about a sixteenth of the run."
_HELDOUT = "Percent, before → after, and the change in points."
_TIME = (
    "The parts and the last column are those of the paper's Table 5. RL training has the reference model's log-probs, "
    "the update and the engine's new weights in it; measuring the run itself (the labelled probe) is left out. Answers "
    "to the calibration problems are sampled together with the step's own; their share of the tokens is Calibration's."
)


def build(runs: Sequence[RunLog], title: str) -> Document:
    """The report of `runs`. Raises ZeroCoderError where none has finished a step."""
    if not any(run.steps for run in runs):
        raise ZeroCoderError(_without_steps(runs))
    grouping = group(runs)
    groups = {label: started for label, found in grouping.groups.items() if (started := [r for r in found if r.steps])}
    with style.styled():
        drawn = {figure.name: figures.draw_lines(figure, groups) for figure in figures.LINES}
        drawn |= {"ranks": figures.draw_ranks(groups), "time": figures.draw_time(groups)}
    sections = [
        Section("runs", "What was run", _runs(grouping)),
        *_warnings(runs),
        Section("heldout", "Held-out scores", _heldout(groups, drawn["heldout"])),
        _figure(drawn["rewards"], [], _signals(groups)),
        *(_figure(drawn[name]) for name in ("noise", "consensus", "configuration", "matrices", "ranks", "policy")),
        _figure(drawn["time"], _table(tables.time_table(groups), _TIME)),
        Section("surroundings", "Surroundings", _surroundings(grouping)),
    ]
    return Document(title, _summary(grouping), sections)


def _without_steps(runs: Sequence[RunLog]) -> str:
    """Why there is nothing to report, of the first three runs of a kind."""
    found = {run.folder: damage(run) for run in runs}
    damaged = [f"{folder}: {what}" for folder, what in found.items() if what]
    waiting = [str(folder) for folder, what in found.items() if not what]
    told = [f"nothing to report: {_first(damaged, '; ')}"] if damaged else []
    if waiting:
        told.append(f"no step has been finished yet: {_first(waiting, ', ')}; report again after the first")
    return "; ".join(told)


def _first(names: Sequence[str], between: str) -> str:
    return between.join([*names[:3], *(["..."] if len(names) > 3 else [])])


def _summary(grouping: Grouping) -> str:
    runs = [run for found in grouping.groups.values() for run in found]
    steps = sum(run.steps for run in runs)
    parts = [
        _count(len(runs), "run"),
        *([_count(len(grouping.groups), "setting")] if len(grouping.groups) > 1 else []),
        _count(steps, "step"),
    ]
    unfinished = sum(not run.finished for run in runs)
    still = f" {_count(unfinished, 'run')} not finished: what there is so far." if unfinished else ""
    return f"{', '.join(parts)}.{still} {_SPREAD} {_SMOOTH}"


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def _runs(grouping: Grouping) -> list[Block]:
    blocks: list[Block] = [tables.runs_table(grouping)]
    settings = tables.settings_table(grouping)
    if settings is not None:
        blocks += [Note("The settings in which the runs differ:"), settings]
    if grouping.common:
        shared = ", ".join(f"{name}={text}" for name, text in grouping.common.items())
        only = f" What is called {COMMON} has nothing else." if COMMON in grouping.groups else ""
        blocks.append(Note(f"Names leave out what most settings have: {shared}.{only}"))
    if any(not run.steps for runs in grouping.groups.values() for run in runs):
        blocks.append(Note("Runs without a step so far are in no picture."))
    return blocks


def _warnings(runs: Sequence[RunLog]) -> list[Section]:
    found = tables.warnings_table(runs)
    return [Section("warnings", "Warnings", [found])] if found is not None else []


def _heldout(groups: Groups, drawn: Drawn) -> list[Block]:
    scores = tables.heldout_table(groups)
    if scores is None:
        return [Note("Not measured by these runs (trainer.evaluate=false, or they have not come so far).")]
    return [scores, Note(_HELDOUT), *_blocks(drawn)]


def _signals(groups: Groups) -> list[Block]:
    return _table(
        tables.signals_table(groups), "Means over the first quarter of each run → those over its last, and the change."
    )


def _table(table: Table | None, note: str) -> list[Block]:
    return [] if table is None else [table, Note(note)]


def _figure(drawn: Drawn, before: Sequence[Block] = (), after: Sequence[Block] = ()) -> Section:
    return Section(drawn.figure.name, drawn.figure.title, [*before, *_blocks(drawn), *after])


def _blocks(drawn: Drawn) -> list[Block]:
    shown: list[Block] = [drawn.picture, Note(drawn.figure.caption)] if drawn.picture is not None else []
    return [*shown, *map(Note, drawn.left_out)]


def _surroundings(grouping: Grouping) -> list[Block]:
    runs = [run for found in grouping.groups.values() for run in found]
    whole = (
        Settings(f"all settings of {label}", yaml.safe_dump(found[0].config, sort_keys=False, allow_unicode=True))
        for label, found in grouping.groups.items()
    )
    return [tables.surroundings_table(runs), *whole]
