"""The comparison: what is in the table, how components are matched, and what is refused."""

import dataclasses
import json
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayesgmm.criteria import predictive
from bayesgmm.criteria.compare import agreement, compare
from bayesgmm.criteria.cross_validation import cross_validate
from bayesgmm.criteria.fit_row import leave_one_out, passes_of
from bayesgmm.criteria.parameters import match_components, parameter_table
from bayesgmm.criteria.predictive import elpd_difference
from bayesgmm.criteria.quantities import COLUMNS, QUANTITIES
from bayesgmm.datasets import load_dataset, read_csv
from bayesgmm.inference.cavi.cavi import CAVI
from bayesgmm.inference.em.em import EM
from bayesgmm.inference.fit import fit
from bayesgmm.inference.gibbs.gibbs import Gibbs
from bayesgmm.inference.svi.svi import SVI
from bayesgmm.models import finite_mixture
from bayesgmm.posterior.guide import GuidePosterior


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
    for quantity in QUANTITIES:
        is_there = comparison.table[quantity.column].notna().any()
        assert any(note.startswith(f"{quantity.label}: ") for note in comparison.notes) == is_there, quantity
    text = " ".join(comparison.notes)
    assert "Do not compare log-likelihoods across engines" in text
    assert "Do not compare BIC with elpd_loo" in text
    assert "k-hat" in text


def test_what_each_engine_spent_is_told(comparison, em, full):
    table = comparison.table
    assert (table.loc["EM", "passes"], table.loc["EM", "passes_of"]) == (em.n_steps, "steps")
    leapfrogs = full.data["sample_stats"]["n_steps"].values.sum()
    assert tuple(table.loc["exact full", ["passes", "passes_of"]]) == (leapfrogs, "gradients")
    assert f"{em.n_steps} steps" in repr(comparison) and f"{leapfrogs:.0f} gradients" in repr(comparison)


def test_sweeps_and_gradients_of_the_elbo_are_counted(full):
    stats = {"lp": full.data["sample_stats"]["lp"]}
    gibbs = dataclasses.replace(full, engine=Gibbs(thin=3), data={"sample_stats": stats})
    assert passes_of(gibbs) == (4 * 500 * 3, "sweeps")
    history = SimpleNamespace(values=np.zeros(100))
    fields = {field.name: getattr(full, field.name) for field in dataclasses.fields(full)}
    fields |= {
        "engine": SVI(batch_size=20, num_particles=4),
        "data": {"variational": {"elbo_history": history}},
    }
    guide = GuidePosterior(**fields)
    assert passes_of(guide) == (100 * 4 * 20 / 80, "gradients")
    assert leave_one_out(guide) is None
    assert leave_one_out(full) is not None


def test_draws_of_an_approximation_have_no_leave_one_out(em, full, rows):
    """They are too narrow: their elpd would beat that of the posterior they approximate."""
    cavi = fit(rows, finite_mixture(2), CAVI(n_init=2, moves=0, num_samples=50), random_state=0)
    found = compare({"EM": em, "exact": full, "CAVI": cavi})
    assert np.isnan(found.table.loc["CAVI", "elpd_loo"])
    assert found.table.loc["CAVI", "converged"] == cavi.status.ok
    assert tuple(found.table.loc["CAVI", ["passes", "passes_of"]]) == (cavi.n_steps, "steps")
    assert any("elpd_loo is left out for EM, CAVI" in note for note in found.notes)
    weighted = fit(
        rows, finite_mixture(2), CAVI(n_init=2, moves=0, num_samples=50), sample_weight=np.full(80, 2.0)
    )
    with pytest.raises(ValueError, match="same row weights"):
        compare({"a": em, "b": weighted})


# --- partitions against each other


def test_partitions_stand_against_each_other(comparison, em, full):
    found = comparison.agreements
    names = list(comparison.table.index)
    assert list(found.index) == list(found.columns) == names
    np.testing.assert_array_equal(found.to_numpy(), found.to_numpy().T)
    np.testing.assert_array_equal(np.diag(found), 1.0)
    np.testing.assert_array_equal(found["EM"], comparison.table["agreement"].astype(float))
    assert found.loc["exact full", "exact diag"] == agreement(*[full.predict_proba()] * 2)
    assert "adjusted Rand index" in repr(comparison) and "adjusted Rand index |" in comparison.to_markdown()
    assert "adjusted Rand index  " not in repr(compare({"a": em, "b": em}))  # two fits: the row says it


# --- rows that no fit has seen


@pytest.fixture(scope="module")
def unseen():
    return load_dataset("faithful").iloc[80:110]


def test_rows_held_out_are_scored_by_every_fit(em, full, diag, unseen):
    found = compare({"EM": em, "full": full, "diag": diag}, held_out=unseen).table
    scores = {name: each.score_samples(unseen) for name, each in (("EM", em), ("full", full), ("diag", diag))}
    best = max(scores, key=lambda name: scores[name].mean())
    for name, values in scores.items():
        row, away = found.loc[name], values - scores[best]
        assert row.held_out == pytest.approx(values.mean(), rel=1e-12)
        assert row.held_out_se == pytest.approx(values.std() / np.sqrt(30), rel=1e-9)
        assert row.held_out_difference == pytest.approx(away.mean(), abs=1e-12)
        assert row.held_out_difference_se == pytest.approx(away.std() / np.sqrt(30), abs=1e-12)


