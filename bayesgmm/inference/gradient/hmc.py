"""HMC with short, jittered trajectories in whitened coordinates: every chain does the same number of steps."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float

from bayesgmm.compiled import compiled
from bayesgmm.covariances import Array
from bayesgmm.inference.gradient.round import At, Kept
from bayesgmm.inference.gradient.sampling import check_settings, sample_posterior
from bayesgmm.inference.gradient.target import Chart, Target
from bayesgmm.inference.problem import Problem
from bayesgmm.posterior.posterior import Posterior

JITTER = 0.3  # of the trajectories' lengths, relative
DIVERGENCE = 1000.0  # error of the energy beyond which a trajectory has diverged, as in Stan
SHRINKAGE, DELAY, FORGET = 0.05, 10.0, 0.75  # of dual averaging (Hoffman & Gelman 2014, section 3.2)


@dataclasses.dataclass(frozen=True)
class HMC:
    """Hamiltonian Monte Carlo (Neal 2011) with short trajectories of random length, started where EM ended.

    In the whitened coordinates of the warm start (``bayesgmm.inference.gradient.warm_start``) the posterior is
    nearly a standard normal, for which a trajectory of length pi / 2 gives an independent draw: no tree need
    find that out, and since a standard normal's trajectories are known, only what the posterior differs from it by is
    integrated numerically (Shahbaba, Lan, Johnson & Neal 2014): one to three gradients a draw where it is close.
    Lengths are uniform about ``trajectory``, so that no direction resonates; all chains share them and
    one step size, adapted on the harmonic mean of their acceptance (Hoffman, Radul & Sountsov 2021).

    Parameters
    ----------
    num_chains : chains, run side by side
    num_warmup : warm-up steps a chain
    num_samples : draws a chain
    target_accept_prob : of the step-size adaptation
    trajectory : mean length of a trajectory, in posterior standard deviations
    max_steps : a trajectory has at most so many steps
    jumps : whether chains also jump, where trajectories seldom cross between the posterior's modes or to where a
        component is empty (``bayesgmm.inference.gradient.jumps``); for up to five components
    """

    num_chains: int = 4
    num_warmup: int = 150
    num_samples: int = 1000
    target_accept_prob: float = 0.85
    trajectory: float = 1.6
    max_steps: int = 64
    jumps: bool = True

    resumes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        least = (("num_chains", 1), ("num_warmup", 20), ("num_samples", 20), ("max_steps", 1))
        check_settings(self, least)
        value = self.trajectory
        if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < np.inf:
            raise ValueError(f"Expected trajectory to be a number above 0; got {value!r}.")

    def run(self, problem: Problem) -> Posterior:
        """Sample one problem's posterior (``bayesgmm.fit`` prepares it)."""
        return sample_posterior(self, problem)

    def begin(self, target: Target, charts: Chart, at: At, accept: float, seed: int) -> State:
        """The chains' first state."""
        log_size = np.asarray(np.log(at.u.shape[1] ** -0.25))
        return State(at, log_size, log_size, np.zeros_like(log_size), log_size)

    def advance(
        self, target: Target, charts: Chart, state: State, steps: range, accept: float, seed: int
    ) -> tuple[State, Kept]:
        """Some steps of every chain."""
        numbers = self.num_warmup, accept, self.trajectory, self.max_steps
        settings = Settings(*(np.asarray(float(value)) for value in numbers))
        noise = draw_noise(np.random.default_rng([seed, 2, steps.start]), len(steps), *state.at.u.shape)
        return _advance(target, charts, settings, state, noise, np.asarray(steps))

    def standing(self, state: State) -> At:
        """Where the chains stand."""
        return state.at

    def moved(self, state: State, at: At) -> State:
        """The state with the chains put elsewhere."""
        return state._replace(at=at)


class Settings(NamedTuple):
    """Traced, so that other settings compile nothing."""

    num_warmup: Array
    accept: Array
    trajectory: Array
    max_steps: Array


class State(NamedTuple):
    """Where the chains stand, and the step size all of them use.

    ``log_size`` is tried next, ``log_average`` is what adaptation settles on, ``deficit`` the average of what
    acceptance lacked, ``log_first`` where adaptation began.
    """

    at: At
    log_size: Array
    log_average: Array
    deficit: Array
    log_first: Array


class Noise(NamedTuple):
    """The random numbers of some steps, drawn on the host: generators would be a third of what there is to compile."""

    length: Float[Array, " s"]
    momentum: Float[Array, "s c p"]
    uniform: Float[Array, "s c"]


