"""Whole figures with few and many settings: nothing is squeezed, and no name lies on another thing."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from logged import CONFIG
from matplotlib.figure import Figure

from zerocoder.report import figures, plots, style
from zerocoder.report.logs import RunLog, Series
from zerocoder.report.timing import COMPONENTS

NAMES = {name for figure in figures.LINES for panel in figure.panels for name in panel.needs}
STAGES = {f"time/{stage}" for stages in COMPONENTS.values() for stage in stages}


def groups(count: int, name: str) -> plots.Groups:
    """Settings with two seeds each, which have logged everything that a report draws."""

    def run(level: float) -> RunLog:
        values = np.linspace(level, 1, 6)
        series = Series(np.arange(6), values)
        scalars = dict.fromkeys(NAMES | STAGES | {"selector/log10_alpha_xy", "ranks/0", "ranks/3", "ranks/8"}, series)
        return RunLog(Path("/runs/nano/1"), "nano/1", CONFIG, {}, scalars, {}, {}, ())

    return {name.format(n): [run(n / 40), run(n / 80)] for n in range(count)}


def drawn(monkeypatch: pytest.MonkeyPatch, shown: plots.Groups) -> list[Figure]:
    """Every figure of a report as it is laid out to be written, with any warning an error."""
    found: list[Figure] = []

    def svg(figure: Figure) -> str:
        style.grow(figure)
        found.append(figure)
        return "<svg/>"

    monkeypatch.setattr(style, "svg", svg)
    with warnings.catch_warnings(), style.styled():
        warnings.simplefilter("error")
        made = [figures.draw_lines(figure, shown) for figure in figures.LINES]
        made += [figures.draw_ranks(shown), figures.draw_time(shown)]
    assert all(one.picture is not None and not one.left_out for one in made)
    return found


@pytest.mark.parametrize(
    ("count", "name"),
    [
        (1, "tau={}"),
        (3, "{}: " + 9 * "long name "),
        (8, "tau={}"),
        (20, "selector=b4, beta0=100000, calibration={}, tau=4"),
    ],
)
def test_every_panel_is_readable_and_free(count: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = drawn(monkeypatch, groups(count, name))
    assert len(made) == len(figures.FIGURES)
    for figure in made:
        assert min(axes.bbox.height for axes in figure.axes) / figure.dpi >= 1.2
        outlines = [axes.get_tightbbox() for axes in figure.axes]  # with headings and numbers
        for number, one in enumerate(outlines):
            assert not any(one.overlaps(other) for other in outlines[number + 1 :])
            for legend in figure.legends:
                assert not one.overlaps(legend.get_window_extent())
        for legend in figure.legends:
            assert legend.get_window_extent().x1 <= figure.bbox.x1 and legend.get_window_extent().y0 >= 0


def test_names_that_look_alike_are_numbered() -> None:
    name = "the same beginning of both names, {} and the same end of both, too"
    one, two = style.distinct([name.format(n) for n in (1, 2)])
    assert one.startswith("1. the same") and two.startswith("2. the same")
    assert style.distinct(["tau=1", "tau=2"]) == ["tau=1", "tau=2"]


def test_headings_are_broken_where_a_panel_ends() -> None:
    _, axes = style.panels(3)
    style.title(axes[0], "selector=b4, beta0=100000, calibration=10")
    assert axes[0].get_title(loc="left") + axes[0].get_title() == "selector=b4, beta0=100000,\ncalibration=10"
    style.title(axes[1], "Coder")
    assert axes[1].get_title(loc="left") + axes[1].get_title() == "Coder"


def test_the_tester_s_whole_reward_its_terms_and_their_weight_are_drawn() -> None:
    titles = {panel.title: panel.needs for panel in figures.REWARDS.panels}
    assert titles == {
        "Coder": ("reward/coder", "truth/coder"),
        "Tester: whole reward": ("reward/tester",),
        "Tester: validity": ("reward/tester_valid", "truth/tester"),
        "Tester: mutation": ("reward/tester_mutation",),
        "Lambda": ("reward/lambda",),
    }
    assert "format + (1 - lambda) * validity + lambda * mutation" in figures.REWARDS.caption


def test_a_figure_has_one_unit_for_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = {"Mean rank", "Solutions in the consensus", "Tests in the consensus", "Priors", "Entropy"}
    numbers |= {"KL to the initial policy", "Waited for", "At work"}
    for figure in drawn(monkeypatch, groups(1, "tau={}")):
        titles = {axes: (axes.get_title(loc="left") + axes.get_title()).replace("\n", " ") for axes in figure.axes}
        shares = {title: axes for axes, title in titles.items() if title not in numbers}
        percent = {"%" in axes.yaxis.get_major_formatter()(0.5) for axes in shares.values()}
        assert len(percent) <= 1
        assert ("Coder" in shares) == (percent == {False})  # rewards are no percentages; beside them truth is none
        for title, axes in shares.items():
            assert title in ("Coder", "Tester: whole reward") or (axes.get_ylim()[0] >= 0 and axes.get_ylim()[1] <= 1)
