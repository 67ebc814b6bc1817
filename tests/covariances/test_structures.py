"""Every covariance structure against SciPy's densities, closed forms and its own inverses."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from cases import (
    FIRST_QUICK,
    STRUCTURES,
    component_log_density,
    random_covariances,
    random_mixture,
    random_rows,
)

from bayesgmm.covariances import Moments, PseudoMoments, get_structure
from bayesgmm.float64 import in_float64, to_device, to_host
from bayesgmm.mixture import Mixture
from bayesgmm.models.components import DataMoments, NormalInverseWishart

every_structure = pytest.mark.parametrize("structure", STRUCTURES)
first_structure_quick = pytest.mark.parametrize("structure", FIRST_QUICK)
every_size = pytest.mark.parametrize(("k", "d"), [(1, 1), (3, 1), (1, 3), (4, 3)])
NOTHING = PseudoMoments(Moments(np.zeros(()), np.zeros(()), np.zeros(())), np.zeros(()))


def rng_of(*seed):
    return np.random.default_rng([*map(int, seed)])


def expected_moments(mixture, rows, r):
    """Moments of responsibilities (N, K), from the structure's own features."""
    phi = mixture.structure.features(rows.T)
    shared = mixture.structure.shared_features(rows.T) @ r.sum(axis=1)
    return mixture.structure.moments(r.T @ phi.T, shared, rows.shape[1])


def soft_labels(rng, n, k):
    return rng.dirichlet(np.full(k, 0.5), size=n)


# --- densities


@every_structure
@every_size
def test_features_times_natural_parameters_is_the_log_density(structure, k, d):
    rng = rng_of(k, d)
    mixture, rows = random_mixture(structure, rng, k, d), random_rows(rng, 20, d)
    eta, shared = mixture.natural()
    found = (eta @ mixture.structure.features(rows.T)).T
    found = found + (shared @ mixture.structure.shared_features(rows.T))[:, None]
    expected = np.asarray(mixture.log_weights) + component_log_density(mixture, rows)
    np.testing.assert_allclose(found, expected, rtol=1e-10)


@every_structure
@every_size
def test_inverses(structure, k, d):
    own = get_structure(structure)
    covariances = random_covariances(structure, rng_of(1, k, d), k, d, lead=(2,))
    assert covariances.shape == (2, *own.covariance_shape(k, d))
    np.testing.assert_allclose(own.covariances(own.invert(covariances)), covariances, rtol=1e-10)
    site = own.precision_to_site(covariances)
    np.testing.assert_allclose(own.covariances(own.precision_from_site(site)), covariances, rtol=1e-10)
    scales, tril = own.scales_from(covariances)
    assert scales.shape == (2, *own.scale_shape(k, d))
    batch = own.correlation_shape(k, d)
    assert (tril is None) == (batch is None)
    if batch is not None:
        assert tril.shape == (2, *batch, d, d)
    again = in_float64(lambda s, t: own.covariances(own.precision_from_scales(s, t)))(scales, tril)
    np.testing.assert_allclose(again, covariances, rtol=1e-10)


@every_structure
@every_size
def test_every_way_to_a_precision_has_the_same_log_determinant(structure, k, d):
    own = get_structure(structure)
    covariances = random_covariances(structure, rng_of(2, k, d), k, d)
    expected = own.invert(covariances)
    for found in (
        own.precision_from_site(own.precision_to_site(covariances)),
        in_float64(own.precision_from_scales)(*own.scales_from(covariances)),
    ):
        np.testing.assert_allclose(found.half_log_det, expected.half_log_det, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(found.matrix, expected.matrix, rtol=1e-9, atol=1e-12)
    tempered = own.temper(expected, np.asarray(0.3), d)
    again = own.invert(covariances / 0.3)
    np.testing.assert_allclose(tempered.matrix, again.matrix, rtol=1e-10)
    np.testing.assert_allclose(tempered.half_log_det, again.half_log_det, rtol=1e-10, atol=1e-12)


@first_structure_quick
@every_size
def test_host_and_device_give_the_same_numbers(structure, k, d):
    rng = rng_of(3, k, d)
    mixture, rows = random_mixture(structure, rng, k, d), random_rows(rng, 30, d)
    r = soft_labels(rng, 30, k)

    def everything(mixture, rows, r):
        own = mixture.structure
        means, covariances = own.maximise(expected_moments(mixture, rows, r), NOTHING)
        return (
            mixture.natural(),
            means,
            own.regularise(covariances, rows[0] ** 2),
            own.precision_to_site(covariances),
            own.scales_from(covariances)[0],
            own.dense(covariances, k, d),
            own.rescale(covariances, jnp.full(d, 2.0) if isinstance(rows, jax.Array) else np.full(d, 2.0)),
        )

    with jax.enable_x64(True):
        device = to_host(everything(*to_device((mixture, rows, r))))
    host = everything(mixture, rows, r)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9), host, device)
    assert all(isinstance(leaf, np.ndarray | np.generic) for leaf in jax.tree.leaves(host)), (
        "compiled for nothing"
    )


