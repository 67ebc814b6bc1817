"""Parameters of several fits side by side, components matched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

if TYPE_CHECKING:
    import pandas

INTERVAL = 0.94  # ArviZ's usual probability; equal tails


def match_components(reference: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.intp]:
    """For each component of ``other``, the component of ``reference`` that shares most rows with it.

    Parameters
    ----------
    reference, other : membership probabilities (N, K) and (N, K'), K' at most K. One to one, by linear assignment
        of the expected number of shared rows (Kuhn 1955).
    """
    return linear_sum_assignment(-(other.T @ reference))[1]


def parameter_table(
    results: Mapping[str, Any], memberships: Mapping[str, NDArray[np.float64]]
) -> pandas.DataFrame:
    """Weights, means and standard deviations: an estimate a fit, and for a posterior its mean and 94 % interval.

    Components are numbered as in the first fit that has the most of them. Where the number of components is random, a
    weight is averaged over all draws, means and deviations over the draws that have the component.
    """
    import pandas

    reference = max(results, key=lambda name: results[name].n_components)
    columns: dict[tuple[str, str], dict[tuple[str, int, str], float]] = {}
    tails = (1 - INTERVAL) / 2
    low, high = f"{100 * tails:.0f} %", f"{100 * (1 - tails):.0f} %"
    for name, result in results.items():
        own = match_components(memberships[reference], memberships[name])
        is_point = result.draws.log_weights.shape[0] == 1
        for (parameter, j, feature), draws in _draws(result).items():
            row = (parameter, int(own[j]), feature)
            told = {"mean": np.nan, low: np.nan, high: np.nan}
            if is_point:
                told = {"estimate": draws[0] if draws.size else np.nan}
            elif draws.size:
                told = {
                    "mean": draws.mean(),
                    low: np.quantile(draws, tails),
                    high: np.quantile(draws, 1 - tails),
                }
            for what, value in told.items():
                columns.setdefault((name, what), {})[row] = value
    rows = list(_draws(results[reference]))
    index = pandas.MultiIndex.from_tuples(rows, names=["parameter", "component", "feature"])
    table = pandas.DataFrame({column: pandas.Series(values) for column, values in columns.items()})
    return table.reindex(index)


def _draws(result: Any) -> dict[tuple[str, int, str], NDArray[np.float64]]:
    """Draws (S,) of every weight, mean and standard deviation, in the user's units, of those that have it."""
    mixture = result.restore(result.draws)
    k, d = mixture.means.shape[-2:]
    deviations = np.sqrt(mixture.structure.variances(mixture.covariances, k, d))
    features = list(enumerate(result.observed.feature_names))
    has = [np.isfinite(mixture.log_weights[:, j]) for j in range(k)]
    return {
        **{("weight", j, ""): np.exp(mixture.log_weights[:, j]) for j in range(k)},
        **{("mean", j, name): mixture.means[has[j], j, i] for j in range(k) for i, name in features},
        **{("sd", j, name): deviations[has[j], j, i] for j in range(k) for i, name in features},
    }