def test_rows_that_were_seen_are_told(em, rows, unseen):
    import pandas

    both = pandas.concat([unseen, rows.iloc[:3]])
    (note,) = (n for n in compare({"EM": em}, held_out=both).notes if "33 rows held out" in n)
    seen = {tuple(row) for row in rows.to_numpy()}
    again = sum(tuple(row) in seen for row in both.to_numpy())
    assert again >= 3 and f"{again} of them are equal to rows that the fits have seen" in note


def test_folds_give_every_fit_the_same_rows_to_foretell(em, rows):
    """EM's figure is cross_validate's; CAVI is made anew on the same folds; the difference is row by row."""
    cavi = fit(rows, finite_mixture(2), CAVI(n_init=2, moves=0, num_samples=50), random_state=0)
    told = []
    found = compare({"EM": em, "CAVI": cavi}, folds=3, random_state=1, progress=lambda *s: told.append(s))
    by_em = cross_validate(rows, finite_mixture(2), em.engine, n_folds=3, random_state=1)
    by_cavi = cross_validate(rows, cavi.model, cavi.engine, n_folds=3, random_state=1)
    row = found.table.loc["EM"]
    assert (row.held_out, row.held_out_se) == pytest.approx((by_em.mean, by_em.se / 80), rel=1e-9)
    difference, error = elpd_difference(by_em, by_cavi)
    other = found.table.loc["EM" if difference < 0 else "CAVI"]
    assert other.held_out_difference == pytest.approx(-abs(difference) / 80, rel=1e-9)
    assert other.held_out_difference_se == pytest.approx(error / 80, rel=1e-9)
    assert ("folds of CAVI", 3, 3) in told
    assert any("by 3 folds" in note for note in found.notes)
    assert not any("one optimum" in note for note in found.notes)  # the fit's own warning, not said again


def test_held_out_rows_are_checked(em, unseen):
    with pytest.raises(ValueError, match="held_out or folds; got both"):
        compare({"EM": em}, held_out=unseen, folds=3)
    with pytest.raises(ValueError, match="2 features of the fit"):
        compare({"EM": em}, held_out=unseen[["waiting"]])
    with pytest.raises(ValueError, match="n_folds"):
        compare({"EM": em}, folds=1)


def test_only_what_is_there_is_explained(em, rows):
    alone = compare({"one": em})
    assert not any("elpd" in note for note in alone.notes)
    assert "elpd" not in repr(alone)
    assert any("compare(..., folds=10)" in note for note in alone.notes)
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


def test_an_absent_component_has_no_mean(em):
    """Means are over the draws that have the component, weights over all; spare components are not printed."""
    thrice = jax.tree.map(lambda leaf: np.concatenate([leaf] * 3), em.draws)
    gone = thrice.log_weights.copy()
    gone[2] = [0.0, -np.inf]
    means = thrice.means.copy()
    means[2, 1] = 1e6
    several = dataclasses.replace(thrice, log_weights=gone, means=means)
    half = dataclasses.replace(em)
    posterior = SimpleNamespace(
        draws=several, restore=half.restore, observed=em.observed, n_components=em.n_components
    )
    table = parameter_table({"a": posterior}, {"a": em.predict_proba()})["a"]
    np.testing.assert_allclose(
        table.xs("mean", level=0)["mean"].to_numpy().reshape(2, 2), em.means, rtol=1e-12
    )
    np.testing.assert_allclose(table.xs("weight", level=0)["mean"].iloc[1], 2 / 3 * em.weights[1], rtol=1e-12)


def test_parameters_are_printed_but_spare_components_are_not(comparison):
    assert sum(line.startswith("mean waiting, component") for line in repr(comparison).splitlines()) == 2
    small = comparison.parameters.copy()
    small.loc[("weight", 1, "")] = 0.004
    found = dataclasses.replace(comparison, parameters=small)
    assert comparison.present == [0, 1] and found.present == [0]
    assert sum(line.startswith("mean waiting, component") for line in repr(found).splitlines()) == 1


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
    assert content["agreements"]["EM"]["exact full"] == comparison.agreements.loc["EM", "exact full"]
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


def test_a_fit_with_an_empty_component_has_no_mean_there():
    """Weight zero: its mean and deviation are nobody's, and the table has no number for them."""
    em = fit(load_dataset("faithful"), finite_mixture(2), EM(n_init=1, moves=0), random_state=0)
    log_weights = np.array([0.0, -np.inf])
    emptied = dataclasses.replace(em, mixture=dataclasses.replace(em.mixture, log_weights=log_weights))
    table = parameter_table({"a": emptied}, {"a": em.predict_proba()})
    assert table.loc[("weight", 1, ""), ("a", "estimate")] == 0.0
    assert np.isnan(table.loc[("mean", 1, "eruptions"), ("a", "estimate")])
