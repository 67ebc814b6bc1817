"""How uncertain it is where each row belongs: its component in a fit, its cluster in a partition."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int

from bayesgmm.data import Data, as_data
from bayesgmm.plots.pair import MOST_VECTOR_POINTS
from bayesgmm.plots.style import FAINT, INK, colour, doubt_colours, legend_below, new_axes, style
from bayesgmm.posterior.partition import Partition
from bayesgmm.posterior.partition_words import SURE


class Doubt(NamedTuple):
    """What is drawn of every row.

    data : the rows, None for label draws without any
    doubt, labels : (N,) one minus the probability of the row's component or cluster, and its number
    most : the largest doubt there can be
    noun, meaning : what the groups are called, and what the doubt is
    title : of the figure
    """

    data: Data | None
    doubt: Float64[np.ndarray, " N"]
    labels: Int[np.ndarray, " N"]
    most: float
    noun: str
    meaning: str
    title: str


def membership(result: Any, x: Any = None, ax: Any = None) -> Any:
    """Draw the doubt about each row: one minus the probability of its component, or of its cluster in a partition.

    One feature: doubt against the feature. Two: a scatter, doubtful rows darker and on top. More, and label draws
    without ``x``: the rows of each group sorted by their doubt. For a posterior the memberships are averaged over its
    draws, for a partition they are counted among them.

    Parameters
    ----------
    result : EMResult or Posterior, or result of ``bayesgmm.partition``
    x : rows (N, D); the fitted ones if None
    ax : matplotlib axes to draw on; a new figure if None

    Raises
    ------
    TypeError
        If the result is neither.
    ValueError
        If ``x`` does not have the rows of the partition.
    """
    found = _of_partition(result, x) if isinstance(result, Partition) else _of_fit(result, x)
    n_features = 0 if found.data is None else found.data.n_features
    with style():
        own_figure = ax is None
        ax = new_axes(size=(6.4, 4.6)) if ax is None else ax
        draw = {1: _against_feature, 2: _scatter}.get(n_features, _sorted_curves)
        draw(ax, found, own_figure)
        ax.set_title(found.title)
    return ax


def _of_fit(fit: Any, x: Any) -> Doubt:
    if not (hasattr(fit, "predict_proba") and hasattr(fit, "observed")):
        raise TypeError(
            "Expected a fit, such as bayesgmm.fit returns, or a partition, such as bayesgmm.partition returns; got "
            f"{type(fit).__name__}."
        )
    data = fit.observed if x is None else as_data(x)
    probability = fit.predict_proba(data)
    most, k = probability.max(axis=1), probability.shape[1]
    return Doubt(
        data=data,
        doubt=1.0 - most,
        labels=probability.argmax(axis=1),
        most=1.0 - 1.0 / k if k > 1 else 1.0,
        noun="component",
        meaning="1 − largest membership probability",
        title=f"{data.name}: {_n_doubtful(most)} of {data.n_rows} rows below 80 % membership ({fit.kind})",
    )


def _of_partition(partition: Partition, x: Any) -> Doubt:
    source = partition.source
    data = as_data(x) if x is not None else None if source is None else source.observed
    if data is not None and data.n_rows != partition.n_rows:
        raise ValueError(
            f"Expected x to have the {partition.n_rows} rows of the partition; got {data.n_rows}."
        )
    own = partition.rows.own
    name, kind = ("label draws", "") if source is None else (source.observed.name, f" ({source.kind})")
    return Doubt(
        data=data,
        doubt=1.0 - own,
        labels=partition.labels,
        most=1.0,
        noun="cluster",
        meaning="share of the draws that take the row out of its cluster",
        title=f"{name}: {_n_doubtful(own)} of {partition.n_rows} rows below 80 % in their cluster{kind}",
    )


def _n_doubtful(probability: Float64[np.ndarray, " N"]) -> int:
    return int((probability < SURE).sum())


def _groups(found: Doubt) -> list[tuple[int, np.ndarray]]:
    return [(k, found.labels == k) for k in np.unique(found.labels).tolist()]


def _against_feature(ax: Any, found: Doubt, own_figure: bool) -> None:
    assert found.data is not None
    for k, own in _groups(found):
        ax.plot(
            found.data.rows[own, 0],
            found.doubt[own],
            "o",
            color=colour(k),
            alpha=0.7,
            markersize=4.5,
            label=f"{found.noun} {k}",
        )
    _mark_doubt(ax, found, own_figure)
    ax.set_xlabel(found.data.feature_names[0])


def _scatter(ax: Any, found: Doubt, own_figure: bool) -> None:
    assert found.data is not None
    order = np.argsort(found.doubt, kind="stable")
    size = float(np.clip(6000 / found.data.n_rows, 4, 26))
    points = ax.scatter(
        *found.data.rows[order].T,
        c=found.doubt[order],
        cmap=doubt_colours(),
        vmin=0.0,
        vmax=found.most,
        s=size,
        edgecolors="#55555588",
        linewidths=0.3,
        rasterized=found.data.n_rows > MOST_VECTOR_POINTS,
    )
    bar = ax.figure.colorbar(points, ax=ax, pad=0.02, aspect=30)
    bar.set_label(found.meaning)
    bar.outline.set_visible(False)
    ax.set(xlabel=found.data.feature_names[0], ylabel=found.data.feature_names[1])


def _sorted_curves(ax: Any, found: Doubt, own_figure: bool) -> None:
    for k, own in _groups(found):
        doubt = np.sort(found.doubt[own])[::-1]
        rank = 100 * (np.arange(doubt.size) + 0.5) / doubt.size
        ax.plot(rank, doubt, color=colour(k), linewidth=1.8, label=f"{found.noun} {k} ({doubt.size} rows)")
    _mark_doubt(ax, found, own_figure)
    ax.set_xlim(0, 100)
    ax.set_xlabel(f"rows of the {found.noun}, most doubtful first (%)")


def _mark_doubt(ax: Any, found: Doubt, own_figure: bool) -> None:
    """The doubt axis, its threshold, and the legend."""
    ax.axhline(1.0 - SURE, color=INK, linewidth=0.9, linestyle=(0, (4, 3)), label="in doubt above", zorder=1)
    ax.set_ylim(-0.02 * found.most, found.most)
    ax.set_ylabel(found.meaning)
    ax.grid(axis="y", color=FAINT, alpha=0.25)
    legend_below(ax, ax.get_legend_handles_labels()[0], own_figure=own_figure, ncols=3)
