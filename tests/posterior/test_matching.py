"""Matching a draw's clusters with a partition's: against every matching there is, and whatever the rows' order."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from posterior.partitions import random_draws

from bayesgmm.posterior.doubt import cluster_doubt, row_doubt
from bayesgmm.posterior.label_draws import as_label_draws, by_size
from bayesgmm.posterior.matching import _average, match_clusters

seeds = st.integers(0, 2**32 - 1)


def best_matchings(value):
    """Every assignment (m, n) of largest value, by trying all."""
    n = len(value)
    every = np.array(list(itertools.permutations(range(n))))
    totals = value[np.arange(n), every].sum(axis=1)
    return every[totals == totals.max()], totals.max()


@given(seed=seeds)
def test_the_average_lies_among_all_best_matchings(seed):
    rng = np.random.default_rng(seed)
    n = rng.integers(1, 6)
    value = rng.integers(0, 4, (n, n))
    best, most = best_matchings(value)
    used = np.zeros((n, n), bool)
    for chosen in best:
        used[np.arange(n), chosen] = True
    average = _average(value)
    assert np.array_equal(average > 0, used)  # every best matching has a part in it, and no other
    assert average.sum(axis=0) == pytest.approx(1) and average.sum(axis=1) == pytest.approx(1)
    assert (average * value).sum() == pytest.approx(most)


@given(seed=seeds)
def test_rows_stay_as_often_as_any_matching_lets_them(seed):
    """The mean of ``own`` is one less the transfer distance, here by all matchings (Gusfield 2002)."""
    rng = np.random.default_rng(seed)
    draws = as_label_draws(random_draws(rng, s=4, n=rng.integers(1, 13), noise=0.6))
    labels = by_size(rng.integers(0, 5, draws.n_rows))
    table = draws.cells(labels)
    share = match_clusters(draws, table)
    assert (np.asarray(share.sum(axis=1)) <= 1 + 1e-9).all()
    kept = []
    for begin, k in zip(draws.offsets, draws.n_clusters, strict=True):
        one = table[begin : begin + k].toarray()
        assert (np.asarray(share[begin : begin + k].sum(axis=0)) <= 1 + 1e-9).all()
        square = np.zeros((max(one.shape),) * 2, int)
        square[: one.shape[0], : one.shape[1]] = one
        kept.append(best_matchings(square)[1])
    rows = row_doubt(labels, draws, share)
    assert rows.own.mean() == pytest.approx(draws.weights @ kept / draws.n_rows)


@settings(max_examples=50)
@given(seed=seeds)
def test_the_order_of_the_rows_and_the_names_change_no_doubt(seed):
    rng = np.random.default_rng(seed)
    n = rng.integers(2, 12)
    given_draws, labels = random_draws(rng, s=6, n=n, noise=0.5), rng.integers(0, 4, n)

    def doubts(order):
        draws = as_label_draws(np.stack([rng.permutation(6)[draw] for draw in given_draws])[:, order])
        numbered = np.unique(labels[order], return_inverse=True)[1]
        table = draws.cells(numbered)
        share = match_clusters(draws, table)
        rows = row_doubt(numbered, draws, share)
        clusters = cluster_doubt(table, draws, share, 0.9)
        return [*(np.array(part)[np.argsort(order)] for part in (*rows[:3], rows.second_share))], clusters

    one, other = doubts(np.arange(n)), doubts(rng.permutation(n))
    for a, b in zip((*one[0], *one[1]), (*other[0], *other[1]), strict=True):
        assert a == pytest.approx(b, abs=1e-9, nan_ok=True)


def test_equal_parts_of_a_cluster_share_its_match():
    whole, halves, single = [0] * 8, [0, 0, 0, 0, 1, 1, 1, 1], list(range(8))
    for draw, expected in ((whole, 1.0), (halves, 0.5), (single, 1 / 8)):
        draws = as_label_draws([draw])
        table = draws.cells(np.zeros(8, int))
        rows = row_doubt(np.zeros(8, int), draws, match_clusters(draws, table))
        assert rows.own == pytest.approx(expected)
        assert rows.elsewhere == pytest.approx(1 - expected)
        assert (rows.second == -1).all()


def test_clusters_that_no_draw_finds():
    draws = as_label_draws([[0, 0, 0, 0]])
    labels = np.array([0, 0, 0, 1])
    table = draws.cells(labels)
    share = match_clusters(draws, table)
    assert row_doubt(labels, draws, share).own.tolist() == [1, 1, 1, 0]
    clusters = cluster_doubt(table, draws, share, 0.95)
    assert clusters.present.tolist() == [1, 0]
    assert (clusters.lower.tolist(), clusters.upper.tolist()) == ([4, 0], [4, 0])


def test_thousands_of_clusters_take_no_table():
    """3000 rows in nearly as many clusters: a table would have 3000 x 3000 cells for every draw."""
    rng = np.random.default_rng(0)
    draws = np.tile(np.arange(3000), (20, 1))
    for draw in draws:
        pairs = rng.permutation(3000)[:40]
        draw[pairs[:20]] = draw[pairs[20:]]
    draws = as_label_draws(draws)
    table = draws.cells(np.arange(3000))
    assert table.nnz == 20 * 3000
    rows = row_doubt(np.arange(3000), draws, match_clusters(draws, table))
    # Every draw joins 20 pairs, and either row of a pair may be the one that stays.
    assert rows.own.mean() == pytest.approx(1 - 20 / 3000)
