"""How much of the posterior has an empty component: a region without a mode of its own.

Nothing but their prior holds the parameters of a component without rows, so neither EM nor Newton leads there, and
Laplace's method says nothing of it. But with its parameters integrated out the region is the posterior of one
component fewer, times what the weights' prior asks for an empty slot; and of that Laplace's method does tell.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from bayesgmm.inference.gradient.target import Target
from bayesgmm.inference.gradient.warm_start import find_mode
from bayesgmm.inference.problem import Problem
from bayesgmm.inference.start import mixtures_from_labels
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture
from bayesgmm.posterior.diagnostics import log_joint

MARGIN = 30.0  # nats that a hard, unclimbed fit may lack


def labels_without_each(problem: Problem, fit: Mixture) -> list[NDArray[np.intp]]:
    """For each component of the fit (K,) the rows' labels (N,) when it is gone; they keep their numbers."""
    k = fit.means.shape[0]
    joint = log_joint(_one(fit), problem.rows)[0]
    without = np.where(np.eye(k, dtype=bool)[:, :, None], -np.inf, joint)
    return list(without.argmax(axis=1))


def log_mass_of_emptied(problem: Problem, target: Target, fit: Mixture) -> float:
    """Log of the posterior mass where one component holds no rows, on the scale of ``Mode.log_mass``.

    Minus infinity where one component fewer explains the rows so much worse that it weighs nothing.
    """
    model, (n, k) = target.model, (len(problem.rows), fit.means.shape[0])
    if k == 1:
        return -np.inf
    labels = [each - (each > gone) for gone, each in enumerate(labels_without_each(problem, fit))]
    fewer = mixtures_from_labels(fit.structure, problem.rows, np.ones(n), labels, k - 1)
    scores = logsumexp(log_joint(fewer, problem.rows), axis=1).sum(axis=1)
    lost = logsumexp(log_joint(_one(fit), problem.rows), axis=1).sum() - scores.max()
    if lost > 0.5 * target.size / k * np.log(n) + MARGIN:
        return -np.inf
    best = fewer.at_draws(np.intp(scores.argmax()))
    own, theta = Target.at(
        FiniteMixture(k - 1, model.structure, model.weights, model.components), target.rows, best
    )
    mode = find_mode(own, theta)
    counts = n * np.exp(best.log_weights)
    prior = model.weights.at(model.weights.initial_state())
    empty = prior.log_evidence(np.append(counts, 0.0), {}) - prior.log_evidence(counts, {})
    return mode.log_mass + float(empty) if mode.definite else -np.inf


def _one(fit: Mixture) -> Mixture:
    return Mixture(
        fit.structure, *(np.asarray(a)[None] for a in (fit.log_weights, fit.means, fit.covariances))
    )
