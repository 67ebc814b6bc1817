"""Printed tables."""

import numpy as np

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.tables import MOST_FEATURES, number, telling_features, with_error


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
    assert any("pass x.T" in words for words in fit.warnings)
    assert max(map(len, repr(fit).splitlines())) < 300


def test_numbers_are_told_to_the_last_digit_of_their_errors():
    values = [1029.8765, 2.0, 0.64412, -3654.3, 5e-5, 1.0]
    errors = [0.14, 7.1e-4, 0.029, 123.0, 1e-9, 0.0]
    assert with_error(values, errors) == [
        *("1029.88 (0.14)", "2.00000 (0.00071)", "0.644 (0.029)", "-3654 (123)"),
        *("5.000e-05 (1.0e-09)", "1.000 (0)"),
    ]
    assert with_error([1029.8765, 79.97], scales=[0.5, 6.0]) == ["1029.877", "79.97"]
    assert (number(1029.8765), number(np.nan), number(3.14159, 2)) == ("1030", "-", "3.1")
