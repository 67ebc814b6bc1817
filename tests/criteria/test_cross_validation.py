"""k-fold cross-validation: each row scored by the fit that did not see it, with its weight."""

from types import SimpleNamespace

import numpy as np
import pytest

from bayesgmm.criteria.cross_validation import cross_validate
from bayesgmm.criteria.model_weights import stacking_weights
from bayesgmm.criteria.predictive import elpd_difference
from bayesgmm.inference.cavi.cavi import CAVI
from bayesgmm.inference.em.em import EM
from bayesgmm.inference.fit import fit
from bayesgmm.models import finite_mixture

FAST = EM(n_init=2, moves=0)


@pytest.fixture(scope="module")
def found(rows):
    return cross_validate(rows, finite_mixture(1), FAST, n_folds=4)


def test_every_row_is_scored_by_a_gaussian_of_the_other_folds(rows, found):
    """One component: the maximum is the mean and covariance of the rows that were seen."""
    from scipy.stats import multivariate_normal

    x = rows.to_numpy()
    assert sorted(np.bincount(found.folds)) == [20, 20, 20, 20]
    for fold in range(4):
        seen, out = x[found.folds != fold], found.folds == fold
        normal = multivariate_normal(seen.mean(axis=0), np.cov(seen.T, ddof=0))
        np.testing.assert_allclose(found.elpd_i[out], normal.logpdf(x[out]), rtol=1e-6)
    assert found.elpd == pytest.approx(found.elpd_i.sum())
    assert found.se == pytest.approx(np.sqrt(80) * found.elpd_i.std())
    assert "4-fold cross-validation of EM with 1 full" in repr(found)


def test_sample_weights_count_in_the_fits_and_in_the_score(rows):
    """With each row as often as its weight, and copies in the fold of their row, it is the same."""
    weight = np.random.default_rng(0).integers(1, 4, 80).astype(float)
    told = []
    found = cross_validate(
        rows,
        finite_mixture(1),
        FAST,
        n_folds=2,
        sample_weight=weight,
        progress=lambda *step: told.append(step),
    )
    assert told == [("cross-validation", 1, 2), ("cross-validation", 2, 2)]
    x = rows.to_numpy()
    seen, out = found.folds != 0, found.folds == 0
    repeated = fit(np.repeat(x[seen], weight[seen].astype(int), axis=0), finite_mixture(1), FAST)
    np.testing.assert_allclose(found.elpd_i[out], repeated.score_samples(x[out]), rtol=1e-6)
    assert found.elpd == pytest.approx(found.elpd_i @ weight)
    assert found.se == pytest.approx(
        np.sqrt(weight.sum()) * np.repeat(found.elpd_i, weight.astype(int)).std()
    )


def test_two_components_predict_better_than_one_and_engines_compare(rows, found):
    """The same random_state makes the same folds."""
    two = cross_validate(rows, finite_mixture(2), FAST, n_folds=4)
    bayes = cross_validate(rows, finite_mixture(2), CAVI(n_init=2, moves=0), n_folds=4)
    np.testing.assert_array_equal(two.folds, bayes.folds)
    difference, error = elpd_difference(two, found)
    assert difference > 2 * error
    assert stacking_weights({"one": found, "two": two})["two"] > 0.9
    assert abs(bayes.mean - two.mean) < 0.1
    assert any("4 of 4 folds: This is one optimum" in w for w in bayes.warnings)


@pytest.mark.parametrize("n_folds", [1, 81, 2.5, True])
def test_folds_are_checked(rows, n_folds):
    with pytest.raises(ValueError, match="n_folds"):
        cross_validate(rows, finite_mixture(1), n_folds=n_folds)


def test_differences_count_rows_by_their_weight():
    one, other, weight = np.random.default_rng(0).normal(size=(3, 30))
    weight = np.floor(3 * np.abs(weight))
    pair = [SimpleNamespace(elpd_i=values, sample_weight=weight) for values in (one, other)]
    repeated = [SimpleNamespace(elpd_i=np.repeat(values, weight.astype(int))) for values in (one, other)]
    assert elpd_difference(*pair) == pytest.approx(elpd_difference(*repeated))
