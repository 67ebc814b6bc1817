"""The NumPyro program against densities written out with SciPy, in every structure and under every prior."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
import scipy.special
import scipy.stats
from cases import COMPONENT_PRIORS, FIRST_QUICK, STRUCTURES, log_density, random_mixture, random_rows
from numpyro.infer.util import log_density as program_log_density

from bayesgmm.datasets import load_dataset
from bayesgmm.float64 import in_float64, to_device
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture, finite_mixture
from bayesgmm.models.components import (
    HalfNormal,
    Hierarchical,
    Independent,
    LogNormal,
    NormalInverseWishart,
    NormalLKJ,
    RandomCentre,
    fraley_raftery,
)
from bayesgmm.pytree import same

every_structure = pytest.mark.parametrize("structure", STRUCTURES)
first_structure_quick = pytest.mark.parametrize("structure", FIRST_QUICK)
every_prior = pytest.mark.parametrize("prior", COMPONENT_PRIORS)
every_size = pytest.mark.parametrize(("k", "d"), [(1, 2), (3, 1), (3, 2)])


def example(structure, k=3, d=2, seed=0, n=30):
    rng = np.random.default_rng([seed, k, d])
    return random_mixture(structure, rng, k, d), random_rows(rng, n, d)


@in_float64
def log_joint(model, rows, sites):
    """What NumPyro makes of the program: the log joint density of constrained sites and rows."""
    return program_log_density(model, (rows,), {}, sites)[0]


# --- sites


@every_structure
@every_prior
@every_size
def test_sites_round_trip(structure, prior, k, d):
    mixture, rows = example(structure, k, d)
    model = finite_mixture(k, structure, components=COMPONENT_PRIORS[prior]).resolve(rows)
    back = in_float64(lambda sites: model.from_sites(sites))(model.to_sites(mixture))
    for found, expected in zip(jax.tree.leaves(back), jax.tree.leaves(mixture), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@first_structure_quick
@every_prior
def test_sites_are_those_that_the_program_samples(structure, prior):
    mixture, rows = example(structure)
    model = finite_mixture(3, structure, components=COMPONENT_PRIORS[prior])
    with jax.enable_x64(True):
        trace = numpyro.handlers.trace(numpyro.handlers.seed(model, 0)).get_trace(jnp.asarray(rows))
        shapes = {
            name: site["value"].shape
            for name, site in trace.items()
            if site["type"] == "sample" and not site["is_observed"]
        }
    sites = model.resolve(rows).to_sites(mixture)
    assert {name: np.shape(value) for name, value in sites.items()} == shapes
    covariances = mixture.structure.covariance_shape(3, 2)
    assert trace["covariances"]["value"].shape == covariances


@every_structure
def test_a_weight_of_zero_is_lifted_into_the_simplex(structure):
    mixture, rows = example(structure)
    empty = Mixture(mixture.structure, np.log([0.5, 0.5, 1e-300]), mixture.means, mixture.covariances)
    weights = finite_mixture(3, structure).resolve(rows).to_sites(empty)["weights"]
    assert (weights > 0).all()
    assert weights.sum() == pytest.approx(1, rel=1e-14)


# --- densities


def dirichlet(mixture, a):
    k = mixture.n_components
    normaliser = scipy.special.gammaln(k * a) - k * scipy.special.gammaln(a)
    return normaliser + (a - 1) * mixture.log_weights.sum()


def covariance_prior(structure, covariances, dof, scale):
    if structure in ("full", "tied"):
        matrices = covariances if structure == "full" else covariances[None]
        return sum(scipy.stats.invwishart(dof, scale).logpdf(m) for m in matrices)
    return scipy.stats.invgamma(dof / 2, scale=scale / 2).logpdf(covariances).sum()


def change_of_coordinates(structure, mixture):
    """log |d covariance / d site| of the precision sites: Muirhead (1982, theorems 2.1.8 and 2.1.9), by hand."""
    covariances, d = mixture.covariances, mixture.n_features
    if structure in ("diag", "spherical"):
        return 2 * np.log(covariances).sum()
    matrices = covariances if structure == "full" else covariances[None]
    total = 0.0
    for covariance in matrices:
        tril = np.linalg.cholesky(np.linalg.inv(covariance))
        powers = np.arange(d, 0, -1)
        to_precision = d * np.log(2) + powers @ np.log(np.diag(tril))
        total += to_precision + (d + 1) * np.linalg.slogdet(covariance)[1]
    return total


def conjugate_prior(structure, mixture, prior):
    """Normal means given covariances, times inverse Wishart (inverse gammas), by SciPy."""
    k, d = mixture.means.shape
    dense = mixture.structure.dense(mixture.covariances, k, d)
    mean = np.broadcast_to(prior.mean, d)
    means = sum(
        scipy.stats.multivariate_normal(mean, c / float(prior.mean_precision)).logpdf(m)
        for m, c in zip(mixture.means, dense, strict=True)
    )
    return means + covariance_prior(structure, mixture.covariances, float(prior.dof), np.asarray(prior.scale))


def independent_prior(structure, mixture, prior):
    """Normal means, half-normal or log-normal scales, LKJ correlations, by SciPy and the LKJ formula for D = 2."""
    assert mixture.n_features == 2
    total = scipy.stats.norm(prior.mean, prior.mean_scale).logpdf(mixture.means).sum()
    scales, tril = mixture.structure.scales_from(mixture.covariances)
    if isinstance(prior.scales, HalfNormal):
        spread = mixture.structure.feature_scales(np.asarray(prior.scales.scale))
        total += scipy.stats.halfnorm(scale=spread).logpdf(scales).sum()
    else:
        median = mixture.structure.feature_scales(np.asarray(prior.scales.median))
        total += scipy.stats.lognorm(float(prior.scales.sigma), scale=median).logpdf(scales).sum()
    if tril is not None:
        # C = [[1, r], [r, 1]]: p(r) = (1 - r^2)^(eta - 1) / B(eta, eta) / 2^(2 eta - 1); the site is L with
        # L21 = r, L22 = sqrt(1 - r^2), whose density with respect to L21 is that of r.
        eta = float(prior.concentration)
        r = tril[..., 1, 0]
        normaliser = scipy.special.betaln(eta, eta) + (2 * eta - 1) * np.log(2)
        total += ((eta - 1) * np.log1p(-(r**2)) - normaliser).sum()
    return total


def gathered_prior(structure, mixture, prior, sites):
    """The conjugate prior about a random centre."""
    centre, kappa = sites["centre"], sites["mean_precision"]
    total = scipy.stats.norm(prior.mean, prior.mean_scale).logpdf(centre).sum()
    total += scipy.stats.gamma(float(prior.shape), scale=1 / float(prior.rate)).logpdf(kappa)
    given = NormalInverseWishart(centre, kappa, prior.base.dof, prior.base.scale)
    return total + conjugate_prior(structure, mixture, given)


def separate_prior(structure, mixture, prior, sites):
    """Normal means and inverse-Wishart covariances, with their random scale and spread where there are such."""
    total = 0.0
    if isinstance(prior, Hierarchical):
        spread = sites["mean_spread"]
        total += scipy.stats.gamma(float(prior.shape), scale=1 / float(prior.rate)).logpdf(spread).sum()
        prior = prior.base
    total += scipy.stats.norm(prior.mean, prior.mean_scale).logpdf(mixture.means).sum()
    scale, d = prior.scale, mixture.n_features
    if scale is None and structure in ("full", "tied"):
        tril = sites["component_scale"].reshape(d, d)
        scale, dof = tril @ tril.T, float(prior.scale_dof)
        total += scipy.stats.wishart(dof, np.linalg.inv(prior.scale_rate)).logpdf(scale)
        total += d * np.log(2) + np.arange(d, 0, -1) @ np.log(np.diag(tril))  # Muirhead 1982, theorem 2.1.9
    elif scale is None:
        scale = sites["component_scale"].reshape(np.shape(prior.scale_rate))
        site = scipy.stats.gamma(0.5 * float(prior.scale_dof), scale=2 / prior.scale_rate)
        total += site.logpdf(scale).sum()
    return total + covariance_prior(structure, mixture.covariances, float(prior.dof), np.asarray(scale))


@every_structure
@pytest.mark.parametrize("concentration", [1.0, 0.5])
@every_prior
def test_the_programs_joint_density_is_the_hand_computed_one(structure, prior, concentration):
    mixture, rows = example(structure)
    components = COMPONENT_PRIORS[prior]
    model = finite_mixture(3, structure, components=components, concentration=concentration).resolve(rows)
    expected = log_density(mixture, rows).sum() + dirichlet(mixture, concentration)
    if isinstance(components, NormalInverseWishart):
        expected += conjugate_prior(structure, mixture, model.components)
        expected += change_of_coordinates(structure, mixture)
    elif isinstance(components, RandomCentre):
        expected += gathered_prior(structure, mixture, model.components, model.to_sites(mixture))
        expected += change_of_coordinates(structure, mixture)
    elif isinstance(components, Independent | Hierarchical):
        expected += separate_prior(structure, mixture, model.components, model.to_sites(mixture))
        expected += change_of_coordinates(structure, mixture)
    else:
        expected += independent_prior(structure, mixture, model.components)
    assert log_joint(model, rows, model.to_sites(mixture)) == pytest.approx(expected, rel=1e-9)


@every_structure
@pytest.mark.parametrize(
    "prior", [n for n, p in COMPONENT_PRIORS.items() if isinstance(p, NormalInverseWishart)]
)
def test_log_prior_is_the_density_of_weights_means_and_covariances(structure, prior):
    """What EM's posterior mode climbs, and what NUTS samples, are one density."""
    mixture, rows = example(structure)
    model = finite_mixture(3, structure, components=COMPONENT_PRIORS[prior], concentration=2.0).resolve(rows)
    found = in_float64(lambda model, mixture: model.log_prior(mixture))(model, mixture)
    expected = dirichlet(mixture, 2.0) + conjugate_prior(structure, mixture, model.components)
    assert found == pytest.approx(expected, rel=1e-10)
    program = log_joint(model, rows, model.to_sites(mixture)) - log_density(mixture, rows).sum()
    assert program - change_of_coordinates(structure, mixture) == pytest.approx(expected, rel=1e-9)


