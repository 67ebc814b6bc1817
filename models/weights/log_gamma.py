"""The logarithm of a gamma variate as a NumPyro distribution: finite where the variate itself underflows to zero."""

from __future__ import annotations

from typing import ClassVar

import jax.numpy as jnp
import numpyro.distributions as dist
from jax.scipy.special import gammaln
from numpyro.distributions import constraints

from bayesgmm.covariances import Array
from bayesgmm.gamma_draws import draw_log_gamma


class LogGamma(dist.Distribution):
    """``exp(value) ~ Gamma(shape, 1)``."""

    arg_constraints: ClassVar = {"shape": constraints.positive}
    support = constraints.real

    def __init__(self, shape: Array, *, validate_args: bool | None = None) -> None:
        self.shape = jnp.asarray(shape)
        super().__init__(batch_shape=jnp.shape(shape), validate_args=validate_args)

    def sample(self, key: Array, sample_shape: tuple[int, ...] = ()) -> Array:
        return draw_log_gamma(key, jnp.broadcast_to(self.shape, sample_shape + self.batch_shape))

    def log_prob(self, value: Array) -> Array:
        return self.shape * value - jnp.exp(value) - gammaln(self.shape)
