"""Figures of a partition: the similarity matrix, the credible ball, the number of clusters."""

import functools
import sys

import numpy as np
import pytest
from matplotlib.container import BarContainer, ErrorbarContainer
from matplotlib.patches import Rectangle
from small_fits import posterior

import bayesgmm as bg
from bayesgmm import models, plots


def draws(n=30, s=60, seed=0):
    rng = np.random.default_rng(seed)
    truth = np.repeat([0, 1, 2], [n // 2, n // 3, n - n // 2 - n // 3])
    return np.where(rng.random((s, n)) < 0.1, rng.integers(0, 4, (s, n)), truth)


@functools.cache
def of_labels():
    return bg.partition(draws(), n_starts=2)


@functools.cache
def of_fit(name, k):
    fit = bg.fit(name, models.finite_mixture(k), bg.EM(n_init=2), random_state=0)
    return bg.partition(fit, n_draws=100, n_starts=2)


def test_similarity_shows_the_matrix_in_the_partitions_order():
    part = of_labels()
    ax = plots.similarity(part)
    image = np.asarray(ax.images[0].get_array())
    assert image.shape == (30, 30)
    assert image.sum() == pytest.approx(part.similarity.sum())
    squares = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
    assert [square.get_width() for square in squares] == part.sizes.tolist()
    first = part.labels == 0
    assert image[: first.sum(), : first.sum()].sum() == pytest.approx(
        part.similarity[np.ix_(first, first)].sum()
    )


def test_similarity_of_many_rows_is_thinned(monkeypatch):
    # The function hides the module of its name.
    monkeypatch.setattr(sys.modules["bayesgmm.plots.similarity"], "MOST_DRAWN", 10)
    ax = plots.similarity(of_labels())
    assert ax.images[0].get_array().shape == (10, 10)
    assert "10 rows drawn" in ax.get_title(loc="left")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "galaxies_26.96",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("faithful", "penguins")),
    ],
)
def test_ball_rings_the_rows_that_moved(name):
    part = of_fit(name, 4) if name else of_labels()
    axes = plots.ball(part)
    assert axes.shape == (2, 2)
    for ax in axes.ravel():
        drawn = sum(len(points.get_offsets()) for points in ax.collections[:-1])
        assert drawn == part.n_rows
    assert len(axes[0, 0].collections[-1].get_offsets()) == 0
    assert 0 < len(axes[0, 1].collections[-1].get_offsets()) < part.n_rows
    assert axes[0, 1].get_title(loc="left").startswith("farthest:")


@pytest.mark.parametrize("plot", [plots.similarity, plots.ball])
def test_what_is_no_partition_is_refused(plot):
    with pytest.raises(TypeError, match="Expected a partition, such as"):
        plot(np.zeros((3, 4), int))


def test_ball_takes_rows_and_axes():
    import matplotlib.pyplot as plt

    x = np.random.default_rng(0).normal(size=(30, 2))
    _, axes = plt.subplots(1, 4)
    assert plots.ball(of_labels(), x, axes) is axes
    with pytest.raises(ValueError, match="Expected x to have the 30 rows of the partition; got 29"):
        plots.ball(of_labels(), x[:29])
    with pytest.raises(ValueError, match="Expected four axes; got 3"):
        plots.ball(of_labels(), x, axes[:3])


def heights(container):
    return {round(bar.get_x() + bar.get_width() / 2): bar.get_height() for bar in container}


def test_n_clusters_beside_the_prior():
    part = of_labels()
    table = part.n_clusters_posterior
    for prior in ({1: 0.5, 2: 0.3, 3: 0.2}, [0.5, 0.3, 0.2]):
        ours, theirs = (heights(bars) for bars in plots.n_clusters(part, prior=prior).containers)
        assert all(ours[k] == pytest.approx(table[k]) for k in ours if k in table.index)
        assert {k: p for k, p in theirs.items() if p} == {1: 0.5, 2: 0.3, 3: 0.2}
    bars = plots.n_clusters(part, prior=[0.5, 0.5]).containers
    rights = [bar.get_x() + bar.get_width() for bar in bars[0]]
    assert all(right < bar.get_x() for right, bar in zip(rights, bars[1], strict=True))


def test_n_clusters_of_a_model_has_its_prior():
    post = posterior("faithful")
    for result in (post, bg.partition(post, n_starts=2)):
        bars = [c for c in plots.n_clusters(result).containers if isinstance(c, BarContainer)]
        assert [bar.get_label() for bar in bars] == ["posterior", "prior"]
        prior = post.n_clusters_table["prior"]
        assert all(height == pytest.approx(prior.get(k, 0.0)) for k, height in heights(bars[1]).items())
        assert max(heights(bars[1]).values()) == prior.max() > 0.9
        alone = plots.n_clusters(result, prior=None).containers
        assert [type(c) for c in alone] == [ErrorbarContainer, BarContainer]
    assert len(plots.n_clusters(of_labels()).containers) == 1  # label draws come with no prior


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ((of_labels, [0.9, 0.9]), ValueError, "Expected prior to hold probabilities"),
        ((of_labels, "flat"), TypeError, "Expected prior to be 'model', None, or probabilities"),
        ((of_labels, 0.5), TypeError, "Expected prior to be 'model', None, or probabilities"),
        ((draws, None), TypeError, "Expected a posterior.*or a partition.*got ndarray"),
    ],
)
def test_n_clusters_of_what_has_none(arguments, error, message):
    of, prior = arguments
    with pytest.raises(error, match=message):
        plots.n_clusters(of(), prior=prior)
