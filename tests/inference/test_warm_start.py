"""Mode, metric, starts and the density of the warm start, against independent computations."""

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
from cases import COMPONENT_PRIORS, FIRST_QUICK
from numpyro.distributions import biject_to
from numpyro.infer.util import potential_energy

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.float64 import to_device
from bayesgmm.inference.fit import prepare
from bayesgmm.inference.gradient import modes as mode_search
from bayesgmm.inference.gradient import sampling
from bayesgmm.inference.gradient.empty_component import weigh_emptied
from bayesgmm.inference.gradient.modes import allot, em_starts, find_modes, weights_of
from bayesgmm.inference.gradient.target import Chart, Target, derivatives, gradients
from bayesgmm.inference.gradient.warm_start import dispersed_starts, find_mode
from bayesgmm.models.components import NormalInverseWishart, NormalLKJ
from bayesgmm.row_blocks import make_rows


def standard_problem(model, n=80):
    rows = bg.load_dataset("faithful").iloc[:n]
    em = bg.fit(rows, models.finite_mixture(model.n_components, model.covariance_type), random_state=0)
    return prepare(rows, model, start=em, random_state=0)


def target_at_start(problem):
    """To be called in float64: the target, theta at the EM fit, and that fit."""
    model = to_device(problem.standard_model())
    rows = to_device(make_rows(problem.rows, model.structure))
    mixture = problem.start_mixture()
    return *Target.at(model, rows, mixture), mixture


def log_joint_by_hand(model, rows, values):
    """Log joint of the NumPyro program on plain rows, with the Jacobian of its transforms, site by site."""
    seeded = numpyro.handlers.seed(numpyro.handlers.substitute(model, values), 0)
    total = 0.0
    for site in numpyro.handlers.trace(seeded).get_trace(rows).values():
        if site["type"] == "sample":
            total += jnp.sum(site["fn"].log_prob(site["value"]))
            if not site["is_observed"]:
                transform = biject_to(site["fn"].support)
                unconstrained = transform.inv(site["value"])
                total += jnp.sum(transform.log_abs_det_jacobian(unconstrained, site["value"]))
    return float(total)


