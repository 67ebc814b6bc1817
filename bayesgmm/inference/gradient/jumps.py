"""Jumps between the regions of a posterior that trajectories seldom cross: its modes, and an empty component.

Between two chunks every chain draws points from the approximations of all regions and goes to one of them, or
stays, by importance weights: iterated sampling importance resampling (Andrieu, Lee & Vihola 2018), which leaves the
posterior as it is whatever the approximations are; where they are bad, chains only stay.

The posterior does not tell one numbering of the components from another, but the approximations do. So their density
is summed over all numberings, and chains keep theirs: of the K! images of a point there is one that the approximations
like best, and a chain that is the g-th image of its own best one jumps to the g-th image of the new. Each numbering is
thus a posterior of its own, on which the move is exact.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from bayesgmm.inference.gradient.labellings import Labellings
from bayesgmm.inference.gradient.regions import Regions
from bayesgmm.inference.gradient.target import Target, gradients

TRIES = 24  # points that a chain may go to, each time: with 8, chains on iris were caught in one seed of ten


class Jumps:
    """The move, for one target and its regions."""

    def __init__(self, target: Target, regions: Regions, labellings: Labellings) -> None:
        self.target, self.regions, self.labellings = target, regions, labellings

    def __call__(
        self, theta: Float[NDArray, "c p"], potential: Float[NDArray, " c"], rng: np.random.Generator
    ) -> Float[NDArray, "c p"]:
        """Where the chains are afterwards; those that stay, to the digit. To be run in float64."""
        c, p = theta.shape
        tried = self.regions.draw(rng, c * TRIES)
        value, _ = gradients(self.target, tried)
        points = np.concatenate([theta[:, None], tried.reshape(c, TRIES, p)], axis=1)
        values = np.concatenate([potential[:, None], value.reshape(c, TRIES)], axis=1)
        log_q, best = (a.reshape(c, TRIES + 1) for a in self.log_proposal(points.reshape(-1, p)))
        weights = np.where(np.isfinite(values), -values, -np.inf) - log_q
        chosen = np.argmax(weights + rng.gumbel(size=weights.shape), axis=1)
        chains, orders = np.arange(c), self.labellings.orders
        own, new = orders[best[:, 0]], orders[best[chains, chosen]]
        order = np.take_along_axis(new, np.argsort(own, axis=1), axis=1)
        there = self.labellings.apply(points[chains, chosen], order)
        return np.where((chosen > 0)[:, None], there, theta)

    def log_proposal(self, theta: Float[NDArray, "n p"]) -> tuple[Float[NDArray, " n"], NDArray[np.intp]]:
        """Log density of proposals, summed over all numberings, and the numbering (N,) that they like best."""
        images, log_jacobian = self.labellings.images(theta)
        densities = self.regions.log_densities(images.reshape(-1, theta.shape[1]))
        each = np.logaddexp.reduce(densities, axis=1).reshape(log_jacobian.shape) + log_jacobian
        return np.logaddexp.reduce(each, axis=0), each.argmax(axis=0)
