"""The similarity matrix: the probability that two rows share a cluster, without ever holding S x N x K.

Both kinds of draws give it as a sum of outer products: labels one hot, and responsibilities, whose products are
the exact co-clustering probabilities given the parameters (the allocations summed out, Rao-Blackwell).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import scipy.sparse
from jaxtyping import Float, Int

from bayesgmm.posterior.allocations import is_fit, responsibilities
from bayesgmm.posterior.label_draws import LabelDraws, as_label_draws

MOST_ROWS = 20_000  # of a full matrix
SINGLE_FROM = 5_000  # rows from which the matrix is float32
MOST_CELLS = 16_000_000  # rows x columns of one factor
TILE = 1024
DEAR = 200  # a product of two sparse numbers costs as much as so many of dense ones

Factor = Float[np.ndarray, "N C"]


def similarity(draws_or_fit: Any) -> Float[np.ndarray, "N N"]:
    """Probability (N, N) that two rows belong together: float64, and float32 from 5000 rows.

    Parameters
    ----------
    draws_or_fit : label draws (S, N), or a fit: then the mean over its draws of the exact co-clustering
        probabilities sum_k r_ik r_jk

    Raises
    ------
    ValueError
        Above 20000 rows, where the matrix would take more than 1.6 GB.
    """
    if not is_fit(draws_or_fit):
        return similarity_of_draws(as_label_draws(draws_or_fit))
    n = draws_or_fit.observed.n_rows
    s, _ = draws_or_fit.draws.log_weights.shape
    columns = max(1, MOST_CELLS // n)
    factors = (np.sqrt(1.0 / s) * table.reshape(n, -1) for table in responsibilities(draws_or_fit, columns))
    return _summed(factors, n)


def similarity_of_draws(draws: LabelDraws) -> Float[np.ndarray, "N N"]:
    """Share of the draws (N, N) that put two rows together."""
    n, meetings = draws.n_rows, float((draws.cluster_sizes.astype(float) ** 2).sum())
    many_clusters = DEAR * meetings < len(draws.cluster_weights) * n * n
    return _summed(_sparse_one_hot(draws) if many_clusters else _one_hot(draws), n)


def similarity_of_rows(draws: LabelDraws, rows: Int[np.ndarray, " m"]) -> Float[np.ndarray, "m m"]:
    """The similarity of some rows, for any number of rows in all."""
    return similarity_of_draws(draws.of_rows(rows))


def _one_hot(draws: LabelDraws) -> Iterator[Factor]:
    """Blocks (N, C) of the (draw, cluster) indicators, times the root of the draw's probability."""
    columns = max(1, MOST_CELLS // draws.n_rows)
    block = (draws.offsets // columns).astype(np.intp)
    for which in np.split(np.arange(len(block)), np.flatnonzero(np.diff(block)) + 1):
        first = draws.offsets[which[0]]
        width = int(draws.n_clusters[which].sum())
        factor = np.zeros((draws.n_rows, width), _dtype(draws.n_rows))
        root = np.sqrt(draws.weights[which])
        factor[np.arange(draws.n_rows)[:, None], draws.codes[:, which] - first] = root
        yield factor


def _sparse_one_hot(draws: LabelDraws) -> Iterator[scipy.sparse.csr_matrix]:
    """The same without its zeros, of which draws of many clusters have nothing else."""
    length, n = max(1, MOST_CELLS // draws.n_rows), draws.n_rows
    for begin in range(0, len(draws.weights), length):
        codes = draws.codes[:, begin : begin + length]
        root = np.sqrt(draws.weights[begin : begin + length]).astype(_dtype(n))
        start = np.arange(0, codes.size + 1, codes.shape[1])
        shape = (n, len(draws.cluster_weights))
        yield scipy.sparse.csr_matrix((np.tile(root, n), codes.ravel(), start), shape=shape)


def _dtype(n: int) -> Any:
    return np.float64 if n < SINGLE_FROM else np.float32


def _summed(factors: Iterable[Factor | scipy.sparse.csr_matrix], n: int) -> Float[np.ndarray, "N N"]:
    """Sum of F F' over factors, the upper triangle by tiles and then mirrored; ones on the diagonal."""
    if n > MOST_ROWS:
        raise ValueError(
            f"Expected at most {MOST_ROWS} rows for a full similarity matrix; got {n}. "
            "Take the similarity of some of the rows: similarity(draws[:, rows])."
        )
    out = np.zeros((n, n), _dtype(n))
    for factor in factors:
        sparse = scipy.sparse.issparse(factor)
        factor = factor if sparse else np.ascontiguousarray(factor, _dtype(n))
        for i in range(0, n, TILE):
            part = factor[i : i + TILE] @ factor[i:].T
            out[i : i + TILE, i:] += part.toarray() if sparse else part
    for i in range(0, n, TILE):
        out[i:, i : i + TILE] = out[i : i + TILE, i:].T
    np.fill_diagonal(out, 1.0)
    return np.clip(out, 0.0, 1.0, out=out)
