"""Whether rows lie farther from the centre of their component than those of a Gaussian do."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray
from scipy.special import softmax

from bayesgmm.inference.em.degeneracy import floor_of, without_spikes
from bayesgmm.inference.em.em import em_settings
from bayesgmm.inference.em.refits import DataSet, refit_many
from bayesgmm.inference.em.resampling import simulated_rows
from bayesgmm.inference.em.result import EMResult
from bayesgmm.mixture import Mixture
from bayesgmm.posterior.posterior import Posterior
from bayesgmm.random_state import as_seed


@dataclasses.dataclass(frozen=True, eq=False)
class TailCheck:
    """Mardia's kurtosis within components, relative to a Gaussian's: 1 where the model is right, more for heavy tails.

    Attributes
    ----------
    fit : by EM, or a posterior
    kurtosis : of the rows; (S,) under each draw of a posterior
    drawn : (S,) of data sets drawn from the fit, each refitted; or of one from each draw of the posterior, under it
    """

    fit: Any
    kurtosis: Any
    drawn: Float64[np.ndarray, " S"]

    @property
    def p_value(self) -> float:
        """Share of the data sets drawn whose tails are as heavy, the rows' own counted among them."""
        return float((np.sum(self.drawn >= self.kurtosis) + 1) / (self.drawn.size + 1))


def tail_check(em: EMResult, *, n_draws: int = 99, random_state: Any = 0) -> TailCheck:
    """Compare the tails within the components of a fit with those of data sets drawn from it and refitted.

    The statistic is Mardia's (1970) multivariate kurtosis, each row shared among the components by its
    responsibilities; the bootstrap is parametric (Efron & Tibshirani 1993, section 6.5), so that what fitting takes
    away from the tails is taken away from both.

    Parameters
    ----------
    em : fit by EM, all rows of weight 1
    n_draws : data sets
    random_state : int, numpy Generator or JAX key
    """
    problem, seed = em.problem, as_seed(random_state)
    n = em.observed.n_rows

    def drawn(i: int) -> NDArray[np.float64]:
        return simulated_rows(em.mixture, n, np.random.default_rng([seed, i, 7]))

    found = refit_many(
        (DataSet(drawn(i), np.ones(n), em.draws) for i in range(n_draws)),
        None,
        em_settings(em.engine, problem),
        lambda mixtures: without_spikes(mixtures, problem, floor_of(em.engine, problem)),
    )
    sound = np.flatnonzero(np.isfinite(found.objective))
    values = [kurtosis_within(found.mixture.at_draws(i), drawn(int(i))) for i in sound]
    return TailCheck(em, kurtosis_within(em.mixture, problem.rows, em.sample_weight), np.array(values))


def posterior_tail_check(posterior: Posterior, *, n_draws: int = 199, random_state: Any = 0) -> TailCheck:
    """Compare the tails within the components of a posterior's draws with those of data sets drawn from them.

    A posterior predictive check (Gelman, Meng & Stern 1996) of the same statistic under each draw's own parameters, so
    that nothing is refitted. The rows are used twice, which makes the p-value too near one half, never too small.

    Parameters
    ----------
    posterior : of rows without weights
    n_draws : of the posterior, each with a data set
    random_state : int, numpy Generator or JAX key
    """
    rows = posterior.standardisation.forward(np.asarray(posterior.observed.rows))
    rng = np.random.default_rng([as_seed(random_state), 8])
    s = posterior.draws.log_weights.shape[0]
    observed, drawn = np.empty(n_draws), np.empty(n_draws)
    for i, draw in enumerate(np.linspace(0, s - 1, n_draws).round().astype(int)):
        one = jax.tree.map(np.asarray, posterior.draws.at_draws(draw))
        one = one.permute(np.flatnonzero(np.isfinite(one.log_weights)))
        observed[i] = kurtosis_within(one, rows)
        drawn[i] = kurtosis_within(one, simulated_rows(one, len(rows), rng))
    return TailCheck(posterior, observed, drawn)


def kurtosis_within(
    mixture: Mixture, rows: Float64[np.ndarray, "N D"], sample_weight: Float64[np.ndarray, " N"] | None = None
) -> float:
    """Mean fourth power of the Mahalanobis distance from the own component, over the D (D + 2) of a Gaussian.

    Distances are in units of each component's own mean square, as they are at a maximum of the likelihood: a draw's
    covariance that is too small makes no tails.
    """
    mixture = jax.tree.map(np.asarray, mixture)
    k, d = mixture.means.shape
    dense = mixture.structure.dense(mixture.covariances, k, d)
    tril = np.linalg.cholesky(dense)
    squared = np.stack(
        [np.sum(np.linalg.solve(tril[j], (rows - mixture.means[j]).T) ** 2, axis=0) for j in range(k)]
    )
    log_det = np.log(np.diagonal(tril, axis1=1, axis2=2)).sum(axis=1)
    share = softmax(mixture.log_weights[:, None] - log_det[:, None] - 0.5 * squared, axis=0)
    share = share if sample_weight is None else share * sample_weight
    rows_in = share.sum(axis=1)
    held = rows_in > 0
    second = np.sum(share * squared, axis=1)[held] / rows_in[held] / d
    fourth = np.sum(share * squared**2, axis=1)[held] / (d * (d + 2))
    return float(np.sum(fourth / second**2) / rows_in.sum())
