"""EM against published maxima, scikit-learn, closed forms, and what no reordering of the problem may change."""

import json
import warnings
from pathlib import Path

import jax
import numpy as np
import pytest
import scipy.stats
from cases import FIRST_QUICK, STRUCTURES, random_covariances, random_rows
from cases import log_density as scipy_log_density
from compilations import count_compilations
from hypothesis import given, settings
from hypothesis import strategies as st
from interruptions import raised_at
from sklearn.datasets import load_iris
from sklearn.mixture import GaussianMixture

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.float64 import in_float64
from bayesgmm.inference.em import climb as climbing
from bayesgmm.inference.em import moves as moving
from bayesgmm.inference.em.em import EM
from bayesgmm.inference.em.result import Status
from bayesgmm.inference.em.steps import CONVERGED, RETIRED, initial
from bayesgmm.inference.fit import fit
from bayesgmm.inference.gradient.hmc import HMC
from bayesgmm.mixture import Mixture
from bayesgmm.models import finite_mixture

every_structure = pytest.mark.parametrize("structure", STRUCTURES)
first_structure_quick = pytest.mark.parametrize("structure", FIRST_QUICK)


@pytest.fixture(scope="module")
def faithful():
    return bg.load_dataset("faithful").to_numpy()


@pytest.fixture(scope="module")
def heights():
    """The two heights of the source article: two seeded samples of 100 000, stacked."""
    taller = np.random.RandomState(0).normal(1.71, 0.056, 100_000)
    smaller = np.random.RandomState(0).normal(1.58, 0.051, 100_000)
    return np.concatenate([taller, smaller])


def quartered(rows, k=3):
    """Starting labels by the order of the first feature: nothing random."""
    return (np.argsort(np.argsort(rows[:, 0], kind="stable"), kind="stable") * k) // len(rows)


def user_mixture(result):
    return result.restore(result.mixture)


# --- published maxima


def test_heights_at_the_default_setting(heights):
    result = fit(heights, finite_mixture(2), random_state=0)
    assert result.log_likelihood >= 216697.5
    assert result.status is Status.CONVERGED
    assert not result.warnings


def test_heights_at_a_tight_setting(heights, cases):
    best = cases("A_heights")["mle"]
    result = fit(heights, finite_mixture(2), EM(tol=1e-14, n_init=2, reg_covar=0.0), random_state=0)
    assert result.log_likelihood >= 216698.096
    order = np.argsort(result.means[:, 0])
    np.testing.assert_allclose(result.weights[order], best["w"], atol=2e-6)
    np.testing.assert_allclose(result.means[order, 0], best["means"], atol=2e-6)
    np.testing.assert_allclose(result.covariances[order, 0, 0], best["cov"], atol=2e-6)
    taller = np.arange(len(heights)) < 100_000
    right = (result.predict() == order[1]) == taller
    assert right.mean() == pytest.approx(best["acc"], abs=1e-4)


FOLDER = Path(__file__).parents[1] / "cases"
REFERENCES = json.loads((FOLDER / "A_em_ic_K1to3.json").read_text(encoding="utf-8"))["datasets"]


@pytest.mark.parametrize(
    ("dataset", "structure", "k"),
    [
        pytest.param(name, structure, k, marks=[] if name == "faithful" and k > 1 else [pytest.mark.slow])
        for name, reference in REFERENCES.items()
        for structure in STRUCTURES
        for k in (1, 2, 3)
        if f"{structure},K={k}" in reference["fits"]
    ],
)
def test_the_best_known_maximum_is_reached(dataset, structure, k):
    """mclust and an independent EM with many starts: both sides where they agree, else a floor."""
    expected = REFERENCES[dataset]["fits"][f"{structure},K={k}"]
    rows = load_iris().data if dataset == "iris" else dataset
    result = fit(rows, finite_mixture(k, structure), EM(n_init=20), random_state=0)
    best = expected["best_loglik"]
    if expected["agreed"]:
        assert result.log_likelihood == pytest.approx(best, abs=1e-4 * max(1, abs(best) / 1000))
    else:
        assert result.log_likelihood >= best - 1e-3
    assert result.n_parameters == expected["df"]
    penalised = -2 * result.log_likelihood + expected["df"] * np.log(result.n_rows)
    assert result.bic == pytest.approx(penalised, rel=1e-12)


