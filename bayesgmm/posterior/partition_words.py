"""What a partition says of itself in words: its print, and its doubtful rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int

from bayesgmm.posterior.doubt import RowDoubt
from bayesgmm.posterior.losses import distance, expected_loss
from bayesgmm.tables import markdown_table, number, text_table

SURE = 0.8  # a row is in doubt when no component, or its cluster, has this probability
MOST_LISTED = 8
MOST_PAIRS = 3
EVEN = 0.3  # from a half, up to which a pair counts as in doubt
LEAST_TOLD = 0.005  # a smaller share of the draws is not named


def in_doubt(rows: RowDoubt) -> Int[np.ndarray, " n"]:
    """Rows that have 80 % neither in their own cluster nor elsewhere, those of the largest entropy first."""
    order = np.argsort(-rows.entropy, kind="stable")
    return order[np.maximum(rows.own, rows.elsewhere)[order] < SURE]


def set_apart(rows: RowDoubt) -> Int[np.ndarray, " n"]:
    """Rows that 80 % of the draws put into a cluster which the partition does not have: it merged that with another."""
    return np.flatnonzero(rows.elsewhere >= SURE)


def partition_text(partition: Any) -> str:
    """The print of a partition."""
    warnings = [f"warning: {words}" for words in partition.warnings]
    lines = [
        head(partition),
        text_table(*cluster_cells(partition)),
        *partition_sentences(partition),
        *warnings,
    ]
    return "\n".join(lines)


def partition_markdown(partition: Any) -> str:
    """The same as Markdown."""
    notes = [f"- {text}" for text in partition_sentences(partition)]
    notes += [f"- **warning** {text}" for text in partition.warnings]
    return "\n".join([f"{head(partition)}.", "", markdown_table(*cluster_cells(partition)), "", *notes, ""])


def partition_sentences(partition: Any) -> list[str]:
    """The number of clusters, the ball, the rows in doubt, the representatives and EM's partition, a sentence each."""
    sentences = [_counts(partition), _ball(partition), doubt_in_words(partition)]
    return [*sentences, *_apart(partition), *_pairs(partition), *_others(partition), *_start(partition)]


