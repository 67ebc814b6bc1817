"""Components merged into clusters: the entropy that every merge takes away."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesgmm.criteria.merging import OVERLAP, Merging, merge_components
from bayesgmm.plots.style import FAINT, INK, colour, legend_below, new_axes, style


def merging(merged: Any, ax: Any = None) -> Any:
    """Draw the entropy of the classification against the number of clusters, from one a component down to one.

    Over each step stands what the merge took away, in nats a row of the smaller cluster; merges of half a nat or more
    join components of one cluster, and the suggested number is ringed (Baudry et al. 2010).

    Parameters
    ----------
    merged : what ``merge_components`` returned, or what it takes
    ax : matplotlib axes to draw on; a new figure if None

    Returns
    -------
    matplotlib axes
    """
    merged = merged if isinstance(merged, Merging) else merge_components(merged)
    k = merged.n_components
    counts = np.arange(k, 0, -1)
    within = k - merged.n_clusters
    own_figure = ax is None
    with style():
        ax = new_axes(size=(max(4.6, min(9.0, 2.2 + 0.8 * k)), 4.0)) if ax is None else ax
        top = max(merged.entropies[0], 1e-9)
        for i, overlap in enumerate(merged.overlaps):
            inside = i < within
            ax.plot(
                *(counts[i : i + 2], merged.entropies[i : i + 2]),
                color=colour(1) if inside else FAINT,
                linewidth=2.4 if inside else 1.4,
                marker="o",
                markersize=5,
            )
            middle = counts[i] - 0.5, merged.entropies[i : i + 2].mean() + 0.03 * top
            ax.text(*middle, f"{overlap:.2f}", ha="left" if inside else "center", va="bottom", fontsize=9)
        chosen = merged.n_clusters, merged.entropies[within]
        ax.plot(*chosen, "o", markersize=14, markerfacecolor="none", color=INK)
        _label(ax, merged, top)
        legend_below(ax, _handles(), own_figure=own_figure, ncols=1)
    return ax


def _label(ax: Any, merged: Merging, top: float) -> None:
    k, n = merged.n_components, merged.n_clusters
    name = "" if merged.fit is None else f"{merged.fit.observed.name}: "
    ax.set_title(f"{name}{k} component{'s' * (k > 1)}, {n} cluster{'s' * (n > 1)}")
    ax.set(xlabel="number of clusters", ylabel="entropy of the classification (nats)")
    ax.set_xticks(np.arange(1, k + 1))
    ax.set_xlim(k + 0.5, 0.5)
    ax.set_ylim(-0.06 * top, 1.14 * top)
    ax.grid(axis="y")


def _handles() -> list[Any]:
    from matplotlib.lines import Line2D

    return [
        Line2D(
            [],
            [],
            color=colour(1),
            linewidth=2.4,
            label=f"overlap (the number) of {OVERLAP:g} or more: one cluster",
        ),
        Line2D([], [], color=FAINT, linewidth=1.4, label="less: clusters of their own"),
        Line2D(
            *([], []),
            color=INK,
            linestyle="none",
            marker="o",
            markersize=10,
            markerfacecolor="none",
            label="suggested",
        ),
    ]