# --- scikit-learn, step by step


def scikit_learn(rows, structure, mixture, steps, reg_covar):
    covariances = mixture.covariances
    precisions = np.linalg.inv(covariances) if structure in ("full", "tied") else 1 / covariances
    theirs = GaussianMixture(
        mixture.n_components,
        covariance_type=structure,
        tol=0.0,
        max_iter=steps,
        reg_covar=reg_covar,
        weights_init=np.exp(mixture.log_weights),
        means_init=mixture.means,
        precisions_init=precisions,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tol=0 does not converge, and is not meant to
        return theirs.fit(rows)


@every_structure
@pytest.mark.parametrize("steps", [1, 2, 15])
@pytest.mark.parametrize("reg_covar", [0.0, 1e-2])
def test_every_step_is_scikit_learns(structure, steps, reg_covar):
    rng = np.random.default_rng(steps)
    rows = random_rows(rng, 120, 3) * [1.0, 5.0, 0.3] + [0, 100, -3]
    weights, means = [0.5, 0.3, 0.2], rows[rng.choice(120, 3, replace=False)]
    start = Mixture.from_parameters(weights, means, 9 * random_covariances(structure, rng, 3, 3), structure)
    theirs = scikit_learn(rows, structure, start, steps, reg_covar)
    engine = EM(tol=0.0, max_steps=steps, reg_covar=reg_covar, accelerate=False)
    ours = fit(rows, finite_mixture(3, structure), engine, start=start)
    assert ours.n_steps == steps
    assert ours.status is Status.MAX_STEPS
    order = np.argsort(-theirs.weights_, kind="stable")
    np.testing.assert_allclose(ours.weights, theirs.weights_[order], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(ours.means, theirs.means_[order], rtol=1e-10, atol=1e-10)
    covariances = theirs.covariances_ if structure == "tied" else theirs.covariances_[order]
    np.testing.assert_allclose(ours.covariances, covariances, rtol=1e-10, atol=1e-10)
    assert ours.log_likelihood == pytest.approx(theirs.score_samples(rows).sum(), rel=1e-11)
    assert ours.aic == pytest.approx(theirs.aic(rows), rel=1e-11)
    assert ours.bic == pytest.approx(theirs.bic(rows), rel=1e-11)
    np.testing.assert_allclose(ours.predict_proba(rows), theirs.predict_proba(rows)[:, order], atol=1e-9)


# --- closed forms


@first_structure_quick
@pytest.mark.parametrize("reg_covar", [None, 0.0])
def test_one_component_is_the_closed_form(structure, reg_covar):
    rows = random_rows(np.random.default_rng(0), 50, 3) * [1, 20, 0.1] + [0, 1e3, 5]
    result = fit(rows, finite_mixture(1, structure), EM(reg_covar=reg_covar))
    covariance = np.cov(rows.T, bias=True)
    expected = {
        "full": covariance[None],
        "tied": covariance,
        "diag": np.diag(covariance)[None],
        "spherical": np.array([np.trace(covariance) / 3]),
    }[structure]
    np.testing.assert_allclose(result.weights, [1.0], rtol=1e-15)
    np.testing.assert_allclose(result.means, rows.mean(axis=0)[None], rtol=1e-12)
    np.testing.assert_allclose(result.covariances, expected, rtol=1e-12, atol=1e-13)
    assert result.log_likelihood == pytest.approx(
        scipy_log_density(user_mixture(result), rows).sum(), rel=1e-12
    )


def test_the_likelihood_and_its_reporting_agree(faithful):
    """What EM climbed is the density of its own result, as SciPy computes it, in the user's units."""
    result = fit(faithful, finite_mixture(3), random_state=0)
    expected = scipy_log_density(user_mixture(result), faithful)
    np.testing.assert_allclose(result.score_samples(faithful), expected, rtol=1e-10)
    assert result.log_likelihood == pytest.approx(expected.sum(), rel=1e-11)
    assert result.history[-1] == pytest.approx(result.log_likelihood, rel=1e-12)
    assert len(result.history) == result.n_steps + 1
    assert result.restarts.max() == pytest.approx(result.log_likelihood, rel=1e-12)


# --- what EM promises


@pytest.mark.slow
@settings(max_examples=15)
@given(
    structure=st.sampled_from(STRUCTURES),
    objective=st.sampled_from(["likelihood", "posterior"]),
    seed=st.integers(0, 2**16),
)
def test_no_step_goes_down(structure, objective, seed):
    rng = np.random.default_rng(seed)
    rows = random_rows(rng, 80, 2)
    engine = EM(objective=objective, reg_covar=0.0, max_steps=60)
    model = finite_mixture(3, structure, concentration=2.0)
    result = fit(rows, model, engine, start=rng.permutation(80) % 3)
    rounding = 1e-10 * np.abs(result.history[0])
    assert (np.diff(result.history) >= -rounding).all()


@first_structure_quick
def test_the_posterior_mode_is_one(structure):
    """At the mode the log posterior is above that of every perturbation, and is the reported one."""
    rng = np.random.default_rng(1)
    rows = random_rows(rng, 80, 2) + 5
    model = finite_mixture(2, structure, concentration=2.0)
    result = fit(rows, model, EM(objective="posterior", reg_covar=0.0, tol=1e-14), random_state=0)
    assert result.log_posterior is not None
    at = user_mixture(result)
    resolved = model.resolve(rows)
    log_prior = in_float64(lambda model, mixture: model.log_prior(mixture))

    def log_posterior(weights, means, covariances):
        mixture = Mixture.from_parameters(weights, means, covariances, structure)
        return float(log_prior(resolved, mixture)) + scipy_log_density(mixture, rows).sum()

    best = log_posterior(np.exp(at.log_weights), at.means, at.covariances)
    assert result.log_posterior == pytest.approx(best, rel=1e-9)
    for sign in (-1, 1):
        tilted = np.exp(at.log_weights) * (1 + sign * np.array([0.03, -0.03]))
        assert log_posterior(tilted, at.means, at.covariances) < best
        assert log_posterior(np.exp(at.log_weights), at.means + sign * 0.03, at.covariances) < best
        assert log_posterior(np.exp(at.log_weights), at.means, at.covariances * (1 + sign * 0.03)) < best


@every_structure
def test_the_order_of_rows_changes_nothing(structure, faithful):
    order = np.random.default_rng(2).permutation(len(faithful))
    labels = quartered(faithful)
    a = fit(faithful, finite_mixture(3, structure), start=labels)
    b = fit(faithful[order], finite_mixture(3, structure), start=labels[order])
    assert b.log_likelihood == pytest.approx(a.log_likelihood, rel=1e-10)
    np.testing.assert_allclose(b.means, a.means, rtol=1e-6)


@first_structure_quick
@pytest.mark.parametrize("objective", ["likelihood", "posterior"])
def test_units_change_only_the_units(structure, objective, faithful):
    factor = np.full(2, 1e-3) if structure == "spherical" else np.array([1e-3, 60.0])
    shift = np.array([7.0, -400.0])
    labels = quartered(faithful)
    engine = EM(objective=objective)
    a = fit(faithful, finite_mixture(3, structure), engine, start=labels)
    b = fit(faithful * factor + shift, finite_mixture(3, structure), engine, start=labels)
    jacobian = len(faithful) * np.log(factor).sum()
    assert b.log_likelihood == pytest.approx(a.log_likelihood - jacobian, abs=1e-6)
    there = user_mixture(a).rescale(factor, shift)
    np.testing.assert_allclose(b.means, there.means, rtol=1e-6)
    np.testing.assert_allclose(b.covariances, there.covariances, rtol=1e-5)


def test_a_rotation_changes_nothing_for_full_covariances(faithful):
    angle = 0.7
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    engine = EM(reg_covar=0.0, tol=1e-12)
    a = fit(faithful, finite_mixture(2), engine, start=quartered(faithful, 2))
    b = fit(faithful @ rotation.T, finite_mixture(2), engine, start=quartered(faithful, 2))
    assert b.log_likelihood == pytest.approx(a.log_likelihood, abs=1e-7)
    np.testing.assert_allclose(b.means, a.means @ rotation.T, rtol=1e-6)


@every_structure
@pytest.mark.parametrize(
    ("offset", "tolerance"),
    [
        pytest.param(1e4, 1e-6, marks=pytest.mark.slow),
        (1e6, 1e-5),
        pytest.param(1e8, 1e-3, marks=pytest.mark.slow),
    ],
)
def test_an_offset_costs_few_digits(structure, offset, tolerance, faithful):
    """From the default call, so that where the climb stops is part of it."""
    a = fit(faithful, finite_mixture(3, structure), random_state=0)
    b = fit(faithful + offset, finite_mixture(3, structure), random_state=0)
    assert abs(a.log_likelihood - b.log_likelihood) <= tolerance


@first_structure_quick
@pytest.mark.parametrize("objective", ["likelihood", "posterior"])
def test_a_weight_is_a_repetition(structure, objective):
    rng = np.random.default_rng(3)
    rows = random_rows(rng, 60, 2)
    weight = rng.integers(0, 4, 60)
    labels = quartered(rows)
    engine = EM(objective=objective)
    a = fit(rows, finite_mixture(3, structure), engine, start=labels, sample_weight=weight)
    repeated = np.repeat(rows, weight, axis=0)
    b = fit(repeated, finite_mixture(3, structure), engine, start=np.repeat(labels, weight))
    assert a.log_likelihood == pytest.approx(b.log_likelihood, rel=1e-9)
    assert a.n_rows == b.n_rows == weight.sum()
    assert (a.bic, a.icl) == (pytest.approx(b.bic, rel=1e-9), pytest.approx(b.icl, rel=1e-6))
    np.testing.assert_allclose(a.means, b.means, rtol=1e-5, atol=1e-6)


def test_recovery_of_well_separated_components():
    """500 rows, centres 20 sd apart: every estimate within 5 standard errors (fails once in about 1e5)."""
    rng = np.random.default_rng(4)
    labels = rng.integers(3, size=500)
    centres = np.array([[0.0, 0], [20, 0], [0, 20]])
    rows = centres[labels] + rng.standard_normal((500, 2))
    result = fit(rows, finite_mixture(3), random_state=0)
    order = np.argmin(((result.means[:, None] - centres) ** 2).sum(axis=-1), axis=1)
    assert sorted(order) == [0, 1, 2]
    np.testing.assert_allclose(result.means, centres[order], atol=5 / np.sqrt(150))
    assert (order[result.predict()] == labels).all()


# --- precision, seeds, compilations


def test_double_precision_whatever_the_caller_chose(faithful):
    results = []
    for choice in (False, True):
        with jax.enable_x64(choice):
            results.append(fit(faithful, finite_mixture(2), random_state=0))
            assert jax.config.jax_enable_x64 == choice
            assert jax.numpy.ones(1).dtype == (np.float64 if choice else np.float32)
    a, b = results
    for name in ("weights", "means", "covariances", "history"):
        assert getattr(a, name).dtype == np.float64
        assert isinstance(getattr(a, name), np.ndarray)
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    assert a.log_likelihood == b.log_likelihood
    assert a.predict_proba(faithful).dtype == np.float64


@pytest.mark.parametrize(
    "state",
    [7, lambda: np.random.default_rng(7), lambda: np.random.RandomState(7), lambda: jax.random.key(7)],
)
def test_the_same_random_state_gives_the_same_bits(state, faithful):
    make = state if callable(state) else lambda: state
    a, b = (fit(faithful, finite_mixture(3), EM(n_init=3, moves=1), random_state=make()) for _ in range(2))
    np.testing.assert_array_equal(a.means, b.means)
    np.testing.assert_array_equal(a.restarts, b.restarts)


@pytest.mark.parametrize("structure", ["full", pytest.param("tied", marks=pytest.mark.slow)])
def test_settings_and_other_numbers_of_rows_compile_nothing(structure):
    model = finite_mixture(3, structure)
    few, many = ([60, 150, 1000, 4000], [9000, 30_000]) if structure == "full" else ([60, 4000], [30_000])
    rows = random_rows(np.random.default_rng(5), 30_000, 2)
    fit(rows[:300], model, EM(n_init=4), random_state=0)
    fit(rows[:5000], model, EM(n_init=4), random_state=0)
    with count_compilations() as compiled:
        for n in few + many:
            fit(rows[:n], model, EM(n_init=4), random_state=0)
        fit(rows[:300] * 3 + 1, model, EM(n_init=7), random_state=1)
        fit(rows[:300], model, EM(n_init=4, tol=1e-3, max_steps=9, reg_covar=1e-3), random_state=0)
    assert not compiled


@pytest.mark.parametrize("moves", [0, 6])
def test_the_best_before_an_interrupt_is_kept(faithful, monkeypatch, moves):
    """Without moves the third chunk of the starts is stopped; with them the first of a round of moves."""
    starts = 2 if not moves else _chunks_of_starts(faithful, monkeypatch)
    monkeypatch.setattr(climbing, "_advance_in_float64", raised_at(starts, climbing._advance_in_float64))
    engine = EM(moves=moves, n_init=4, tol=1e-9 if moves else 0.0)
    found = fit(faithful, finite_mixture(3), engine, random_state=0)
    assert found.status is Status.INTERRUPTED and not found.status.ok
    assert found.log_likelihood == pytest.approx(found.score_samples(faithful).sum(), rel=1e-12)
    assert "interrupted" in str(found)


def _chunks_of_starts(x, monkeypatch):
    calls = []
    advance = climbing._advance_in_float64
    with monkeypatch.context() as patch:
        patch.setattr(climbing, "_advance_in_float64", lambda *args: [calls.append(1), advance(*args)][1])
        fit(x, finite_mixture(3), EM(moves=0, n_init=4), random_state=0)
    return len(calls)


def test_an_interrupt_before_anything_was_found_is_raised(faithful, monkeypatch):
    monkeypatch.setattr(climbing, "_advance_in_float64", raised_at(0, climbing._advance_in_float64))
    with pytest.raises(KeyboardInterrupt):
        fit(faithful, finite_mixture(3), random_state=0)


@pytest.mark.parametrize("calls", [3, 12])
def test_an_interrupt_on_the_sample_leaves_the_best_evaluated_on_all_rows(monkeypatch, calls):
    """As starts climb, and in moves from the best of them."""
    x = random_rows(np.random.default_rng(5), 6000, 2)
    monkeypatch.setattr(climbing, "_advance_in_float64", raised_at(calls, climbing._advance_in_float64))
    found = fit(x, finite_mixture(3), random_state=0)
    assert found.status is Status.INTERRUPTED
    assert found.log_likelihood == pytest.approx(found.score_samples(x).sum(), rel=1e-12)


def test_an_interrupt_between_climbs_leaves_what_they_found(faithful, monkeypatch):
    monkeypatch.setattr(moving, "_shaken", raised_at(1, moving._shaken))
    found = fit(faithful, finite_mixture(3), random_state=0)
    assert found.status is Status.INTERRUPTED
    assert found.log_likelihood == pytest.approx(found.score_samples(faithful).sum(), rel=1e-12)


def test_a_start_that_was_retired_a_rounding_above_the_leader_is_not_chosen():
    """Such data once ended a fit with an error: of the first maximum to rounding, reached twice."""
    rng = np.random.default_rng(1005)
    x = rng.normal(size=(int(rng.integers(20, 300)), 2))
    x[len(x) // 2 :] += rng.random() * 12
    assert fit(x, finite_mixture(2), EM(n_init=40, moves=1), random_state=5).status.ok
    start = Mixture.from_parameters(np.full(2, 0.5), np.zeros((2, 1)), np.ones((2, 1, 1)), "full")
    state = initial(jax.tree.map(lambda leaf: np.stack([leaf, leaf]), start), 3)
    state = state._replace(objective=np.array([1.0 + 1e-12, 1.0]), status=np.array([RETIRED, CONVERGED]))
    assert climbing.best(state, lambda mixtures: np.ones(2, bool)) == 1


def test_what_is_built_on_a_fit_does_not_take_an_interrupted_one(faithful, monkeypatch):
    monkeypatch.setattr(climbing, "_advance_in_float64", raised_at(2, climbing._advance_in_float64))
    with pytest.raises(KeyboardInterrupt):
        fit(faithful, finite_mixture(3), HMC(num_samples=50), random_state=0)


# --- starts


def test_a_fit_is_a_start(faithful):
    first = fit(faithful, finite_mixture(3), EM(max_steps=5), random_state=0)
    second = fit(faithful, finite_mixture(3), start=first)
    assert second.history[0] == pytest.approx(first.log_likelihood, rel=1e-12)
    assert second.log_likelihood > first.log_likelihood


def test_a_fit_of_another_structure_is_a_start(faithful):
    full = fit(faithful, finite_mixture(2), random_state=0)
    tied = fit(faithful, finite_mixture(2, "tied"), start=full)
    assert tied.log_likelihood == pytest.approx(-1140.1867594, abs=1e-3)


@first_structure_quick
def test_no_steps_returns_the_start(structure):
    rows = random_rows(np.random.default_rng(7), 60, 2)
    covariances = random_covariances(structure, np.random.default_rng(8), 2, 2)
    start = Mixture.from_parameters([0.6, 0.4], rows[:2], covariances, structure)
    result = fit(rows, finite_mixture(2, structure), EM(max_steps=0), start=start)
    assert result.n_steps == 0
    assert result.status is Status.MAX_STEPS
    np.testing.assert_allclose(result.means, rows[:2], rtol=1e-12)
    assert result.log_likelihood == pytest.approx(scipy_log_density(start, rows).sum(), rel=1e-11)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (np.zeros(5, int), r"labels of shape \(60,\).*got an array of shape \(5,\)"),
        (np.arange(60) % 4, "at most 3 clusters in start; got 4"),
        (Mixture.from_parameters([1, 1], np.zeros((2, 2)), np.ones((2, 2)), "diag"), "start of 3 components"),
        (
            Mixture.from_parameters([1] * 3, np.zeros((3, 1)), np.ones((3, 1)), "diag"),
            "3 components and 2 features",
        ),
    ],
)
def test_what_starts_are_refused(start, words):
    rows = random_rows(np.random.default_rng(9), 60, 2)
    with pytest.raises(ValueError, match=words):
        fit(rows, finite_mixture(3, "diag"), start=start)


@pytest.mark.parametrize(
    "setting",
    [
        {"objective": "elbo"},
        {"n_init": 0},
        {"n_init": 2.5},
        {"tol": -1.0},
        {"tol": True},
        {"tol": np.nan},
        {"max_steps": -1},
        {"reg_covar": -1e-6},
        {"reg_covar": np.inf},
    ],
)
def test_what_settings_are_refused(setting):
    with pytest.raises((ValueError, TypeError), match=next(iter(setting))):
        EM(**setting)


def test_what_fit_refuses():
    rows = random_rows(np.random.default_rng(10), 20, 2)
    with pytest.raises(TypeError, match="model"):
        fit(rows, 3)
    with pytest.raises(TypeError, match="engine"):
        fit(rows, finite_mixture(2), "EM")
    with pytest.raises(ValueError, match="20 for 21 components"):
        fit(rows, finite_mixture(21))
    with pytest.raises(ValueError, match="3 for 4 components"):
        fit(rows, finite_mixture(4), sample_weight=[1, 1, 1, *[0] * 17])
    with pytest.raises((ValueError, TypeError), match="random_state"):
        fit(rows, finite_mixture(2), random_state=-1)
    prior = models.components.NormalLKJ()
    with pytest.raises(ValueError, match="not conjugate"):
        fit(rows, finite_mixture(2, components=prior), EM(objective="posterior"))


# --- what goes wrong is said


def test_running_out_of_steps_is_said(faithful):
    result = fit(faithful, finite_mixture(3), EM(max_steps=2, tol=0.0), random_state=0)
    assert result.status is Status.MAX_STEPS
    assert any("max_steps" in w for w in result.warnings)


def test_a_spike_is_said():
    """Ten equal rows far from the others: their component's likelihood is unbounded."""
    rng = np.random.default_rng(11)
    rows = np.concatenate([rng.standard_normal(100), np.full(10, 8.0)])
    labels = (np.arange(110) >= 100).astype(int)
    result = fit(rows, finite_mixture(2), start=labels)
    assert any("spike" in w for w in result.warnings)


@pytest.mark.parametrize("structure", ["full", "tied", "diag", "spherical"])
def test_clusters_far_apart_are_no_spikes(structure):
    """Each has a standard deviation below 1e-3 of the data's, and 500 rows: the maximum is its own, in closed form."""
    rng = np.random.default_rng(1)
    groups = rng.normal(0, 0.4, 500), rng.normal(1000, 0.4, 500)
    result = fit(np.concatenate(groups), finite_mixture(2, structure), random_state=0)
    variances = np.array([np.var(group) for group in groups])
    if structure == "tied":
        variances[:] = variances.mean()
    expected = -500 * np.sum(np.log(2 * np.sqrt(2 * np.pi * variances)) + 0.5)
    assert result.log_likelihood == pytest.approx(
        expected, abs=1e-4
    )  # though the floor is 1.6 % of their variance
    assert not result.set_aside and not result.degeneracies
    (words,) = result.warnings
    assert "every component is narrow" in words
    result.standard_errors()  # are not refused


def test_few_starts_without_a_spike_are_warned_of(faithful):
    """Two rows all but equal, far from the others, draw most starts of three components to themselves."""
    rows = np.vstack([faithful, [[100, 100], [100.0001, 100]]])
    result = fit(rows, finite_mixture(3), EM(moves=0), random_state=0)
    assert result.set_aside > 15
    assert any("ended higher, in spikes, and were set aside" in words for words in result.warnings)
    assert "note: " not in repr(result)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_scales_far_apart_end_at_the_maximum_itself(seed):
    """The narrowest component's variance is some ten to ten thousand floors."""
    x = np.random.default_rng(seed).lognormal(0, 3, (300, 1))
    result = fit(x, finite_mixture(3), random_state=0)
    free = fit(x, finite_mixture(3), EM(reg_covar=0.0), start=result)
    assert not result.degeneracies
    assert result.log_likelihood == pytest.approx(free.log_likelihood, abs=1e-5)
    assert np.all(np.diff(result.history) > -1e-9 * abs(result.log_likelihood))
    settled = fit(
        x, finite_mixture(3), EM(reg_covar=1e-8 * x.var()), start=result
    )  # with the floor to the end
    assert settled.log_likelihood < result.log_likelihood - 0.05


def test_a_spike_is_told_with_its_features():
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.standard_normal(300), rng.integers(1, 5, 300)])
    start = np.digitize(x[:, 1], [1.5, 2.5, 3.5])
    result = fit(x, finite_mixture(4, "diag"), start=start)
    spike, few = result.warnings
    assert "every component is a spike: the standard deviation in x1 is below" in spike
    assert "x1 has only 4 different values (1, 2, 3, 4)" in few
    assert not fit(x, finite_mixture(1, "diag")).warnings  # one component cannot choose among them
    small = fit(x[:40], finite_mixture(2, "diag"), EM(n_init=1, moves=0), random_state=0)
    assert not any("different values" in words for words in small.warnings)  # so few rows do not tell


