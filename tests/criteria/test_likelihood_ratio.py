"""The bootstrap likelihood-ratio test: its statistic, its stopping rule, and p-values that are not too small."""

import dataclasses

import numpy as np
import pytest

import bayesgmm as bg
from bayesgmm.criteria.likelihood_ratio import LikelihoodRatioTest, likelihood_ratio_test
from bayesgmm.inference.em.em import EM
from bayesgmm.inference.fit import fit
from bayesgmm.models import finite_mixture

QUICK = {"n_draws": 39, "exceedances": 4, "n_init": 4}


def two_clusters(seed, apart, n=100):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, 1)) + apart * rng.integers(2, size=(n, 1))


def one(rows):
    return fit(rows, finite_mixture(1), EM(n_init=1))


def test_two_clusters_are_not_one():
    rows = two_clusters(0, apart=5.0)
    told = []
    found = likelihood_ratio_test(one(rows), **QUICK, progress=lambda *step: told.append(step))
    two = fit(rows, finite_mixture(2), random_state=0)
    assert found.statistic == pytest.approx(2 * (two.log_likelihood - found.fit.log_likelihood), abs=1e-3)
    assert len(found.drawn) + found.n_failed == 39
    assert found.p_value == 1 / (len(found.drawn) + 1)
    assert (found.n_reached, found.stopped_early) == (0, False)
    assert told == [("likelihood-ratio test", 32, 39), ("likelihood-ratio test", 39, 39)]
    assert "2 components fit better than chance allows" in repr(found)


def test_one_cluster_is_one_and_the_test_stops_early():
    """The answer is that of all draws in order, however many are refitted together."""
    em = one(two_clusters(1, apart=0.0))
    found = likelihood_ratio_test(em, **QUICK)
    assert found.stopped_early
    assert found.n_reached == 4 < len(found.drawn) < 39
    assert found.drawn[-1] >= found.statistic
    assert found.p_value == 4 / len(found.drawn)
    assert "stopped there" in repr(found) and "no evidence against 1 component" in repr(found)


@pytest.mark.slow
def test_p_values_are_not_too_small_under_the_null():
    """30 data sets of one Gaussian: p-values of .2 or less are binomial(30, .2), above 13 in .2 % of keys."""
    found = [likelihood_ratio_test(one(two_clusters(seed, apart=0.0)), **QUICK).p_value for seed in range(30)]
    assert np.sum(np.array(found) <= 0.2) <= 13
    assert 0.3 < np.mean(found) < 0.8


def test_p_values_by_hand():
    """Besag & Clifford (1991): h over the draws where h reached it, else (g + 1) / (S + 1)."""
    em = one(two_clusters(1, apart=0.0))
    test = LikelihoodRatioTest(em, 3.0, np.array([1.0, 4, 2, 3]), exceedances=2, n_failed=0)
    assert (test.p_value, test.stopped_early) == (2 / 4, True)
    test = dataclasses.replace(test, exceedances=3, n_failed=1)
    assert (test.p_value, test.stopped_early) == (3 / 5, False)
    assert "1 drawn data sets" in repr(test)


def test_what_cannot_be_tested_is_refused(full):
    with pytest.raises(TypeError, match="fit by EM"):
        likelihood_ratio_test(full)
    rows = two_clusters(0, 3.0)
    with pytest.raises(ValueError, match="objective='likelihood'"):
        likelihood_ratio_test(fit(rows, finite_mixture(1), EM("posterior", n_init=1)))
    with pytest.raises(ValueError, match="without sample_weight"):
        likelihood_ratio_test(bg.fit(rows, finite_mixture(1), EM(n_init=1), sample_weight=np.full(100, 2.0)))
    with pytest.raises(ValueError, match="exceedances"):
        likelihood_ratio_test(one(rows), exceedances=0)
