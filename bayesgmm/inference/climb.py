"""Columns climbing together: EM steps, accelerated, until each has nothing left to gain.

One evaluation is one pass of the kernel at a column's parameters; it gives the objective there and the statistics
from which the next parameters follow. Between evaluations a column may leap: from three successive statistics
``s, F(s), F(F(s))`` SQUAREM (Varadhan & Roland 2008, scheme S3) extrapolates along the slowest direction. A leap
that lowers the objective is taken back, so the objective never falls.

Columns run in groups of fixed size through one compiled program, whatever their number; those that have stopped,
or cannot catch up with a better start any more, leave the groups.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from bayesgmm.covariances import Array, Moments, PseudoMoments, Structure
from bayesgmm.float64 import in_float64
from bayesgmm.kernel import Rows, statistics
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture

CHUNK = 60  # evaluations between two looks from the host
GROUP = 8  # columns of one program
SMALL = 20_000  # rows x slots up to which every group is padded to GROUP: compiling would cost more than it saves
PLAIN_STEPS = 6  # EM steps before the first leap
LONGEST = 256.0  # leaps are at most so many EM steps long
RUNNING, CONVERGED, MAX_STEPS, NON_FINITE, RETIRED = range(5)


class Climb(NamedTuple):
    """Where every column stands (leading axis C).

    ``mixture`` is evaluated next and comes from the statistics ``here``; ``before`` are those that led to
    ``here`` by one EM step, or, while a leap is on trial, what to fall back on.
    """

    mixture: Mixture
    here: Array
    before: Array
    objective: Array
    gain: Array
    remaining: Array
    leap: Array
    slowest: Array
    on_trial: Array
    plain: Array
    status: Array
    n_steps: Array


class Settings(NamedTuple):
    """Traced, so that other tolerances compile nothing."""

    regularisation: Array
    tol: Array
    max_steps: Array
    accelerate: Array


def initial(start: Mixture, n_statistics: int) -> Climb:
    """Host state of columns (C, ...) that have not been evaluated yet."""
    c, k = start.log_weights.shape
    nothing = np.zeros((c, k, n_statistics))
    return Climb(
        mixture=start,
        here=nothing,
        before=nothing,
        objective=np.full(c, -np.inf),
        gain=np.zeros(c),
        remaining=np.full(c, np.inf),
        leap=np.full(c, 4.0),
        slowest=np.ones(c),
        on_trial=np.zeros(c, bool),
        plain=np.zeros(c, int),
        status=np.full(c, RUNNING),
        n_steps=np.zeros(c, int),
    )


def climb(
    structure: Structure,
    rows: Rows,
    start: Mixture,
    prior: FiniteMixture | None,
    settings: Settings,
    races: Sequence[slice],
    sound: Callable[[Mixture], NDArray[np.bool_]],
    tell: Callable[[str, int, int], None],
) -> tuple[Climb, list[list[float]]]:
    """Run every column to its end.

    Parameters
    ----------
    start : mixtures (C, K, ...), on the host, standardised
    races : columns of each model; within one, a start that cannot overtake the leader is retired
    sound : whether mixtures are free of spikes; only a sound leader retires others

    Returns
    -------
    The final state on the host, and the objective at every step of every column.
    """
    shapes = jax.eval_shape(structure.features, jax.ShapeDtypeStruct(rows.blocks.shape[1:], np.float32))
    state = initial(start, shapes.shape[0])
    history: list[list[float]] = [[] for _ in range(state.objective.size)]
    while (running := np.flatnonzero(state.status == RUNNING)).size:
        for first in range(0, running.size, GROUP):
            columns = running[first : first + GROUP]
            state, chunk = _run_group(structure, rows, state, columns, prior, settings)
            for column, values in zip(columns, chunk.T, strict=False):
                history[column].extend(values[np.isfinite(values)])
        for race in races:
            _retire(state, race, sound)
        tell("EM", int(np.sum(state.status != RUNNING)), state.status.size)
    return state, history


def _run_group(structure, rows, state: Climb, columns: NDArray, prior, settings):
    """One chunk of steps for some columns; the others stay as they are."""
    small = int(rows.total_weight) * state.mixture.n_components <= SMALL
    size = GROUP if small else 1 << int(columns.size - 1).bit_length()
    index = np.resize(columns, size)
    group = jax.tree.map(lambda leaf: leaf[index], state)
    group.status[columns.size :] = RETIRED
    group, chunk = _advance_in_float64(structure, rows, group, prior, settings)

    def put(whole: NDArray, part: NDArray) -> NDArray:
        whole = np.array(whole)
        whole[columns] = part[: columns.size]
        return whole

    return jax.tree.map(put, state, group), chunk


def _retire(state: Climb, race: slice, sound: Callable[[Mixture], NDArray[np.bool_]]) -> None:
    """Stop columns whose estimated limit, taken generously, lies below what a sound column has reached."""
    objective = np.where(np.isfinite(state.objective[race]), state.objective[race], -np.inf)
    leader = np.max(np.where(sound(jax.tree.map(lambda a: a[race], state.mixture)), objective, -np.inf))
    behind = objective + 10.0 * state.remaining[race] < leader
    status = state.status[race]
    status[(status == RUNNING) & behind] = RETIRED


@in_float64
def _advance_in_float64(structure, rows, state, prior, settings):
    return advance(structure, rows, state, prior, settings)


@eqx.filter_jit
def advance(
    structure: Structure, rows: Rows, state: Climb, prior: FiniteMixture | None, settings: Settings
) -> tuple[Climb, Array]:
    """At most CHUNK evaluations of a group, fewer when all have stopped; and the objectives (CHUNK, C), else NaN."""
    history = jnp.full((CHUNK, state.objective.shape[0]), jnp.nan, state.objective.dtype)

    def going(carry: Any) -> Array:
        i, state, _ = carry
        return (i < CHUNK) & jnp.any(state.status == RUNNING)

    def body(carry: Any) -> Any:
        i, state, history = carry
        state, seen = evaluate(structure, rows, state, prior, settings)
        return i + 1, state, history.at[i].set(seen)

    _, state, history = lax.while_loop(going, body, (0, state, history))
    return state, history


def evaluate(structure: Structure, rows: Rows, state: Climb, prior: FiniteMixture | None, settings: Settings):
    """One evaluation of every running column: judge it, and step, leap or fall back."""
    values, objective = statistics(structure, state.mixture.natural(), rows)
    if prior is not None:
        objective = objective + jax.vmap(prior.log_prior)(state.mixture)
    running = state.status == RUNNING
    noise = 4 * jnp.finfo(objective.dtype).eps * (jnp.abs(objective) + rows.total_weight)
    failed = state.on_trial & ~(objective >= state.objective - noise)
    gain = objective - state.objective
    remaining, slowest = _remaining(state, values, gain)
    status = _judge(state, objective, gain, remaining, noise, rows.total_weight, settings)
    status = jnp.where(running & ~failed, status, state.status)

    target, leaping, length = _leap(state, values, settings)
    target = jnp.where(_columns(failed, values), state.before, target)
    moved = maximisation(structure, target, rows, prior, settings.regularisation)
    going = status == RUNNING
    longer = jnp.where(state.on_trial & (length >= state.leap), jnp.minimum(4 * state.leap, LONGEST), state.leap)
    kept = running & ~failed
    new = Climb(
        mixture=_choose(going, moved, state.mixture),
        here=target,
        before=jnp.where(_columns(leaping, values), values, state.here),
        objective=jnp.where(kept, objective, state.objective),
        gain=jnp.where(kept, gain, state.gain),
        remaining=jnp.where(kept, remaining, state.remaining),
        leap=jnp.where(failed, jnp.maximum(state.leap / 2, 1.0), longer),
        slowest=jnp.where(kept, slowest, state.slowest),
        on_trial=going & leaping & ~failed,
        plain=jnp.where(failed | leaping, 0, state.plain + 1),
        status=status,
        n_steps=state.n_steps + (going & ~failed),
    )
    return new, jnp.where(kept, objective, jnp.nan)


def _remaining(state: Climb, values: Array, gain: Array) -> tuple[Array, Array]:
    """Estimated gain still to come, after Aitken (Boehning et al. 1994), and the slowest recent rate behind it.

    Gains shrink by a rate per step. Between two plain steps the rate is seen; after a leap only faster directions
    show, so the slowest rate met lately is remembered and the larger of the two is used.
    """
    two_plain = state.plain >= 2
    rate = gain / jnp.where(state.gain > 0, state.gain, jnp.inf)
    seen = jnp.where(two_plain & (rate > 0), jnp.minimum(rate, 1.0), 0.0)
    # Only a column that leaps needs a memory; in plain EM the last rate is the best estimate.
    slowest = jnp.where(two_plain, seen, jnp.maximum(seen, 0.0))
    slowest = jnp.maximum(slowest, jnp.where(two_plain & ~(state.leap > 4.0), 0.0, state.slowest * 0.98))
    remaining = jnp.where((slowest > 0) & (slowest < 1), gain * slowest / (1 - slowest), jnp.inf)
    return jnp.where(state.on_trial | (state.plain < 1), state.remaining, remaining), slowest


def _judge(state, objective, gain, remaining, noise, total_weight, settings: Settings) -> Array:
    """Status of each column. A fall (regularisation is no part of the likelihood) is small or goes on."""
    target = settings.tol * total_weight
    small = jnp.where(gain < 0, -gain < target, remaining < target) | (jnp.abs(gain) <= noise)
    status = jnp.where(small & (state.n_steps > 1) & ~state.on_trial, CONVERGED, RUNNING)
    status = jnp.where((status == RUNNING) & (state.n_steps >= settings.max_steps), MAX_STEPS, status)
    return jnp.where(jnp.isfinite(objective), status, NON_FINITE)


def _leap(state: Climb, values: Array, settings: Settings) -> tuple[Array, Array, Array]:
    """Where to go next: the EM step's own statistics, or SQUAREM's extrapolation; whether it leaps; how far."""
    first = state.here - state.before
    second = (values - state.here) - first
    axes = (-2, -1)
    length = jnp.sqrt(jnp.sum(first**2, axes) / jnp.maximum(jnp.sum(second**2, axes), 1e-300))
    length = jnp.clip(length, 1.0, state.leap)
    far = length[:, None, None]
    target = state.before + 2 * far * first + far**2 * second
    counts, plain = target[..., 0], values[..., 0]  # the first feature is 1
    feasible = jnp.all(counts >= 0.2 * plain, axis=-1)
    ready = settings.accelerate & (state.plain >= 2) & (state.n_steps >= PLAIN_STEPS) & (length > 1.0)
    leaping = ready & feasible
    return jnp.where(_columns(leaping, values), target, values), leaping, length


def maximisation(
    structure: Structure, values: Array, rows: Rows, prior: FiniteMixture | None, regularisation: Array
) -> Mixture:
    """The M-step: statistics (C, K, P), plus the conjugate prior's pseudo-statistics, to a mixture."""
    d = rows.blocks.shape[1]
    moments = structure.moments(values, rows.total, d)
    if prior is None:
        zero = jnp.zeros((), values.dtype)
        pseudo_counts, pseudo = zero, PseudoMoments(Moments(zero, zero, zero), zero)
    else:
        pseudo_counts, pseudo = prior.pseudo_moments(d)
    means, covariances = structure.maximise(moments, pseudo)
    counts = jnp.maximum(moments.counts + pseudo_counts, 0.0)
    log_weights = jnp.log(counts) - jnp.log(jnp.sum(counts, axis=-1, keepdims=True))
    return Mixture(structure, log_weights, means, structure.regularise(covariances, regularisation))


def _columns(mask: Array, like: Array) -> Array:
    """A mask of columns, to broadcast against an array of columns."""
    return mask.reshape(-1, *[1] * (like.ndim - 1))


def _choose(keep: Array, new: Mixture, old: Mixture) -> Mixture:
    return jax.tree.map(lambda a, b: jnp.where(_columns(keep, a), a, b), new, old)