def test_components_that_are_one_are_said():
    """A saddle from which EM does not part: both components are the whole."""
    x = np.random.default_rng(0).standard_normal((90, 2))
    twice = Mixture.from_parameters(
        np.ones(2), np.tile(x.mean(axis=0), (2, 1)), np.tile(np.cov(x.T), (2, 1, 1))
    )
    (words,) = fit(x, finite_mixture(2), start=twice).warnings
    assert "components 0, 1 are one and the same" in words


def test_more_parameters_than_numbers_are_said():
    x = np.random.default_rng(0).standard_normal((10, 2))
    result = fit(x, finite_mixture(4), EM(n_init=2, moves=0), random_state=0)
    assert any("23 parameters for 10 x 2 numbers" in words for words in result.warnings)


@pytest.mark.parametrize("fault", ["mean", "covariance"])
def test_a_start_without_a_density_is_refused(fault):
    x = np.random.default_rng(0).standard_normal((50, 2))
    means, covariances = np.eye(2), np.tile(np.eye(2), (2, 1, 1))
    if fault == "mean":
        means[0, 0] = np.nan
    else:
        covariances = -covariances
    start = Mixture(finite_mixture(2).structure, np.log([0.5, 0.5]), means, covariances)
    with pytest.raises(
        ValueError, match="start of finite weights and means and of positive definite covariances"
    ):
        fit(x, finite_mixture(2), start=start)


