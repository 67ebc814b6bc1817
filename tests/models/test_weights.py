"""Weight priors against closed forms, by enumeration of every allocation where there are few."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import numpyro
import pytest
import scipy.stats
from numpyro.infer.util import log_density as program_log_density
from scipy.special import gammaln, logsumexp

from bayesgmm import models
from bayesgmm.float64 import in_float64
from bayesgmm.models import weights
from bayesgmm.models.weights import (
    Dirichlet,
    F,
    Gamma,
    MixtureOfFiniteMixtures,
    SparseDirichlet,
    StickBreaking,
)
from bayesgmm.models.weights.log_gamma import LogGamma

PRIORS = {
    "dirichlet": Dirichlet(0.7),
    "sparse": SparseDirichlet(0.2),
    "sparse, random": SparseDirichlet(Gamma(2.0, 4.0)),
    "dirichlet process": StickBreaking(1.5),
    "dirichlet process, random": StickBreaking(Gamma(2.0, 4.0)),
    "pitman-yor": StickBreaking(0.8, 0.3),
    "static": MixtureOfFiniteMixtures(weights.uniform(4)),
    "static, random": MixtureOfFiniteMixtures(weights.uniform(4), Gamma(2.0, 1.0)),
    "static, F, random": MixtureOfFiniteMixtures(weights.uniform(4), F()),
    "dynamic": MixtureOfFiniteMixtures(weights.shifted_poisson(1.0, 4), 0.9, dynamic=True),
}
FIXED = [name for name in PRIORS if "random" not in name]


def partitions(n):
    """Every set partition of n rows, as labels numbered in order of appearance."""
    for labels in itertools.product(range(n), repeat=n):
        if all(label <= max(labels[:i], default=-1) + 1 for i, label in enumerate(labels)):
            yield np.array(labels)


# --- the number of components


@pytest.mark.parametrize(
    ("prior", "exact"),
    [
        (weights.uniform(6), lambda k: np.full(len(k), 1 / 6)),
        (weights.shifted_poisson(2.0, 40), lambda k: scipy.stats.poisson(2.0).pmf(k - 1)),
        (weights.truncated_poisson(1.0, 40), lambda k: scipy.stats.poisson(1.0).pmf(k) / -np.expm1(-1.0)),
        (weights.geometric(0.3, 80), lambda k: scipy.stats.geom(0.3).pmf(k)),
        (weights.beta_negative_binomial(most=400), lambda k: scipy.stats.betanbinom(1, 4, 3).pmf(k - 1)),
    ],
    ids=["uniform", "shifted Poisson", "truncated Poisson", "geometric", "BNB(1, 4, 3)"],
)
def test_priors_of_the_number_of_components(prior, exact):
    k = np.arange(1, prior.most + 1)
    np.testing.assert_allclose(prior.probabilities * (1 - prior.tail), exact(k), rtol=1e-9, atol=1e-15)
    assert prior.probabilities.sum() == pytest.approx(1, rel=1e-12)


def test_a_cut_off_tail_is_told():
    exact = scipy.stats.betanbinom(1, 4, 3).sf(9)
    assert weights.beta_negative_binomial(most=10).tail == pytest.approx(exact, rel=1e-9)
    assert weights.uniform(10).tail == 0


# --- given counts: sums over every allocation


@pytest.mark.parametrize("prior", [StickBreaking(1.5), StickBreaking(0.8, 0.3)], ids=["DP", "PY"])
def test_stick_marginals_sum_to_one_over_allocations(prior):
    t, n = 3, 4
    counts = np.array([np.bincount(z, minlength=t) for z in itertools.product(range(t), repeat=n)], float)
    total = in_float64(lambda prior, c: jax.vmap(lambda c: prior._log_marginals(c).sum())(c))(
        prior.resolve(), counts
    )
    assert logsumexp(total) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("name", ["static", "dynamic"])
def test_partitions_given_the_number_of_components_sum_to_its_prior(name):
    """Summed over all 15 partitions of 4 rows, the joint of K and the partition is p(K)."""
    prior = PRIORS[name].resolve()
    counts = np.array([np.bincount(z, minlength=4) for z in partitions(4)], float)
    joint = in_float64(lambda p, c: jax.vmap(lambda c: p.log_number_given(c, p.concentration))(c))(
        prior, counts
    )
    np.testing.assert_allclose(logsumexp(joint, axis=0), prior.number.log_probabilities, atol=1e-12)


@in_float64
@jax.jit
def _draws(prior, counts, state, keys):
    return jax.vmap(lambda key: prior.draw(key, counts, state))(keys)


def test_dirichlet_weights_given_counts_have_the_posteriors_moments():
    """20 000 draws: three means within 4.5 standard errors (fails 2e-5)."""
    counts = np.array([4.0, 0.0, 9.0])
    drawn = np.exp(
        _draws(Dirichlet(0.5).resolve(), counts, {}, jax.random.split(jax.random.key(0), 20_000)).log_weights
    )
    exact = scipy.stats.dirichlet(counts + 0.5)
    np.testing.assert_array_less(
        np.abs(drawn.mean(0) - exact.mean()), 4.5 * np.sqrt(exact.var() / len(drawn))
    )


def test_telescoping_puts_occupied_slots_first_and_absent_ones_nowhere():
    counts = np.array([0.0, 4.0, 0.0, 9.0])
    prior = PRIORS["static"].resolve()
    state = {"n_components": np.array(4)}
    drawn = _draws(prior, counts, state, jax.random.split(jax.random.key(1), 200))
    np.testing.assert_array_equal(drawn.order, np.tile([1, 3, 0, 2], (200, 1)))
    number = drawn.state["n_components"]
    assert set(number) == {2, 3, 4}
    np.testing.assert_array_equal(np.isfinite(drawn.log_weights).sum(axis=1), number)
    np.testing.assert_allclose(np.exp(drawn.log_weights).sum(axis=1), 1.0)


def test_exchanges_of_sticks_leave_the_order_of_clusters_in_balance():
    """Two clusters of 1 and 5 rows on 3 sticks: P(order) in the end is the enumerated one; 4.5 SE, fails 4e-5."""
    prior = StickBreaking(0.9, 0.2).resolve()
    orders = np.array(sorted(set(itertools.permutations([1.0, 5.0, 0.0]))))
    exact = in_float64(lambda p, c: jax.vmap(lambda c: p._log_marginals(c).sum())(c))(prior, orders)
    exact = np.exp(exact - logsumexp(exact))

    @in_float64
    @jax.jit
    def settled(prior, keys):
        def chain(key):
            def step(counts, key):
                return counts[prior.draw(key, counts, {}).order], None

            return jax.lax.scan(step, jnp.array([0.0, 1.0, 5.0]), jax.random.split(key, 60))[0]

        return jax.vmap(chain)(keys)

    n = 10_000
    found = settled(prior, jax.random.split(jax.random.key(2), n))
    share = np.array([np.mean(np.all(found == order, axis=1)) for order in orders])
    np.testing.assert_array_less(np.abs(share - exact), 4.5 * np.sqrt(exact * (1 - exact) / n) + 1e-3)


# --- the NumPyro programs


@pytest.mark.parametrize("name", [n for n in FIXED if n not in ("static", "dynamic")])
def test_log_prior_is_the_programs_density_of_the_weights(name):
    """The sticks' density, times the Jacobian of the sticks with respect to the first T - 1 weights."""
    prior, k = PRIORS[name].resolve(), 4
    w = np.random.default_rng(0).dirichlet(np.ones(k))
    log_w = np.log(w)
    sites = prior.to_sites(log_w)
    program = in_float64(lambda p, s: program_log_density(lambda: p.sites(k), (), {}, s)[0])(prior, sites)
    jacobian = 0.0
    if "sticks" in sites:
        jacobian = -np.log(1 - np.concatenate([[0.0], np.cumsum(w)[: k - 2]])).sum()
    found = in_float64(lambda p, lw: p.log_prior(lw))(prior, log_w)
    assert found == pytest.approx(program + jacobian, rel=1e-10)
    np.testing.assert_allclose(np.exp(in_float64(lambda p, s: p.from_sites(s))(prior, sites)), w, rtol=1e-10)


