"""Criterion curves: the values of the sweep, its minimum, its warnings."""

import dataclasses

import numpy as np
import pytest
from small_fits import selection

from bayesgmm import plots


def line(ax, label):
    (found,) = (line for line in ax.lines if line.get_label() == label)
    return found


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl"])
def test_curves_are_the_table_and_the_ring_its_minimum(criterion):
    sweep = selection("faithful")
    ax = plots.criteria(sweep, criterion)
    for name in ("full", "tied"):
        rows = sweep.table[sweep.table["covariance_type"] == name]
        np.testing.assert_array_equal(line(ax, name).get_xdata(), rows["n_components"])
        np.testing.assert_array_equal(line(ax, name).get_ydata(), rows[criterion])
    lowest = sweep.table.loc[sweep.table[criterion].idxmin()]
    assert line(ax, "lowest").get_xydata().tolist() == [[lowest["n_components"], lowest[criterion]]]
    assert ax.get_ylabel() == f"{criterion.upper()} (smaller is better)"
    assert ax.get_xlabel() == "number of components"


def test_ticks_are_differences_from_the_lowest_value():
    sweep = selection("faithful")
    ax = plots.criteria(sweep)
    ticks = dict(zip([t.get_text() for t in ax.get_yticklabels()], ax.get_yticks(), strict=True))
    lowest = sweep.table["bic"].min()
    assert ticks[f"{lowest:.1f}"] == pytest.approx(lowest)
    assert ticks["+100"] == pytest.approx(lowest + 100)


def test_fits_with_a_warning_are_hollow():
    sweep = selection("faithful")
    cell = ("full", 2)
    fits = sweep.fits | {cell: dataclasses.replace(sweep.fits[cell], degeneracies=("a reason",))}
    ax = plots.criteria(dataclasses.replace(sweep, fits=fits))
    hollow = line(ax, "full, warned")
    assert hollow.get_xydata().tolist() == [[2, fits[cell].bic]]
    assert hollow.get_markerfacecolor() == "white"
    assert line(ax, "tied, warned").get_xydata().size == 0


def test_an_unknown_criterion_is_refused():
    with pytest.raises(ValueError, match="one of aic, aicc, bic, icl, icl_map, nec; got 'dic'"):
        plots.criteria(selection("faithful"), "dic")
