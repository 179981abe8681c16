"""What is drawn, read back from the axes; and that pictures are the same each time, in light and dark."""

from __future__ import annotations

import math
import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from logged import CONFIG
from matplotlib.colors import to_hex

from zerocoder.problems import Role
from zerocoder.report import figures, plots, style
from zerocoder.report.logs import RunLog, Series


def run(**scalars: list[float]) -> RunLog:
    named = {
        name.replace("__", "/"): Series(np.arange(len(values)), np.array(values)) for name, values in scalars.items()
    }
    return RunLog(Path("/runs/nano/1"), "nano/1", CONFIG, {}, named, {}, {}, ())


GROUPS = {
    "a": [run(reward__coder=[0.0, 1.0], truth__coder=[0.5, 0.5], selector__noise=[0.5, 0.25])],
    "b": [run(reward__coder=[1.0, 1.0]), run(reward__coder=[0.0, 0.5])],
}


def test_lines_bands_and_colours() -> None:
    with style.styled():
        _, [axes] = style.panels(1)
        plots.plot_reward(axes, GROUPS, Role.CODER)
    a, b, truth = axes.lines
    assert np.asarray(a.get_ydata()).tolist() == [0.0, 1.0]
    assert np.asarray(b.get_ydata()).tolist() == [0.5, 0.75]
    assert np.asarray(truth.get_ydata()).tolist() == [0.5, 0.5]
    assert [line.get_color() for line in (a, b, truth)] == [style.colour(0), style.colour(1), style.colour(0)]
    assert truth.get_linestyle() == "--" and a.get_linestyle() == "-"
    [band] = axes.collections
    heights = {round(float(y), 3) for _, y in band.get_paths()[0].vertices}  # type: ignore[union-attr]
    spread = [math.sqrt(0.5), math.sqrt(0.125)]
    assert heights == {round(m + s * d, 3) for m, d in zip((0.5, 0.75), spread, strict=True) for s in (-1, 1)}


def test_bars_of_the_time() -> None:
    groups = {"x": [run(time__rollout=[1.0, 3.0], time__training=[1.0, 1.0], time__busy_rollout=[4.0, 4.0])]}
    with style.styled():
        _, [waited, busy] = style.panels(2)
        plots.plot_time(waited, groups)
        plots.plot_time(busy, groups, busy=True)
    assert [bar.get_width() for bar in waited.patches] == [2.0, 1.0]  # type: ignore[attr-defined]
    assert [bar.get_width() for bar in busy.patches] == [4.0, 1.0]  # type: ignore[attr-defined]
    assert waited.texts[0].get_text().strip() == "3.0 s"
    assert to_hex(waited.patches[0].get_facecolor()) == plots.component_colour("Rollout")


def test_ranks_fill_the_step() -> None:
    with style.styled():
        _, [axes] = style.panels(1)
        plots.plot_ranks(axes, [run(ranks__0=[0.25, 0.5], ranks__1=[0.75, 0.5])])
    bottom, top = (area.get_paths()[0].vertices for area in axes.collections)
    assert bottom[:, 1].max() == 0.5 and top[:, 1].max() == 1.0  # type: ignore[index,call-overload]


def test_priors_and_shares() -> None:
    with style.styled():
        _, [priors, noise, repeated] = style.panels(3)
        groups = {"x": [run(selector__log10_beta0=[4.0], selector__log10_alpha_xy=[3.0])]}
        plots.plot_configuration(priors, groups)
        plots.plot_selection_noise(noise, GROUPS)
        plots.plot_duplicates(repeated, {"x": [run(matrix__duplicate_tests=[0.5])]}, "tests")
    assert [float(np.asarray(line.get_ydata())[0]) for line in priors.lines] == [4.0, 3.0]
    assert len(noise.lines) == len(repeated.lines) == 1
    assert noise.yaxis.get_major_formatter()(0.515) == "51.5 %"


def test_axes_and_bands_of_shares_end_where_shares_do() -> None:
    with style.styled():
        _, [none, spread, all_of_them, still] = style.panels(4)
        plots.plot_share(none, {"x": [run(a=[0.0, 0.0])]}, "a")
        plots.plot_share(spread, {"x": [run(a=[0.0, 1.0]), run(a=[0.5, 0.5])]}, "a")
        plots.plot_scalar(all_of_them, {"x": [run(a=[1.0, 1.0])]}, "a", share=True)
        plots.plot_share(still, {"x": [run(a=[0.5, 0.501])]}, "a")
    assert none.get_ylim() == pytest.approx((0, 0.05), abs=0.01) and none.get_ylim()[0] == 0
    assert all_of_them.get_ylim()[1] == 1 and all_of_them.get_ylim()[0] == pytest.approx(0.95, abs=0.01)
    low, high = still.get_ylim()
    assert high - low == pytest.approx(0.05) and low < 0.5 < 0.501 < high
    [band] = spread.collections  # means 0.25 and 0.75, deviations sqrt(0.125) = 0.354: -0.1 to 0.6, 0.4 to 1.1
    heights = {round(float(y), 3) for _, y in band.get_paths()[0].vertices}  # type: ignore[union-attr]
    assert heights == {0.0, 0.604, 0.396, 1.0}
    assert not none.lines[0].get_clip_on()


