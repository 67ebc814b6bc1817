"""The mixture over the data: what is drawn is the fit."""

import dataclasses
import itertools

import matplotlib
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.patches import Ellipse
from scipy.integrate import trapezoid
from scipy.stats import chi2
from small_fits import em, posterior

import bayesgmm as bg
from bayesgmm import models, plots


def lines_of(ax, label):
    return [line for line in ax.lines if line.get_label() == label]


def legend_texts(ax):
    legends = [ax.get_legend(), *ax.figure.legends]
    return [text.get_text() for legend in legends if legend for text in legend.get_texts()]


def test_two_features_show_two_ellipses_a_component_at_their_levels():
    fit = em("faithful")
    ax = plots.components(fit)
    ellipses = [patch for patch in ax.patches if isinstance(patch, Ellipse)]
    assert len(ellipses) == 2 * fit.n_components
    for patch in ellipses:
        k = int(patch.get_label().split(",")[0].split()[-1])
        level = 0.5 if "50" in patch.get_label() else 0.95
        outline = patch.get_patch_transform().transform(patch.get_path().vertices)
        offset = outline - fit.means[k]
        distance = np.einsum("ni,ij,nj->n", offset, np.linalg.inv(fit.covariances), offset)
        np.testing.assert_allclose(patch.center, fit.means[k])
        np.testing.assert_allclose(
            distance, chi2.ppf(level, 2), rtol=0.2
        )  # Bezier control points lie outside
        np.testing.assert_allclose(distance.min(), chi2.ppf(level, 2), rtol=1e-3)
    assert (ax.get_xlabel(), ax.get_ylabel()) == fit.observed.feature_names
    assert {t.get_text() for t in ax.texts} == {"0", "1", "2"}


def test_rows_are_drawn_hollow_where_in_doubt():
    fit = em("faithful")
    ax = plots.components(fit)
    points = ax.collections[0]
    np.testing.assert_array_equal(points.get_offsets(), fit.observed.rows)
    opacity = points.get_facecolors()[:, 3]
    most = fit.predict_proba().max(axis=1)
    assert opacity[most.argmax()] > 0.5
    assert opacity[most.argmin()] < 0.1
    assert np.all(np.diff(opacity[np.argsort(most)]) >= -1e-12)


def test_a_posterior_adds_drawn_ellipses():
    ax = plots.components(posterior("faithful"))
    drawn = [c for c in ax.collections if isinstance(c, LineCollection)]
    assert [len(c.get_segments()) for c in drawn] == [50] * 3
    assert any("posterior draws" in text for text in legend_texts(ax))
    assert not any("posterior" in text for text in legend_texts(plots.components(em("faithful"))))


@pytest.mark.parametrize("result", [em, posterior])
def test_one_feature_shows_the_density_of_the_fit(result):
    fit = result("galaxies_26.96")
    ax = plots.components(fit)
    (mixture,) = lines_of(ax, "mixture")
    grid, density = mixture.get_data()
    np.testing.assert_allclose(density, np.exp(fit.score_samples(grid[:, None])), rtol=1e-6)
    assert 0.95 < trapezoid(density, grid) < 1.001
    shares = [lines_of(ax, f"component {k}")[0].get_ydata() for k in range(3)]
    np.testing.assert_allclose(np.sum(shares, axis=0), density, rtol=1e-9)
    bars = sum(bar.get_height() * bar.get_width() for bar in ax.patches)
    assert bars == pytest.approx(1.0)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("velocity", "density")


def test_a_posterior_adds_the_band_of_its_densities():
    ax = plots.components(posterior("galaxies_26.96"))
    (band,) = (c for c in ax.collections if "90 %" in str(c.get_label()))
    (mixture,) = lines_of(ax, "mixture")
    outline = band.get_paths()[0].vertices
    peak = np.argmax(mixture.get_ydata())
    at_peak = outline[np.isclose(outline[:, 0], mixture.get_xdata()[peak]), 1]
    assert at_peak.min() < mixture.get_ydata()[peak] < at_peak.max()


def test_more_features_make_a_grid():
    fit = em("penguins")
    axes = plots.components(fit)
    assert axes.shape == (4, 4)
    assert [ax.get_xlabel() for ax in axes[-1]] == list(fit.observed.feature_names)
    assert not axes[0, 1].axison
    n_ellipses = [[sum(isinstance(p, Ellipse) for p in ax.patches) for ax in row] for row in axes]
    assert n_ellipses == [[6 * (j < i) for j in range(4)] for i in range(4)]
    assert "component 0 (" in legend_texts(axes[0, 1])[0]


def test_above_five_features_those_that_separate_are_drawn():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 7))
    x[:30, [0, 2, 3, 5, 6]] += 9.0
    fit = bg.fit(x, models.finite_mixture(2, "diag"), bg.EM(n_init=2), random_state=0)
    axes = plots.components(fit)
    assert [ax.get_xlabel() for ax in axes[-1]] == ["x0", "x2", "x3", "x5", "x6"]
    assert "5 of 7 features" in axes[0, 0].figure.get_suptitle()


def test_features_can_be_chosen_by_name_and_position():
    ax = plots.components(em("penguins"), features=["body_mass_g", 0])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("body_mass_g", "bill_length_mm")
    with pytest.raises(ValueError, match=r"'bill_length_mm'.*got 'mass'"):
        plots.components(em("penguins"), features=["mass"])


def test_given_axes_and_rows_are_used_and_settings_left_alone():
    import matplotlib.pyplot as plt

    before = dict(matplotlib.rcParams)
    _, ax = plt.subplots()
    assert plots.components(em("faithful"), em("faithful").observed.rows[:7], ax) is ax
    assert len(ax.collections[0].get_offsets()) == 7
    assert dict(matplotlib.rcParams) == before
    with pytest.raises(ValueError, match=r"shape \(4, 4\)"):
        plots.components(em("penguins"), ax=ax)
    with pytest.raises(ValueError, match="2 features of the fit"):
        plots.components(em("faithful"), np.ones((5, 3)))


def test_long_names_do_not_run_into_each_other():
    names = ["alcohol of the wine by volume", "od280_od315_of_diluted_wines", "total_phenols_in_the_wine"]
    x = bg.as_data(np.random.default_rng(0).normal(size=(40, 3)))
    fit = bg.fit(dataclasses.replace(x, feature_names=tuple(names)), models.finite_mixture(1), random_state=0)
    axes = plots.components(fit)
    assert [ax.get_xlabel().replace("_\n", "_").replace("\n", " ") for ax in axes[-1]] == names
    figure = axes[0, 0].figure
    figure.draw_without_rendering()
    lower, upper = (axes[i, 0].yaxis.label.get_window_extent() for i in (2, 1))
    assert lower.y1 < upper.y0
    along = [ax.xaxis.label.get_window_extent() for ax in axes[-1]]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(along))
