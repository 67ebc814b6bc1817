"""The doubt about each row's component."""

import numpy as np
import pytest
from small_fits import em, posterior

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
