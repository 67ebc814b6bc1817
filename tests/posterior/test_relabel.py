"""Relabelling undoes any permutation of any draw."""

import jax
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bayesgmm.covariances import STRUCTURES
from bayesgmm.mixture import Mixture
from bayesgmm.posterior.relabel import contingency_tables, match, relabel


def mixtures(structure, n_draws, seed):
    """Draws of three components a few units apart, jittered, in one labelling; and rows near them."""
    rng = np.random.default_rng(seed)
    centres = np.array([[0.0, 0.0], [5.0, 0.0], [0.0, 5.0]])
    means = centres + 0.3 * rng.standard_normal((n_draws, 3, 2))
    weights = rng.dirichlet([60, 30, 10], n_draws)
    covariance = structure.from_dense(np.eye(2), 3)
    covariances = np.broadcast_to(covariance, (n_draws, *covariance.shape)) * rng.uniform(
        0.8, 1.2, (n_draws, *[1] * covariance.ndim)
    )
    rows = centres[rng.choice(3, 60, p=[0.6, 0.3, 0.1])] + rng.standard_normal((60, 2))
    return Mixture(structure, np.log(weights), means, covariances), rows


@given(st.sampled_from(sorted(STRUCTURES)), st.integers(0, 2**31))
def test_any_permutation_of_any_draw_is_undone(name, seed):
    structure = STRUCTURES[name]
    draws, rows = mixtures(structure, 12, seed)
    rng = np.random.default_rng(seed)
    shuffle = np.array([rng.permutation(3) for _ in range(12)])
    lp = np.arange(12.0)
    straight, _ = relabel(draws, rows, lp)
    back, order = relabel(draws.permute(shuffle), rows, lp)
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, straight, back)))
    assert np.array_equal(np.sort(order, axis=1), np.tile(np.arange(3), (12, 1)))


def test_components_are_numbered_by_mean_weight():
    draws, rows = mixtures(STRUCTURES["full"], 20, 0)
    back, _ = relabel(draws, rows, np.zeros(20))
    mean_weights = np.exp(back.log_weights).mean(axis=0)
    assert np.all(np.diff(mean_weights) < 0)


def test_components_take_the_numbers_of_given_labels():
    draws, rows = mixtures(STRUCTURES["tied"], 9, 4)
    centres = np.array([[0.0, 5.0], [0.0, 0.0], [5.0, 0.0]])  # the order that the labels below number them in
    labels = ((rows[:, None] - centres) ** 2).sum(axis=-1).argmin(axis=1)
    shuffle = np.array([np.random.default_rng(s).permutation(3) for s in range(9)])
    back, _ = relabel(draws.permute(shuffle), rows, np.arange(9.0), labels)
    assert np.abs(back.means - centres).max() < 1.5


def test_contingency_counts_every_row_once():
    draws, rows = mixtures(STRUCTURES["diag"], 5, 1)
    labels = np.arange(60) % 3
    tables = contingency_tables(draws, rows, labels)
    np.testing.assert_allclose(tables.sum(axis=1), np.tile([20.0, 20.0, 20.0], (5, 1)))


def test_match_maximises_agreement_over_all_permutations():
    from itertools import permutations

    tables = np.random.default_rng(0).random((30, 4, 4))
    chosen = match(tables)
    for table, order in zip(tables, chosen, strict=True):
        best = max(sum(table[p[j], j] for j in range(4)) for p in permutations(range(4)))
        assert sum(table[order[j], j] for j in range(4)) == best
