"""Allocation draws and similarity: against the definition, in blocks, for labels and for fits."""

import dataclasses

import numpy as np
import pytest
from cases import STRUCTURES, random_mixture, random_rows
from hypothesis import given
from hypothesis import strategies as st
from posterior.partitions import random_draws

import bayesgmm.posterior.allocations as allocations
import bayesgmm.posterior.similarity as module
from bayesgmm.data import Standardisation, as_data
from bayesgmm.mixture import Mixture
from bayesgmm.posterior.allocations import draw_allocations, is_fit
from bayesgmm.posterior.label_draws import as_label_draws
from bayesgmm.posterior.predict import MixturePredictor
from bayesgmm.posterior.similarity import similarity, similarity_of_rows


@dataclasses.dataclass
class Fit(MixturePredictor):
    """The least that is a fit."""

    observed: object
    standardisation: Standardisation
    draws: Mixture
    kind: str = "test"


def make_fit(structure="full", s=6, n=50, k=3, seed=0):
    rng = np.random.default_rng(seed)
    rows = random_rows(rng, n=n)
    common = structure == "spherical"
    standardisation = Standardisation.fit(rows, np.ones(n), common_scale=common)
    return Fit(as_data(rows), standardisation, random_mixture(structure, rng, k=k, d=2, lead=(s,)))


def each_draw(fit):
    """Responsibilities (S, N, K), a draw at a time."""
    import jax

    s = fit.draws.log_weights.shape[0]
    ones = [jax.tree.map(lambda a, i=i: np.asarray(a)[[i]], fit.draws) for i in range(s)]
    return np.stack([dataclasses.replace(fit, draws=one).predict_proba() for one in ones])


@given(seed=st.integers(0, 2**32 - 1))
def test_similarity_of_labels_is_the_share_of_draws(seed):
    rng = np.random.default_rng(seed)
    draws = random_draws(rng, s=9, n=rng.integers(1, 20))
    expected = np.mean([draw[:, None] == draw for draw in draws], axis=0)
    assert similarity(draws) == pytest.approx(expected, abs=1e-12)


def test_published_similarities(cases):
    import gzip
    from pathlib import Path

    for file, case in (
        ("galaxy_draws_10000x82", "galaxy.draw"),
        ("iris_clusterings_1000x150", "iris.clusterings"),
    ):
        reference = cases("E_clustering_summaries")[case]
        with gzip.open(Path(__file__).parent.parent / "cases" / "draws" / f"{file}.txt.gz", "rt") as lines:
            table = similarity(np.loadtxt(lines, dtype=int))
        assert table.sum() == pytest.approx(reference["psm_sum"], abs=1e-6)


@pytest.mark.parametrize("structure", STRUCTURES)
def test_similarity_of_a_fit_sums_the_allocations_out(structure):
    fit = make_fit(structure)
    probabilities = each_draw(fit)
    expected = np.einsum("snk,smk->nm", probabilities, probabilities) / len(probabilities)
    np.fill_diagonal(expected, 1.0)
    assert similarity(fit) == pytest.approx(expected, abs=1e-12)


def test_draws_of_many_clusters_are_multiplied_sparsely(monkeypatch):
    draws = as_label_draws(random_draws(np.random.default_rng(0), s=25, n=33, noise=0.9))
    dense = module._summed(module._one_hot(draws), 33)
    for cells in (1, 200, 10_000):
        monkeypatch.setattr(module, "MOST_CELLS", cells)
        assert module._summed(module._sparse_one_hot(draws), 33) == pytest.approx(dense, abs=1e-12)
    apart = np.stack([np.random.default_rng(i).permutation(400) // 2 for i in range(3)])
    assert similarity(apart) == pytest.approx(np.mean([d[:, None] == d for d in apart], axis=0), abs=1e-12)


@pytest.mark.parametrize("cells", [1, 130, 500])
def test_blocks_change_nothing(monkeypatch, cells):
    fit, draws = make_fit(s=7), random_draws(np.random.default_rng(0), s=40, n=33)
    whole = similarity(fit), similarity(draws)
    monkeypatch.setattr(module, "MOST_CELLS", cells)
    monkeypatch.setattr(module, "TILE", 10)
    assert similarity(fit) == pytest.approx(whole[0], abs=1e-12)
    assert similarity(draws) == pytest.approx(whole[1], abs=1e-12)


def test_many_rows_are_single_precision_and_bounded(monkeypatch):
    draws = random_draws(np.random.default_rng(0), s=5, n=30)
    double = similarity(draws)
    monkeypatch.setattr(module, "SINGLE_FROM", 20)
    assert similarity(draws).dtype == np.float32
    assert similarity(draws) == pytest.approx(double, abs=1e-6)
    monkeypatch.setattr(module, "MOST_ROWS", 20)
    with pytest.raises(ValueError, match=r"at most 20 rows.*got 30.*draws\[:, rows\]"):
        similarity(draws)
    rows = np.array([3, 29, 5])
    assert similarity_of_rows(as_label_draws(draws), rows) == pytest.approx(
        double[np.ix_(rows, rows)], abs=1e-12
    )


@pytest.mark.parametrize("structure", STRUCTURES)
def test_allocations_follow_the_responsibilities(structure):
    """12 000 allocations of each of 50 rows: five standard errors, which 150 shares exceed in 1 of 10 000 cases."""
    fit = make_fit(structure, s=3)
    labels = draw_allocations(fit, 12_000, 1)
    expected = each_draw(fit).mean(axis=0)
    shares = np.stack([(labels == k).mean(axis=0) for k in range(3)], axis=1)
    assert np.abs(shares - expected).max() < 5 * np.sqrt(0.25 / 12_000)
    first = labels[:4000]  # the draws come in order, equally often
    assert np.abs((first == 0).mean(axis=0) - each_draw(fit)[0, :, 0]).max() < 5 * np.sqrt(0.25 / 4000)


def test_allocations_by_default_and_in_pieces(monkeypatch):
    fit = make_fit(s=6)
    assert draw_allocations(fit).shape == (6, 50)
    assert draw_allocations(make_fit(s=1)).shape == (1000, 50)
    assert np.array_equal(draw_allocations(fit, random_state=3), draw_allocations(fit, random_state=3))
    assert not np.array_equal(draw_allocations(fit, random_state=3), draw_allocations(fit, random_state=4))
    monkeypatch.setattr(allocations, "MOST_CELLS", 64 * 3 * 4)  # pieces of four draws
    assert draw_allocations(fit).shape == (6, 50)
    assert set(np.unique(draw_allocations(fit, 200))) <= {0, 1, 2}
    monkeypatch.setattr(allocations, "MOST_LABELS", 100)
    assert draw_allocations(fit).shape == (2, 50)
    for wrong in (0, 2.5, "all", True):
        with pytest.raises(ValueError, match="Expected n_draws to be an integer of at least 1"):
            draw_allocations(fit, wrong)


def test_what_is_a_fit():
    assert is_fit(make_fit())
    assert not is_fit(np.zeros((2, 3), int))
