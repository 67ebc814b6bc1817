"""Jumps between regions: the numberings of components, exactness on an enumerated posterior, checkpoints."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from enumeration import PRIOR, ROWS, exact
from numpyro.distributions.transforms import StickBreakingTransform
from scipy.special import logsumexp
from scipy.stats import multivariate_t
from three_groups import three_groups_for_two

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.float64 import to_device
from bayesgmm.inference import checkpoint as checkpoints
from bayesgmm.inference.fit import prepare
from bayesgmm.inference.gradient import jumps as jumping
from bayesgmm.inference.gradient import regions as regions_of
from bayesgmm.inference.gradient.jumps import Jumps
from bayesgmm.inference.gradient.labellings import Labellings, log_weights_of, sticks_of
from bayesgmm.inference.gradient.regions import Regions
from bayesgmm.inference.gradient.target import Chart, Target, gradients, prior_coordinates
from bayesgmm.models.components import NormalInverseWishart, NormalLKJ, malsiner_walli
from bayesgmm.posterior import multimodality
from bayesgmm.posterior.similarity import similarity as similarity_of
from bayesgmm.row_blocks import make_rows


def target_of(x, model):
    """To be called in float64."""
    problem = prepare(x, model, start=np.arange(len(x)) % model.n_components, random_state=0)
    model = to_device(problem.standard_model())
    return Target.at(model, to_device(make_rows(problem.rows, model.structure)), problem.start_mixture())[0]


def test_sticks_are_numpyros():
    sticks = 2.0 * np.random.default_rng(0).standard_normal((50, 3))
    log_weights, log_jacobian = log_weights_of(sticks)
    transform = StickBreakingTransform()
    with jax.enable_x64(True):
        weights = transform(jnp.asarray(sticks))
        expected = transform.log_abs_det_jacobian(jnp.asarray(sticks), weights)
    np.testing.assert_allclose(np.exp(log_weights), weights, rtol=1e-12)
    np.testing.assert_allclose(log_jacobian, expected, rtol=1e-12)
    np.testing.assert_allclose(sticks_of(log_weights), sticks, rtol=1e-9, atol=1e-9)


PRIORS = {
    "full, conjugate": ("full", NormalInverseWishart()),
    "tied, LKJ": ("tied", NormalLKJ()),
    "full, random hyperparameters": ("full", malsiner_walli()),
}


@pytest.mark.parametrize(
    "case", [pytest.param(c, marks=pytest.mark.slow if "conj" not in c else ()) for c in PRIORS]
)
def test_the_posterior_is_the_same_under_every_numbering(case):
    """Log joint of an image plus the log Jacobian is that of the point, and mixtures are renumbered; at prior draws."""
    structure, components = PRIORS[case]
    x = np.random.default_rng(1).standard_normal((12, 2))
    with jax.enable_x64(True):
        target = target_of(x, models.finite_mixture(3, structure, components=components))
        labellings = Labellings(target)
        theta = prior_coordinates(target, 0, 3)
        images, log_jacobian = labellings.images(theta)
        potential, _ = gradients(target, theta)
        again, _ = gradients(target, images.reshape(18, -1))
        np.testing.assert_allclose(again.reshape(6, 3) - log_jacobian, np.tile(potential, (6, 1)), rtol=1e-9)
        means = [np.asarray(target.mixture(jnp.asarray(t)).means) for t in (theta[0], images[3, 0])]
        np.testing.assert_allclose(means[1], means[0][labellings.orders[3]], rtol=1e-12)
        there = labellings.apply(theta, np.tile(labellings.orders[3], (3, 1)))
        back = labellings.apply(there, np.tile(np.argsort(labellings.orders[3]), (3, 1)))
    np.testing.assert_allclose(there, images[3], rtol=1e-12)
    np.testing.assert_allclose(back, theta, rtol=1e-9, atol=1e-9)


def test_numberings_matter_to_sticks_and_are_too_many_for_six_components():
    x = np.random.default_rng(1).standard_normal((14, 1))
    with jax.enable_x64(True):
        assert Labellings.are_alike(target_of(x, models.finite_mixture(5)))
        assert not Labellings.are_alike(target_of(x, models.finite_mixture(6)))
        assert not Labellings.are_alike(target_of(x, models.finite_mixture(1)))
        assert not Labellings.are_alike(target_of(x, models.dirichlet_process_mixture(3)))


@pytest.fixture(scope="module")
def nine():
    """Nine rows, two components, a conjugate prior, and its exact posterior over all 512 allocations."""
    clusters, similarity = exact(ROWS, 2)
    return ROWS[:, None], models.finite_mixture(2, components=PRIOR), float(clusters[0]), similarity


@pytest.mark.slow
@pytest.mark.parametrize("engine", [bg.HMC(num_samples=4000), bg.NUTS(num_samples=4000)])
def test_an_enumerated_posterior_is_hit(nine, engine):
    """Similarities and the chance of an empty component within .02 of the exact ones: standard errors below .004."""
    x, model, empty, similarity = nine
    assert 0.05 < empty < 0.95  # there is something to jump to and fro
    post = bg.fit(x, model, engine, random_state=0)
    assert "regions that trajectories seldom leave" in " ".join(post.remarks)
    assert post.diagnostics().max_r_hat < 1.02
    np.testing.assert_allclose(similarity_of(post), similarity, atol=0.02)
    assert float(post.n_clusters.loc[1]) == pytest.approx(empty, abs=0.02)


@pytest.fixture(scope="module")
def known(nine):
    """A target, poor jumps in it, and 8000 draws of its exact posterior by allocations.

    The approximations are poor on purpose: one is too wide, one is beside it and overlaps, a third of all is far off.
    """
    x, model, *_ = nine
    with jax.enable_x64(True):
        target = target_of(x, model)
        gibbs = bg.fit(x, model, bg.Gibbs(num_warmup=500, num_samples=8000, num_chains=4), random_state=0)
        theta = coordinates(target, gibbs, x)[::4]
    spread = np.linalg.cholesky(np.cov(theta, rowvar=False))
    shifts = (np.zeros(5), 0.7 * spread.sum(axis=1), np.ones(5))
    charts = [Chart(theta.mean(axis=0) + shift, 1.5 * spread) for shift in shifts]
    with jax.enable_x64(True):
        regions = Regions.of(("wide", "beside", "far"), charts, [0.0] * 3)
        return target, Jumps(target, regions, Labellings(target)), theta


def drift(target, jumps, theta):
    """By how many standard errors four jumps of every draw change the means of four invariants; most draws move."""
    rng, after = np.random.default_rng(1), theta
    with jax.enable_x64(True), pytest.MonkeyPatch.context() as patch:
        patch.setattr(jumping, "TRIES", 8)  # the move is right with any, and quicker with few
        for _ in range(4):
            after = jumps(after, gradients(target, after)[0], rng)
        before, now = (invariants(target, points) for points in (theta, after))
    assert np.any(after != theta, axis=1).mean() > 0.5
    error = np.std(now - before, axis=0) / np.sqrt(len(theta))
    return np.abs((now - before).mean(axis=0)) / error


@pytest.mark.slow
def test_jumps_alone_leave_a_known_posterior_as_it_is(known):
    """Four differences within 4.5 standard errors: fails 3e-5."""
    assert np.all(drift(*known) < 4.5)


def test_regions_are_students_t():
    """The density is SciPy's, and so are the moments of draws: means within 5 standard errors, covariances 10 %."""
    factors = np.random.default_rng(3).standard_normal((2, 3, 3))
    charts = [Chart(np.full(3, 2.0 * r), factors[r]) for r in range(2)]
    regions = Regions.of(("a", "b"), charts, [0.0, -50.0])
    points = np.random.default_rng(4).standard_normal((7, 3))
    expected = [
        np.log(share)
        + multivariate_t(chart.centre, chart.factor @ chart.factor.T, regions_of.DOF).logpdf(points)
        for share, chart in zip(regions.shares, charts, strict=True)
    ]
    np.testing.assert_allclose(regions.log_densities(points).T, expected, rtol=1e-10)
    draws = (
        Regions.of(("a",), charts[:1], [0.0]).draw(np.random.default_rng(5), 40_000)
        @ np.linalg.inv(factors[0]).T
    )
    assert np.all(np.abs(draws.mean(axis=0)) < 5 * draws.std(axis=0) / 200)
    np.testing.assert_allclose(np.cov(draws.T), np.eye(3) * regions_of.DOF / (regions_of.DOF - 2), atol=0.1)


