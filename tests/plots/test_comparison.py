"""The picture of a comparison: marks are the estimates, lines the intervals, spare components left out."""

import dataclasses

import numpy as np
import pandas
import pytest
from small_fits import em, posterior

import bayesgmm as bg
from bayesgmm import plots
from bayesgmm.criteria.comparison import Comparison


def made(n_components=2, spare=False):
    """A comparison by hand of two features: EM, and a posterior whose interval is .1 to either side."""
    index = pandas.MultiIndex.from_tuples(
        [("weight", j, "") for j in range(n_components)]
        + [(what, j, name) for what in ("mean", "sd") for j in range(n_components) for name in ("a", "b")],
        names=["parameter", "component", "feature"],
    )
    values = np.arange(1.0, len(index) + 1)
    if spare:
        values[n_components - 1] = 0.004
    columns = {
        ("EM", "estimate"): values,
        ("NUTS", "mean"): values + 0.01 * (values > 0.5),
        ("NUTS", "3 %"): values - 0.1,
        ("NUTS", "97 %"): values + 0.1,
    }
    parameters = pandas.DataFrame(columns, index=index)
    parameters.columns = pandas.MultiIndex.from_tuples(parameters.columns)
    table = pandas.DataFrame(index=["EM", "NUTS"])
    return Comparison(table, parameters, pandas.DataFrame(np.eye(2)), (), "made")


def test_marks_are_estimates_and_lines_intervals():
    comparison = made()
    axes = plots.comparison(comparison)
    assert axes.shape == (3, 2)
    means = comparison.parameters.xs(("mean", "b"), level=("parameter", "feature"))
    points, posterior_means = axes[2, 0].lines
    np.testing.assert_array_equal(points.get_xdata(), means["EM", "estimate"])
    np.testing.assert_array_equal(posterior_means.get_xdata(), means["NUTS", "mean"])
    assert points.get_markerfacecolor() == "white" != posterior_means.get_markerfacecolor()
    (intervals,) = (c for c in axes[2, 0].collections if hasattr(c, "get_segments"))
    ends = np.array(intervals.get_segments())
    np.testing.assert_allclose(ends[:, :, 0], means["NUTS"][["3 %", "97 %"]])
    np.testing.assert_allclose(ends[:, 0, 1], posterior_means.get_ydata())
    assert (np.diff([points.get_ydata(), posterior_means.get_ydata()], axis=0) > 0).all()
    assert axes[2, 0].get_xlabel() == "mean of b" and axes[1, 1].get_xlabel() == "standard deviation of a"
    said = [text.get_text() for text in axes[0, 1].get_legend().get_texts()]
    assert said == ["EM: point estimate", "NUTS: posterior mean, 94 % interval"]


def test_spare_components_and_other_features_are_left_out():
    axes = plots.comparison(made(3, spare=True), features=["b"])
    assert axes.shape == (2, 2)
    assert [t.get_text() for t in axes[0, 0].get_yticklabels()] == ["component 0", "component 1"]
    assert len(axes[1, 0].lines[0].get_xdata()) == 2


@pytest.mark.slow
def test_a_real_comparison_is_drawn():
    found = bg.compare({"EM": em("galaxies_26.96"), "Gibbs": posterior("galaxies_26.96")})
    axes = plots.comparison(found)
    assert axes.shape == (2, 2)
    assert axes[0, 0].figure.get_suptitle() == "galaxies_26.96: parameters by EM and Gibbs"
    np.testing.assert_array_equal(axes[0, 0].lines[0].get_xdata(), em("galaxies_26.96").weights)


def test_nonsense_is_refused():
    with pytest.raises(TypeError, match=r"bayesgmm\.compare returned; got int"):
        plots.comparison(3)
    for features in (["c"], [], "a"):
        with pytest.raises(ValueError, match="some of a, b"):
            plots.comparison(made(), features=features)
    alone = dataclasses.replace(made(), table=pandas.DataFrame(index=["NUTS"]))
    assert plots.comparison(alone)[0, 0].lines
