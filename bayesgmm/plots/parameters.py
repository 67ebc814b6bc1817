"""A result's parameters as plain dense arrays in the user's units, for drawing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

DENSITY_CELLS = 4_000_000  # draws x components x grid points held at once


class Dense(NamedTuple):
    """Weights, means and dense covariances; a leading axis holds posterior draws."""

    weights: Float64[np.ndarray, "*s k"]
    means: Float64[np.ndarray, "*s k d"]
    covariances: Float64[np.ndarray, "*s k d d"]

    def marginal(self, features: Sequence[int]) -> Dense:
        """The mixture of some of the features."""
        chosen = list(features)
        return Dense(self.weights, self.means[..., chosen], self.covariances[..., chosen, :][..., chosen])


def fitted(result: Any) -> Dense:
    """The point fit: EM's, or the posterior means."""
    k, d = result.means.shape
    dense = result.draws.structure.dense(np.asarray(result.covariances), k, d)
    return Dense(np.asarray(result.weights), np.asarray(result.means), np.asarray(dense))


def present(result: Any) -> list[int]:
    """The components that are worth drawing: those that hold rows in half of a posterior's draws, of others all.

    A component without rows is its prior's, and where that is wide hides what the data say.
    """
    if not is_posterior(result):
        return list(range(result.n_components))
    often = (result.data["clustering"]["drawn_sizes"] > 0).mean(("chain", "draw")).values
    return np.flatnonzero(often >= min(0.5, often.max())).tolist()


def drawn(result: Any, at_most: int) -> Dense:
    """Draws (S, ...), evenly thinned to ``at_most``; a point fit is one draw."""
    import jax

    n_draws = result.draws.log_weights.shape[0]
    chosen = np.unique(np.linspace(0, n_draws - 1, min(at_most, n_draws)).round().astype(int))
    user = result.restore(jax.tree.map(lambda leaf: np.asarray(leaf)[chosen], result.draws))
    k, d = user.means.shape[-2:]
    dense = np.asarray(user.structure.dense(np.asarray(user.covariances), k, d))
    return Dense(np.exp(user.log_weights), np.asarray(user.means), dense)


def is_posterior(result: Any) -> bool:
    """Whether a result holds more than one draw."""
    return result.draws.log_weights.shape[0] > 1


def component_densities(dense: Dense, grid: Float64[np.ndarray, " g"]) -> Float64[np.ndarray, "*s k g"]:
    """``w_k N(grid | mu_k, sigma_k^2)`` of a mixture of one feature."""
    mean, variance = dense.means[..., 0, None], dense.covariances[..., 0, 0, None]
    exponent = -0.5 * (grid - mean) ** 2 / variance
    return dense.weights[..., None] * np.exp(exponent) / np.sqrt(2 * np.pi * variance)
