"""The comparison: what is in the table, how components are matched, and what is refused."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesgmm.criteria import predictive
from bayesgmm.criteria.compare import COLUMNS, DIRECTIONS, agreement, compare
from bayesgmm.criteria.parameters import match_components
from bayesgmm.datasets import read_csv
from bayesgmm.inference.em.em import EM
from bayesgmm.inference.fit import fit
from bayesgmm.models import finite_mixture


@pytest.fixture(scope="module")
def em(rows):
    return fit(rows, finite_mixture(2), random_state=0)


@pytest.fixture(scope="module")
def comparison(em, full, diag):
    return compare({"EM": em, "exact full": full, "exact diag": diag})


def test_a_maximum_has_information_criteria_and_no_elpd(comparison, em):
    row = comparison.table.loc["EM"]
    assert list(comparison.table.columns) == COLUMNS
    assert (row.kind, row.covariance_type, row.n_components) == ("EM", "full", 2)
    assert (row.log_likelihood, row.bic, row.icl) == (em.log_likelihood, em.bic, em.icl)
    assert row[["elpd_loo", "p_loo", "elpd_difference", "stacking_weight", "max_khat"]].isna().all()
    assert row.agreement == 1
    assert row.converged


def test_a_posterior_has_elpd_and_no_information_criteria(comparison, full):
    row = comparison.table.loc["exact full"]
    loo = predictive.loo(full)
    assert (row.kind, row.n_components) == ("NUTS", 1)
    assert (row.elpd_loo, row.elpd_loo_se, row.p_loo) == pytest.approx((loo.elpd, loo.se, loo.p))
    assert row.max_khat == pytest.approx(np.max(loo.pareto_k))
    totals = full.data["log_likelihood"]["x"].values.sum(axis=-1)
    assert row.log_likelihood == pytest.approx(totals.mean(), rel=1e-12)
    assert row.log_likelihood_sd == pytest.approx(totals.std(ddof=1), rel=1e-12)
    assert row[["bic", "icl"]].isna().all()
    assert row.agreement == pytest.approx(0, abs=1e-12)
    assert row.seconds >= 1.5


def test_differences_are_from_the_best(comparison, full, diag):
    table = comparison.table
    assert table.loc["exact full", "elpd_difference"] == 0
    expected = predictive.elpd_difference(predictive.loo(diag), predictive.loo(full))
    found = table.loc["exact diag", ["elpd_difference", "elpd_difference_se"]]
    assert tuple(found) == pytest.approx(expected)
    assert expected[0] < 0
    assert table.stacking_weight.sum() == pytest.approx(1)


def test_every_column_has_its_direction(comparison):
    for column in DIRECTIONS:
        assert any(note.startswith(f"{DIRECTIONS[column][0]}: ") for note in comparison.notes), column
    text = " ".join(comparison.notes)
    assert "Do not compare log-likelihoods across engines" in text
    assert "Do not compare BIC with elpd_loo" in text
    assert "k-hat" in text


def test_only_what_is_there_is_explained(em, rows):
    alone = compare({"one": em})
    assert not any("elpd" in note for note in alone.notes)
    assert "elpd" not in repr(alone)
    mode = fit(rows, finite_mixture(2), EM(objective="posterior"), random_state=0)
    both = compare({"ML": em, "MAP": mode})
    assert both.table.loc["MAP", "kind"] == "EM (posterior mode)"
    assert both.table.loc["MAP", "log_likelihood"] <= em.log_likelihood + 1e-6
    assert any("posterior mode" in note for note in both.notes)


def test_one_posterior_has_no_weight(full):
    row = compare({"only": full}).table.loc["only"]
    assert np.isfinite(row.elpd_loo)
    assert row[["elpd_difference", "stacking_weight"]].isna().all()


# --- parameters


def test_parameters_stand_side_by_side(comparison, em, full):
    table = comparison.parameters
    assert table.index.names == ["parameter", "component", "feature"]
    np.testing.assert_array_equal(table.loc["weight", ("EM", "estimate")], em.weights)
    mean = table.loc["mean"][("EM", "estimate")].to_numpy().reshape(2, 2)
    np.testing.assert_allclose(mean, em.means, rtol=1e-14)
    sd = table.loc["sd"][("EM", "estimate")].to_numpy().reshape(2, 2)
    np.testing.assert_allclose(sd, np.sqrt(np.diagonal(em.covariances, axis1=1, axis2=2)), rtol=1e-14)
    own = table["exact full"].dropna()
    assert list(own.columns) == ["mean", "3 %", "97 %"]
    assert len(own) == 5  # one component: a weight, two means, two deviations
    draws = full.data["posterior"]["means"].sel(component=0, feature="waiting").values.ravel()
    row = own.xs(("mean", "waiting"), level=("parameter", "feature")).iloc[0]
    np.testing.assert_allclose(row, [draws.mean(), *np.quantile(draws, [0.03, 0.97])], rtol=1e-12)


def test_a_single_component_stands_beside_the_larger_of_two(comparison, em):
    """All rows belong to it, so the expected overlap is the weight."""
    own = comparison.parameters["exact full"].dropna()
    assert set(own.index.get_level_values("component")) == {int(np.argmax(em.weights))}


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_matching_undoes_a_permutation(seed, k):
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(k), rng.integers(k, size=40)])
    memberships = np.eye(k)[labels]
    order = rng.permutation(k)
    np.testing.assert_array_equal(match_components(memberships, memberships[:, order]), order)


def test_fewer_components_match_one_to_one():
    reference = np.eye(3)[[0, 0, 1, 1, 1, 2]]
    other = np.eye(2)[[1, 1, 0, 0, 0, 0]]
    np.testing.assert_array_equal(match_components(reference, other), [1, 0])


def test_agreement_is_the_adjusted_rand_index():
    """The worked example of Hubert & Arabie's index: labels 001122 against 001212 give .1111."""
    a, b = np.eye(3)[[0, 0, 1, 1, 2, 2]], np.eye(3)[[0, 0, 1, 2, 1, 2]]
    assert agreement(a, a[:, [2, 0, 1]]) == 1
    pairs, both, in_a, in_b = 15, 1, 3, 3
    chance = in_a * in_b / pairs
    assert agreement(a, b) == pytest.approx((both - chance) / ((in_a + in_b) / 2 - chance))