def draw_noise(rng: np.random.Generator, n_steps: int, n_chains: int, size: int) -> Noise:
    """Noise that depends on the seed and on the number of the first step alone."""
    shape = n_steps, n_chains
    return Noise(
        rng.uniform(1.0 - JITTER, 1.0 + JITTER, n_steps),
        rng.standard_normal((*shape, size)),
        rng.random(shape),
    )


@compiled
def _advance(
    target: Target,
    charts: Chart,
    settings: Settings,
    state: State,
    noise: Noise,
    numbers: Array,
) -> tuple[State, Kept]:
    """Steps of these numbers; the same program serves warm-up and sampling."""
    step = partial(_step, target, charts, settings)
    state, kept = lax.scan(step, state, (numbers, noise))
    return state, kept._replace(theta=charts.theta(kept.theta))


def _step(
    target: Target,
    charts: Chart,
    settings: Settings,
    state: State,
    step: tuple[Array, Noise],
) -> tuple[State, Kept]:
    number, noise = step
    adapting = number < settings.num_warmup
    size = jnp.exp(jnp.where(adapting, state.log_size, state.log_average))
    length = settings.trajectory * noise.length
    n_steps = jnp.clip(jnp.ceil(length / size), 1.0, settings.max_steps)
    used = jnp.minimum(size, length / n_steps)  # so that the trajectory is as long as it was meant to be
    before = state.at.potential + 0.5 * jnp.sum(noise.momentum**2, axis=1)
    new, after = _trajectory(target, charts, state.at, noise.momentum, used, n_steps.astype(int))
    error = jnp.where(jnp.isnan(after), jnp.inf, after - before)
    probability = jnp.exp(jnp.minimum(0.0, -error))
    accepted = noise.uniform < probability
    at = jax.tree.map(lambda a, b: jnp.where(accepted.reshape(-1, *[1] * (a.ndim - 1)), a, b), new, state.at)
    kept = Kept(
        at.u,  # to be theta when all are there
        -at.potential,
        jnp.where(accepted, after, before),
        jnp.broadcast_to(n_steps.astype(int), before.shape),
        probability,
        error > DIVERGENCE,
        jnp.broadcast_to(used, before.shape),
    )
    adapted = _adapted_size(settings, state, 1.0 / jnp.mean(1.0 / jnp.maximum(probability, 1e-3)), number)
    sizes = jax.tree.map(lambda a, b: jnp.where(adapting, a, b), adapted, state)
    return sizes._replace(at=at), kept


def _trajectory(
    target: Target, charts: Chart, at: At, momentum: Array, size: Array, n_steps: Array
) -> tuple[At, Array]:
    """Steps of every chain, and the energy where they end.

    The Hamiltonian is split (Shahbaba, Lan, Johnson & Neal 2014, section 3.1): a standard normal's is solved exactly,
    by a rotation, and the gradient of what the posterior differs from it by gives the kicks before and after.
    """

    def derivative(chart: Chart, u: Array) -> tuple[Array, Array]:
        value, slope = target.value_and_slope(chart.theta(u))
        return value, slope @ chart.factor

    cosine, sine = jnp.cos(size), jnp.sin(size)

    def turn(_: Array, carry: tuple[At, Array]) -> tuple[At, Array]:
        at, momentum = carry
        momentum = momentum - 0.5 * size * (at.slope - at.u)
        u, momentum = cosine * at.u + sine * momentum, cosine * momentum - sine * at.u
        potential, slope = jax.vmap(derivative)(charts, u)
        return At(u, potential, slope), momentum - 0.5 * size * (slope - u)

    at, momentum = lax.fori_loop(0, n_steps, turn, (at, momentum))
    return at, at.potential + 0.5 * jnp.sum(momentum**2, axis=1)


def _adapted_size(settings: Settings, state: State, acceptance: Array, number: Array) -> State:
    """Dual averaging (Hoffman & Gelman 2014, algorithm 5)."""
    t = number + 1.0
    share = 1.0 / (t + DELAY)
    deficit = (1.0 - share) * state.deficit + share * (settings.accept - acceptance)
    log_size = jnp.log(10.0) + state.log_first - jnp.sqrt(t) / SHRINKAGE * deficit
    log_size = jnp.minimum(log_size, jnp.log(settings.trajectory * (1.0 + JITTER)))  # one step is the least
    weight = t**-FORGET
    average = weight * log_size + (1.0 - weight) * state.log_average
    return state._replace(log_size=log_size, log_average=average, deficit=deficit)
