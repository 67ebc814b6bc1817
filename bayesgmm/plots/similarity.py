"""The similarity matrix, rows in the order of the partition, with the partition drawn in."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, Int

from bayesgmm.plots.style import INK, new_axes, style
from bayesgmm.posterior.partition import check_partition
from bayesgmm.posterior.similarity import MOST_ROWS, similarity_of_rows

MOST_DRAWN = 1000  # rows of the picture: more have no pixel of their own
LEAST_LABELLED = 0.03  # share of the rows below which a cluster's number finds no room at the side


def similarity(partition: Any, ax: Any = None) -> Any:
    """Draw the probability that two rows belong together, row against row.

    Rows are ordered by cluster, and within each from sure to doubtful; squares mark the clusters. Above 1000 rows
    every so manieth is drawn.

    Parameters
    ----------
    partition : result of ``bayesgmm.partition``
    ax : matplotlib axes to draw on; a new figure if None

    Raises
    ------
    TypeError
        If it is no partition.
    """
    rows = ordered_rows(check_partition(partition))
    table = _table(partition, rows)
    with style():
        ax = new_axes(size=(6.0, 5.2)) if ax is None else ax
        image = ax.imshow(table, cmap=_colours(), vmin=0.0, vmax=1.0, interpolation="nearest", origin="upper")
        bar = ax.figure.colorbar(image, ax=ax, pad=0.02, aspect=30)
        bar.set_label("probability that two rows belong together")
        bar.outline.set_visible(False)
        _squares(ax, partition.labels[rows])
        ax.set_title(_title(partition, len(rows)))
        ax.set(xlabel="rows, by cluster and from sure to doubtful", ylabel="cluster")
        ax.set_xticks([])
        for spine in ax.spines.values():
            spine.set_visible(False)
    return ax


def ordered_rows(partition: Any) -> Int[np.ndarray, " m"]:
    """Rows by cluster, the surest first; equally sure ones by the other cluster that draws them."""
    doubt = partition.rows
    order = np.lexsort((doubt.second, -doubt.own, partition.labels))
    step = -(-len(order) // MOST_DRAWN)
    return order[::step]


def _table(partition: Any, rows: Int[np.ndarray, " m"]) -> Float[np.ndarray, "m m"]:
    if len(rows) == partition.n_rows <= MOST_ROWS:
        return partition.similarity[np.ix_(rows, rows)]
    return similarity_of_rows(partition.draws, rows)


def _colours() -> Any:
    """White through blue to ink: lightness falls evenly with the probability."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list(
        "together", ["#FFFFFF", "#BFD7EA", "#5B9BC8", "#0B5394", "#06243F"]
    )


def _squares(ax: Any, labels: Int[np.ndarray, " m"]) -> None:
    """A square around each cluster, and its number beside it where there is room."""
    from matplotlib.patches import Rectangle

    ticks, names = [], []
    for cluster in np.unique(labels):
        inside = np.flatnonzero(labels == cluster)
        begin, size = inside[0] - 0.5, len(inside)
        square = Rectangle(
            (begin, begin), size, size, fill=False, edgecolor="#D55E00", linewidth=1.4, clip_on=False
        )
        ax.add_patch(square)
        if size >= LEAST_LABELLED * len(labels):
            ticks.append(begin + size / 2)
            names.append(str(cluster))
    ax.set_yticks(ticks, names)
    ax.tick_params(axis="y", length=0, labelcolor=INK)


def _title(partition: Any, n_drawn: int) -> str:
    source = partition.source
    name = "label draws" if source is None else source.observed.name
    k = partition.n_clusters
    kind = f", {source.kind}" if source is not None else ""
    title = f"{name}: {partition.n_rows} rows in {k} cluster{'s' * (k > 1)}{kind}"
    return title if n_drawn == partition.n_rows else f"{title}\n{n_drawn} rows drawn"
