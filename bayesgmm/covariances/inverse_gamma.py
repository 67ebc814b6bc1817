"""Independent variances: what ``diag`` and ``spherical`` share."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.special import digamma, gammaln

from bayesgmm.gamma_draws import draw_log_gamma


def log_inverse_gamma(variances: Array, dof: Array, scale: Array) -> Array:
    """Log density of InvGamma(dof/2, scale/2), the one-dimensional inverse Wishart, at each variance."""
    shape, rate = 0.5 * dof, 0.5 * scale
    return shape * jnp.log(rate) - gammaln(shape) - (shape + 1.0) * jnp.log(variances) - rate / variances


def draw_inverse_gamma(key: Array, dof: Array, scale: Array) -> Array:
    """Draws from InvGamma(dof/2, scale/2), one for each entry of ``scale``."""
    shape = jnp.broadcast_to(0.5 * dof, scale.shape)
    return 0.5 * scale * jnp.exp(-draw_log_gamma(key, shape))


def expected_precision(dof: Array, scale: Array) -> tuple[Array, Array]:
    """E[1 / variance] and half E[log 1 / variance], variance by variance."""
    return dof / scale, 0.5 * (digamma(0.5 * dof) - jnp.log(0.5 * scale))


def log_normaliser(dof: Array, scale: Array) -> Array:
    """Log integral of ``v^-(dof/2 + 1) exp(-scale / (2 v))``, variance by variance."""
    return gammaln(0.5 * dof) - 0.5 * dof * jnp.log(0.5 * scale)


def log_student(square: Array, n: int, counts: Array, dof: Array, scale: Array) -> Array:
    """Log density of n coordinates of one variance, given their squared distance from the centre."""
    shrunk = counts / (counts + 1.0)
    constant = gammaln(0.5 * (dof + n)) - gammaln(0.5 * dof) + 0.5 * n * jnp.log(shrunk / (jnp.pi * scale))
    return constant - 0.5 * (dof + n) * jnp.log1p(shrunk * square / scale)


def sample_inverse_gamma(
    rng: np.random.Generator, dof: np.ndarray, scale: np.ndarray, n_draws: int
) -> np.ndarray:
    """:func:`draw_inverse_gamma` on the host: (S, ...)."""
    return 0.5 * scale / rng.gamma(np.broadcast_to(0.5 * dof, scale.shape), size=(n_draws, *scale.shape))
