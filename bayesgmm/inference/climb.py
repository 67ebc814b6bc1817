"""Columns climbing together: EM steps, accelerated, until each has nothing left to gain.

One evaluation is one pass of the kernel at a column's parameters; it gives the objective there and the statistics
from which the next parameters follow. After a few plain steps a column leaps: Anderson's combination of its last
statistics (Walker & Ni 2011; on EM, Henderson & Varadhan 2019), cut to a trusted length, or straight on where residuals
grow (as SQUAREM does, Varadhan & Roland 2008). A leap that lowers the objective is taken back, so it never falls.

Columns run in groups of fixed size through one compiled program, whatever their number; those that have stopped,
or cannot catch up with a better start any more, leave the groups.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from bayesgmm.covariances import Array, Moments, Natural, PseudoMoments, Structure
from bayesgmm.float64 import in_float64, to_device
from bayesgmm.kernel import Rows, statistics
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture

CHUNK = 60  # evaluations between two looks from the host, at most
CHUNK_WORK = 100_000_000  # rows x slots of such a chunk
GROUPS = {
    20_000: 8,
    200_000: 4,
}  # columns of one program by rows x slots up to which they are worth their padding
THREADS = 2  # groups that climb at once: one program keeps one core busy
PLAIN_STEPS = 3  # EM steps before the first leap
MEMORY = 5  # past steps that a leap combines
RIDGE = 1e-12  # of the leap's normal equations, relative
LONGEST = 1024.0  # EM steps that a leap may be long
ONWARD = 0.0  # least cosine between a leap and the EM step
FORGET = 0.9  # how the longest leap of late fades, a step
FLOOR = 1e-3  # of the objective's rounding: a tol below that is taken for it
REST = 16.0  # roundings of the statistics that an EM step may change where it changes nothing
SETTLED = 3  # evaluations in a row whose estimate must be below tol: one or two may miss a slow direction
RUNNING, CONVERGED, MAX_STEPS, NON_FINITE, RETIRED = range(5)


class Climb(NamedTuple):
    """Where every column stands (leading axis C).

    ``mixture`` (``natural`` in natural parameters) is evaluated next and comes from the statistics ``here``.
    ``before`` are the statistics of the last accepted evaluation and ``residual`` what one EM step adds to them.
    ``steps`` and ``changes`` (C, MEMORY, K, P) are the last differences of accepted statistics and of their
    residuals, the latest first, zero where unused. Leaps are at most ``longest`` EM steps long.
    """

    mixture: Mixture
    natural: Natural
    here: Array
    before: Array
    residual: Array
    steps: Array
    changes: Array
    objective: Array
    longest: Array
    slowest: Array
    remaining: Array
    settled: Array
    on_trial: Array
    status: Array
    n_steps: Array


class Settings(NamedTuple):
    """Traced, so that other tolerances compile nothing; ``chunk`` is the number of evaluations between two looks."""

    regularisation: Array
    tol: Array
    max_steps: Array
    accelerate: Array
    chunk: Array = np.asarray(CHUNK)


def initial(start: Mixture, n_statistics: int) -> Climb:
    """Host state of columns (C, ...) that have not been evaluated yet."""
    c, k = start.log_weights.shape
    nothing = np.zeros((c, k, n_statistics))
    no_history = np.zeros((c, MEMORY, k, n_statistics))
    return Climb(
        mixture=start,
        natural=start.natural(),
        here=nothing,
        before=nothing,
        residual=nothing,
        steps=no_history,
        changes=no_history,
        objective=np.full(c, -np.inf),
        longest=np.full(c, 4.0),
        slowest=np.zeros(c),
        remaining=np.full(c, np.inf),
        settled=np.zeros(c, int),
        on_trial=np.zeros(c, bool),
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
    margin: float = 0.0,
) -> tuple[Climb, list[list[float]]]:
    """Run every column to its end.

    Parameters
    ----------
    start : mixtures (C, K, ...), on the host, standardised
    races : columns of each model; within one, a start that cannot overtake the leader is retired
    sound : whether mixtures are free of spikes; only a sound leader retires others
    margin : nats by which a column must be behind, beyond what it may still gain, to be retired

    Returns
    -------
    The final state on the host, and the objective at every step of every column.
    """
    shapes = jax.eval_shape(structure.features, jax.ShapeDtypeStruct(rows.blocks.shape[1:], np.float32))
    state = initial(start, shapes.shape[0])
    work = int(rows.used) * rows.blocks.shape[-1] * start.n_components
    size = next((size for most, size in GROUPS.items() if work <= most), 1)
    settings = settings._replace(chunk=np.asarray(np.clip(CHUNK_WORK // (work * size), 4, settings.chunk)))
    with jax.enable_x64(True):  # on the device once, not once a chunk
        rows, prior, settings = to_device((rows, prior, settings))
    history: list[list[float]] = [[] for _ in range(state.objective.size)]
    immune = np.zeros(state.objective.size, bool)
    with ThreadPoolExecutor(THREADS) as pool:
        while (running := _running(state, races, sound, immune)).size:
            groups = [running[first : first + size] for first in range(0, running.size, size)]
            run = functools.partial(_run_group, structure, rows, state, size, prior, settings)
            for columns, (part, chunk) in zip(groups, list(pool.map(run, groups)), strict=True):
                state = put_columns(state, part, columns)
                for column, values in zip(columns, chunk.T, strict=False):
                    history[column].extend(values[np.isfinite(values)])
            for race in races:
                _retire(state, race, sound, margin, immune[race])
            tell("EM", int(np.sum(state.status != RUNNING)), state.status.size)
    return state, history


def columns_of(state: Climb, which: slice | NDArray[np.intp]) -> Climb:
    """Some columns of a state on the host."""
    return jax.tree.map(lambda leaf: leaf[which], state)


def _run_group(structure, rows, state: Climb, size: int, prior, settings, columns: NDArray):
    """One chunk of steps for some columns, padded to ``size`` with columns at rest."""
    group = columns_of(state, np.resize(columns, size))
    group.status[columns.size :] = RETIRED
    return _advance_in_float64(structure, rows, group, prior, settings)


def put_columns(state: Climb, part: Climb, columns: NDArray[np.intp]) -> Climb:
    """The state with some columns replaced by the first of ``part``."""

    def put(whole: NDArray, new: NDArray) -> NDArray:
        whole = np.array(whole)
        whole[columns] = new[: columns.size]
        return whole

    return jax.tree.map(put, state, part)


def _running(state: Climb, races: Sequence[slice], sound, immune: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Columns still to climb. A retired one runs on, for good, if those it was retired for ended below it."""
    for race in races:
        status = state.status[race]
        if not np.any(status == RUNNING) and np.any(status == RETIRED):
            eligible = np.isfinite(state.objective[race]) & sound(columns_of(state, race).mixture)
            objective = np.where(eligible, state.objective[race], -np.inf)
            ended = np.isin(status, (CONVERGED, MAX_STEPS))
            revived = (status == RETIRED) & (objective > np.max(np.where(ended, objective, -np.inf)))
            status[revived] = RUNNING
            immune[race] |= revived
    return np.flatnonzero(state.status == RUNNING)


