"""The posterior of a number (of clusters, of components): probabilities, Monte Carlo errors, and the prior beside."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PRIOR_DRAWS = 20_000


def count_table(drawn: NDArray, prior: NDArray[np.float64], name: str) -> Any:
    """Table by the number: ``probability``, its Monte Carlo standard error ``mcse``, and ``prior``.

    Parameters
    ----------
    drawn : (chains, draws) of the number, from 1
    prior : (K,) probability of 1, 2, ...
    name : of the number
    """
    import pandas as pd

    numbers = np.arange(1, max(len(prior), int(drawn.max())) + 1)
    share = np.array([np.mean(drawn == k) for k in numbers])
    errors = np.array([_mcse(drawn == k) for k in numbers])
    before = np.zeros(len(numbers))
    before[: len(prior)] = prior
    index = pd.Index(numbers, name=name)
    return pd.DataFrame({"probability": share, "mcse": errors, "prior": before}, index=index)


def _mcse(indicator: NDArray[np.bool_]) -> float:
    """Monte Carlo standard error of a share.

    Where it never varied, the error is not zero: one draw in S is what could have been missed.
    """
    import arviz_stats

    if indicator.min() == indicator.max():
        return 1.0 / indicator.size
    return float(arviz_stats.mcse(indicator.astype(float), method="mean"))


def prior_n_clusters(
    model: Any, n_rows: int, n_draws: int = PRIOR_DRAWS, seed: int = 0
) -> NDArray[np.float64]:
    """Probability (K,) of 1, ..., K occupied components among N rows before any is seen, by simulation."""
    k = model.n_components
    drawn = model.weights.prior_n_clusters(np.random.default_rng(seed), k, n_rows, n_draws)
    return np.bincount(drawn, minlength=k + 1)[1:] / n_draws
