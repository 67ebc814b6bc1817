"""Draws of a partition: labels brought to one form, equal draws merged, and count tables against any partition.

Everything that is said of a random partition here needs only the tables ``n[s, j, k]``: rows that draw s puts in
its cluster j and a given partition in its cluster k. The (draw, cluster) pairs are numbered through, so that a
table is one array (R, K) and the expected value over draws of anything additive is one sparse product.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse
from jaxtyping import Float64, Int, Shaped

MOST_CODES = 4_000_000  # rows x draws turned into a sparse matrix at once
MOST_CELLS = 20_000_000  # (draw, cluster) x cluster in a table that holds its zeros too


@dataclasses.dataclass(frozen=True, eq=False)
class LabelDraws:
    """Distinct partitions of N rows and their probabilities.

    Attributes
    ----------
    labels : (S, N), each draw's clusters numbered from 0 in the order in which its rows name them
    weights : (S,) probabilities, summing to one
    n_draws : draws that were given, repetitions included
    by_chain : (C, S) share of every chain's draws, where they were given by chain and count the same; else None
    """

    labels: Int[np.ndarray, "S N"]
    weights: Float64[np.ndarray, " S"]
    n_draws: int
    by_chain: Float64[np.ndarray, "C S"] | None = None

    def __post_init__(self) -> None:
        freeze(self.labels, self.weights)
        if self.by_chain is not None:
            freeze(self.by_chain)

    @property
    def n_rows(self) -> int:
        return self.labels.shape[1]

    @cached_property
    def n_clusters(self) -> Int[np.ndarray, " S"]:
        """Number of clusters of each draw (S,)."""
        return self.labels.max(axis=1).astype(np.intp) + 1

    @cached_property
    def offsets(self) -> Int[np.ndarray, " S"]:
        """Where each draw's clusters begin among all R = sum of ``n_clusters``."""
        return np.concatenate([[0], np.cumsum(self.n_clusters)[:-1]])

    @cached_property
    def codes(self) -> Int[np.ndarray, "N S"]:
        """The cluster of every row in every draw (N, S), numbered through over draws."""
        return np.ascontiguousarray((self.labels + self.offsets[:, None]).T.astype(np.int32))

    @cached_property
    def cluster_weights(self) -> Float64[np.ndarray, " R"]:
        """Each (draw, cluster)'s probability: that of its draw."""
        return np.repeat(self.weights, self.n_clusters)

    @cached_property
    def draw_of_cluster(self) -> Int[np.ndarray, " R"]:
        """The draw that every (draw, cluster) belongs to."""
        return np.repeat(np.arange(len(self.weights)), self.n_clusters)

    @cached_property
    def cluster_sizes(self) -> Int[np.ndarray, " R"]:
        """Rows in every (draw, cluster)."""
        return self.counts(np.zeros(self.n_rows, np.intp))[:, 0]

    @cached_property
    def members(self) -> Int[np.ndarray, " NS"]:
        """Rows of every (draw, cluster), one after another."""
        order = np.argsort(self.codes, axis=None, kind="stable")
        return (order // len(self.weights)).astype(np.int32)

    @cached_property
    def member_starts(self) -> Int[np.ndarray, " R"]:
        """Where the rows of every (draw, cluster) begin in ``members``."""
        return np.cumsum(self.cluster_sizes) - self.cluster_sizes

    def sparse(
        self, codes: Int[np.ndarray, "n S"], weights: Float64[np.ndarray, " S"] | None = None
    ) -> scipy.sparse.csr_matrix:
        """Rows, given by their codes, as a sparse matrix (n, R) with the draw's probability at each code.

        ``weights`` take the place of the probabilities.
        """
        n, s = codes.shape
        start = np.arange(0, n * s + 1, s)
        shape = (n, len(self.cluster_weights))
        held = np.tile(self.weights if weights is None else weights, n)
        return scipy.sparse.csr_matrix((held, codes.ravel(), start), shape=shape)

    def row_blocks(self) -> Iterator[Int[np.ndarray, " n"]]:
        """All rows in blocks small enough for :meth:`sparse`."""
        size = max(1, MOST_CODES // len(self.weights))
        return (np.arange(begin, min(begin + size, self.n_rows)) for begin in range(0, self.n_rows, size))

    def counts(self, labels: Int[np.ndarray, " N"]) -> Int[np.ndarray, "R K"]:
        """The tables (R, K) of a partition, numbered from 0; rows labelled -1 belong to no cluster yet."""
        k = int(labels.max(initial=0)) + 1
        n_clusters = int(self.n_clusters.sum())
        total = np.zeros(n_clusters * k, np.intp)
        placed = np.flatnonzero(labels >= 0)
        size = max(1, MOST_CODES // len(self.weights))
        for begin in range(0, len(placed), size):
            rows = placed[begin : begin + size]
            cells = self.codes[rows] * np.intp(k)
            cells += labels[rows, None]
            total += np.bincount(cells.ravel(), minlength=total.size)
        return total.reshape(n_clusters, k)

    def cells(self, labels: Int[np.ndarray, " N"]) -> scipy.sparse.csr_matrix:
        """The same tables without their zeros, for partitions of many clusters."""
        k, r = int(labels.max(initial=0)) + 1, len(self.cluster_weights)
        if r * k <= MOST_CELLS:
            return scipy.sparse.csr_matrix(self.counts(labels))
        total = scipy.sparse.csr_matrix((r, k), dtype=np.intp)
        for rows in self.row_blocks():
            codes = self.codes[rows]
            own = np.repeat(labels[rows], codes.shape[1])
            ones = np.ones(codes.size, np.intp)
            total = total + scipy.sparse.csr_matrix((ones, (codes.ravel(), own)), shape=(r, k))
        return total

    def joint(
        self, labels: Int[np.ndarray, " N"], mass: Float64[np.ndarray, " n"]
    ) -> Float64[np.ndarray, " S"]:
        """Sums (S,) over the cells of each draw's table, of ``mass`` at the count (which is 0 at 0)."""
        if len(self.cluster_weights) * (int(labels.max(initial=0)) + 1) <= MOST_CELLS:
            return self.per_draw(mass[self.counts(labels)].sum(axis=1))
        table = self.cells(labels)
        draw = np.repeat(self.draw_of_cluster, np.diff(table.indptr))
        return np.bincount(draw, weights=mass[table.data], minlength=len(self.weights))

    def per_draw(self, values: Shaped[np.ndarray, " R"]) -> Shaped[np.ndarray, " S"]:
        """Sums (S,) of what is given for every (draw, cluster)."""
        return np.add.reduceat(values, self.offsets)

    def of_rows(self, rows: Int[np.ndarray, " n"]) -> LabelDraws:
        """The draws' partitions of some rows only."""
        return LabelDraws(canonical(self.labels[:, rows]), self.weights, self.n_draws)

    def of_draws(self, which: Shaped[np.ndarray, " m"]) -> LabelDraws:
        """Some of the draws, their probabilities scaled to sum to one."""
        weights = self.weights[which]
        share = weights.sum()
        return LabelDraws(self.labels[which], weights / share, max(1, round(self.n_draws * share)))


def freeze(*arrays: np.ndarray) -> None:
    """Refuse writes to arrays that results share."""
    for array in arrays:
        array.flags.writeable = False


def as_label_draws(draws: Any, weights: Any = None) -> LabelDraws:
    """Label matrices from anywhere, as :class:`LabelDraws`.

    Parameters
    ----------
    draws : (S, N) integers, a row a draw and a column a row of the data, or (chains, S, N), whose chains are compared;
        more leading axes are draws too. Labels mean nothing beyond which rows share one.
    weights : (S,) probabilities of the draws, up to a factor; None makes them equal

    Raises
    ------
    ValueError, TypeError
        If the draws are no integers, not a matrix, or empty; or the weights do not fit them.
    """
    if isinstance(draws, LabelDraws):
        return draws
    array = _checked_labels(draws)
    labels = array.reshape(-1, array.shape[-1])
    given = _checked_weights(weights, len(labels))
    distinct, inverse = np.unique(canonical(labels), axis=0, return_inverse=True)
    merged = np.bincount(inverse.ravel(), weights=given, minlength=len(distinct))
    kept = merged > 0
    by_chain = None
    if array.ndim == 3 and weights is None:
        chains = inverse.reshape(array.shape[:2])
        by_chain = np.stack([np.bincount(one, minlength=len(distinct)) for one in chains]) / array.shape[1]
    return LabelDraws(distinct[kept], merged[kept] / merged.sum(), len(labels), by_chain)


def canonical(labels: Shaped[np.ndarray, "S N"]) -> Int[np.ndarray, "S N"]:
    """Labels (S, N) renumbered from 0 in order of first appearance, in the smallest integers that hold them."""
    out = np.empty(labels.shape, np.min_scalar_type(-labels.shape[1]))
    for row, target in zip(labels, out, strict=True):
        _, first, inverse = np.unique(row, return_index=True, return_inverse=True)
        rank = np.empty(len(first), out.dtype)
        rank[np.argsort(first)] = np.arange(len(first))
        target[:] = rank[inverse]
    return out


def by_size(labels: Int[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """Labels (N,) renumbered by decreasing size of the cluster; equal sizes keep the order of their first rows."""
    first = canonical(labels[None])[0]
    order = np.argsort(-np.bincount(first), kind="stable")
    rank = np.empty(len(order), np.intp)
    rank[order] = np.arange(len(order))
    return rank[first]


def weighted_quantile(values: Any, weights: Float64[np.ndarray, " S"], probabilities: Any) -> Any:
    """Quantiles of a discrete distribution: the least value whose cumulated probability reaches each."""
    order = np.argsort(values, kind="stable")
    held = np.cumsum(weights[order])
    at = np.searchsorted(held, np.asarray(probabilities) - 1e-12)
    return np.asarray(values, float)[order][np.minimum(at, len(order) - 1)]


def _checked_labels(draws: Any) -> np.ndarray:
    labels = _as_array(draws)
    if labels.dtype.kind == "f":
        _check_whole(labels)
    elif labels.dtype.kind not in "iub":
        raise TypeError(
            f"Expected label draws of integers; got {labels.dtype}. Code the labels first: "
            "numpy.unique(draws, return_inverse=True)[1]."
        )
    if labels.dtype.kind != "b" and labels.min() < 0:
        at = tuple(np.argwhere(labels < 0)[0])
        raise ValueError(
            f"Expected labels of at least 0; got {labels[at]:g} in {_place(at)}. Programs that mark noise by "
            "-1 do not mean one cluster by it: leave those rows out, or give each a label of its own."
        )
    return labels


def _check_whole(labels: np.ndarray) -> None:
    """Refuse floats that are missing, or that are probabilities rather than labels."""
    bad = ~np.isfinite(labels) | (labels != np.floor(labels))
    if bad.any():
        at = tuple(np.argwhere(bad)[0])
        remedy = (
            "Draw labels from probabilities first; a similarity matrix does not determine them."
            if np.isfinite(labels[at])
            else "Leave the draw out, or give its unlabelled rows a cluster of their own."
        )
        raise ValueError(f"Expected whole numbers as labels; got {labels[at]} in {_place(at)}. {remedy}")


def _place(at: tuple[Any, ...]) -> str:
    """A place among the draws in words: "chain 1, draw 3 at row 5"."""
    *chain, draw, row = at
    return f"{f'chain {chain[-1]}, ' if chain else ''}draw {draw} at row {row}"


def _as_array(draws: Any) -> np.ndarray:
    """Draws as an array (..., S, N), refused unless it has rows and columns."""
    if np.ma.is_masked(draws):
        raise ValueError(
            "Expected a label for every row in every draw; some are masked. Leave these draws out, or give their "
            "unlabelled rows a cluster of their own."
        )
    try:
        labels = np.asarray(draws)
    except ValueError as error:
        raise ValueError(
            "Expected label draws of equal length, a label for every row of the data; the draws differ in length."
        ) from error
    if labels.ndim == 0:
        raise TypeError(
            f"Expected a fit or a matrix of labels (draws, rows); got {type(draws).__name__}. "
            "Fits are what bayesgmm.fit and bayesgmm.bootstrap return."
        )
    if labels.size == 0:
        raise ValueError(
            f"Expected at least one draw of at least one row; got label draws of shape {labels.shape}. "
            "Draws are a matrix of integers (draws, rows)."
        )
    if labels.ndim == 1:
        raise ValueError(
            f"Expected label draws of shape (draws, rows); got shape {labels.shape}. "
            "For one partition of the rows pass labels[None, :]."
        )
    return labels


def _checked_weights(weights: Any, n: int) -> np.ndarray:
    if weights is None:
        return np.ones(n)
    try:
        given = np.asarray(weights, float)
    except (TypeError, ValueError):
        raise TypeError(
            f"Expected weights of shape ({n},), a number for each draw; got {weights!r}."
        ) from None
    if given.shape != (n,) or not np.isfinite(given).all() or (given < 0).any() or not given.any():
        raise ValueError(
            f"Expected weights of shape ({n},), one for each draw, at least 0 and not all 0; "
            f"got shape {given.shape}. Leave them out for draws that count the same."
        )
    return given
