"""Information criteria: pure formulas of a maximised likelihood. Smaller is better in all of them.

``CRITERIA`` is the list that ``select`` shows and ranks by: a criterion more is one line there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

HIGHER_IS_BETTER = False


def aic(log_likelihood: float, n_parameters: int) -> float:
    """``-2 log L + 2 p`` (Akaike 1974)."""
    return -2.0 * log_likelihood + 2.0 * n_parameters


def aicc(log_likelihood: float, n_parameters: int, n_rows: float) -> float:
    """AIC plus ``2 p (p + 1) / (n - p - 1)``, for few rows (Hurvich & Tsai 1989); infinite from p = n - 1 on."""
    spare = n_rows - n_parameters - 1
    correction = 2.0 * n_parameters * (n_parameters + 1) / spare if spare > 0 else math.inf
    return aic(log_likelihood, n_parameters) + correction


def bic(log_likelihood: float, n_parameters: int, n_rows: float) -> float:
    """``-2 log L + p log n`` (Schwarz 1978), as in scikit-learn; mclust prints the negative."""
    return -2.0 * log_likelihood + n_parameters * math.log(n_rows)


def entropy(responsibilities: NDArray[np.float64], sample_weight: NDArray[np.float64] | None = None) -> float:
    """Entropy of the classification, ``-sum_nk r log r``, in nats; responsibilities (N, K)."""
    r = np.asarray(responsibilities)
    terms = -np.sum(r * np.log(np.where(r > 0, r, 1.0)), axis=1)
    return float(terms.sum() if sample_weight is None else terms @ sample_weight)


def surprise(
    responsibilities: NDArray[np.float64], sample_weight: NDArray[np.float64] | None = None
) -> float:
    """``-sum_n log max_k r_nk`` in nats: the hard classification's share of what :func:`entropy` measures."""
    terms = -np.log(np.max(responsibilities, axis=1))
    return float(terms.sum() if sample_weight is None else terms @ sample_weight)


def icl(
    bic: float, responsibilities: NDArray[np.float64], sample_weight: NDArray[np.float64] | None = None
) -> float:
    """BIC plus twice the classification's entropy (Biernacki, Celeux & Govaert 2000; McLachlan & Peel 2000, 6.10).

    :func:`icl_map` uses the hard classification instead.
    """
    return icl_of_entropy(bic, entropy(responsibilities, sample_weight))


def icl_of_entropy(bic: float, entropy: float) -> float:
    """:func:`icl` where the classification's entropy is known."""
    return bic + 2.0 * entropy


def icl_map(
    bic: float, responsibilities: NDArray[np.float64], sample_weight: NDArray[np.float64] | None = None
) -> float:
    """``bic - 2 sum_n log max_k r_nk``: ICL of the hard classification, the negative of what mclust prints.

    (Biernacki, Celeux & Govaert 2000, equation 9.) Never above :func:`icl`.
    """
    return bic + 2.0 * surprise(responsibilities, sample_weight)


def nec(log_likelihood: float, log_likelihood_of_one: float, entropy: float) -> float:
    """``entropy / (log L - log L of one component)`` (Celeux & Soromenho 1996).

    One component has the value 1 (Biernacki, Celeux & Govaert 1999), so that more are preferred only below it. It
    asks how well clusters separate, not how well the density fits.
    """
    if log_likelihood == log_likelihood_of_one:
        return 1.0
    gain = log_likelihood - log_likelihood_of_one
    return entropy / gain if gain > 0 else math.inf


class Criterion(NamedTuple):
    """A criterion of a :class:`bayesgmm.criteria.maximum.Maximum`, its name in print, and what it is.

    ``close`` is a difference from the lowest that does not rule a model out: 6 on the scale of BIC ("strong" from there
    on, Kass & Raftery 1995), 4 on that of AIC (Burnham & Anderson 2002); 0 where there is no scale. ``counts`` says
    whether it asks for components, which the density needs, or for clusters, which can be told apart.
    """

    label: str
    formula: Callable[[Any], float]
    words: str
    close: float
    counts: str = "components"
    digits: int = 2


CRITERIA: dict[str, Criterion] = {
    "aic": Criterion("AIC", lambda m: aic(m.log_likelihood, m.n_parameters), "-2 log L + 2 p", 4.0),
    "aicc": Criterion(
        "AICc", lambda m: aicc(m.log_likelihood, m.n_parameters, m.n_rows), "AIC corrected for few rows", 4.0
    ),
    "bic": Criterion(
        "BIC", lambda m: bic(m.log_likelihood, m.n_parameters, m.n_rows), "-2 log L + p log n", 6.0
    ),
    "icl": Criterion(
        "ICL",
        lambda m: icl_of_entropy(m.bic, m.entropy),
        "BIC plus twice the classification's entropy",
        6.0,
        "clusters",
    ),
    "icl_map": Criterion(
        "ICL (MAP)",
        lambda m: m.bic + 2.0 * m.surprise,
        "BIC - 2 sum log of the largest responsibility",
        6.0,
        "clusters",
    ),
    "nec": Criterion(
        "NEC",
        lambda m: nec(m.log_likelihood, m.log_likelihood_of_one, m.entropy),
        "entropy over the gain on one component, whose value is 1",
        0.0,
        "clusters",
        digits=4,
    ),
}
