"""Nine rows of faithful, every partition enumerated: the posterior of the partition known exactly."""

import numpy as np
import pytest
from posterior.partitions import all_partitions, same_partition
from scipy.special import gammaln, logsumexp, multigammaln

from bayesgmm.posterior.label_draws import as_label_draws
from bayesgmm.posterior.losses import get_loss
from bayesgmm.posterior.point import find_point
from bayesgmm.posterior.similarity import similarity

FINITE = ((1, "1"), (2, "1"), (3, "1"), (3, "0.333333"), (3, "4"), (4, "1"), (5, "1"))
MODELS = [
    *((f"finite,K={k},alpha={a}", k, a) for k, a in FINITE),
    *((f"DP,alpha={a}", None, a) for a in ("0.5", "1.0", "2.0")),
]


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


def log_prior(sizes, k, alpha):
    """Log probability of a partition with clusters of these sizes."""
    n = sizes.sum()
    if k is None:
        return len(sizes) * np.log(alpha) + gammaln(sizes).sum() + gammaln(alpha) - gammaln(alpha + n)
    if len(sizes) > k:
        return -np.inf
    names = gammaln(k + 1) - gammaln(k - len(sizes) + 1)
    return (
        names + gammaln(k * alpha) - gammaln(k * alpha + n) + (gammaln(alpha + sizes) - gammaln(alpha)).sum()
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


def _members(code):
    return [i for i in range(9) if code >> i & 1]


@pytest.mark.parametrize("name, k, alpha", MODELS, ids=[m[0] for m in MODELS])
def test_optima_of_the_exact_posterior(oracle, name, k, alpha):
    models, every, likelihood = oracle
    reference = models[name]
    weight = 1 / 3 if alpha == "0.333333" else float(alpha)
    log_p = likelihood + [log_prior(np.bincount(p), k, weight) for p in every]
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
