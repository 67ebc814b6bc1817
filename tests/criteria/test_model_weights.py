"""Stacking and pseudo-BMA weights against ArviZ 0.23's, their optimality conditions, and each other."""

from types import SimpleNamespace

import numpy as np
import pytest
from criteria.reference_draws import reference_draws
from hypothesis import given
from hypothesis import strategies as st

from bayesgmm.criteria import predictive
from bayesgmm.criteria.model_weights import pseudo_bma_weights, stacked, stacking_weights
from bayesgmm.criteria.waic import waic_of

# elpd, se and p of arviz.waic, and weights of arviz.compare on them.
WAIC = {
    "a": (-51.71163788195345, 3.252179836545948, 1.1326428433831854),
    "b": (-55.37563477695505, 1.849074751321571, 0.4915337620427571),
    "c": (-54.44453309403818, 6.755314396288397, 3.2831544859075263),
}
STACKING = {"a": 0.5232893392689593, "b": 0.0, "c": 0.47671066073103924}
PSEUDO_BMA = {"a": 0.9168755098162641, "b": 0.023499398144088888, "c": 0.05962509203964681}
PSEUDO_BMA_PLUS = {"a": 0.643, "b": 0.040, "c": 0.317}  # of 100 000 bootstraps, of LOO


@pytest.fixture(scope="module")
def elpds():
    return {name: waic_of(values) for name, values in reference_draws().items()}


@pytest.mark.parametrize("name", WAIC)
def test_waic_is_arvizs(elpds, name):
    found = elpds[name]
    assert (found.elpd, found.se, found.p) == pytest.approx(WAIC[name], abs=1e-8)
    assert f"elpd {found.elpd:.2f}" in repr(found)


def test_pseudo_bma_is_arvizs(elpds):
    assert pseudo_bma_weights(elpds, n_draws=0) == pytest.approx(PSEUDO_BMA, abs=1e-8)
    # 20 000 bootstraps: standard error .003; LOO and WAIC differ by .01.
    assert pseudo_bma_weights(elpds, n_draws=20_000) == pytest.approx(PSEUDO_BMA_PLUS, abs=0.03)


def test_stacking_is_arvizs_or_better(elpds):
    """Its optimiser stops at six digits; ours must be at least as high and satisfy the conditions of an optimum."""
    found = stacking_weights(elpds)
    assert found == pytest.approx(STACKING, abs=1e-5)
    densities = np.exp([elpd.elpd_i for elpd in elpds.values()])

    def objective(weights):
        return np.log(np.array(list(weights.values())) @ densities).sum()

    assert objective(found) >= objective(STACKING)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(2, 60))
def test_stacking_satisfies_the_conditions_of_an_optimum(seed, m, n):
    rng = np.random.default_rng(seed)
    log_densities, share = rng.normal(0, 2, (m, n)), rng.dirichlet(np.ones(n))
    weights = stacked(log_densities, share)
    density = np.exp(log_densities)
    gradient = (density / (weights @ density)) @ share
    assert weights.sum() == pytest.approx(1, abs=1e-12)
    assert (weights >= 0).all()
    assert (gradient <= 1 + 1e-8).all()
    np.testing.assert_allclose(gradient[weights > 0], 1, atol=1e-8)


def test_a_model_that_says_the_truth_takes_all(full, diag):
    """Eruptions and waits are correlated (.9), so the structure that says so takes nearly all."""
    elpds = {"full": predictive.loo(full), "diag": predictive.loo(diag)}
    weights = stacking_weights(elpds)
    assert weights["full"] > 0.9
    assert pseudo_bma_weights(elpds)["full"] > 0.9


def test_twins_share():
    one = SimpleNamespace(elpd_i=np.random.default_rng(0).normal(size=20))
    assert pseudo_bma_weights({"a": one, "b": one}) == pytest.approx({"a": 0.5, "b": 0.5})
    assert sum(stacking_weights({"a": one, "b": one}).values()) == pytest.approx(1)


def test_rows_of_weight_two_are_two_rows():
    rng = np.random.default_rng(1)
    values, weight = rng.normal(size=(2, 15)), rng.integers(1, 4, 15)
    weighted = {str(i): SimpleNamespace(elpd_i=v, sample_weight=1.0 * weight) for i, v in enumerate(values)}
    repeated = {str(i): SimpleNamespace(elpd_i=np.repeat(v, weight)) for i, v in enumerate(values)}
    assert stacking_weights(weighted) == pytest.approx(stacking_weights(repeated), abs=1e-9)
    assert stacking_weights(weighted) != pytest.approx(stacked(values, np.full(15, 1 / 15)).tolist())


def test_what_does_not_compare_is_refused():
    a, b = SimpleNamespace(elpd_i=np.zeros(3)), SimpleNamespace(elpd_i=np.zeros(4))
    with pytest.raises(ValueError, match="'a' and 'b' differ"):
        stacking_weights({"a": a, "b": b})
    with pytest.raises(ValueError, match="finite"):
        stacking_weights({"a": SimpleNamespace(elpd_i=np.array([-np.inf]))})
    with pytest.raises(ValueError, match="at least one model"):
        pseudo_bma_weights({})


@pytest.mark.parametrize("n_draws", [-1, 2.5, True])
def test_bootstraps_are_counted(n_draws):
    with pytest.raises(ValueError, match="n_draws to be an integer of at least 0"):
        pseudo_bma_weights({"a": SimpleNamespace(elpd_i=np.zeros(3))}, n_draws=n_draws)
    with pytest.raises(TypeError, match="elpds to be a mapping by name"):
        stacking_weights([1.0])


def test_a_model_that_alone_foretells_one_row_keeps_a_part():
    """One row of 20000 that the better model gives no density: its weight is that row's share, not zero."""
    better = np.random.default_rng(0).normal(-1, 0.3, 20_000)
    other = better - 1
    better[0], other[0] = -1000.0, -2.0
    weights = stacking_weights({"a": SimpleNamespace(elpd_i=better), "b": SimpleNamespace(elpd_i=other)})
    assert sum(weights.values()) == pytest.approx(1)
    grid = np.geomspace(1e-6, 1e-2, 4001)
    density = [np.logaddexp(np.log1p(-w) + better, np.log(w) + other).sum() for w in grid]
    assert weights["b"] == pytest.approx(grid[int(np.argmax(density))], rel=5e-3)