def of_one_numbering(jumps, theta):
    """Not summed over the numberings."""
    log_q = np.logaddexp.reduce(jumps.regions.log_densities(theta), axis=1)
    return log_q, jumps.log_proposal(theta)[1]


def of_one_region(jumps, theta):
    """Not summed over the regions."""
    images, log_jacobian = jumps.labellings.images(theta)
    each = jumps.regions.log_densities(images.reshape(-1, theta.shape[1]))[:, 0].reshape(log_jacobian.shape)
    return np.logaddexp.reduce(each + log_jacobian, axis=0), each.argmax(axis=0)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", [of_one_numbering, of_one_region])
def test_proposals_whose_density_is_summed_wrongly_are_caught(known, wrong):
    target, right, theta = known
    jumps = Jumps(target, right.regions, right.labellings)
    jumps.log_proposal = lambda points: wrong(right, points)
    assert drift(target, jumps, theta).max() > 5.0


def coordinates(target, posterior, x):
    """Unconstrained coordinates of a posterior's draws."""
    from bayesgmm.inference.gradient.vi_start import unconstrained

    return unconstrained(prepare(x, posterior.model, random_state=0), target, posterior)


def invariants(target, theta):
    """Quantities (S, 4) that no renumbering changes: log joint, lesser weight, means' sum and distance."""
    mixtures = jax.vmap(target.mixture)(jnp.asarray(theta))
    means, weights = np.asarray(mixtures.means)[:, :, 0], np.exp(np.asarray(mixtures.log_weights))
    density = np.sum(weights * means, axis=1)
    return np.stack(
        [weights.min(axis=1), density, means.sum(axis=1), np.abs(means[:, 0] - means[:, 1])], axis=1
    )


