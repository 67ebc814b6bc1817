"""Ways to draw data sets like the one that was fitted: the bootstrap's kinds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bayesgmm.inference.em.refits import DataSet
from bayesgmm.mixture import Mixture


def parametric(fit: Any, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """As many new rows as there are, drawn from the fit (Efron & Tibshirani 1993, section 6.5)."""
    n = fit.observed.n_rows
    return simulated_rows(fit.mixture, n, rng), np.ones(n)


def nonparametric(fit: Any, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """The rows themselves, drawn with replacement as often as they count (Efron 1979)."""
    counts = fit.sample_weight
    return fit.problem.rows, rng.multinomial(int(counts.sum()), counts / counts.sum()).astype(float)


def bayesian(fit: Any, rng: np.random.Generator) -> tuple[NDArray, NDArray]:
    """The rows themselves with Dirichlet(sample_weight) weights, scaled to the same total (Rubin 1981).

    A row of weight 2 moves as two rows do, and any weights will serve.
    """
    gamma = rng.standard_gamma(fit.sample_weight)
    return fit.problem.rows, gamma * (fit.n_rows / gamma.sum())


KINDS: dict[str, Callable[[Any, np.random.Generator], tuple[NDArray, NDArray]]] = {
    kind.__name__: kind for kind in (parametric, nonparametric, bayesian)
}


def check_kind(fit: Any, kind: Any) -> None:
    """Raise a ValueError that names the remedy where a kind is unknown, or cannot serve a fit's weights."""
    if kind not in KINDS:
        raise ValueError(f"Expected kind to be one of {', '.join(KINDS)}; got {kind!r}.")
    if kind == "parametric" and not np.all(fit.sample_weight == 1):
        raise ValueError(
            "Expected an EM fit without sample_weight for kind='parametric', which draws one row for each; "
            "use kind='bayesian', or kind='nonparametric' where weights are whole numbers."
        )
    if kind == "nonparametric" and not np.all(fit.sample_weight == np.round(fit.sample_weight)):
        raise ValueError(
            "Expected sample_weight to be whole numbers for kind='nonparametric', which draws rows as often as they "
            "count; use kind='bayesian'."
        )


def data_sets(
    fit: Any, n_draws: int, seed: int, kind: str, start: Mixture | None = None
) -> Iterator[DataSet]:
    """Data sets in the fit's standardised units, each with starts (C, K', ...); the fit itself if None.

    The i-th is the same whatever ``n_draws`` and ``start``, so that other models can be refitted to the same ones.
    """
    for i in range(n_draws):
        rows, sample_weight = KINDS[kind](fit, np.random.default_rng([seed, i]))
        yield DataSet(rows, sample_weight, fit.draws if start is None else start)


def simulated_rows(mixture: Mixture, n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """``n`` rows (n, D) drawn from a mixture."""
    k, d = mixture.means.shape
    weights = np.exp(mixture.log_weights)
    labels = rng.choice(k, size=n, p=weights / weights.sum())
    tril = np.linalg.cholesky(mixture.structure.dense(mixture.covariances, k, d))
    rows = rng.standard_normal((n, d))
    for j in range(k):
        rows[labels == j] = rows[labels == j] @ tril[j].T + mixture.means[j]
    return rows