def test_weights_are_told_and_aicc_is_the_tables():
    x = np.random.default_rng(0).standard_normal((50, 2))
    result = fit(x, finite_mixture(1), sample_weight=np.full(50, 2.0))
    assert "(50 x 2, weighted: as 100 rows)" in repr(result)
    assert result.aicc == pytest.approx(result.aic + 2 * 5 * 6 / (100 - 5 - 1))
    assert "weighted" not in repr(fit(x, finite_mixture(1)))


def test_without_a_floor_equal_rows_are_a_spike_all_the_same():
    """Their variance is rounding, whatever number that is; many rows hold it."""
    x = np.concatenate([np.full(30, 8.0), np.random.default_rng(5).standard_normal(200)])
    labels = (np.arange(230) < 30).astype(int)
    result = fit(x, finite_mixture(2), EM(reg_covar=1e-30), start=labels)
    assert any("spike" in words for words in result.warnings)


def test_a_component_that_reg_covar_holds_is_said():
    """Thirty equal rows: in the data's units their variance is reg_covar, too much for a spike."""
    x = np.concatenate([np.zeros(30), np.random.default_rng(5).normal(30, 10, 200)])
    result = fit(x, finite_mixture(2), EM(reg_covar=1.0), random_state=4)
    assert result.covariances.min() == pytest.approx(1.0, abs=1e-4)
    (words,) = result.warnings
    assert "component 1 is on the floor" in words


