"""One picture a function: axes and groups in, drawing out.

A group is a label and the runs of one setting with several seeds: its line is their mean, the band around it one
standard deviation over the seeds to either side. Groups keep their colours from picture to picture. Lines of many steps
are running means (`curves.smoothed`). What no run of a group has logged is not drawn.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from zerocoder.problems import Role
from zerocoder.report import style
from zerocoder.report.curves import FEW, Curve, curve
from zerocoder.report.logs import RunLog
from zerocoder.report.timing import COMPONENTS, OTHER, TOTAL, breakdown

Groups = Mapping[str, Sequence[RunLog]]

RANKS = tuple(f"ranks/{n}" for n in range(9))
"""Shares of matrices by rank; the last is 8 or more."""
_DASHES: dict[str, Any] = {"solid": "-", "dashed": (0, (3, 1.6)), "dotted": (0, (1, 1.4))}
_LEAST = 0.05  # the shortest stretch of a share's axis: what hardly moves is not blown up


def plot_scalar(axes: Axes, groups: Groups, name: str, smooth: bool = True, share: bool = False) -> None:
    """A scalar over the steps. `share`: it lies in 0..1, and so do its band and its axis."""
    _lines(axes, groups, name, smooth, share)
    if share:
        _within_shares(axes)


def plot_share(axes: Axes, groups: Groups, name: str, smooth: bool = True) -> None:
    """A share over the steps, in percent."""
    plot_scalar(axes, groups, name, smooth, share=True)
    _percent(axes)


def plot_reward(axes: Axes, groups: Groups, role: Role) -> None:
    """What a role was rewarded with (solid) and what was true of its answers (dashed): they should rise together.

    For the tester, the part of the reward that says that a test holds, which is what its truth is about.
    """
    if role is Role.CODER:
        _lines(axes, groups, "reward/coder")  # no share: an answer that does not parse has less than 0
        _lines(axes, groups, "truth/coder", share=True, dash="dashed")
    else:
        _lines(axes, groups, "reward/tester_valid", share=True)
        _lines(axes, groups, "truth/tester", share=True, dash="dashed")
        _within_shares(axes)


def plot_selection_noise(axes: Axes, groups: Groups) -> None:
    """The paper's Figure 5: the share of the consensus' solutions that are wrong, on fixed labelled problems."""
    plot_share(axes, groups, "selector/noise", smooth=False)


def plot_heldout(axes: Axes, groups: Groups, metric: str) -> None:
    """A held-out score over the steps at which it was measured; `metric` as in `eval/<metric>`."""
    plot_share(axes, groups, f"eval/{metric}", smooth=False)


def plot_time(axes: Axes, groups: Groups, busy: bool = False) -> None:
    """The parts of Table 5, a bar a group: seconds that a step waited for each or, if `busy`, that each was at work."""
    names: list[str] = []
    for label, runs in groups.items():
        shares = breakdown(runs)
        if not shares:
            continue
        left = 0.0
        for share in shares:
            seconds = (share.busy if busy else share.waited).mean
            if share.component == TOTAL:
                axes.text(left, len(names), f"  {seconds:.1f} s", va="center", color=style.QUIET)
                continue
            axes.barh(len(names), seconds, 0.62, left, color=component_colour(share.component))
            left += seconds
        names.append(label)
    axes.set_yticks(range(len(names)), style.distinct(names))
    axes.set_ylim(max(len(names), 2) - 0.4, -0.6)
    axes.margins(x=0.15)
    axes.grid(False)
    axes.grid(True, axis="x")
    axes.set_xlabel("seconds a step")


def component_colour(component: str) -> str:
    """Of a part of Table 5."""
    return style.colour([*COMPONENTS, OTHER].index(component))


def plot_ranks(axes: Axes, runs: Sequence[RunLog]) -> None:
    """How many of a step's matrices have which rank, as areas that fill the step: rank 0 at the bottom."""
    curves = {name: found for name in RANKS if (found := curve(runs, name, smooth=True)) is not None}
    steps = np.unique(np.concatenate([found.steps for found in curves.values()]))
    heights = [np.interp(steps, found.steps, found.mean) for found in curves.values()]
    axes.stackplot(steps, heights, colors=[rank_colour(name) for name in curves], linewidth=0)
    _over_steps(axes)
    _percent(axes)
    axes.set_ylim(0, 1)
    if len(steps) > 1:
        axes.set_xlim(steps[0], steps[-1])