def head(partition: Any) -> str:
    """How many clusters at which expected loss, of what, and how many searches agree."""
    source = partition.source
    name = "label draws" if source is None else source.observed.name
    kind = "" if source is None else f" ({source.kind})"
    return (
        f"Partition of {name} ({_counted(partition.n_rows, 'row')}) into {_clusters(partition.n_clusters)}: expected "
        f"{amount(partition, partition.expected_loss)} over {_counted(partition.draws.n_draws, 'draw')}{kind}; "
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
    header = [
        "cluster",
        "rows",
        f"rows in draws, {percent}",
        "present",
        "stability",
        "cohesion",
        "separation",
    ]
    rows = [
        [
            str(k),
            str(clusters.sizes[k]),
            f"{clusters.lower[k]:.0f}-{clusters.upper[k]:.0f}",
            in_percent(clusters.present[k]),
            f"{clusters.stability[k]:.3f}",
            "-" if np.isnan(clusters.cohesion[k]) else f"{clusters.cohesion[k]:.3f}",
            f"{clusters.separation[k]:.3f}",
        ]
        for k in range(partition.n_clusters)
    ]
    return header, rows


def _counts(partition: Any) -> str:
    told = f"number of clusters in the draws: {_likeliest(partition.n_clusters_posterior)}"
    prior = partition.n_clusters_prior
    before = "" if prior is None else f"; before the data: {_likeliest(prior)}"
    return f"{told}{before}{_other_number(partition)}"


def _other_number(partition: Any) -> str:
    """Said where most draws have more, or fewer, clusters than the partition: a compromise need not look like any."""
    k, drawn = partition.n_clusters, partition.n_clusters_posterior
    if drawn[drawn.index > k].sum() > 0.5:
        return f"; most draws have more than the {k} here, where rows stay together that draws divide in different ways"
    if drawn[drawn.index < k].sum() > 0.5:
        return f"; most draws have fewer than the {k} here, where rows stay apart that draws join in different ways"
    return ""


def _likeliest(probability: Any) -> str:
    likely = probability.sort_values(ascending=False, kind="stable")
    return ", ".join([f"{k} ({in_percent(p)})" for k, p in likely.items() if p >= 0.005][:5])


def _ball(partition: Any) -> str:
    ball = partition.ball
    unit = f" {ball.loss.unit}".rstrip()
    scale = "" if ball.loss == partition.loss else "; distances are in the loss with equal prices"

    def told(bound: Any) -> str:
        same = np.array_equal(bound.labels, ball.horizontal.labels) and bound is not ball.horizontal
        moved = f"{_counted(bound.n_moved, 'row')} moved"
        return (
            "is the same"
            if same
            else f"has {_clusters(bound.n_clusters)} at {number(bound.distance, 3)} ({moved})"
        )

    return (
        f"{100 * ball.level:g} % credible ball: radius {number(ball.radius)}{unit} (half of the draws lie within "
        f"{number(float(ball.quantile(0.5)))}{scale}); in it the farthest partition {told(ball.horizontal)}, "
        f"the coarsest {told(ball.upper_vertical)}, the finest {told(ball.lower_vertical)}"
    )


def doubt_in_words(partition: Any) -> str:
    """Which rows, counted from 0, are in doubt, and between which clusters."""
    rows, doubtful = partition.rows, partition.rows_in_doubt
    if not len(doubtful) and len(partition.rows_set_apart):
        return "no row is in doubt but those that draws set apart"
    if not len(doubtful):
        least = float(rows.own.min())
        share = "every draw" if least > 1.0 - 1e-12 else f"at least {in_percent(least)} of the draws"
        return f"no row is in doubt: every row stays in its cluster in {share}"
    listed = [_row(rows, partition.labels, int(i)) for i in doubtful[:MOST_LISTED]]
    more = f" and {len(doubtful) - MOST_LISTED} more" if len(doubtful) > MOST_LISTED else ""
    explained = "; elsewhere means in a cluster that matches none of these" * any(
        "elsewhere" in row for row in listed
    )
    one = len(doubtful) == 1
    return (
        f"{len(doubtful)} of {partition.n_rows} rows {'is' if one else 'are'} in doubt (no cluster has "
        f"{in_percent(SURE)} of {'its' if one else 'their'} draws), the most doubtful first: "
        f"{', '.join(listed)}{more}{explained}"
    )


def _apart(partition: Any) -> list[str]:
    rows = partition.rows_set_apart
    if not len(rows):
        return []
    listed = ", ".join(map(str, rows[:MOST_LISTED].tolist()))
    more = f" and {len(rows) - MOST_LISTED} more" if len(rows) > MOST_LISTED else ""
    verb, them = ("is", "it") if len(rows) == 1 else ("are", "them")
    return [
        f"{_counted(len(rows), 'row')} ({listed}{more}) {verb} set apart in at least "
        f"{in_percent(SURE)} of the draws, from the cluster that the partition gives {them}: "
        "one partition cannot follow draws that divide in different ways"
    ]


def _pairs(partition: Any) -> list[str]:
    """The pairs of rows nearest to an even chance, where there is one at all."""
    listed = [
        f"{i} and {j} ({in_percent(together)})"
        for i, j, together in partition.pairs_in_doubt[:MOST_PAIRS]
        if abs(together - 0.5) < EVEN
    ]
    return [
        f"pairs of rows most in doubt, with the probability that they belong together: {', '.join(listed)}"
    ] * bool(listed)


def _row(rows: RowDoubt, labels: Int[np.ndarray, " N"], i: int) -> str:
    told = [f"cluster {labels[i]}: {in_percent(rows.own[i])}"]
    rest = 1.0 - rows.own[i] - rows.second_share[i] - rows.elsewhere[i]
    others = [(rows.second_share[i], str(rows.second[i])), (rows.elsewhere[i], "elsewhere"), (rest, "others")]
    told += [
        f"{name}: {in_percent(share)}" for share, name in sorted(others, reverse=True) if share >= LEAST_TOLD
    ]
    return f"row {i} ({', '.join(told)})"


def _others(partition: Any) -> list[str]:
    found = partition.representatives
    if len(found.weights) == 1:
        return []
    unit = f" {partition.loss.unit}".rstrip()
    told = [
        f"{_clusters(int(one.max()) + 1)} ({_sizes(one)}) for {in_percent(weight)} of the draws, which lie "
        f"{number(mean, 3)}{unit} from it on average"
        for one, weight, mean in zip(found.labels, found.weights, found.expected_losses, strict=True)
    ]
    between = found.distances[np.triu_indices(len(told), 1)]
    spread = [number(value, 3) for value in (between.min(), between.max())]
    apart = spread[0] if spread[0] == spread[1] else f"{spread[0]} to {spread[1]}"
    return [
        f"one partition does not speak for all draws; {len(told)} together do, each for the draws nearest to it: "
        f"{'; '.join(told)}; they lie {apart}{unit} apart"
    ]


def _start(partition: Any) -> list[str]:
    """How the partition by the EM fit that a posterior began from compares, on the same scale."""
    start = getattr(partition.source, "start", None)
    if start is None or start.kind != "EM":
        return []
    labels = start.predict()
    mode = start.engine.objective == "posterior"
    began = f"the {'posterior mode' if mode else 'EM fit'} that the chains began from"
    alike = 1.0 - distance(partition.labels, labels, "one_minus_adjusted_rand")
    apart = distance(partition.labels, labels, partition.loss.symmetric)
    expected = expected_loss(labels, partition.draws, partition.loss)
    unit = f" {partition.loss.unit}".rstrip()
    return [
        f"the partition of {began}, rows in their likeliest components: adjusted Rand index {alike:.3f} with this one, "
        f"{number(apart)}{unit} away, expected loss {number(expected)}{unit} over the same draws"
    ]


def _clusters(k: int) -> str:
    return _counted(k, "cluster")


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}{'s' * (n != 1)}"


def _sizes(labels: Int[np.ndarray, " N"]) -> str:
    sizes = np.bincount(labels)
    return f"{'/'.join(map(str, sizes[:6]))}{'/...' * (len(sizes) > 6)} rows"


def in_percent(value: float) -> str:
    """A share as text, never rounded up to certainty."""
    percent = 100.0 * float(value)
    return "over 99.9 %" if 99.9 < percent < 100 - 1e-9 else f"{percent:.3g} %"
