"""What a partition says of itself in words: its print, its doubtful rows, its warnings."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int

from bayesgmm.posterior.doubt import RowDoubt
from bayesgmm.tables import number, text_table

SURE = 0.8  # a row is in doubt when fewer of the draws put it into its cluster
DISSOLVED = 0.5  # mean Jaccard similarity below which a cluster counts as dissolved (Hennig 2007, section 3)
MANY_IN_DOUBT = 0.25
MOST_LISTED = 8


def in_doubt(rows: RowDoubt) -> Int[np.ndarray, " n"]:
    """Rows below 80 % in their own cluster, the most doubtful first."""
    order = np.argsort(rows.own, kind="stable")
    return order[rows.own[order] < SURE]


def partition_text(partition: Any) -> str:
    """The print of a partition."""
    warnings = [f"warning: {words}" for words in partition.warnings]
    lines = [
        _head(partition),
        text_table(*cluster_cells(partition)),
        *partition_sentences(partition),
        *warnings,
    ]
    return "\n".join(lines)


def partition_sentences(partition: Any) -> list[str]:
    """The number of clusters, the ball, the rows in doubt and the representatives, a sentence each."""
    sentences = [_counts(partition), _ball(partition), doubt_in_words(partition)]
    return [*sentences, *_others(partition)]


def _head(partition: Any) -> str:
    source = partition.source
    name = "label draws" if source is None else source.observed.name
    kind = "" if source is None else f" ({source.kind})"
    k = partition.n_clusters
    return (
        f"Partition of {name} ({partition.n_rows} rows) into {k} cluster{'s' * (k > 1)}: "
        f"expected {amount(partition, partition.expected_loss)} over {partition.draws.n_draws} draws{kind}; "
        f"{partition.n_hits} of {partition.n_starts} searches end there"
    )


def amount(partition: Any, value: float) -> str:
    """A loss with its name and unit."""
    loss = partition.loss
    prices = "" if loss.a == loss.b == 1 else f" (a = {loss.a:g}, b = {loss.b:g})"
    return f"{loss.title}{prices} {number(value)} {loss.unit}".rstrip()


def cluster_cells(partition: Any) -> tuple[list[str], list[list[str]]]:
    """Header and rows, as text, of the table of clusters."""
    clusters = partition.clusters
    percent = f"{100 * partition.level:g} %"
    header = ["cluster", "rows", f"rows, {percent}", "present", "stability", "cohesion", "separation"]
    rows = [
        [
            str(k),
            str(clusters.sizes[k]),
            f"{clusters.lower[k]:.0f}-{clusters.upper[k]:.0f}",
            _share(clusters.present[k]),
            f"{clusters.stability[k]:.3f}",
            "-" if np.isnan(clusters.cohesion[k]) else f"{clusters.cohesion[k]:.3f}",
            f"{clusters.separation[k]:.3f}",
        ]
        for k in range(partition.n_clusters)
    ]
    return header, rows


def _counts(partition: Any) -> str:
    posterior = partition.n_clusters_posterior
    likely = posterior.sort_values(ascending=False, kind="stable")
    shown = [f"{k} ({_share(p)})" for k, p in likely.items() if p >= 0.005][:5]
    return f"number of clusters in the draws: {', '.join(shown)}"


def _ball(partition: Any) -> str:
    ball = partition.ball
    unit = f" {ball.loss.unit}".rstrip()

    def told(bound: Any) -> str:
        return f"{bound.n_clusters} cluster{'s' * (bound.n_clusters > 1)} at {number(bound.distance, 3)}"

    return (
        f"{100 * ball.level:g} % credible ball: radius {number(ball.radius)}{unit}; on its edge a partition of "
        f"{told(ball.horizontal)}, the coarsest {told(ball.upper_vertical)}, the finest {told(ball.lower_vertical)}"
    )


def doubt_in_words(partition: Any) -> str:
    """Which rows, counted from 0, are in doubt, and between which clusters."""
    rows, doubtful = partition.rows, partition.rows_in_doubt
    if not len(doubtful):
        rare = _rare_count(partition)
        if rare:
            return rare
        return (
            f"no row is in doubt: at least {_share(rows.own.min())} of the draws agree on every row's cluster"
        )
    listed = [_row(rows, partition.labels, int(i)) for i in doubtful[:MOST_LISTED]]
    more = f" and {len(doubtful) - MOST_LISTED} more" if len(doubtful) > MOST_LISTED else ""
    one = len(doubtful) == 1
    return (
        f"{len(doubtful)} of {partition.n_rows} rows {'is' if one else 'are'} in doubt (below {_share(SURE)} in "
        f"{'its' if one else 'their'} cluster): {', '.join(listed)}{more}"
    )


def _rare_count(partition: Any) -> str:
    """Said where most draws have another number of clusters, which a row's own cluster does not show."""
    share = float(partition.n_clusters_posterior.get(partition.n_clusters, 0.0))
    if share >= 0.5:
        return ""
    k = partition.n_clusters
    return (
        f"no row changes between these clusters, but only {_share(share)} of the draws have {k} "
        f"cluster{'s' * (k > 1)}: most split or merge them, so the rows within a cluster may not belong together"
    )


def _row(rows: RowDoubt, labels: Int[np.ndarray, " N"], i: int) -> str:
    other = int(rows.second[i])
    elsewhere = f", {other}: {_share(rows.membership[i, other])}" if other >= 0 else ""
    return f"row {i} (cluster {labels[i]}: {_share(rows.own[i])}{elsewhere})"


def _others(partition: Any) -> list[str]:
    found = partition.representatives
    if len(found.weights) == 1:
        return []
    told = [
        f"{_share(w)} near one of {int(one.max()) + 1} clusters ({_sizes(one)})"
        for one, w in zip(found.labels, found.weights, strict=True)
    ]
    return [f"one partition does not speak for all draws: {'; '.join(told)}"]


def _sizes(labels: Int[np.ndarray, " N"]) -> str:
    sizes = np.bincount(labels)
    return "/".join(map(str, sizes[:6])) + ("/..." if len(sizes) > 6 else "")


def partition_warnings(partition: Any) -> tuple[str, ...]:
    """What a reader must know before quoting the partition."""
    found = []
    if partition.n_hits == 1 and partition.n_starts > 1:
        found.append(
            f"only 1 of {partition.n_starts} searches ended at this loss: raise n_starts to see if it holds"
        )
    if partition.n_clusters == partition.max_clusters:
        found.append(
            f"the partition has all {partition.n_clusters} clusters that max_clusters allows: raise it to see"
        )
    weak = np.flatnonzero(partition.clusters.stability < DISSOLVED)
    if len(weak):
        names = ", ".join(map(str, weak))
        found.append(
            f"cluster{'s' * (len(weak) > 1)} {names} dissolve{'s' * (len(weak) == 1)} in the draws "
            f"(stability below {DISSOLVED:g}): do not report {'it' if len(weak) == 1 else 'them'} as found"
        )
    share = len(partition.rows_in_doubt) / partition.n_rows
    if share > MANY_IN_DOUBT:
        found.append(f"{_share(share)} of the rows are in doubt: the draws do not settle on a partition")
    if getattr(partition.source, "kind", None) == "EM":
        found.append(
            "the draws are EM's allocations given one set of parameters, whose own uncertainty they leave out"
        )
    return tuple(found)


def _share(value: float) -> str:
    percent = 100.0 * float(value)
    return "over 99.9 %" if 99.9 < percent < 100 - 1e-9 else f"{percent:.3g} %"
