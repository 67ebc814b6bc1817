"""Independent variances: what ``diag`` and ``spherical`` share."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.scipy.special import gammaln

from bayesgmm.gamma_draws import draw_log_gamma


def log_inverse_gamma(variances: Array, dof: Array, scale: Array) -> Array:
    """Log density of InvGamma(dof/2, scale/2), the one-dimensional inverse Wishart, at each variance."""
    shape, rate = 0.5 * dof, 0.5 * scale
    return shape * jnp.log(rate) - gammaln(shape) - (shape + 1.0) * jnp.log(variances) - rate / variances


def draw_inverse_gamma(key: Array, dof: Array, scale: Array) -> Array:
    """Draws from InvGamma(dof/2, scale/2), one for each entry of ``scale``."""
    shape = jnp.broadcast_to(0.5 * dof, scale.shape)
    return 0.5 * scale * jnp.exp(-draw_log_gamma(key, shape))
