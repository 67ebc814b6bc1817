"""A sweep's information criterion over the number of components, a curve a covariance structure."""

from __future__ import annotations

from typing import Any

import numpy as np

from bayesgmm.plots.style import FAINT, INK, MARKERS, colour, legend_below, new_axes, style

CRITERIA = ("aic", "bic", "icl")
INDISTINGUISHABLE = 10.0  # Kass & Raftery 1995: a BIC difference above 10 is very strong evidence
TALLEST = 4.0  # the axis ends where the worst curve's minimum lies this many times lower


def criteria(selection: Any, criterion: str | None = None, ax: Any = None) -> Any:
    """Draw a criterion against the number of components, a curve a covariance structure.

    The lowest value of a sound fit is ringed; fits with a warning are hollow. For BIC, the band within 10 of the
    minimum is shaded: its fits have some support (Kass & Raftery 1995).

    Parameters
    ----------
    selection : what ``select`` returned
    criterion : "bic", "aic" or "icl"; the selection's own if None
    ax : matplotlib axes to draw on; a new figure if None
    """
    criterion = selection.criterion if criterion is None else criterion
    if criterion not in CRITERIA:
        raise ValueError(f"Expected criterion to be one of {', '.join(CRITERIA)}; got {criterion!r}.")
    with style():
        ax = new_axes(size=(6.4, 4.4)) if ax is None else ax
        table = selection.table.dropna(subset=[criterion])
        for i, (name, curve) in enumerate(table.groupby("covariance_type", sort=False)):
            _draw_curve(ax, i, str(name), curve.sort_values("n_components"), criterion)
        best = _lowest_sound(selection, criterion)
        _mark_best(ax, best, criterion)
        _finish(ax, selection, table, criterion)
    return ax


def _draw_curve(ax: Any, i: int, name: str, curve: Any, criterion: str) -> None:
    k, values = curve["n_components"].to_numpy(), curve[criterion].to_numpy()
    warned = curve["warning"].fillna("").to_numpy() != ""
    ax.plot(k, values, color=colour(i), linewidth=1.4, zorder=2)
    ax.plot(k[~warned], values[~warned], MARKERS[i], color=colour(i), markersize=5.5, label=name, zorder=3)
    hollow = {"markerfacecolor": "white", "markeredgewidth": 1.3, "markersize": 5.5}
    ax.plot(k[warned], values[warned], MARKERS[i], color=colour(i), label=f"{name}, warned", zorder=3, **hollow)


def _lowest_sound(selection: Any, criterion: str) -> Any:
    """The fit the selection would prefer by this criterion."""
    return min((selection.fits[cell] for cell in selection.order), key=lambda fit: getattr(fit, criterion))


def _mark_best(ax: Any, best: Any, criterion: str) -> None:
    value = getattr(best, criterion)
    ax.plot(best.n_components, value, "o", markersize=14, markerfacecolor="none", color=INK, label="lowest", zorder=4)
    if criterion == "bic":
        ax.axhspan(value, value + INDISTINGUISHABLE, color=FAINT, alpha=0.18, linewidth=0, zorder=0)


def _finish(ax: Any, selection: Any, table: Any, criterion: str) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch
    from matplotlib.ticker import MaxNLocator

    best = _lowest_sound(selection, criterion)
    ax.set_xlabel("number of components")
    ax.set_ylabel(f"{criterion.upper()} (smaller is better)")
    plural = "s" * (best.n_components > 1)
    ax.set_title(
        f"{best.observed.name}: {best.n_components} {best.covariance_type} component{plural} "
        f"({criterion.upper()} {getattr(best, criterion):.1f})"
    )
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="y")
    names = list(dict.fromkeys(table["covariance_type"]))
    handles = [Line2D([], [], color=colour(i), marker=MARKERS[i], markersize=5.5, label=n) for i, n in enumerate(names)]
    ring = {"linestyle": "none", "marker": "o", "color": INK, "markerfacecolor": "none"}
    handles.append(Line2D([], [], markersize=10, label="lowest", **ring))
    if (table["warning"].fillna("") != "").any():
        handles.append(Line2D([], [], markersize=5.5, label="with a warning", **ring))
    if criterion == "bic":
        handles.append(Patch(color=FAINT, alpha=0.3, label=f"within {INDISTINGUISHABLE:g} of it"))
    legend_below(ax, handles)
