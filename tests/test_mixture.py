"""The mixture as a pytree and as a NumPyro distribution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cases import STRUCTURES, log_density, random_mixture, random_rows

from bayesgmm.float64 import in_float64, to_device
from bayesgmm.mixture import Mixture, MixtureDistribution

every_structure = pytest.mark.parametrize("structure", STRUCTURES)


def distribution(mixture):
    mixture = to_device(mixture)
    precision = mixture.structure.invert(mixture.covariances)
    return MixtureDistribution(mixture.structure, mixture.log_weights, mixture.means, precision)


@in_float64
def log_prob(mixture, rows):
    return distribution(mixture).log_prob(rows)


@every_structure
@pytest.mark.parametrize("d", [1, 3])
def test_log_prob_is_scipys(structure, d):
    rng = np.random.default_rng(d)
    mixture, rows = random_mixture(structure, rng, 3, d), random_rows(rng, 40, d)
    np.testing.assert_allclose(log_prob(mixture, rows), log_density(mixture, rows), rtol=1e-10)
    np.testing.assert_allclose(log_prob(mixture, rows[0]), log_density(mixture, rows[:1])[0], rtol=1e-10)
    shaped = log_prob(mixture, rows.reshape(5, 8, d))
    np.testing.assert_allclose(shaped.ravel(), log_density(mixture, rows), rtol=1e-10)


@every_structure
def test_a_large_offset_costs_only_the_digits_of_the_rows(structure):
    """At an offset of 1e8 a row keeps eight decimals, so log densities agree to about 1e-7 a unit of gradient."""
    rng = np.random.default_rng(1)
    mixture, rows = random_mixture(structure, rng), random_rows(rng, 40)
    there = mixture.rescale(np.ones(2), np.full(2, 1e8))
    np.testing.assert_allclose(log_prob(there, rows + 1e8), log_prob(mixture, rows), atol=1e-5)


@every_structure
def test_moments_of_draws(structure):
    """Mean and covariance of 200 000 draws within 5 standard errors: fails once in about 3e5 such checks."""
    n = 200_000
    mixture = random_mixture(structure, np.random.default_rng(2))
    with jax.enable_x64(True):
        draws = np.asarray(distribution(mixture).sample(jax.random.key(0), (n,)))
    weights = np.exp(mixture.log_weights)
    dense = mixture.structure.dense(mixture.covariances, 3, 2)
    mean = weights @ mixture.means
    centred = mixture.means - mean
    covariance = np.einsum("k,kij->ij", weights, dense) + np.einsum("k,ki,kj->ij", weights, centred, centred)
    error = draws.std(axis=0) / np.sqrt(n)
    assert (np.abs(draws.mean(axis=0) - mean) < 5 * error).all()
    products = (draws - mean)[:, :, None] * (draws - mean)[:, None]
    assert (np.abs(products.mean(axis=0) - covariance) < 5 * products.std(axis=0) / np.sqrt(n)).all()


@every_structure
def test_a_mixture_is_a_pytree(structure):
    mixture = random_mixture(structure, np.random.default_rng(3), lead=(4,))
    assert mixture.n_components == 3
    assert mixture.n_features == 2
    second = jax.tree.map(lambda leaf: leaf[1], mixture)
    np.testing.assert_array_equal(second.means, mixture.means[1])
    assert len(jax.tree.leaves(mixture)) == 3


@pytest.mark.parametrize(
    ("structure", "expected"), [("full", 17), ("tied", 11), ("diag", 14), ("spherical", 11)]
)
def test_parameters_of_three_components_in_two_dimensions(structure, expected):
    """mclust's and scikit-learn's counts."""
    assert random_mixture(structure, np.random.default_rng(4)).n_parameters == expected


def test_from_parameters_normalises_weights_and_checks_shapes():
    mixture = Mixture.from_parameters([2, 6], [[0.0], [1.0]], [[1.0], [2.0]], "diag")
    np.testing.assert_allclose(np.exp(mixture.log_weights), [0.25, 0.75])
    with pytest.raises(ValueError, match=r"covariances of shape \(2, 1, 1\).*'full'.*\(2, 1\)"):
        Mixture.from_parameters([1, 1], [[0.0], [1.0]], [[1.0], [2.0]], "full")


def test_a_permutation_may_drop_components():
    mixture = random_mixture("full", np.random.default_rng(5), lead=(2,))
    order = np.array([[1, 0], [2, 1]])
    out = mixture.permute(order)
    np.testing.assert_array_equal(out.means[1], mixture.means[1][[2, 1]])
    np.testing.assert_array_equal(out.covariances[0], mixture.covariances[0][[1, 0]])


def test_gradients_pass_through_the_centring():
    """The shift by the mean of the rows cancels: derivatives agree with the uncentred density's."""
    rng = np.random.default_rng(6)
    mixture, rows = random_mixture("full", rng), random_rows(rng, 30)

    def ours(means, rest, rows):
        return jnp.sum(
            distribution(Mixture(rest.structure, rest.log_weights, means, rest.covariances)).log_prob(rows)
        )

    gradient = in_float64(jax.grad(ours))(mixture.means, mixture, rows)
    for index in np.ndindex(mixture.means.shape):
        step = np.zeros_like(mixture.means)
        step[index] = 1e-6
        up, down = (
            log_density(Mixture(mixture.structure, mixture.log_weights, m, mixture.covariances), rows).sum()
            for m in (mixture.means + step, mixture.means - step)
        )
        assert gradient[index] == pytest.approx((up - down) / 2e-6, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"weights": [1.0, 1.0, 1.0]}, r"weights of shape \(2,\)"),
        ({"weights": [0.0, 0.0]}, "all are 0"),
        ({"covariances": [[[1.0]], [[-1.0]]]}, "positive definite"),
        ({"covariances": [[[1.0]], [[np.nan]]]}, "positive definite"),
        ({"covariances": [[1.0], [1.0]]}, "covariances of shape"),
        ({"means": [[0.0], [np.inf]]}, "finite means"),
    ],
)
def test_parameters_that_make_no_mixture_are_refused(given, words):
    sound = {"weights": [1.0, 1.0], "means": [[0.0], [1.0]], "covariances": [[[1.0]], [[1.0]]]}
    with pytest.raises(ValueError, match=words):
        Mixture.from_parameters(**(sound | given))
