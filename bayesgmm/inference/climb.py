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
from bayesgmm.float64 import in_float64, to_device
from bayesgmm.kernel import Rows, statistics
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture

CHUNK = 60  # evaluations between two looks from the host
GROUP = 8  # columns of one program
SMALL = (
    20_000  # rows x slots up to which every group is padded to GROUP: compiling would cost more than it saves
)
PLAIN_STEPS = 6  # EM steps before the first leap
LONGEST = 256.0  # leaps are at most so many EM steps long
RUNNING, CONVERGED, MAX_STEPS, NON_FINITE, RETIRED = range(5)


class Climb(NamedTuple):
    """Where every column stands (leading axis C).

    ``mixture`` is evaluated next and comes from the statistics ``here``; ``before`` are those that led to
    ``here`` by one EM step, or, while a leap is on trial, what to fall back on. ``plain`` counts the steps since
    the last leap.
    """

    mixture: Mixture
    here: Array
    before: Array
    objective: Array
    gain: Array
    remaining: Array
    longest: Array
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
        longest=np.full(c, 4.0),
        slowest=np.zeros(c),
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
    with jax.enable_x64(True):  # on the device once, not once a chunk
        rows, prior, settings = to_device((rows, prior, settings))
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


def columns_of(state: Climb, which: slice | NDArray[np.intp]) -> Climb:
    """Some columns of a state on the host."""
    return jax.tree.map(lambda leaf: leaf[which], state)


def _run_group(structure, rows, state: Climb, columns: NDArray, prior, settings):
    """One chunk of steps for some columns; the others stay as they are."""
    small = int(rows.total_weight) * state.mixture.n_components <= SMALL
    size = GROUP if small else 1 << int(columns.size - 1).bit_length()
    index = np.resize(columns, size)
    group = columns_of(state, index)
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
    leader = np.max(np.where(sound(columns_of(state, race).mixture), objective, -np.inf))
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
    """One evaluation of every running column: judge it, then step, leap or fall back."""
    values, objective = statistics(structure, state.mixture.natural(), rows)
    if prior is not None:
        objective = objective + jax.vmap(prior.log_prior)(state.mixture)
    running = state.status == RUNNING
    noise = 4 * jnp.finfo(objective.dtype).eps * (jnp.abs(objective) + rows.total_weight)
    failed = running & state.on_trial & ~(objective >= state.objective - noise)
    kept = running & ~failed
    gain = objective - state.objective
    leap = _leap(state, values, settings)
    remaining = _remaining(state, gain, leap, settings)
    status = jnp.where(kept, _judge(state, objective, gain, remaining, noise, rows, settings), state.status)
    going = status == RUNNING
    leaping = kept & leap.possible
    target = jnp.where(_columns(leaping, values), leap.target, values)
    target = jnp.where(_columns(failed, values), state.before, target)
    longest = jnp.where(leaping & (leap.length >= state.longest), 4 * state.longest, state.longest)
    new = Climb(
        mixture=_choose(
            going, maximisation(structure, target, rows, prior, settings.regularisation), state.mixture
        ),
        here=target,
        before=jnp.where(_columns(leaping, values), values, state.here),
        objective=jnp.where(kept, objective, state.objective),
        gain=jnp.where(kept, gain, state.gain),
        remaining=jnp.where(kept, remaining, state.remaining),
        longest=jnp.clip(jnp.where(failed, state.longest / 8, longest), 2.0, LONGEST),
        slowest=jnp.where(
            kept & (state.plain >= 1), jnp.maximum(leap.slowness, 0.7 * state.slowest), state.slowest
        ),
        on_trial=going & leaping,
        plain=jnp.where(failed | leaping, 0, state.plain + 1),
        status=status,
        n_steps=state.n_steps + (going & kept),
    )
    return new, jnp.where(kept, objective, jnp.nan)


class _Leap(NamedTuple):
    """SQUAREM's extrapolation: where to, how far, whether it may be tried, and how slow the column is."""

    target: Array
    length: Array
    possible: Array
    slowness: Array
    shrinking: Array


def _leap(state: Climb, values: Array, settings: Settings) -> _Leap:
    """Extrapolate from the last three statistics; ``slowness`` estimates 1 / (1 - rate of the error)."""
    first = state.here - state.before
    second = (values - state.here) - first
    axes = (-2, -1)
    slowness = jnp.sqrt(jnp.sum(first**2, axes) / jnp.maximum(jnp.sum(second**2, axes), 1e-300))
    length = jnp.clip(slowness, 1.0, state.longest)
    far = _columns(length, values)
    target = state.before + 2 * far * first + far**2 * second
    # The first feature is 1, so these are counts; a leap must not empty a component.
    feasible = jnp.all(target[..., 0] >= 0.2 * values[..., 0], axis=-1)
    ready = settings.accelerate & (state.plain >= 1) & (state.n_steps >= PLAIN_STEPS) & (length > 1.0)
    return _Leap(target, length, ready & feasible, slowness, jnp.sum(first * second, axes) < 0)


def _remaining(state: Climb, gain: Array, leap: _Leap, settings: Settings) -> Array:
    """Estimated gain still to come, after Aitken (Boehning et al. 1994): gains shrink by a rate per step.

    Between two plain steps the rate is seen. A column that leaps shows only its faster directions, so there the
    rate follows from the slowness met lately: errors shrink by ``1 - 1 / slowness``, gains by its square.
    """
    seen = jnp.where(state.plain >= 2, gain / jnp.where(state.gain > 0, state.gain, jnp.inf), 1.0)
    slowness = jnp.maximum(leap.slowness, 0.7 * state.slowest)
    followed = jnp.where(leap.shrinking, jnp.maximum((1 - 1 / jnp.maximum(slowness, 1.0)) ** 2, 0.2), 1.0)
    leaps = settings.accelerate & (state.n_steps >= PLAIN_STEPS)
    rate = jnp.where(leaps, followed, seen)
    remaining = jnp.where((rate > 0) & (rate < 1), gain * rate / (1 - rate), jnp.inf)
    return jnp.where(state.on_trial | (state.plain < 1), state.remaining, remaining)


def _judge(state: Climb, objective, gain, remaining, noise, rows: Rows, settings: Settings) -> Array:
    """Status of each column. A fall (regularisation is no part of the likelihood) is small or goes on."""
    target = settings.tol * rows.total_weight
    small = jnp.where(gain < 0, -gain < target, remaining < target) | (jnp.abs(gain) <= noise)
    status = jnp.where(small & (state.n_steps > 1) & ~state.on_trial, CONVERGED, RUNNING)
    status = jnp.where((status == RUNNING) & (state.n_steps >= settings.max_steps), MAX_STEPS, status)
    return jnp.where(jnp.isfinite(objective), status, NON_FINITE)


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
