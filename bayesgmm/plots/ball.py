"""The credible ball: the point partition and the three partitions on the ball's edge."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64, Int
from scipy.optimize import linear_sum_assignment

from bayesgmm.data import as_data
from bayesgmm.plots.style import FAINT, INK, MARKERS, colour, new_axes, style
from bayesgmm.posterior.partition import check_partition
from bayesgmm.tables import number


def ball(partition: Any, x: Any = None, axes: Any = None) -> Any:
    """Draw the partition and the bounds of its credible ball: the farthest draw, and the coarsest and the finest.

    Colours follow the partition's clusters, by the rows they share; rows that a bound groups otherwise are ringed.
    One feature is drawn against the cluster, two as a scatter, more by their first two principal components; label
    draws without ``x`` by row number.

    Parameters
    ----------
    partition : result of ``bayesgmm.partition``
    x : rows (N, D) to draw; those of the fit if None
    axes : four matplotlib axes; a new figure if None

    Raises
    ------
    TypeError
        If it is no partition.
    ValueError
        If ``x`` has another number of rows, or ``axes`` are not four.
    """
    place, names = _positions(check_partition(partition), x)
    found = partition.ball
    unit = f" {found.loss.unit}".rstrip()
    bounds = (
        ("farthest", found.horizontal),
        ("coarsest", found.upper_vertical),
        ("finest", found.lower_vertical),
    )
    panels = [("point partition", partition.labels, _clusters(partition.labels))]
    for name, bound in bounds:
        told = f"{_clusters(bound.labels)}, {number(bound.distance, 3)}{unit} away"
        same = name != "farthest" and np.array_equal(bound.labels, found.horizontal.labels)
        panels.append(
            (name, _matched(bound.labels, partition.labels), "the same as the farthest" if same else told)
        )
    with style():
        axes = new_axes(2, 2, size=(8.4, 6.6), sharex=True, sharey=True) if axes is None else axes
        flat = np.asarray(axes).ravel()
        if len(flat) != 4:
            raise ValueError(f"Expected four axes; got {len(flat)}.")
        for ax, (name, labels, told) in zip(flat, panels, strict=True):
            _panel(ax, place, labels, partition.labels)
            ax.set_title(f"{name}: {told}")
        _label_outside(flat, names)
        flat[0].figure.suptitle(_title(partition), x=0.01, ha="left", fontsize=11, color=INK)
    return axes


def _clusters(labels: Int[np.ndarray, " N"]) -> str:
    k = len(np.unique(labels))
    return f"{k} cluster{'s' * (k > 1)}"


def _positions(partition: Any, x: Any) -> tuple[Float64[np.ndarray, "N d"], tuple[str, ...]]:
    """Where every row is drawn: one column (the cluster is then the other axis) or two, and their names."""
    if x is None and partition.source is None:
        return np.arange(partition.n_rows, dtype=float)[:, None], ("row",)
    data = partition.source.observed if x is None else as_data(x)
    if data.n_rows != partition.n_rows:
        raise ValueError(
            f"Expected x to have the {partition.n_rows} rows of the partition; got {data.n_rows}."
        )
    if data.n_features <= 2:
        return np.array(data.rows), tuple(data.feature_names)
    spread = data.rows.std(axis=0)
    centred = (data.rows - data.rows.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    return centred @ directions[:2].T, ("first principal component", "second principal component")


def _matched(labels: Int[np.ndarray, " N"], reference: Int[np.ndarray, " N"]) -> Int[np.ndarray, " N"]:
    """Labels renumbered so that clusters have the number of the reference's cluster whose rows they share."""
    table = np.zeros((labels.max() + 1, reference.max() + 1))
    np.add.at(table, (labels, reference), 1.0)
    ours, theirs = linear_sum_assignment(table, maximize=True)
    new = np.full(len(table), -1)
    new[ours] = theirs
    left = np.flatnonzero(new < 0)
    new[left] = table.shape[1] + np.arange(len(left))
    return new[labels]


def _panel(ax: Any, place: Any, labels: Any, reference: Any) -> None:
    size = float(np.clip(5000 / len(labels), 5, 30))
    flat = place.shape[1] == 1
    down = labels if flat else place[:, 1]
    for cluster in np.unique(labels).tolist():
        own = labels == cluster
        style_of = {
            "color": colour(cluster),
            "marker": MARKERS[(cluster // 8 + cluster) % 8],
            "linewidths": 0,
        }
        ax.scatter(place[own, 0], down[own], s=size, alpha=0.75, **style_of)
    moved = labels != reference
    ax.scatter(place[moved, 0], down[moved], s=2.6 * size, facecolors="none", edgecolors=INK, linewidths=0.9)
    if flat:
        ax.set_yticks(np.arange(0, labels.max() + 1, max(1, (labels.max() + 1) // 8)))
        ax.invert_yaxis() if not ax.yaxis_inverted() else None
    ax.grid(axis="y" if flat else "both", color=FAINT, alpha=0.15)


def _label_outside(axes: Any, names: tuple[str, ...]) -> None:
    for ax in axes[2:]:
        ax.set_xlabel(names[0])
    for ax in axes[::2]:
        ax.set_ylabel(names[1] if len(names) > 1 else "cluster")


def _title(partition: Any) -> str:
    found = partition.ball
    name = "label draws" if partition.source is None else partition.source.observed.name
    unit = f" {found.loss.unit}".rstrip()
    return (
        f"{name}: {100 * found.level:g} % of the draws within {number(found.radius, 3)}{unit} of the point partition"
        "; ringed rows have moved"
    )
