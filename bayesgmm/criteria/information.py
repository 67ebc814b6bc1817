"""Information criteria: pure formulas of a maximised likelihood. All are on the deviance scale, smaller is better."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

HIGHER_IS_BETTER = False


def aic(log_likelihood: float, n_parameters: int) -> float:
    """``-2 log L + 2 p`` (Akaike 1974)."""
    return -2.0 * log_likelihood + 2.0 * n_parameters


def bic(log_likelihood: float, n_parameters: int, n_rows: float) -> float:
    """``-2 log L + p log n`` (Schwarz 1978), as in scikit-learn; mclust prints the negative."""
    return -2.0 * log_likelihood + n_parameters * math.log(n_rows)


def entropy(responsibilities: NDArray[np.float64], sample_weight: NDArray[np.float64] | None = None) -> float:
    """Entropy of the classification, ``-sum_nk r log r``, in nats; responsibilities (N, K)."""
    r = np.asarray(responsibilities)
    terms = -np.sum(r * np.log(np.where(r > 0, r, 1.0)), axis=1)
    return float(terms.sum() if sample_weight is None else terms @ sample_weight)


def icl(
    bic: float, responsibilities: NDArray[np.float64], sample_weight: NDArray[np.float64] | None = None
) -> float:
    """BIC plus twice the classification's entropy (Biernacki, Celeux & Govaert 2000; McLachlan & Peel 2000, 6.10).

    mclust's ICL uses the hard classification instead: ``bic - 2 sum_n log max_k r_nk``.
    """
    return icl_of_entropy(bic, entropy(responsibilities, sample_weight))


def icl_of_entropy(bic: float, entropy: float) -> float:
    """:func:`icl` where the classification's entropy is known."""
    return bic + 2.0 * entropy
