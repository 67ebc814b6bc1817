"""Saving and loading: every engine and model comes back the same, and nothing else is let in."""

import dataclasses
import json

import numpy as np
import pytest
import small_fits
from cases import COMPONENT_PRIORS, STRUCTURES, random_mixture, random_rows
from hypothesis import given, settings
from hypothesis import strategies as st

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.data import Standardisation
from bayesgmm.inference.engines import ENGINES
from bayesgmm.io.description import Stored, describe, rebuild
from bayesgmm.models import weights
from bayesgmm.pytree import same

ROWS = random_rows(np.random.default_rng(3), n=60, d=2)
NEW = random_rows(np.random.default_rng(4), n=60, d=2)
MODELS = {
    **{
        f"{s}, {name}": models.finite_mixture(3, s, components=p)
        for s in STRUCTURES
        for name, p in COMPONENT_PRIORS.items()
    },
    "sparse": models.sparse_mixture(3, concentration=weights.Gamma(10, 100)),
    "Dirichlet process": models.dirichlet_process_mixture(3, concentration=weights.Gamma(2, 4)),
    "Pitman-Yor": models.pitman_yor_mixture(3, discount=0.3),
    "finite mixtures": models.mixture_of_finite_mixtures(number=weights.uniform(3), dynamic=True),
    "finite mixtures, cut off": models.mixture_of_finite_mixtures(
        number=weights.shifted_poisson(2.0, most=3)
    ),
}
# Engines whose results are of the class that Gibbs returns; the command line's test saves and loads one of NUTS.
LIKE_GIBBS = {"NUTS": bg.NUTS(num_chains=2), "HMC": bg.HMC(trajectory=2.0), "Gibbs": bg.Gibbs(thin=3)}
OF_THEIR_OWN = {"CAVI": bg.CAVI(n_init=1, moves=0), "SVI": bg.SVI(num_steps=200, num_samples=100)}


@pytest.fixture(scope="module")
def drawn():
    """A posterior with a random number of components."""
    engine = bg.Gibbs(num_chains=2, num_warmup=20, num_samples=30)
    return bg.fit(ROWS, MODELS["finite mixtures, cut off"], engine, random_state=0)


def saved_and_loaded(result, path):
    result.save(path)
    return bg.load(path)


def dressed(model):
    """An EM result with another model, and a mixture made up for it: no engine has to be compiled."""
    mixture = random_mixture(model.covariance_type, np.random.default_rng(5), k=model.n_components)
    return dataclasses.replace(
        small_fits.em("faithful"),
        observed=bg.as_data(ROWS),
        model=model.resolve(ROWS),
        mixture=mixture,
        standardisation=Standardisation.fit(ROWS, common_scale=model.structure.common_scale),
        sample_weight=np.ones(len(ROWS)),
    )


def check_same(loaded, result, rows, methods=("predict", "predict_proba", "score_samples")):
    """Every field, every prediction and every word, to the last bit."""
    assert type(loaded) is type(result)
    assert same(loaded.model, result.model)
    assert loaded.engine == result.engine
    assert loaded.observed.feature_names == result.observed.feature_names
    np.testing.assert_array_equal(loaded.observed.rows, result.observed.rows)
    for method in methods:
        np.testing.assert_array_equal(getattr(loaded, method)(rows), getattr(result, method)(rows))
    for one, other in zip(loaded.sample(20, random_state=1), result.sample(20, random_state=1), strict=True):
        np.testing.assert_array_equal(one, other)
    assert repr(loaded) == repr(result)
    if hasattr(result, "data"):
        assert loaded.data.equals(result.data)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_comes_back(name, tmp_path):
    result = dressed(MODELS[name])
    check_same(saved_and_loaded(result, tmp_path / "fit.nc"), result, NEW, ["predict_proba"])


def test_every_engine_is_one_of_these():
    assert {kind for _, kind in ENGINES.values()} == {"EM", *LIKE_GIBBS, *OF_THEIR_OWN}