@pytest.mark.parametrize("name", ["static", "dynamic"])
def test_log_prior_of_a_random_number_of_weights(name):
    prior = PRIORS[name].resolve()
    w = np.array([0.2, 0.5, 0.3])
    a = 1.0 if name == "static" else 0.9 / 3
    expected = prior.number.log_probabilities[2] + scipy.stats.dirichlet(np.full(3, a)).logpdf(w)
    found = in_float64(lambda p, lw: p.log_prior(lw))(prior, np.append(np.log(w), -np.inf))
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("name", PRIORS)
def test_program_and_host_draw_the_same_prior(name):
    """Largest of four weights, 4000 draws on either side: Kolmogorov-Smirnov at 1e-5 (nine priors: fails 1e-4)."""
    prior = PRIORS[name].resolve()

    @in_float64
    @jax.jit
    def program(prior, keys):
        return jax.vmap(lambda key: jnp.exp(numpyro.handlers.seed(lambda: prior.sites(4), key)()))(keys)

    theirs = program(prior, jax.random.split(jax.random.key(0), 4000))
    ours = prior.draw_weights(np.random.default_rng(1), 4, 4000)
    for statistic in (lambda w: w.max(axis=1), lambda w: w[:, 0]):
        assert scipy.stats.ks_2samp(statistic(np.asarray(theirs)), statistic(ours)).pvalue > 1e-5
    np.testing.assert_allclose(ours.sum(axis=1), 1.0)


