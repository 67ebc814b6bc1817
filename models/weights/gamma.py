"""A Gamma prior of one positive number, such as a concentration."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import numpyro.distributions as dist
from jax.scipy.special import digamma, gammaln

from bayesgmm.covariances import Array


class Gamma(eqx.Module):
    """``Gamma(shape, rate)``, of mean ``shape / rate``.

    Raises a ValueError for a shape or a rate that is not a finite number above 0.
    """

    shape: Any
    rate: Any

    def __check_init__(self):
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


def check_positive(name: str, value: Any) -> None:
    """Refuse what is not one finite number above 0 (a traced array passes: its value is not known here)."""
    if isinstance(value, jax.Array):
        return
    if isinstance(value, bool | str) or value is None or np.ndim(value) > 0:
        raise TypeError(f"Expected {name} to be one number above 0; got {value!r}.")
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"Expected {name} to be one number above 0; got {value!r}.") from None
    if not (np.isfinite(number) and number > 0):
        raise ValueError(f"Expected a finite {name} above 0; got {value!r}.")


def metropolis(key: Array, log_density: Any, value: Array, n_steps: int = 4) -> Array:
    """A few random-walk Metropolis steps on the logarithm of a positive number.

    ``log_density`` is that of the number itself; the change of variable is accounted for here. Step sizes cycle
    through .3 and 1.5, so that no tuning is needed.
    """

    def step(log_value: Array, inputs: tuple[Array, Array]) -> tuple[Array, None]:
        key, size = inputs
        key_move, key_accept = jax.random.split(key)
        other = log_value + size * jax.random.normal(key_move, dtype=log_value.dtype)
        ratio = log_density(jnp.exp(other)) + other - log_density(jnp.exp(log_value)) - log_value
        accept = jnp.log(jax.random.uniform(key_accept, dtype=log_value.dtype)) < ratio
        return jnp.where(accept, other, log_value), None

    sizes = jnp.resize(jnp.array([0.3, 1.5]), n_steps).astype(value.dtype)
    log_value, _ = jax.lax.scan(step, jnp.log(value), (jax.random.split(key, n_steps), sizes))
    return jnp.exp(log_value)


Concentration = Any
"""A number above 0, or the Gamma prior of one."""


def check_concentration(name: str, value: Any) -> None:
    """Refuse what is neither a positive number nor a :class:`Gamma`."""
    if not isinstance(value, Gamma):
        check_positive(name, value)


def resolve_concentration(value: Concentration) -> Concentration:
    """The same with arrays inside."""
    return value.resolve() if isinstance(value, Gamma) else np.asarray(value, float)


def concentration_site(name: str, value: Concentration) -> Array:
    """The number, sampled as a site of a NumPyro program where it is random."""
    return value.site(name) if isinstance(value, Gamma) else jnp.asarray(value)


def initial_concentration(value: Concentration) -> dict[str, Array]:
    """A sampler's first value, where it is random."""
    return {"concentration": jnp.asarray(value.mean)} if isinstance(value, Gamma) else {}


def sample_concentration(value: Concentration, rng: np.random.Generator, n_draws: int) -> np.ndarray:
    """Draws (S,) on the host, all equal where it is fixed."""
    return value.sample(rng, n_draws) if isinstance(value, Gamma) else np.full(n_draws, float(value))
