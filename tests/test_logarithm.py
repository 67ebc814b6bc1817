"""The vectorised logarithm against NumPy's in extended precision, at its edges, and its derivative."""

import jax
import jax.numpy as jnp
import numpy as np

from bayesgmm.logarithm import log


def test_it_is_right_to_an_ulp():
    rng = np.random.default_rng(0)
    near_one = 1.0 + 10.0 ** np.linspace(-16, 0, 2000)
    x = np.concatenate(
        [near_one, 2.0 - near_one[:-1], rng.uniform(0, 100, 10_000), 10.0 ** rng.uniform(-307, 308, 10_000)]
    )
    with jax.enable_x64(True):
        found = np.asarray(jax.jit(log)(x))
    right = np.log(x.astype(np.longdouble))
    assert np.all(np.abs(found - right) <= np.spacing(np.abs(right.astype(float))))


def test_its_edges_are_those_of_numpy():
    x = np.array([0.0, 1.0, np.inf, np.nan])
    with jax.enable_x64(True):
        np.testing.assert_array_equal(log(jnp.asarray(x)), [-np.inf, 0.0, np.inf, np.nan])


def test_its_derivative_is_the_reciprocal():
    with jax.enable_x64(True):
        np.testing.assert_allclose(jax.vmap(jax.grad(log))(jnp.array([0.5, 1.0, 3.0])), [2.0, 1.0, 1 / 3])


def test_single_precision_stays_single():
    assert log(jnp.ones(3, jnp.float32)).dtype == jnp.float32
