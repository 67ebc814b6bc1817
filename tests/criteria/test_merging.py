"""Merging components: the entropy by hand, invariants, and counts that are known."""

import dataclasses

import numpy as np
import pytest
from criteria.heavy_tails import three_clusters
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import xlogy

import bayesgmm as bg
from bayesgmm.criteria.merging import OVERLAP, merge_components
from bayesgmm.inference.em.em import EM
from bayesgmm.inference.fit import fit
from bayesgmm.models import dirichlet_process_mixture, finite_mixture
from bayesgmm.posterior.predict import MixturePredictor


def responsibilities(seed, n=30, k=5):
    return np.random.default_rng(seed).dirichlet(np.full(k, 0.4), size=n)


def test_a_merge_by_hand():
    """Two rows that 0 and 1 share in halves, one that is sure of 2: merging 0 and 1 takes away 2 log 2."""
    merged = merge_components(np.array([[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1.0]]))
    assert merged.levels == (((0,), (1,), (2,)), ((0, 1), (2,)), ((0, 1, 2),))
    np.testing.assert_allclose(merged.entropies, [2 * np.log(2), 0, 0], atol=1e-15)
    np.testing.assert_allclose(merged.overlaps, [2 * np.log(2), 0], atol=1e-15)
    np.testing.assert_array_equal(merged.merged_rows, [2, 3])
    assert (merged.n_clusters, merged.elbow) == (2, None)
    np.testing.assert_array_equal(merged.labels(), [0, 0, 1])


@given(st.integers(0, 2**32 - 1))
def test_every_merge_is_the_best_pair(seed):
    r = responsibilities(seed)
    merged = merge_components(r)
    for before, after, entropy in zip(
        merged.levels[:-1], merged.levels[1:], merged.entropies[1:], strict=True
    ):
        columns = [r[:, list(own)].sum(axis=1) for own in before]
        others = {
            -xlogy(column, column).sum()
            for i in range(len(columns))
            for j in range(i)
            for column in [
                np.stack([c for m, c in enumerate(columns) if m not in (i, j)] + [columns[i] + columns[j]])
            ]
        }
        assert entropy == pytest.approx(min(others), abs=1e-9)
        assert {c for own in after for c in own} == set(range(5))
    assert (np.diff(merged.entropies) <= 1e-12).all()
    assert merged.entropies[-1] == pytest.approx(0, abs=1e-12)


@given(st.integers(0, 2**32 - 1))
def test_the_order_of_components_and_repeated_rows_change_nothing(seed):
    rng = np.random.default_rng(seed)
    r, order, weight = responsibilities(seed), rng.permutation(5), rng.integers(1, 4, 30)
    a = merge_components(np.repeat(r, weight, axis=0))
    b = merge_components(r[:, order], sample_weight=weight)
    np.testing.assert_allclose(a.entropies, b.entropies, atol=1e-9)
    np.testing.assert_allclose(a.overlaps, b.overlaps, rtol=1e-6)
    assert a.n_clusters == b.n_clusters
    np.testing.assert_allclose(a.predict_proba().sum(axis=1), 1, rtol=1e-12)


def test_two_lines_find_the_elbow():
    """Entropies of clusters that share 0, 1, 2 among themselves and nothing with 3, 4."""
    shared = np.full((60, 3), 1 / 3)
    r = np.zeros((100, 5))
    r[:60, :3], r[60:80, 3], r[80:, 4] = shared, 1, 1
    assert merge_components(r).n_clusters == merge_components(r).elbow == 3


def test_heavy_tails_take_two_gaussians_a_cluster_and_make_three_clusters():
    """Three t clusters of 4 degrees of freedom: BIC wants more Gaussians the more rows there are."""
    rows = three_clusters(2000, seed=0)
    em = fit(rows, finite_mixture(5), EM(n_init=8, moves=1), random_state=0)
    merged = merge_components(em)
    assert merged.n_clusters == 3
    assert min(np.bincount(merged.labels())) > 500
    new = merged.predict_proba(rows[:7])
    np.testing.assert_allclose(new, merged.predict_proba()[:7], atol=1e-12)
    assert "5 components of data make 3 clusters" in repr(merged)
    assert list(merged.table.n_clusters) == [5, 4, 3, 2, 1]


def test_gaussians_that_stand_apart_stay_apart():
    em = fit(
        three_clusters(200, seed=0, dof=np.inf), finite_mixture(3), EM(n_init=4, moves=0), random_state=0
    )
    assert merge_components(em).n_clusters == 3
    assert merge_components(fit("faithful", finite_mixture(1), random_state=0)).n_clusters == 1


def test_the_threshold_is_two_and_a_half_standard_deviations():
    x = np.linspace(-12, 12, 100_001)
    a, b = np.exp(-0.5 * (x - 1.25) ** 2), np.exp(-0.5 * (x + 1.25) ** 2)
    r = np.stack([a, b], axis=1) / (a + b)[:, None]
    assert merge_components(r, sample_weight=a + b).overlaps[0] == pytest.approx(OVERLAP, abs=0.01)


def test_slots_to_spare_are_not_merged(full):
    with pytest.raises(ValueError, match=r"slots to spare.*partition"):
        merge_components(dataclasses.replace(full, model=dirichlet_process_mixture(2)))


def test_a_posterior_is_merged_too(full):
    assert isinstance(full, MixturePredictor)
    assert merge_components(full).n_clusters == 1


@pytest.mark.parametrize(
    ("argument", "error", "words"),
    [
        (np.full((3, 2), 0.6), ValueError, "add to 1; row 0"),
        (np.zeros(3), ValueError, r"shape \(N, K\)"),
        ("faithful", TypeError, "fit or responsibilities"),
    ],
)
def test_nonsense_is_refused(argument, error, words):
    with pytest.raises(error, match=words):
        merge_components(argument)


def test_what_cannot_be_asked_of_a_merging():
    merged = merge_components(np.eye(3))
    with pytest.raises(ValueError, match="from 1 to 3; got 4"):
        merged.labels(4)
    with pytest.raises(ValueError, match="no new rows"):
        merged.predict_proba(np.zeros((2, 2)))
    with pytest.raises(ValueError, match="has its own"):
        merge_components(bg.fit("faithful", finite_mixture(1), random_state=0), sample_weight=np.ones(272))
