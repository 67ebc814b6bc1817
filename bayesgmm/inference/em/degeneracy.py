"""Fits that a likelihood likes and a statistician does not: spikes, and components without rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.inference.problem import Problem
from bayesgmm.mixture import Mixture

RELATIVE_FLOOR = 1e-8  # default reg_covar, of each feature's variance: sd 1e-4 of the data's
SPIKE = 1e-6  # a variance below this share of the data's (standard deviation 1e-3) may be a spike's
FEW = 3  # times what a component needs beyond one row: that many rows may be close together by accident
MOSTLY = 2.0  # variance over what was added to it, below which most of it was
ROUNDING = 1e-14  # variance in standardised units that is rounding, where less is added


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


def floor_of(engine: Any, problem: Problem) -> NDArray[np.float64]:
    """The variance (D,) that the engine adds to every diagonal, in standardised units."""
    scale = problem.standardisation.scale
    return np.full_like(scale, RELATIVE_FLOOR) if engine.reg_covar is None else engine.reg_covar / scale**2


def narrow(mixture: Mixture, problem: Problem) -> NDArray[np.bool_]:
    """Components (..., K) whose standard deviation is below 1e-3 of the data's in some direction."""
    return ~(relative_variances(mixture, problem.whitener) > SPIKE)


def on_floor(mixture: Mixture, floor: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Components (..., K) whose variance is mostly what was added to it, or rounding, or none, in some direction."""
    return floors_high(mixture, np.maximum(floor, ROUNDING)) < MOSTLY


def floors_high(mixture: Mixture, floor: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least variance of each component (..., K) in units of the floor (D,): infinite where it is empty."""
    parts = distinct_covariances(mixture) / np.sqrt(floor[:, None] * floor)
    finite = np.isfinite(parts).all(axis=(-2, -1))
    smallest = np.linalg.eigvalsh(np.where(finite[..., None, None], parts, 0.0))[..., 0]
    return np.where(np.isfinite(mixture.log_weights), smallest, np.inf)


def collapsed(mixture: Mixture, problem: Problem, floor: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Components (..., K) that are spikes: narrow, and on the floor or about few rows.

    A narrow component that many rows hold, well above the floor, is a cluster far from others, not a spike.
    """
    thin = narrow(mixture, problem)
    if not thin.any():
        return thin
    counts = np.exp(mixture.log_weights) * problem.sample_weight.sum()
    few = FEW * (
        mixture.structure.rows_needed(mixture.n_features) - 1
    )  # none where all rows hold all components
    return thin & ((counts < few) | on_floor(mixture, floor))


def without_spikes(mixture: Mixture, problem: Problem, floor: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether mixtures (..., K, ...) have no spike."""
    return ~collapsed(mixture, problem, floor).any(axis=-1)


def starved(mixture: Mixture, problem: Problem) -> NDArray[np.intp]:
    """Components that hold too few rows to determine a covariance of their own."""
    counts = np.exp(mixture.log_weights) * problem.sample_weight.sum()
    return np.flatnonzero(counts < mixture.structure.rows_needed(mixture.n_features))


def degeneracy_warnings(mixture: Mixture, problem: Problem, floor: NDArray[np.float64]) -> tuple[str, ...]:
    """What is wrong with the components, in words."""
    out = []
    thin = np.flatnonzero(collapsed(mixture, problem, floor))
    if thin.size:
        out.append(
            f"{they_are(thin, mixture)} a spike: the standard deviation{_where(mixture, thin, problem)} is below 1e-3 "
            "of the data's, and the likelihood, which grows as such a component shrinks, means nothing there. Use "
            "fewer components, or EM(objective='posterior')."
        )
    few = np.setdiff1d(starved(mixture, problem), thin)
    if few.size:
        rows = np.exp(mixture.log_weights[few]) * problem.sample_weight.sum()
        held = ", ".join(f"{i} ({n:.1f})" for i, n in zip(few, rows, strict=True))
        subject = f"components {held} hold" if few.size > 1 else f"component {held} holds"
        out.append(f"{subject} too few rows (in brackets) to determine a covariance of their own.")
    n, d = problem.observed.rows.shape
    if out and n <= d:
        out.append(
            f"there are {n} rows of {d} features. Rows are observations: if yours are columns, pass x.T."
        )
    return tuple(out)


def _where(mixture: Mixture, thin: NDArray[np.intp], problem: Problem) -> str:
    """The features along which all of some components are narrow, in words; nothing if they are so askew."""
    deviations = np.sqrt(mixture.structure.variances(mixture.covariances, *mixture.means.shape))[thin]
    narrow_in = np.flatnonzero(deviations.max(axis=0) < 2 * np.sqrt(SPIKE))
    if narrow_in.size in (0, deviations.shape[1]):
        return ""
    return f" in {', '.join(problem.observed.feature_names[j] for j in narrow_in[:6])}"


def they_are(components: NDArray[np.intp], mixture: Mixture) -> str:
    """Some components and a verb, in words."""
    if 1 < components.size == mixture.n_components:
        return "every component is"
    named = ", ".join(map(str, components))
    return f"components {named} are each" if components.size > 1 else f"component {named} is"
