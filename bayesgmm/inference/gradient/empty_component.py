"""How much of the posterior has empty components: regions without modes of their own.

Nothing but their prior holds the parameters of a component without rows, so neither EM nor Newton leads there, and
Laplace's method says nothing of it. But with its parameters integrated out the region is the posterior of one
component fewer, times what the weights' prior asks for an empty slot; and of that Laplace's method does tell. So it
is with two empty components, and more.
"""

from __future__ import annotations

import math
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
from bayesgmm.posterior.few_rows import log_joint

MARGIN = 30.0  # nats that a hard, unclimbed fit may lack
DRAWS = 1000, 4  # of which the region's moments are taken: at least, and a coordinate


def labels_without_each(problem: Problem, fit: Mixture) -> list[NDArray[np.intp]]:
    """For each component of the fit (K,) the rows' labels (N,) when it is gone; they keep their numbers."""
    k = fit.means.shape[0]
    joint = log_joint(_one(fit), problem.rows)[0]
    without = np.where(np.eye(k, dtype=bool)[:, :, None], -np.inf, joint)
    return list(without.argmax(axis=1))


class Emptied(NamedTuple):
    """The mode of fewer components, its own target, and the log mass of the region with the others empty.

    ``counts`` (K,) are the rows of each component there, of the last ``n_empty`` none.
    """

    target: Target
    mode: Mode
    counts: NDArray[np.float64]
    n_empty: int
    log_mass: float


def weigh_emptied(problem: Problem, target: Target, fit: Mixture) -> list[Emptied]:
    """The regions where one component holds no rows, two do, ...; log masses on the scale of ``Mode.log_mass``.

    They end where one component fewer explains the rows so much worse that it weighs nothing.
    """
    k, found, left = fit.means.shape[0], [], fit
    allowed = 0.5 * target.size / k * np.log(len(problem.rows)) + MARGIN
    while left.means.shape[0] > 1:
        left, lost = _without_one(problem, left)
        region = None if lost > allowed else _emptied(problem, target, left)
        if region is None:
            break
        found.append(region)
    return found


def _without_one(problem: Problem, fit: Mixture) -> tuple[Mixture, float]:
    """The best hard fit with one component gone, and the nats that it lacks."""
    labels = [each - (each > gone) for gone, each in enumerate(labels_without_each(problem, fit))]
    fewer = mixtures_from_labels(
        fit.structure, problem.rows, np.ones(len(problem.rows)), labels, fit.means.shape[0] - 1
    )
    scores = logsumexp(log_joint(fewer, problem.rows), axis=1).sum(axis=1)
    lost = logsumexp(log_joint(_one(fit), problem.rows), axis=1).sum() - scores.max()
    return fewer.at_draws(np.intp(scores.argmax())), float(lost)


def _emptied(problem: Problem, target: Target, fit: Mixture) -> Emptied | None:
    """The region about a fit of fewer components; None where Newton finds no maximum."""
    model, k = target.model, fit.means.shape[0]
    own, theta = Target.at(
        FiniteMixture(k, model.structure, model.weights, model.components), target.rows, fit
    )
    mode = find_mode(own, theta)
    if not mode.definite:
        return None
    n_empty = model.n_components - k
    counts = np.append(len(problem.rows) * np.exp(fit.log_weights), np.zeros(n_empty))
    prior = _weights_prior(model)
    empty = prior.log_evidence(counts, {}) - prior.log_evidence(counts[:k], {})
    # Numberings that differ in the empty components alone are one region, where those of a mode are K! of them.
    log_mass = mode.log_mass + float(empty) - math.lgamma(n_empty + 1)
    return Emptied(own, mode, counts, n_empty, log_mass)


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
    theta = labellings.extended(own, others, alone, log_weights[:, -emptied.n_empty :])
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
