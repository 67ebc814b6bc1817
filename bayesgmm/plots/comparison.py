"""Fits side by side: every parameter's point estimates beside posterior means with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bayesgmm.criteria.comparison import Comparison
from bayesgmm.plots.style import MARKERS, PALETTE, key, new_axes, style

MOST_FEATURES = 6  # drawn where none are named
SHARE = 0.8  # of a component's height that its fits take
BAND = "#F4F5F7"  # behind every other component


def comparison(comparison: Any, features: Sequence[str] | None = None) -> Any:
    """Draw what fits say of every weight, mean and standard deviation, a panel a parameter in its own units.

    A fit has a colour, components go from top to bottom. Hollow marks are point estimates (EM's), filled ones posterior
    means, lines equal-tailed 94 % intervals. Components below one row in a hundred in every fit are left out.

    Parameters
    ----------
    comparison : what ``bayesgmm.compare`` returned
    features : names of the features to draw; the first six if None

    Returns
    -------
    array (1 + features, 2) of matplotlib axes: the weights and the legend, then each feature's mean and deviation

    Raises
    ------
    TypeError, ValueError
        If it is no comparison, or has no such feature.
    """
    if not isinstance(comparison, Comparison):
        raise TypeError(f"Expected what bayesgmm.compare returned; got {type(comparison).__name__}.")
    chosen = _chosen(comparison, features)
    k, n_fits = len(comparison.present), len(comparison.names)
    height = 0.5 + k * max(0.3, 0.15 * n_fits)
    with style():
        axes = new_axes(1 + len(chosen), 2, size=(7.6, 0.5 + height * (1 + len(chosen))), squeeze=False)
        _panel(axes[0, 0], comparison, ("weight", ""), "weight")
        _legend(axes[0, 1], comparison)
        for (left, right), name in zip(axes[1:], chosen, strict=True):
            _panel(left, comparison, ("mean", name), f"mean of {name}")
            _panel(right, comparison, ("sd", name), f"standard deviation of {name}")
            right.set_yticklabels([])
        title = f"{comparison.data_name}: parameters by {_listed(comparison.names)}"
        axes[0, 0].figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    return axes


def _chosen(comparison: Comparison, features: Sequence[str] | None) -> list[str]:
    known = list(dict.fromkeys(comparison.parameters.loc["mean"].index.get_level_values("feature")))
    chosen = known[:MOST_FEATURES] if features is None else list(features)
    missing = [name for name in chosen if name not in known]
    if missing or not chosen or isinstance(features, str):
        raise ValueError(f"Expected features to be a list of some of {', '.join(known)}; got {features!r}.")
    return chosen


def _panel(ax: Any, comparison: Comparison, parameter: tuple[str, str], label: str) -> None:
    table = comparison.parameters.xs(parameter, level=("parameter", "feature")).loc[comparison.present]
    k, n_fits = len(table), len(comparison.names)
    for j in range(1, k, 2):
        ax.axhspan(j - 0.5, j + 0.5, color=BAND, zorder=0)
    shift = SHARE * (np.arange(n_fits) - (n_fits - 1) / 2) / n_fits
    for i, name in enumerate(comparison.names):
        own, at = table[name], np.arange(k) + shift[i]
        if "estimate" in own:
            ax.plot(own["estimate"], at, markerfacecolor="white", markeredgewidth=1.6, **_look(i))
            continue
        low, high = (own[column] for column in own.columns[1:3])
        ax.hlines(at, low, high, color=PALETTE[i % len(PALETTE)], linewidth=2.2, alpha=0.75)
        ax.plot(own["mean"], at, **_look(i))
    ax.set(ylim=(k - 0.5, -0.5), xlabel=label)
    ax.set_yticks(range(k), [f"component {j}" for j in comparison.present])
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.grid(axis="x")
    ax.margins(x=0.06)


def _look(fit: int) -> dict[str, Any]:
    """The mark of a fit."""
    colour = PALETTE[fit % len(PALETTE)]
    return {
        "color": colour,
        "marker": MARKERS[fit % len(MARKERS)],
        "markersize": 6,
        "linestyle": "none",
        "zorder": 3,
    }


def _legend(ax: Any, comparison: Comparison) -> None:
    """What every mark is, in the free corner."""
    ax.set_axis_off()
    handles = []
    for i, name in enumerate(comparison.names):
        is_point = (name, "estimate") in comparison.parameters.columns
        line: dict[str, Any] = {} if is_point else {"linestyle": "-", "linewidth": 2.2}
        hollow = {"markerfacecolor": "white", "markeredgewidth": 1.6} if is_point else {}
        what = "point estimate" if is_point else "posterior mean, 94 % interval"
        handles.append(key(f"{name}: {what}", **{**_look(i), **line, **hollow}))
    ax.legend(handles=handles, loc="center left", handlelength=2.6, labelspacing=0.8, borderaxespad=0.0)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
