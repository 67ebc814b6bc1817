"""Diagnostics speak up when, and only when, something is wrong."""

import dataclasses
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import scipy.signal
import xarray

import bayesgmm as bg
from bayesgmm import models
from bayesgmm.models.components import NormalLKJ
from bayesgmm.posterior import multimodality
from bayesgmm.posterior.diagnostics import _other_samplers, diagnose, invariant_quantities, label_switches
from bayesgmm.posterior.multimodality import groups_of_chains


def spoiled(posterior, **stats):
    """The posterior with other sampler statistics."""
    tree = posterior.data.copy(deep=True)
    for name, value in stats.items():
        tree["sample_stats"][name].values[...] = value
    return dataclasses.replace(posterior, data=tree)


def test_invariants_do_not_depend_on_labels(posterior):
    flipped = dataclasses.replace(posterior, draws=posterior.draws.permute(np.full((1000, 2), [1, 0])))
    before, after = invariant_quantities(posterior), invariant_quantities(flipped)
    assert before.keys() == after.keys()
    for name, values in before.items():
        np.testing.assert_allclose(after[name], values, rtol=1e-10, atol=1e-300, err_msg=name)


def test_a_sound_run_is_called_sound(posterior):
    found = diagnose(posterior)
    assert found.n_divergent == 0
    assert found.max_r_hat < 1.05
    assert "log likelihood" in found.invariants.index
    assert "weights[0]" in found.parameters.index
    assert found.ok == (not found.warnings)


def test_a_chain_in_another_mode_is_reported(posterior):
    values = posterior.data["sample_stats"]["log_likelihood"].values.copy()
    values[0] -= 30.0
    found = diagnose(spoiled(posterior, log_likelihood=values))
    assert not found.ok
    assert "several modes" in found.verdict
    assert "log likelihood" in found.verdict


def test_divergences_are_counted_with_a_remedy(posterior):
    diverging = np.zeros((4, 250), bool)
    diverging[1, :7] = True
    found = diagnose(spoiled(posterior, diverging=diverging))
    assert found.n_divergent == 7
    assert any("target_accept_prob" in w for w in found.warnings)


def test_low_ebfmi_is_reported(posterior):
    walk = np.cumsum(np.random.default_rng(0).standard_normal((4, 250)), axis=1)
    found = diagnose(spoiled(posterior, energy=walk))
    assert np.all(found.ebfmi < 0.3)
    assert any("E-BFMI" in w for w in found.warnings)


@pytest.mark.parametrize("table", ["invariants", "parameters"])
def test_tables_have_the_usual_columns(posterior, table):
    columns = set(getattr(diagnose(posterior), table).columns)
    assert {"mean", "sd", "r_hat", "ess_bulk", "ess_tail", "mcse_mean", "mcse_sd"} <= columns


def test_labels_that_switch_are_counted_where_components_hold_rows():
    slots = np.array([[[0, 1, 2], [0, 1, 2], [1, 0, 2], [1, 2, 0], [1, 2, 0]]])
    sizes = np.array([[[5, 5, 0], [5, 5, 0], [5, 5, 0], [9, 0, 1], [9, 0, 1]]])
    dims = ("chain", "draw", "component")
    groups = {
        "relabelling": xarray.DataArray(slots, dims=dims),
        "drawn_sizes": xarray.DataArray(sizes, dims=dims),
    }
    assert label_switches(SimpleNamespace(data={"clustering": groups})) == 0.25


def test_chains_that_stood_still_have_left_out_densities_too():
    # Draws all alike: no tail for Pareto smoothing, which ArviZ refuses.
    import arviz_base

    values = np.full((2, 50, 3), -1.5)
    tree = arviz_base.from_dict({"posterior": {"a": np.zeros((2, 50))}, "log_likelihood": {"x": values}})
    np.testing.assert_allclose(multimodality._left_out(tree, np.arange(2)), -1.5)


@pytest.mark.parametrize(
    ("engine", "model", "expected"),
    [
        (bg.HMC(), models.finite_mixture(2), ("Gibbs(split_merge=True)",)),
        (bg.Gibbs(split_merge=True), models.finite_mixture(2), ("HMC()",)),
        (bg.NUTS(), models.finite_mixture(2, components=NormalLKJ()), ("HMC()",)),
        (bg.Gibbs(split_merge=True), models.mixture_of_finite_mixtures(), ()),
    ],
)
def test_no_sampler_is_advised_that_was_used_or_does_not_take_the_model(engine, model, expected):
    posterior = SimpleNamespace(engine=engine, kind=type(engine).__name__, model=model)
    assert _other_samplers(posterior) == expected


def slow_chains(centres, n_draws, rng):
    """Chains (C, S) about their centres, with a correlation of .9 from draw to draw and standard deviation 1."""
    noise = np.sqrt(1 - 0.9**2) * rng.standard_normal((len(centres), n_draws + 100))
    values = scipy.signal.lfilter([1.0], [1.0, -0.9], noise, axis=1)[:, 100:]
    return values + np.array(centres)[:, None]


def test_chains_that_are_short_are_in_one_place_and_those_of_two_modes_are_not():
    """Of 50 such pairs 8 % are told apart; by one standard deviation alone 42 % were."""
    rng = np.random.default_rng(0)
    short = [len(groups_of_chains({"x": slow_chains([0.0, 0.0], 40, rng)})) for _ in range(50)]
    assert np.mean(np.array(short) == 1) >= 0.8
    for _ in range(20):
        assert len(groups_of_chains({"x": slow_chains([0.0, 0.0, 6.0], 500, rng)})) == 2


def test_keys_are_seeds_of_new_rows_too(posterior):
    one, other = (posterior.sample(5, random_state=jax.random.key(s))[0] for s in (0, 1))
    np.testing.assert_array_equal(one, posterior.sample(5, random_state=jax.random.key(0))[0])
    assert not np.array_equal(one, other)