def test_one_component_has_no_weight_to_sample():
    mixture, rows = example("full", k=1)
    model = finite_mixture(1).resolve(rows)
    assert "weights" not in model.to_sites(mixture)
    expected = log_density(mixture, rows).sum() + conjugate_prior("full", mixture, model.components)
    expected += change_of_coordinates("full", mixture)
    assert log_joint(model, rows, model.to_sites(mixture)) == pytest.approx(expected, rel=1e-9)


# --- units


def units(structure, d=2):
    return (np.full(d, 3.0) if structure == "spherical" else np.array([3.0, 0.2])), np.array([-5.0, 40.0])


@first_structure_quick
@every_prior
def test_beliefs_follow_a_change_of_units(structure, prior):
    """The joint density of rows and parameters, Jacobians included, is the same in both units."""
    factor, shift = units(structure)
    mixture, rows = example(structure)
    model = finite_mixture(3, structure, components=COMPONENT_PRIORS[prior]).resolve(rows)
    there = in_float64(lambda m: m.rescale(factor, shift))(model)
    sites, moved = model.to_sites(mixture), there.to_sites(mixture.rescale(factor, shift))
    rows_jacobian = len(rows) * np.log(factor).sum()
    sites_jacobian = site_log_jacobian(model, sites, factor, shift)
    expected = log_joint(model, rows, sites) - rows_jacobian - sites_jacobian
    assert log_joint(there, rows * factor + shift, moved) == pytest.approx(expected, rel=1e-9)


