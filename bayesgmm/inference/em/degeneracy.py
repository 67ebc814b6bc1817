"""Fits that a likelihood likes and a statistician does not: spikes, and components without rows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from bayesgmm.inference.problem import Problem
from bayesgmm.mixture import Mixture

SPIKE = 1e-6  # a variance below this share of the data's (standard deviation 1e-3) makes a spike


def relative_variances(mixture: Mixture, whitener: NDArray[np.float64]) -> NDArray[np.float64]:
    """Smallest eigenvalue of each component's covariance relative to the data's: (..., K), 1 where empty.

    Relative means after the rows are sphered (``whitener``), so that a change of units or a rotation changes nothing.
    """
    relative = whitener @ distinct_covariances(mixture) @ whitener.T
    finite = np.isfinite(relative).all(axis=(-2, -1))
    smallest = np.linalg.eigvalsh(np.where(finite[..., None, None], relative, np.eye(len(whitener))))[..., 0]
    return np.where(finite, np.where(np.isfinite(mixture.log_weights), smallest, 1.0), np.nan)


def distinct_covariances(mixture: Mixture) -> NDArray[np.float64]:
    """Covariances (..., K, D, D), on the host; (..., 1, D, D) where one serves all components."""
    k, d = mixture.means.shape[-2:]
    dense = mixture.structure.dense(mixture.covariances, k, d)
    return dense[..., :1, :, :] if dense.strides[-3] == 0 else dense


def smallest_relative_variance(mixture: Mixture, problem: Problem) -> NDArray[np.float64]:
    """The smallest of a mixture's relative variances (...,); NaN counts as zero."""
    variances = relative_variances(mixture, problem.whitener)
    return np.nan_to_num(variances, nan=0.0).min(axis=-1)


def without_spikes(mixture: Mixture, problem: Problem) -> NDArray[np.bool_]:
    """Whether mixtures (..., K, ...) have no spike."""
    return smallest_relative_variance(mixture, problem) > SPIKE


def spikes(mixture: Mixture, problem: Problem) -> NDArray[np.intp]:
    """Components whose standard deviation is below 1e-3 of the data's in some direction."""
    return np.flatnonzero(~(relative_variances(mixture, problem.whitener) > SPIKE))


def starved(mixture: Mixture, problem: Problem) -> NDArray[np.intp]:
    """Components that hold too few rows to determine a covariance of their own."""
    counts = np.exp(mixture.log_weights) * problem.sample_weight.sum()
    return np.flatnonzero(counts < mixture.structure.rows_needed(mixture.n_features))


def degeneracy_warnings(mixture: Mixture, problem: Problem) -> tuple[str, ...]:
    """What is wrong with the components, in words."""
    out = []
    thin = spikes(mixture, problem)
    if thin.size:
        out.append(
            f"component {', '.join(map(str, thin))} is a spike: its standard deviation is below 1e-3 of the data's, "
            "so the likelihood is unbounded there and means nothing. Use fewer components, or "
            "EM(objective='posterior')."
        )
    few = np.setdiff1d(starved(mixture, problem), thin)
    if few.size:
        rows = np.exp(mixture.log_weights[few]) * problem.sample_weight.sum()
        held = ", ".join(f"{i} ({n:.1f})" for i, n in zip(few, rows, strict=True))
        out.append(f"component {held} holds too few rows (in brackets) to determine a covariance of its own.")
    n, d = problem.observed.rows.shape
    if out and n <= d:
        out.append(
            f"there are {n} rows of {d} features. Rows are observations: if yours are columns, pass x.T."
        )
    return tuple(out)
