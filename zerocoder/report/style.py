"""How pictures look: one SVG for light and dark pages, colours that the colour-blind tell apart, the same bytes always.

A picture is drawn in the light colours. Rules inside of it exchange them where a reader prefers dark, and viewers that
know no such rules show it as it was drawn, on its own white ground.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from textwrap import wrap
from typing import Any

import matplotlib.style
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

GROUND, TEXT, QUIET, RULE = "#ffffff", "#1c2024", "#5f6973", "#dde1e5"
PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b7681")
"""Okabe and Ito (2008), their yellow left out, which white swallows, and a grey in the place of black."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DARK = {
    GROUND: "#15181b",
    TEXT: "#e4e7ea",
    QUIET: "#98a2ab",
    RULE: "#343a40",
    "#0072b2": "#4aa5dd",
    "#d55e00": "#f08a4b",
    "#009e73": "#3cc79c",
    "#cc79a7": "#e29cc4",
    "#e69f00": "#f0b73f",
    "#56b4e9": "#8fd0f5",
    "#6b7681": "#a5b0ba",
}
"""Light colour -> dark one; the grounds are those of `zerocoder/page`."""
WIDTH = 9.9  # inches of every picture of several panels
HEIGHT = 2.4  # inches of a panel with what is written around it
PANEL = 1.6  # inches that are left for a panel itself at least
LABEL = 60  # characters of a name in a legend
_DPI = 72  # what SVG is written with: what is measured here is what is drawn
_COLUMNS = 9  # of a legend at most
_LETTER = 0.086  # inches of a letter of a title on average

_STYLE: dict[str, Any] = {
    "svg.hashsalt": "zerocoder",
    "svg.fonttype": "path",
    "text.parse_math": False,  # a name with dollars is a name
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelsize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.linewidth": 0.7,
    "lines.linewidth": 1.7,
    "lines.markersize": 4,
    "lines.solid_capstyle": "round",
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "figure.facecolor": GROUND,
    "axes.facecolor": GROUND,
    "axes.edgecolor": RULE,
    "grid.color": RULE,
    "text.color": TEXT,
    "axes.titlecolor": TEXT,
    "axes.labelcolor": QUIET,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": QUIET,
    "ytick.labelcolor": QUIET,
}


@contextmanager
def styled() -> Iterator[None]:
    """Everything drawn inside has this style, whatever the user's own settings of matplotlib are."""
    with matplotlib.style.context(_STYLE, after_reset=True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        yield


def panels(count: int, columns: int = 3, height: float = HEIGHT) -> tuple[Figure, list[Axes]]:
    """A figure of `count` panels of `height` inches, row by row, at most `columns` beside each other."""
    columns = min(columns, count)
    rows = ceil(count / columns)
    width = WIDTH if columns > 1 else WIDTH / 2
    figure = Figure(figsize=(width, height * rows), dpi=_DPI, layout="constrained")
    FigureCanvasSVG(figure)
    grid = figure.subplots(rows, columns, squeeze=False).flatten().tolist()
    for unused in grid[count:]:
        unused.remove()
    return figure, grid[:count]


def colour(number: int) -> str:
    """Of the n-th of several; after the last colour the first again, with another `marker`."""
    return PALETTE[number % len(PALETTE)]


def marker(number: int) -> str:
    """Of the n-th of several: no two among the first 49 share it and the colour."""
    return MARKERS[(number + number // len(PALETTE)) % len(MARKERS)]


def shown(name: str) -> str:
    """A name for a legend: on one line, and not longer than there is room for."""
    text = " ".join("".join(c if c.isprintable() else " " for c in name).split())
    text = text if len(text) <= LABEL else f"{text[: LABEL // 2 - 1]}…{text[-LABEL // 2 :]}"
    return f"\N{HAIR SPACE}{text}" if text.startswith("_") else text  # matplotlib hides names with an underscore


def capital(text: str) -> str:
    """`text` with a capital at its start, and as it is behind."""
    return text[:1].upper() + text[1:]


def distinct(names: Sequence[str]) -> list[str]:
    """Each name as it is `shown`; where some would look the same, all are numbered."""
    texts = [shown(name) for name in names]
    return texts if len(set(texts)) == len(texts) else [f"{n}. {text}" for n, text in enumerate(texts, 1)]


def title(axes: Axes, text: str) -> None:
    """A panel's heading, on as many lines as it takes beside the next panel's."""
    figure, spec = axes.figure, axes.get_subplotspec()
    assert isinstance(figure, Figure) and spec is not None, "panels() makes them"
    inches = figure.get_figwidth() / spec.get_gridspec().ncols - 0.6  # the axis and its numbers
    axes.set_title("\n".join(wrap(text, int(inches / _LETTER), break_on_hyphens=False)))


def legend(figure: Figure, handles: Sequence[Any], names: Sequence[str]) -> None:
    """One legend for all panels, below them: in as many columns as fit, and the figure grows by what it takes."""
    texts = distinct(names)
    for columns in range(max(1, min(len(texts), _COLUMNS)), 0, -1):
        made = figure.legend(handles, texts, loc="outside lower left", ncols=columns)
        extent = made.get_window_extent()
        if columns == 1 or extent.width < 0.98 * figure.bbox.width:
            figure.set_figheight(figure.get_figheight() + extent.height / figure.dpi)
            return
        made.remove()


def grow(figure: Figure) -> None:
    """Let the figure grow until titles, numbers and legend leave PANEL inches to each panel."""
    for _ in range(4):  # what is added is shared out anew each time
        figure.draw_without_rendering()
        lacking = PANEL - min((axes.bbox.height / figure.dpi for axes in figure.axes), default=PANEL)
        if lacking <= 0:
            return
        spec = figure.axes[0].get_subplotspec()
        rows = 1 if spec is None else spec.get_gridspec().nrows
        figure.set_figheight(figure.get_figheight() + rows * (lacking + 0.01))


def svg(figure: Figure) -> str:
    """The picture; the same figure gives the same text. A figure that is too low for its panels is made higher."""
    grow(figure)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    rules = "".join(
        f'[style*="{what}: {light}"]{{{what}:{dark} !important}}'
        for light, dark in DARK.items()
        for what in ("fill", "stroke")
    )
    drawn = buffer.getvalue()
    head, closing, rest = drawn.partition("</style>")
    assert closing, "matplotlib writes a style element"
    return f"{head}@media (prefers-color-scheme: dark){{{rules}}}{closing}{rest}"
