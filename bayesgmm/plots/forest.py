"""Credible intervals of the components' parameters, by ArviZ: a panel a quantity, a line a component."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bayesgmm.plots.draws import NAMES, quantities
from bayesgmm.plots.style import PALETTE, style

PROBABILITIES = (0.5, 0.94)
MOST_COLUMNS = 3


def forest(posterior: Any, var_names: Sequence[str] = NAMES) -> Any:
    """Draw posterior means with 50 % (thick) and 94 % (thin) intervals, a panel a quantity in its own units.

    Parameters
    ----------
    posterior : Posterior
    var_names : "weights", "means" or both

    Returns
    -------
    array (quantities,) of matplotlib axes
    """
    import arviz_plots

    tree = quantities(posterior, var_names)
    group = tree["posterior"].to_dataset().expand_dims(column=["forest"])
    names = list(group.data_vars)
    k = posterior.n_components
    with style():
        panels = arviz_plots.PlotCollection.wrap(
            group,
            cols=["__variable__", "column"],
            col_wrap=MOST_COLUMNS,
            backend="matplotlib",
            aes={"y": ["component"], "color": ["component"], "overlay": ["component"]},
            y=list(range(k)),
            color=list(PALETTE),
            figure_kwargs=_figure(len(names), k),
        )
        drawn = arviz_plots.plot_forest(
            tree,
            backend="matplotlib",
            plot_collection=panels,
            combined=True,
            point_estimate="mean",
            ci_kind="eti",
            ci_probs=PROBABILITIES,
            labels=[],
            visuals={
                "ticklabels": False,
                "remove_axis": False,
                "trunk": {"width": 3.5},
                "twig": {"width": 1.3},
                "point_estimate": {"size": 20},
            },
        )
        axes = np.array([drawn.viz["plot"][name].item() for name in names], dtype=object)
        _label(axes, posterior, names)
    return axes


def _figure(n_panels: int, n_components: int) -> dict[str, Any]:
    columns = min(n_panels, MOST_COLUMNS)
    rows = -(-n_panels // columns)
    size = (2.3 * columns + 0.8, rows * (0.28 * n_components + 0.8) + 0.5)
    return {"figsize": size, "figsize_units": "inches", "layout": "constrained"}


def _label(axes: np.ndarray, posterior: Any, names: list[str]) -> None:
    k = posterior.n_components
    for i, (ax, name) in enumerate(zip(axes, names, strict=True)):
        first = i % MOST_COLUMNS == 0
        ax.set(xlabel=name, ylim=(k - 0.5, -0.5))
        ax.set_yticks(range(k), [f"component {j}" if first else "" for j in range(k)])
        ax.grid(axis="x")
        ax.tick_params(left=False)
        ax.spines["left"].set_visible(False)
    title = f"{posterior.observed.name}: posterior means, 50 % and 94 % intervals"
    axes[0].figure.suptitle(title, x=0.01, ha="left", fontsize=11)
