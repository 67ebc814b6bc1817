"""NUTS by NumPyro, warm-started from EM: whitened coordinates, dispersed starts, chains vectorised."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpyro.infer.hmc import hmc
from numpyro.infer.util import ParamInfo

from bayesgmm.compiled import compiled
from bayesgmm.covariances import Array
from bayesgmm.inference.gradient.round import At, Kept
from bayesgmm.inference.gradient.sampling import check_settings, sample_posterior
from bayesgmm.inference.gradient.target import Chart, Target
from bayesgmm.inference.problem import Problem
from bayesgmm.posterior.posterior import Posterior


@dataclasses.dataclass(frozen=True)
class NUTS:
    """The No-U-Turn sampler (Hoffman & Gelman 2014), NumPyro's, started where EM ended.

    Positions, metrics and a first step size come from the modes near EM's optima (see
    ``bayesgmm.inference.gradient.modes`` and ``bayesgmm.inference.gradient.warm_start``); the warm-up only adapts
    the step size and lets the dispersed chains settle.

    Parameters
    ----------
    num_chains : chains, run side by side
    num_warmup : warm-up steps a chain
    num_samples : draws a chain
    target_accept_prob : of the step-size adaptation
    max_tree_depth : a trajectory has at most ``2**max_tree_depth`` steps
    jumps : whether chains also jump, where trajectories seldom cross between the posterior's modes or to where a
        component is empty (``bayesgmm.inference.gradient.jumps``); for up to five components
    """

    num_chains: int = 4
    num_warmup: int = 150
    num_samples: int = 1000
    target_accept_prob: float = 0.8
    max_tree_depth: int = 10
    jumps: bool = True

    resumes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        least = (("num_chains", 1), ("num_warmup", 20), ("num_samples", 20), ("max_tree_depth", 1))
        check_settings(self, least)

    def run(self, problem: Problem) -> Posterior:
        """Sample one problem's posterior (``bayesgmm.fit`` prepares it)."""
        return sample_posterior(self, problem)

    def begin(self, target: Target, charts: Chart, at: At, accept: float, seed: int) -> Any:
        """The chains' first state."""
        return _initial_states(
            self._static(), target, charts, ParamInfo(*at), np.asarray(seed), np.asarray(accept)
        )

    def advance(
        self, target: Target, charts: Chart, state: Any, steps: range, accept: float, seed: int
    ) -> tuple[Any, Kept]:
        """Some steps of every chain; NumPyro's state counts them itself."""
        return _advance((*self._static(), len(steps)), target, charts, state, np.asarray(accept))

    def standing(self, state: Any) -> At:
        """Where the chains stand."""
        return At(state.z, state.potential_energy, state.z_grad)

    def moved(self, state: Any, at: At) -> Any:
        """The state with the chains put elsewhere."""
        return state._replace(z=at.u, potential_energy=at.potential, z_grad=at.slope)

    def _static(self) -> tuple[int, int]:
        return self.num_warmup, self.max_tree_depth


def _kernels(static: tuple[int, int], target: Target, chart: Chart, at: ParamInfo, key: Array, accept: Array):
    """NumPyro's kernel on the target and its first state.

    NumPyro sets the kernel up inside ``init``, which is therefore called in every trace; with potential and
    gradient given, that costs nothing.
    """
    init, step = hmc(potential_fn_gen=lambda target, chart: partial(chart.potential, target), algo="NUTS")
    num_warmup, max_tree_depth = static
    state = init(
        at,
        num_warmup,
        step_size=at.z.size**-0.25,
        adapt_mass_matrix=False,  # the factor of the warm start is the metric
        target_accept_prob=accept,
        max_tree_depth=max_tree_depth,
        model_args=(target, chart),
        rng_key=key,
    )
    return state, partial(step, model_args=(target, chart))


@compiled
def _initial_states(static, target: Target, charts: Chart, at: ParamInfo, seed: Array, accept: Array):
    """The chains' first states (chains, ...)."""
    keys = jax.random.split(jax.random.key(seed), at.z.shape[0])
    return jax.vmap(lambda chart, at, key: _kernels(static, target, chart, at, key, accept)[0])(
        charts, at, keys
    )


@compiled
def _advance(static, target: Target, charts: Chart, states, accept: Array) -> tuple[Any, Kept]:
    """Some steps of every chain; the same program serves warm-up and sampling."""

    def one(chart: Chart, state: Any) -> tuple[Any, Kept]:
        at = ParamInfo(state.z, state.potential_energy, state.z_grad)
        _, step = _kernels(static[:2], target, chart, at, state.rng_key, accept)

        def body(state, _):
            state = step(state)
            kept = Kept(
                state.z,  # to be theta when all are there
                -state.potential_energy,
                state.energy,
                state.num_steps,
                state.accept_prob,
                state.diverging,
                state.adapt_state.step_size,
            )
            return state, kept

        return lax.scan(body, state, length=static[2])

    states, kept = jax.vmap(one)(charts, states)
    kept = jax.tree.map(lambda a: jnp.swapaxes(a, 0, 1), kept)
    return states, kept._replace(theta=charts.theta(kept.theta))
