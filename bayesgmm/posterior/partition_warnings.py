"""What a reader must know before quoting a partition."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesgmm.posterior.label_chains import disagreement
from bayesgmm.posterior.partition_words import in_percent
from bayesgmm.posterior.point import ENOUGH

DISSOLVED = 0.5  # mean Jaccard similarity below which a cluster counts as dissolved (Hennig 2007, section 3)
MANY_IN_DOUBT = 0.25


def partition_warnings(partition: Any) -> tuple[str, ...]:
    """What a reader must know before quoting the partition."""
    found = []
    if partition.draws.n_draws == 1:
        found.append("there is one draw: it cannot say how sure the partition is, whatever the figures above")
    if partition.n_hits < ENOUGH * partition.n_starts:
        found.append(
            f"only {partition.n_hits} of {partition.n_starts} searches ended at this loss: raise n_starts to see if it "
            "holds"
        )
    if partition.n_clusters == partition.max_clusters:
        found.append(
            f"the partition has all {partition.n_clusters} clusters that max_clusters allows: raise it to see"
        )
    most = int(partition.draws.n_clusters.max())
    if partition.n_clusters > most:
        found.append(
            f"the partition has {partition.n_clusters} clusters, more than any draw ({most}): where draws disagree, "
            f"{partition.loss.title} may prefer many small ones; max_clusters={most} bounds them"
        )
    weak = np.flatnonzero(partition.clusters.stability < DISSOLVED)
    if len(weak):
        names = ", ".join(map(str, weak))
        found.append(
            f"cluster{'s' * (len(weak) > 1)} {names} dissolve{'s' * (len(weak) == 1)} in the draws "
            f"(stability below {DISSOLVED:g}): do not report {'it' if len(weak) == 1 else 'them'} as found"
        )
    share = (len(partition.rows_in_doubt) + len(partition.rows_set_apart)) / partition.n_rows
    if share > MANY_IN_DOUBT:
        found.append(
            f"{in_percent(share)} of the rows are in doubt or set apart: the draws do not settle on a partition"
        )
    found += [*_of_chains(partition.source), *disagreement(partition)]
    if getattr(partition.source, "kind", None) == "EM":
        found.append(
            "the draws are EM's allocations given one set of parameters, whose own uncertainty they leave out"
        )
    return tuple(found)


def _of_chains(source: Any) -> list[str]:
    """That the draws themselves are not to be trusted: label draws and EM fits have no chains to ask."""
    report = source.diagnostics() if hasattr(source, "diagnostics") else None
    if report is None or report.ok:
        return []
    return [
        f"the draws are to be read with care, and so is all that is said of them here: {report.warnings[0]}"
    ]