def scale_log_jacobian(value, factor):
    """Of the random scale's site: row i of a factor L grows by factor i, and holds i entries; variances by squares."""
    if value.ndim >= 2 and value.shape[-1] == value.shape[-2] == len(factor):
        return float(np.arange(1, len(factor) + 1) @ np.log(factor))
    return float(2 * np.log(factor)[: value.size].sum())


def site_log_jacobian(model, sites, factor, shift):
    """log |d sites there / d sites here| of the map that a change of units makes of the free entries, by autodiff."""

    def free(name, value):
        rows, columns = np.tril_indices(value.shape[-1])
        return value[..., rows, columns] if name == "precision_tril" else value

    def there(name, value):
        values = {k: jnp.asarray(v) for k, v in sites.items()} | {name: value}
        return free(name, model.to_sites(model.from_sites(values).rescale(factor, shift))[name]).ravel()

    total = 0.0
    with jax.enable_x64(True):
        factor, shift = jnp.asarray(factor), jnp.asarray(shift)
        for name in set(sites) - {"weights", "correlation_tril", "mean_spread", "mean_precision"}:
            value = jnp.asarray(sites[name])
            if name == "centre":
                total += float(jnp.sum(jnp.log(factor)))
                continue
            if name == "component_scale":
                total += scale_log_jacobian(value, factor)
                continue
            jacobian = jax.jacobian(lambda v, name=name: there(name, v))(value).reshape(-1, *value.shape)
            total += float(jnp.linalg.slogdet(free(name, jacobian).reshape(len(jacobian), -1))[1])
    return total


