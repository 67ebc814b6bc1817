"""Densities and traces of the relabelled draws, by ArviZ: a colour a component, a line a chain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from bayesgmm.plots.draws import NAMES, quantities
from bayesgmm.plots.style import PALETTE, colour, key, style


def trace(posterior: Any, var_names: Sequence[str] = NAMES) -> Any:
    """Draw the density (left) and the trace (right) of weights and means, every chain by itself.

    Chains that have converged lie on each other. Divergent transitions are ticked at the foot of the panels.

    Parameters
    ----------
    posterior : Posterior
    var_names : "weights", "means" or both

    Returns
    -------
    array (quantities, 2) of matplotlib axes
    """
    import arviz_plots

    tree = quantities(posterior, var_names)
    n = len(tree["posterior"].data_vars)
    with style():
        drawn = arviz_plots.plot_trace_dist(
            tree,
            backend="matplotlib",
            aes={"color": ["component"]},
            color=list(PALETTE),
            visuals={"trace": {"width": 0.7, "alpha": 0.7}, "label": False, "xlabel_trace": False},
            figure_kwargs={
                "figsize": (7.4, 1.5 * n + 0.9),
                "figsize_units": "inches",
                "layout": "constrained",
            },
        )
        panels = drawn.viz["plot"]
        axes = np.array([list(panels[name].values) for name in tree["posterior"].data_vars], dtype=object)
        _label(axes, posterior, list(tree["posterior"].data_vars))
    return axes


def _label(axes: np.ndarray, posterior: Any, names: list[str]) -> None:
    for (density, path), name in zip(axes, names, strict=True):
        density.set(title=name, xlabel="", ylabel="")
        path.set(title=name, xlabel="", ylabel="")
        path.spines[["top", "right"]].set_visible(False)
        for line in path.lines:
            line.set_rasterized(True)  # thousands of draws would make a vector file huge
        path.margins(x=0)
    axes[-1, 1].set_xlabel("draw")
    chains = posterior.data["posterior"].sizes["chain"]
    figure = axes[0, 0].figure
    figure.suptitle(f"{posterior.observed.name}: {chains} chains", x=0.01, ha="left", fontsize=11)
    handles = [key(f"component {k}", color=colour(k)) for k in range(posterior.n_components)]
    figure.legend(handles=handles, loc="outside lower center", ncols=5)