def test_a_sound_start_beats_a_spike():
    """With many starts the best sound optimum is returned, though a spike's likelihood is higher."""
    rng = np.random.default_rng(12)
    rows = np.concatenate([rng.standard_normal(100), [3.0, 3.0, 3.0], 8 + rng.standard_normal(50)])
    result = fit(rows, finite_mixture(2), EM(n_init=10), random_state=0)
    assert not result.warnings
    np.testing.assert_allclose(np.sort(result.means[:, 0]), [0, 8], atol=0.5)


def test_the_printed_result_says_what_matters(faithful):
    text = repr(fit(faithful, finite_mixture(2), random_state=0))
    assert "full" in text
    assert "-1130.26" in text
    assert "converged" in text
    assert "eruptions" not in text  # an array has no feature names
    named = repr(fit("faithful", finite_mixture(2), random_state=0))
    assert "eruptions" in named


@first_structure_quick
def test_draws_from_a_fit(structure, faithful):
    """Means of 50 000 rows drawn from the fit within 5 standard errors of the mixture's (once in about 1e6)."""
    result = fit(faithful, finite_mixture(2, structure), random_state=0)
    rows, labels = result.sample(50_000, random_state=0)
    error = rows.std(axis=0) / np.sqrt(50_000)
    assert (np.abs(rows.mean(axis=0) - result.weights @ result.means) < 5 * error).all()
    assert scipy.stats.binomtest(int((labels == 0).sum()), 50_000, result.weights[0]).pvalue > 1e-6
    again, _ = result.sample(50_000, random_state=0)
    np.testing.assert_array_equal(rows, again)
