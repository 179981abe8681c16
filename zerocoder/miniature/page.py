"""docs/miniature.md: what was run, the verdicts, the paper's tables and figures, and the numbers behind each verdict.

Every number of the page comes from the runs. What needs words beyond that stands in a file of its own beside the page
(miniature-notes.md), which is appended where there is one.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from zerocoder.evaluation.paper import citation, published
from zerocoder.files import write_text
from zerocoder.miniature.evidence import Left, read
from zerocoder.miniature.figures import draw
from zerocoder.miniature.findings import PAPER, Finding, findings
from zerocoder.miniature.pace import in_words
from zerocoder.miniature.plan import Plan
from zerocoder.miniature.scores import PASS, RESAMPLES
from zerocoder.miniature.statistics import LEVEL, SMALL, Verdict
from zerocoder.miniature.tables import parts_table, table_1, table_2, table_3, table_4, table_5, verdicts_table

MARK = "<!-- Written by `make miniature` from the runs' logs. What is changed here by hand is lost. -->"


def write_page(plan: Plan, file: Path) -> list[Finding]:
    """Write the page and its figures, out of what there is; returns the findings."""
    left = read(plan)
    images = file.parent / "images" / file.stem
    drawn = {name: os.path.relpath(path, file.parent) for name, path in draw(left, images).items()}
    found = findings(left.evidence)
    notes = file.with_name(f"{file.stem}-notes.md")
    parts = [*_head(plan, left), *_verdicts(found), *_tables(plan, left, drawn), *_numbers(found)]
    parts += [notes.read_text(encoding="utf-8").strip()] if notes.is_file() else []
    write_text(file, "\n\n".join(parts) + "\n")
    return found


def _head(plan: Plan, left: Left) -> list[str]:
    done = sum(run.seed in left.evidence.scores[run.settings[0]] for run in plan.runs)
    steps = sorted({run.steps for run in plan.runs})
    problems = ", ".join(f"{count} of {difficulty}" for difficulty, count in plan.problems.items())
    parts = [
        MARK,
        "# The paper in miniature",
        f"The experiments of sections 5.1 to 5.3 ({citation()}) with `model.path={plan.model}` on the built-in "
        f"problems: {len(plan.runs)} training runs with the seeds {', '.join(map(str, plan.seeds))}, of "
        f"{' or '.join(map(str, steps))} steps each; settings that several tables share are run once. They are lighter "
        f"than the default run (`{' '.join(plan.extra)}`). Every last "
        f"checkpoint and the initial policy answer the test split ({problems}) {plan.answers} times in each role, "
        "sampled as in training, after all training: of so few problems, a few decide where each has a single greedy "
        "answer, as in the paper. "
        "`make miniature` repeats all of it.",
        _cost(left),
    ]
    if left.missing:
        listed = "\n".join(f"- {line}" for line in left.missing)
        parts.append(f"**This page is not complete: {done} of {len(plan.runs)} runs are there.** Missing:\n\n{listed}")
    return parts


def _cost(left: Left) -> str:
    """What it took, and which versions of the code made it."""
    wall, cpu = sum(u.seconds for u in left.used), sum(u.cpu_seconds for u in left.used)
    logs = [log for by_seed in left.logs.values() for log in by_seed.values()]
    revisions = Counter(_revision(log.environment) for log in {log.folder: log for log in logs}.values())
    text = f"The training runs took {in_words(wall)} in all, one core each, and {in_words(cpu)} of CPU time."
    if len(revisions) > 1:
        told = ", ".join(f"{revision} ({count})" for revision, count in revisions.most_common())
        text += f" They were made by several revisions of the code: {told}."
    return text


def _revision(environment: Mapping[str, object]) -> str:
    git = environment.get("git")
    if not isinstance(git, dict):
        return "unknown"
    return str(git["revision"])[:10] + (" with changes" if git["changed"] else "")


def _verdicts(found: Sequence[Finding]) -> list[str]:
    counts = Counter(finding.verdict for finding in found)
    summary = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict)
    return [
        "## The paper's findings",
        f"{summary}. The rules are those of `zerocoder/miniature/findings.py`; the numbers are at the end of the page.",
        verdicts_table(found).strip(),
        f"**How they are judged.** A difference is the mean over seeds, each seed compared with itself. Its "
        f"{LEVEL:.0%} interval counts the noise between the seeds and that of the choice of problems (bootstrap, "
        f"{RESAMPLES} draws, the same for both sides), by Student's t with the degrees of freedom of Welch and "
        f"Satterthwaite; for noise and time there are the seeds alone. *Above* is reproduced when the interval is "
        f"above zero, not reproduced when it ends below {SMALL:g} points (of shares of the time: below zero), and not "
        "decidable here otherwise. "
        "*Comparable* is reproduced when the interval stays within half of what the setting that is compared with "
        "gains over base (the margin), and not reproduced when it is outside of that. A claim of several parts is "
        "reproduced when all of them are and not reproduced when one is not, unless its rule says otherwise. Where one "
        "of several is enough, to bear a claim out or to sink it, the intervals are widened to hold for all of them "
        "(Bonferroni).",
    ]


def _tables(plan: Plan, left: Left, drawn: Mapping[str, str]) -> list[str]:
    model = published(f"{PAPER}/base")[0].model
    parts = [
        "## Tables and figures",
        f"Percent, mean ± standard deviation over seeds; the best mean of a column is bold. {', '.join(plan.problems)} "
        f"and {PASS}: Pass@1; CAvg is the mean over the difficulties, TAvg of test accuracy and mutation score, Avg of "
        f"CAvg and TAvg. The columns in italics are "
        f"the paper's averages for {model}, on other benchmarks. † marks training with labelled problems.",
        "### Table 1: without labels", table_1(left, plan).strip(),
        "### Table 2: with the same labelled problems", table_2(left, plan).strip(),
        "### Table 3: the mutation reward, and ground truth", table_3(left).strip(),
        "### Table 4: training problems left by the filter", table_4(left).strip(),
        "### Table 5: the time of a step",
        "ZeroCoder with DyB4, mean over steps. At work: hidden behind other stages or not, which the paper's "
        "percentages correspond to. Waited for: what the step was longer by. The answers to the labelled problems are "
        f"part of the calibration, which is {_how_often(left)} here and before every step in the paper.",
        table_5(left).strip(),
    ]  # fmt: skip
    captions = _captions(left)
    for name, title in _FIGURES.items():
        parts.append(f"### {title}")
        parts += captions.get(name, [])
        parts.append(f"![{title}]({drawn[name]})" if name in drawn else "Nothing has been logged for it yet.")
    return parts


def _captions(left: Left) -> dict[str, list[str]]:
    """What a figure does not say itself."""
    noise = "selector/noise"
    log = next((log for by_seed in left.logs.values() for log in by_seed.values() if noise in log.scalars), None)
    if log is None:
        return {}
    steps = ", ".join(str(int(step)) for step in log.scalars[noise].steps)
    problems = log.config["callbacks"]["selection_noise"]["problems"]
    return {
        "noise": [
            f"Measured at the steps {steps} on {problems} labelled problems that nothing is learnt from, with the "
            "priors that DyB4 chose last; before the first step it has chosen none."
        ],
        "rewards": [
            "Solid: the share of programs that are in the consensus, and of tests that the proxy passes, on which the "
            "tester's mutation term rests. Dashed: the share that is right by labels that training does not see."
        ],
    }


def _how_often(left: Left) -> str:
    every = sorted({log.config["callbacks"]["recalibration"]["every"] for log in left.logs["dyb4"].values()})
    return " or ".join(f"before every {n}th step" if n > 1 else "before every step" for n in every) or "not done"


_FIGURES = {
    "noise": "Figure 5: selection noise over training",
    "filter-and-labels": "Figure 6: the filter's threshold tau, and the number of labelled problems L",
    "rewards": "Rewards beside the truth",
}


def _numbers(found: Sequence[Finding]) -> list[str]:
    parts = [
        "## The numbers behind the verdicts",
        "In percentage points. There is no interval from a single seed, nor where nothing differs.",
    ]
    for number, finding in enumerate(found, 1):
        parts.append(f"### {number}. {finding.claim}")
        parts.append(f"{finding.rule[0].upper()}{finding.rule[1:]}: **{finding.verdict}**.")
        parts.append(parts_table(finding).strip())
    return parts
