"""The number of components that BIC chooses as the rows grow, against the clusters they make."""

from __future__ import annotations

from typing import Any

from bayesgmm.criteria.guard import MisspecificationGuard
from bayesgmm.plots.style import INK, colour, key, legend_below, new_axes, style


def growth(guard: Any, ax: Any = None) -> Any:
    """Draw BIC's number of components against the number of rows, with the merged clusters as a line.

    A curve that climbs above the line counts Gaussians, not clusters (Cai, Campbell & Broderick 2021).

    Parameters
    ----------
    guard : what ``misspecification_guard`` returned
    ax : matplotlib axes to draw on; a new figure if None

    Returns
    -------
    matplotlib axes
    """
    if not isinstance(guard, MisspecificationGuard):
        raise TypeError(f"Expected what misspecification_guard returned; got {type(guard).__name__}.")
    rows, counts = zip(*guard.growth, strict=True)
    own_figure = ax is None
    with style():
        ax = new_axes(size=(5.4, 3.8)) if ax is None else ax
        ax.axhline(guard.n_clusters, color=INK, linestyle="--", linewidth=1.2)
        ax.plot(rows, counts, color=colour(1), marker="o", linewidth=1.6)
        ax.set_xscale("log")
        ax.set_xticks(rows, [f"{n:,}" for n in rows])
        ax.minorticks_off()
        top = max(*counts, guard.n_clusters)
        ax.set_yticks(range(1, top + 2))
        ax.set_ylim(0.5, top + 1)
        ax.set(xlabel="rows", ylabel="number")
        name = guard.selection.best.observed.name
        said = "warning: components are not clusters" if guard.warnings else "no sign of misspecification"
        ax.set_title(f"{name}: {said}")
        ax.grid(axis="y")
        handles = [
            key("components, by BIC", color=colour(1), marker="o"),
            key("clusters, merged by overlap", color=INK, linestyle="--"),
        ]
        legend_below(ax, handles, own_figure=own_figure, ncols=2)
    return ax
