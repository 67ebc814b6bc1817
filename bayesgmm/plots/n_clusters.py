"""The posterior of the number of clusters, beside its prior."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bayesgmm.plots.style import INK, colour, new_axes, style

NEGLIGIBLE = 0.002  # probability below which a number of clusters is left out at the ends


def n_clusters(result: Any, prior: Any = None, ax: Any = None) -> Any:
    """Draw the posterior probability of every number of clusters K+ as bars, and the prior as an outline.

    Parameters
    ----------
    result : posterior, or result of ``bayesgmm.partition``
    prior : probabilities by K+ (a pandas Series or a mapping), or from K+ = 1 on (a sequence); None draws none
    ax : matplotlib axes to draw on; a new figure if None

    Raises
    ------
    ValueError
        If the prior has negative probabilities, or they sum to more than one.
    """
    posterior = dict(_table(result).items())
    before = _prior(prior)
    shown = [k for k in {*posterior, *before} if max(posterior.get(k, 0), before.get(k, 0)) >= NEGLIGIBLE]
    support = np.arange(max(1, min(shown) - (len(shown) < 3)), max(shown) + 1 + (len(shown) < 3))
    with style():
        own_figure = ax is None
        ax = new_axes(size=(max(4.2, min(9.0, 1.6 + 0.5 * len(support))), 3.6)) if ax is None else ax
        heights = [posterior.get(k, 0.0) for k in support]
        bars = ax.bar(support, heights, width=0.72, color=colour(0), label="posterior")
        ax.bar_label(bars, [_percent(h) for h in heights], padding=2, fontsize=9, color=INK)
        if before:
            edge = {"color": "none", "edgecolor": colour(1), "linewidth": 1.6, "linestyle": (0, (4, 2))}
            drawn = [k for k in support if before.get(k, 0.0) > 0]
            ax.bar(drawn, [before[k] for k in drawn], width=0.86, label="prior", **edge)
            ax.legend(loc="upper right" if own_figure else "best")
        ax.set_xticks(support)
        ax.tick_params(axis="x", length=0)
        ax.set(
            xlabel="number of clusters (occupied components)",
            ylabel="probability",
            ylim=(0, 1.14 * _top(heights, before)),
        )
        ax.set_xlim(support[0] - 0.9, support[-1] + 0.9)
        ax.set_title(_title(result))
    return ax


def _table(result: Any) -> Any:
    return result.n_clusters_posterior if hasattr(result, "n_clusters_posterior") else result.n_clusters


def _prior(prior: Any) -> dict[int, float]:
    if prior is None:
        return {}
    items = (
        prior.items() if isinstance(prior, Mapping) or hasattr(prior, "items") else enumerate(prior, start=1)
    )
    table = {int(k): float(p) for k, p in items}
    if min(table.values()) < 0 or sum(table.values()) > 1 + 1e-6:
        raise ValueError(
            f"Expected prior to hold probabilities that sum to at most 1; got a sum of {sum(table.values()):g}."
        )
    return table


def _top(heights: list[float], before: dict[int, float]) -> float:
    return max([*heights, *before.values()])


def _percent(height: float) -> str:
    return f"{100 * height:.0f} %" if height >= 0.01 else ("" if height < NEGLIGIBLE else "<1 %")


def _title(result: Any) -> str:
    source = getattr(result, "source", result)
    return "label draws" if source is None else f"{source.observed.name}: {source.kind}"
