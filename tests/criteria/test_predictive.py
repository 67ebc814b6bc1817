"""Leave-one-out accuracy against its closed form: Student-t predictive densities of a conjugate model."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.stats

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
    assert words in predictive.khat_in_words(SimpleNamespace(pareto_k=np.array(khat), good_k=0.7))
