"""The Laplace approximation of a problem's posterior, for guides to begin at."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from bayesgmm.compiled import compiled
from bayesgmm.covariances import Array
from bayesgmm.float64 import to_device
from bayesgmm.inference.em.em import EM, fit_many
from bayesgmm.inference.em.result import EMResult
from bayesgmm.inference.gibbs.chain_starts import em_start
from bayesgmm.inference.gradient.target import Target
from bayesgmm.inference.gradient.warm_start import find_mode
from bayesgmm.inference.problem import Problem
from bayesgmm.inference.svi.elbo import Anchor
from bayesgmm.mixture import Mixture
from bayesgmm.posterior.posterior import Posterior
from bayesgmm.row_blocks import make_rows

MOST_ROWS = 20_000  # rows from which the curvature is taken; more would say no more of it


class Laplace(NamedTuple):
    """``N(centre, covariance)`` in the program's unconstrained coordinates (P), sites in the order of their names."""

    centre: Array
    covariance: Array

    @property
    def scale_tril(self) -> Array:
        """The covariance's Cholesky factor (P, P)."""
        return jnp.linalg.cholesky(self.covariance)

    @property
    def conditional_scales(self) -> Array:
        """Standard deviation (P,) of each coordinate given the others."""
        return 1.0 / jnp.sqrt(jnp.diagonal(jnp.linalg.inv(self.covariance)))


def em_fit(problem: Problem) -> EMResult:
    """The EM fit to begin at: the caller's (or his posterior's), one from his mixture or labels, or one of our own."""
    given = problem.start
    if isinstance(given, Posterior) and not hasattr(given, "mixture"):
        given = given.start
        problem = dataclasses.replace(problem, start=given)
    if given is None or isinstance(given, EMResult):
        return em_start(problem)
    conjugate = problem.model.components.conjugate and not problem.model.weights.overfits
    engine = EM(objective="posterior" if conjugate else "likelihood", moves=0)
    own = problem.for_em()
    return fit_many(own, [own.model], engine)[0]


def start_mixture(problem: Problem, start: EMResult) -> Mixture:
    """The EM fit in standardised units; slots it has none for are copies that hold about one row together."""
    if start.n_components == problem.model.n_components or not problem.model.weights.overfits:
        return dataclasses.replace(problem, start=start).start_mixture()
    slots, k = problem.model.n_components, start.n_components
    fitted = dataclasses.replace(problem, start=start, model=start.model).start_mixture()
    padded = fitted.permute(np.minimum(np.arange(slots), k - 1))
    spare = 1.0 / (len(problem.rows) * (slots - k))
    weights = np.where(np.arange(slots) < k, np.exp(padded.log_weights), spare)
    return Mixture(padded.structure, np.log(weights / weights.sum()), padded.means, padded.covariances)


def laplace(problem: Problem, target: Target, theta: NDArray[np.float64]) -> Laplace:
    """Newton from unconstrained coordinates to the mode, and the curvature there; to be run in float64.

    Of more than 20 000 rows the curvature is taken from a sample of so many, its covariance shrunk to the whole, and
    the centre is where it began: there the optimum of EM on all rows is nearer the mode than that of any sample.
    """
    n = len(problem.rows)
    if n <= MOST_ROWS:
        mode = find_mode(target, theta)
        return Laplace(mode.theta, mode.factor @ mode.factor.T)
    sample, _ = problem.sample_rows(MOST_ROWS, np.random.default_rng([problem.seed, 5]))
    part = to_device(make_rows(sample, target.model.structure))
    mode = find_mode(Target(target.model, part, target.sites), theta)
    return Laplace(theta, mode.factor @ mode.factor.T * (len(sample) / n))


@compiled
def anchor(target: Target, theta: Array) -> Anchor:
    """The log joint of all rows and its gradient at unconstrained coordinates."""
    value, slope = jax.value_and_grad(target.potential)(theta)
    return Anchor(theta, -value, -slope, target.sites)
