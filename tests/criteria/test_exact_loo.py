"""Leave-one-out by refits against exact enumeration, and against what it replaces."""

import numpy as np
import pytest

from bayesgmm.criteria.exact_loo import refit_bad_rows
from bayesgmm.criteria.predictive import loo
from bayesgmm.inference.fit import fit
from bayesgmm.inference.gibbs.gibbs import Gibbs
from bayesgmm.models import dirichlet_process_mixture, finite_mixture
from bayesgmm.models.components import NormalInverseWishart


@pytest.mark.slow
@pytest.mark.parametrize("name", ["1", "2", "3", "DP,alpha=1"])
def test_loo_of_the_exact_oracle(cases, name):
    """Nine rows, every partition enumerated. Each decides much, so all but the plainest are refitted."""
    case = cases("O_exact_enumeration_faithful")["faithful_first9"]
    prior = case["prior_NIW"]
    components = NormalInverseWishart(
        np.array(prior["m0"]), prior["kappa0"], prior["nu0"], np.array(prior["Psi0"])
    )
    model = (
        dirichlet_process_mixture(9, concentration=1.0, components=components)
        if name.startswith("DP")
        else finite_mixture(int(name), components=components)
    )
    posterior = fit(np.array(case["data"]), model, Gibbs(num_samples=4000), random_state=0)
    found, exact = loo(posterior, refit=True, above=0.4), case["exact_loo"][name]
    assert found.elpd == pytest.approx(exact["elpd_loo"], abs=0.1)
    np.testing.assert_allclose(np.ravel(found.elpd_i), exact["pointwise"], atol=0.1)
    assert (np.ravel(found.pareto_k) <= found.good_k).all()


@pytest.fixture(scope="module")
def outlier():
    """One row far from 30 others: k-hat of that row is high under one component."""
    rows = np.append(np.random.default_rng(0).standard_normal(30), 5.0)[:, None]
    return fit(rows, finite_mixture(1), Gibbs(num_chains=2, num_warmup=20, num_samples=2000), random_state=0)


def test_a_row_that_decides_is_scored_without_it(outlier):
    elpd = loo(outlier)
    bad = np.ravel(elpd.pareto_k) > elpd.good_k
    assert bad[-1]
    told = []
    found = refit_bad_rows(outlier, elpd, random_state=1, progress=lambda *step: told.append(step))
    assert told[-1] == ("refits", bad.sum(), bad.sum())
    without = fit(
        np.asarray(outlier.observed.rows)[:-1], outlier.model, Gibbs(num_samples=2000), random_state=5
    )
    # 4000 draws against 8000 of the same posterior, far in its tail: a standard error of about .1.
    assert np.ravel(found.elpd_i)[-1] == pytest.approx(without.score_samples(np.array([[5.0]]))[0], abs=0.5)
    assert np.ravel(elpd.elpd_i)[-1] > np.ravel(found.elpd_i)[-1]  # too high, as khat_in_words says
    np.testing.assert_array_equal(np.ravel(found.elpd_i)[~bad], np.ravel(elpd.elpd_i)[~bad])
    assert found.elpd == pytest.approx(np.sum(found.elpd_i))
    assert found.elpd + found.p == pytest.approx(elpd.elpd + elpd.p)
    assert elpd.elpd == pytest.approx(np.sum(elpd.elpd_i))  # untouched


def test_too_many_rows_are_refused(outlier):
    with pytest.raises(ValueError, match="more than most=0: use"):
        loo(outlier, refit=True, most=0)


def test_where_no_row_fails_nothing_is_refitted(full):
    elpd = loo(full)
    again = loo(full, refit=True)
    assert again.elpd == elpd.elpd
