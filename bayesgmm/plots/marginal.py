"""One feature: the data's density, the mixture's, and each component's share."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64

from bayesgmm.plots.parameters import Dense, component_densities, drawn, fitted, is_posterior, present
from bayesgmm.plots.style import FAINT, INK, colour

BAND = 0.90  # of the posterior, around each density
BAND_DRAWS = 300
MOST_TICKS = 400  # rows shown one by one beneath the histogram
GRID = 400  # points of the curves; half as many in a small panel


def draw_marginal(
    ax: Any, result: Any, feature: int, rows: Float64[np.ndarray, " n"], *, detail: bool = True
) -> None:
    """Draw one feature of a result onto axes; ``detail`` adds the rows and the components' numbers."""
    ax.hist(
        rows, bins=_bins(rows), density=True, color="#C9CFD6", edgecolor="white", linewidth=0.5, label="data"
    )
    shown = present(result)
    point = Dense(*(part[shown] for part in fitted(result).marginal([feature])))
    grid = _grid(point, rows, GRID if detail else GRID // 2)
    densities = component_densities(drawn(result, BAND_DRAWS).marginal([feature]), grid)
    shares = densities.mean(axis=0)
    for k, share in zip(shown, shares[shown], strict=True):
        ax.fill_between(grid, share, color=colour(k), alpha=0.1, linewidth=0)
        ax.plot(grid, share, color=colour(k), linewidth=1.6, label=f"component {k}")
    mixture = densities.sum(axis=1)
    if is_posterior(result):
        _bands(ax, grid, {k: densities[:, k] for k in shown if detail}, mixture)
    ax.plot(grid, mixture.mean(axis=0), color=INK, linewidth=1.8, label="mixture")
    if detail:
        _number_peaks(ax, grid, {k: shares[k] for k in shown})
        if len(rows) <= MOST_TICKS:
            ax.plot(
                rows,
                np.zeros_like(rows),
                "|",
                color=INK,
                alpha=0.45,
                markersize=7,
                clip_on=False,
                label="rows",
            )
    ax.set_xlim(grid[0], grid[-1])
    ax.set_ylim(bottom=0)


def _bins(rows: np.ndarray) -> np.ndarray:
    """Half as many bins again as Freedman & Diaconis (1981) want, between 12 and 100: a mixture has narrow parts."""
    extent, quartiles = np.ptp(rows), np.ptp(np.quantile(rows, (0.25, 0.75)))
    wanted = 1.5 * extent * len(rows) ** (1 / 3) / (2 * quartiles) if quartiles > 0 else 100
    n_bins = int(np.clip(wanted, 12, 100))
    return np.linspace(rows.min(), rows.max(), n_bins + 1)


def _grid(point: Dense, rows: np.ndarray, size: int) -> np.ndarray:
    """Points over the data's range, denser where a component is narrow."""
    low, high = rows.min(), rows.max()
    margin = 0.08 * (high - low)
    sd = np.sqrt(point.covariances[:, 0, 0])
    around = point.means[:, 0] + np.linspace(-4, 4, size // 10 + 1)[:, None] * sd
    grid = np.concatenate([np.linspace(low - margin, high + margin, size), around.ravel()])
    return np.unique(grid[(grid >= low - margin) & (grid <= high + margin)])


def _bands(ax: Any, grid: np.ndarray, densities: dict[int, np.ndarray], mixture: np.ndarray) -> None:
    """The posterior's spread of each component's densities (S, G), and of the mixture's."""
    tails = [(1 - BAND) / 2, (1 + BAND) / 2]
    for k, values in densities.items():
        low, high = np.quantile(values, tails, axis=0)
        ax.fill_between(grid, low, high, color=colour(k), alpha=0.22, linewidth=0)
    low, high = np.quantile(mixture, tails, axis=0)
    ax.fill_between(
        grid, low, high, color=FAINT, alpha=0.55, linewidth=0, label=f"{100 * BAND:.0f} % of the posterior"
    )


def _number_peaks(ax: Any, grid: np.ndarray, shares: dict[int, np.ndarray]) -> None:
    """Each component's number in a disc at its peak."""
    for k, share in shares.items():
        peak = int(share.argmax())
        disc = {"boxstyle": "circle,pad=0.22", "facecolor": "white", "edgecolor": colour(k), "linewidth": 1.2}
        ax.text(
            grid[peak], share[peak], str(k), ha="center", va="center", fontsize=8, color=colour(k), bbox=disc
        )
