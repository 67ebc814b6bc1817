"""A sweep's information criterion over the number of components, a curve a covariance structure."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from bayesgmm.criteria.information import CRITERIA
from bayesgmm.plots.style import FAINT, INK, MARK, MARKERS, colour, key, legend_below, new_axes, style

STRONG = 10.0  # Kass & Raftery 1995, section 3.2: a difference of BIC above 10 is very strong evidence
STEPS = (
    0,
    10,
    30,
    100,
    300,
    1_000,
    3_000,
    10_000,
    100_000,
    1_000_000,
)  # ticks, as differences from the lowest


def criteria(selection: Any, criterion: str | None = None, ax: Any = None) -> Any:
    """Draw a criterion against the number of components, a curve a covariance structure.

    The lowest value of a sound fit is ringed; fits with a warning are hollow. The axis is stretched about the
    lowest value (even within 10 of it, logarithmic beyond), since small differences decide; ticks give the
    difference. For BIC the band within 10 is shaded: the data do not speak very strongly against fits in it
    (Kass & Raftery 1995).

    Parameters
    ----------
    selection : what ``select`` returned
    criterion : such as "bic", "aic" or "icl" (``bayesgmm.criteria.information``); the selection's own if None
    ax : matplotlib axes to draw on; a new figure if None

    Returns
    -------
    matplotlib axes
    """
    criterion = selection.criterion if criterion is None else criterion
    if criterion not in CRITERIA:
        raise ValueError(f"Expected criterion to be one of {', '.join(CRITERIA)}; got {criterion!r}.")
    table = selection.table
    table = table[np.isfinite(table[criterion])]
    ranked = dataclasses.replace(selection, criterion=criterion)
    best, lowest = ranked.best, ranked.value(ranked.order[0])
    own_figure = ax is None
    with style():
        ax = new_axes(size=(6.4, 4.6)) if ax is None else ax
        for i, (name, curve) in enumerate(table.groupby("covariance_type", sort=False)):
            _draw_curve(ax, i, str(name), curve.sort_values("n_components"), criterion)
        ring = {"marker": "o", "markersize": 14, "markerfacecolor": "none", "linestyle": "none"}
        ax.plot(best.n_components, lowest, color=INK, label="lowest", zorder=4, **ring)
        _stretch(ax, lowest, table[criterion].to_numpy())
        if criterion == "bic":
            ax.axhspan(
                lowest, lowest + STRONG, color=FAINT, alpha=0.2, linewidth=0, zorder=0, label="within 10"
            )
        _label(ax, best, criterion)
        legend_below(ax, _handles(table, criterion), own_figure=own_figure)
    return ax


def _draw_curve(ax: Any, i: int, name: str, curve: Any, criterion: str) -> None:
    k, values = curve["n_components"].to_numpy(), curve[criterion].to_numpy()
    warned = _warned(curve)
    ax.plot(k, values, color=colour(i), linewidth=1.4, zorder=2, label=name)
    ax.plot(k[~warned], values[~warned], MARKERS[i], color=colour(i), markersize=5.5, zorder=3)
    hollow = {"markerfacecolor": "white", "markeredgewidth": 1.3, "markersize": 5.5}
    ax.plot(
        k[warned], values[warned], MARKERS[i], color=colour(i), label=f"{name}, warned", zorder=3, **hollow
    )


def _warned(table: Any) -> np.ndarray:
    return table["warning"].fillna("").to_numpy() != ""


def _stretch(ax: Any, lowest: float, values: np.ndarray) -> None:
    """An axis even within STRONG of the lowest value and logarithmic beyond; ticks are differences from it."""
    unit = STRONG / 2

    def forward(value):
        return np.arcsinh((np.asarray(value) - lowest) / unit)

    def inverse(height):
        return lowest + unit * np.sinh(height)

    ax.set_yscale("function", functions=(forward, inverse))
    bottom, top = forward(values.min()), forward(values.max())
    margin = 0.06 * (top - bottom) + 0.02
    ax.set_ylim(inverse(bottom - margin), inverse(top + margin))
    steps = [
        s
        for s in (*STEPS, *(-s for s in STEPS[1:]))
        if bottom - margin <= np.arcsinh(s / unit) <= top + margin
    ]
    ax.set_yticks(
        [lowest + s for s in steps], [f"{s:+,d}".replace("-", "−") if s else f"{lowest:.1f}" for s in steps]
    )
    ax.minorticks_off()


def _label(ax: Any, best: Any, criterion: str) -> None:
    from matplotlib.ticker import MaxNLocator

    plural = "s" * (best.n_components > 1)
    chosen = f"{best.n_components} {best.covariance_type} component{plural}"
    ax.set_title(f"{best.observed.name}: {CRITERIA[criterion].label} is lowest for {chosen}")
    ax.set_xlabel("number of components")
    ax.set_ylabel(f"{CRITERIA[criterion].label} (smaller is better)")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.grid(axis="y")


def _handles(table: Any, criterion: str) -> list[Any]:
    from matplotlib.patches import Patch

    names = dict.fromkeys(table["covariance_type"])
    handles = [key(n, color=colour(i), marker=MARKERS[i], markersize=5.5) for i, n in enumerate(names)]
    handles.append(key("lowest", **MARK | {"markersize": 10}, color=INK, markerfacecolor="none"))
    if _warned(table).any():
        handles.append(key("with a warning", **MARK, color=INK, markerfacecolor="none"))
    if criterion == "bic":
        handles.append(Patch(facecolor=FAINT, alpha=0.3, label=f"within {STRONG:g} of the lowest"))
    return handles
