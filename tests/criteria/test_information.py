"""Information criteria against their definitions, scikit-learn, and each other."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.mixture import GaussianMixture

import bayesgmm as bg
from bayesgmm.criteria import information
from bayesgmm.criteria.maximum import information_criteria
from bayesgmm.inference.em.em import EM
from bayesgmm.inference.fit import fit
from bayesgmm.models import finite_mixture

reals = st.floats(-1e6, 1e6)
sizes = st.integers(1, 10**6)


def random_responsibilities(seed, n=40, k=3):
    return np.random.default_rng(seed).dirichlet(np.full(k, 0.3), size=n)


@given(log_likelihood=reals, p=sizes, n=sizes)
def test_definitions(log_likelihood, p, n):
    assert information.aic(log_likelihood, p) == pytest.approx(2 * (p - log_likelihood), rel=1e-14, abs=1e-9)
    bic = information.bic(log_likelihood, p, float(n))
    assert (bic - (-2 * log_likelihood)) / p == pytest.approx(math.log(n), rel=1e-6, abs=1e-6)


def test_smaller_is_better():
    assert not information.HIGHER_IS_BETTER
    assert information.bic(-10.0, 3, 50.0) < information.bic(-11.0, 3, 50.0)
    assert information.bic(-10.0, 3, 50.0) < information.bic(-10.0, 4, 50.0)


@given(st.integers(0, 2**32 - 1))
def test_entropy_lies_between_certainty_and_ignorance(seed):
    r = random_responsibilities(seed)
    found = information.entropy(r)
    assert found == pytest.approx(-np.sum(r[r > 0] * np.log(r[r > 0])), rel=1e-12)
    assert 0 <= found <= len(r) * np.log(3) + 1e-9
    assert information.entropy(np.full((7, 3), 1 / 3)) == pytest.approx(7 * np.log(3), rel=1e-14)
    assert information.entropy(np.eye(3)) == 0


@given(st.integers(0, 2**32 - 1))
def test_weights_are_repetitions(seed):
    r = random_responsibilities(seed)
    weight = np.random.default_rng(seed).integers(0, 4, len(r))
    repeated = np.repeat(r, weight, axis=0)
    weight = weight.astype(float)
    assert information.entropy(r, weight) == pytest.approx(
        information.entropy(repeated), rel=1e-12, abs=1e-12
    )
    assert information.icl(5.0, r, weight) == pytest.approx(information.icl(5.0, repeated), rel=1e-12)


def test_icl_is_bic_where_the_classification_is_certain():
    assert information.icl(123.0, np.eye(4)) == 123.0
    assert information.icl(123.0, np.full((5, 2), 0.5)) == pytest.approx(123.0 + 10 * np.log(2), rel=1e-14)


def test_a_fit_carries_scikit_learns_criteria():
    """The same maximum, found by another program: AIC and BIC agree to what its tolerance leaves."""
    rows = bg.load_dataset("faithful").to_numpy()
    theirs = GaussianMixture(2, tol=1e-10, max_iter=1000, reg_covar=0.0, random_state=0, n_init=3).fit(rows)
    ours = fit(rows, finite_mixture(2), EM(tol=1e-12, reg_covar=0.0), random_state=0)
    assert ours.aic == pytest.approx(theirs.aic(rows), abs=1e-3)
    assert ours.bic == pytest.approx(theirs.bic(rows), abs=1e-3)
    entropy = information.entropy(theirs.predict_proba(rows))
    assert ours.icl == pytest.approx(theirs.bic(rows) + 2 * entropy, abs=1e-3)


def test_both_conventions_of_icl_against_other_programs():
    """Old Faithful, two ellipses: mclust 6.0.0 (run to convergence) has ICL -2322.704676."""
    em = fit("faithful", finite_mixture(2), random_state=0)
    found = information_criteria(em)
    assert found["icl_map"] == pytest.approx(2322.704676, abs=1e-3)
    assert found["bic"] <= found["icl_map"] <= found["icl"]


@given(st.integers(0, 2**32 - 1))
def test_the_hard_classification_surprises_less_than_its_entropy(seed):
    r = random_responsibilities(seed)
    found = information.icl_map(5.0, r)
    assert found == pytest.approx(5.0 - 2 * np.sum(np.log(r.max(axis=1))), rel=1e-12)
    assert found <= information.icl(5.0, r) + 1e-9
    weight = np.random.default_rng(seed).integers(0, 4, len(r))
    assert information.icl_map(5.0, r, weight.astype(float)) == pytest.approx(
        information.icl_map(5.0, np.repeat(r, weight, axis=0)), rel=1e-12
    )


def test_aicc_is_aic_in_the_limit_and_infinite_where_rows_run_out():
    assert information.aicc(-10.0, 3, 20.0) == pytest.approx(26 + 24 / 16)
    assert information.aicc(-10.0, 3, 1e9) == pytest.approx(26)
    assert information.aicc(-10.0, 3, 4.0) == math.inf


def test_nec_is_one_for_one_component_and_compares_with_it():
    em = fit("faithful", finite_mixture(2), random_state=0)
    found = information_criteria(em)
    one = fit("faithful", finite_mixture(1), random_state=0)
    entropy = information.entropy(em.predict_proba())
    assert found["nec"] == pytest.approx(entropy / (em.log_likelihood - one.log_likelihood), rel=1e-6)
    assert found["nec"] < information_criteria(one)["nec"] == 1
    assert information.nec(-11.0, -10.0, 1.0) == math.inf


def test_a_posterior_has_no_information_criteria(full):
    with pytest.raises(TypeError, match="fit by EM"):
        information_criteria(full)
