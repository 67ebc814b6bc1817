"""Gamma variates drawn all at once.

JAX draws them one after another on a CPU, each in a loop of its own, and compiles that loop slowly; here one loop
serves the whole array.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


def draw_log_gamma(key: jax.Array, shape: jax.Array) -> jax.Array:
    """Logarithms of Gamma(shape, 1) variates, one for each entry; finite also where the variate would underflow.

    Marsaglia & Tsang (2000), whose rejections (below 5 %) are drawn again until none is left; below shape 1 by
    Gamma(a) = Gamma(a + 1) U^(1/a).
    """
    small = shape < 1.0
    d = jnp.where(small, shape + 1.0, shape) - 1.0 / 3.0
    c = 1.0 / (3.0 * jnp.sqrt(d))

    def body(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        number, out, missing = carry
        # One block of uniforms a round: every call of a generator costs compile time.
        uniform = jax.random.uniform(jax.random.fold_in(key, number), (4, *shape.shape), shape.dtype)
        radius, accept, boost = jnp.log1p(-uniform[:3])
        x = jnp.sqrt(-2.0 * radius) * jnp.cos(2.0 * jnp.pi * uniform[3])  # Box & Muller (1958)
        root = 1.0 + c * x
        log_v = 3.0 * jnp.log(jnp.maximum(root, jnp.finfo(shape.dtype).tiny))
        accepted = (root > 0) & (accept < 0.5 * x**2 + d * (1.0 - jnp.exp(log_v) + log_v))
        value = jnp.log(d) + log_v + jnp.where(small, boost / jnp.where(small, shape, 1.0), 0.0)
        return number + 1, jnp.where(missing & accepted, value, out), missing & ~accepted

    start = (jnp.array(0), jnp.zeros_like(shape), jnp.ones(shape.shape, bool))
    return lax.while_loop(lambda carry: jnp.any(carry[2]), body, start)[1]


def host_log_gamma(rng: np.random.Generator, shape: np.ndarray) -> np.ndarray:
    """The same on the host, where nothing is compiled: Gamma(a) is Gamma(a + 1) U^(1/a)."""
    uniform = rng.random(shape.shape)
    return np.log(rng.gamma(shape + 1.0)) + np.log(uniform) / shape
