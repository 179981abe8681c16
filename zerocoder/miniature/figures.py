"""The paper's Figures 5 and 6, and the rewards beside the truth, drawn from the runs' own logs and scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import fmean, stdev

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from zerocoder.files import write_text
from zerocoder.miniature.evidence import Left
from zerocoder.miniature.findings import LABELLED
from zerocoder.miniature.plan import BASE, LABELS, SELECTORS, TAUS, labels_name, tau_name
from zerocoder.miniature.scores import CAVG, TAVG
from zerocoder.miniature.tables import TITLES
from zerocoder.problems import Role
from zerocoder.report import plots, style

HEIGHT = 3.2  # inches of a panel
REWARDED = ("dyb4", "codet", "oracle")
"""Settings whose rewards are shown beside the truth: with labels, without, and with nothing else."""


def draw(left: Left, folder: Path) -> dict[str, Path]:
    """Every figure that there is something for, as SVG in `folder`: name -> file."""
    drawn = {}
    with style.styled():
        figures = {"noise": noise(left), "filter-and-labels": filter_and_labels(left), "rewards": rewards(left)}
        for name, figure in figures.items():
            if figure is not None:
                drawn[name] = folder / f"{name}.svg"
                write_text(drawn[name], style.svg(figure))
    return drawn


def noise(left: Left) -> Figure | None:
    """Figure 5, twice: DyB4 beside the static selectors without labels, and beside those with the same labels."""
    panels = {"DyB4 and label-free static selectors": SELECTORS, "all with the same labels": LABELLED}
    if not any(left.evidence.noise[name] for name in ("dyb4", *SELECTORS, *LABELLED)):
        return None
    figure, axes = style.panels(2, height=HEIGHT)
    for place, (title, names) in zip(axes, panels.items(), strict=True):
        groups = {TITLES[name]: list(left.logs[name].values()) for name in ("dyb4", *names)}
        plots.plot_selection_noise(place, groups)
        place.set_title(title)
        keys = plots.group_keys(groups, [label for label, runs in groups.items() if runs])
        place.legend(*keys, fontsize=7, ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.18))
    return figure


def filter_and_labels(left: Left) -> Figure | None:
    """Figure 6: CAvg and TAvg over tau and over L, evenly spaced; dashed lines are the base model."""
    panels = {"tau": {n: tau_name(n) for n in TAUS}, "L": {n: labels_name(n) for n in LABELS}}
    if not any(left.evidence.scores[name] for names in panels.values() for name in names.values()):
        return None
    figure, axes = style.panels(2, height=HEIGHT)
    for place, (title, names) in zip(axes, panels.items(), strict=True):
        for number, column in enumerate((CAVG, TAVG)):
            _over(place, left, names, column, style.colour(number))
        place.set_xticks(range(len(names)), [str(n) for n in names])
        place.set(xlabel=title, ylabel="%")
    style.legend(figure, *axes[0].get_legend_handles_labels())
    return figure


def _over(place: Axes, left: Left, names: Mapping[int, str], column: str, colour: str) -> None:
    """One column over the settings `names`, mean and spread over seeds."""
    scores = left.evidence.scores
    values = {n: [c[column].value for c in scores[name].values() if column in c] for n, name in names.items()}
    known = {n: found for n, found in values.items() if found}
    spread = [stdev(found) if len(found) > 1 else 0.0 for found in known.values()]
    at = [list(names).index(n) for n in known]
    place.errorbar(at, [fmean(f) for f in known.values()], spread, fmt="o-", color=colour, label=column, capsize=3)
    for base in list(scores[BASE].values())[:1]:
        if column in base:
            place.axhline(base[column].value, color=colour, linestyle="--", linewidth=1, label=f"{column}, base")


def rewards(left: Left) -> Figure | None:
    """What the roles are rewarded for, beside what is true of them on training problems."""
    groups = {TITLES[name]: runs for name in REWARDED if (runs := list(left.logs[name].values()))}
    if not groups:
        return None
    figure, axes = style.panels(2, height=HEIGHT)
    for place, role in zip(axes, Role, strict=True):
        plots.plot_reward(place, groups, role)
        place.set_title(role.value)
    lines, labels = plots.group_keys(groups, list(groups))
    dashes, meanings = plots.dash_keys({"solid": "rewarded", "dashed": "true"})
    style.legend(figure, [*lines, *dashes], [*labels, *meanings])
    return figure
