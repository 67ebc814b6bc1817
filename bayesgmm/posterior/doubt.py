"""Where the doubt about a partition lies: its rows, its pairs of rows, its clusters.

In every draw each cluster of the partition has at most one match (:mod:`bayesgmm.posterior.matching`). A row is in
the cluster whose match holds it, and elsewhere where its cluster in the draw matches none: so a draw that splits a
cluster, or takes rows out of it, leaves them in doubt. The mean of ``own`` over rows is one less the expected
transfer distance to a draw, as a share of the rows: no numbering of the draws' clusters makes it larger.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import scipy.sparse
from jaxtyping import Float64, Int
from scipy.sparse import csr_matrix
from scipy.special import xlogy

from bayesgmm.posterior.label_draws import LabelDraws, weighted_quantile
from bayesgmm.posterior.similarity import similarity_of_rows

if TYPE_CHECKING:
    import pandas

MOST_ROWS_PAIRED = 1000


class RowDoubt(NamedTuple):
    """What the draws say of every row.

    Attributes
    ----------
    own : (N,) share of the draws that keep the row in its cluster
    elsewhere : (N,) share of the draws that put it into no cluster of the partition
    entropy : (N,) of its membership, elsewhere included, in bits
    second : (N,) the most probable other cluster, -1 where no draw has the row in one
    second_share : (N,) share of the draws that put it there
    """

    own: Float64[np.ndarray, " N"]
    elsewhere: Float64[np.ndarray, " N"]
    entropy: Float64[np.ndarray, " N"]
    second: Int[np.ndarray, " N"]
    second_share: Float64[np.ndarray, " N"]


class ClusterDoubt(NamedTuple):
    """What the draws say of every cluster of the partition, arrays (K,).

    Attributes
    ----------
    sizes : rows
    lower, upper : equal-tailed interval of the size of its match, 0 in draws that have none; a compromise between
        draws may itself be larger or smaller than any match
    present : share of the draws that have a match
    stability : mean over draws of its Jaccard similarity with its match, 0 without one (Hennig 2007)
    cohesion : mean probability that two of its rows belong together, nan for a single row
    separation : one minus the mean probability that a row of it and one of the nearest other cluster belong together
    """

    sizes: Int[np.ndarray, " K"]
    lower: Float64[np.ndarray, " K"]
    upper: Float64[np.ndarray, " K"]
    present: Float64[np.ndarray, " K"]
    stability: Float64[np.ndarray, " K"]
    cohesion: Float64[np.ndarray, " K"]
    separation: Float64[np.ndarray, " K"]

    def to_frame(self) -> pandas.DataFrame:
        """The same as a table, a cluster a row."""
        import pandas

        return pandas.DataFrame(self._asdict()).rename_axis("cluster")


def memberships(
    draws: LabelDraws, matching: csr_matrix
) -> Iterator[tuple[Int[np.ndarray, " n"], csr_matrix]]:
    """Share (n, K) of the draws that put each row into each cluster, in blocks with their rows (n,)."""
    for rows in draws.row_blocks():
        yield rows, draws.sparse(draws.codes[rows]) @ matching


def row_doubt(labels: Int[np.ndarray, " N"], draws: LabelDraws, matching: csr_matrix) -> RowDoubt:
    """Own share, share elsewhere, entropy and second-best cluster of every row."""
    own, elsewhere, entropy, second_share = np.zeros((4, len(labels)))
    second = np.full(len(labels), -1)
    for rows, share in memberships(draws, matching):
        share.data = np.clip(share.data, 0.0, 1.0)
        at = np.repeat(np.arange(len(rows)), np.diff(share.indptr))
        elsewhere[rows] = np.clip(1.0 - np.bincount(at, share.data, len(rows)), 0.0, 1.0)
        terms = np.bincount(at, xlogy(share.data, share.data), len(rows))
        entropy[rows] = -(terms + xlogy(elsewhere[rows], elsewhere[rows])) / np.log(2.0)
        mine = share.indices == labels[rows][at]
        own[rows[at[mine]]] = share.data[mine]
        share.data[mine] = 0.0
        second_share[rows] = share.max(axis=1).toarray().ravel()
        second[rows] = np.where(second_share[rows] > 1e-12, np.asarray(share.argmax(axis=1)).ravel(), -1)
    elsewhere[elsewhere < 1e-12] = 0.0
    return RowDoubt(own, elsewhere, np.maximum(entropy, 0.0), second, second_share)


def cluster_doubt(table: csr_matrix, draws: LabelDraws, matching: csr_matrix, level: float) -> ClusterDoubt:
    """Size interval, stability, cohesion and separation of every cluster, from the table (R, K)."""
    sizes = np.asarray(table.sum(axis=0)).ravel() // len(draws.weights)
    matches = matching.tocoo()
    drawn, ours = matches.row, matches.col
    weight = matches.data * draws.cluster_weights[drawn]
    shared, size = np.asarray(table[drawn, ours]).ravel(), draws.cluster_sizes[drawn]
    jaccard = shared / (sizes[ours] + size - shared)
    present, stability = (np.bincount(ours, w, len(sizes)) for w in (weight, weight * jaccard))
    lower, upper = _intervals(ours, size, weight, present, level)
    cohesion, separation = _together(table, draws, sizes)
    return ClusterDoubt(sizes, lower, upper, np.minimum(present, 1.0), stability, cohesion, separation)


def _intervals(
    ours: Int[np.ndarray, " m"],
    size: Int[np.ndarray, " m"],
    weight: Float64[np.ndarray, " m"],
    present: Float64[np.ndarray, " K"],
    level: float,
) -> Float64[np.ndarray, "2 K"]:
    """Quantiles (2, K) of the size of each cluster's match, which is 0 with the probability that there is none."""
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    order = np.argsort(ours, kind="stable")
    bounds = np.searchsorted(ours[order], np.arange(len(present) + 1))
    out = np.empty((2, len(present)))
    for k in range(len(present)):
        of = order[bounds[k] : bounds[k + 1]]
        masses = np.append(weight[of], max(0.0, 1.0 - present[k]))
        out[:, k] = weighted_quantile(np.append(size[of], 0), masses, tails)
    return out


