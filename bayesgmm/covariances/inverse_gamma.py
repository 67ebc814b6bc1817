"""Independent variances: what ``diag`` and ``spherical`` share."""

from __future__ import annotations

import jax.numpy as jnp
from jax import Array
from jax.scipy.special import gammaln


def log_inverse_gamma(variances: Array, dof: Array, scale: Array) -> Array:
    """Log density of InvGamma(dof/2, scale/2), the one-dimensional inverse Wishart, at each variance."""
    shape, rate = 0.5 * dof, 0.5 * scale
    return shape * jnp.log(rate) - gammaln(shape) - (shape + 1.0) * jnp.log(variances) - rate / variances
