"""From a mixture to a mode, a metric and a weight for gradient-based sampling.

EM's optimum is where to look; Newton then goes to the mode of the very density that will be sampled (the model's
own priors and coordinates), and the Hessian there gives the Laplace approximation ``N(mode, C C')``. Chains run
in coordinates ``u`` with ``theta = mode + C u``, where the posterior is nearly a standard normal, and start at
draws of that approximation rather than at one point.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bayesgmm.inference.gradient.target import Chart, Target, derivatives, gradients

NEWTON_STEPS = 50
SADDLES = 2  # saddles that Newton leaves along their steepest way down before giving up
NUDGE = 0.1
FLOOR = 0.04  # least curvature: no direction is taken to be wider than a standard deviation of 5
LOG_2PI = 1.8378770664093453


class Mode(NamedTuple):
    """Where Newton ended: unconstrained coordinates, a factor C with C C' the inverse Hessian, and how good it is.

    ``definite`` says whether the Hessian was positive definite, so that this is a maximum and no saddle.
    """

    theta: NDArray[np.float64]
    factor: NDArray[np.float64]
    potential: float
    gradient_norm: float
    n_newton: int
    definite: bool

    @property
    def chart(self) -> Chart:
        """The coordinates that whiten it."""
        return Chart(self.theta, self.factor)

    @property
    def log_mass(self) -> float:
        """Log of the posterior mass about the mode by Laplace's method, up to a constant that all modes share."""
        return -self.potential + 0.5 * self.theta.size * LOG_2PI + float(np.linalg.slogdet(self.factor)[1])


def find_mode(target: Target, theta: NDArray[np.float64]) -> Mode:
    """Newton from unconstrained coordinates to the mode near them, past saddles; to be run in float64."""
    steps = 0
    for left in reversed(range(SADDLES + 1)):
        theta, value, gradient, hessian, more = _newton(target, theta)
        steps += more
        values, vectors = np.linalg.eigh(hessian)
        if values[0] > 0 or left == 0:
            break
        theta = theta + NUDGE * vectors[:, 0]
    factor = vectors / np.sqrt(np.maximum(values, FLOOR))
    decrement = float(np.sqrt(np.sum((factor.T @ gradient) ** 2)))
    return Mode(theta, factor, float(value), decrement, steps, bool(values[0] > 0))


def _newton(target: Target, theta: NDArray[np.float64]):
    """Damped Newton with the Hessian's eigenvalues made positive, so that it descends past saddles."""
    value, gradient, hessian = _evaluate(target, theta)
    for step in range(NEWTON_STEPS):
        values, vectors = np.linalg.eigh(hessian)
        direction = -vectors @ ((vectors.T @ gradient) / np.maximum(np.abs(values), FLOOR))
        if -gradient @ direction < 1e-10:
            return theta, value, gradient, hessian, step
        sizes = 0.5 ** np.arange(12)
        lower, _ = gradients(target, theta + sizes[:, None] * direction)
        if not np.any(lower < value):  # no descent left at working precision
            return theta, value, gradient, hessian, step
        theta = theta + sizes[np.argmax(lower < value)] * direction
        value, gradient, hessian = _evaluate(target, theta)
    return theta, value, gradient, hessian, NEWTON_STEPS


def _evaluate(target: Target, theta: NDArray[np.float64]):
    value, gradient, hessian = derivatives(target, theta)
    if not (np.isfinite(value) and np.isfinite(gradient).all() and np.isfinite(hessian).all()):
        raise FloatingPointError(
            "The log joint has no finite derivatives where sampling was to start: give the components a stronger "
            "prior, or another start."
        )
    return float(value), gradient, hessian


def dispersed_starts(
    target: Target, charts: Chart, rng: np.random.Generator
) -> tuple[NDArray, NDArray, NDArray]:
    """Draws of the Laplace approximations: coordinates u (C, P), potential (C,) and gradient in u (C, P).

    A draw where the density is not finite is pulled half-way to the mode until it is.
    """
    u = rng.standard_normal(charts.centre.shape)
    for _ in range(10):
        value, slope = gradients(target, charts.theta(u))
        bad = ~(np.isfinite(value) & np.isfinite(slope).all(axis=1))
        if not bad.any():
            break
        u[bad] *= 0.5
    return u, value, np.einsum("cp,cpq->cq", slope, charts.factor)
