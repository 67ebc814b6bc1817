"""The doubt about each row's component."""

import numpy as np
import pytest
from small_fits import em, posterior

import bayesgmm as bg
from bayesgmm import plots


def doubt(result):
    return 1 - result.predict_proba().max(axis=1)


@pytest.mark.parametrize("result", [em, posterior])
def test_two_features_are_coloured_by_doubt(result):
    fit = result("faithful")
    ax = plots.membership(fit)
    points = ax.collections[0]
    np.testing.assert_allclose(points.get_array(), np.sort(doubt(fit)))
    order = np.argsort(doubt(fit), kind="stable")
    np.testing.assert_array_equal(points.get_offsets(), fit.observed.rows[order])
    assert points.get_clim() == (0, 1 - 1 / 3)
    assert f"{(doubt(fit) > 0.2).sum()} of 272 rows" in ax.get_title(loc="left")


def test_one_feature_shows_doubt_against_it():
    fit = em("galaxies_26.96")
    ax = plots.membership(fit)
    points = np.concatenate(
        [line.get_xydata() for line in ax.lines if line.get_label().startswith("component")]
    )
    order = np.argsort(points[:, 0], kind="stable")
    np.testing.assert_allclose(points[order, 1], doubt(fit)[np.argsort(fit.observed.rows[:, 0])], atol=1e-12)
    assert ax.get_xlabel() == "velocity"


def test_more_features_show_sorted_doubt_by_component():
    fit = em("penguins")
    ax = plots.membership(fit)
    curves = [line for line in ax.lines if line.get_label().startswith("component")]
    assert sum(len(curve.get_ydata()) for curve in curves) == 342
    assert all(np.all(np.diff(curve.get_ydata()) <= 0) for curve in curves)
    assert ax.get_ylim()[1] == pytest.approx(1 - 1 / 3)


@pytest.mark.parametrize("name", ["galaxies_26.96", "faithful", "penguins"])
def test_a_partition_shows_how_often_rows_leave_their_cluster(name):
    part = bg.partition(em(name), n_draws=50, n_starts=2)
    ax = plots.membership(part)
    doubt = 1 - part.rows.own
    if name == "faithful":
        assert np.asarray(ax.collections[0].get_array()) == pytest.approx(np.sort(doubt))
    else:
        curves = [line for line in ax.lines if line.get_label().startswith("cluster")]
        drawn = np.concatenate([curve.get_ydata() for curve in curves])
        assert np.sort(drawn) == pytest.approx(np.sort(doubt))
    n_rows = part.n_rows
    assert f"{(part.rows.own < 0.8).sum()} of {n_rows} rows below 80 % in their cluster (EM)" in ax.get_title(
        loc="left"
    )


def test_a_partition_of_label_draws_needs_no_rows():
    draws = np.random.default_rng(0).integers(0, 2, (40, 30))
    draws[:, :20] = np.arange(20) // 10
    part = bg.partition(draws, n_starts=2)
    assert "rows of the cluster" in plots.membership(part).get_xlabel()
    x = np.random.default_rng(1).normal(size=(30, 2))
    assert len(plots.membership(part, x).collections[0].get_offsets()) == 30
    with pytest.raises(ValueError, match="Expected x to have the 30 rows of the partition; got 29"):
        plots.membership(part, x[1:])


def test_what_has_no_membership_is_refused():
    with pytest.raises(TypeError, match=r"Expected a fit.*or a partition.*got ndarray"):
        plots.membership(np.zeros((3, 2)))
