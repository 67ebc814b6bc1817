"""ArviZ's figures of the relabelled draws."""

import numpy as np
import pytest
from small_fits import em, posterior

import bayesgmm as bg
from bayesgmm import plots


def test_trace_has_a_row_a_quantity_and_every_chain():
    post = posterior("faithful")
    axes = plots.trace(post)
    assert axes.shape == (3, 2)
    assert [ax.get_title(loc="left") for ax in axes[:, 0]] == [
        "weight",
        "mean of eruptions",
        "mean of waiting",
    ]
    paths = [line.get_ydata() for line in axes[0, 1].lines]
    assert len(paths) == 2 * 3  # chains x components
    weights = post.data["posterior"]["weights"].values
    for chain in weights:
        for k in range(3):
            assert any(len(p) == 50 and np.allclose(p, chain[:, k]) for p in paths)


def test_forest_has_a_panel_a_quantity_with_means_and_intervals():
    post = posterior("faithful")
    axes = plots.forest(post)
    assert [ax.get_xlabel() for ax in axes] == ["weight", "mean of eruptions", "mean of waiting"]
    assert [t.get_text() for t in axes[0].get_yticklabels()] == ["component 0", "component 1", "component 2"]
    for ax, values in zip(axes[1:], np.moveaxis(post.data["posterior"]["means"].values, -1, 0), strict=True):
        flat = values.reshape(-1, 3)
        heights = [line.get_ydata()[0] for line in ax.lines]
        assert sorted(heights) == [0, 0, 1, 1, 2, 2]  # a thick and a thin interval a component
        for k in range(3):
            widest = max((line.get_xdata() for line in ax.lines if line.get_ydata()[0] == k), key=np.ptp)
            np.testing.assert_allclose(sorted(widest), np.quantile(flat[:, k], (0.03, 0.97)), rtol=0.02)
    means = sorted(point.get_offsets()[0][0] for point in axes[2].collections)
    np.testing.assert_allclose(means, np.sort(post.means[:, 1]))


def test_the_weight_of_an_only_component_is_left_out():
    engine = bg.NUTS(num_chains=2, num_warmup=50, num_samples=50)
    post = bg.fit("galaxies_26.96", bg.models.finite_mixture(1), engine, random_state=0)
    assert [ax.get_xlabel() for ax in plots.forest(post)] == ["mean of velocity"]
    assert plots.trace(post).shape == (1, 2)
    with pytest.raises(ValueError, match="always 1"):
        plots.forest(post, "weights")


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(TypeError, match=r"Expected a posterior.*EMResult"):
        plots.trace(em("faithful"))
    with pytest.raises(ValueError, match=r"'weights', 'means'; got \['sd'\]"):
        plots.forest(posterior("faithful"), ["sd"])
    assert len(plots.forest(posterior("faithful"), "weights")) == 1