# --- the M-step


def closed_form(structure, rows, r):
    """The textbook maximum of the expected log likelihood, one component at a time."""
    counts = r.sum(axis=0)
    means = (r.T @ rows) / counts[:, None]
    own = [(r[:, j, None] * (rows - m)).T @ (rows - m) for j, m in enumerate(means)]
    d = rows.shape[1]
    return means, {
        "full": lambda: np.stack([s / n for s, n in zip(own, counts, strict=True)]),
        "tied": lambda: sum(own) / counts.sum(),
        "diag": lambda: np.stack([np.diag(s) / n for s, n in zip(own, counts, strict=True)]),
        "spherical": lambda: np.array([np.trace(s) / (n * d) for s, n in zip(own, counts, strict=True)]),
    }[structure]()


@every_structure
@every_size
def test_the_m_step_is_the_closed_form(structure, k, d):
    rng = rng_of(4, k, d)
    mixture, rows, r = random_mixture(structure, rng, k, d), random_rows(rng, 40, d), soft_labels(rng, 40, k)
    means, covariances = mixture.structure.maximise(expected_moments(mixture, rows, r), NOTHING)
    expected_means, expected = closed_form(structure, rows, r)
    np.testing.assert_allclose(means, expected_means, rtol=1e-10)
    np.testing.assert_allclose(covariances, expected, rtol=1e-8, atol=1e-10)


@every_structure
def test_a_component_without_rows_gets_the_identity(structure):
    rng = rng_of(5)
    mixture, rows = random_mixture(structure, rng), random_rows(rng)
    r = soft_labels(rng, len(rows), 3)
    r[:, 1] = 0
    means, covariances = mixture.structure.maximise(expected_moments(mixture, rows, r), NOTHING)
    assert np.isfinite(means).all()
    if structure != "tied":
        np.testing.assert_array_equal(mixture.structure.dense(covariances, 3, 2)[1], np.eye(2))


@first_structure_quick
@pytest.mark.parametrize("d", [1, 3])
def test_the_map_step_maximises_the_expected_log_posterior(structure, d):
    """No perturbation of any parameter improves it, and its gradient vanishes."""
    k = 3
    rng = rng_of(6, d)
    rows, r = random_rows(rng, 50, d), soft_labels(rng, 50, k)
    own = get_structure(structure)
    prior = NormalInverseWishart(mean=0.3, mean_precision=2.0, dof=d + 4.0, scale=1.5)
    prior = prior.resolve(own, k, DataMoments(rows))
    template = random_mixture(structure, rng, k, d)

    def expected_log_posterior(means, covariances, rows, r, prior):
        eta, shared = Mixture(own, jnp.zeros(k), means, covariances).natural()
        own_part = jnp.sum(r.T * (eta @ own.features(rows.T)))
        shared_part = jnp.sum((shared @ own.shared_features(rows.T)) * r.sum(axis=1))
        return own_part + shared_part + prior.log_prior(own, means, covariances)

    with jax.enable_x64(True):
        device = to_device((rows, r, prior))
        pseudo = device[2].pseudo_moments(own, k, d)
        means, covariances = own.maximise(to_device(expected_moments(template, rows, r)), pseudo)
        value = expected_log_posterior(means, covariances, *device)
        gradient = jax.grad(expected_log_posterior, argnums=(0, 1))(means, covariances, *device)
        size = float(jnp.abs(value))
        for leaf in gradient:
            np.testing.assert_allclose(leaf, 0.0, atol=1e-8 * size)
        for step, sign in itertools.product((1e-1, 1e-2), (-1, 1)):
            noise = jnp.asarray(rng.standard_normal(means.shape))
            assert expected_log_posterior(means + sign * step * noise, covariances, *device) < value
            assert expected_log_posterior(means, covariances * (1 + sign * step), *device) < value


# --- counts, units, order


@pytest.mark.parametrize(
    ("structure", "k", "d", "expected"),
    [
        ("full", 3, 2, 9),
        ("tied", 3, 2, 3),
        ("diag", 3, 2, 6),
        ("spherical", 3, 2, 3),
        ("full", 2, 5, 30),
        ("tied", 2, 5, 15),
        ("diag", 2, 5, 10),
        ("spherical", 2, 5, 2),
        ("full", 4, 1, 4),
        ("tied", 4, 1, 1),
        ("diag", 4, 1, 4),
        ("spherical", 4, 1, 4),
    ],
)
def test_parameter_counts(structure, k, d, expected):
    assert get_structure(structure).n_parameters(k, d) == expected


