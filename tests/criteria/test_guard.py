"""The guard warns where clusters are not Gaussian or rows are counts, and is silent where all is well."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from criteria.conftest import exact_posterior
from criteria.heavy_tails import three_clusters

import bayesgmm as bg
from bayesgmm.criteria.guard import misspecification_guard
from bayesgmm.criteria.k_table import k_table
from bayesgmm.criteria.tails import kurtosis_within, posterior_tail_check, tail_check
from bayesgmm.criteria.wide_components import wide_components
from bayesgmm.datasets import read_csv
from bayesgmm.inference.em.em import EM
from bayesgmm.inference.fit import fit
from bayesgmm.mixture import Mixture
from bayesgmm.models import finite_mixture

COUNTS = range(1, 6)
CDNOW = Path(__file__).parents[2] / "examples" / "data" / "cdnow.csv"


@pytest.mark.parametrize("seed", [pytest.param(1, marks=pytest.mark.slow), 3])
def test_heavy_tails_are_warned_of_and_make_three_clusters(seed):
    """Seed 3 has a fourth component under all others, which merging by overlap keeps."""
    found = misspecification_guard(three_clusters(200, seed), n_components=COUNTS)
    assert found.n_components > found.n_clusters == 3
    assert any("tails are heavier than those of 3 Gaussian clusters" in w for w in found.warnings)
    assert found.verdict.startswith("warning: do not read the number of components as a number of clusters")
    assert list(found.table.n_rows) == [50, 200]
    assert "BIC's K" in repr(found)


@pytest.mark.parametrize("seed", [4, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(5, 9))])
def test_gaussians_are_not_warned_of(seed):
    """The tails' p-value is at most .01 in one of a hundred data sets; the keys are fixed."""
    found = misspecification_guard(three_clusters(200, seed, dof=np.inf), n_components=COUNTS)
    assert (found.n_components, found.n_clusters) == (3, 3)
    assert not found.warnings
    assert found.verdict.startswith("no sign")


@pytest.mark.slow
def test_more_rows_bring_more_components_and_still_three_clusters():
    found = misspecification_guard(three_clusters(20_000, 0), n_components=range(1, 9))
    assert found.n_components > found.n_clusters == found.merging.n_clusters == 3
    assert any("tails" in w for w in found.warnings)
    assert any("K grows with the rows, from 4 for 1250" in w for w in found.warnings)


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("spread", [False, True])
def test_customers_never_make_six_kinds_in_silence(spread):
    """CDNOW (Fader & Hardie 2005): BIC falls without end on counts; spread over their unit, it grows with the rows."""
    raw = read_csv(CDNOW)
    jitter = np.random.default_rng(0).uniform(-0.5, 0.5, len(raw)) if spread else 0.0
    rows = np.column_stack(
        [
            np.log(raw["repeat_orders"] + jitter),
            np.log(raw["mean_spend"]),
            raw["observed_weeks"] - raw["recency_weeks"],
        ]
    )
    found = misspecification_guard(rows, n_components=range(1, 7))
    lowest = min(found.selection.fits.values(), key=lambda fit: fit.bic)
    assert found.n_clusters == 1
    assert (1 if spread else 0) < found.n_components < 6  # raw, every start may end in a spike
    assert found.verdict.startswith("warning: do not read the number of components as a number of clusters")
    said = " ".join(found.warnings)
    if spread:
        assert "BIC's K grows with the rows" in said
    else:
        assert lowest.n_components == 6 and lowest.degeneracies
        assert "have the same x0, 0: it counts or is rounded" in said and "were set aside" in said
    assert found.verdict in k_table(found.selection, guard=found).verdict


@pytest.mark.parametrize("n", [10, 30])
def test_few_rows_tell_nothing(n):
    rows = np.random.default_rng(0).normal(size=(n, 2))
    found = misspecification_guard(rows, n_components=(1, 2), engine=EM(n_init=2, moves=0))
    assert found.verdict.startswith(
        f"{n} rows are too few to tell whether components are clusters. BIC chooses"
    )
    assert "warning" not in found.verdict and "no sign" not in found.verdict


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"n_draws": 0}, ValueError, "n_draws to be an integer of at least 99.*got 0"),
        ({"n_draws": 50.0}, ValueError, "n_draws"),
        ({"posterior": "mine"}, TypeError, "posterior to be one, with draws; got str"),
    ],
)
def test_arguments_are_checked_before_anything_is_computed(arguments, error, words, monkeypatch):
    monkeypatch.setattr("bayesgmm.criteria.guard.select", lambda *_, **__: pytest.fail("computed"))
    with pytest.raises(error, match=words):
        misspecification_guard(np.zeros((20, 2)), **arguments)


# --- tails


@pytest.fixture(scope="module")
def one_cluster():
    """One cluster of 200 rows with 4 degrees of freedom or Gaussian, and the exact posterior of one component."""
    found = {}
    for dof in (4.0, np.inf):
        rng = np.random.default_rng(0)
        scale = np.ones(200) if np.isinf(dof) else np.sqrt(rng.chisquare(dof, size=200) / dof)
        rows = rng.standard_normal((200, 2)) / scale[:, None]
        found[dof] = rows, exact_posterior("full", rows)
    return found


def test_a_posterior_is_asked_whether_it_foretells_the_tails(one_cluster):
    """The kurtosis of 200 Gaussian rows has a standard deviation of .06 about 1; that of t4 is near 2."""
    rows, posterior = one_cluster[4.0]
    engine = EM(n_init=2, moves=0)
    found = misspecification_guard(rows, posterior=posterior, n_components=(1, 2), engine=engine)
    assert found.predictive.p_value <= 0.01
    assert any("NUTS posterior of 1 component does not foretell the tails" in w for w in found.warnings)
    assert "by the posterior's predictions" in repr(found)
    other, sound = one_cluster[np.inf]
    assert posterior_tail_check(sound).p_value > 0.05
    with pytest.raises(ValueError, match="posterior of the same rows"):
        misspecification_guard(other, posterior=posterior, n_components=1, engine=engine)


def test_a_draws_own_scale_makes_no_tails(one_cluster):
    """A covariance drawn too small moves no kurtosis, and an absent component has none."""
    rows, posterior = one_cluster[np.inf]
    one = posterior.draws.at_draws(np.intp(0))
    small = dataclasses.replace(one, covariances=np.asarray(one.covariances) / 4)
    standard = posterior.standardisation.forward(rows)
    assert kurtosis_within(small, standard) == pytest.approx(kurtosis_within(one, standard), rel=1e-12)
    draws = dataclasses.replace(
        posterior.draws,
        log_weights=np.pad(posterior.draws.log_weights, ((0, 0), (0, 1)), constant_values=-np.inf),
        means=np.pad(posterior.draws.means, ((0, 0), (0, 1), (0, 0)), constant_values=np.nan),
        covariances=np.pad(
            posterior.draws.covariances, ((0, 0), (0, 1), (0, 0), (0, 0)), constant_values=np.nan
        ),
    )
    with_absent = dataclasses.replace(posterior, draws=draws)
    found, expected = (posterior_tail_check(p, n_draws=99) for p in (with_absent, posterior))
    np.testing.assert_allclose(found.kurtosis, expected.kurtosis, rtol=1e-12)


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
        np.average(squared**2, weights=weight) / 8 / (np.average(squared, weights=weight) / 2) ** 2, rel=1e-6
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
