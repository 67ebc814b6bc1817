"""Pareto-smoothed importance sampling against ArviZ's and against known tails."""

import numpy as np
import pytest
import scipy.stats
from arviz_stats.base import array_stats

from bayesgmm.posterior.pareto import (
    effective_draws,
    fit_generalised_pareto,
    generalised_pareto_quantiles,
    smooth,
    threshold,
)


@pytest.mark.parametrize("spread", [0.1, 0.7, 1.5, 3.0])
def test_weights_and_k_hat_are_those_of_arviz(spread):
    # At 400 draws the tail has exactly 60, however it is rounded.
    log_ratios = spread * np.random.default_rng(0).standard_normal(400) - 700.0
    log_weights, k = smooth(log_ratios)
    theirs, their_k = array_stats.psislw(-log_ratios)
    assert k == pytest.approx(float(their_k), abs=1e-10)
    np.testing.assert_allclose(log_weights, theirs - np.logaddexp.reduce(theirs), atol=1e-8)
    assert np.exp(log_weights).sum() == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [-0.2, 0.3, 0.8])
def test_shape_and_scale_of_a_known_tail_are_found(shape):
    """Asymptotic sd of the shape (1 + shape) / sqrt(n), below .03; the bound is four of them, and the key is fixed."""
    excess = np.sort(scipy.stats.genpareto(shape, scale=2.0).rvs(5000, random_state=1))
    found, scale = fit_generalised_pareto(excess)
    assert found == pytest.approx(shape, abs=0.1)
    assert scale == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize("shape", [-0.5, 0.0, 0.7])
def test_quantiles_are_scipys(shape):
    p = np.linspace(0.05, 0.95, 7)
    expected = scipy.stats.genpareto(shape, scale=3.0).ppf(p)
    np.testing.assert_allclose(generalised_pareto_quantiles(p, shape, 3.0), expected, rtol=1e-10)


def test_smoothed_weights_move_draws_of_one_normal_to_another():
    """Mean and sd of N(.5, .8) from 4000 draws of N(0, 1): Monte Carlo errors about .02, the bound is five of them."""
    x = np.random.default_rng(2).standard_normal(4000)
    ratios = scipy.stats.norm(0.5, 0.8).logpdf(x) - scipy.stats.norm.logpdf(x)
    log_weights, k = smooth(ratios)
    weights = np.exp(log_weights)
    assert k < threshold(4000)
    assert weights @ x == pytest.approx(0.5, abs=0.1)
    assert np.sqrt(weights @ (x - weights @ x) ** 2) == pytest.approx(0.8, abs=0.1)


def test_equal_weights_are_worth_all_draws_and_one_weight_is_worth_one():
    log_weights, _ = smooth(np.full(400, -3.0))
    assert effective_draws(log_weights) == pytest.approx(400.0)
    spike = np.full(400, -800.0)
    spike[7] = 0.0
    log_weights, k = smooth(spike)
    assert effective_draws(log_weights) < 20.0
    assert k > 0.7
