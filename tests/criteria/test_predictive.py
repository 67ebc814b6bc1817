"""Leave-one-out accuracy against its closed form: Student-t predictive densities of a conjugate model."""

from types import SimpleNamespace

import arviz_base
import numpy as np
import pytest
import scipy.stats
from criteria.reference_draws import direct_loo, reference_draws
from scipy.special import logsumexp

from bayesgmm.criteria import predictive


def exact_loo(structure, prior, rows):
    """log p(x_i | the other rows), (N,), from the closed form of the conjugate update."""
    kappa, dof, scale = float(prior.mean_precision), float(prior.dof), np.asarray(prior.scale)
    out = []
    for i, x in enumerate(rows):
        rest = np.delete(rows, i, axis=0)
        n, mean = len(rest), rest.mean(axis=0)
        shift = mean - prior.mean
        scatter = (rest - mean).T @ (rest - mean) + kappa * n / (kappa + n) * np.outer(shift, shift)
        at, k, v = (kappa * prior.mean + n * mean) / (kappa + n), kappa + n, dof + n
        if structure == "full":
            shape = (scale + scatter) * (k + 1) / (k * (v - 1))
            out.append(scipy.stats.multivariate_t(at, shape, df=v - 1).logpdf(x))
        else:
            variance = (scale + np.diag(scatter)) * (k + 1) / (k * v)
            out.append(scipy.stats.t(v, at, np.sqrt(variance)).logpdf(x).sum())
    return np.array(out)


@pytest.mark.parametrize("structure", ["full", "diag"])
def test_loo_is_the_closed_form(structure, request):
    """2000 exact draws: the total is off by about .05 (standard deviation over seeds), each row by less."""
    posterior = request.getfixturevalue(structure)
    found = predictive.loo(posterior)
    expected = exact_loo(structure, posterior.model.components, posterior.observed.rows)
    np.testing.assert_allclose(np.ravel(found.elpd_i), expected, atol=0.1)
    assert found.elpd == pytest.approx(expected.sum(), abs=0.3)
    assert found.se == pytest.approx(np.sqrt(80 * expected.var()), rel=0.05)
    assert 1 < found.p < 10
    assert predictive.HIGHER_IS_BETTER


# elpd_loo, se, p_loo and the largest k-hat of arviz.loo 0.23.4 for ``reference_draws``: az.loo(az.from_dict(
# posterior={"t": zeros (4, 250)}, log_likelihood={"x": values}), reff=1.0). It smooths ceil(3 sqrt(S)) = 95 weights of
# 1000, as arviz_stats does floor(3 sqrt(S)) = 94 (Vehtari et al. 2024 say no more than 3 sqrt(S)).
ARVIZ_0_23 = {
    "a": (-51.72828187885651, 3.2581369118532892, 1.149286840286237, 0.44306632317809563),
    "b": (-55.37821181123096, 1.849445730496692, 0.4941107963186582, 0.17693120921165015),
    "c": (-54.60457218130603, 6.877436348299225, 3.443193573175378, 0.743881725330485),
}


@pytest.mark.parametrize("name", ARVIZ_0_23)
def test_loo_is_arvizs_and_a_direct_computation(name):
    """Of the same weights to 1e-8 of ArviZ 0.23's, which smooths one more; the direct computation stands for both."""
    values = reference_draws()[name]
    lppd = np.sum(logsumexp(values.reshape(-1, 40), axis=0) - np.log(1000))
    by_95, khat_95 = direct_loo(values, 95)
    old = by_95.sum(), np.sqrt(40) * by_95.std(), lppd - by_95.sum(), khat_95.max()
    assert old == pytest.approx(ARVIZ_0_23[name], abs=1e-8)
    tree = arviz_base.from_dict({"posterior": {"t": np.zeros((4, 250))}, "log_likelihood": {"x": values}})
    found = predictive.loo(SimpleNamespace(data=tree))
    by_94, khat_94 = direct_loo(values, 94)
    np.testing.assert_allclose(np.ravel(found.elpd_i), by_94, rtol=0, atol=1e-8)
    np.testing.assert_allclose(np.ravel(found.pareto_k), khat_94, rtol=0, atol=1e-8)
    assert (found.elpd, found.p) == pytest.approx((by_94.sum(), lppd - by_94.sum()), abs=1e-8)
    assert found.elpd == pytest.approx(ARVIZ_0_23[name][0], abs=3e-3)


def test_draws_that_stood_still_are_refused_in_words():
    values = np.tile(np.random.default_rng(0).standard_normal(5), (4, 100, 1))
    tree = arviz_base.from_dict({"posterior": {"t": np.zeros((4, 100))}, "log_likelihood": {"x": values}})
    with pytest.raises(ValueError, match="it stood still, or made too few draws"):
        predictive.loo(SimpleNamespace(data=tree))


def test_differences_have_a_standard_error(full, diag):
    a, b = predictive.loo(full), predictive.loo(diag)
    rowwise = exact_loo("full", full.model.components, full.observed.rows) - exact_loo(
        "diag", diag.model.components, diag.observed.rows
    )
    difference, error = predictive.elpd_difference(a, b)
    assert difference == pytest.approx(rowwise.sum(), abs=0.4)
    assert error == pytest.approx(np.sqrt(80 * rowwise.var()), rel=0.05)
    back, same = predictive.elpd_difference(b, a)
    assert (back, same) == (pytest.approx(-difference), pytest.approx(error))
    assert predictive.elpd_difference(a, a) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("khat", "words"),
    [
        ([0.1, 0.2, 0.3], "all 3 k-hat are below 0.70 (largest 0.30)"),
        ([0.1, 0.9, 0.3], "1 of 3 k-hat exceed 0.70 (largest 0.90, row 1)"),
        ([0.8, 0.9, 1.3], "3 of 3 k-hat exceed 0.70 (largest 1.30, row 2)"),
    ],
)
def test_khat_in_words(khat, words):
    said = predictive.khat_in_words(SimpleNamespace(pareto_k=np.array(khat), good_k=0.7))
    assert words in said
    assert ("bayesgmm.loo(posterior, refit=True)" in said) == ("exceed" in said)
