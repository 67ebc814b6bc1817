"""Densities and memberships of few rows under draws of a mixture, on the host: nothing is compiled for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

ABSENT = -1e300  # stands for the log weight of an absent component, whose infinity products cannot take
FEW_CELLS = 4_000_000  # draws x components x rows, which take the host less time than compiling takes


def are_few(draws: Any, rows: NDArray[np.float64]) -> bool:
    """Whether the host had better do it."""
    return draws.log_weights.size * len(rows) <= FEW_CELLS


def log_joint(draws: Any, rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """``log w_k + log N(x | k)`` of standardised rows (N, D): (S, K, N)."""
    structure = draws.structure
    eta, shared = draws.natural()
    eta = np.maximum(eta, ABSENT)
    x = np.ascontiguousarray(rows.T)
    phi, shared_phi = np.asarray(structure.features(x)), np.asarray(structure.shared_features(x))
    return eta @ phi + (shared @ shared_phi)[:, None]


def summarised(draws: Any, rows: NDArray[np.float64], summary: Callable[[Any, Any], Any]) -> Any:
    """What a summary makes of the rows' log densities (S, N) and responsibilities (S, K, N)."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # rows beyond all scales
        logits = log_joint(draws, rows)
        top = logits.max(axis=1, keepdims=True)
        top = np.where(np.isfinite(top), top, 0.0)
        exponentials = np.exp(logits - top)
        total = exponentials.sum(axis=1, keepdims=True)
        return np.asarray(summary((top + np.log(total))[:, 0], exponentials / total))