# --- the prior of the number of clusters


def exact_n_clusters(prior, n, k):
    """P(K+) of a Dirichlet of K components on n rows, by summing over partitions."""
    a, out = float(prior.concentration), np.zeros(n)
    for z in partitions(n):
        sizes = np.bincount(z)
        if len(sizes) <= k:
            log_p = gammaln(k + 1) - gammaln(k - len(sizes) + 1) + gammaln(k * a) - gammaln(k * a + n)
            out[len(sizes) - 1] += np.exp(log_p + (gammaln(a + sizes) - gammaln(a)).sum())
    return out


def test_prior_of_the_number_of_clusters():
    """Finite: by enumeration. Dirichlet process: its mean, sum of alpha / (alpha + i). 4.5 SE: fails 3e-5."""
    rng, n_draws = np.random.default_rng(3), 20_000
    drawn = Dirichlet(0.7).prior_n_clusters(rng, 3, 5, n_draws)
    share = np.bincount(drawn, minlength=6)[1:] / n_draws
    exact = exact_n_clusters(Dirichlet(0.7), 5, 3)
    np.testing.assert_array_less(np.abs(share - exact), 4.5 * np.sqrt(exact * (1 - exact) / n_draws) + 1e-12)
    drawn = StickBreaking(1.5).prior_n_clusters(rng, 60, 12, n_draws)
    mean = (1.5 / (1.5 + np.arange(12))).sum()
    assert abs(drawn.mean() - mean) < 4.5 * drawn.std() / np.sqrt(n_draws)


# --- weights integrated out, as split-merge moves need it


