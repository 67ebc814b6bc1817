"""The estimators: a thin face of ``fit``, with scikit-learn's manners."""

import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from cases import STRUCTURES, random_covariances
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.mixture._gaussian_mixture import _compute_precision_cholesky

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.estimators.engines import best_engine, make_engine
from bayesgmm.estimators.findings import precision_factor
from bayesgmm.models import weights

FAITHFUL = bg.load_dataset("faithful")
X = FAITHFUL.to_numpy()
QUICK = {"n_init": 2, "random_state": 0}


@pytest.fixture(scope="module")
def gm():
    return bg.GaussianMixture(2, **QUICK).fit(FAITHFUL)


@pytest.fixture(scope="module")
def bgm():
    return bg.BayesianGaussianMixture(n_components=4, **QUICK).fit(FAITHFUL)


def test_it_is_the_fit_and_nothing_else(gm):
    fit = bg.fit(FAITHFUL, models.finite_mixture(2), bg.EM(n_init=2, moves=0), random_state=0)
    for mine, theirs in (
        (gm.weights_, fit.weights),
        (gm.means_, fit.means),
        (gm.covariances_, fit.covariances),
    ):
        np.testing.assert_array_equal(mine, theirs)
    for method in ("predict", "predict_proba", "score_samples"):
        np.testing.assert_array_equal(getattr(gm, method)(FAITHFUL), getattr(fit, method)())
    assert gm.score(FAITHFUL) == fit.score() and gm.result_.engine == fit.engine
    assert gm.converged_ and gm.n_iter_ == fit.n_steps == len(gm.lower_bounds_)
    assert gm.lower_bound_ == pytest.approx(fit.log_likelihood / 272, rel=1e-12)
    assert gm.bic(FAITHFUL) == pytest.approx(fit.bic) and gm.aic(FAITHFUL) == pytest.approx(fit.aic)
    assert gm.icl(FAITHFUL) == pytest.approx(fit.icl)
    np.testing.assert_array_equal(gm.labels_, clone(gm).fit_predict(FAITHFUL))
    np.testing.assert_array_equal(gm.sample(5)[0], fit.sample(5, random_state=0)[0])


def test_by_the_import_alone_the_likelihood_is_no_lower(gm):
    theirs = sklearn.mixture.GaussianMixture(2, random_state=0).fit(X)
    assert bg.GaussianMixture(2, random_state=0).fit(X).score(X) >= theirs.score(X)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_precisions_have_their_shapes_and_triangles(structure):
    covariances = random_covariances(structure, np.random.default_rng(0), 3, 4)
    factor = precision_factor(covariances, structure in ("full", "tied"))
    np.testing.assert_allclose(
        factor, _compute_precision_cholesky(covariances, structure), rtol=1e-9, atol=1e-12
    )


def test_names_of_frames_are_kept_and_wrong_ones_named(gm):
    assert gm.feature_names_in_.tolist() == ["eruptions", "waiting"] and gm.n_features_in_ == 2
    assert gm.result_.observed.feature_names == ("eruptions", "waiting")
    polars = clone(gm).fit(pl.DataFrame(FAITHFUL))
    np.testing.assert_array_equal(polars.means_, gm.means_)
    assert polars.feature_names_in_.tolist() == ["eruptions", "waiting"]
    with pytest.raises(ValueError, match="wait"):
        gm.predict(FAITHFUL.rename(columns={"waiting": "wait"}))
    text = FAITHFUL.assign(waiting="long")
    with pytest.raises(ValueError, match="column 'waiting'"):
        clone(gm).fit(text)
    with pytest.raises(ValueError, match=r"NaN.*row 3, column 'eruptions'"):
        clone(gm).fit(FAITHFUL.assign(eruptions=FAITHFUL.eruptions.mask(FAITHFUL.index == 3)))