@pytest.mark.parametrize("structure", FIRST_QUICK)
@pytest.mark.parametrize("prior", COMPONENT_PRIORS)
def test_target_is_the_programs_joint_with_the_jacobian(structure, prior):
    """What HMC and NUTS climb, one fused pass, is the NumPyro program that users run, to 1e-10."""
    problem = standard_problem(models.finite_mixture(2, structure, components=COMPONENT_PRIORS[prior]))
    with jax.enable_x64(True):
        target, theta, mixture = target_at_start(problem)
        model, rows = target.model, jnp.asarray(problem.rows)
        expected = log_joint_by_hand(model, rows, model.to_sites(mixture))
        assert -target.potential(theta) == pytest.approx(expected, rel=1e-10)
        again = target.mixture(theta)
        np.testing.assert_allclose(again.means, mixture.means, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(again.covariances, mixture.covariances, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("n", [80, 2500])
def test_the_gradient_is_the_programs_to_1e_10(n):
    """One block and several; away from the mode, where nothing cancels."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(size=(n // 2, 2)), rng.normal(size=(n - n // 2, 2)) + 3.0])
    start = np.arange(n) * 2 // n
    problem = prepare(x, models.finite_mixture(2), start=start, random_state=0)
    with jax.enable_x64(True):
        target, theta, _ = target_at_start(problem)
        theta = jnp.asarray(theta + 0.1 * rng.standard_normal(theta.size))
        rows = jnp.asarray(problem.rows)

        def program(theta):
            return potential_energy(target.model, (rows,), {}, target._unravel(theta))

        value, slope = jax.jit(jax.value_and_grad(program))(theta)
        ours, gradient = gradients(target, np.asarray(theta)[None])
    assert ours[0] == pytest.approx(float(value), rel=1e-10)
    np.testing.assert_allclose(gradient[0], slope, rtol=1e-10, atol=1e-10 * np.abs(slope).max())


@pytest.fixture(scope="module")
def warm():
    with jax.enable_x64(True):
        target, theta, _ = target_at_start(standard_problem(models.finite_mixture(2, "spherical")))
        return target, find_mode(target, theta)


def test_newton_ends_where_the_gradient_vanishes_and_the_hessian_is_definite(warm):
    target, mode = warm
    with jax.enable_x64(True):
        exact = np.asarray(jax.jit(jax.hessian(target.potential))(jnp.asarray(mode.theta)))
        _, gradient, differences = derivatives(target, mode.theta)
    assert np.abs(gradient).max() < 1e-4
    assert mode.definite
    assert np.linalg.eigvalsh(exact).min() > 0
    np.testing.assert_allclose(differences, exact, rtol=1e-6, atol=1e-6 * np.abs(exact).max())
    np.testing.assert_allclose(mode.factor.T @ exact @ mode.factor, np.eye(mode.theta.size), atol=1e-4)
    by_hand = -mode.potential + 0.5 * np.linalg.slogdet(2 * np.pi * np.linalg.inv(exact))[1]
    assert mode.log_mass == pytest.approx(by_hand, abs=1e-4)


def test_newton_leaves_a_saddle(warm):
    """Two equal components: the gradient between them vanishes, and only the Hessian knows better."""
    target, mode = warm
    with jax.enable_x64(True):
        fit = target.mixture(jnp.asarray(mode.theta))
        same = jax.tree.map(np.asarray, fit)
        same = type(fit)(
            fit.structure,
            np.log(np.full(2, 0.5)),
            np.repeat(same.means.mean(axis=0, keepdims=True), 2, axis=0),
            np.full_like(same.covariances, 1.0),
        )
        again = find_mode(target, target.theta_of(same))
    assert again.definite
    assert again.potential == pytest.approx(mode.potential, abs=1e-6)


def test_starts_are_dispersed_and_finite(warm):
    """Mean of 40 x 7 squared normals within 40 % of one: fails once in 5e5; the key is fixed."""
    target, mode = warm
    charts = Chart(np.repeat(mode.theta[None], 40, axis=0), np.repeat(mode.factor[None], 40, axis=0))
    with jax.enable_x64(True):
        u, value, slope = dispersed_starts(target, charts, np.random.default_rng(0))
        step = 1e-5 * np.random.default_rng(0).standard_normal(u.shape)
        up, _ = gradients(target, charts.theta(u + step))
        down, _ = gradients(target, charts.theta(u - step))
    assert np.isfinite(value).all()
    assert np.mean(u**2) == pytest.approx(1.0, rel=0.4)
    np.testing.assert_allclose((up - down) / 2, np.sum(slope * step, axis=1), rtol=1e-4, atol=1e-9)


# --- more than one mode


def modes_of(x, model, seed=0):
    problem = prepare(x, model, random_state=seed)
    with jax.enable_x64(True):
        start, others = em_starts(problem)
        problem = prepare(x, model, start=start, random_state=seed)
        target, _, fit = target_at_start(problem)
        return find_modes(problem, target, fit, others)


def test_one_group_in_two_has_one_mode():
    """Old Faithful's other optima, and an emptied component, are not modes worth a chain."""
    modes = modes_of(bg.load_dataset("faithful").iloc[:80], models.finite_mixture(2, "spherical"))
    assert weights_of(modes)[0] > 0.99
    np.testing.assert_array_equal(allot(weights_of(modes), 4), 0)


@pytest.mark.slow
def test_the_place_where_a_cold_tied_chain_sits_weighs_nothing(monkeypatch):
    """On Old Faithful, K = 2 tied, a cold chain can stay where one component is all but empty (weight .005)."""
    monkeypatch.setattr(mode_search, "MARGIN", np.inf)
    modes = modes_of(bg.load_dataset("faithful"), models.finite_mixture(2, "tied"))
    assert len(modes) > 1
    assert modes[0].log_mass - modes[1].log_mass > 100.0


def test_modes_of_one_height_are_told_apart():
    """Exchanging the features changes nothing: two ways to cut the square weigh the same, and both are found."""
    half = np.random.default_rng(0).normal(0, 0.6, (15, 2))
    corner = np.concatenate([half, -half])
    square = np.concatenate([corner + centre for centre in ((3, 3), (3, -3), (-3, 3), (-3, -3))])
    modes = modes_of(np.concatenate([square, square[:, ::-1]]), models.finite_mixture(2, "diag"))
    assert len(modes) >= 2
    assert modes[0].log_mass == pytest.approx(modes[1].log_mass, abs=0.05)


def test_empty_components_weigh_what_their_exact_posterior_says():
    """K = 3 on one group: the evidence of one component, in closed form, times what the weights' prior asks for.

    That is 2 / ((N + 1) (N + 2)) for two empty slots, each of three numberings; a mode has six. Laplace's method is off
    by the skewness of an inverse Wishart of 40 rows: .02 here; .1 is asked for.
    """
    x = np.random.default_rng(5).standard_normal((40, 2))
    model = models.finite_mixture(3, components=NormalInverseWishart(np.zeros(2), 0.5, 5.0, np.eye(2)))
    two = models.finite_mixture(2, components=model.components)
    problem = prepare(x, model, random_state=0)
    with jax.enable_x64(True):
        problem = prepare(x, model, start=em_starts(problem)[0], random_state=0)
        target, _, fit = target_at_start(problem)
        once, twice = weigh_emptied(problem, target, fit)
        problem_of_two = prepare(x, two, start=em_starts(prepare(x, two, random_state=0))[0], random_state=0)
        target_of_two, _, fit_of_two = target_at_start(problem_of_two)
        (of_two,) = weigh_emptied(problem_of_two, target_of_two, fit_of_two)
    one = bg.fit(x, models.finite_mixture(1, components=model.components), bg.CAVI(moves=0))
    exact = one.elbo + problem.log_jacobian  # with one component the ELBO is the evidence
    assert (once.n_empty, twice.n_empty) == (1, 2)
    assert of_two.log_mass == pytest.approx(exact - np.log(41), abs=0.1)
    assert twice.log_mass == pytest.approx(exact - np.log(41 * 42), abs=0.1)


def test_a_component_that_all_rows_need_is_not_asked_about():
    x = np.concatenate([np.random.default_rng(5).standard_normal((40, 2)) + 20.0 * k for k in range(2)])
    problem = prepare(x, models.finite_mixture(2), random_state=0)
    with jax.enable_x64(True):
        problem = prepare(x, models.finite_mixture(2), start=em_starts(problem)[0], random_state=0)
        target, _, fit = target_at_start(problem)
        assert weigh_emptied(problem, target, fit) == []


def test_one_chain_that_left_is_no_fault_of_the_metric_where_it_may_leave():
    lp = np.random.default_rng(0).standard_normal((4, 200))
    lp[2, 150:] -= 30.0
    assert sampling._r_hat(lp, False) > sampling.OBJECTS > sampling._r_hat(lp, True)
    lp[1, 150:] -= 30.0
    assert sampling._r_hat(lp, True) > sampling.OBJECTS


@pytest.mark.slow
def test_that_a_component_may_be_empty_is_said_and_sampled():
    """Iris in three full components: two explain it nearly as well (bridge sampling: a share of .10).

    Some hundred visits give the share a standard error of .015; .06 is asked for.
    """
    from sklearn.datasets import load_iris

    model = models.finite_mixture(3, components=NormalLKJ())
    post = bg.fit(load_iris().data, model, bg.HMC(), random_state=0)
    assert "where a component is empty" in post.remarks[-1]
    assert float(post.n_clusters.loc[2]) == pytest.approx(0.10, abs=0.06)
    stay = bg.fit(load_iris().data, model, bg.HMC(num_samples=250, jumps=False), random_state=0)
    assert any(
        "component may be empty" in words and "mixture_of_finite_mixtures" in words for words in stay.warnings
    )


def test_chains_are_allotted_to_modes_of_some_weight():
    np.testing.assert_array_equal(allot(np.array([0.9, 0.095, 0.005]), 4), [0, 0, 0, 1])
    np.testing.assert_array_equal(allot(np.array([0.5, 0.3, 0.1, 0.1]), 4), [0, 0, 1, 2])
    np.testing.assert_array_equal(allot(np.array([0.5, 0.5]), 1), [0])
