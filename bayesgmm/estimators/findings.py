"""A result as the attributes with an underscore that scikit-learn's users look for."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FEW = 3  # steps below which an engine cannot judge by itself whether it has converged


def findings(result: Any) -> dict[str, Any]:
    """Attributes of a fitted estimator, by name."""
    covariances = np.asarray(result.covariances)
    structure = result.model.structure
    factor = precision_factor(covariances, "feature_bis" in structure.dims)
    found = {
        "weights_": result.weights,
        "means_": result.means,
        "covariances_": covariances,
        "precisions_": structure.invert(covariances).matrix,
        "precisions_cholesky_": factor,
        "n_iter_": result.data["sample_stats"].sizes["draw"] if is_sampled(result) else result.n_steps,
        "converged_": converged(result),
    }
    return found if is_sampled(result) else found | _bounds(result)


def is_sampled(result: Any) -> bool:
    """Whether a result is draws, rather than a maximum that was climbed to."""
    return not hasattr(result, "history")


def converged(result: Any) -> bool:
    """Whether an engine says so: of draws, their diagnostics."""
    return bool(result.diagnostics().ok if is_sampled(result) else result.status.ok)


def _bounds(result: Any) -> dict[str, Any]:
    """What was climbed, step by step: of EM the mean log-likelihood of a row, else the evidence lower bound."""
    rows = result.n_rows if hasattr(result, "log_likelihood") else 1.0
    bounds = np.asarray(result.history) / rows
    return {
        "lower_bound_": float(bounds[-1]),
        "lower_bounds_": bounds[len(bounds) - result.n_steps :].tolist(),
    }


def better(one: Any, other: Any) -> Any:
    """Of two results of one engine, that with the higher bound; the first of those that have none."""
    if other is None or is_sampled(one):
        return one
    return max(one, other, key=lambda result: result.history[-1])


def precision_factor(covariances: NDArray, matrices: bool) -> NDArray:
    """The upper triangular U with precision U U', or the root of the precisions, as scikit-learn keeps it."""
    if not matrices:
        return 1.0 / np.sqrt(covariances)
    return np.swapaxes(np.linalg.inv(np.linalg.cholesky(covariances)), -1, -2)