@pytest.mark.parametrize("name", [name for name in PRIORS if "random" not in name])
@in_float64
def test_probabilities_of_allocations_sum_to_one(name):
    """Over all allocations of five rows to four slots."""
    prior = jax.tree.map(jnp.asarray, PRIORS[name].resolve())
    labels = np.array(list(itertools.product(range(4), repeat=5)))
    counts = (labels[:, :, None] == np.arange(4)).sum(axis=1).astype(float)
    log_p = jax.vmap(lambda n: prior.log_evidence(n, {}))(jnp.asarray(counts))
    assert float(logsumexp(log_p)) == pytest.approx(0.0, abs=1e-10)


@pytest.mark.parametrize("name", [name for name in PRIORS if "random" not in name])
@in_float64
def test_a_split_goes_into_each_empty_slot(name):
    prior = jax.tree.map(jnp.asarray, PRIORS[name].resolve())
    counts = np.array([0.0, 7.0, 0.0, 2.0])
    found = np.asarray(prior.log_splits(jnp.asarray(counts), jnp.array(1), jnp.array(3.0)))
    assert np.isneginf(found[[1, 3]]).all()
    for slot in (0, 2):
        after = counts + 3.0 * (np.eye(4)[slot] - np.eye(4)[1])
        assert found[slot] == pytest.approx(float(prior.log_evidence(jnp.asarray(after), {})), rel=1e-12)


@in_float64
def test_the_f_prior_of_a_concentration():
    """F(6, 3): density, program and draws. Kolmogorov-Smirnov: fails 1e-4."""
    prior, exact, at = F(), scipy.stats.f(6, 3), np.array([0.05, 0.7, 3.0, 90.0])
    np.testing.assert_allclose(prior.log_prob(jnp.asarray(at)), exact.logpdf(at), rtol=1e-10)
    assert scipy.stats.kstest(prior.sample(np.random.default_rng(0), 4000), exact.cdf).pvalue > 1e-4
    density, _ = program_log_density(lambda: prior.site("a"), (), {}, {"a": jnp.asarray(0.7)})
    assert float(density) == pytest.approx(exact.logpdf(0.7), rel=1e-8)


# --- what is refused


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: StickBreaking(0.0), "concentration above 0"),
        (lambda: StickBreaking("a"), "concentration"),
        (lambda: StickBreaking(1.0, 1.0), r"discount in \[0, 1\)"),
        (lambda: SparseDirichlet(-1.0), "concentration above 0"),
        (lambda: Gamma(0.0, 1.0), "shape above 0"),
        (lambda: F(6.0, 2.0), "denominator above 2"),
        (lambda: MixtureOfFiniteMixtures(5), "prior of K"),
        (lambda: weights.uniform(0), "most of at least 1"),
        (lambda: weights.uniform(2.0), "most to be an integer"),
        (lambda: weights.geometric(1.0), "p between 0 and 1"),
    ],
)
def test_what_is_refused(make, words):
    with pytest.raises((ValueError, TypeError), match=words):
        make()


def test_log_gamma_has_the_density_of_scipys_and_draws_where_gammas_are_zero():
    shape, value = np.array([0.3, 2.5]), np.array([-3.0, 0.7])
    np.testing.assert_allclose(
        LogGamma(shape).log_prob(value), scipy.stats.loggamma(shape).logpdf(value), rtol=1e-5
    )
    drawn = np.asarray(LogGamma(np.full(1000, 1e-4)).sample(jax.random.key(0)))
    assert np.isfinite(drawn).all()
    assert drawn.mean() == pytest.approx(-1e4, rel=0.2)  # its sd is 1e4 / sqrt(1000): six of them


def test_a_prior_of_tiny_concentrations_draws_weights():
    """Gammas of such shapes are all zero in floating point in one draw of fifty."""
    rows = np.random.default_rng(0).standard_normal((20, 1))
    model = models.mixture_of_finite_mixtures(concentration=Gamma(1.0, 20.0)).resolve(rows)
    weights = model.prior_predictive(1, n_draws=2000, random_state=0)["weights"]
    np.testing.assert_allclose(weights.sum(axis=1), 1.0, rtol=1e-9)
