"""EM steps, accelerated, for a group of columns in one compiled program: evaluate, judge, then step, leap or fall back.

One evaluation is one pass of the kernel at a column's parameters; it gives the objective there and the statistics
from which the next parameters follow. After a few plain steps a column leaps (:mod:`bayesgmm.inference.em.leap`); a
leap that lowers the objective is taken back, so it never falls.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from bayesgmm.compiled import compiled
from bayesgmm.covariances import Array, Moments, Natural, PseudoMoments, Structure
from bayesgmm.inference.em import leap
from bayesgmm.inference.em.leap import columns, norm
from bayesgmm.kernel import statistics
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture
from bayesgmm.row_blocks import Rows

CHUNK = 60  # evaluations between two looks from the host, at most
TRIAL = 40  # steps: with 20 or fewer, optima were lost that with 40 were found
PLAIN_STEPS = 3  # EM steps before the first leap
FORGET = 0.9  # how the longest leap of late fades, a step
FLOOR = 1e-3  # of the objective's rounding: a tol below that is taken for it
REST = 16.0  # roundings of the statistics that an EM step may change where it changes nothing
SETTLED = 3  # evaluations in a row whose estimate must be below tol: one or two may miss a slow direction
RUNNING, CONVERGED, MAX_STEPS, NON_FINITE, RETIRED, INTERRUPTED = range(6)


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
    """Traced, so that other tolerances compile nothing.

    ``chunk`` is the number of evaluations between two looks, ``trial`` that of the steps before which no column is
    retired: what it may still gain is hard to tell at first.
    """

    regularisation: Array
    tol: Array
    max_steps: Array
    accelerate: Array
    chunk: Array = np.asarray(CHUNK)
    trial: Array = np.asarray(TRIAL)


def initial(start: Mixture, n_statistics: int) -> Climb:
    """Host state of columns (C, ...) that have not been evaluated yet."""
    c, k = start.log_weights.shape
    nothing = np.zeros((c, k, n_statistics))
    no_history = np.zeros((c, leap.MEMORY, k, n_statistics))
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


def resumed(state: Climb, weight: Array, before: Array) -> Climb:
    """Host state of columns that go on to other rows of total ``weight``, after some of total ``before``.

    Where EM is slow hardly depends on the sample, so what a column remembers of its last steps goes along: it leaps
    from its second evaluation on.
    """
    factor = np.asarray(weight / before)
    return initial(state.mixture, state.here.shape[-1])._replace(
        steps=factor * state.steps,
        changes=factor * state.changes,
        longest=state.longest,
        slowest=state.slowest,
    )


def chunk_of_steps(
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


advance = compiled(chunk_of_steps)


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
    rounding = REST * jnp.finfo(rows.blocks.dtype).eps * norm(values)
    at_rest = norm(residual) <= rounding
    # Leaps can lead to a saddle; plain EM steps leave it, so while a column settles it steps and must not speed up.
    leaving = (state.settled > 0) & (norm(residual) > jnp.maximum(norm(state.residual), 64 * rounding))
    steps, changes = leap.remember(
        state.steps, state.changes, state.here - state.before, residual - state.residual, state.n_steps >= 2
    )
    ahead = leap.extrapolate(values, residual, steps, changes, state.longest)
    slowest = jnp.maximum(ahead.slowness, FORGET * state.slowest)
    leaping = kept & ~at_rest & (leaving | (state.settled == 0)) & ahead.possible & _may_leap(state, settings)
    target = jnp.where(columns(leaping, values), ahead.target, values)
    target = jnp.where(columns(failed, values), state.before + state.residual, target)
    mixture = maximisation(structure, target, rows, prior, settings.regularisation)
    natural = mixture.natural()
    remaining = leap.remaining(state.natural, natural, residual, jnp.where(leaping, 1.0, slowest))
    remaining = jnp.where(state.n_steps >= 1, remaining, jnp.inf)
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
        # What a failed leap was built on is forgotten; what a column at rest knows is kept for other rows.
        steps=_keep(kept, steps, _keep(failed, 0.0 * steps, state.steps)),
        changes=_keep(kept, changes, _keep(failed, 0.0 * changes, state.changes)),
        objective=jnp.where(kept, objective, state.objective),
        longest=leap.trust(state.longest, ahead, leaping, failed),
        slowest=jnp.where(kept, slowest, state.slowest),
        remaining=jnp.where(kept, remaining, state.remaining),
        settled=jnp.where(kept, settled, state.settled),
        on_trial=going & leaping,
        status=status,
        n_steps=state.n_steps + (going & kept),
    )
    return new, jnp.where(kept, objective, jnp.nan)


def _may_leap(state: Climb, settings: Settings) -> Array:
    """Which columns have steps enough behind them, of their own or from other rows."""
    experienced = jnp.any(state.changes != 0.0, axis=(-3, -2, -1))
    return settings.accelerate & (state.n_steps >= jnp.where(experienced, 1, PLAIN_STEPS))


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


def _keep(mask: Array, new: Array, old: Array) -> Array:
    return jnp.where(columns(mask, new), new, old)


def _choose(keep: Array, new: Any, old: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(columns(keep, a), a, b), new, old)