def _retire(
    state: Climb,
    race: slice,
    sound: Callable[[Mixture], NDArray[np.bool_]],
    margin: float,
    immune: NDArray[np.bool_],
) -> None:
    """Stop columns whose estimated limit, taken generously, lies below what a sound column has reached."""
    objective = np.where(np.isfinite(state.objective[race]), state.objective[race], -np.inf)
    status = state.status[race]
    if not np.any(status == RUNNING):
        return
    leader = np.max(np.where(sound(columns_of(state, race).mixture), objective, -np.inf))
    hope = np.where(np.isfinite(objective), 10.0 * state.remaining[race], 0.0)
    behind = objective + hope + margin < leader
    status[(status == RUNNING) & behind & ~immune] = RETIRED


@in_float64
def _advance_in_float64(structure, rows, state, prior, settings):
    return advance(structure, rows, state, prior, settings)


@eqx.filter_jit
def advance(
    structure: Structure, rows: Rows, state: Climb, prior: FiniteMixture | None, settings: Settings
) -> tuple[Climb, Array]:
    """A chunk of evaluations of a group, fewer when all have stopped; and the objectives (CHUNK, C), else NaN."""
    history = jnp.full((CHUNK, state.objective.shape[0]), jnp.nan, state.objective.dtype)

    def going(carry: Any) -> Array:
        i, state, _ = carry
        return (i < settings.chunk) & jnp.any(state.status == RUNNING)

    def body(carry: Any) -> Any:
        i, state, history = carry
        state, seen = evaluate(structure, rows, state, prior, settings)
        return i + 1, state, history.at[i].set(seen)

    _, state, history = lax.while_loop(going, body, (0, state, history))
    return state, history


