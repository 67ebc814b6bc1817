"""Partitions side by side: EM's, a posterior's, another model's, on one scale."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

from bayesgmm.posterior.losses import distance, expected_loss, get_loss
from bayesgmm.posterior.partition import Partition

if TYPE_CHECKING:
    import pandas


def partition_agreement(partitions: Any, unit: Any = "bits") -> pandas.DataFrame:
    """Every two partitions of the same rows: how alike they are, and how well each serves the other's draws.

    Parameters
    ----------
    partitions : mapping of at least two results of ``bayesgmm.partition`` by name
    unit : "bits" or "nats"

    Returns
    -------
    pandas DataFrame, a row for each pair: ``adjusted_rand`` (1 the same, 0 as by chance), ``variation_of_information``
    between the two (0 the same), and the expected variation of information of each under its own and the other's
    draws (``loss_first_own``, ``loss_second_under_first``, ...; the difference is what the other partition costs).

    Raises
    ------
    TypeError, ValueError
        If there are not at least two partitions by name, or they have different numbers of rows.
    """
    import pandas

    _check_partitions(partitions)
    sizes = {name: one.n_rows for name, one in partitions.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"Expected partitions of the same rows; got {sizes} rows.")
    information = get_loss("variation_of_information", unit=unit)
    rows = {}
    for (first, one), (second, other) in combinations(partitions.items(), 2):
        rows[first, second] = {
            "adjusted_rand": 1.0 - distance(one.labels, other.labels, "one_minus_adjusted_rand"),
            "variation_of_information": distance(one.labels, other.labels, information),
            "loss_first_own": expected_loss(one.labels, one.draws, information),
            "loss_second_under_first": expected_loss(other.labels, one.draws, information),
            "loss_second_own": expected_loss(other.labels, other.draws, information),
            "loss_first_under_second": expected_loss(one.labels, other.draws, information),
        }
    index = pandas.MultiIndex.from_tuples(list(rows), names=["first", "second"])
    return pandas.DataFrame(list(rows.values()), index=index)


def _check_partitions(partitions: Any) -> None:
    if not (
        isinstance(partitions, Mapping) and all(isinstance(one, Partition) for one in partitions.values())
    ):
        raise TypeError(
            'Expected partitions to be results of bayesgmm.partition by name, such as {"EM": one, "NUTS": other}; for '
            "labels alone pass bayesgmm.partition(labels[None, :])."
        )
    if len(partitions) < 2:
        raise ValueError(f"Expected at least two partitions; got {len(partitions)}.")
