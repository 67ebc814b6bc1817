"""The table of K: each method's answer by hand, and verdicts in words."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from criteria.heavy_tails import three_clusters

import bayesgmm as bg
from bayesgmm.criteria.guard import misspecification_guard
from bayesgmm.criteria.information import CRITERIA
from bayesgmm.criteria.k_answers import MAXIMA, Answer, of_criterion, worse
from bayesgmm.criteria.k_table import KTable, k_table
from bayesgmm.criteria.likelihood_ratio import LikelihoodRatioTest
from bayesgmm.inference.em.em import EM


@pytest.fixture(scope="module")
def sweep():
    rows = three_clusters(200, 4, dof=np.inf)
    return bg.select(
        rows, n_components=range(1, 5), covariance_type="full", engine=EM(n_init=4, moves=0), random_state=0
    )


def test_criteria_answer_as_the_sweep_does(sweep):
    found = k_table(sweep)
    assert list(found.table.method) == [criterion.label for criterion in CRITERIA.values()]
    for name, answer in zip(CRITERIA, found.answers, strict=True):
        sound = sweep.table[[cell in sweep.order for cell in sweep.fits]].set_index("n_components")[name]
        assert answer.best == sound.idxmin()
        assert set(answer.plausible) == set(sound.index[sound - sound.min() <= CRITERIA[name].close])
    assert [a.best for a in found.answers if a.method in ("BIC", "ICL", "ICL (MAP)")] == [3] * 3
    assert found.verdict.startswith("components: ")
    assert [a.of for a in found.answers] == ["components"] * 3 + ["clusters"] * 3


def test_everything_at_once(sweep):
    guard = misspecification_guard(sweep)
    tests = [
        LikelihoodRatioTest(sweep.fits["full", k], 9.0, np.full(99, float(9 * (k > 2))), 10, 0)
        for k in (1, 2, 3)
    ]
    values = np.random.default_rng(0).normal(size=200)
    elpds = {k: SimpleNamespace(elpd=v.sum(), se=1.0, elpd_i=v) for k, v in ((2, values - 1), (3, values))}
    numbers = pd.Index([2, 3, 4], name="n_components")
    evidence = pd.DataFrame({"probability": [0.0, 0.96, 0.04], "prior": [1 / 3] * 3}, index=numbers)
    found = k_table(sweep, guard=guard, tests=tests, elpds=elpds, evidence=evidence)
    by_method = found.table.set_index("method")
    assert by_method.best["bootstrap LRT"] == 3
    assert by_method.plausible["held-out density"] == (3,)
    assert by_method.plausible["evidence (K)"] == (3,)
    assert (by_method.of["merging"], by_method.best["merging"]) == ("clusters", 3)
    assert "evidence (K)" in repr(found) and "no sign that the components are not Gaussian" in found.verdict
    assert not found.warnings


def test_posteriors_stand_beside_their_priors(full):
    found = k_table(posteriors={"one component": full})
    assert [a.of for a in found.answers] == ["clusters"]
    assert found.verdict == "clusters: 1, by one component (K+) alone."
    table = found.posteriors["one component (K+)"]
    assert table["probability"].loc[1] == table["prior"].loc[1] == 1
    assert any("it is the prior that speaks" in w for w in found.warnings)


@pytest.mark.parametrize(
    ("plausible", "words"),
    [
        ([(3,), (3,)], "components: 3, the choice of all 2 methods (0, 1)."),
        ([(3, 4), (3,)], "components: 3, the choice of all 2 methods (0, 1)."),
        ([(4, 3), (3,)], "components: 3 is the one number that is plausible to all 2 methods."),
        (
            [(2, 3), (3, 2)],
            "the data do not determine the number; the methods choose 2, 3; plausible to all: 2, 3.",
        ),
        (
            [(2,), (5,)],
            "the data do not determine the number; the methods choose 2, 5; plausible to all: none.",
        ),
    ],
)
def test_verdicts(plausible, words):
    answers = tuple(Answer(str(i), "components", p[0], p, "") for i, p in enumerate(plausible))
    assert words in KTable(answers, {}, None).verdict


def test_chains_that_disagree_and_the_end_of_the_sweep_are_said(sweep, full):
    report = dataclasses.replace(full.diagnostics(), warnings=("The chains disagree.",))
    doubted = dataclasses.replace(full)
    doubted.__dict__["_diagnostics"] = report
    assert "Gibbs: do not rely on it. The chains disagree." in k_table(posteriors={"Gibbs": doubted}).warnings
    few = dataclasses.replace(sweep, fits={cell: fit for cell, fit in sweep.fits.items() if cell[1] < 3})
    assert any("BIC" in w and "chose the largest number tried, 2" in w for w in k_table(few).warnings)
    evidence = pd.DataFrame({"probability": [1.0], "prior": [1.0]}, index=pd.Index([2], name="n_components"))
    evidence.attrs["warnings"] = ["evidence of K = 2: few draws"]
    assert "evidence of K = 2: few draws" in k_table(evidence=evidence).warnings


def test_criteria_of_one_likelihood_are_one_opinion(sweep):
    """AIC, AICc and BIC, and the bootstrap test too, judge the same maxima: their agreement is no second opinion."""
    answers = tuple(a for a in k_table(sweep).answers if a.method in ("ICL", "ICL (MAP)"))
    assert {a.basis for a in k_table(sweep).answers} == {MAXIMA}
    verdict = KTable(answers, {}, None).verdict
    assert verdict.startswith(
        "clusters: 3, the choice of all 2 methods (ICL, ICL (MAP)): one opinion, since all"
    )
    evidence = pd.DataFrame({"probability": [1.0], "prior": [1.0]}, index=pd.Index([3], name="n_components"))
    others = tuple(a._replace(of="clusters") for a in k_table(evidence=evidence).answers)
    assert "clusters: 3, the choice of all 3 methods" in KTable((*answers, *others), {}, None).verdict


def test_hardly_any_difference_is_no_zero(sweep):
    close = Answer(*of_criterion(sweep, "nec"))
    assert "0.0000 worse" not in close.words
    assert worse(3e-6, 4) == "less than 0.0001 worse"
    assert worse(3e-4, 4) == "0.0003 worse"


def test_high_khats_are_told():
    rng = np.random.default_rng(0)
    elpds = {
        k: SimpleNamespace(elpd=v.sum(), se=1.0, elpd_i=v, pareto_k=np.array([0.1] * 28 + khat), good_k=0.7)
        for k, v, khat in zip((1, 2), rng.normal(size=(2, 30)), ([0.2, 0.3], [0.9, 1.2]), strict=True)
    }
    (words,) = k_table(elpds=elpds).warnings
    assert "k-hat is high for K = 2 (2 rows): elpd is too high there" in words and "refit=True" in words


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"tests": 3}, TypeError, "tests to be a list of what likelihood_ratio_test returned; got 3"),
        ({"tests": ["a"]}, TypeError, "tests to be a list"),
        ({"evidence": [1.0, 2.0]}, TypeError, "the table that k_posterior makes.*got list"),
        ({"elpds": [1.0]}, TypeError, "elpds to be a mapping by K.*got list"),
        ({"elpds": {2: 3.0}}, TypeError, "elpds to hold what loo.*got float for 2"),
        ({"elpds": {"two": SimpleNamespace(elpd_i=np.zeros(3))}}, TypeError, "by number of components"),
        (
            {"elpds": {k: SimpleNamespace(elpd_i=np.zeros(k)) for k in (2, 3)}},
            ValueError,
            "same rows and row weights; 2 and 3 differ",
        ),
        ({"posteriors": [3]}, TypeError, "posteriors by name; got list"),
    ],
)
def test_each_part_is_checked(arguments, error, words):
    with pytest.raises(error, match=words):
        k_table(**arguments)


def test_nothing_and_nonsense_are_refused():
    with pytest.raises(ValueError, match="Expected something to compare"):
        k_table()
    with pytest.raises(TypeError, match="selection to be a Selection; got str"):
        k_table("faithful")
    with pytest.raises(TypeError, match="posteriors with draws"):
        k_table(posteriors={"a": 3})
