"""The plot of a merging: its points are the entropies, its ring the suggestion."""

import numpy as np
import pytest
from small_fits import em, selection

from bayesgmm import plots
from bayesgmm.criteria.guard import MisspecificationGuard
from bayesgmm.criteria.merging import merge_components


def test_points_are_the_entropies_and_the_ring_the_suggestion():
    merged = merge_components(em("faithful"))
    ax = plots.merging(em("faithful"))
    steps, ring = ax.lines[:-1], ax.lines[-1]
    for i, step in enumerate(steps):
        np.testing.assert_array_equal(step.get_xdata(), [3 - i, 2 - i])
        np.testing.assert_array_equal(step.get_ydata(), merged.entropies[i : i + 2])
    assert ring.get_xydata().tolist() == [[2, merged.entropies[1]]]
    assert [text.get_text() for text in ax.texts] == [f"{overlap:.2f}" for overlap in merged.overlaps]
    assert ax.get_title(loc="left") == "faithful: 3 components, 2 clusters"


def test_responsibilities_alone_are_drawn():
    ax = plots.merging(merge_components(np.eye(2)))
    assert ax.get_title(loc="left") == "2 components, 2 clusters"


def test_growth_is_the_guards_curve():
    guard = MisspecificationGuard(
        selection("faithful"), ((50, 2), (272, 3)), merge_components(em("faithful")), tails=None
    )
    ax = plots.growth(guard)
    clusters, curve = ax.lines
    assert curve.get_xydata().tolist() == [[50, 2], [272, 3]]
    assert set(clusters.get_ydata()) == {2}
    assert ax.get_title(loc="left") == "faithful: no sign of misspecification"
    with pytest.raises(TypeError, match="misspecification_guard"):
        plots.growth(em("faithful"))
