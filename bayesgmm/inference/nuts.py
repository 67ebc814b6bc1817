"""NUTS by NumPyro, warm-started from EM: whitened coordinates, dispersed starts, chains vectorised."""

from __future__ import annotations

import dataclasses
import time
from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpyro.infer.hmc import hmc
from numpyro.infer.util import ParamInfo

from bayesgmm.covariances import Array
from bayesgmm.float64 import in_float64
from bayesgmm.inference.em import EM
from bayesgmm.inference.problem import Problem
from bayesgmm.inference.result import EMResult
from bayesgmm.inference.target import Target, mixtures
from bayesgmm.inference.warm_start import WarmStart, dispersed_starts, warm_start
from bayesgmm.posterior.assemble import assemble
from bayesgmm.posterior.posterior import Posterior

CHUNK = 50  # steps between two looks from the host


@dataclasses.dataclass(frozen=True)
class NUTS:
    """The No-U-Turn sampler (Hoffman & Gelman 2014), NumPyro's, started where EM ended.

    Position, metric and a first step size come from the EM fit (see :mod:`bayesgmm.inference.warm_start`); the
    warm-up only adapts the step size and lets the dispersed chains settle.

    Parameters
    ----------
    num_chains : chains, run side by side
    num_warmup : warm-up steps a chain
    num_samples : draws a chain
    target_accept_prob : of the step-size adaptation
    max_tree_depth : a trajectory has at most ``2**max_tree_depth`` steps
    """

    num_chains: int = 4
    num_warmup: int = 150
    num_samples: int = 1000
    target_accept_prob: float = 0.8
    max_tree_depth: int = 10

    def __post_init__(self) -> None:
        for name, least in (
            ("num_chains", 1),
            ("num_warmup", 20),
            ("num_samples", 20),
            ("max_tree_depth", 1),
        ):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
                raise ValueError(f"Expected {name} to be an integer of at least {least}; got {value!r}.")
        if not isinstance(self.target_accept_prob, float) or not 0 < self.target_accept_prob < 1:
            raise ValueError(f"Expected target_accept_prob between 0 and 1; got {self.target_accept_prob!r}.")

    def run(self, problem: Problem) -> Posterior:
        """Sample one problem's posterior (``bayesgmm.fit`` prepares it)."""
        if not np.all(problem.sample_weight == 1):
            raise ValueError(
                "Expected no sample_weight for NUTS; weights are EM's. Repeat or drop rows instead."
            )
        clock = _Clock()
        start = _em_start(problem)
        clock.lap("EM start")
        draws, stats, notes = _sample(self, problem, start, clock)
        return assemble(problem, self, start, draws, stats, notes, clock.seconds)


class _Draws(NamedTuple):
    """What is kept of each step (chains, draws, ...)."""

    u: Array
    lp: Array
    energy: Array
    n_steps: Array
    acceptance_rate: Array
    diverging: Array
    step_size: Array


def _em_start(problem: Problem) -> EMResult:
    """The caller's EM fit, or one of our own: of the same posterior where the prior is conjugate."""
    if isinstance(problem.start, EMResult) and problem.start.covariance_type == problem.model.covariance_type:
        problem.start_mixture()  # checks that it fits the model
        return problem.start
    conjugate = problem.model.components.conjugate
    return (EM(objective="posterior") if conjugate else EM(objective="likelihood")).run(problem)


@in_float64
def _sample(engine: NUTS, problem: Problem, start: EMResult, clock: _Clock):
    """Draws as mixtures (chains, draws, ...) in standardised units, and the sampler's statistics."""
    model = jax.tree.map(jnp.asarray, problem.standard_model())
    warm = warm_start(
        model, jnp.asarray(problem.rows), dataclasses.replace(problem, start=start).start_mixture()
    )
    clock.lap("warm start")
    problem.tell("sampling", 0, engine.num_warmup + engine.num_samples)
    keys = jax.random.split(jax.random.key(problem.seed), engine.num_chains)
    at = ParamInfo(*map(jnp.asarray, dispersed_starts(warm.target, engine.num_chains, problem.seed)))
    states = _initial_states(engine, warm.target, at, keys)
    chunks = []
    total = engine.num_warmup + engine.num_samples
    for done in range(0, total, CHUNK):
        states, chunk = _advance(engine, warm.target, states)
        chunks.append(jax.tree.map(np.asarray, chunk))
        if done == 0:
            clock.lap("compiling NUTS")
        problem.tell("sampling", min(done + CHUNK, total), total)
    kept = jax.tree.map(lambda *parts: np.concatenate(parts, axis=1)[:, engine.num_warmup : total], *chunks)
    clock.lap("sampling")
    clock.lap("sampling")
    flat = mixtures(warm.target, jnp.asarray(kept.u.reshape(-1, kept.u.shape[-1])))
    draws = jax.tree.map(lambda a: a.reshape(*kept.u.shape[:2], *a.shape[1:]), flat)
    stats = {name: value for name, value in kept._asdict().items() if name != "u"}
    return draws, stats, warm_start_notes(warm)


def _kernels(engine: NUTS, target: Target, at: ParamInfo, key: Array):
    """NumPyro's kernel on the target and its first state.

    NumPyro sets the kernel up inside ``init``, which is therefore called in every trace; with potential and
    gradient given, that costs nothing.
    """
    init, step = hmc(potential_fn_gen=lambda target: target.potential, algo="NUTS")
    state = init(
        at,
        engine.num_warmup,
        step_size=at.z.size**-0.25,
        adapt_mass_matrix=False,  # the factor of the warm start is the metric
        target_accept_prob=engine.target_accept_prob,
        max_tree_depth=engine.max_tree_depth,
        model_args=(target,),
        rng_key=key,
    )
    return state, partial(step, model_args=(target,))


@eqx.filter_jit
def _initial_states(engine: NUTS, target: Target, at: ParamInfo, keys: Array):
    """The chains' first states (chains, ...)."""
    return jax.vmap(lambda at, key: _kernels(engine, target, at, key)[0])(at, keys)


@eqx.filter_jit
def _advance(engine: NUTS, target: Target, states) -> tuple[Any, _Draws]:
    """CHUNK steps of every chain; the same program serves warm-up and sampling."""

    def one(state):
        at = ParamInfo(state.z, state.potential_energy, state.z_grad)
        _, step = _kernels(engine, target, at, state.rng_key)

        def body(state, _):
            state = step(state)
            kept = _Draws(
                state.z,
                -state.potential_energy,
                state.energy,
                state.num_steps,
                state.accept_prob,
                state.diverging,
                state.adapt_state.step_size,
            )
            return state, kept

        return lax.scan(body, state, length=CHUNK)

    return jax.vmap(one)(states)


def warm_start_notes(warm: WarmStart) -> dict[str, float]:
    """What the result keeps of the warm start."""
    return {
        "log_joint_at_mode": -warm.potential,
        "newton_decrement": warm.gradient_norm,
        "newton_steps": warm.n_newton,
    }


class _Clock:
    """Seconds by phase."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.last = time.perf_counter()

    def lap(self, phase: str) -> None:
        now = time.perf_counter()
        self.seconds[phase] = self.seconds.get(phase, 0.0) + now - self.last
        self.last = now