@pytest.fixture(scope="module")
def three():
    return bg.fit(three_groups_for_two(), models.finite_mixture(2), bg.HMC(num_samples=500), random_state=0)


def test_chains_that_would_stay_in_three_modes_cross_between_them(three):
    """Without jumps R-hat is 2. Two rows of one group are together in every mode, two of two groups in one of three.

    The modes' shares are Laplace's to .12: some fifty independent visits each, a standard error of .03.
    """
    assert three.diagnostics().max_r_hat < 1.1
    (weight,) = three.modes["laplace_weight"]
    assert weight == pytest.approx(three.data["warm_start"]["laplace_weight"].values[:3].sum())
    assert "3 regions" in three.remarks[0]
    assert f"note: {three.remarks[0]}" in repr(three)
    laplace = np.sort(three.data["warm_start"]["laplace_weight"].values[:3])
    together = similarity_of(three)
    found = np.sort([together[0, 50], together[0, 100], together[50, 100]])
    np.testing.assert_allclose(found, laplace, atol=0.12)
    assert together[0, 10] > 0.99


def test_a_jumping_run_goes_on_from_its_checkpoint_bit_for_bit(three, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "PAUSE", 0.0)
    monkeypatch.setattr(checkpoints, "SHARE", 0.0)
    rows, model, path = three_groups_for_two(), models.finite_mixture(2), tmp_path / "run.ckpt"
    engine = bg.HMC(num_samples=500)
    for at in (50, 300):

        def stop(phase, done, total, at=at):
            if phase == "sampling" and done == at:
                raise RuntimeError("power cut")

        with pytest.raises(RuntimeError, match="power cut"):
            bg.fit(rows, model, engine, random_state=0, checkpoint=path, progress=stop)
    again = bg.fit(rows, model, engine, random_state=0, checkpoint=path)
    assert again.data["posterior"].equals(three.data["posterior"])
    assert again.remarks == three.remarks


def test_jumps_must_be_a_bool():
    with pytest.raises(TypeError, match="jumps"):
        bg.HMC(jumps="often")


def test_weights_too_small_for_their_coordinates_are_refused():
    with pytest.raises(ValueError, match=r"concentration of at least 0.2 .* got 0.03.* Use Gibbs"):
        bg.fit(ROWS[:, None], models.finite_mixture(2, concentration=0.03, components=PRIOR), bg.HMC())


def test_the_fewest_draws_that_are_allowed_are_judged():
    """Chains apart and twenty draws: importance weights without a tail must not stop the report."""
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(0, 1, (60, 2)), rng.normal(6, 1, (40, 2))])
    post = bg.fit(
        x, models.finite_mixture(2), bg.HMC(num_samples=20, num_warmup=20, num_chains=2), random_state=0
    )
    values = post.data["log_likelihood"]["x"].values[:1]
    found = multimodality._left_out(post.data, np.array([0]))
    np.testing.assert_allclose(found, np.log(20) - logsumexp(-values[0], axis=0), rtol=1e-12)
    assert post.diagnostics().verdict


@pytest.mark.parametrize(
    "engine", [pytest.param(bg.HMC(num_samples=100), marks=pytest.mark.slow), bg.Gibbs(num_samples=100)]
)
def test_a_density_of_the_weights_with_poles_is_no_obstacle(engine):
    """EM would climb to an empty component for ever; where chains begin is looked for under bounded weights."""
    model = models.finite_mixture(3, concentration=0.2, components=PRIOR)
    post = bg.fit(ROWS[:, None], model, engine, random_state=0)
    assert np.isfinite(post.data["sample_stats"]["lp"].values).all()
    with pytest.raises(FloatingPointError, match="concentration of at least 1"):
        bg.fit(ROWS[:, None], model, bg.EM(objective="posterior"), random_state=0)
