"""From an EM fit to a place, a metric and dispersed starts for gradient-based sampling.

EM's optimum is where to look; Newton then goes to the mode of the very density that will be sampled (the model's
own priors and coordinates), and the Hessian there gives the Laplace approximation ``N(mode, C C')``. Chains run
in coordinates ``u`` with ``theta = mode + C u``, where the posterior is nearly a standard normal, and start at
draws of that approximation rather than at one point.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.inference.target import Target, derivatives, gradients
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture

NEWTON_STEPS = 50
FLOOR = 0.04  # least curvature: no direction is taken to be wider than a standard deviation of 5


class WarmStart(NamedTuple):
    """A whitened target, and how good the mode is."""

    target: Target
    potential: float
    gradient_norm: float
    n_newton: int


def warm_start(model: FiniteMixture, rows, mixture: Mixture) -> WarmStart:
    """Newton from a mixture to the mode of ``model`` (resolved, standardised); to be run in float64."""
    target = Target.at(model, rows, model.to_sites(mixture))
    theta, value, gradient, hessian, steps = _newton(target, np.asarray(target.centre))
    values, vectors = np.linalg.eigh(hessian)
    factor = vectors / np.sqrt(np.maximum(values, FLOOR))
    decrement = float(np.sqrt(np.sum((factor.T @ gradient) ** 2)))
    return WarmStart(target.whitened(theta, factor), float(value), decrement, steps)


def _newton(target: Target, theta: NDArray[np.float64]):
    """Damped Newton with the Hessian's eigenvalues made positive, so that it descends past saddles."""
    value, gradient, hessian = _evaluate(target, theta)
    for step in range(NEWTON_STEPS):
        values, vectors = np.linalg.eigh(hessian)
        direction = -vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(values), FLOOR))
        if -gradient @ direction < 1e-10:
            return theta, value, gradient, hessian, step
        for shrink in 0.5 ** np.arange(12):
            trial = _evaluate(target, theta + shrink * direction)
            if trial[0] < value:
                break
        else:  # no descent left at working precision
            return theta, value, gradient, hessian, step
        theta = theta + shrink * direction
        value, gradient, hessian = trial
    return theta, value, gradient, hessian, NEWTON_STEPS


def _evaluate(target: Target, theta: NDArray[np.float64]):
    value, gradient, hessian = derivatives(target, theta)
    if not (np.isfinite(value) and np.isfinite(gradient).all() and np.isfinite(hessian).all()):
        return np.inf, gradient, hessian
    return float(value), gradient, hessian


def dispersed_starts(target: Target, n_chains: int, seed: int) -> tuple[NDArray, NDArray, NDArray]:
    """Draws of the Laplace approximation: coordinates u (n, P), potential (n,) and gradient in u (n, P).

    A draw where the density is not finite is pulled half-way to the mode until it is.
    """
    u = np.random.default_rng([seed, 1]).standard_normal((n_chains, target.centre.size))
    centre, factor = np.asarray(target.centre), np.asarray(target.factor)
    for _ in range(10):
        value, slope = gradients(target, centre + u @ factor.T)
        bad = ~(np.isfinite(value) & np.isfinite(slope).all(axis=1))
        if not bad.any():
            break
        u[bad] *= 0.5
    return u, value, slope @ factor