@pytest.mark.slow
@pytest.mark.parametrize("name", LIKE_GIBBS)
def test_draws_come_back_with_every_sampler(name, drawn, tmp_path):
    result = dataclasses.replace(drawn, engine=LIKE_GIBBS[name])
    check_same(saved_and_loaded(result, tmp_path / "run.nc"), result, NEW)


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_THEIR_OWN)
def test_variational_posteriors_come_back(name, tmp_path):
    result = bg.fit(ROWS, models.finite_mixture(2), OF_THEIR_OWN[name], random_state=0)
    check_same(saved_and_loaded(result, tmp_path / "run.nc"), result, NEW)


@pytest.mark.slow
def test_what_draws_say_comes_back(drawn, tmp_path):
    loaded = saved_and_loaded(drawn, tmp_path / "run.nc")
    assert loaded.n_components_table.equals(drawn.n_components_table)
    assert loaded.diagnostics().warnings == drawn.diagnostics().warnings
    assert bg.partition(loaded).to_json() == bg.partition(drawn).to_json()


def test_an_em_fit_comes_back_with_all_it_can_tell(tmp_path):
    result = small_fits.em("faithful")
    loaded = saved_and_loaded(result, str(tmp_path / "fit"))
    check_same(loaded, result, result.observed)
    assert loaded.icl == pytest.approx(
        result.icl, rel=1e-14
    )  # where arrays lie in memory moves sums by a rounding
    assert loaded.bic == result.bic and loaded.status is result.status
    np.testing.assert_array_equal(loaded.history, result.history)
    np.testing.assert_array_equal(loaded.problem.rows, result.problem.rows)
    with pytest.raises(ValueError, match="features of the fit; missing"):
        loaded.predict(bg.load_dataset("faithful").rename(columns={"waiting": "wait"}))


def test_other_programs_read_the_file(tmp_path):
    import h5py

    result = small_fits.em("faithful")
    result.save(tmp_path / "fit.nc")
    with h5py.File(tmp_path / "fit.nc") as file:
        content = json.loads(file["bayesgmm/description"][()])
        np.testing.assert_array_equal(file["bayesgmm/result.observed.rows"], result.observed.rows)
    assert content["versions"]["numpy"] == np.__version__ and content["dtype"] == "float64"


numbers = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
arrays = st.sampled_from(
    [np.zeros((0, 2)), np.array(-np.inf), np.arange(6).reshape(2, 3), np.array([True, False])]
)
nested = st.recursive(
    numbers | arrays | st.sampled_from([bg.Status.CONVERGED, bg.EM(), bg.Gibbs(thin=2)]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(nested)
@settings(max_examples=150)
def test_descriptions_come_back_through_json(value):
    stored = Stored()
    text = json.dumps(describe(value, "value", stored))
    again = rebuild(json.loads(text), stored)
    assert repr(again) == repr(value)  # tells types, signs of zero and NaN apart


def test_arrays_that_are_the_same_are_stored_once(tmp_path):
    stored = Stored()
    describe([ROWS, ROWS.copy(), ROWS[:1]], "value", stored)
    assert list(stored.arrays) == ["value.0", "value.2"]


class Mine(models.components.NormalInverseWishart):
    """A prior of a user's own."""


def test_a_part_of_the_users_own_is_refused_by_its_place(tmp_path):
    own = dataclasses.replace(small_fits.em("faithful"), model=models.finite_mixture(3, components=Mine()))
    with pytest.raises(TypeError, match=r"own parts; got .*Mine at result\.model\.components"):
        own.save(tmp_path / "fit.nc")
    assert not list(tmp_path.iterdir())


def test_paths_that_cannot_be_used_are_named(tmp_path):
    result = small_fits.em("faithful")
    with pytest.raises(FileNotFoundError, match="no folder"):
        result.save(tmp_path / "nowhere" / "fit.nc")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        result.save(tmp_path)
    with pytest.raises(FileNotFoundError, match="There is no file"):
        bg.load(tmp_path / "fit.nc")
