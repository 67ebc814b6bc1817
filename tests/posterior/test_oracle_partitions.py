"""Nine rows of faithful, every partition enumerated: the posterior of the partition known exactly."""

import numpy as np
import pytest
from posterior.partitions import all_partitions, direct_losses, in_nats, same_partition, unchecked
from scipy.special import gammaln, logsumexp, multigammaln
from scipy.stats import poisson

from bayesgmm.posterior.label_draws import as_label_draws
from bayesgmm.posterior.losses import LOSSES, get_loss
from bayesgmm.posterior.point import find_point
from bayesgmm.posterior.similarity import similarity


def finite(k, alpha):
    """Log probability of a partition with clusters of given sizes, under K components and Dirichlet(alpha) weights."""

    def log_prior(sizes):
        if len(sizes) > k:
            return -np.inf
        n, names = sizes.sum(), gammaln(k + 1) - gammaln(k - len(sizes) + 1)
        each = (gammaln(alpha + sizes) - gammaln(alpha)).sum()
        return names + gammaln(k * alpha) - gammaln(k * alpha + n) + each

    return log_prior


def dirichlet_process(alpha):
    """The same under a Dirichlet process (Antoniak 1974)."""

    def log_prior(sizes):
        n = sizes.sum()
        return len(sizes) * np.log(alpha) + gammaln(sizes).sum() + gammaln(alpha) - gammaln(alpha + n)

    return log_prior


def mixture_of_finite_mixtures(probabilities, gamma=1.0):
    """The same where the number of components is 1, 2, ... with these probabilities (Miller & Harrison 2018)."""

    def log_prior(sizes):
        each = [finite(k, gamma)(sizes) for k in range(1, len(probabilities) + 1)]
        return logsumexp(np.log(probabilities) + each)

    return log_prior


MODELS = {
    **{
        f"finite,K={k},alpha={name}": finite(k, alpha)
        for k, name, alpha in (
            *((k, "1", 1.0) for k in (1, 2, 3, 4, 5)),
            *((3, "0.333333", 1 / 3), (3, "4", 4.0)),
        )
    },
    **{f"DP,alpha={alpha}": dirichlet_process(alpha) for alpha in (0.5, 1.0, 2.0)},
    "MFM,K~U{1..30},gamma=1": mixture_of_finite_mixtures(np.full(30, 1 / 30)),
    "MFM,K-1~Poisson(1),gamma=1": mixture_of_finite_mixtures(poisson.pmf(np.arange(60), 1.0)),
}


def log_marginal(rows, prior):
    """Evidence of rows in one cluster under the normal-inverse-Wishart prior (Murphy 2007, equation 266)."""
    n, d = rows.shape
    kappa, nu, mean, scale = prior["kappa0"], prior["nu0"], np.array(prior["m0"]), np.array(prior["Psi0"])
    centre = rows.mean(axis=0)
    off, apart = rows - centre, centre - mean
    posterior = scale + off.T @ off + kappa * n / (kappa + n) * np.outer(apart, apart)
    return (
        -0.5 * n * d * np.log(np.pi)
        + multigammaln((nu + n) / 2, d)
        - multigammaln(nu / 2, d)
        + 0.5 * nu * np.linalg.slogdet(scale)[1]
        - 0.5 * (nu + n) * np.linalg.slogdet(posterior)[1]
        + 0.5 * d * np.log(kappa / (kappa + n))
    )


@pytest.fixture(scope="module")
def oracle(cases):
    case = cases("O_exact_enumeration_faithful")["faithful_first9"]
    rows, every = np.array(case["data"]), all_partitions(9)
    of_subset = np.array(
        [0.0, *(log_marginal(rows[_members(code)], case["prior_NIW"]) for code in range(1, 512))]
    )
    subsets = [[int((1 << np.flatnonzero(p == k)).sum()) for k in range(p.max() + 1)] for p in every]
    likelihood = np.array([of_subset[codes].sum() for codes in subsets])
    return case["models"], every, likelihood


def log_posterior(oracle, name):
    """Log joint of every partition and the rows under one model."""
    _, every, likelihood = oracle
    sizes = [tuple(np.sort(np.bincount(p))) for p in every]
    log_priors = {of: MODELS[name](np.array(of)) for of in set(sizes)}
    return likelihood + [log_priors[of] for of in sizes]


def _members(code):
    return [i for i in range(9) if code >> i & 1]


def test_every_model_of_the_oracle_is_here(oracle):
    assert set(oracle[0]) == set(MODELS)


LONG = {
    "finite,K=5,alpha=1",
    "DP,alpha=0.5",
    "DP,alpha=2.0",
    *(name for name in MODELS if name.startswith("MFM")),
}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name in LONG else ()) for name in MODELS]
)
@unchecked()
def test_optima_of_the_exact_posterior(oracle, name):
    models, every, _ = oracle
    reference, log_p = models[name], log_posterior(oracle, name)
    assert logsumexp(log_p) == pytest.approx(reference["log_evidence"], abs=1e-6)
    p = np.exp(log_p - logsumexp(log_p))
    draws = as_label_draws(every[p > 1e-10], weights=p[p > 1e-10])  # at most 2e-6 of the mass is left out
    assert similarity(draws) == pytest.approx(np.array(reference["psm"]), abs=1e-6)
    for loss, key, value in (
        (get_loss("variation_of_information", unit="bits"), "vi_partition", "vi_expected_bits"),
        (get_loss("binder"), "binder_partition", "binder_expected_pairs"),
    ):
        point = find_point(draws, loss, n_starts=1)
        assert same_partition(point.labels, reference[key])
        assert point.expected_loss == pytest.approx(reference[value], abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", [next(iter(MODELS)), list(MODELS)[-1]])
@unchecked()
def test_the_least_of_each_loss_over_all_partitions(oracle, name):
    """The likeliest 60 partitions with their exact odds, against all 21147 candidates by direct comparison of rows."""
    every, log_p = oracle[1], log_posterior(oracle, name)
    likeliest = np.argsort(-log_p)[:60]
    weights = np.exp(log_p[likeliest] - logsumexp(log_p[likeliest]))
    draws = as_label_draws(every[likeliest], weights=weights)
    expected = dict.fromkeys(LOSSES, 0.0)
    for draw, weight in zip(every[likeliest], weights, strict=True):
        for loss, values in direct_losses(every, draw).items():
            expected[loss] = expected[loss] + weight * values
    for loss in LOSSES:
        assert find_point(draws, in_nats(loss)).expected_loss == pytest.approx(
            expected[loss].min(), abs=1e-10
        )