# --- out and in


def test_json_holds_everything(comparison, tmp_path):
    path = tmp_path / "comparison.json"
    text = comparison.to_json(path)
    assert path.read_text(encoding="utf-8") == text
    content = json.loads(text)
    assert list(content["fits"]) == list(comparison.table.index)
    assert content["fits"]["EM"]["elpd_loo"] is None
    assert content["fits"]["EM"]["bic"] == comparison.table.loc["EM", "bic"]
    assert content["fits"]["EM"]["converged"] is True
    first = content["parameters"][0]
    assert (first["parameter"], first["component"]) == ("weight", 0)
    assert set(first["fits"]) == set(comparison.table.index)
    assert content["notes"] == list(comparison.notes)


def test_csv_reads_back(comparison, tmp_path):
    path = tmp_path / "comparison.csv"
    comparison.to_csv(path)
    back = read_csv(path, index_col=0)
    np.testing.assert_array_equal(back["log_likelihood"], comparison.table["log_likelihood"].astype(float))
    assert list(back.columns) == COLUMNS


def test_markdown_is_a_table(comparison):
    lines = comparison.to_markdown().splitlines()
    assert lines[0] == "|  | EM | exact full | exact diag |"
    assert all(line.count("|") == 5 for line in lines if line.startswith("|"))
    assert any("smaller is better" in line for line in lines)


def test_what_is_printed(comparison):
    text = repr(comparison)
    assert "elpd_loo (larger is better)" in text
    assert "BIC (smaller is better)" in text
    assert "+-" in text
    assert "nan" not in text


# --- what is refused


def test_other_rows_are_refused_with_both_names(em, rows):
    other = fit(rows.iloc[:-1], finite_mixture(2), EM(n_init=1))
    with pytest.raises(ValueError, match=r"same rows.*'mine'.*'yours'"):
        compare({"mine": em, "yours": other})


def test_other_weights_are_refused(em, rows):
    weighted = fit(rows, finite_mixture(2), EM(n_init=1), sample_weight=np.r_[2.0, np.ones(79)])
    with pytest.raises(ValueError, match="same row weights"):
        compare({"a": em, "b": weighted})


def test_nothing_and_nonsense_are_refused(em):
    with pytest.raises(ValueError, match="at least one fit"):
        compare({})
    with pytest.raises(TypeError, match="fits"):
        compare({"EM": em, "number": 3.0})