@every_structure
def test_a_change_of_units_is_affine(structure):
    rng = rng_of(7)
    factor = np.full(3, 2.5) if get_structure(structure).common_scale else np.array([2.5, 0.1, 7.0])
    shift = np.array([1.0, -2.0, 3.0])
    mixture, rows = random_mixture(structure, rng, 3, 3), random_rows(rng, 20, 3)
    there = mixture.rescale(factor, shift)
    expected = component_log_density(mixture, rows) - np.log(factor).sum()
    np.testing.assert_allclose(component_log_density(there, rows * factor + shift), expected, rtol=1e-9)
    back = there.rescale(1 / factor, -shift / factor)
    np.testing.assert_allclose(back.covariances, mixture.covariances, rtol=1e-12)
    np.testing.assert_allclose(back.means, mixture.means, rtol=1e-12, atol=1e-12)


@every_structure
def test_dense_and_project_are_inverses_on_the_structure(structure):
    own = get_structure(structure)
    covariances = random_covariances(structure, rng_of(8), 3, 2)
    dense = own.dense(covariances, 3, 2)
    assert dense.shape == (3, 2, 2)
    np.testing.assert_allclose(own.project(np.array(dense)), covariances, rtol=1e-14)
    identity = own.dense(own.from_dense(np.eye(2), 3), 3, 2)
    np.testing.assert_array_equal(identity, np.broadcast_to(np.eye(2), (3, 2, 2)))


@every_structure
def test_permuting_components(structure):
    mixture, rows = random_mixture(structure, rng_of(9)), random_rows(rng_of(9))
    order = np.array([2, 0, 1])
    expected = component_log_density(mixture, rows)[:, order]
    np.testing.assert_array_equal(component_log_density(mixture.permute(order), rows), expected)


@every_structure
def test_regularisation_adds_to_the_diagonal(structure):
    own = get_structure(structure)
    covariances = random_covariances(structure, rng_of(10), 2, 3)
    amount = np.full(3, 0.25)
    added = own.dense(own.regularise(covariances, amount), 2, 3) - own.dense(covariances, 2, 3)
    np.testing.assert_allclose(added, np.broadcast_to(0.25 * np.eye(3), (2, 3, 3)), atol=1e-15)


def test_an_unknown_structure_is_refused_with_the_names():
    with pytest.raises(ValueError, match=r"full, tied, diag, spherical.*'round'"):
        get_structure("round")
    with pytest.raises(ValueError, match=r"Did you mean 'spherical'\?"):
        get_structure("sperical")


# --- priors


def scipy_log_prior(structure, covariances, dof, scale):
    """Inverse Wishart or inverse gammas by SciPy, over all components."""
    if structure in ("full", "tied"):
        matrices = covariances if structure == "full" else covariances[None]
        return sum(scipy.stats.invwishart(dof, scale).logpdf(matrix) for matrix in matrices)
    return scipy.stats.invgamma(dof / 2, scale=scale / 2).logpdf(covariances).sum()


def prior_scale(structure, rng, d):
    root = rng.standard_normal((d, d))
    return get_structure(structure).prior_scale(root @ root.T + np.eye(d))


@every_structure
@pytest.mark.parametrize("d", [1, 2, 3])
def test_log_prior_is_scipys(structure, d):
    rng = rng_of(11, d)
    covariances, scale = random_covariances(structure, rng, 3, d), prior_scale(structure, rng, d)
    dof = d + 3.5
    found = in_float64(get_structure(structure).log_prior)(covariances, np.asarray(dof), scale)
    np.testing.assert_allclose(found, scipy_log_prior(structure, covariances, dof, scale), rtol=1e-10)


@first_structure_quick
@pytest.mark.parametrize("d", [1, 3])
def test_the_sites_prior_is_the_same_density_in_other_coordinates(structure, d):
    """p(site) = p(covariance) |d covariance / d site|, with the Jacobian taken numerically by autodiff."""
    k = 2
    own, rng = get_structure(structure), rng_of(12, d)
    covariances, scale, dof = (
        random_covariances(structure, rng, k, d),
        prior_scale(structure, rng, d),
        d + 2.5,
    )
    site = np.asarray(own.precision_to_site(covariances))
    # The free entries of site and covariances: the lower triangle where they are matrices.
    free = (
        (lambda a: a[..., *np.tril_indices(d)].ravel())
        if structure in ("full", "tied")
        else (lambda a: a.ravel())
    )

    def covariance_of(flat, template):
        if structure in ("full", "tied"):
            entries = flat.reshape(*template.shape[:-2], -1)
            value = jnp.zeros_like(template).at[..., *np.tril_indices(d)].set(entries)
        else:
            value = flat.reshape(template.shape)
        return free(own.covariances(own.precision_from_site(value)))

    jacobian = in_float64(jax.jacobian(covariance_of))(free(site), site)
    with jax.enable_x64(True):
        prior = own.precision_prior(jnp.asarray(dof), jnp.asarray(scale), k, d)
        found = float(prior.log_prob(jnp.asarray(site)))
    expected = scipy_log_prior(structure, covariances, dof, scale) + np.linalg.slogdet(jacobian)[1]
    assert found == pytest.approx(expected, rel=1e-9)