def evaluate(structure: Structure, rows: Rows, state: Climb, prior: FiniteMixture | None, settings: Settings):
    """One evaluation of every running column: judge it, then step, leap or fall back."""
    values, objective = statistics(structure, state.natural, rows)
    if prior is not None:
        objective = objective + jax.vmap(prior.log_prior)(state.mixture)
    running = state.status == RUNNING
    noise = 4 * jnp.finfo(rows.blocks.dtype).eps * (jnp.abs(objective) + rows.total_weight)
    failed = running & state.on_trial & ~(objective >= state.objective - noise)
    kept = running & ~failed
    residual = values - state.here
    rounding = REST * jnp.finfo(rows.blocks.dtype).eps * _norm(values)
    at_rest = _norm(residual) <= rounding
    # Leaps can lead to a saddle; plain EM steps leave it, so while a column settles it steps and must not speed up.
    leaving = (state.settled > 0) & (_norm(residual) > jnp.maximum(_norm(state.residual), 64 * rounding))
    steps, changes = _remember(state, residual)
    leap = _leap(state, values, residual, steps, changes)
    slowest = jnp.maximum(leap.slowness, FORGET * state.slowest)
    leaping = (
        kept
        & ~at_rest
        & (leaving | (state.settled == 0))
        & leap.possible
        & settings.accelerate
        & (state.n_steps >= PLAIN_STEPS)
    )
    target = jnp.where(_columns(leaping, values), leap.target, values)
    target = jnp.where(_columns(failed, values), state.before + state.residual, target)
    mixture = maximisation(structure, target, rows, prior, settings.regularisation)
    natural = mixture.natural()
    remaining = _remaining(state, natural, residual, jnp.where(leaping, 1.0, slowest))
    enough = jnp.maximum(settings.tol * rows.total_weight, FLOOR * noise)
    settled = jnp.where((remaining < enough) & ~leaving, state.settled + 1, 0)
    status = jnp.where(kept, _judge(state, objective, at_rest, settled, settings), state.status)
    going = status == RUNNING
    new = Climb(
        mixture=_choose(going, mixture, state.mixture),
        natural=_choose(going, natural, state.natural),
        here=target,
        before=_keep(kept, state.here, state.before),
        residual=_keep(kept, residual, state.residual),
        steps=_keep(kept, steps, 0.0 * steps),  # what a failed leap was built on is forgotten
        changes=_keep(kept, changes, 0.0 * changes),
        objective=jnp.where(kept, objective, state.objective),
        longest=_trust(state, leap, leaping, failed),
        slowest=jnp.where(kept, slowest, state.slowest),
        remaining=jnp.where(kept, remaining, state.remaining),
        settled=jnp.where(kept, settled, state.settled),
        on_trial=going & leaping,
        status=status,
        n_steps=state.n_steps + (going & kept),
    )
    return new, jnp.where(kept, objective, jnp.nan)


class _Leap(NamedTuple):
    """Anderson's extrapolation: where to, whether it may be tried, and how many EM steps long it is."""

    target: Array
    possible: Array
    slowness: Array


