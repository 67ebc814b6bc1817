"""Permanents of positive matrices: sums over all permutations without listing them."""

from __future__ import annotations

import itertools

import numpy as np
from jax.scipy.special import logsumexp
from jaxtyping import Float, Int

from bayesgmm.covariances import Array


def log_permanent(log_matrix: Float[Array, "k k s"]) -> Float[Array, " s"]:
    r"""Logarithms of :math:`\sum_\sigma \prod_j a_{j \sigma(j)}` from the logarithms of the entries of S matrices.

    Row by row, over the sets of columns that the rows so far may have taken: the sum for a set is that over which
    column the last row took. That is K 2^(K - 1) steps rather than K!, all of them positive, so that no digits are lost
    (formulas of Ryser and of Glynn cancel), and in logarithms, so that nothing underflows.
    """
    k = log_matrix.shape[0]
    taken = log_matrix[0]
    for row, (columns, before) in enumerate(_sets(k), start=1):
        taken = logsumexp(log_matrix[row][columns] + taken[before], axis=1)
    return taken[0]


def _sets(k: int) -> list[tuple[Int[np.ndarray, "m j"], Int[np.ndarray, "m j"]]]:
    """For sets of 2, ..., K columns (M of them): each member (M, j), and the place of the set without it (M, j)."""
    out = []
    place = {(c,): c for c in range(k)}
    for size in range(2, k + 1):
        sets = list(itertools.combinations(range(k), size))
        before = [[place[s[:i] + s[i + 1 :]] for i in range(size)] for s in sets]
        out.append((np.array(sets), np.array(before)))
        place = {s: i for i, s in enumerate(sets)}
    return out
