"""Which cluster of a draw answers to which cluster of a partition: one to one, as many rows as possible kept.

The best matching (Kuhn 1955) keeps N less the transfer distance of the two partitions (Almudevar & Field 1999;
Gusfield 2002): the fewest rows that must move to make one of the other. Clusters that find no partner stay without,
so a draw that splits or adds clusters shows as rows that are elsewhere. Several matchings may be equally good; which
of them a solver returns depends on the order of the rows. Their average of greatest entropy does not, and is taken.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse
from jaxtyping import Bool, Float64, Int
from scipy.optimize import linear_sum_assignment
from scipy.sparse.csgraph import connected_components

from bayesgmm.posterior.label_draws import LabelDraws

MOST_ROUNDS = 50  # of settling cells that no matching can do without
BALANCED = 1e-13
MOST_BALANCING = 10_000

Cells = Int[
    np.ndarray, " n"
]  # numbers of cells that hold rows, or what is known of each: its cluster, its count


def match_clusters(draws: LabelDraws, table: scipy.sparse.csr_matrix) -> scipy.sparse.csr_matrix:
    """Share (R, K) in which each (draw, cluster) is matched to each cluster of a partition, from its table (R, K).

    1 or 0 where a draw has one best matching. Rows, and the columns of every draw, sum to at most one.
    """
    cells = table.tocoo()
    count, drawn = cells.data.astype(np.int64), cells.row.astype(np.int64)
    key = draws.draw_of_cluster[drawn] * np.int64(table.shape[1]) + cells.col
    ours = np.unique(key, return_inverse=True)[1]
    share = np.zeros(len(count))
    left = _settle(drawn, ours, count, np.arange(len(count)), share)
    left, *of_draws = _largest_leaves(drawn, ours, count, left)
    left, *of_ours = _largest_leaves(ours, drawn, count, left)
    left = _settle(drawn, ours, count, left, share)
    if len(left):
        share[left] = _among(drawn[left], ours[left], count[left])
    for equal, stands_for in (of_ours, of_draws):
        share[equal] = share[stands_for] / np.bincount(stands_for)[stands_for]
    kept = share > 0
    return scipy.sparse.csr_matrix((share[kept], (cells.row[kept], cells.col[kept])), shape=table.shape)


def _settle(
    drawn: Cells,
    ours: Cells,
    count: Cells,
    left: Int[np.ndarray, " m"],
    share: Float64[np.ndarray, " n"],
) -> Int[np.ndarray, " l"]:
    """Match what every best matching matches, and return the cells (l,) that are left.

    A cell that holds more than the largest other ones of its row and of its column together is in all of them: to
    leave it out frees two partners, who cannot make up for it.
    """
    for _ in range(MOST_ROUNDS):
        i, j, n = drawn[left], ours[left], count[left]
        sure = n > _largest_other(i, n) + _largest_other(j, n)
        share[left[sure]] = 1.0
        left = left[~(np.isin(i, i[sure]) | np.isin(j, j[sure]))]
        if not (sure.any() and len(left)):
            break
    return left


def _largest_leaves(
    side: Cells, other: Cells, count: Cells, left: Int[np.ndarray, " m"]
) -> tuple[Int[np.ndarray, " l"], Int[np.ndarray, " e"], Int[np.ndarray, " e"]]:
    """Cells without the clusters of one side that lie within one of the other, but for the largest in each.

    Only the largest can be matched. Equally large ones have the same part in it, so one stands for all: they are
    returned too, each with the cell that stands for it.
    """
    i, j, n = side[left], other[left], count[left]
    _, inverse, degree = np.unique(i, return_inverse=True, return_counts=True)
    leaf = np.flatnonzero(degree[inverse] == 1)
    order = leaf[np.lexsort((-n[leaf], j[leaf]))]
    first = np.flatnonzero(np.diff(j[order], prepend=-1) != 0)
    of = order[np.repeat(first, np.diff(first, append=len(order)))]  # the largest leaf beside each
    equal = n[order] == n[of]
    kept = np.ones(len(left), bool)
    kept[order] = order == of
    return left[kept], left[order[equal]], left[of[equal]]


def _largest_other(group: Cells, count: Cells) -> Cells:
    """The largest count of the other cells in the same group, 0 where there are none."""
    if not len(count):
        return count
    order = np.lexsort((count, group))
    last = np.flatnonzero(np.append(np.diff(group[order]) != 0, True))
    first = np.append(0, last[:-1] + 1)
    out = np.empty_like(count)
    out[order] = np.repeat(count[order[last]], last - first + 1)
    out[order[last]] = np.where(last > first, count[order[last - 1]], 0)
    return out


def _among(drawn: Cells, ours: Cells, count: Cells) -> Float64[np.ndarray, " n"]:
    """Shares (n,) of cells in the best matchings, each connected group of clusters by itself."""
    i, j = (np.unique(side, return_inverse=True)[1] for side in (drawn, ours))
    n_drawn, n_nodes = i.max() + 1, i.max() + j.max() + 2
    graph = scipy.sparse.coo_matrix((np.ones(len(i)), (i, n_drawn + j)), shape=(n_nodes, n_nodes))
    group = connected_components(graph, directed=False)[1][i]
    order = np.argsort(group, kind="stable")
    share = np.empty(len(count))
    for cells in np.split(order, np.flatnonzero(np.diff(group[order])) + 1):
        share[cells] = _best(i[cells], j[cells], count[cells])
    return share


def _best(i: Cells, j: Cells, count: Cells) -> Float64[np.ndarray, " n"]:
    """Shares (n,) of the cells of one connected group in its best matchings."""
    i, j = (np.unique(side, return_inverse=True)[1] for side in (i, j))
    size = max(i.max(), j.max()) + 1
    value = np.zeros((size, size), np.int64)
    value[i, j] = count
    return _average(value)[i, j]


def _average(value: Int[np.ndarray, "n n"]) -> Float64[np.ndarray, "n n"]:
    """The average (n, n) of the assignments of largest value, of greatest entropy among all averages."""
    chosen = linear_sum_assignment(value, maximize=True)[1]
    tied = _tied(value, chosen)
    out = tied.astype(float)
    if out.sum() > len(out):
        for _ in range(
            MOST_BALANCING
        ):  # Sinkhorn & Knopp 1967: every cell is in an assignment, so it converges
            out /= out.sum(axis=1, keepdims=True)
            out /= out.sum(axis=0)
            if np.abs(out.sum(axis=1) - 1.0).max() < BALANCED:
                break
    return out


def _tied(value: Int[np.ndarray, "n n"], chosen: Int[np.ndarray, " n"]) -> Bool[np.ndarray, "n n"]:
    """Cells (n, n) that are in some assignment of largest value, given one of them.

    ``loss[a, b]`` is what a loses by taking b's place. Another assignment is as good exactly where these losses
    sum to zero around a ring; with prices (Bellman & Ford) no loss is negative, and such rings are made of zeros.
    """
    own = np.take_along_axis(value, chosen[:, None], axis=1)
    loss = own - value[:, chosen]
    price = np.zeros(len(value), np.int64)
    while True:
        lower = np.minimum(price, (price[:, None] + loss).min(axis=0))
        if np.array_equal(lower, price):
            break
        price = lower
    free = price[:, None] + loss == price
    ring = connected_components(scipy.sparse.csr_matrix(free), connection="strong")[1]
    out = np.zeros(value.shape, bool)
    out[:, chosen] = free & (ring[:, None] == ring)
    return out