def _remember(state: Climb, residual: Array) -> tuple[Array, Array]:
    """The histories with the newest differences in front; nothing to differ from at the first two evaluations."""
    step = state.here - state.before
    change = residual - state.residual
    known = _columns(state.n_steps >= 2, step)
    step, change = jnp.where(known, step, 0.0), jnp.where(known, change, 0.0)
    return (
        jnp.concatenate([step[:, None], state.steps[:, :-1]], axis=1),
        jnp.concatenate([change[:, None], state.changes[:, :-1]], axis=1),
    )


def _leap(state: Climb, values: Array, residual: Array, steps: Array, changes: Array) -> _Leap:
    """The combination of past steps whose residual, were EM linear, would be least; no longer than trusted.

    Where that leads back (residuals grow: EM is leaving a saddle), straight on along the residual instead.
    """
    c, m = steps.shape[:2]
    flat = changes.reshape(c, m, -1)
    gram = flat @ jnp.swapaxes(flat, -1, -2)
    size = jnp.trace(gram, axis1=-2, axis2=-1)[:, None, None]
    ridge = (RIDGE * size + jnp.where(size > 0, 0.0, 1.0)) * jnp.eye(m, dtype=gram.dtype)
    share = jnp.linalg.solve(gram + ridge, flat @ residual.reshape(c, -1, 1))
    beyond = -jnp.sum(share[..., None] * (steps + changes), axis=1)  # what the leap adds to the EM step
    unit = jnp.maximum(_norm(residual), 1e-300)
    length = _norm(residual + beyond) / unit
    onward = jnp.sum((residual + beyond) * residual, axis=(-2, -1)) > ONWARD * length * unit**2
    shorter = jnp.minimum(1.0, state.longest / length)
    straight = _columns(state.longest - 1.0, residual) * residual
    beyond = jnp.where(_columns(onward, residual), _columns(shorter, residual) * beyond, straight)
    target = values + beyond
    # The first feature is 1, so these are counts; a leap must not empty a component.
    feasible = jnp.all(target[..., 0] >= 0.2 * values[..., 0], axis=-1)
    length = jnp.where(onward, length, state.longest)
    return _Leap(target, feasible & (size[:, 0, 0] > 0), jnp.maximum(length, 1.0))


def _trust(state: Climb, leap: _Leap, leaping: Array, failed: Array) -> Array:
    """How many EM steps long the next leap may be: more after one that was cut short, less after a failure."""
    longer = jnp.where(leaping & (leap.slowness >= state.longest), 4 * state.longest, state.longest)
    return jnp.clip(jnp.where(failed, state.longest / 8, longer), 2.0, LONGEST)


def _norm(statistics: Array) -> Array:
    return jnp.sqrt(jnp.sum(statistics**2, axis=(-2, -1)))


def _remaining(state: Climb, natural: Natural, residual: Array, longer: Array) -> Array:
    """Estimated gain still to come.

    The gradient of the objective in natural parameters is the residual (Fisher's identity), so a parabola that ends
    at the natural parameters stepped to rises by half their product. A plain step is too short by as many times as
    the leap of late was longer: Aitken's estimate (Boehning et al. 1994), without waiting for gains to settle.
    """
    step = natural.eta - state.natural.eta
    slope = jnp.sum(
        jnp.where(jnp.isfinite(step), step, 0.0) * residual, axis=(-2, -1)
    )  # empty slots are at -inf
    finite = jnp.all(jnp.isfinite(natural.eta[..., 1:]), axis=(-2, -1)) & (state.n_steps >= 1)
    return jnp.where(finite, 0.5 * jnp.abs(slope) * longer, jnp.inf)


def _judge(state: Climb, objective: Array, at_rest: Array, settled: Array, settings: Settings) -> Array:
    """Status of each column."""
    done = (at_rest | (settled >= SETTLED)) & (state.n_steps >= 1)
    status = jnp.where(done, CONVERGED, RUNNING)
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


def _keep(mask: Array, new: Array, old: Array) -> Array:
    return jnp.where(_columns(mask, new), new, old)


def _choose(keep: Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(_columns(keep, a), a, b), new, old)
