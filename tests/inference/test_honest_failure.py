"""Posteriors that are hard to sample: what is wrong is said, and what does not depend on labels is right."""

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm import models

pytestmark = pytest.mark.slow


def two_groups():
    rng = np.random.default_rng(1)
    return np.concatenate([rng.normal(0, 1, (150, 2)), rng.normal(6, 1, (100, 2))])


@pytest.fixture(scope="module", params=["galaxies, K = 6", "two groups, K = 4"])
def hard(request):
    """Data and a model with more components than they have groups: labels switch, and modes are many."""
    return ("galaxies_26.96", 6) if "galaxies" in request.param else (two_groups(), 4)


@pytest.fixture(scope="module")
def sampled(hard):
    data, k = hard
    model = models.finite_mixture(k)
    hmc = bg.fit(data, model, bg.HMC(), random_state=0)
    gibbs = bg.fit(data, model, bg.Gibbs(num_warmup=2000, num_samples=10_000), random_state=1)
    return hmc, gibbs


def test_a_run_that_has_not_mixed_says_so(sampled):
    # A thousand draws a chain cross between these modes some tens of times, which leaves R-hat far above 1.01.
    hmc, _ = sampled
    report = hmc.diagnostics()
    assert report.verdict.startswith("Read with care")
    assert any("R-hat" in words for words in hmc.warnings)
    assert not any("converged" in words for words in (report.verdict, *hmc.warnings))


def test_what_does_not_depend_on_labels_is_right(sampled):
    # Two engines without code in common; a difference of 5 of their combined standard errors, which are estimates from
    # chains that mix slowly, is as good as impossible for any of the four figures.
    for name in ("log likelihood", "sorted weight 0"):
        means, errors = zip(
            *[fit.diagnostics().invariants.loc[name, ["mean", "mcse_mean"]] for fit in sampled], strict=True
        )
        assert abs(means[0] - means[1]) < 5 * np.hypot(*errors)
    clusters = [fit.n_clusters.to_numpy() for fit in sampled]
    assert 0.5 * np.abs(clusters[0] - clusters[1]).sum() < 0.15
