"""``partition``: from draws of allocations to one partition one can print, and how sure we are of it."""

from __future__ import annotations

import dataclasses
import json
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix

from bayesgmm.posterior.allocations import draw_allocations, is_fit
from bayesgmm.posterior.ball import Ball, check_level, credible_ball
from bayesgmm.posterior.doubt import (
    ClusterDoubt,
    RowDoubt,
    cluster_doubt,
    doubtful_pairs,
    memberships,
    row_doubt,
)
from bayesgmm.posterior.label_draws import LabelDraws, as_label_draws, freeze
from bayesgmm.posterior.losses import Loss, get_loss
from bayesgmm.posterior.matching import match_clusters
from bayesgmm.posterior.partition_record import partition_record
from bayesgmm.posterior.partition_warnings import partition_warnings
from bayesgmm.posterior.partition_words import (
    in_doubt,
    partition_markdown,
    partition_text,
    set_apart,
)
from bayesgmm.posterior.point import find_point
from bayesgmm.posterior.representatives import Representatives, find_representatives
from bayesgmm.posterior.similarity import similarity
from bayesgmm.random_state import as_seed

if TYPE_CHECKING:
    import pandas


@dataclasses.dataclass(frozen=True, repr=False, eq=False)
class Partition:
    """The partition of least expected loss, and the posterior around it.

    Attributes
    ----------
    labels : (N,) cluster of every row, numbered from 0 by decreasing size
    loss : what was minimised, with its unit
    expected_loss : its mean over the draws, exact
    n_hits, n_starts : searches that ended at this loss, and all that were made
    max_clusters : the bound on the number of clusters, None if free
    draws : the distinct label draws (S, N) and their probabilities
    level : of the credible ball and of the clusters' size intervals
    source : the fit that the draws came from, None for label draws
    seed : of the search
    """

    labels: Int[np.ndarray, " N"]
    loss: Loss
    expected_loss: float
    n_hits: int
    n_starts: int
    max_clusters: int | None
    draws: LabelDraws
    level: float
    source: Any
    seed: int

    def __post_init__(self) -> None:
        freeze(self.labels)

    @property
    def n_rows(self) -> int:
        """N."""
        return len(self.labels)

    @property
    def n_clusters(self) -> int:
        """Clusters of this partition; :attr:`n_clusters_posterior` says how many the draws have."""
        return int(self.labels.max()) + 1

    @property
    def sizes(self) -> Int[np.ndarray, " K"]:
        """Rows of every cluster (K,), largest first."""
        return np.bincount(self.labels)

    @cached_property
    def n_clusters_posterior(self) -> pandas.Series:
        """Probability of every number of clusters K+ in the draws, a pandas Series by K+."""
        import pandas

        counts = np.bincount(self.draws.n_clusters, weights=self.draws.weights)[1:]
        index = pandas.RangeIndex(1, len(counts) + 1, name="n_clusters")
        return pandas.Series(counts, index=index, name="probability")

    @property
    def n_clusters_prior(self) -> pandas.Series | None:
        """The same before the data, by the prior of the model; None for label draws and EM fits, which have none."""
        table = getattr(self.source, "n_clusters_table", None)
        return None if table is None else table["prior"]

    @cached_property
    def similarity(self) -> Float[np.ndarray, "N N"]:
        """Probability (N, N) that two rows belong together, computed when first asked for, up to 20000 rows.

        From a fit the exact co-clustering probabilities given its parameters, from label draws their share.
        """
        table = similarity(self.draws if self.source is None else self.source)
        freeze(table)
        return table

    @cached_property
    def ball(self) -> Ball:
        """The credible ball around the partition (Wade & Ghahramani 2018)."""
        return credible_ball(self.labels, self.draws, level=self.level, loss=self.loss)

    @cached_property
    def representatives(self) -> Representatives:
        """This partition alone where it speaks for the posterior, else several with their weights."""
        return find_representatives(
            self.draws, self.labels, self.loss, max_clusters=self.max_clusters, random_state=self.seed
        )

    @cached_property
    def _matching(self) -> tuple[csr_matrix, csr_matrix]:
        table = self.draws.cells(self.labels)
        return table, match_clusters(self.draws, table)

    @cached_property
    def membership(self) -> Float[np.ndarray, "N K"]:
        """Share (N, K) of the draws that put each row into each cluster; the rest of a row is elsewhere."""
        blocks = memberships(self.draws, self._matching[1])
        table = np.clip(np.concatenate([share.toarray() for _, share in blocks]), 0.0, 1.0)
        freeze(table)
        return table

    @cached_property
    def rows(self) -> RowDoubt:
        """Of every row: shares of its own cluster and of none, entropy and second-best cluster."""
        found = row_doubt(self.labels, self.draws, self._matching[1])
        freeze(*found)
        return found

    @cached_property
    def clusters(self) -> ClusterDoubt:
        """Of every cluster: size interval, presence, stability, cohesion and separation."""
        found = cluster_doubt(self._matching[0], self.draws, self._matching[1], self.level)
        freeze(*found)
        return found

    @cached_property
    def pairs_in_doubt(self) -> list[tuple[int, int, float]]:
        """The ten pairs of rows whose probability of belonging together is nearest to a half, with it."""
        return doubtful_pairs(self.draws, self.rows.entropy)

    @property
    def rows_in_doubt(self) -> Int[np.ndarray, " n"]:
        """Rows that less than 80 % of the draws put into one cluster, the most doubtful first."""
        return in_doubt(self.rows)

    @property
    def rows_set_apart(self) -> Int[np.ndarray, " n"]:
        """Rows that 80 % of the draws put into a cluster which the partition merged with another."""
        return set_apart(self.rows)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know, in words."""
        return partition_warnings(self)

    def to_frame(self) -> pandas.DataFrame:
        """Every row's cluster, the probability of it, its second-best cluster, and its entropy."""
        import pandas

        second = pandas.array(np.where(self.rows.second < 0, 0, self.rows.second), dtype="Int64")
        second[self.rows.second < 0] = pandas.NA
        columns = {
            "cluster": self.labels,
            "probability": self.rows.own,
            "second_cluster": second,
            "second_probability": self.rows.second_share,
            "elsewhere_probability": self.rows.elsewhere,
            "entropy_bits": self.rows.entropy,
        }
        return pandas.DataFrame(columns, index=pandas.RangeIndex(self.n_rows, name="row"))

    def to_json(self, path: str | PathLike[str] | None = None) -> str:
        """Everything told of it as JSON: rows, clusters, ball, words; written to a file if a path is given."""
        text = json.dumps(partition_record(self), indent=1, allow_nan=False) + "\n"
        if path is not None:
            Path(path).write_text(text, encoding="utf-8")
        return text

    def to_markdown(self) -> str:
        """The print as Markdown: the table of clusters, then a line for each sentence and each warning."""
        return partition_markdown(self)

    def __repr__(self) -> str:
        return partition_text(self)


