"""Plots as data URIs, each with a caption that says how to read it."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from bayesgmm import plots
from bayesgmm.criteria.information import CRITERIA

MOST_SVG_BYTES = 1_500_000  # a larger drawing becomes a picture


class Figure(NamedTuple):
    """An image as a data URI, its caption and its description for those who cannot see it."""

    uri: str
    caption: str
    alt: str


def figures(
    selection: Any, em: Any, posterior: Any | None, partition: Any | None = None
) -> dict[str, Figure]:
    """The figures of the report, by name."""
    result = em if posterior is None else posterior
    name = CRITERIA[selection.criterion].label
    by = "EM" if posterior is None else "the posterior"
    out = {
        "components": _figure(
            lambda: plots.components(result),
            _components_caption(result),
            f"The rows and the {result.n_components} components found by {by}",
        ),
    }
    if len(selection.fits) > 1:
        out["criteria"] = _figure(
            lambda: plots.criteria(selection),
            f"{name} of every model that was tried. The axis is stretched about the lowest value; ticks give the "
            "difference from it. Hollow marks carry a warning.",
            f"{name} against the number of components, a curve for each covariance structure",
        )
    if result.n_components > 1:
        caption = f"How uncertain each row's component is, by {by}: zero is certain."
        out["membership"] = _figure(
            lambda: plots.membership(result), caption, "The uncertainty of each row's component"
        )
    out |= {} if partition is None else _of_partition(partition)
    return out if posterior is None else out | _of_draws(posterior)


def _of_partition(partition: Any) -> dict[str, Figure]:
    beside = "" if partition.n_clusters_prior is None else " Beside it what the prior says before the data."
    return {
        "n_clusters": _figure(
            lambda: plots.n_clusters(partition),
            f"How many clusters hold any rows, by share of the draws.{beside}",
            "Probability of each number of clusters, posterior and prior",
        ),
        "doubt": _figure(
            lambda: plots.membership(partition),
            "How often each row leaves its cluster: zero is never. Clusters of a draw are matched with those of the "
            "partition one to one; where a draw splits one, the rows of all parts but one are elsewhere.",
            "The share of the draws that put each row outside its cluster",
        ),
        "ball": _figure(
            lambda: plots.ball(partition),
            f"The partition and the edge of its {100 * partition.level:g} % credible ball: the partition farthest from "
            "it, the coarsest and the finest.",
            "The partition and three bounds of its credible ball",
        ),
        "similarity": _figure(
            lambda: plots.similarity(partition),
            "Probability that two rows belong together, rows ordered by the cluster of the partition (squares). A pale "
            "square is a cluster that the posterior splits; colour between squares is one that it merges.",
            "Similarity matrix of the rows, ordered by cluster",
        ),
    }


def _of_draws(posterior: Any) -> dict[str, Figure]:
    chains, draws = posterior.data["sample_stats"]["lp"].shape
    return {
        "forest": _figure(
            lambda: plots.forest(posterior),
            "Weights and means of the components: posterior mean (circle), 50 % (thick) and 94 % (thin) intervals.",
            "Intervals of the weights and means of each component",
        ),
        "trace": _figure(
            lambda: plots.trace(posterior),
            f"Densities and paths of {chains} chains of {draws} draws, relabelled. Where chains agree, their lines "
            "lie on each other and the paths show no trend.",
            "Densities and traces of weights and means, by chain",
        ),
    }


def of_comparison(comparison: Any) -> dict[str, Figure]:
    """The fits' parameters side by side, where there are several fits."""
    if len(comparison.names) < 2:
        return {}
    caption = (
        "Parameters by every fit: EM's estimates (hollow), posterior means (filled) with 94 % intervals."
    )
    alt = "Weights, means and standard deviations of each component by every fit"
    return {"comparison": _figure(lambda: plots.comparison(comparison), caption, alt)}


def _components_caption(result: Any) -> str:
    posterior = result.kind != "EM"
    if result.observed.n_features == 1:
        band = " Bands hold 90 % of the posterior's densities." if posterior else ""
        return f"The data (bars), the mixture's density (black) and each component's share of it.{band}"
    drawn = " Thin ellipses are posterior draws: their spread is the fit's uncertainty." if posterior else ""
    return (
        "Rows in the colour of their most probable component, hollow where in doubt; ellipses hold 50 % and 95 % of "
        f"each component.{drawn}"
    )


def _figure(draw: Callable[[], Any], caption: str, alt: str) -> Figure:
    import matplotlib.pyplot as plt

    with plt.ioff():
        axes = draw()
        figure = axes.figure if hasattr(axes, "figure") else np.ravel(axes)[0].figure
        try:
            return Figure(data_uri(figure), caption, alt)
        finally:
            plt.close(figure)


def data_uri(figure: Any) -> str:
    """A figure as SVG, or as PNG where that would be large."""
    svg = io.BytesIO()
    figure.savefig(svg, format="svg", dpi=150, facecolor="white", metadata={"Date": None})
    if svg.tell() <= MOST_SVG_BYTES:
        return f"data:image/svg+xml;base64,{base64.b64encode(svg.getvalue()).decode()}"
    png = io.BytesIO()
    figure.savefig(png, format="png", dpi=150, facecolor="white")
    return f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}"
