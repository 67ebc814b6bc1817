"""Posterior predictive checks: statistics by hand, and what they catch."""

import numpy as np
import pytest
import scipy.stats
from criteria.heavy_tails import three_clusters

from bayesgmm.criteria.predictive_check import (
    kurtosis,
    largest_tie,
    lower_tail,
    predictive_check,
    skewness,
    upper_tail,
)
from bayesgmm.inference.em.em import EM
from bayesgmm.inference.fit import fit
from bayesgmm.models import finite_mixture

FAST = EM(n_init=4, moves=0)


def test_statistics_by_hand():
    rows = np.random.default_rng(0).gamma(2.0, size=(101, 2))
    np.testing.assert_allclose(skewness(rows), scipy.stats.skew(rows))
    np.testing.assert_allclose(kurtosis(rows), scipy.stats.kurtosis(rows, fisher=False))
    grid = np.arange(101.0)[:, None]
    assert lower_tail(grid)[0] == pytest.approx(0.5)
    assert upper_tail(grid)[0] == pytest.approx(0.5)
    np.testing.assert_allclose(upper_tail(5 * rows + 3), upper_tail(rows))
    np.testing.assert_array_equal(largest_tie(np.array([[1.0, 1], [1, 2], [2, 3], [1, 4]])), [0.75, 0.25])


def test_gaussians_pass_and_heavy_tails_do_not():
    """Each data set's outermost row against 500 drawn ones; the keys are fixed."""
    model = finite_mixture(3)
    good = predictive_check(fit(three_clusters(400, 1, dof=np.inf), model, FAST, random_state=0))
    assert not good.warnings
    assert good.p_values.shape == (4, 2)
    bad = predictive_check(fit(three_clusters(400, 1), model, FAST, random_state=0))
    assert any("tail" in w or "kurtosis" in w for w in bad.warnings)
    assert list(bad.table.columns) == ["feature", "statistic", "observed", "5 %", "50 %", "95 %", "p_value"]
    assert "500 data sets drawn from the EM fit of 3 full components" in repr(bad)


def test_a_posterior_is_drawn_from_all_its_draws(full):
    """The mean of a data set varies by the posterior of the mean and by its rows: sqrt(2) sd / sqrt(n)."""
    found = predictive_check(full, statistics={"mean": lambda rows: rows.mean(axis=0)}, n_draws=400)
    rows = np.asarray(full.observed.rows)
    spread = rows.std(axis=0) * np.sqrt(2 / 80)
    np.testing.assert_allclose(found.replicated[:, 0].std(axis=0), spread, rtol=0.2)
    assert (found.p_values > 0.5).all()


def test_ties_are_caught_on_request():
    rows = np.random.default_rng(0).poisson(2.0, size=(200, 1)) * 1.0
    found = predictive_check(
        fit(rows, finite_mixture(1), FAST), statistics={"largest tie": largest_tie}, n_draws=100
    )
    assert found.p_values[0, 0] == pytest.approx(2 / 101)  # the least that 100 data sets can give
    assert len(found.warnings) == 1


def test_nonsense_is_refused(full):
    with pytest.raises(TypeError, match="Expected a fit"):
        predictive_check("faithful")
    with pytest.raises(ValueError, match="at least 20"):
        predictive_check(full, n_draws=3)
    with pytest.raises(ValueError, match="'total' to give 2 finite numbers"):
        predictive_check(full, statistics={"total": lambda rows: rows.sum()})


def test_few_data_sets_say_that_they_are_few_and_weights_are_refused():
    rows = three_clusters(100, 0, dof=np.inf)
    em = fit(rows, finite_mixture(3), FAST, random_state=0)
    few = predictive_check(em, n_draws=20)
    assert few.p_values.min() >= 2 / 21
    assert few.warnings == ("20 data sets are too few to warn of anything: n_draws=320 are enough.",)
    weighted = fit(rows, finite_mixture(3), FAST, sample_weight=np.full(len(rows), 2.0), random_state=0)
    with pytest.raises(ValueError, match="rows without weights"):
        predictive_check(weighted)
