"""How much of the posterior has an empty component: a region without a mode of its own.

Nothing but their prior holds the parameters of a component without rows, so neither EM nor Newton leads there, and
Laplace's method says nothing of it. But with its parameters integrated out the region is the posterior of one
component fewer, times what the weights' prior asks for an empty slot; and of that Laplace's method does tell.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from bayesgmm.inference.gradient.labellings import Labellings
from bayesgmm.inference.gradient.target import Chart, Target, prior_coordinates
from bayesgmm.inference.gradient.warm_start import Mode, find_mode
from bayesgmm.inference.problem import Problem
from bayesgmm.inference.start import mixtures_from_labels
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture
from bayesgmm.posterior.diagnostics import log_joint

MARGIN = 30.0  # nats that a hard, unclimbed fit may lack
DRAWS = 1000, 4  # of which the region's moments are taken: at least, and a coordinate


def labels_without_each(problem: Problem, fit: Mixture) -> list[NDArray[np.intp]]:
    """For each component of the fit (K,) the rows' labels (N,) when it is gone; they keep their numbers."""
    k = fit.means.shape[0]
    joint = log_joint(_one(fit), problem.rows)[0]
    without = np.where(np.eye(k, dtype=bool)[:, :, None], -np.inf, joint)
    return list(without.argmax(axis=1))


class Emptied(NamedTuple):
    """The mode of one component fewer, its own target, and the log mass of the region with the other one empty.

    ``counts`` (K,) are the rows of each component there, of the last none.
    """

    target: Target
    mode: Mode
    counts: NDArray[np.float64]
    log_mass: float


def weigh_emptied(problem: Problem, target: Target, fit: Mixture) -> Emptied | None:
    """The region where one component holds no rows, its log mass on the scale of ``Mode.log_mass``.

    None where one component fewer explains the rows so much worse that it weighs nothing.
    """
    model, (n, k) = target.model, (len(problem.rows), fit.means.shape[0])
    if k == 1:
        return None
    labels = [each - (each > gone) for gone, each in enumerate(labels_without_each(problem, fit))]
    fewer = mixtures_from_labels(fit.structure, problem.rows, np.ones(n), labels, k - 1)
    scores = logsumexp(log_joint(fewer, problem.rows), axis=1).sum(axis=1)
    lost = logsumexp(log_joint(_one(fit), problem.rows), axis=1).sum() - scores.max()
    if lost > 0.5 * target.size / k * np.log(n) + MARGIN:
        return None
    best = fewer.at_draws(np.intp(scores.argmax()))
    own, theta = Target.at(
        FiniteMixture(k - 1, model.structure, model.weights, model.components), target.rows, best
    )
    mode = find_mode(own, theta)
    if not mode.definite:
        return None
    counts = np.append(n * np.exp(best.log_weights), 0.0)
    prior = _weights_prior(model)
    empty = prior.log_evidence(counts, {}) - prior.log_evidence(counts[:-1], {})
    return Emptied(own, mode, counts, mode.log_mass + float(empty))


def chart_of_emptied(
    target: Target, labellings: Labellings, emptied: Emptied, rng: np.random.Generator
) -> Chart | None:
    """A normal approximation of the region: moments of draws of the others' Laplace approximation and of the prior.

    None where the prior's draws are too extreme for floating point, and few are left.
    """
    own, mode = emptied.target, emptied.mode
    n = max(DRAWS[0], DRAWS[1] * target.size)
    others = mode.theta + rng.standard_normal((n, mode.theta.size)) @ mode.factor.T
    alone = prior_coordinates(target, int(rng.integers(2**31)), n)
    log_weights = _weights_prior(target.model).draw_factor(rng, emptied.counts, {}, n)[0]
    theta = labellings.extended(own, others, alone, log_weights[:, -1])
    theta = theta[np.isfinite(theta).all(axis=1)]
    if len(theta) < 2 * target.size:
        return None
    return Chart(theta.mean(axis=0), np.linalg.cholesky(np.cov(theta, rowvar=False)))


def _weights_prior(model: FiniteMixture) -> Any:
    """The weights' prior at a typical value of what is random in it."""
    return model.weights.at(model.weights.initial_state())


def _one(fit: Mixture) -> Mixture:
    return Mixture(
        fit.structure, *(np.asarray(a)[None] for a in (fit.log_weights, fit.means, fit.covariances))
    )
