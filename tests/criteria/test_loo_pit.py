"""Leave-one-out transforms against the closed form, and what they say of a wrong model."""

import numpy as np
import pytest
import scipy.stats
from criteria.conftest import updated

from bayesgmm.criteria.loo_pit import loo_distribution, loo_pit
from bayesgmm.mixture import Mixture


def test_transforms_are_those_of_the_students_t(full):
    """The predictive distribution of a feature given the other rows is Student's t (Gelman et al. 2013, 3.6)."""
    found = loo_pit(full)
    rows = np.asarray(full.observed.rows)
    for i in range(0, len(rows), 7):
        mean, kappa, dof, scale = updated(full.model.components, np.delete(rows, i, axis=0))
        free = dof - 1
        spread = np.sqrt(np.diag(scale) * (kappa + 1) / (kappa * free))
        # 1000 draws: a standard error of about .01 in the middle; four of them.
        np.testing.assert_allclose(found.values[i], scipy.stats.t(free, mean, spread).cdf(rows[i]), atol=0.04)
    assert found.values.shape == (80, 2)


def test_one_gaussian_does_not_predict_two_clusters(full):
    """Old Faithful's eruptions are short or long, and one component says medium."""
    found = loo_pit(full)
    assert any("does not predict eruptions" in w for w in found.warnings)
    assert "LOO-PIT of eruptions" in repr(found)


def test_the_right_model_is_uniform():
    """4000 rows of a mixture under itself: each p-value falls below .001 in one of a thousand keys."""
    rng = np.random.default_rng(0)
    mixture = Mixture.from_parameters([0.3, 0.7], [[0.0, 1.0], [4.0, 2.0]], [[1.0, 2.0], [0.5, 1.0]], "diag")
    labels = rng.random(4000) < 0.7
    rows = mixture.means[labels.astype(int)] + rng.standard_normal((4000, 2)) * np.sqrt(
        mixture.covariances[labels.astype(int)]
    )
    draws = Mixture(
        mixture.structure, *(a[None] for a in (mixture.log_weights, mixture.means, mixture.covariances))
    )
    values = loo_distribution(draws, rows, np.zeros((4000, 1)))
    for column in values.T:
        assert scipy.stats.kstest(column, "uniform").pvalue > 0.001


def test_absent_components_are_left_out():
    parameters = {"means": np.zeros((1, 2, 1)), "covariances": np.ones((1, 2, 1))}
    parameters["means"][0, 1] = parameters["covariances"][0, 1] = np.nan
    from bayesgmm.covariances import get_structure

    draws = Mixture(get_structure("diag"), np.array([[0.0, -np.inf]]), **parameters)
    assert loo_distribution(draws, np.zeros((1, 1)), np.zeros((1, 1)))[0, 0] == pytest.approx(0.5)


def test_a_fit_without_draws_is_refused():
    with pytest.raises(TypeError, match="posterior with draws"):
        loo_pit(3)
