"""The posterior of the number of components from evidences, P(K | x) proportional to p(K) p(x | K)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from bayesgmm.criteria.evidence import Evidence
from bayesgmm.models.weights.number_prior import NumberPrior

if TYPE_CHECKING:
    import pandas


def k_posterior(evidences: Any, prior: Any = None) -> pandas.DataFrame:
    """Posterior of K from the evidence of each K, to be set beside ``Posterior.n_components_table``.

    The two answer the same question where the component prior is the same for every K, as Richardson & Green's is;
    :class:`.NormalInverseWishart` left to its defaults is not, since its scale is divided by K^(2/D).

    Parameters
    ----------
    evidences : one for each K, all of the same rows and structure
    prior : of K: one such as ``weights.uniform(30)``, or a mapping of K to its probability; None is uniform over the
        given K. Only the given K share the posterior; what the prior has beyond them is told in
        ``table.attrs["prior_left_out"]``, and what the evidences warn of in ``table.attrs["warnings"]``.

    Returns
    -------
    table : by K: ``log_evidence``, ``standard_error``, ``probability``, its Monte Carlo error ``mcse`` and ``prior``

    Raises
    ------
    TypeError, ValueError
        If there are no evidences, two are of one K, rows or structures differ, or the prior excludes every K.
    """
    import pandas as pd

    found = sorted(_checked(evidences), key=lambda e: e.n_components)
    numbers = np.array([e.n_components for e in found])
    logs = np.array([e.log_evidence for e in found])
    errors = np.array([e.standard_error for e in found])
    before = _prior(prior, numbers)
    if not before.sum() > 0:
        raise ValueError(
            f"Expected a prior with some mass on K = {', '.join(map(str, numbers))}; it has none."
        )
    with np.errstate(divide="ignore"):
        scores = np.log(before) + logs
    share = np.exp(scores - scores.max())
    share /= share.sum()
    columns = {
        "log_evidence": logs,
        "standard_error": errors,
        "probability": share,
        "mcse": _errors(share, errors),
        "prior": before / before.sum(),
    }
    table = pd.DataFrame(columns, index=pd.Index(numbers, name="n_components"))
    table.attrs["prior_left_out"] = max(0.0, 1.0 - float(before.sum()))
    table.attrs["warnings"] = [
        f"evidence of K = {e.n_components}: {words}" for e in found for words in e.warnings
    ]
    return table


def _errors(share: Float[np.ndarray, " k"], errors: Float[np.ndarray, " k"]) -> NDArray[np.float64]:
    """Standard errors of shares from those of the logarithms they are made of, to first order."""
    slopes = share[:, None] * (np.eye(len(share)) - share)
    return np.sqrt((slopes**2) @ errors**2)


def _prior(prior: Any, numbers: NDArray[np.integer]) -> NDArray[np.float64]:
    if prior is None:
        return np.full(len(numbers), 1.0 / len(numbers))
    if isinstance(prior, NumberPrior):
        inside = prior.probabilities / prior.probabilities.sum()
        return np.array([inside[k - 1] if k <= len(inside) else 0.0 for k in numbers])
    if isinstance(prior, Mapping):
        values = np.array([float(prior.get(int(k), 0.0)) for k in numbers])
        if not (np.all(np.isfinite(values)) and np.all(values >= 0)):
            raise ValueError(f"Expected probabilities of at least 0 in prior; got {dict(prior)!r}.")
        return values / max(1.0, sum(map(float, prior.values())))
    raise TypeError(
        f"Expected prior to be one such as models.weights.uniform(30), a mapping or None; got {prior!r}."
    )


def _checked(evidences: Any) -> list[Evidence]:
    found = list(evidences) if isinstance(evidences, Iterable) else []
    if not found or not all(isinstance(e, Evidence) for e in found):
        raise TypeError(
            "Expected evidences, as log_evidence returns them, one for each K; got others, or none."
        )
    for what, values in (
        ("the same rows", {e.rows_digest for e in found}),
        ("one covariance structure", {e.covariance_type for e in found}),
    ):
        if len(values) > 1:
            raise ValueError(f"Expected evidences of {what}; these differ, so they share no posterior of K.")
    numbers = [e.n_components for e in found]
    twice = {k for k in numbers if numbers.count(k) > 1}
    if twice:
        raise ValueError(f"Expected one evidence a K; got two of K = {min(twice)}.")
    return found
