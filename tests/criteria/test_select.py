"""The sweep: a published choice, the same fits as one by one, and what it says when a cell fails."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from cases import STRUCTURES, random_rows

from bayesgmm.criteria import select as module
from bayesgmm.criteria.information import CRITERIA
from bayesgmm.criteria.select import select
from bayesgmm.inference.em.em import EM
from bayesgmm.inference.fit import fit
from bayesgmm.models import finite_mixture

FAST = EM(n_init=3, tol=1e-4)


@pytest.fixture(scope="module")
def rows():
    return random_rows(np.random.default_rng(0), 90, 2, 2, spread=8.0)


@pytest.fixture(scope="module")
def small(rows):
    return select(rows, n_components=(1, 2, 3), covariance_type=("full", "diag"), engine=FAST, random_state=0)


@pytest.mark.slow
def test_old_faithful_is_three_ellipses_of_one_shape():
    """mclust's documented choice by BIC, K = 1..9: EEE (tied), 3."""
    sweep = select("faithful", random_state=0)
    assert (sweep.best.covariance_type, sweep.best.n_components) == ("tied", 3)
    assert sweep.best.bic == pytest.approx(2314.2956, abs=0.01)
    assert sweep.best.log_likelihood == pytest.approx(-1126.316, abs=1e-3)
    assert len(sweep.table) == 36
    assert not sweep.failures


def test_an_infinite_aicc_is_explained(small):
    few = np.random.default_rng(0).standard_normal((6, 2))
    sweep = select(few, n_components=1, covariance_type=["full", "spherical"], engine=FAST, random_state=0)
    assert np.isinf(sweep.fits["full", 1].aicc)  # 5 parameters, 6 rows
    assert "AICc is infinite for models" in repr(sweep)
    assert "AICc is infinite" not in repr(small)


def test_a_fit_below_what_it_contains_is_said(rows, small):
    one, two = small.fits["full", 1], small.fits["full", 2]
    poor = dataclasses.replace(two, log_likelihood=one.log_likelihood - 0.01)
    sweep = module.Selection({**small.fits, ("full", 2): poor}, {}, "bic")
    said = "its log-likelihood is below that of K = 1, which it contains"
    assert any(warning.startswith(f"full, K = 2: {said}") for warning in sweep.warnings)
    assert said in sweep.table.set_index(["covariance_type", "n_components"]).loc[("full", 2), "warning"]
    assert not any("which it contains" in warning for warning in small.warnings)


def test_a_cell_is_the_fit_of_that_cell(rows, small):
    for (structure, k), found in small.fits.items():
        alone = fit(rows, finite_mixture(k, structure), FAST, random_state=0)
        assert found.log_likelihood == pytest.approx(alone.log_likelihood, rel=1e-9)
        assert found.n_components == found.means.shape[0] == k
        np.testing.assert_allclose(found.means, alone.means, rtol=1e-6)
        np.testing.assert_allclose(found.restarts, alone.restarts, rtol=1e-9)


def test_one_by_one_is_the_same(rows, small, monkeypatch):
    """What large data get: no padding, one program for each number of components."""
    monkeypatch.setattr(module, "BATCH", 0)
    again = select(
        rows, n_components=(1, 2, 3), covariance_type=("full", "diag"), engine=FAST, random_state=0
    )
    np.testing.assert_allclose(again.table.bic, small.table.bic, rtol=1e-9)


def test_the_table_and_the_ranking(small):
    table = small.table
    assert list(table.columns) == module.COLUMNS
    assert list(zip(table.covariance_type, table.n_components, strict=True)) == list(small.fits)
    np.testing.assert_allclose(
        table.bic, -2 * table.log_likelihood + table.n_parameters * np.log(90), rtol=1e-12
    )
    np.testing.assert_allclose(table.aic, -2 * table.log_likelihood + table.n_parameters * 2, rtol=1e-12)
    assert (table.icl >= table.bic - 1e-9).all()
    ranking = small.ranking(4)
    assert len(ranking) == 4
    assert ranking.difference[0] == 0
    assert (np.diff(ranking.bic) >= 0).all()
    np.testing.assert_allclose(ranking.difference, ranking.bic - ranking.bic[0], atol=1e-9)


def test_the_best_has_the_smallest_criterion(rows, small):
    assert small.best.n_components == 2
    assert small.best.bic == small.table.bic.min()
    by_icl = select(
        rows, n_components=(1, 2), covariance_type="diag", engine=FAST, criterion="icl", random_state=0
    )
    assert by_icl.best.icl == by_icl.table.icl.min()
    by_aic = select(rows, n_components=2, engine=FAST, criterion="aic", random_state=0)
    assert by_aic.best.aic == by_aic.table.aic.min()
    assert list(by_aic.table.covariance_type) == STRUCTURES


