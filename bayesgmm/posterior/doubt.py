"""Where the doubt about a partition lies: its rows, its pairs of rows, its clusters.

Every draw's clusters are matched to the point's: one to one by linear assignment of the rows they share (Kuhn
1955), those left over to the cluster of which they hold most. What a row's draws say is then counted.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int
from scipy.optimize import linear_sum_assignment
from scipy.special import xlogy

from bayesgmm.posterior.label_draws import LabelDraws, weighted_quantile
from bayesgmm.posterior.similarity import similarity_of_rows

MOST_ROWS_PAIRED = 1000


class Matching(NamedTuple):
    """For each (draw, cluster), numbered through: the point's cluster, and whether it is matched one to one."""

    cluster: Int[np.ndarray, " R"]
    alone: Bool[np.ndarray, " R"]


class RowDoubt(NamedTuple):
    """What the draws say of every row.

    membership : (N, K) share of the draws that put the row into each of the point's clusters
    own : (N,) share for the row's own cluster
    entropy : (N,) of the membership, in bits
    second : (N,) the most probable other cluster, -1 where no draw has the row elsewhere
    """

    membership: Float64[np.ndarray, "N K"]
    own: Float64[np.ndarray, " N"]
    entropy: Float64[np.ndarray, " N"]
    second: Int[np.ndarray, " N"]


class ClusterDoubt(NamedTuple):
    """What the draws say of every cluster of the point, arrays (K,).

    sizes : rows
    lower, upper : equal-tailed interval of the size of its match, 0 in draws that have none
    present : share of the draws that have a match
    stability : mean over draws of its Jaccard similarity with its match (Hennig 2007)
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


def match_clusters(draws: LabelDraws, counts: Int[np.ndarray, "R K"]) -> Matching:
    """Match every draw's clusters to those of a partition, given its tables (R, K)."""
    cluster = counts.argmax(axis=1)
    alone = np.zeros(len(counts), bool)
    for begin, n in zip(draws.offsets, draws.n_clusters, strict=True):
        table = counts[begin : begin + n]
        drawn, ours = linear_sum_assignment(table, maximize=True)
        shares = table[drawn, ours] > 0
        cluster[begin + drawn[shares]] = ours[shares]
        alone[begin + drawn[shares]] = True
    return Matching(cluster, alone)


def row_doubt(labels: Int[np.ndarray, " N"], draws: LabelDraws, matching: Matching) -> RowDoubt:
    """Membership, entropy and second-best cluster of every row."""
    k = int(labels.max()) + 1
    indicator = np.zeros((len(matching.cluster), k))
    indicator[np.arange(len(indicator)), matching.cluster] = 1.0
    membership = np.concatenate([draws.sparse(draws.codes[rows]) @ indicator for rows in draws.row_blocks()])
    membership = np.clip(membership, 0.0, 1.0)
    each = np.arange(len(labels))
    others = membership.copy()
    others[each, labels] = 0.0
    second = np.where(others.max(axis=1) > 1e-12, others.argmax(axis=1), -1)
    entropy = -xlogy(membership, membership).sum(axis=1) / np.log(2.0)
    return RowDoubt(membership, membership[each, labels], np.maximum(entropy, 0.0), second)


def cluster_doubt(
    counts: Int[np.ndarray, "R K"], draws: LabelDraws, matching: Matching, level: float
) -> ClusterDoubt:
    """Size interval, stability, cohesion and separation of every cluster, from the tables (R, K)."""
    sizes = counts.sum(axis=0) // len(draws.weights)
    drawn, at = matched_sizes(draws, matching, counts.shape[1])
    shared = np.where(at >= 0, np.take_along_axis(counts, np.maximum(at, 0), axis=0), 0)
    jaccard = shared / (sizes + drawn - shared)
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    lower, upper = np.stack([weighted_quantile(column, draws.weights, tails) for column in drawn.T], axis=1)
    together = (counts * draws.cluster_weights[:, None]).T @ counts.astype(float)
    within = np.diagonal(together) - sizes
    pairs = sizes * (sizes - 1.0)
    cohesion = np.where(pairs > 0, within / np.maximum(pairs, 1.0), np.nan)
    between = together / np.outer(sizes, sizes)
    np.fill_diagonal(between, 0.0)
    separation = np.clip(1.0 - between.max(axis=1), 0.0, 1.0)
    weights = draws.weights
    return ClusterDoubt(
        sizes, lower, upper, weights @ (drawn > 0), weights @ jaccard, np.minimum(cohesion, 1.0), separation
    )


def matched_sizes(
    draws: LabelDraws, matching: Matching, k: int
) -> tuple[Int[np.ndarray, "S K"], Int[np.ndarray, "S K"]]:
    """Size (S, K) of each cluster's one-to-one match in every draw, and its number among all, -1 where none is."""
    at = np.full((len(draws.weights), k), -1)
    draw = np.repeat(np.arange(len(draws.weights)), draws.n_clusters)
    ours = np.flatnonzero(matching.alone)
    at[draw[ours], matching.cluster[ours]] = ours
    return np.where(at >= 0, draws.cluster_sizes[np.maximum(at, 0)], 0), at


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