@every_structure
@pytest.mark.parametrize("prior", [name for name in COMPONENT_PRIORS if "given" not in name])
def test_defaults_follow_a_change_of_units(structure, prior):
    """Hyperparameters left to the data are those of the other units, carried over."""
    factor, shift = units(structure)
    _, rows = example(structure)
    model = finite_mixture(3, structure, components=COMPONENT_PRIORS[prior])
    carried = in_float64(lambda m: m.rescale(factor, shift))(model.resolve(rows))
    fresh = model.resolve(rows * factor + shift)
    for a, b in zip(jax.tree.leaves(carried), jax.tree.leaves(fresh), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10)


def test_defaults_are_fraley_and_rafterys():
    _, rows = example("full", n=50)
    prior = finite_mixture(3, components=fraley_raftery()).resolve(rows).components
    np.testing.assert_allclose(prior.mean, rows.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(prior.scale, np.cov(rows.T) / 3, rtol=1e-12)
    assert prior.mean_precision == 0.01
    assert prior.dof == 4


def test_weights_of_rows_count_in_the_defaults():
    _, rows = example("full")
    weight = np.random.default_rng(0).integers(1, 4, len(rows))
    a = finite_mixture(3).resolve(rows, weight.astype(float)).components
    b = finite_mixture(3).resolve(np.repeat(rows, weight, axis=0)).components
    np.testing.assert_allclose(a.mean, b.mean, rtol=1e-12)
    np.testing.assert_allclose(a.scale, b.scale, rtol=1e-12)


# --- the face


def test_the_model_says_what_it_is():
    model = finite_mixture(np.int64(4), "diag", concentration=0.5)
    assert isinstance(model, FiniteMixture)
    assert (model.n_components, model.covariance_type) == (4, "diag")
    assert isinstance(model.components, NormalInverseWishart)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"n_components": 0}, ValueError, "n_components of at least 1; got 0"),
        ({"n_components": 2.0}, TypeError, "n_components"),
        ({"n_components": True}, TypeError, "integer; got True"),
        ({"n_components": 2, "covariance_type": "round"}, ValueError, "full, tied, diag, spherical"),
        ({"n_components": 2, "concentration": 0.0}, ValueError, "concentration above 0"),
        ({"n_components": 2, "components": "niw"}, TypeError, "components"),
    ],
)
def test_what_finite_mixture_refuses(arguments, error, words):
    with pytest.raises(error, match=words):
        finite_mixture(**arguments)


@pytest.mark.parametrize(
    ("prior", "words"),
    [
        (NormalInverseWishart(dof=0.5), "dof above 1; got 0.5"),
        (NormalInverseWishart(mean_precision=-1.0), "mean_precision above 0"),
        (NormalInverseWishart(mean=np.zeros(3)), r"each of 2 features; got shape \(3,\)"),
        (NormalInverseWishart(scale=np.eye(3)), r"scale of shape \(2, 2\)"),
        (NormalLKJ(mean_scale=np.ones(5)), r"each of 2 features; got shape \(5,\)"),
        (NormalLKJ(scales=LogNormal(median=np.ones(4))), r"each of 2 features; got shape \(4,\)"),
    ],
)
def test_what_resolving_a_prior_refuses(prior, words):
    with pytest.raises(ValueError, match=words):
        finite_mixture(2, components=prior).resolve(np.random.default_rng(0).standard_normal((9, 2)))


def test_a_prior_that_is_not_conjugate_says_which_engines_can():
    _, rows = example("full")
    model = finite_mixture(3, components=NormalLKJ()).resolve(rows)
    with pytest.raises(ValueError, match=r"NormalLKJ is not conjugate.*NUTS"):
        model.pseudo_moments(2)
    with pytest.raises(ValueError, match="NUTS"):
        model.log_prior(to_device(random_mixture("full", np.random.default_rng(0))))


def test_rows_may_be_a_frame_or_a_name():
    frame = load_dataset("faithful")
    model = finite_mixture(2)
    of_array = model.resolve(frame.to_numpy())
    for rows in (frame, "faithful"):
        assert same(model.resolve(rows), of_array)
