"""The exponential of numbers up to zero against NumPy's in extended precision, at its edges, and its derivatives."""

import jax
import jax.numpy as jnp
import numpy as np

from bayesgmm.exponential import LEAST, exp


def test_it_is_right_to_two_ulps():
    rng = np.random.default_rng(0)
    halves = -np.arange(1, 2000) * np.log(2) / 2  # where the whole power of two changes
    x = np.concatenate(
        [
            rng.uniform(LEAST, 0, 20_000),
            -(10.0 ** rng.uniform(-300, 2, 10_000)),
            halves[halves > LEAST],
            [0.0, LEAST],
        ]
    )
    with jax.enable_x64(True):
        found = np.asarray(jax.jit(exp)(x))
    right = np.exp(x.astype(np.longdouble))
    assert np.all(np.abs(found - right) <= 2 * np.spacing(right.astype(float)))


def test_its_edges():
    x = np.array([0.0, -np.inf, np.nextafter(LEAST, -np.inf), -1e300, np.nan])
    with jax.enable_x64(True):
        np.testing.assert_array_equal(exp(jnp.asarray(x)), [1.0, 0.0, 0.0, 0.0, np.nan])


def test_its_derivatives_are_itself():
    x = np.array([-30.0, -1.0, 0.0])
    with jax.enable_x64(True):
        first, second = jax.grad(exp), jax.grad(jax.grad(exp))
        for derivative in (first, second):
            np.testing.assert_allclose(jax.vmap(derivative)(jnp.asarray(x)), np.exp(x), rtol=1e-15)


def test_single_precision_stays_single():
    assert exp(jnp.zeros(3, jnp.float32)).dtype == jnp.float32
