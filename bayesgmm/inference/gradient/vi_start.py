"""A variational posterior as the start of a sampler: where its draws are, and how they spread."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray
from numpyro.infer.util import unconstrain_fn

from bayesgmm.compiled import compiled
from bayesgmm.covariances import Array
from bayesgmm.inference.gradient.target import Target, gradients
from bayesgmm.inference.gradient.warm_start import Mode
from bayesgmm.inference.problem import Problem
from bayesgmm.mixture import Mixture
from bayesgmm.posterior.posterior import Posterior

WORTH = 5.0  # draws that the identity counts for in the covariance (Stan's regularisation)
FLOOR = 1e-3  # variance of that identity: small against the unit scale of standardised rows


def starting_fit(posterior: Posterior) -> Any:
    """The fit that numbers the components: the posterior itself where it is a point too, else what it began from."""
    return posterior if hasattr(posterior, "mixture") else posterior.start


def starting_mode(problem: Problem, target: Target, posterior: Posterior) -> Mode:
    """Mean and covariance of the draws in the target's unconstrained coordinates; to be run in float64.

    It takes the place of what Newton finds, without its gradients. Coordinates that the mixtures do not tell, random
    hyperparameters, get unit variance. Raises a ValueError where the draws are of another shape than the model.
    """
    theta = unconstrained(problem, target, posterior)
    centre, s = theta.mean(axis=0), len(theta)
    covariance = np.cov(theta.T, ddof=1).reshape(theta.shape[1], theta.shape[1])
    covariance = (s * covariance + WORTH * FLOOR * np.eye(len(centre))) / (s + WORTH)
    untold = theta.std(axis=0) == 0
    covariance[untold, untold] = 1.0
    factor = np.linalg.cholesky(covariance)
    value, slope = gradients(target, centre[None])
    return Mode(centre, factor, float(value[0]), float(np.linalg.norm(slope[0] @ factor)), 0, True)


def unconstrained(problem: Problem, target: Target, posterior: Posterior) -> NDArray[np.float64]:
    """The draws (S, P) in the target's unconstrained coordinates."""
    draws = posterior.restore(posterior.draws)
    expected = (problem.model.structure.name, problem.model.n_components, problem.observed.n_features)
    found = (draws.structure.name, draws.n_components, draws.n_features)
    if found != expected:
        raise ValueError(
            f"Expected a start of {expected[1]} {expected[0]} components and {expected[2]} features; got {found[1]} "
            f"{found[0]} and {found[2]}."
        )
    scale, shift = problem.standardisation.scale, problem.standardisation.shift
    draws = draws.rescale(1.0 / scale, -shift / scale)
    if not np.isfinite(draws.log_weights).all():
        raise ValueError(
            "Expected a start whose draws have all components; in some of them a component is absent."
        )
    sites = _unconstrained(target, draws)
    return np.concatenate([np.reshape(sites[name], (len(draws.means), -1)) for name in sorted(sites)], axis=1)


@compiled
def _unconstrained(target: Target, draws: Mixture) -> dict[str, Array]:
    def one(draw: Mixture) -> dict[str, Array]:
        return unconstrain_fn(target.model.parameters, (target.n_features,), {}, target.model.to_sites(draw))

    return jax.vmap(one)(draws)
