"""How uncertain each row's component is."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesgmm.data import Data, as_data
from bayesgmm.plots.pair import MOST_VECTOR_POINTS
from bayesgmm.plots.style import FAINT, INK, colour, doubt_colours, legend_below, new_axes, style

SURE = 0.8  # a row is in doubt when no component has this probability


def membership(result: Any, x: Any = None, ax: Any = None) -> Any:
    """Draw the doubt about each row's component: one minus the largest membership probability.

    One feature: doubt against the feature. Two: a scatter, doubtful rows darker and on top. More: the rows of each
    component sorted by their doubt. For a posterior the memberships are averaged over its draws.

    Parameters
    ----------
    result : EMResult or Posterior
    x : rows (N, D); the fitted ones if None
    ax : matplotlib axes to draw on; a new figure if None
    """
    data = result.observed if x is None else as_data(x)
    probability = result.predict_proba(data)
    doubt = 1.0 - probability.max(axis=1)
    with style():
        own_figure = ax is None
        ax = new_axes(size=(6.4, 4.6)) if ax is None else ax
        if data.n_features == 1:
            _against_feature(ax, data, doubt, probability.argmax(axis=1), result.n_components, own_figure)
        elif data.n_features == 2:
            _scatter(ax, data, doubt, result.n_components)
        else:
            _sorted_curves(ax, doubt, probability.argmax(axis=1), result.n_components, own_figure)
        n_doubtful = int((probability.max(axis=1) < SURE).sum())
        ax.set_title(f"{data.name}: {n_doubtful} of {data.n_rows} rows below 80 % membership ({result.kind})")
    return ax


def _most_doubt(n_components: int) -> float:
    """Doubt when all components are equally probable."""
    return 1.0 - 1.0 / n_components if n_components > 1 else 1.0


def _against_feature(
    ax: Any, data: Data, doubt: np.ndarray, labels: np.ndarray, n_components: int, own_figure: bool
) -> None:
    for k in range(n_components):
        own = labels == k
        ax.plot(
            data.rows[own, 0],
            doubt[own],
            "o",
            color=colour(k),
            alpha=0.7,
            markersize=4.5,
            label=f"component {k}",
        )
    _mark_doubt(ax, n_components, own_figure)
    ax.set_xlabel(data.feature_names[0])


def _scatter(ax: Any, data: Data, doubt: np.ndarray, n_components: int) -> None:
    order = np.argsort(doubt, kind="stable")
    size = float(np.clip(6000 / data.n_rows, 4, 26))
    points = ax.scatter(
        *data.rows[order].T,
        c=doubt[order],
        cmap=doubt_colours(),
        vmin=0.0,
        vmax=_most_doubt(n_components),
        s=size,
        edgecolors="#55555588",
        linewidths=0.3,
        rasterized=data.n_rows > MOST_VECTOR_POINTS,
    )
    bar = ax.figure.colorbar(points, ax=ax, pad=0.02, aspect=30)
    bar.set_label("1 − largest membership probability")
    bar.outline.set_visible(False)
    ax.set(xlabel=data.feature_names[0], ylabel=data.feature_names[1])


def _sorted_curves(
    ax: Any, doubt: np.ndarray, labels: np.ndarray, n_components: int, own_figure: bool
) -> None:
    for k in range(n_components):
        own = np.sort(doubt[labels == k])[::-1]
        if own.size:
            rank = 100 * (np.arange(own.size) + 0.5) / own.size
            ax.plot(rank, own, color=colour(k), linewidth=1.8, label=f"component {k} ({own.size} rows)")
    _mark_doubt(ax, n_components, own_figure)
    ax.set_xlim(0, 100)
    ax.set_xlabel("rows of the component, most doubtful first (%)")


def _mark_doubt(ax: Any, n_components: int, own_figure: bool) -> None:
    """The doubt axis, its threshold, and the legend."""
    ax.axhline(1.0 - SURE, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), label="in doubt above", zorder=1)
    ax.set_ylim(-0.02 * _most_doubt(n_components), _most_doubt(n_components))
    ax.set_ylabel("1 − largest membership probability")
    ax.grid(axis="y", color=FAINT, alpha=0.25)
    legend_below(ax, ax.get_legend_handles_labels()[0], own_figure=own_figure, ncols=3)