def test_what_is_printed(small):
    text = repr(small)
    assert "smaller is better" in text
    sound = len(small.order)
    assert f"the best {sound} of 6 fits by BIC" in text
    lines = text.splitlines()
    assert len(lines) == 3 + sound + len(small.warnings) + (sound < 6)
    aside = small.fits.keys() - set(small.order)
    assert aside and all(f"{name}, K = {k}" in lines[-1] for name, k in aside)
    assert "0.00" in lines[3]


def test_every_cell_is_told(rows):
    told = []
    select(
        rows,
        n_components=(2, 1),
        covariance_type=("diag",),
        engine=FAST,
        random_state=0,
        on_cell=lambda name, k, result: told.append((name, k, result.n_components)),
    )
    assert told == [("diag", 2, 2), ("diag", 1, 1)]


def test_weights_are_used(rows):
    weight = np.random.default_rng(1).integers(1, 3, len(rows))
    a = select(rows, n_components=1, engine=FAST, sample_weight=weight, random_state=0)
    b = select(np.repeat(rows, weight, axis=0), n_components=1, engine=FAST, random_state=0)
    np.testing.assert_allclose(a.table.bic, b.table.bic, rtol=1e-9)


def test_the_edge_of_the_sweep_is_said(rows):
    sweep = select(rows, n_components=(1, 2), covariance_type="full", engine=FAST, random_state=0)
    assert sweep.best.n_components == 2
    assert any("largest number of components tried, 2" in w for w in sweep.warnings)
    alone = select(rows, n_components=2, covariance_type="full", engine=FAST, random_state=0)
    assert not alone.warnings


def test_the_posterior_mode_says_so(rows):
    engine = EM(objective="posterior", n_init=2, tol=1e-4)
    sweep = select(rows, n_components=(1, 2, 3), covariance_type="spherical", engine=engine, random_state=0)
    assert any("posterior mode" in w for w in sweep.warnings)
    assert sweep.best.log_posterior is not None


# --- what goes wrong


def test_a_failing_cell_is_shown_and_stops_nothing(rows, monkeypatch):
    fit_many = module.fit_many

    def failing(problem, models, engine):
        if any(model.n_components == 2 for model in models):
            raise FloatingPointError("no start gave a finite likelihood")
        return fit_many(problem, models, engine)

    monkeypatch.setattr(module, "fit_many", failing)
    sweep = select(rows, n_components=(1, 2, 3), covariance_type="diag", engine=FAST, random_state=0)
    assert list(sweep.fits) == [("diag", 1), ("diag", 3)]
    assert sweep.failures == {("diag", 2): "no start gave a finite likelihood"}
    assert list(sweep.table.status) == ["CONVERGED", "CONVERGED", "FAILED"]
    assert any("diag, K = 2 could not be fitted: no start" in w for w in sweep.warnings)
    assert "the best 1 of 3 fits" in repr(sweep)  # K = 3 leaves a component too few rows


def test_when_every_cell_fails(rows, monkeypatch):
    def failing(*_):
        raise FloatingPointError("no start gave a finite likelihood")

    monkeypatch.setattr(module, "fit_many", failing)
    with pytest.raises(FloatingPointError, match=r"Every cell failed.*no start gave"):
        select(rows, n_components=(1, 2), engine=FAST)


def test_a_spike_never_wins_in_silence():
    """Two thirds of the rows are one value: with two components the likelihood has no bound."""
    rng = np.random.default_rng(2)
    rows = np.concatenate([np.full(40, 5.0), rng.normal(0, 1, 20)])
    sweep = select(rows, n_components=(1, 2), covariance_type="full", engine=FAST, random_state=0)
    assert sweep.fits["full", 2].bic < sweep.fits["full", 1].bic
    assert sweep.best.n_components == 1
    assert any("full, K = 2 has a lower BIC" in w and "spike" in w for w in sweep.warnings)
    assert "spike" in sweep.table.warning[1]
    only = select(rows, n_components=2, covariance_type="full", engine=FAST, random_state=0)
    assert any("every fit has a degenerate component" in w for w in only.warnings)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"n_components": []}, ValueError, "at least one n_components"),
        ({"n_components": (2, 2)}, ValueError, "each n_components once"),
        ({"n_components": (0, 1)}, ValueError, "at least 1; got 0"),
        ({"n_components": (1.5,)}, TypeError, "n_components"),
        ({"n_components": 91}, ValueError, "90 for 91 components"),
        ({"covariance_type": ()}, ValueError, "at least one covariance_type"),
        ({"covariance_type": ("full", "round")}, ValueError, "full, tied, diag, spherical.*'round'"),
        ({"covariance_type": ("full", "full")}, ValueError, "each covariance_type once"),
        ({"covariance_type": None}, ValueError, "covariance_type to be one of full.*got 'None'"),
        ({"covariance_type": (["full"],)}, TypeError, "covariance_type to be one or a list of them"),
        ({"n_components": None}, TypeError, "n_components to be integers; got None"),
        ({"n_components": ((1, 2),)}, TypeError, "n_components to be one or a list of them"),
        ({"n_components": np.array(0)}, ValueError, "at least 1; got 0"),
        ({"criterion": ["bic"]}, ValueError, "criterion to be one of.*got \\['bic'\\]"),
        ({"criterion": "dic"}, ValueError, "aic, aicc, bic, icl, icl_map, nec; got 'dic'"),
        ({"sample_weight": [1.0]}, ValueError, "sample_weight of shape"),
        ({"random_state": -1}, ValueError, "random_state"),
    ],
)
def test_arguments_are_checked_before_anything_is_computed(arguments, error, words, rows, monkeypatch):
    monkeypatch.setattr(module, "fit_many", lambda *_: pytest.fail("computed"))
    with pytest.raises(error, match=words):
        select(rows, **{"n_components": 2, **arguments})


