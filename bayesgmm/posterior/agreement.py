"""Partitions side by side: EM's, a posterior's, another model's, on one scale."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from bayesgmm.posterior.losses import distance, get_loss, losses_to_draws

if TYPE_CHECKING:
    import pandas


def partition_agreement(partitions: Mapping[str, Any], unit: str = "bits") -> pandas.DataFrame:
    """Every two partitions of the same rows: how alike they are, and how well each serves the other's draws.

    Parameters
    ----------
    partitions : results of ``bayesgmm.partition``, by name

    Returns
    -------
    pandas DataFrame, a row for each pair: ``adjusted_rand`` (1 the same, 0 as by chance), ``variation_of_information``
    between the two (0 the same), and the expected variation of information of each under its own and the other's
    draws (``loss_first_own``, ``loss_second_under_first``, ...; the difference is what the other partition costs).

    Raises
    ------
    ValueError
        If the partitions have different numbers of rows.
    """
    import pandas

    sizes = {name: one.n_rows for name, one in partitions.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"Expected partitions of the same rows; got {sizes} rows.")
    information = get_loss("variation_of_information", unit=unit)
    rows = {}
    for (first, one), (second, other) in combinations(partitions.items(), 2):

        def under(labels: Any, draws: Any) -> float:
            return float(np.dot(draws.weights, losses_to_draws(labels, draws, information)))

        rows[first, second] = {
            "adjusted_rand": 1.0 - distance(one.labels, other.labels, "one_minus_adjusted_rand"),
            "variation_of_information": distance(one.labels, other.labels, information),
            "loss_first_own": under(one.labels, one.draws),
            "loss_second_under_first": under(other.labels, one.draws),
            "loss_second_own": under(other.labels, other.draws),
            "loss_first_under_second": under(one.labels, other.draws),
        }
    index = pandas.MultiIndex.from_tuples(list(rows), names=["first", "second"])
    return pandas.DataFrame(list(rows.values()), index=index)
