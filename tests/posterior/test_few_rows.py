"""What the host makes of few rows is what the compiled programs make of many."""

import numpy as np
import pytest
from cases import STRUCTURES, random_rows

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.criteria.maximum import Maximum
from bayesgmm.posterior import few_rows
from bayesgmm.posterior.predict import classification_entropies, log_likelihoods, pointwise_log_density


def answers(draws, fit, rows):
    return [
        fit.predict(rows),
        fit.predict_proba(rows),
        fit.score_samples(rows),
        pointwise_log_density(draws, rows),
        classification_entropies(draws, rows),
        log_likelihoods(draws, rows),
    ]


@pytest.mark.parametrize("structure", STRUCTURES)
def test_few_rows_and_many_get_the_same_answers(structure, monkeypatch):
    rows = random_rows(np.random.default_rng(0), 70, 2)
    fit = bg.fit(rows, models.finite_mixture(3, structure), bg.EM(n_init=2, moves=0), random_state=0)
    on_host = answers(fit.draws, fit, rows)
    monkeypatch.setattr(few_rows, "FEW_CELLS", 0)
    for one, other in zip(on_host, answers(fit.draws, fit, rows), strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_one_components_maximum_is_that_of_a_fit(structure):
    rows = random_rows(np.random.default_rng(1), 70, 2)
    weight = np.random.default_rng(2).uniform(0.5, 2.0, 70)
    engine = bg.EM(n_init=2, moves=0, reg_covar=0.1)
    two, one = (
        bg.fit(rows, models.finite_mixture(k, structure), engine, random_state=0, sample_weight=weight)
        for k in (2, 1)
    )
    assert Maximum(two).log_likelihood_of_one == pytest.approx(one.log_likelihood, rel=1e-12)
