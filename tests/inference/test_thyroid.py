"""Thyroid: a mixture of finite mixtures in five dimensions against the published analysis of it.

That is the vignette on multivariate Gaussian mixtures of the R package telescope (Malsiner-Walli, Fruehwirth-Schnatter
& Gruen 2024): K - 1 ~ BNB(1, 4, 3), Dirichlet weights of concentration ~ Gamma(1, 20) whatever K is (static),
components as in Fruehwirth-Schnatter et al. (2021); one chain begun with ten clusters, 100 sweeps thrown away, every
tenth of 5000 kept. It prints quartiles 3, 3, 4 of K+ (3 in 314 of 500 draws) and 4, 5, 7 of K; a row's cluster is the
commonest in the draws with K+ = 3: 150, 37 and 28 rows, adjusted Rand index .878.

Those quartiles tell of the warm-up: sixteen chains of ours that begin and run like that have them too, with K+ = 3 in
63 % of all draws, but in 40 % of the first quarter, in 85 % of the last, and in 99.6 % after 5000 sweeps (99.3 % with
split-merge moves), where the quartiles are 3, 3, 3 and 3, 4, 6. So the partition is compared with the published one,
and K with its exact distribution.
"""

from pathlib import Path

import numpy as np
import pytest
from scipy.special import gammaln, logsumexp
from sklearn.metrics import adjusted_rand_score

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.models import weights
from bayesgmm.models.components import malsiner_walli
from bayesgmm.posterior.allocations import draw_allocations

DATA = Path(__file__).parent.parent / "cases" / "data"
SIZES, AGREEMENT = (150, 37, 28), 0.878
NUMBER = weights.beta_negative_binomial(1, 4, 3, most=12)  # theirs goes to 50: quartiles are the same


def number_given(sizes):
    """P(K = 1..12 | a partition into clusters of these sizes), the concentration integrated out by quadrature."""
    log_rate = np.linspace(-12.0, 3.0, 2001)
    rate, n, clusters = np.exp(log_rate), sum(sizes), len(sizes)
    partition = sum(gammaln(size + rate) - gammaln(rate) for size in sizes) - 20.0 * rate + log_rate
    numbers = np.arange(clusters, NUMBER.most + 1)
    names = gammaln(numbers + 1.0) - gammaln(numbers - clusters + 1.0)
    inside = [logsumexp(gammaln(k * rate) - gammaln(k * rate + n) + partition) for k in numbers]
    log_p = NUMBER.log_probabilities[clusters - 1 :] + names + inside
    return np.concatenate([np.zeros(clusters - 1), np.exp(log_p - logsumexp(log_p))])


@pytest.fixture(scope="module")
def thyroid():
    """Rows, classes, and a posterior as published, but for eight chains."""
    rows = np.loadtxt(DATA / "thyroid.csv", delimiter=",", skiprows=1)
    classes = np.loadtxt(DATA / "thyroid.class", dtype=str)
    model = models.mixture_of_finite_mixtures(
        number=NUMBER, concentration=weights.Gamma(1.0, 20.0), components=malsiner_walli(shrink=False)
    )
    engine = bg.Gibbs(num_chains=8, num_warmup=100, num_samples=500, thin=10)
    return classes, bg.fit(rows, model, engine, random_state=0)


def occupied(post):
    return (post.data["clustering"]["drawn_sizes"].values > 0).sum(axis=-1)


@pytest.mark.slow
def test_three_clusters_come_out(thyroid):
    """Most chains end with three clusters, more than began with as many (by 45 %, standard error some 20 %)."""
    found = occupied(thyroid[1]) == 3
    assert found[:, -125:].mean() > max(0.5, found[:, :125].mean())


@pytest.mark.slow
def test_the_published_partition(thyroid):
    """Sizes within two rows, the adjusted Rand index within .03: two rows have even odds, and one moves it by .015."""
    classes, post = thyroid
    labels = draw_allocations(post)[occupied(post).ravel() == 3]
    commonest = np.stack([(labels == k).mean(axis=0) for k in range(labels.max() + 1)]).argmax(axis=0)
    sizes = np.sort(np.bincount(commonest, minlength=3))[::-1]
    np.testing.assert_allclose(sizes[:3], SIZES, atol=2)
    assert sizes[:3].sum() == len(classes)
    assert adjusted_rand_score(classes, commonest) == pytest.approx(AGREEMENT, abs=0.03)


@pytest.mark.slow
def test_the_number_of_components_given_three_clusters(thyroid):
    """Total variation .03 from the exact distribution: it is .01 by Monte Carlo error, and .002 by other sizes."""
    post = thyroid[1]
    number = post.data["posterior"]["n_components"].values[occupied(post) == 3]
    share = np.bincount(number, minlength=NUMBER.most + 1)[1:] / number.size
    assert 0.5 * np.abs(share - number_given(SIZES)).sum() < 0.03
