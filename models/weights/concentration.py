"""A random concentration: what its prior has to offer, and what is common to all weight priors that may have one."""

from __future__ import annotations

import abc
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from bayesgmm.covariances import Array
from bayesgmm.pytree import PyTree


class ConcentrationPrior(PyTree):
    """A distribution of one positive number."""

    @abc.abstractmethod
    def resolve(self) -> ConcentrationPrior:
        """The same with arrays inside."""

    @property
    @abc.abstractmethod
    def mean(self) -> Any:
        """Its mean, where chains begin."""

    @abc.abstractmethod
    def site(self, name: str) -> Array:
        """Sample it in a NumPyro program."""

    @abc.abstractmethod
    def log_prob(self, value: Array) -> Array:
        """Log density."""

    @abc.abstractmethod
    def sample(self, rng: np.random.Generator, n_draws: int) -> np.ndarray:
        """Draws (S,) on the host."""


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
"""A number above 0, or the prior of one."""


def check_concentration(name: str, value: Any) -> None:
    """Refuse what is neither a positive number nor a prior of one."""
    if not isinstance(value, ConcentrationPrior):
        check_positive(name, value)


def resolve_concentration(value: Concentration) -> Concentration:
    """The same with arrays inside."""
    return value.resolve() if isinstance(value, ConcentrationPrior) else np.asarray(value, float)


def concentration_site(name: str, value: Concentration) -> Array:
    """The number, sampled as a site of a NumPyro program where it is random."""
    return value.site(name) if isinstance(value, ConcentrationPrior) else jnp.asarray(value)


def initial_concentration(value: Concentration) -> dict[str, Array]:
    """A sampler's first value, where it is random."""
    return {"concentration": jnp.asarray(value.mean)} if isinstance(value, ConcentrationPrior) else {}


def sample_concentration(value: Concentration, rng: np.random.Generator, n_draws: int) -> np.ndarray:
    """Draws (S,) on the host, all equal where it is fixed."""
    return (
        value.sample(rng, n_draws)
        if isinstance(value, ConcentrationPrior)
        else np.full(n_draws, float(value))
    )
