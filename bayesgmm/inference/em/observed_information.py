"""Observed information of an EM fit: the exact curvature of its own objective, from passes of the kernel.

By Fisher's identity the score is the kernel's statistics ``T`` pulled back through the natural parameters,

    score(theta) = (d eta / d theta)' T(theta)

and its forward derivative is minus the observed information (Louis 1982; Oakes 1999), for every structure, blocked
over the rows. Coordinates ``theta`` are log-ratios of the weights, means, and the free entries of the precisions' own
form (for full and tied the Cholesky factor); at a maximum the choice does not matter.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.flatten_util import ravel_pytree
from jaxtyping import Int
from numpy.typing import NDArray

from bayesgmm.compiled import compiled
from bayesgmm.covariances import Array, Natural, Structure
from bayesgmm.float64 import in_float64
from bayesgmm.kernel import statistics
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture
from bayesgmm.row_blocks import Rows, make_rows

BATCH = 64  # derivatives taken in one pass over the rows


class Information(NamedTuple):
    """Score (P,), observed information (P, P), and derivative (P, Q) of the reported parameters."""

    score: NDArray[np.float64]
    matrix: NDArray[np.float64]
    reported: NDArray[np.float64]


def observed_information(fit: Any) -> Information:
    """Derivatives at an EM fit of the objective that it maximised, in coordinates ``theta``."""
    mixture, structure, problem = fit.mixture, fit.mixture.structure, fit.problem
    k, d = mixture.means.shape
    # Entries that vanish at a generic covariance do so by form, as those above the diagonal of a Cholesky factor.
    generic = structure.precision_to_site(structure.from_dense(np.eye(d) + 1.0, k))
    free = np.flatnonzero(generic)
    site = structure.precision_to_site(mixture.covariances)
    derivatives = _derivatives(
        structure,
        (mixture.log_weights[:-1] - mixture.log_weights[-1], mixture.means, site.ravel()[free]),
        free,
        site.shape,
        make_rows(problem.rows, structure, fit.sample_weight, spread=True),
        None if fit.log_posterior is None else problem.standard_model(),
        (fit.standardisation.scale, fit.standardisation.shift),
    )
    return Information(*derivatives)


@in_float64
@compiled
def _derivatives(
    structure: Structure,
    point: tuple[Array, Array, Array],
    free: Int[Array, " f"],
    site_shape: tuple[int, ...],
    rows: Rows,
    prior: FiniteMixture | None,
    units: tuple[Array, Array],
) -> tuple[Array, Array, Array]:
    theta, unravel = ravel_pytree(point)

    def parts(theta: Array):
        log_ratios, means, entries = unravel(theta)
        site = jnp.zeros(np.prod(site_shape)).at[free].set(entries).reshape(site_shape)
        log_weights = jax.nn.log_softmax(jnp.append(log_ratios, 0.0))
        return log_weights, means, structure.precision_from_site(site)

    def natural(theta: Array) -> Natural:
        return jax.tree.map(lambda leaf: leaf[None], structure.natural(*parts(theta)))

    def mixture(theta: Array) -> Mixture:
        log_weights, means, precision = parts(theta)
        return Mixture(structure, log_weights, means, structure.covariances(precision))

    def score(theta: Array) -> Array:
        eta, pull = jax.vjp(natural, theta)
        slope = pull(Natural(statistics(structure, eta, rows).values, rows.total[None]))[0]
        return slope if prior is None else slope + jax.grad(lambda t: prior.log_prior(mixture(t)))(theta)

    def reported(theta: Array) -> Array:
        user = mixture(theta).rescale(*units)
        return ravel_pytree((jnp.exp(user.log_weights), user.means, user.covariances))[0]

    def along(direction: Array) -> tuple[Array, Array, Array]:
        (slope, _), (change, jacobian) = jax.jvp(lambda t: (score(t), reported(t)), (theta,), (direction,))
        return slope, change, jacobian

    p = theta.size
    batch = min(BATCH, p)
    directions = jnp.eye(-(-p // batch) * batch, p).reshape(-1, batch, p)
    slopes, hessian, jacobian = (a.reshape(-1, a.shape[-1])[:p] for a in lax.map(jax.vmap(along), directions))
    return slopes[0], -0.5 * (hessian + hessian.T), jacobian
