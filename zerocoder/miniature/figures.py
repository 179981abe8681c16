"""The paper's Figures 5 and 6, and the reward curves beside the truth, drawn from the runs' own logs and scores."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import TYPE_CHECKING

import numpy as np

from zerocoder.miniature.evidence import Left
from zerocoder.miniature.findings import LABELLED
from zerocoder.miniature.plan import BASE, LABELS, SELECTORS, TAUS, labels_name, tau_name
from zerocoder.miniature.scores import CAVG, TAVG
from zerocoder.miniature.tables import TITLES
from zerocoder.report.logs import Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 10.0  # inches
_CURVES = ("reward/coder", "truth/coder", "reward/tester", "truth/tester")


def draw(left: Left, folder: Path) -> dict[str, Path]:
    """Every figure that there is something for, as PNG in `folder`: name -> file."""
    drawn = {}
    for name, figure in (
        ("noise", noise(left)),
        ("filter-and-labels", filter_and_labels(left)),
        ("rewards", rewards(left)),
    ):
        if figure is not None:
            folder.mkdir(parents=True, exist_ok=True)
            drawn[name] = folder / f"{name}.png"
            figure.savefig(drawn[name], dpi=110)
    return drawn


def noise(left: Left) -> Figure | None:
    """Figure 5, twice: DyB4 beside the static selectors without labels, and beside those with the same labels."""
    groups = [("label-free static selectors, and DyB4", SELECTORS), ("the same ten labels", LABELLED)]
    found = left.evidence.noise
    if not any(found[name] for name in ("dyb4", *SELECTORS, *LABELLED)):
        return None
    figure, axes = _figure(2)
    for place, (title, names) in zip(axes, groups, strict=True):
        for name in ("dyb4", *names):
            if found[name]:
                band(place, TITLES[name], list(found[name].values()), 100.0)
        place.set(title=title, xlabel="step", ylabel="selection noise (%)")
        place.legend(fontsize=8)
    return figure


def filter_and_labels(left: Left) -> Figure | None:
    """Figure 6: CAvg and TAvg over tau and over L; the base model is the dashed line."""
    panels = [("tau", {n: tau_name(n) for n in TAUS}), ("L", {n: labels_name(n) for n in LABELS})]
    scores = left.evidence.scores
    if not any(scores[name] for _, names in panels for name in names.values()):
        return None
    figure, axes = _figure(2)
    for place, (title, names) in zip(axes, panels, strict=True):
        for colour, column in (("C0", CAVG), ("C1", TAVG)):
            values = {n: [c[column].value for c in scores[at].values() if column in c] for n, at in names.items()}
            known = {n: found for n, found in values.items() if found}
            spread = [stdev(found) if len(found) > 1 else 0.0 for found in known.values()]
            at = [list(names).index(n) for n in known]  # evenly spaced
            place.errorbar(
                at, [fmean(f) for f in known.values()], spread, fmt="o-", color=colour, label=column, capsize=3
            )
            base = [c[column].value for c in scores[BASE].values() if column in c][:1]
            for value in base:
                place.axhline(value, color=colour, linestyle="--", linewidth=1, label=f"{column}, base")
        place.set_xticks(range(len(names)), [str(n) for n in names])
        place.set(xlabel=title, ylabel="%")
        place.legend(fontsize=8)
    return figure


def rewards(left: Left) -> Figure | None:
    """What the roles are rewarded for, beside what is true of them."""
    shown = [name for name in ("dyb4", "codet", "oracle") if left.logs[name]]
    if not shown:
        return None
    figure, axes = _figure(len(shown))
    for place, name in zip(axes, shown, strict=True):
        for tag in _CURVES:
            series = [log.scalars[tag] for log in left.logs[name].values() if tag in log.scalars]
            if series:
                band(place, tag, series, 1.0)
        place.set(title=TITLES[name], xlabel="step")
        place.legend(fontsize=8)
    return figure


def band(place: Axes, label: str, series: Sequence[Series], scale: float) -> None:
    """The mean over seeds as a line, the standard deviation as a band; steps that all seeds have."""
    common = sorted(set.intersection(*(set(s.steps.tolist()) for s in series)))
    if not common:
        return
    values = scale * np.array([[dict(zip(s.steps, s.values, strict=True))[step] for step in common] for s in series])
    mean, spread = values.mean(axis=0), values.std(axis=0, ddof=1) if len(series) > 1 else np.zeros(len(common))
    (line,) = place.plot(common, mean, marker="." if len(common) < 20 else "", label=label)
    place.fill_between(common, mean - spread, mean + spread, alpha=0.15, color=line.get_color())


def _figure(panels: int) -> tuple[Figure, list[Axes]]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
    return figure, [figure.add_subplot(1, panels, i + 1) for i in range(panels)]
