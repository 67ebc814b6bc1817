"""A partition as plain numbers, lists and words: what its JSON holds, and its line beside other results."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesgmm.posterior.partition_words import partition_sentences


def partition_record(partition: Any) -> dict[str, Any]:
    """Everything that is told of a partition, rows and clusters by their numbers, for JSON."""
    loss, source, rows = partition.loss, partition.source, partition.rows
    return {
        "of": "label draws" if source is None else source.kind,
        "data": None if source is None else source.observed.name,
        "loss": {"name": loss.name, "unit": loss.unit, "a": loss.a, "b": loss.b},
        "expected_loss": partition.expected_loss,
        "n_hits": partition.n_hits,
        "n_starts": partition.n_starts,
        "n_draws": partition.draws.n_draws,
        "n_clusters": _by_number(partition.n_clusters_posterior),
        "n_clusters_prior": _by_number(partition.n_clusters_prior),
        "clusters": _clusters(partition),
        "credible_ball": _ball(partition.ball),
        "representatives": _representatives(partition.representatives),
        "rows": {
            "cluster": partition.labels.tolist(),
            "probability": rows.own.tolist(),
            "second_cluster": [None if k < 0 else k for k in rows.second.tolist()],
            "second_probability": rows.second_share.tolist(),
            "elsewhere_probability": rows.elsewhere.tolist(),
            "entropy_bits": rows.entropy.tolist(),
        },
        "rows_in_doubt": partition.rows_in_doubt.tolist(),
        "rows_set_apart": partition.rows_set_apart.tolist(),
        "pairs_in_doubt": [
            {"rows": [i, j], "probability_together": together} for i, j, together in partition.pairs_in_doubt
        ],
        "words": partition_sentences(partition),
        "warnings": list(partition.warnings),
    }


def partition_columns(partition: Any) -> dict[str, Any]:
    """The partition in a few cells, as columns of a table of results."""
    return {
        "partition_clusters": partition.n_clusters,
        "partition_sizes": "/".join(map(str, partition.sizes)),
        "partition_loss": partition.loss.name,
        "partition_expected_loss": partition.expected_loss,
        "partition_unit": partition.loss.unit,
        "partition_ball_level": partition.level,
        "partition_ball_radius": partition.ball.radius,
        "partition_rows_in_doubt": len(partition.rows_in_doubt),
    }


def _by_number(probability: Any) -> dict[str, float] | None:
    return None if probability is None else {str(k): float(p) for k, p in probability.items()}


def _clusters(partition: Any) -> list[dict[str, Any]]:
    table = {"cluster": range(partition.n_clusters), **partition.clusters._asdict()}
    columns = {name: np.asarray(values).tolist() for name, values in table.items()}
    return [
        {
            name: None if value != value else value for name, value in zip(columns, row, strict=True)
        }  # NaN is null
        for row in zip(*columns.values(), strict=True)
    ]


def _ball(ball: Any) -> dict[str, Any]:
    bounds = ("horizontal", "upper_vertical", "lower_vertical")
    return {
        "level": ball.level,
        "coverage": ball.coverage,
        "radius": ball.radius,
        "median_distance": float(ball.quantile(0.5)),
        **{
            name: {
                "distance": getattr(ball, name).distance,
                "n_clusters": getattr(ball, name).n_clusters,
                "n_moved": getattr(ball, name).n_moved,
                "labels": getattr(ball, name).labels.tolist(),
            }
            for name in bounds
        },
    }


def _representatives(found: Any) -> list[dict[str, Any]]:
    return [
        {"share_of_draws": float(weight), "mean_loss": float(mean), "labels": labels.tolist()}
        for labels, weight, mean in zip(found.labels, found.weights, found.expected_losses, strict=True)
    ]
