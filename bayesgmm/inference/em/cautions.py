"""What need not be wrong with a fit but should be looked at."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

from bayesgmm.data import few_valued
from bayesgmm.inference.em.degeneracy import collapsed, narrow, on_floor, they_are
from bayesgmm.inference.problem import Problem
from bayesgmm.mixture import Mixture

MOSTLY = 0.75  # of the starts, set aside, from which on the others are few
ALIKE = 1e-6  # standard deviations by which two components that are one may differ


def cautions(mixture: Mixture, problem: Problem, floor: NDArray[np.float64]) -> tuple[str, ...]:
    """What need not be wrong with the components but should be looked at, in words."""
    out, spiky = _few_values(mixture, problem), collapsed(mixture, problem, floor)
    same = _same(mixture)
    if same.size:
        named = ", ".join(map(str, same))
        out.append(
            f"components {named} are one and the same: the fit is no strict maximum. It was started there, or "
            "the rows allow no other. Use fewer components, or another start."
        )
    n, d = problem.observed.rows.shape
    if mixture.n_parameters >= n * d:
        out.append(
            f"there are {mixture.n_parameters} parameters for {n} x {d} numbers: the fit describes these rows, not "
            "where they come from. Use fewer components, or a sparser covariance_type."
        )
    thin = np.flatnonzero(narrow(mixture, problem) & ~spiky)
    low = np.flatnonzero(on_floor(mixture, floor) & ~spiky)
    if thin.size:
        out.append(
            f"{they_are(thin, mixture)} narrow: the standard deviation is below 1e-3 of the data's. "
            "Clusters or outliers very far apart make it so, and so do wrong units and codes for missing values."
        )
    if low.size:
        out.append(
            f"{they_are(low, mixture)} on the floor: most of the variance, in some direction, is "
            "what reg_covar added. Lower reg_covar, or use fewer components."
        )
    return tuple(out)


def few_starts(set_aside: int, n_starts: int) -> tuple[str, ...]:
    """That few starts were free of spikes, in words: the best of them may be far from the best there is."""
    if set_aside < MOSTLY * n_starts:
        return ()
    return (
        f"{set_aside} of {n_starts} starts ended higher, in spikes, and were set aside: what the others found may be "
        "far below the best fit without a spike. Look for rows that repeat or are rounded, use fewer components, or "
        "more starts (n_init).",
    )


def _few_values(mixture: Mixture, problem: Problem) -> list[str]:
    """Features of few values, which several components can divide among themselves."""
    if mixture.n_components == 1:
        return []
    return [
        f"{name} has only {values.size} different values ({', '.join(f'{v:.10g}' for v in values)}), onto which "
        "components can shrink: criteria then count values rather than clusters. Leave it out, or spread it over "
        "its unit, x + uniform(-.5, .5)."
        for name, values in few_valued(problem.observed).items()
    ]


def _same(mixture: Mixture) -> NDArray[np.intp]:
    """Components that hold rows and have another's mean and covariance."""
    used = np.flatnonzero(np.isfinite(mixture.log_weights))
    k, d = mixture.means.shape
    dense = mixture.structure.dense(mixture.covariances, k, d)
    with np.errstate(invalid="ignore"):  # of what is no covariance
        sd = np.sqrt(mixture.structure.variances(mixture.covariances, k, d))
    found = set()
    for i, j in itertools.combinations(used.tolist(), 2):
        near = np.abs(mixture.means[i] - mixture.means[j]) < ALIKE * sd[i]
        if near.all() and np.all(np.abs(dense[i] - dense[j]) < ALIKE * np.outer(sd[i], sd[i])):
            found |= {i, j}
    return np.array(sorted(found), dtype=np.intp)