def test_one_number_may_come_in_an_array(rows):
    found = select(rows, n_components=np.array(1), covariance_type="diag", engine=FAST)
    assert list(found.fits) == [("diag", 1)]


def test_every_criterion_is_a_column_and_can_choose(rows, small):
    for name, criterion in CRITERIA.items():
        assert criterion.label in repr(small)
        again = module.Selection(small.fits, {}, name)
        sound = small.table[[cell in small.order for cell in small.fits]]
        assert again.value(again.order[0]) == pytest.approx(sound[name].min())
    assert small.table.nec[small.table.n_components == 1].eq(1).all()


# --- going on


def test_a_killed_sweep_goes_on(rows, small, tmp_path, monkeypatch):
    """The first structure is done when the second stops the sweep; called again it computes the rest alone."""
    arguments = {"n_components": (1, 2), "engine": FAST, "random_state": 0, "checkpoint": tmp_path / "sweep"}
    whole = module.fit_many

    def killed(problem, models, engine):
        if problem.model.covariance_type == "diag":
            raise KeyboardInterrupt
        return whole(problem, models, engine)

    monkeypatch.setattr(module, "fit_many", killed)
    with pytest.raises(KeyboardInterrupt):
        select(rows, covariance_type=("full", "diag"), **arguments)
    fitted = []

    def watched(problem, models, engine):
        fitted.extend((model.covariance_type, model.n_components) for model in models)
        return whole(problem, models, engine)

    monkeypatch.setattr(module, "fit_many", watched)
    told = []
    found = select(
        rows, covariance_type=("full", "diag"), **arguments, progress=lambda *step: told.append(step)
    )
    assert fitted == [("diag", 1), ("diag", 2)]
    assert told == [("EM", done, 4) for done in (1, 2, 3, 4)]
    expected = small.table[small.table.n_components < 3].reset_index(drop=True)
    assert list(found.fits) == [("full", 1), ("full", 2), ("diag", 1), ("diag", 2)]
    np.testing.assert_allclose(found.table.bic, expected.bic, rtol=1e-9)


def test_another_sweep_is_not_gone_on_with(rows, tmp_path):
    arguments = {"n_components": 1, "covariance_type": "diag", "engine": FAST, "checkpoint": tmp_path}
    select(rows, **arguments, random_state=0)
    with pytest.raises(ValueError, match="other rows"):
        select(rows + 1.0, **arguments, random_state=0)
    with pytest.raises(ValueError, match="other random_state"):
        select(rows, **arguments, random_state=1)
    with pytest.raises(ValueError, match="other feature names"):
        select(pd.DataFrame(rows, columns=["a", "b"]), **arguments, random_state=0)
    (cell,) = tmp_path.glob("*.nc")
    cell.write_bytes(cell.read_bytes()[:2000])
    with pytest.raises(
        ValueError, match=r"diag_1\.nc.*cell of the checkpoint: delete it, and it is fitted anew"
    ):
        select(rows, **arguments, random_state=0)
    file = tmp_path / "file"
    file.write_text("")
    with pytest.raises(ValueError, match="is a file"):
        select(rows, **{**arguments, "checkpoint": file})


def test_dependent_features_fail_only_the_structures_that_tie_them(rows):
    sweep = select(np.column_stack([rows, rows.sum(axis=1)]), n_components=[1, 2])
    assert {structure for structure, _ in sweep.fits} == {"diag", "spherical"}
    assert all("depend on each other linearly" in words for words in sweep.failures.values())