def check_partition(candidate: Any) -> Partition:
    """The partition itself; ``TypeError`` for anything else, saying how to get one."""
    if not isinstance(candidate, Partition):
        raise TypeError(
            "Expected a partition, such as bayesgmm.partition returns for a fit or for label draws (draws, rows); got "
            f"{type(candidate).__name__}."
        )
    return candidate


def partition(
    posterior_or_labels: Any,
    *,
    loss: Any = "variation_of_information",
    a: Any = 1.0,
    b: Any = 1.0,
    unit: Any = None,
    max_clusters: Any = None,
    n_starts: Any = 16,
    n_draws: Any = None,
    level: Any = 0.95,
    random_state: Any = 0,
) -> Partition:
    """The partition of least expected loss, with its uncertainty.

    Parameters
    ----------
    posterior_or_labels : a posterior; label draws (S, N) from anywhere; or an EM fit, whose rows are allocated at
        random by its responsibilities (``bayesgmm.bootstrap`` brings in the uncertainty of its parameters)
    loss : "variation_of_information", "binder", "one_minus_adjusted_rand", or a normalised form; see
        ``bayesgmm.posterior.losses.get_loss``
    a, b : prices of splitting what belongs together and of joining what does not; above 1 for ``a`` gives fewer
        clusters, for ``b`` more
    unit : "bits" (the default) or "nats", for the losses of information
    max_clusters : at most so many clusters; None leaves the search free. Binder's loss in particular likes many small
        ones, more than any draw has
    n_starts : searches from nothing; those from draws and hierarchical cuts come on top
    n_draws : allocations drawn from a fit; None takes one for every draw of its parameters (EM: 1000)
    level : of the credible ball and of the clusters' size intervals, above 0 and at most 1
    random_state : int, numpy Generator or JAX key; the same one gives the same partition

    Raises
    ------
    ValueError, TypeError
        If the draws are no label matrix, or an argument cannot be used; the message names it and the remedy.

    References
    ----------
    Wade & Ghahramani (2018), Bayesian Analysis 13:559; Dahl, Johnson & Mueller (2022), Journal of Computational
    and Graphical Statistics 31:1189.
    """
    chosen = get_loss(loss, a=a, b=b, unit=unit)
    level = check_level(level)
    seed, source = as_seed(random_state), posterior_or_labels if is_fit(posterior_or_labels) else None
    if source is None:
        if n_draws is not None:
            raise ValueError("Expected n_draws for fits only; thin label draws yourself: labels[::10].")
        draws = as_label_draws(posterior_or_labels)
    else:
        draws = as_label_draws(draw_allocations(source, n_draws, seed))
    found = find_point(draws, chosen, max_clusters=max_clusters, n_starts=n_starts, random_state=seed)
    return Partition(
        labels=found.labels,
        loss=chosen,
        expected_loss=found.expected_loss,
        n_hits=found.n_hits,
        n_starts=found.n_starts,
        max_clusters=max_clusters,
        draws=draws,
        level=level,
        source=source,
        seed=seed,
    )
