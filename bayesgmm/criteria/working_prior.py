"""A conjugate prior that makes good proposals for a posterior under another prior."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.optimize import minimize

from bayesgmm.compiled import compiled
from bayesgmm.covariances import Array, Structure
from bayesgmm.float64 import in_float64
from bayesgmm.mixture import Mixture
from bayesgmm.models.components import ComponentPrior, DataMoments, NormalInverseWishart

STEPS = 60
FARTHEST = 12.0  # log units, and standard deviations, by which a hyperparameter may leave its start


def working_prior(
    prior: ComponentPrior,
    structure: Structure,
    rows: NDArray[np.float64],
    draws: Mixture,
    values: Array,
    total: Array,
) -> NormalInverseWishart:
    """The prior itself if it is conjugate; else the conjugate one that best foretells draws from their allocations.

    Hyperparameters maximise the mean log density of the components of each draw given its own allocations, which is
    the conjugate posterior's: the proposal nearest in Kullback-Leibler divergence. They only have to be good, not
    best, since the bridge is right with any.

    Parameters
    ----------
    rows : (N, D) standardised; their moments give the start (Fraley & Raftery 2007)
    draws : mixtures (S, ...) from the posterior
    values, total : (S, K, P) and (Q,) statistics of an allocation drawn from each
    """
    if isinstance(prior, NormalInverseWishart):
        return prior
    k, d = draws.means.shape[-2:]
    start = NormalInverseWishart().resolve(structure, k, DataMoments(rows))

    def loss(shift: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, slope = _loss(start, draws, values, total, shift)
        return float(value), np.asarray(slope, float)

    bounds = [(-FARTHEST, FARTHEST)] * (2 * d + 2)
    found = minimize(
        loss, np.zeros(2 * d + 2), jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": STEPS}
    )
    return jax.tree.map(np.asarray, _moved(start, structure, found.x))


def _moved(start: NormalInverseWishart, structure: Structure, shift: Any) -> NormalInverseWishart:
    """The prior, its mean moved and the rest multiplied: shift holds D means, D log scales, kappa and the degrees."""
    xp = jnp if isinstance(shift, jax.Array) else np
    d = start.mean.shape[-1]
    least = d - 1.0
    return NormalInverseWishart(
        start.mean + shift[:d],
        start.mean_precision * xp.exp(shift[2 * d]),
        least + (start.dof - least) * xp.exp(shift[2 * d + 1]),
        structure.rescale(start.scale, xp.exp(0.5 * shift[d : 2 * d])),
    )


@in_float64
@compiled
def _loss(
    start: NormalInverseWishart, draws: Mixture, values: Array, total: Array, shift: Float[Array, " m"]
) -> tuple[Array, Array]:
    structure = draws.structure

    def mean_loss(shift: Array) -> Array:
        prior = _moved(start, structure, shift)

        def one(mixture: Mixture, values: Array) -> Array:
            moments = structure.moments(values, total, mixture.means.shape[-1])
            before = prior.log_prior(structure, mixture.means, mixture.covariances)
            return prior.log_evidence(structure, moments) - before

        return jnp.mean(jax.vmap(one)(draws, values))

    return jax.value_and_grad(mean_loss)(jnp.asarray(shift))
