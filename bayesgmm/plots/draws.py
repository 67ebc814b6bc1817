"""Relabelled draws as ArviZ's figures want them: one variable a quantity, so that every panel has one unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

NAMES = ("weights", "means")


def quantities(posterior: Any, var_names: Sequence[str]) -> Any:
    """An ArviZ tree with variables ``weight`` and ``mean of <feature>``, (chain, draw, component) each.

    The weight of an only component is always 1 and left out.
    """
    import xarray as xr

    if not hasattr(posterior, "data"):
        raise TypeError(
            f"Expected a posterior, from an engine such as NUTS(); got {type(posterior).__name__}."
        )
    wanted = [var_names] if isinstance(var_names, str) else list(var_names)
    unknown = [name for name in wanted if name not in NAMES]
    if unknown or not wanted:
        raise ValueError(
            f"Expected var_names among {', '.join(map(repr, NAMES))}; got {unknown or wanted!r}."
        )
    group = posterior.data["posterior"]
    found = {}
    for name in wanted:
        if name == "weights" and posterior.n_components > 1:
            found["weight"] = group["weights"]
        elif name == "means":
            for feature in posterior.observed.feature_names:
                found[f"mean of {feature}"] = group["means"].sel(feature=feature, drop=True)
    if not found:
        raise ValueError("One component has no weight to draw: it is always 1. Draw var_names=['means'].")
    groups = {"posterior": xr.Dataset(found)}
    stats = posterior.data["sample_stats"]
    if "diverging" in stats:  # of samplers that follow the gradient only
        groups["sample_stats"] = xr.Dataset({"diverging": stats["diverging"]})
    return xr.DataTree.from_dict(groups)
