"""A Gamma prior of one positive number, such as a concentration."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import digamma, gammaln

from bayesgmm.covariances import Array
from bayesgmm.models.weights.concentration import ConcentrationPrior, check_positive


class Gamma(ConcentrationPrior):
    """``Gamma(shape, rate)``, of mean ``shape / rate``.

    Raises a ValueError for a shape or a rate that is not a finite number above 0.
    """

    shape: Any
    rate: Any

    def __post_init__(self):
        for name, value in (("shape", self.shape), ("rate", self.rate)):
            check_positive(name, value)

    def resolve(self) -> Gamma:
        """The same with arrays inside."""
        return Gamma(np.asarray(self.shape, float), np.asarray(self.rate, float))

    @property
    def mean(self) -> Any:
        """``shape / rate``."""
        return self.shape / self.rate

    def site(self, name: str) -> Array:
        """Sample it in a NumPyro program."""
        return numpyro.sample(name, dist.Gamma(self.shape, self.rate))

    def log_prob(self, value: Array) -> Array:
        """Log density."""
        return dist.Gamma(self.shape, self.rate).log_prob(value)

    def divergence(self, shape: Array, rate: Array) -> Array:
        """Kullback-Leibler divergence from this prior of the distribution Gamma(shape, rate)."""
        log_ratio = jnp.log(rate) - jnp.log(self.rate)
        normalisers = gammaln(jnp.asarray(self.shape)) - gammaln(shape)
        pull = (shape - self.shape) * digamma(shape) + shape * (self.rate - rate) / rate
        return pull + normalisers + self.shape * log_ratio

    def sample(self, rng: np.random.Generator, n_draws: int) -> np.ndarray:
        """Draws (S,) on the host."""
        return rng.gamma(float(self.shape), 1.0 / float(self.rate), size=n_draws)
