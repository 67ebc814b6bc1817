"""Weights, means and standard deviations as a data frame, a row each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas


def parameter_frame(fit: Any, **columns: tuple[Any, Any, Any]) -> pandas.DataFrame:
    """A fit's estimates, and what else is known of them, with columns for the parameter, its component and feature.

    ``columns`` are, by their names, weights (K,), means (K, D) and standard deviations (K, D).
    """
    import pandas

    k, d = fit.means.shape
    estimates = fit.weights, fit.means, np.sqrt(fit.model.structure.variances(fit.covariances, k, d))
    names = fit.observed.feature_names
    rows = [("weight", j, "") for j in range(k)]
    rows += [(parameter, j, name) for parameter in ("mean", "sd") for j in range(k) for name in names]
    frame = pandas.DataFrame(rows, columns=["parameter", "component", "feature"])
    for what, parts in {"estimate": estimates, **columns}.items():
        frame[what] = np.concatenate([np.ravel(part) for part in parts])
    return frame