def test_answers_come_back_as_the_frames_they_were_asked_in(gm):
    rows = FAITHFUL[10:15]
    told = gm.predict_frame(rows)
    assert told.index.equals(rows.index)
    assert told.columns.tolist() == ["component", "uncertainty", "log_density", "p0", "p1"]
    np.testing.assert_array_equal(told["component"], gm.predict(rows))
    np.testing.assert_array_equal(told[["p0", "p1"]], gm.predict_proba(rows))
    np.testing.assert_array_equal(told["uncertainty"], gm.predict_uncertainty(rows))
    polars = gm.predict_frame(pl.DataFrame(rows))
    assert isinstance(polars, pl.DataFrame)
    np.testing.assert_array_equal(polars["log_density"], gm.score_samples(rows))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # scikit-learn's: it was fitted with names
        assert gm.predict_frame(rows.to_numpy()).index.equals(pd.RangeIndex(5))
    components = gm.components_frame_
    assert components.columns.tolist()[:3] == ["weight", "mean eruptions", "mean waiting"]
    np.testing.assert_array_equal(components["mean waiting"], gm.means_[:, 1])
    np.testing.assert_allclose(components["sd waiting"] ** 2, gm.covariances_[:, 1, 1])


def test_estimators_travel(gm, bgm, tmp_path):
    for estimator in (gm, bgm):
        again = pickle.loads(pickle.dumps(estimator))
        np.testing.assert_array_equal(
            again.predict_proba(FAITHFUL[:9]), estimator.predict_proba(FAITHFUL[:9])
        )
        assert again.get_params() == estimator.get_params() == clone(estimator).get_params()
        estimator.result_.save(tmp_path / "fit.nc")
        np.testing.assert_array_equal(
            bg.load(tmp_path / "fit.nc").score_samples(X), estimator.score_samples(FAITHFUL)
        )


