"""Printed tables."""

import numpy as np

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.tables import MOST_FEATURES, telling_features


def test_of_many_features_those_that_tell_components_apart_are_printed():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(60, 30))
    x[:30, [3, 17]] += 50
    fit = bg.fit(x, models.finite_mixture(2, "diag"), bg.EM(n_init=2, moves=0), random_state=0)
    text = repr(fit)
    header = text.splitlines()[1]
    assert "mean x3 " in header and "sd x17" in header
    assert header.count("mean ") == MOST_FEATURES
    assert f"{MOST_FEATURES} of 30 features" in text


def test_few_features_are_all_printed_in_their_order():
    means = np.array([[0.0, 5.0, 1.0], [0.0, 0.0, 9.0]])
    assert list(telling_features(means, np.zeros_like(means))) == [0, 1, 2]


def test_rows_that_lie_as_columns_are_asked_about():
    x = np.random.default_rng(0).normal(size=(2, 40))
    fit = bg.fit(x, models.finite_mixture(2, "diag"), bg.EM(n_init=2, moves=0), random_state=0)
    assert "pass x.T" in fit.warnings[-1]
    assert max(map(len, repr(fit).splitlines())) < 300
