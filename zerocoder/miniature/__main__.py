"""`python -m zerocoder.miniature`: train and evaluate every setting of the paper's tables, write docs/miniature.md.

Started again, it goes on where it stopped. `--plan` says what would run.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from zerocoder.compose import quoted
from zerocoder.console import say
from zerocoder.exits import exit_with
from zerocoder.files import check_target, require_writable
from zerocoder.miniature.pace import Pace, Used, in_words, left
from zerocoder.miniature.plan import BASE, SCRIPTS, SETTINGS, Plan, Run, make_plan
from zerocoder.miniature.runner import Job, Runner
from zerocoder.problems import ZeroCoderError
from zerocoder.runs import lock

PAGE = SCRIPTS / "docs" / "miniature.md"
EXAMPLES = """examples:
  python -m zerocoder.miniature --plan
  python -m zerocoder.miniature --only dyb4,codet --seeds 0,1
  python -m zerocoder.miniature --steps 4 --problems 20 --only dyb4 --root runs/try

exit codes: 0 everything ran; 1 something did not, and the page has the rest; 2 a mistake; 130 interrupted
"""


def main(argv: Sequence[str]) -> int:
    chosen = parse(argv)
    page = writable_page(chosen)
    plan = make_plan(Path(chosen.root), chosen.seeds, chosen.steps, chosen.overrides, chosen.problems)
    runs = [run for run in plan.runs if not chosen.only or set(run.settings) & set(chosen.only)]
    if chosen.plan:
        show(plan, runs, chosen.jobs)
        return 0
    plan.root.mkdir(parents=True, exist_ok=True)
    handle = lock(plan.root)
    try:
        runner = Runner(chosen.jobs, pace_of(plan))
        runner.work([training(run) for run in runs if not run.finished], "training")
        runner.work(evaluations(plan, runs), "evaluation")
    except KeyboardInterrupt:
        say("stopped; the same command goes on from here")
        raise
    finally:
        os.close(handle)
    from zerocoder.miniature.page import write_page

    write_page(plan, page)
    say(f"written {page}")
    for failure in runner.failures:
        say(f"failed: {failure.line()}")
    return 1 if runner.failures else 0


def writable_page(chosen: argparse.Namespace) -> Path:
    """The page's file. Raises ZeroCoderError where it or the runs could not be written: the page is, hours later."""
    tried = chosen.steps is not None or chosen.problems is not None or bool(chosen.overrides)
    page = Path(chosen.out) if chosen.out else (Path(chosen.root, "miniature.md") if tried else PAGE)
    require_writable(chosen.root, f"--root {chosen.root}")
    check_target(page)
    require_writable(page.parent, f"--out {page}")
    return page


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line. Raises ZeroCoderError for a mistake in it."""
    parser = _Parser(prog="python -m zerocoder.miniature", description=__doc__, epilog=EXAMPLES,
                     formatter_class=argparse.RawDescriptionHelpFormatter)  # fmt: skip
    parser.add_argument("--plan", action="store_true", help="print what would run, and for how long; run nothing")
    parser.add_argument("--only", type=_names, default=(), metavar="SETTING,...", help="run these settings alone")
    parser.add_argument("--seeds", type=_numbers, default=(0, 1, 2), metavar="N,...", help="default: 0,1,2")
    parser.add_argument("--steps", type=_positive, metavar="N", help="of every run, for a try")
    parser.add_argument("--problems", type=_positive, metavar="N", help="evaluate on so many, for a try")
    parser.add_argument("--jobs", type=_positive, default=_cores(), metavar="N", help="at once; default: one a core")
    parser.add_argument("--root", default="runs/miniature", metavar="FOLDER", help="of the runs; default: %(default)s")
    parser.add_argument(
        "--out", metavar="FILE", help="the page; default: docs/miniature.md, of a try <root>/miniature.md"
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="of every run whose setting says nothing else, for a try"
    )
    return parser.parse_args(argv)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise ZeroCoderError(f"{message}; see {self.prog} --help")


def _names(text: str) -> tuple[str, ...]:
    known = [BASE, *(setting.name for setting in SETTINGS)]
    for name in text.split(","):
        if name not in known:
            raise argparse.ArgumentTypeError(f"unknown setting '{name}'; known: {', '.join(known)}")
    return tuple(text.split(","))


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(dict.fromkeys(int(part) for part in text.split(",")))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"whole numbers are expected, as in 0,1,2, got '{text}'") from error


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"a whole number above 0 is expected, got '{text}'")
    return int(text)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def training(run: Run) -> Job:
    """train.py for a run."""
    return Job(run.settings[0], run.name, "training", "train.py", lambda: run.command, run.folder, run.steps, run.ranks)


def evaluations(plan: Plan, runs: Sequence[Run]) -> list[Job]:
    """evaluate.py for the initial policy and the last checkpoint of every finished run, where it has not been yet."""
    jobs = []
    for run in [None, *(run for run in runs if run.finished)]:
        folder = plan.scores_folder(run)
        if not (folder / "results.json").is_file():
            jobs.append(evaluation(plan, run, folder))
    return jobs


def evaluation(plan: Plan, run: Run | None, folder: Path) -> Job:
    """evaluate.py for one checkpoint; its output folder is its own, so what it and we write do not meet."""
    model = plan.model if run is None else str(run.finished)
    name, setting = (BASE, BASE) if run is None else (run.name, run.settings[0])
    arguments = (f"model.path={quoted(model)}", *plan.evaluation, f"output={quoted(str(folder))}")
    at = folder.with_name(f"{folder.name}-job")
    return Job(setting, f"{name} on the test split", "evaluation", "evaluate.py", lambda: arguments, at, 1)


def pace_of(plan: Plan) -> Pace:
    """What the finished jobs of a plan used."""
    folders = [run.folder for run in plan.runs if run.finished]
    folders += [f.with_name(f"{f.name}-job") for run in (None, *plan.runs) if (f := plan.scores_folder(run)).is_dir()]
    return Pace(used for folder in folders if (used := Used.read(folder)) is not None)


def show(plan: Plan, runs: Sequence[Run], jobs: int) -> None:
    """Say what would run."""
    pace, to_come = pace_of(plan), []
    for run in runs:
        seconds = pace.seconds("training", run.settings[0], run.steps)
        begun = run.latest is not None
        state = "done" if run.finished else f"{in_words(seconds)}, {'goes on' if begun else 'new'}"
        to_come += [] if run.finished else [seconds]
        print(f"{run.name:<28} {run.steps} steps  {state:<20} {' = '.join(run.settings)}")
    unscored = [run for run in (None, *runs) if not (plan.scores_folder(run) / "results.json").is_file()]
    to_come += [pace.seconds("evaluation", BASE if run is None else run.settings[0], 1) for run in unscored]
    problems = ", ".join(f"{count} {difficulty}" for difficulty, count in plan.problems.items())
    print(f"evaluation on the test split ({problems}): {len(unscored)} of {len(runs) + 1} checkpoints to come")
    basis = "a guess: nothing has run here yet" if pace.guessed else "at the pace of what has run"
    print(f"{len(to_come)} processes, {jobs} at once: about {in_words(left(to_come, {}, jobs))} ({basis})")


if __name__ == "__main__":
    exit_with(lambda: main(sys.argv[1:]))
