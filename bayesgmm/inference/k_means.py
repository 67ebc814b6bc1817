"""k-means of few rows, with nothing to compile or to import: where EM starts."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

MOST_STEPS = 300
SETTLED = 1e-4  # of the features' mean variance: the centres' squared move at which Lloyd's steps end
SAME = 1e-12  # of the largest squared length: below it a squared distance is rounding


def k_means(
    rows: Float[np.ndarray, "n d"], n_clusters: int, rng: np.random.Generator
) -> Int[np.ndarray, " n"]:
    """Labels (n,) by Lloyd's steps from k-means++: ``n_clusters`` clusters, fewer where fewer rows are distinct.

    Parameters
    ----------
    rows : (n, D), not far from zero
    """
    centres = spread_centres(rows, n_clusters, rng)
    columns = np.ascontiguousarray(rows.T)
    enough = SETTLED * np.mean(np.var(rows, axis=0))
    for _ in range(MOST_STEPS):
        labels = nearest(rows, centres)
        counts = np.bincount(labels, minlength=len(centres))[:, None]
        sums = np.stack([np.bincount(labels, column, len(centres)) for column in columns], axis=1)
        moved = np.where(counts > 0, sums / np.maximum(counts, 1), centres)
        moves = np.sum((moved - centres) ** 2)
        centres = moved
        if moves <= enough:
            break
    return nearest(rows, centres)


def nearest(rows: Float[np.ndarray, "n d"], centres: Float[np.ndarray, "k d"]) -> Int[np.ndarray, " n"]:
    """Which centre each row is nearest to."""
    return np.argmin(0.5 * np.sum(centres**2, axis=1) - rows @ centres.T, axis=1)


def spread_centres(
    rows: Float[np.ndarray, "n d"], n_clusters: int, rng: np.random.Generator
) -> Float[np.ndarray, "k d"]:
    """k-means++ (Arthur & Vassilvitskii 2007): each centre the best of a few rows drawn by squared distance."""
    square = np.sum(rows**2, axis=1)
    tries = 2 + int(np.log(n_clusters))
    candidates, distance = rng.integers(len(rows), size=1), np.full(len(rows), np.inf)
    chosen: list[int] = []
    while True:
        apart = square + square[candidates, None] - 2.0 * rows[candidates] @ rows.T
        apart = np.minimum(distance, np.where(apart > SAME * square.max(), apart, 0.0))
        best = np.argmin(apart.sum(axis=1))
        chosen.append(int(candidates[best]))
        distance = apart[best]
        within = np.cumsum(distance)
        if len(chosen) == n_clusters or within[-1] == 0.0:
            return rows[chosen]
        candidates = np.searchsorted(within, within[-1] * rng.random(tries), side="right")