def test_a_weight_of_two_is_two_rows(gm):
    weight = np.resize([0, 1, 2], len(X))
    twice = clone(gm).set_params(n_init=1, means_init=gm.means_, tol=0.0)
    weighted = clone(twice).fit(X, sample_weight=weight)
    repeated = twice.fit(np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(weighted.means_, repeated.means_, rtol=1e-6)
    np.testing.assert_allclose(weighted.covariances_, repeated.covariances_, rtol=1e-5, atol=1e-8)
    assert weighted.score(X, sample_weight=weight) == pytest.approx(
        repeated.score(np.repeat(X, weight, axis=0))
    )


def test_a_start_keeps_its_order_and_a_warm_start_goes_on(gm):
    upside_down = gm.means_[::-1]
    start = clone(gm).set_params(means_init=upside_down, max_iter=0).fit(X)
    np.testing.assert_allclose(start.means_, upside_down)
    full = {"weights_init": [0.4, 0.6], "means_init": upside_down, "precisions_init": gm.precisions_[::-1]}
    ended = clone(gm).set_params(**full).fit(X)
    np.testing.assert_allclose(ended.means_, upside_down, rtol=1e-4)
    np.testing.assert_array_equal(ended.predict(X), 1 - gm.labels_)
    warm = clone(gm).set_params(means_init=upside_down, max_iter=1, warm_start=True, tol=1e-6)
    bounds = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        while len(bounds) < 100 and not (bounds and warm.converged_):
            bounds.append(warm.fit(X).lower_bound_)
    assert warm.converged_ and len(bounds) > 2 and np.all(np.diff(bounds) > -1e-12)
    assert warm.score(X) == pytest.approx(gm.score(FAITHFUL), abs=1e-5)


@pytest.mark.parametrize("kind", ["kmeans", "k-means++", "random", "random_from_data"])
def test_scikit_learns_starts_are_there(kind, gm):
    found = clone(gm).set_params(init_params=kind, n_init=2).fit(X)
    assert found.score(X) == pytest.approx(
        gm.score(FAITHFUL), abs=1e-6
    )  # faithful has one maximum worth the name
    assert pickle.dumps(found.means_) == pickle.dumps(clone(found).fit(X).means_)


def test_engines_take_scikit_learns_words():
    model = models.finite_mixture(2)

    def made(name, **words):
        return make_engine(name, model, words)

    assert made("em", tol=1e-3, max_iter=7, n_init=3) == bg.EM(tol=1e-3, max_steps=7, n_init=3, moves=0)
    assert made("em", tol=None, max_iter=None, n_init=None, reg_covar=None) == bg.EM()
    assert make_engine("em", model, {}, "posterior") == bg.EM(objective="posterior")
    assert made("gibbs", tol=1e-3, max_iter=70) == bg.Gibbs(num_samples=70)
    assert made("hmc", max_iter=70) == bg.HMC(num_samples=70)
    assert made("svi", max_iter=70) == bg.SVI(num_steps=70)
    assert made("cavi", max_iter=70, n_init=1) == bg.CAVI(max_steps=70, n_init=1, moves=0)
    own = bg.NUTS(num_chains=2)
    assert make_engine(own, model, {"max_iter": 3}) is own
    with pytest.raises(
        ValueError, match="one of em, cavi, svi, nuts, hmc, gibbs, auto, or an engine; got 'vb'"
    ):
        made("vb")


def test_auto_takes_the_quickest_engine_that_can():
    assert best_engine(models.dirichlet_process_mixture(4)) == "cavi"
    assert best_engine(models.mixture_of_finite_mixtures()) == "gibbs"
    assert best_engine(models.finite_mixture(2, components=models.components.richardson_green())) == "gibbs"
    assert best_engine(models.finite_mixture(2, components=models.components.NormalLKJ())) == "nuts"


def model_of(**settings):
    estimator = bg.BayesianGaussianMixture(n_components=4, **settings)
    estimator._validate_params()
    return estimator, estimator._model(estimator._data(X, reset=True), None)


def test_priors_are_scikit_learns_unless_told_otherwise():
    estimator, model = model_of()
    assert type(model.weights) is weights.StickBreaking and model.weights.concentration == 0.25
    np.testing.assert_allclose(model.components.scale, np.cov(X.T), rtol=1e-6)
    np.testing.assert_allclose(estimator.mean_prior_, X.mean(axis=0))
    assert (model.components.mean_precision, model.components.dof) == (1.0, 2.0)
    gamma = weights.Gamma(2, 4)
    assert model_of(weight_concentration_prior=gamma)[1].weights.concentration is gamma
    assert (
        type(model_of(weight_concentration_prior_type="sparse_dirichlet")[1].weights)
        is weights.SparseDirichlet
    )
    assert model_of(weight_concentration_prior_type="pitman_yor_process")[1].weights.discount > 0
    estimator, model = model_of(weight_concentration_prior_type="finite_mixtures")
    assert model.weights.number.most == 4 and not hasattr(estimator, "weight_concentration_prior_")
    number = weights.shifted_poisson(2.0)
    mfm = {"weight_concentration_prior_type": "finite_mixtures", "n_components_prior": number}
    assert model_of(**mfm)[1].weights.number is number
    own = models.components.richardson_green()
    assert model_of(component_prior=own)[1].components is own
    with pytest.raises(ValueError, match="component_prior or mean_prior; got both"):
        model_of(component_prior=own, mean_prior=[0, 0])


def test_a_variational_posterior_tells_its_factors(bgm):
    counts = bgm.result_.counts
    a, b = bgm.weight_concentration_
    np.testing.assert_allclose(a, 1 + counts)
    left = np.cumprod(np.append(1.0, (b / (a + b))[:-1]))
    np.testing.assert_allclose(a / (a + b) * left, bgm.weights_, rtol=1e-9)
    np.testing.assert_allclose(bgm.mean_precision_, 1 + counts)
    np.testing.assert_allclose(bgm.degrees_of_freedom_, 2 + counts)
    assert np.all(np.diff(bgm.lower_bounds_) >= -1e-9) and bgm.lower_bound_ == pytest.approx(bgm.result_.elbo)
    assert bgm.n_clusters_ == 2 and bgm.n_clusters_proba_[2] == 1.0
    assert "posterior" in bgm.posterior_.data.children
    assert any("variational" in words for words in bgm.warnings_)


def test_what_a_fit_cannot_give_is_not_there(gm, bgm):
    assert gm.n_clusters_ == 2
    assert not hasattr(gm, "posterior_") and not hasattr(gm, "n_clusters_proba_")
    bayesian = bg.GaussianMixture(2)
    bayesian.result_ = bgm.result_
    with pytest.raises(ValueError, match="bic needs the maximum of the likelihood: engine='em'"):
        bayesian.bic(X)
    for name in ("labels_", "partition_", "posterior_"):
        assert not hasattr(bg.GaussianMixture(), name)
    with pytest.raises(NotFittedError):
        bg.GaussianMixture().anomaly_threshold()


def test_anomalies_are_told_by_a_rate(gm):
    score = gm.anomaly_score(FAITHFUL)
    np.testing.assert_array_equal(score, -gm.score_samples(FAITHFUL))
    assert np.sum(score > gm.anomaly_threshold(0.05)) == 14  # of 272
    # 20000 draws: within 5 standard errors, sqrt(.05 * .95 / 20000 + .05 * .95 / 4000), but for 6 in 10 million.
    rows, _ = gm.result_.sample(4000, random_state=1)
    assert np.mean(
        gm.anomaly_score(pd.DataFrame(rows, columns=FAITHFUL.columns))
        > gm.anomaly_threshold(0.05, by="predictive")
    ) == pytest.approx(0.05, abs=0.019)
    uncertainty = gm.predict_uncertainty(FAITHFUL)
    np.testing.assert_allclose(uncertainty, gm.predict_proba(FAITHFUL).min(axis=1), atol=1e-12)
    with pytest.raises(ValueError, match="'contamination' or 'predictive'; got 'luck'"):
        gm.anomaly_threshold(by="luck")
    with pytest.raises(ValueError, match="between 0 and 1; got 5"):
        gm.anomaly_threshold(5)


def test_weighted_rows_count_in_the_threshold(gm):
    weight = np.where(np.arange(len(X)) < 100, 1.0, 1e-9)
    weighted = clone(gm).fit(X, sample_weight=weight)
    assert np.mean(weighted.anomaly_score(X[:100]) > weighted.anomaly_threshold(0.1)) == pytest.approx(
        0.1, abs=0.011
    )


@pytest.mark.slow
def test_pipelines_searches_and_routing():
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pipeline = make_pipeline(StandardScaler(), bg.GaussianMixture(**QUICK))
    search = GridSearchCV(pipeline, {"gaussianmixture__n_components": [1, 2]}, cv=2, error_score="raise").fit(
        X
    )
    assert search.best_params_ == {"gaussianmixture__n_components": 2}
    # With a constant scale in every fold the mean scores differ by it alone.
    assert search.best_estimator_.predict(X[:3]).shape == (3,)
    with sklearn.config_context(enable_metadata_routing=True):
        estimator = bg.GaussianMixture(1, **QUICK).set_fit_request(sample_weight=True)
        estimator = estimator.set_score_request(sample_weight=True)
        weight = np.random.default_rng(0).integers(1, 4, len(X)).astype(float)
        found = cross_val_score(estimator, X, cv=2, params={"sample_weight": weight}, error_score="raise")
        half = slice(136, None)
        one = clone(estimator).fit(X[half], sample_weight=weight[half])
        assert found[0] == pytest.approx(one.score(X[:136], sample_weight=weight[:136]))


@pytest.mark.slow
def test_jobs_run_in_other_processes(gm):
    from joblib import Parallel, delayed

    found = Parallel(n_jobs=2)(
        delayed(bg.GaussianMixture.predict_proba)(gm, part) for part in (FAITHFUL[:100], FAITHFUL[100:])
    )
    np.testing.assert_array_equal(found[0], gm.predict_proba(FAITHFUL[:100]))


@pytest.mark.slow
def test_a_sampled_posterior_answers_the_same_questions():
    kind = "finite_mixtures"
    estimator = bg.BayesianGaussianMixture(
        n_components=4, weight_concentration_prior_type=kind, max_iter=400, random_state=0
    )
    with pytest.warns(ConvergenceWarning, match="Read with care"):  # so few draws do not do
        estimator.fit(FAITHFUL)
    assert not estimator.converged_
    assert estimator.result_.kind == "Gibbs" and estimator.n_iter_ == 400
    assert not hasattr(estimator, "lower_bound_") and not hasattr(estimator, "weight_concentration_")
    probability = estimator.n_clusters_proba_
    assert probability.sum() == pytest.approx(1) and probability.idxmax() == estimator.n_clusters_ == 2
    assert estimator.partition_.n_clusters == 2 and estimator.partition_ is estimator.partition_
    np.testing.assert_allclose(estimator.predict_proba(FAITHFUL).sum(axis=1), 1, rtol=1e-9)
    assert isinstance(estimator.n_clusters_proba_, pd.Series)
    weight = np.full(len(X), 2.0)
    with pytest.raises(ValueError, match="sample_weight for Gibbs"):
        estimator.fit(X, sample_weight=weight)
