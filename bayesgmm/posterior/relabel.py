"""Label switching undone: every draw's components matched to one pivot partition (ECR).

Papastamoulis & Iliopoulos (2010): the pivot is the allocation at the draw of highest posterior density; each
draw is permuted so that it agrees with the pivot on most rows, a linear assignment on a K x K table. Here the
table holds expected rows (responsibilities summed) rather than one drawn allocation, which takes the noise out.
"""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from bayesgmm.compiled import compiled
from bayesgmm.float64 import in_float64
from bayesgmm.kernel import contingency
from bayesgmm.mixture import Mixture
from bayesgmm.posterior.predict import MOST_CELLS, membership_probabilities
from bayesgmm.row_blocks import Rows, make_rows


def relabel(
    draws: Mixture,
    rows: NDArray[np.float64],
    lp: NDArray[np.float64],
    numbering: NDArray[np.intp] | None = None,
) -> tuple[Mixture, NDArray[np.intp]]:
    """Draws (S, K, ...) with their components matched to the draw of highest ``lp`` (S,).

    Parameters
    ----------
    numbering : labels (N,) whose numbers the components take as far as they agree, so that a posterior is numbered
        like the fit it began from; by decreasing mean weight if None

    Returns
    -------
    draws : the permuted draws
    order : (S, K), the old index of each new component
    """
    pivot = jax.tree.map(lambda a: a[[int(np.argmax(lp))]], draws)
    memberships = membership_probabilities(pivot, rows)
    order = match(contingency_tables(draws, rows, memberships.argmax(axis=1)))
    if numbering is None:
        new = np.argsort(-np.exp(draws.permute(order).log_weights).mean(axis=0), kind="stable")
    else:
        clusters = np.eye(draws.n_components)[numbering]
        new = match((memberships.T @ clusters)[None])[0]
        new = np.argsort(order[int(np.argmax(lp))])[new]
    order = order[:, new]
    return draws.permute(order), order


def with_components_permuted(data: Any, order: NDArray[np.intp]) -> Any:
    """A DataTree in which whatever has a component for each draw has them in another order (S, K)."""
    by_draw = order.reshape(*data["sample_stats"]["lp"].shape, -1)

    def permuted(variable: Any) -> Any:
        if variable.dims[:3] != ("chain", "draw", "component"):
            return variable
        index = by_draw.reshape(*by_draw.shape, *[1] * (variable.ndim - 3))
        return variable.copy(data=np.take_along_axis(variable.values, index, axis=2))

    out = data.copy()
    for group in ("posterior", "clustering"):
        out[group].dataset = out[group].to_dataset().map(permuted)
    return out


def match(tables: NDArray[np.float64]) -> NDArray[np.intp]:
    """For each table (S, K, K) of rows in (component, cluster): the component (S, K) assigned to each cluster."""
    out = np.empty(tables.shape[:2], dtype=np.intp)
    for s, table in enumerate(tables):
        components, clusters = linear_sum_assignment(table, maximize=True)
        out[s, clusters] = components
    return out


def contingency_tables(
    draws: Mixture, rows: NDArray[np.float64], labels: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Expected rows (S, K, K) in component k of each draw and cluster j of a partition (N,)."""
    s, k = draws.log_weights.shape
    padded = make_rows(rows, draws.structure, most=max(16, MOST_CELLS // (s * k)))
    m, _, b = padded.blocks.shape
    partition = np.zeros(m * b, dtype=int)
    partition[: len(rows)] = labels
    return _tables(draws.structure, draws.natural(), padded, partition.reshape(m, b))


@in_float64
@compiled
def _tables(structure, natural, rows: Rows, partition):
    return contingency(structure, natural, rows, partition)
