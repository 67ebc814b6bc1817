"""The mixture over the data: densities, ellipses or a grid of pairs, by the number of features."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from bayesgmm.data import Data, as_data, check_width
from bayesgmm.plots.marginal import draw_marginal
from bayesgmm.plots.pair import ELLIPSE_DRAWS, draw_pair, thin_rows
from bayesgmm.plots.parameters import fitted, is_posterior, present
from bayesgmm.plots.style import INK, MARK, colour, key, legend_below, new_axes, style

MOST_FEATURES = 5
LONGEST_LINE = 20  # characters of a name that fit beside an axis of the grid


def components(
    result: Any, x: Any = None, ax: Any = None, *, features: Sequence[str | int] | None = None
) -> Any:
    """Draw a fitted mixture over rows.

    One feature: histogram, mixture density and weighted components. Two: rows in the colour of their most
    probable component (hollow where in doubt), 50 % and 95 % ellipses, numbers at the means. More: all pairs, with
    the densities on the diagonal; above five features, the five whose means differ most for their spread.
    A posterior adds its uncertainty: the band that holds 90 % of the drawn densities, or 50 drawn ellipses; components
    that hold no rows in more than half of the draws are left out.

    Parameters
    ----------
    result : EMResult or Posterior
    x : rows (N, D) to draw; the fitted ones if None
    ax : matplotlib axes to draw on, (F, F) of them for F > 2 features; a new figure if None
    features : which features, by name or position; None draws all

    Returns
    -------
    matplotlib axes, an array (F, F) of them for F > 2 features
    """
    data = result.observed if x is None else as_data(x)
    check_width(data, result.observed.feature_names)
    chosen, choice = _choose(result, features)
    shown = thin_rows(data.n_rows)
    with style():
        if len(chosen) == 1:
            return _density(result, data, chosen[0], ax)
        probability = result.predict_proba(data.rows[shown])
        title = _title(result, data, choice, len(shown))
        if len(chosen) == 2:
            return _pair(result, data, chosen, shown, probability, title, ax)
        return _grid(result, data, chosen, shown, probability, title, ax)


def _choose(result: Any, features: Sequence[str | int] | None) -> tuple[list[int], str]:
    """Positions of the features to draw, and what the title says of the choice."""
    names = result.observed.feature_names
    if features is not None:
        wanted = [features] if isinstance(features, str | int) else list(features)
        return [_position(name, names) for name in wanted], ""
    if len(names) <= MOST_FEATURES:
        return list(range(len(names))), ""
    point = fitted(result)
    centre = point.weights @ point.means
    between = point.weights @ (point.means - centre) ** 2
    within = point.weights @ np.diagonal(point.covariances, axis1=1, axis2=2)
    best = np.argsort(-between / within, kind="stable")[:MOST_FEATURES]
    return sorted(best.tolist()), f"{MOST_FEATURES} of {len(names)} features, those that separate most"


def _position(feature: str | int, names: Sequence[str]) -> int:
    if isinstance(feature, str) and feature in names:
        return names.index(feature)
    if not isinstance(feature, str) and -len(names) <= feature < len(names):
        return int(feature) % len(names)
    raise ValueError(
        f"Expected features among {', '.join(map(repr, names))} or below {len(names)}; got {feature!r}."
    )


def _title(result: Any, data: Data, choice: str, n_shown: int) -> str:
    plural = "s" * (result.n_components > 1)
    parts = [
        f"{data.name}: {result.n_components} {result.covariance_type} component{plural}, {result.kind}",
        choice,
    ]
    if n_shown < data.n_rows:
        parts.append(f"{n_shown} of {data.n_rows} rows drawn")
    return "\n".join(filter(None, parts))


def _density(result: Any, data: Data, feature: int, ax: Any) -> Any:
    own_figure = ax is None
    ax = new_axes(size=(6.4, 4.2)) if ax is None else ax
    draw_marginal(ax, result, feature, data.rows[:, feature])
    ax.set(xlabel=data.feature_names[feature], ylabel="density", title=_title(result, data, "", data.n_rows))
    handles, labels = ax.get_legend_handles_labels()
    kept = [h for h, label in zip(handles, labels, strict=True) if not label.startswith("component")]
    legend_below(ax, [*kept, *_component_handles(result)], own_figure=own_figure, ncols=3)
    return ax


def _pair(result: Any, data: Data, chosen: list[int], shown, probability, title: str, ax: Any) -> Any:
    own_figure = ax is None
    ax = new_axes(size=(6.4, 5.4)) if ax is None else ax
    draw_pair(ax, result, (chosen[0], chosen[1]), data.rows[np.ix_(shown, chosen)], probability)
    ax.set(xlabel=data.feature_names[chosen[0]], ylabel=data.feature_names[chosen[1]], title=title)
    legend_below(ax, [*_component_handles(result), *_mark_handles(result)], own_figure=own_figure, ncols=3)
    return ax


def _grid(result: Any, data: Data, chosen: list[int], shown, probability, title: str, axes: Any) -> Any:
    """Densities on the diagonal, pairs below it, the legend above it."""
    n = len(chosen)
    axes = (
        new_axes(n, n, size=(2.1 * n + 0.6, 2.0 * n + 0.5), squeeze=False)
        if axes is None
        else np.asarray(axes)
    )
    if axes.shape != (n, n):
        raise ValueError(f"Expected axes of shape ({n}, {n}) for {n} features; got {axes.shape}.")
    for i, row in enumerate(chosen):
        for j, column in enumerate(chosen):
            ax = axes[i, j]
            if j > i:
                ax.set_axis_off()
            elif i == j:
                draw_marginal(ax, result, row, data.rows[:, row], detail=False)
                ax.set_yticks([])
                ax.spines["left"].set_visible(False)
            else:
                draw_pair(
                    ax,
                    result,
                    (column, row),
                    data.rows[np.ix_(shown, [column, row])],
                    probability,
                    detail=n < 4,
                )
    _label_outside(axes, [_wrapped(data.feature_names[j]) for j in chosen])
    axes[0, 0].figure.suptitle(title, x=0.01, ha="left", fontsize=11, color=INK)
    handles = [*_component_handles(result), *_mark_handles(result)]
    legend = axes[0, 1].legend(handles=handles, loc="upper left", bbox_to_anchor=(0.0, 1.0))
    legend.set_in_layout(False)  # a long line would widen its column, and there is room beside it
    return axes


def _wrapped(name: str) -> str:
    """A name in lines that fit beside an axis, broken at spaces and underscores."""
    return textwrap.fill(name.replace("_", "_ "), LONGEST_LINE).replace("_ ", "_")


def _label_outside(axes: np.ndarray, names: list[str]) -> None:
    """Names and ticks at the left and at the bottom only, with one range a column."""
    n = len(names)
    for i in range(n):
        axes[-1, i].set_xlabel(names[i])
        if i > 0:
            axes[i, 0].set_ylabel(names[i])
        for j in range(i):
            axes[i, j].set_xlim(axes[-1, j].get_xlim())
            axes[i, j].tick_params(labelbottom=i == n - 1, labelleft=j == 0)
        if i < n - 1:
            axes[i, i].set_xlim(axes[-1, i].get_xlim())
            axes[i, i].tick_params(labelbottom=False)


def _component_handles(result: Any) -> list[Any]:
    shares, shown = result.weights, present(result)
    handles = [key(f"component {k} ({100 * shares[k]:.0f} %)", color=colour(k), **MARK) for k in shown]
    left = len(shares) - len(shown)
    words = f"{left} mostly empty component{'s' * (left > 1)}, not drawn"
    return [*handles, key(words, linestyle="none")] if left else handles


def _mark_handles(result: Any) -> list[Any]:
    handles = [key("50 %, 95 % ellipses", color=INK, linewidth=1.4)]
    if result.n_components > 1:
        handles.insert(0, key("in doubt", color=INK, markerfacecolor="none", **MARK))
    if is_posterior(result):
        handles.append(key(f"{ELLIPSE_DRAWS} posterior draws, 95 %", color=INK, alpha=0.4, linewidth=0.8))
    return handles
