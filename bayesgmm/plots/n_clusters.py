"""The posterior of the number of clusters, beside its prior."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int

from bayesgmm.plots.style import INK, colour, new_axes, style
from bayesgmm.posterior.partition import Partition

NEGLIGIBLE = 0.002  # probability below which a number of clusters is left out at the ends


def n_clusters(result: Any, prior: Any = "model", ax: Any = None) -> Any:
    """Draw the posterior probability of every number of clusters K+, and the prior's beside it.

    Lines on the bars are two Monte Carlo standard errors, where the chains' draws are at hand to tell them.

    Parameters
    ----------
    result : posterior, or result of ``bayesgmm.partition``
    prior : "model" simulates the prior of the posterior's weights (label draws and EM fits have none); or
        probabilities by K+ (a pandas Series or a mapping), or from K+ = 1 on (a sequence); None draws none
    ax : matplotlib axes to draw on; a new figure if None

    Raises
    ------
    TypeError, ValueError
        If the result has no number of clusters; if the prior is none of these, has negative probabilities, or they
        sum to more than one.
    """
    posterior, before = _table(result), _prior(_of_model(result) if _is_model(prior) else prior)
    shown = [k for k in {*posterior, *before} if max(posterior.get(k, 0), before.get(k, 0)) >= NEGLIGIBLE]
    support = np.arange(max(1, min(shown) - (len(shown) < 3)), max(shown) + 1 + (len(shown) < 3))
    with style():
        own_figure = ax is None
        ax = new_axes(size=(max(4.2, min(9.0, 1.8 + len(support))), 3.6)) if ax is None else ax
        errors = _errors(result)
        _bars(ax, support, posterior, before, errors)
        if before:
            ax.legend(loc="upper right" if own_figure else "best")
        ax.set_xticks(support)
        ax.tick_params(axis="x", length=0)
        ax.set(xlabel="number of clusters (occupied components)", ylabel="probability")
        tops = [p + 2.0 * errors.get(k, 0.0) for k, p in posterior.items()]
        ax.set_ylim(0, 1.14 * max([*tops, *before.values()]))
        ax.set_xlim(support[0] - 0.9, support[-1] + 0.9)
        ax.set_title(_title(result))
    return ax


def _bars(
    ax: Any,
    support: Int[np.ndarray, " k"],
    posterior: dict[int, float],
    before: dict[int, float],
    errors: dict[int, float],
) -> None:
    """Posterior, with errors, and prior as bars side by side, or the posterior alone."""
    both = [("posterior", posterior, 0)] + ([("prior", before, 1)] if before else [])
    width = 0.8 / len(both)
    for name, table, number in both:
        heights = np.array([table.get(k, 0.0) for k in support.tolist()])
        at = support + width * (number - (len(both) - 1) / 2)
        look = {"alpha": 0.55, "hatch": "///", "edgecolor": "white"} if number else {}
        if errors and not number:
            reach = np.array([2.0 * errors.get(k, 0.0) for k in support.tolist()])
            reach[heights < NEGLIGIBLE] = 0.0  # a line at nothing says nothing
            look = {"yerr": [np.minimum(reach, heights), reach], "error_kw": {"ecolor": INK, "lw": 1.2}}
        bars = ax.bar(at, heights, width=0.94 * width, color=colour(number), label=name, **look)
        size = 9 if len(support) * len(both) <= 16 else 7
        ax.bar_label(bars, [_percent(h) for h in heights], padding=2, fontsize=size, color=INK)


def _errors(result: Any) -> dict[int, float]:
    """Monte Carlo standard errors by number of clusters; none for label draws, points and approximations."""
    posterior = getattr(result, "source", result)
    if not hasattr(posterior, "n_clusters_table"):
        return {}
    return {int(k): float(e) for k, e in posterior.n_clusters_table["mcse"].items() if np.isfinite(e)}


def _table(result: Any) -> dict[int, float]:
    found: Any = getattr(result, "n_clusters_posterior", getattr(result, "n_clusters", None))
    if not hasattr(found, "items"):
        raise TypeError(
            "Expected a posterior, such as bayesgmm.fit returns, or a partition, such as bayesgmm.partition returns; "
            f"got {type(result).__name__}."
        )
    return {int(k): float(p) for k, p in found.items()}


def _is_model(prior: Any) -> bool:
    return isinstance(prior, str) and prior == "model"


def _of_model(result: Any) -> Any:
    """The prior that the result's own model has, if any."""
    if isinstance(result, Partition):
        return result.n_clusters_prior
    return result.n_clusters_table["prior"] if hasattr(result, "n_clusters_table") else None


def _prior(prior: Any) -> dict[int, float]:
    if prior is None:
        return {}
    try:
        items = prior.items() if hasattr(prior, "items") else enumerate(prior, start=1)
        table = {int(k): float(p) for k, p in items}
    except (TypeError, ValueError):
        raise TypeError(
            f"Expected prior to be 'model', None, or probabilities by number of clusters; got {prior!r}."
        ) from None
    if not table or min(table.values()) < 0 or not sum(table.values()) <= 1 + 1e-6:
        raise ValueError(
            f"Expected prior to hold probabilities that sum to at most 1; got a sum of {sum(table.values()):g}."
        )
    return table


def _percent(height: float) -> str:
    return f"{100 * height:.0f} %" if height >= 0.01 else ("" if height < NEGLIGIBLE else "<1 %")


def _title(result: Any) -> str:
    source = getattr(result, "source", result)
    return "label draws" if source is None else f"{source.observed.name}: {source.kind}"