def _together(
    table: csr_matrix, draws: LabelDraws, sizes: Int[np.ndarray, " K"]
) -> tuple[Float64[np.ndarray, " K"], Float64[np.ndarray, " K"]]:
    """Cohesion and separation (K,), from the expected number of pairs of rows that each two clusters share."""
    pairs = (scipy.sparse.diags(draws.cluster_weights) @ table).T.tocsr() @ table.astype(float)
    within = np.maximum(pairs.diagonal() - sizes, 0.0)
    possible = sizes * (sizes - 1.0)
    cohesion = np.where(possible > 0, np.minimum(within / np.maximum(possible, 1.0), 1.0), np.nan)
    between = pairs.tocoo()
    apart = between.row != between.col
    i, j = between.row[apart], between.col[apart]
    nearest = np.zeros(len(sizes))
    np.maximum.at(nearest, i, between.data[apart] / (sizes[i] * sizes[j]))
    return cohesion, np.clip(1.0 - nearest, 0.0, 1.0)


def doubtful_pairs(
    draws: LabelDraws, entropy: Float64[np.ndarray, " N"], most: int = 10
) -> list[tuple[int, int, float]]:
    """The pairs of rows whose probability of belonging together is nearest to a half, among the most uncertain rows."""
    if draws.n_rows < 2:
        return []
    rows = np.sort(np.argsort(-entropy, kind="stable")[:MOST_ROWS_PAIRED])
    table = similarity_of_rows(draws, rows)
    i, j = np.triu_indices(len(rows), 1)
    probability = table[i, j]
    best = np.argsort(np.abs(probability - 0.5), kind="stable")[:most]
    return [(int(rows[i[p]]), int(rows[j[p]]), float(probability[p])) for p in best if 0 < probability[p] < 1]
