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

    Components are numbered as in the first fit that has the most of them.
    """
    import pandas

    reference = max(results, key=lambda name: results[name].n_components)
    columns: dict[tuple[str, str], dict[tuple[str, int, str], float]] = {}
    for name, result in results.items():
        own = match_components(memberships[reference], memberships[name])
        for (parameter, j, feature), draws in _draws(result).items():
            row = (parameter, int(own[j]), feature)
            columns.setdefault((name, "mean" if len(draws) > 1 else "estimate"), {})[row] = draws.mean()
            if len(draws) > 1:
                tails = (1 - INTERVAL) / 2
                low, high = np.quantile(draws, [tails, 1 - tails])
                columns.setdefault((name, f"{100 * tails:.0f} %"), {})[row] = low
                columns.setdefault((name, f"{100 * (1 - tails):.0f} %"), {})[row] = high
    rows = list(_draws(results[reference]))
    index = pandas.MultiIndex.from_tuples(rows, names=["parameter", "component", "feature"])
    table = pandas.DataFrame({column: pandas.Series(values) for column, values in columns.items()})
    return table.reindex(index)


def _draws(result: Any) -> dict[tuple[str, int, str], NDArray[np.float64]]:
    """Draws (S,) of every weight, mean and standard deviation, in the user's units."""
    mixture = result.restore(result.draws)
    k, d = mixture.means.shape[-2:]
    dense = np.asarray(mixture.structure.dense(mixture.covariances, k, d))
    deviations = np.sqrt(np.diagonal(dense, axis1=-2, axis2=-1))
    features = list(enumerate(result.observed.feature_names))
    return {
        **{("weight", j, ""): np.exp(mixture.log_weights[:, j]) for j in range(k)},
        **{("mean", j, name): mixture.means[:, j, i] for j in range(k) for i, name in features},
        **{("sd", j, name): deviations[:, j, i] for j in range(k) for i, name in features},
    }
