"""Pareto-smoothed importance sampling (Vehtari, Simpson, Gelman, Yao & Gabry 2024)."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

FEWEST = 5  # weights in the tail below which it says nothing


def smooth(log_weights: Float[np.ndarray, " s"]) -> tuple[Float[np.ndarray, " s"], float]:
    """Normalised log weights (S,) with the largest smoothed, and k-hat.

    The largest ``min(S / 5, 3 sqrt(S))`` weights are replaced by quantiles of the generalised Pareto distribution
    fitted to them (section 3). k-hat is its shape: infinite where too few weights are finite to fit it.
    """
    out = log_weights - np.max(log_weights)
    n_tail = int(min(0.2 * out.size, 3.0 * np.sqrt(out.size)))
    order = np.argsort(out, kind="stable")
    tail = order[-n_tail:]
    cut = out[order[-n_tail - 1]]
    k = np.inf
    if n_tail >= FEWEST and np.isfinite(cut):
        excess = np.exp(out[tail]) - np.exp(cut)
        k, sigma = fit_generalised_pareto(excess) if excess[-1] > 0 else (-np.inf, 1.0)
        if np.isfinite(k):
            quantiles = generalised_pareto_quantiles((np.arange(n_tail) + 0.5) / n_tail, k, sigma)
            out[tail] = np.minimum(np.log(quantiles + np.exp(cut)), 0.0)
    return out - np.logaddexp.reduce(out), float(k)


def fit_generalised_pareto(excess: Float[np.ndarray, " m"]) -> tuple[float, float]:
    """Shape and scale of a generalised Pareto distribution, for excesses (M,) in increasing order.

    Zhang & Stephens (2009): the posterior mean of theta under their data-dependent prior, on a grid; the shape then
    shrunk towards 0.5 by ten observations (Vehtari et al. 2024, appendix C).
    """
    m = excess.size
    grid = 30 + int(np.sqrt(m))
    quartile = excess[max(int(m / 4 + 0.5) - 1, 0)]
    theta = 1.0 / excess[-1] + (1.0 - np.sqrt(grid / (np.arange(1, grid + 1) - 0.5))) / (
        3.0 * max(quartile, np.finfo(float).tiny)
    )
    shapes = np.mean(np.log1p(-theta[:, None] * excess), axis=1)
    profile = m * (np.log(-theta / shapes) - shapes - 1.0)
    weight = np.exp(profile - np.logaddexp.reduce(profile))
    best = float(np.sum(weight * theta))
    shape = float(np.mean(np.log1p(-best * excess)))
    return (m * shape + 5.0) / (m + 10.0), -shape / best


def generalised_pareto_quantiles(p: NDArray[np.float64], shape: float, scale: float) -> NDArray[np.float64]:
    """Quantiles of the generalised Pareto distribution that starts at zero."""
    if abs(shape) < 1e-12:
        return -scale * np.log1p(-p)
    return scale * np.expm1(-shape * np.log1p(-p)) / shape


def threshold(n_draws: int) -> float:
    """k-hat above which importance weights of so many draws mislead (Vehtari et al. 2024, section 3.2.4)."""
    return min(1.0 - 1.0 / np.log10(n_draws), 0.7)


def effective_draws(log_weights: Float[np.ndarray, " s"]) -> float:
    """How many equally weighted draws normalised weights are worth (Kish)."""
    return float(np.exp(-np.logaddexp.reduce(2.0 * log_weights)))