def test_markers_are_for_what_was_measured() -> None:
    with style.styled():
        _, [few, smooth] = style.panels(2)
        plots.plot_scalar(few, {"x": [run(a=[0.0] * 11)]}, "a")
        plots.plot_scalar(smooth, {"x": [run(a=[0.0] * 13)]}, "a")  # eleven points are left of these
    [line] = few.lines
    assert line.get_marker() == "o" and len(np.asarray(line.get_xdata())) == 11
    [line] = smooth.lines
    assert line.get_marker() in ("", "None") and len(np.asarray(line.get_xdata())) == 11


def test_what_was_not_logged_is_left_out_and_told() -> None:
    drawn = figures.draw_lines(figures.REWARDS, GROUPS)
    assert drawn.picture is not None and drawn.picture.alt == "Reward and truth: Coder, over the steps"
    assert drawn.left_out == ["Not logged: Tester: whole reward, Tester: validity, Tester: mutation, Lambda."]
    noise = figures.draw_lines(figures.NOISE, GROUPS)
    assert "Not logged by b: Selection noise." in noise.left_out
    assert figures.draw_lines(figures.HELDOUT, GROUPS).picture is None
    assert figures.draw_ranks(GROUPS).picture is None and figures.draw_time(GROUPS).picture is None


def test_the_same_runs_give_the_same_picture() -> None:
    def draw() -> str:
        with style.styled():
            picture = figures.draw_lines(figures.REWARDS, GROUPS).picture
        assert picture is not None
        return picture.svg

    first = draw()
    with matplotlib.rc_context({"axes.grid": False, "lines.linewidth": 9, "font.size": 30, "svg.hashsalt": None}):
        assert draw() == first
    assert not re.search(r"\b20\d\d-\d\d|<dc:date|Matplotlib v", first)
    assert "http" not in re.sub(r'(xmlns(:\w+)?|rdf:resource)="[^"]*"|"http://www.w3.org[^"]*"', "", first)


def test_every_colour_of_a_picture_has_a_dark_one() -> None:
    with style.styled():
        picture = figures.draw_lines(figures.REWARDS, GROUPS).picture
    assert picture is not None
    head, _, drawn = picture.svg.partition("</style>")
    used = set(re.findall(r"(?:fill|stroke): (#[0-9a-f]{6})", drawn))
    assert {style.GROUND, style.TEXT, style.colour(0), style.colour(1)} <= used <= set(style.DARK)
    for light in used:
        assert f'[style*="fill: {light}"]{{fill:{style.DARK[light]} !important}}' in head
    assert set(style.PALETTE) <= set(style.DARK)


def contrast(one: str, other: str) -> float:
    """WCAG 2.1's contrast ratio."""

    def luminance(colour: str) -> float:
        parts = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
        return 0.2126 * r + 0.7152 * g + 0.0722 * b

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_texts_and_lines_stand_out_from_the_ground(dark: bool) -> None:
    def of(colour: str) -> str:
        return style.DARK[colour] if dark else colour

    assert min(contrast(of(text), of(style.GROUND)) for text in (style.TEXT, style.QUIET)) >= 4.5
    assert min(contrast(of(line), of(style.GROUND)) for line in style.PALETTE) >= 2


def test_many_groups_can_be_told_apart() -> None:
    assert len({(style.colour(n), style.marker(n)) for n in range(49)}) == 49


def test_hostile_names_are_drawn_as_they_are() -> None:
    names = ["$x^{", "_hidden", "a\nb\0\x1b[31m", "<script>" * 30, "日本"]
    with style.styled():
        figure, axes = style.panels(1)
        groups = {name: [run(reward__coder=[0.0, 1.0])] for name in names}
        plots.plot_scalar(axes[0], groups, "reward/coder")
        style.legend(figure, *plots.group_keys(groups, names))
        text = style.svg(figure)
    [legend] = figure.legends
    assert [entry.get_text().strip() for entry in legend.get_texts()][:3] == ["$x^{", "_hidden", "a b [31m"]
    assert all(len(style.shown(name)) <= style.LABEL + 1 for name in names)
    assert "<script" not in text
