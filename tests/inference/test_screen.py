"""Screening on samples, and moves between optima: they may change how long a search takes, not what is right."""

import dataclasses

import jax
import numpy as np
import pytest
from cases import log_density as scipy_log_density
from cases import random_mixture, random_rows

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.covariances import get_structure
from bayesgmm.inference.em import climb, moves, screen, steps
from bayesgmm.inference.em.em import EM, em_settings
from bayesgmm.inference.fit import prepare
from bayesgmm.inference.start import mixtures_from_labels
from bayesgmm.row_blocks import first_blocks, make_rows


def clusters(n, seed=0, collinear=0.0):
    """Three unequal clusters in the plane; ``collinear`` presses each towards a line."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(3, n, p=[0.2, 0.3, 0.5])
    noise = rng.standard_normal((n, 2))
    noise[:, 1] = collinear * noise[:, 0] + np.sqrt(1 - collinear**2) * noise[:, 1]
    return 4.0 * np.array([[0, 0], [1, 0], [0, 1]])[labels] + noise, labels


def anything(mixtures):
    return np.ones(mixtures.means.shape[0], bool)


# --- rows spread over the blocks


def test_spread_rows_are_all_there_and_any_few_blocks_are_a_sample():
    rows = np.arange(1000.0)[:, None]
    spread = make_rows(rows, get_structure("full"), most=64, spread=True)
    assert np.array_equal(np.sort(spread.blocks[:, 0][spread.weights > 0]), rows[:, 0])
    some = spread.blocks[:4, 0][spread.weights[:4] > 0]
    # Four of sixteen blocks: every stretch of 100 rows is met by about a quarter.
    counts, _ = np.histogram(some, 10, (0, 1000))
    assert counts.min() >= 20 and counts.max() <= 30


def test_first_blocks_weigh_what_they_hold():
    rows = np.random.default_rng(0).standard_normal((1000, 3))
    structure = get_structure("tied")
    spread = make_rows(rows, structure, most=64, spread=True)
    part = first_blocks(structure, spread, 5)
    here = spread.blocks[:5].swapaxes(1, 2)[spread.weights[:5] > 0]
    assert part.total_weight == len(here)
    i, j = np.triu_indices(3)
    np.testing.assert_allclose(part.total, (here.T @ here)[i, j], rtol=1e-12)


# --- screening


@pytest.mark.parametrize("collinear", [0.0, 0.9999], ids=["round", "condition 2e4"])
@pytest.mark.parametrize("structure", ["full", "tied"])
def test_the_maximum_of_all_rows_is_reached(structure, collinear):
    # In single precision the second kind of cluster cannot be told from a line: the guard must see to it.
    x, labels = clusters(12_000, collinear=collinear)
    model = models.finite_mixture(3, structure)
    found = bg.fit(x, model, EM(n_init=6, moves=0), random_state=0)
    from_truth = bg.fit(x, model, EM(), start=labels)
    assert found.log_likelihood == pytest.approx(from_truth.log_likelihood, abs=1e-3)
    assert found.status.ok and not found.warnings


def test_an_intermediate_level_changes_nothing():
    x, labels = clusters(80_000)
    model = models.finite_mixture(3)
    found = bg.fit(x, model, EM(n_init=4, moves=0), random_state=0)
    assert found.log_likelihood == pytest.approx(bg.fit(x, model, start=labels).log_likelihood, abs=1e-3)


def test_levels_grow_eightfold_between_the_sample_and_the_whole():
    rows = make_rows(np.zeros((2_000_000, 1)), get_structure("full"))
    size = rows.blocks.shape[-1]
    levels = screen._levels(rows, 4096)
    assert [used * size // 1000 for used in levels] == [30, 249]
    assert screen._levels(make_rows(np.zeros((30_000, 1)), get_structure("full")), 4096) == []


def test_what_is_kept():
    x, _ = clusters(500)
    structure, share = get_structure("full"), np.ones(500)
    rng = np.random.default_rng(1)
    good = bg.fit(x, models.finite_mixture(3), random_state=0)
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    best = good.mixture
    near = dataclasses.replace(best, means=best.means + 1e-4)  # the same fit, all but for rounding
    wide = random_mixture("full", rng)
    stack = jax.tree.map(lambda *leaves: np.stack(leaves), near, best, wide)
    rows = make_rows(standard, structure)
    values = [float(np.sum(scipy_log_density(each, standard))) for each in (near, best, wide)]
    state = steps.initial(stack, 6)._replace(objective=np.array(values))
    judge = screen._Judge(structure, standard, share, anything)
    assert judge.kept(state, rows).tolist() == [int(np.argmax(values))]
    # A start within two standard errors of the leader, and not alike, is kept whatever its rank.
    between = values[1] - np.std(
        scipy_log_density(best, standard) - scipy_log_density(wide, standard)
    ) * np.sqrt(500)
    state = state._replace(objective=np.array([values[0], values[1], between]))
    assert set(judge.kept(state, rows).tolist()) >= {2}


# --- stopping


@pytest.mark.parametrize("k", [2, 3, 4])
def test_the_estimate_of_what_is_left_is_kept_to(k):
    # Near the maximum; a tol as loose as 1e-4 may stop on a slope that every estimate takes for the summit.
    x = bg.load_dataset("faithful")
    start = np.argsort(np.argsort(x.to_numpy()[:, 0])) * k // len(x)
    tight = bg.fit(x, models.finite_mixture(k), EM(tol=1e-14), start=start)
    for tol in (1e-6, 1e-8):
        loose = bg.fit(x, models.finite_mixture(k), EM(tol=tol), start=start)
        assert loose.status.ok
        assert tight.log_likelihood - loose.log_likelihood <= 10 * tol * len(x)


def test_acceleration_takes_fewer_steps_to_the_same_place():
    x = bg.load_dataset("faithful")
    start = np.argsort(np.argsort(x.to_numpy()[:, 0])) * 3 // len(x)
    fast = bg.fit(x, models.finite_mixture(3), EM(tol=1e-10), start=start)
    plain = bg.fit(x, models.finite_mixture(3), EM(tol=1e-10, accelerate=False), start=start)
    assert fast.log_likelihood == pytest.approx(plain.log_likelihood, abs=1e-6)
    assert fast.n_steps < plain.n_steps / 2


def test_a_retired_start_runs_on_if_its_leader_falls_below_it():
    # With much regularisation the objective falls along the way, so a leader may end below those it beat.
    found = bg.fit(
        "faithful", models.finite_mixture(2), EM(n_init=3, tol=1e-14, reg_covar=0.2), random_state=0
    )
    assert found.status.ok
    assert found.log_likelihood == pytest.approx(np.max(found.restarts), abs=1e-9)


# --- moves


def total_moments(mixture):
    """Mean and covariance of the whole mixture."""
    w = np.exp(mixture.log_weights)
    mean = w @ mixture.means
    away = mixture.means - mean
    return mean, np.einsum("k,kij->ij", w, mixture.covariances + away[:, :, None] * away[:, None, :])


@pytest.mark.parametrize("seed", range(5))
def test_merging_and_splitting_keep_the_mixtures_mean_and_covariance(seed):
    rng = np.random.default_rng(seed)
    mixture = random_mixture("full", rng, k=4, d=3)
    moved = moves._split_merged(mixture, 2, 0, 3, rng)
    assert np.exp(moved.log_weights).sum() == pytest.approx(1.0)
    for ours, before in zip(total_moments(moved), total_moments(mixture), strict=True):
        np.testing.assert_allclose(ours, before, rtol=1e-10, atol=1e-12)
    assert np.linalg.eigvalsh(moved.covariances).min() > 0


@pytest.mark.parametrize("structure", ["full", "tied", "diag", "spherical"])
def test_candidates_are_mixtures_of_the_same_kind(structure):
    rng = np.random.default_rng(0)
    rows = random_rows(rng)
    proposals = moves.Neighbourhood(random_mixture(structure, rng), rows, rng).candidates()
    assert proposals.log_weights.shape == (moves.CANDIDATES[0], 3)
    np.testing.assert_allclose(np.exp(proposals.log_weights).sum(axis=1), 1.0)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(proposals))


def test_no_split_is_tried_again_before_all_others_have_been(monkeypatch):
    rng, tried = np.random.default_rng(0), []
    mixture = random_mixture("full", rng, k=8, d=2)
    rows = rng.standard_normal((60, 2))
    monkeypatch.setattr(moves, "_split_merged", lambda m, *triple: tried.append(triple[:3]) or m)
    near = moves.Neighbourhood(mixture, rows, rng)
    for _ in range(5):
        near.candidates()
    n = len(near.triples)
    assert len(tried) > 2 * n
    assert sorted(tried[:n]) == sorted(tried[n : 2 * n]) == sorted(near.triples)


def test_moves_leave_a_trap_that_em_cannot():
    # Two components share one cluster and the third spans the other two: a maximum, but not the highest.
    rng = np.random.default_rng(3)
    labels = rng.choice(3, 400)
    x = 10.0 * np.array([[0, 0], [0, 1], [3, 0]])[labels] + rng.standard_normal((400, 2))
    trap = np.where(labels == 2, 1 + (rng.random(400) < 0.5), 0)
    problem = prepare(x, models.finite_mixture(3), random_state=0)
    rows = make_rows(problem.rows, problem.model.structure, problem.sample_weight)
    settings = em_settings(EM(), problem)
    start = mixtures_from_labels(problem.model.structure, problem.rows, problem.sample_weight, [trap], 3)
    told = []
    climber = climb.Climber(start.structure, None, settings, anything, lambda *event: told.append(event))
    state, history = climber.climb(rows, start)
    best = bg.fit(x, problem.model, start=labels).log_likelihood + problem.log_jacobian
    assert state.objective[0] < best - 50
    ended, histories = moves.with_moves(
        climber, state, history, rows, problem.rows, 2, np.random.default_rng(0)
    )
    assert ("EM, moves", 2, 2) in told
    assert ended.objective.max() == pytest.approx(best, abs=1e-4)
    assert len(histories) == ended.objective.size


# --- faults of others


def test_two_far_points_in_single_precision_have_the_variance_of_the_floor():
    x = np.array([[9999.0], [0.0]], np.float32)
    found = bg.fit(x, models.finite_mixture(2, "spherical"), EM(reg_covar=0.1), random_state=0)
    np.testing.assert_allclose(found.covariances, 0.1, rtol=1e-6)
    np.testing.assert_allclose(np.sort(found.means[:, 0]), [0.0, 9999.0], atol=1e-6)


def test_single_precision_far_from_the_origin_fits_as_double_does():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.normal(1e4, 0.5, 500), rng.normal(1e4 + 3, 0.5, 500)])[:, None]
    single = bg.fit(x.astype(np.float32), models.finite_mixture(2), random_state=0)
    double = bg.fit(x, models.finite_mixture(2), random_state=0)
    # float32 holds such numbers to 5e-4; nothing beyond that is lost.
    np.testing.assert_allclose(single.means, double.means, atol=2e-4)
    np.testing.assert_allclose(single.covariances, double.covariances, rtol=2e-3)
