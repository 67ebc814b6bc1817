"""Two features: rows coloured by their most probable component, and the components' ellipses."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64

from bayesgmm.plots.parameters import Dense, drawn, fitted, is_posterior, present
from bayesgmm.plots.style import colour

LEVELS = (0.5, 0.95)
ELLIPSE_DRAWS = 50
MOST_POINTS = 5_000  # rows drawn one by one
MOST_VECTOR_POINTS = 2_000  # above this the points of a vector file become a picture


def draw_pair(
    ax: Any,
    result: Any,
    features: tuple[int, int],
    rows: Float64[np.ndarray, "n 2"],
    probability: Float64[np.ndarray, "n k"],
    *,
    detail: bool = True,
) -> None:
    """Draw two features of a result onto axes; ``probability`` is each row's of each component."""
    draw_rows(ax, rows, probability)
    shown = present(result)
    if is_posterior(result):
        _draw_posterior(ax, drawn(result, ELLIPSE_DRAWS).marginal(features), shown)
    point = fitted(result).marginal(features)
    for k in shown:
        for level in LEVELS:
            ax.add_patch(_ellipse(point, k, level, linewidth=1.8 if level == LEVELS[0] else 1.1))
        _number(ax, point.means[k], k, size=8.5 if detail else 6.5)
    _limits(ax, rows, Dense(*(part[shown] for part in point)))


def draw_rows(ax: Any, rows: Float64[np.ndarray, "n 2"], probability: Float64[np.ndarray, "n k"]) -> None:
    """Rows in the colour of their component: filled where sure, hollow where in doubt."""
    from matplotlib.colors import to_rgba_array

    n, k = probability.shape
    most = probability.max(axis=1)
    certainty = (most * k - 1) / (k - 1) if k > 1 else np.ones(n)
    edge = to_rgba_array([colour(j) for j in probability.argmax(axis=1).tolist()], alpha=0.75)
    face = edge.copy()
    face[:, 3] = 0.6 * np.clip(certainty, 0, 1) ** 2
    size = float(np.clip(6000 / n, 5, 26))
    ax.scatter(
        *rows.T, s=size, c=face, edgecolors=edge, linewidths=0.6, zorder=2, rasterized=n > MOST_VECTOR_POINTS
    )


def thin_rows(n_rows: int) -> np.ndarray:
    """Indices of the rows that are drawn: all, or a fixed random choice of many."""
    if n_rows <= MOST_POINTS:
        return np.arange(n_rows)
    return np.sort(np.random.default_rng(0).choice(n_rows, MOST_POINTS, replace=False))


def radius(level: float) -> float:
    """Mahalanobis radius of the ellipse that holds ``level`` of a Gaussian of two features."""
    return float(np.sqrt(-2 * np.log(1 - level)))


def _ellipse(point: Dense, k: int, level: float, linewidth: float) -> Any:
    from matplotlib.patches import Ellipse

    values, vectors = np.linalg.eigh(point.covariances[k])
    width, height = 2 * radius(level) * np.sqrt(np.maximum(values[::-1], 0))
    angle = np.degrees(np.arctan2(vectors[1, 1], vectors[0, 1]))
    shape = {"xy": point.means[k], "width": width, "height": height, "angle": angle}
    label = f"component {k}, {level:.0%}"
    return Ellipse(**shape, fill=False, edgecolor=colour(k), linewidth=linewidth, zorder=4, label=label)


def _draw_posterior(ax: Any, draws: Dense, shown: list[int]) -> None:
    """Thin outer ellipses of some components, one a draw that has it."""
    from matplotlib.collections import LineCollection

    angle = np.linspace(0, 2 * np.pi, 73)
    circle = radius(LEVELS[-1]) * np.stack([np.cos(angle), np.sin(angle)])
    for k in shown:
        there = draws.weights[:, k] > 0
        tril = np.linalg.cholesky(draws.covariances[there, k])
        outlines = draws.means[there, k, None] + np.einsum("sij,jt->sti", tril, circle)
        lines = LineCollection(
            outlines, colors=colour(k), alpha=0.16, linewidths=0.6, zorder=3, rasterized=True
        )
        ax.add_collection(lines)


def _number(ax: Any, mean: np.ndarray, k: int, size: float) -> None:
    disc = {"boxstyle": "circle,pad=0.25", "facecolor": "white", "edgecolor": colour(k), "linewidth": 1.4}
    ax.text(*mean, str(k), ha="center", va="center", fontsize=size, color=colour(k), bbox=disc, zorder=5)


def _limits(ax: Any, rows: np.ndarray, point: Dense) -> None:
    """The rows, with half as much again at most for ellipses that reach beyond them."""
    reach = radius(LEVELS[-1]) * np.sqrt(np.diagonal(point.covariances, axis1=1, axis2=2))
    low, high = rows.min(axis=0), rows.max(axis=0)
    extent = high - low
    low = np.maximum(np.minimum(low, (point.means - reach).min(axis=0)), low - 0.5 * extent) - 0.04 * extent
    high = (
        np.minimum(np.maximum(high, (point.means + reach).max(axis=0)), high + 0.5 * extent) + 0.04 * extent
    )
    ax.set_xlim(low[0], high[0])
    ax.set_ylim(low[1], high[1])
