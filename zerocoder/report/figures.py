"""The pictures of a report: which plots stand together, what they need, and what to look for in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from matplotlib.axes import Axes

from zerocoder.evaluation.names import METRICS
from zerocoder.problems import Role
from zerocoder.report import plots, style
from zerocoder.report.curves import has
from zerocoder.report.document import Picture
from zerocoder.report.logs import RunLog
from zerocoder.report.plots import Groups
from zerocoder.report.timing import COMPONENTS, OTHER, breakdown

_BAR_INCHES = 0.34  # height of a group's bar


@dataclass(frozen=True, slots=True)
class Panel:
    """One plot; it is drawn where a run has logged at least one of the scalars it `needs`."""

    title: str
    needs: tuple[str, ...]
    draw: Callable[[Axes, Groups], None]


@dataclass(frozen=True, slots=True)
class Figure:
    """Plots beside each other. `dashes`: what their kinds of lines stand for."""

    name: str
    title: str
    caption: str
    panels: tuple[Panel, ...]
    dashes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Drawn:
    """A figure's picture, None where no run has logged anything of it, and what was left out of it."""

    figure: Figure
    picture: Picture | None
    left_out: Sequence[str]


def _scalar(title: str, name: str, smooth: bool = True, share: bool = False) -> Panel:
    return Panel(title, (name,), partial(plots.plot_scalar, name=name, smooth=smooth, share=share))


def _share(title: str, name: str, smooth: bool = True) -> Panel:
    """In percent."""
    return Panel(title, (name,), partial(plots.plot_share, name=name, smooth=smooth))


REWARDS = Figure(
    "rewards",
    "Reward and truth",
    "Means over the answers of a step. Coder: its whole reward and, dashed, the share of its programs that are right "
    "by the problems' labels. Tester: its whole reward, which is format + (1 - lambda) * validity + lambda * mutation "
    "(format: the penalty of an answer that does not parse, else 0). Validity and mutation are drawn before they are "
    "weighted: validity is the share of tests that hold for the chosen program, with the share that is right by the "
    "labels, dashed; mutation is the share of that program's mutants that a test kills. Lambda weights mutation (a "
    "problem without mutants has 0). Solid and dashed should rise together: a reward that rises alone is collusion, "
    "reward hacking, or a selector that no longer fits the policy.",
    (
        Panel("Coder", ("reward/coder", "truth/coder"), partial(plots.plot_reward, role=Role.CODER)),
        _scalar("Tester: whole reward", "reward/tester"),
        Panel(
            "Tester: validity", ("reward/tester_valid", "truth/tester"), partial(plots.plot_reward, role=Role.TESTER)
        ),
        _scalar("Tester: mutation", "reward/tester_mutation", share=True),
        _scalar("Lambda", "reward/lambda", smooth=False, share=True),
    ),
    {"solid": "reward, or a term of it", "dashed": "right by the labels"},
)
HELDOUT = Figure(
    "heldout",
    "Held-out scores over the run",
    "Measured on problems that are not trained on, at the steps that are marked.",
    tuple(
        Panel(
            style.capital(METRICS[metric]),
            (f"eval/{metric}",),
            partial(plots.plot_heldout, metric=metric),
        )
        for metric in ("pass_at_1", "test_accuracy", "mutation_score")
    ),
)
NOISE = Figure(
    "noise",
    "Selection noise",
    "The share of the selected programs that are wrong, on fixed labelled problems whose labels are used for this "
    "alone (the paper's Figure 5), and what the policy wrote for the same problems.",
    (
        Panel("Selection noise", ("selector/noise",), plots.plot_selection_noise),
        _share("Right programs of the probe", "probe/coder"),
        _share("Right tests of the probe", "probe/tester"),
        _share("Right programs that are selected", "probe/consensus_recall"),
    ),
)
CONSENSUS = Figure(
    "consensus",
    "Consensus",
    "How much the selector takes of each problem, and how often nothing.",
    (
        Panel("Solutions in the consensus", ("selector/consensus_size",), plots.plot_consensus),
        Panel("Tests in the consensus", ("selector/consensus_tests",), partial(plots.plot_consensus, of="tests")),
        _share("Problems without a consensus", "selector/empty"),
    ),
)
CONFIGURATION = Figure(
    "configuration",
    "The selector's priors",
    "B4's two priors as powers of ten, which DyB4 chooses anew as coder and tester change, and how well they did on "
    "the labelled calibration problems.",
    (
        Panel("Priors", ("selector/log10_beta0",), plots.plot_configuration),
        _share("Accuracy on calibration problems", "selector/calibration_accuracy", smooth=False),
    ),
    {"solid": "log10 beta0", "dashed": "log10 alpha_xy"},
)
MATRICES = Figure(
    "matrices",
    "Passing matrices",
    "A matrix of low rank tells little apart, a degenerate one nothing; repeated programs and tests are why.",
    (
        _scalar("Mean rank", "matrix/rank"),
        _share("Degenerate matrices", "matrix/degenerate"),
        _share("Density", "matrix/density"),
        Panel("Repeated programs", ("matrix/duplicate_programs",), partial(plots.plot_duplicates, of="programs")),
        Panel("Repeated tests", ("matrix/duplicate_tests",), partial(plots.plot_duplicates, of="tests")),
    ),
)
POLICY = Figure(
    "policy",
    "Policy",
    "Entropy that falls to nothing is a policy that says one thing; KL is the way it has come from where it started.",
    (
        _scalar("Entropy", "policy/entropy"),
        _scalar("KL to the initial policy", "policy/kl"),
        _share("Answers without a program or test", "rollout/format_errors"),
    ),
)
LINES = (REWARDS, HELDOUT, NOISE, CONSENSUS, CONFIGURATION, MATRICES, POLICY)
"""Figures of lines over the steps."""
RANKS = Figure(
    "ranks",
    "Ranks over the run",
    "How many of a step's matrices have which rank.",
    (Panel("Ranks", plots.RANKS, lambda axes, groups: None),),
)
TIME = Figure(
    "time",
    "Where the time goes",
    "Seconds a step, by the parts of the paper's Table 5. What a step waits for adds up to it; what is at work "
    "meanwhile may be hidden behind something else.",
    (
        Panel("Waited for", ("time/step",), plots.plot_time),
        Panel("At work", ("time/step",), partial(plots.plot_time, busy=True)),
    ),
)
FIGURES = (*LINES, RANKS, TIME)


