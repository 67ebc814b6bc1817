"""Chains that stay in different modes: which are where, and what each mode may weigh.

Two answers stand side by side, since neither is the truth. Laplace's method prices a mode's mass from its height and
curvature. Stacking (Yao, Vehtari & Gelman 2022) asks how chains predict left-out rows together; it does not estimate
the posterior's mass, but it does not depend on how the chains began.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.posterior.psis_loo import psis_loo

ALIKE = 1.0  # standard deviations by which the means of two chains of one mode may differ, in any invariant
ERRORS = 2.0  # and of their difference's Monte Carlo error, which is large where chains are short or slow
FEWEST = 50  # draws below which importance weights have no tail to be smoothed
STEPS = 2000  # of the fixed-point iteration for the stacking weights, which converges slowly but surely


def groups_of_chains(invariants: Mapping[str, NDArray]) -> list[NDArray[np.intp]]:
    """Chains that are in one place, by their label-invariant quantities (chains, draws), largest group first."""
    values = np.stack([v for v in invariants.values() if v.std() > 0])
    mean, variance = values.mean(axis=2), values.var(axis=2)
    spread = np.sqrt(0.5 * (variance[:, :, None] + variance[:, None, :]))
    error = _variances_of_means(values)
    error = np.sqrt(error[:, :, None] + error[:, None, :])
    gap = np.abs(mean[:, :, None] - mean[:, None, :])
    alike = np.all(gap <= ALIKE * np.maximum(spread, 1e-12) + ERRORS * error, axis=0)
    group = np.arange(len(alike))
    for i, j in np.argwhere(alike):  # chained together: i like j, j like k
        group[group == group[j]] = group[i]
    return sorted((np.flatnonzero(group == g) for g in np.unique(group)), key=lambda chains: -len(chains))


def _variances_of_means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Monte Carlo variance of every chain's mean (Q, C), by means of batches of its draws (Q, C, S)."""
    n = max(2, int(np.sqrt(values.shape[2])))
    batches = np.stack([batch.mean(axis=2) for batch in np.array_split(values, n, axis=2)])
    return batches.var(axis=0, ddof=1) / n


def stacking_weights(log_densities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weights (M,) that maximise the mean log of the mixed left-out densities, from their logarithms (M, N)."""
    relative = np.exp(log_densities - log_densities.max(axis=0))
    weights = np.full(len(relative), 1.0 / len(relative))
    for _ in range(STEPS):
        weights = weights * np.mean(relative / (weights @ relative), axis=1)
    return weights / weights.sum()


def mode_table(posterior: Any, invariants: Mapping[str, NDArray]) -> Any:
    """A pandas DataFrame, a row a group of chains: which, their log-likelihood, stacking and Laplace weights.

    The Laplace weight is that of the mode which those chains are about, or of all modes visited where all chains are
    one group; it is NaN where the sampler knows of no mode near them.
    """
    import pandas as pd

    groups = groups_of_chains(invariants)
    likelihood = posterior.data["sample_stats"]["log_likelihood"].values
    stacked = np.ones(1)
    if len(groups) > 1:
        stacked = stacking_weights(np.stack([_left_out(posterior.data, chains) for chains in groups]))
    columns = {
        "chains": [", ".join(map(str, chains)) for chains in groups],
        "log_likelihood": [float(likelihood[chains].mean()) for chains in groups],
        "stacking_weight": stacked,
        "laplace_weight": _laplace(posterior.data["warm_start"], groups),
    }
    return pd.DataFrame(columns)


def _left_out(tree: Any, chains: NDArray[np.intp]) -> NDArray[np.float64]:
    """Log density (N,) of each row given the others, from some of the chains, by PSIS where that is possible."""
    import arviz_base

    values = tree["log_likelihood"]["x"].values[chains]
    flat = values.reshape(-1, values.shape[2])
    plain = np.log(len(flat)) - np.logaddexp.reduce(-flat, axis=0)
    if len(flat) < FEWEST:
        return plain
    dummy = {"weights": np.zeros(values.shape[:2])}
    part = arviz_base.from_dict({"posterior": dummy, "log_likelihood": {"x": values}})
    try:
        return np.asarray(psis_loo(part).elpd_i, float).ravel()
    except ValueError:  # a chain that stood still for long: a row's largest weights are all one draw's
        return plain


def _laplace(notes: Any, groups: list[NDArray[np.intp]]) -> NDArray[np.float64]:
    """Laplace weight of the mode that each group is about, two groups about one mode sharing it in ignorance."""
    out = np.full(len(groups), np.nan)
    if "mode_of_chain" not in notes:
        return out
    mode, weight = notes["mode_of_chain"].values, notes["laplace_weight"].values
    if len(groups) == 1:
        return np.array([weight[notes["visited"].values].sum()])
    for i, chains in enumerate(groups):
        found = np.unique(mode[chains])
        if len(found) == 1 and found[0] >= 0:
            out[i] = weight[int(found[0])]
    return out


def describe(table: Any) -> str:
    """The table in a sentence; empty where all chains are in one place."""
    if len(table) < 2:
        return ""
    places = []
    for row in table.itertuples():
        laplace = "unknown" if np.isnan(row.laplace_weight) else f"{row.laplace_weight:.3g}"
        places.append(
            f"{row.chains} (mean log-likelihood {row.log_likelihood:.2f}, stacking weight {row.stacking_weight:.2f}, "
            f"Laplace weight {laplace})"
        )
    return f"The chains stay in {len(table)} places: " + "; ".join(places) + "."