def rank_colour(name: str) -> str:
    """Of a name in RANKS: from dark to light, in any kind of sight, and the low ones, which are common, far apart."""
    return to_hex(colormaps["cividis"](math.sqrt(RANKS.index(name) / (len(RANKS) - 1))))


def plot_consensus(axes: Axes, groups: Groups, of: str = "solutions") -> None:
    """How many solutions, or of="tests", the selector takes on average."""
    plot_scalar(axes, groups, {"solutions": "selector/consensus_size", "tests": "selector/consensus_tests"}[of])


def plot_duplicates(axes: Axes, groups: Groups, of: str) -> None:
    """Share of the programs, or of="tests", that repeat another one of their problem."""
    plot_share(axes, groups, f"matrix/duplicate_{of}")


def plot_configuration(axes: Axes, groups: Groups) -> None:
    """B4's or DyB4's priors over the steps: the powers of ten of beta0 (solid) and of alpha_xy (dashed)."""
    _lines(axes, groups, "selector/log10_beta0", smooth=False)
    _lines(axes, groups, "selector/log10_alpha_xy", smooth=False, dash="dashed")
    axes.yaxis.set_major_locator(MaxNLocator(integer=True))


def group_keys(groups: Groups, shown: Collection[str]) -> tuple[list[Line2D], list[str]]:
    """For a legend: a line for each group that is `shown`, and the labels."""
    many = len(groups) > len(style.PALETTE)
    lines = {
        label: Line2D([], [], color=style.colour(n), marker=style.marker(n) if many else "")
        for n, label in enumerate(groups)
        if label in shown
    }
    return list(lines.values()), list(lines)


def dash_keys(names: Mapping[str, str]) -> tuple[list[Line2D], list[str]]:
    """For a legend: what `solid`, `dashed` and `dotted` stand for."""
    return [Line2D([], [], color=style.QUIET, linestyle=_DASHES[dash]) for dash in names], list(names.values())


def patch_keys(names: Mapping[str, str]) -> tuple[list[Patch], list[str]]:
    """For a legend: areas and bars by their colours."""
    return [Patch(color=colour) for colour in names.values()], list(names)


def _lines(
    axes: Axes, groups: Groups, name: str, smooth: bool = True, share: bool = False, dash: str = "solid"
) -> None:
    """A scalar of each group."""
    for number, runs in enumerate(groups.values()):
        found = curve(runs, name, smooth)
        if found is not None:
            _line(axes, found, number, dash, share)
    _over_steps(axes)


def _line(axes: Axes, found: Curve, number: int, dash: str, share: bool) -> None:
    """A mean line with its band, which does not leave 0..1 where the mean is a `share`."""
    colour = style.colour(number)
    few = found.raw and len(found.steps) <= FEW  # markers are for what was measured
    axes.plot(
        found.steps,
        found.mean,
        color=colour,
        linestyle=_DASHES[dash],
        marker=style.marker(number) if few or number >= len(style.PALETTE) else "",
        markevery=1 if few else max(len(found.steps) // 6, 1),
    )
    if np.isfinite(found.spread).any():
        low, high = found.mean - found.spread, found.mean + found.spread
        if share:
            low, high = np.clip(low, 0, 1), np.clip(high, 0, 1)
        axes.fill_between(found.steps, low, high, color=colour, alpha=0.15, linewidth=0)


def _over_steps(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.set_xlabel("step")


def _within_shares(axes: Axes) -> None:
    """An axis that ends where shares do, and lines that are whole where they lie on its end."""
    low, high = np.clip(axes.get_ylim(), 0, 1)
    if high - low < _LEAST:
        low = min(max((low + high - _LEAST) / 2, 0), 1 - _LEAST)
        high = low + _LEAST
    axes.set_ylim(low, high)
    for line in axes.lines:
        line.set_clip_on(False)


def _percent(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(lambda value, _: f"{100 * value:.4g} %")