def draw_lines(figure: Figure, groups: Groups) -> Drawn:
    """The panels of LINES that any run has something for, and one legend."""
    panels = [panel for panel in figure.panels if any(_measured(runs, panel) for runs in groups.values())]
    missing = [panel.title for panel in figure.panels if panel not in panels]
    left_out = [f"Not logged: {', '.join(missing)}."] if missing else []
    if not panels:
        return Drawn(figure, None, left_out)
    drawing, axes = style.panels(len(panels), columns=2 if len(panels) in (2, 4) else 3)
    for panel, at in zip(panels, axes, strict=True):
        style.title(at, panel.title)
        panel.draw(at, groups)
    missing_of = {
        label: tuple(panel.title for panel in panels if not _measured(runs, panel)) for label, runs in groups.items()
    }
    for titles in dict.fromkeys(titles for titles in missing_of.values() if titles):
        labels = [label for label, missed in missing_of.items() if missed == titles]
        left_out.append(f"Not logged by {'; '.join(labels)}: {', '.join(titles)}.")
    both = any(line.is_dashed() for at in axes for line in at.lines)
    keys = [plots.dash_keys(figure.dashes)] if both else []
    if len(groups) > 1:
        shown = [label for label, missed in missing_of.items() if len(missed) < len(panels)]
        keys.insert(0, plots.group_keys(groups, shown))
    if keys:
        style.legend(drawing, [h for handles, _ in keys for h in handles], [n for _, names in keys for n in names])
    alt = f"{figure.title}: {', '.join(panel.title for panel in panels)}, over the steps"
    return Drawn(figure, Picture(figure.name, style.svg(drawing), alt), left_out)


def draw_ranks(groups: Groups) -> Drawn:
    """One panel a group."""
    shown = {label: runs for label, runs in groups.items() if _measured(runs, RANKS.panels[0])}
    missing = [label for label in groups if label not in shown]
    left_out = [f"Not logged by {'; '.join(missing)}."] if missing and shown else ["Not logged."] if missing else []
    if not shown:
        return Drawn(RANKS, None, left_out)
    drawing, axes = style.panels(len(shown))
    for label, runs, at in zip(style.distinct(list(shown)), shown.values(), axes, strict=True):
        style.title(at, label)
        plots.plot_ranks(at, runs)
    logged = [run.scalars for runs in shown.values() for run in runs]
    used = [name for name in plots.RANKS if any(name in found and found[name].values.any() for found in logged)]
    words = [name.replace("ranks/", "rank ") + (" or more" if name == plots.RANKS[-1] else "") for name in used]
    style.legend(drawing, *plots.patch_keys(dict(zip(words, map(plots.rank_colour, used), strict=True))))
    alt = f"{RANKS.title}: shares of the matrices by rank, over the steps"
    return Drawn(RANKS, Picture(RANKS.name, style.svg(drawing), alt), left_out)


def draw_time(groups: Groups) -> Drawn:
    """Bars, one a group."""
    parts = {share.component for runs in groups.values() for share in breakdown(runs)}
    if not parts:
        return Drawn(TIME, None, ["Not logged."])
    drawing, axes = style.panels(len(TIME.panels), height=max(style.HEIGHT, 0.9 + _BAR_INCHES * len(groups)))
    for panel, at in zip(TIME.panels, axes, strict=True):
        style.title(at, panel.title)
        panel.draw(at, groups)
    axes[1].set_yticks([])
    used = [name for name in (*COMPONENTS, OTHER) if name in parts]
    style.legend(drawing, *plots.patch_keys({name: plots.component_colour(name) for name in used}))
    alt = f"{TIME.title}: seconds a step by part, waited for and at work"
    return Drawn(TIME, Picture(TIME.name, style.svg(drawing), alt), [])


def _measured(runs: Sequence[RunLog], panel: Panel) -> bool:
    return any(has(runs, name) for name in panel.needs)
