"""How the figures look: colours that colour-blind readers can tell apart, and quiet axes, set for one figure only."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

# Okabe & Ito (2008), "Color universal design"; yellow is left out (too pale on white), grey closes the cycle.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#6A51A3", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
INK, FAINT = "#222222", "#9A9A9A"
NO_DOUBT, ALL_DOUBT = "#D9DEE4", "#5B0F2E"  # ends of the scale of doubt: lightness falls evenly between them

MARK: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 6}  # a round mark in a legend

_SETTINGS: dict[str, Any] = {
    "figure.dpi": 110,
    "savefig.dpi": 150,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "svg.hashsalt": "bayesgmm",
}


@contextlib.contextmanager
def style() -> Iterator[None]:
    """Our settings for what is drawn inside; the caller's own are untouched."""
    import matplotlib

    with matplotlib.rc_context(_SETTINGS):
        yield


def colour(component: int) -> str:
    """The colour of a component; after eight they repeat, so numbers are always written beside them."""
    return PALETTE[component % len(PALETTE)]


def doubt_colours() -> Any:
    """The sequential scale for doubt, from pale (sure) to dark (any component)."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("doubt", [NO_DOUBT, "#E0A458", "#B8442F", ALL_DOUBT])


def new_axes(nrows: int = 1, ncols: int = 1, *, size: tuple[float, float], **options: Any) -> Any:
    """Axes of a new figure whose layout makes room for labels and legends outside."""
    import matplotlib.pyplot as plt

    _, axes = plt.subplots(nrows, ncols, figsize=size, layout="constrained", **options)
    return axes


def key(label: str, **look: Any) -> Any:
    """An entry of a legend: a line, or a mark where ``marker`` is given without a line."""
    from matplotlib.lines import Line2D

    return Line2D([], [], label=label, **look)


def legend_below(ax: Any, handles: Any, *, own_figure: bool, ncols: int = 4) -> None:
    """A legend under the axes, where it covers no data; in a figure of ours the axes make room for it."""
    if own_figure:
        ax.figure.legend(handles=handles, loc="outside lower center", ncols=ncols)
    else:
        ax.legend(
            handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=ncols, borderaxespad=0.0
        )
