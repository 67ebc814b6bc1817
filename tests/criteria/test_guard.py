"""The guard warns where clusters are not Gaussian or rows are counts, and is silent where all is well."""

import dataclasses

import numpy as np
import pytest
from criteria.heavy_tails import three_clusters

import bayesgmm as bg
from bayesgmm.criteria.guard import misspecification_guard
from bayesgmm.criteria.tails import kurtosis_within, tail_check
from bayesgmm.criteria.wide_components import wide_components
from bayesgmm.inference.em.em import EM
from bayesgmm.inference.fit import fit
from bayesgmm.mixture import Mixture
from bayesgmm.models import finite_mixture

COUNTS = range(1, 6)


@pytest.mark.parametrize("seed", [1, 3])
def test_heavy_tails_are_warned_of_and_make_three_clusters(seed):
    """Seed 3 has a fourth component under all others, which merging by overlap keeps."""
    found = misspecification_guard(three_clusters(200, seed), n_components=COUNTS)
    assert found.n_components > found.n_clusters == 3
    assert any("tails are heavier than those of 3 Gaussian clusters" in w for w in found.warnings)
    assert found.verdict.startswith("warning: do not read the number of components as a number of clusters")
    assert list(found.table.n_rows) == [50, 200]
    assert "BIC's K" in repr(found)


@pytest.mark.parametrize("seed", range(4, 9))
def test_gaussians_are_not_warned_of(seed):
    """The tails' p-value is at most .01 in one of a hundred data sets; the keys are fixed."""
    found = misspecification_guard(three_clusters(200, seed, dof=np.inf), n_components=COUNTS)
    assert (found.n_components, found.n_clusters) == (3, 3)
    assert not found.warnings
    assert found.verdict.startswith("no sign")


@pytest.mark.slow
@pytest.mark.parametrize("n", [2000, 20_000])
def test_more_rows_bring_more_components_and_still_three_clusters(n):
    found = misspecification_guard(three_clusters(n, 0), n_components=range(1, 9))
    assert found.n_components > found.n_clusters == found.merging.n_clusters == 3
    assert any("tails" in w for w in found.warnings)
    if n == 20_000:
        assert any("K grows with the rows, from 4 for 1250" in w for w in found.warnings)


def test_counts_are_warned_of():
    """Made like a shop's customers: how often they came back (mostly once or twice), when, and what they spent."""
    rng = np.random.default_rng(0)
    times = rng.geometric(0.5, size=400)
    rows = np.stack(
        [np.log(times), rng.normal(3, 0.6, 400) + 0.2 * np.log(times), rng.normal(3, 0.8, 400)], axis=1
    )
    found = misspecification_guard(rows, n_components=COUNTS)
    assert found.n_components < 5
    assert any("have the same x0" in w and "it counts or is rounded" in w for w in found.warnings)
    assert any("were set aside" in w for w in found.warnings)


def test_overlapping_components_are_no_misspecification():
    """Old Faithful: three ellipses of one shape, of which two share most rows."""
    sweep = bg.select(
        "faithful", n_components=(2, 3), covariance_type="tied", engine=EM(n_init=6, moves=1), random_state=0
    )
    found = misspecification_guard(sweep)
    assert (found.n_components, found.n_clusters) == (3, 2)
    assert not found.warnings
    assert "some of them overlap" in found.verdict
    weighted = dataclasses.replace(sweep.best, sample_weight=np.full(272, 2.0))
    with pytest.raises(ValueError, match="without weights"):
        misspecification_guard(dataclasses.replace(sweep, fits={("tied", 3): weighted}))


# --- tails


def test_kurtosis_by_hand():
    """One component: Mardia's kurtosis over D (D + 2)."""
    rows = np.random.default_rng(0).standard_t(5, size=(300, 2))
    em = fit(rows, finite_mixture(1), EM(reg_covar=0.0))
    centred = rows - rows.mean(axis=0)
    squared = np.einsum("ni,ij,nj->n", centred, np.linalg.inv(np.cov(centred.T, ddof=0)), centred)
    expected = np.mean(squared**2) / 8
    assert kurtosis_within(em.mixture, em.problem.rows) == pytest.approx(expected, rel=1e-6)
    weight = np.random.default_rng(1).integers(1, 3, 300)
    assert kurtosis_within(em.mixture, em.problem.rows, weight * 1.0) == pytest.approx(
        np.average(squared**2, weights=weight) / 8, rel=1e-6
    )


@pytest.mark.slow
def test_the_tails_p_value_is_uniform_under_the_null():
    """40 data sets of one Gaussian, n = 60, D = 1: mean .5 with standard deviation .046; four of them."""
    values = []
    for seed in range(40):
        rows = np.random.default_rng(seed).standard_normal((60, 1))
        values.append(
            tail_check(fit(rows, finite_mixture(1), EM(n_init=1)), n_draws=39, random_state=seed).p_value
        )
    assert abs(np.mean(values) - 0.5) < 0.19
    assert np.mean(np.array(values) <= 0.1) < 0.3


# --- wide components


def test_a_wide_component_covers_a_narrow_one():
    parameters = {"weights": [0.4, 0.4, 0.2], "means": [[0.0, 0], [8, 0], [3, 1]]}
    wide = Mixture.from_parameters(
        **parameters, covariances=np.array([1.0, 1, 25]), covariance_type="spherical"
    )
    narrow = Mixture.from_parameters(
        **parameters, covariances=np.array([1.0, 1, 1]), covariance_type="spherical"
    )
    rows = np.random.default_rng(0).normal(size=(30, 2))
    em = fit(rows, finite_mixture(3, "spherical"), EM(n_init=1, moves=0, max_steps=0), start=wide)
    assert wide_components(em) == (2,)
    em = fit(rows, finite_mixture(3, "spherical"), EM(n_init=1, moves=0, max_steps=0), start=narrow)
    assert wide_components(em) == ()


def test_a_subsample_that_cannot_be_fitted_leaves_no_point():
    """A rare count is all zeros in a subsample; and a sweep has more components than a subsample has rows."""
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.normal(size=(400, 2)), np.zeros(400)])
    rows[[7, 200], 2] = 1.0
    guard = misspecification_guard(
        rows, n_components=(1, 2), covariance_type="diag", engine=EM(n_init=2, moves=0)
    )
    assert guard.growth[-1][0] == 400
    assert len(guard.growth) + len(guard.left_out) == 3 and guard.left_out
    assert "rows could not be fitted: x is constant in column 'x2'" in repr(guard)
