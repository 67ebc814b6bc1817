"""Coordinate ascent on the exact ELBO, columns together: laps, leaps between them, and when a column has ended.

A leap (:mod:`bayesgmm.inference.em.leap`) moves the statistics from which the next pass begins; one that does not
raise the ELBO is taken back, so the ELBO never falls.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Float

from bayesgmm.compiled import compiled
from bayesgmm.covariances import Array
from bayesgmm.float64 import in_float64
from bayesgmm.inference.cavi.lap import expected_naturals, lap
from bayesgmm.inference.cavi.state import (
    CHUNK,
    CONVERGED,
    MAX_STEPS,
    NON_FINITE,
    RETIRED,
    RUNNING,
    Ascent,
    Settings,
    choose,
)
from bayesgmm.inference.em import leap
from bayesgmm.inference.em.leap import Leap, columns, norm
from bayesgmm.models import FiniteMixture
from bayesgmm.row_blocks import Rows

PLAIN_LAPS = 3  # before the first leap
SETTLED = 3  # laps in a row whose estimate of what is left must be below tol
NOISE = 16.0  # roundings of the ELBO that a lap may change where it changes nothing
FORGET = 0.9  # how the longest leap of late fades, a lap
HOPE = 50.0  # laps at the present pace after which a column must have caught up with what it competes with
DRIFT = 1e-9  # rows that a leap may take below zero: what rounding makes of an empty slot


@in_float64
@compiled
def advance(
    model: FiniteMixture, rows: Rows, state: Ascent, settings: Settings
) -> tuple[Ascent, Float[Array, "s c"]]:
    """A chunk of laps, fewer when all columns have stopped; and the ELBOs (CHUNK, C), else NaN."""
    history = jnp.full((CHUNK, state.elbo.shape[0]), jnp.nan, state.elbo.dtype)

    def going(carry: Any) -> Array:
        i, state, _ = carry
        return (i < settings.chunk) & jnp.any(state.status == RUNNING)

    def body(carry: Any) -> Any:
        i, state, history = carry
        running = state.status == RUNNING
        state = step(model, rows, state, settings)
        return i + 1, state, history.at[i].set(jnp.where(running, state.elbo, jnp.nan))

    _, state, history = lax.while_loop(going, body, (0, state, history))
    return state, history


def step(model: FiniteMixture, rows: Rows, old: Ascent, settings: Settings) -> Ascent:
    """A lap of every running column, judged, and where the next one begins."""
    new = lap(model, rows, old, settings.reorder)
    running, sound = old.status == RUNNING, jnp.isfinite(new.elbo)
    noise = NOISE * jnp.finfo(new.elbo.dtype).eps * (jnp.abs(new.elbo) + rows.total_weight)
    failed = running & old.on_trial & ~(new.elbo >= old.elbo - noise)
    kept = running & sound & ~failed  # a column that fails keeps its last sound state
    new, ahead, leaping = _leaping(old, new, kept & settings.accelerate)
    last = choose(failed, old, new)
    target = jnp.where(columns(leaping, new.values), ahead.target, last.values)
    natural = expected_naturals(model, rows.total, target, last.factor, rows.blocks.shape[1])
    gain = jnp.where(jnp.isfinite(old.elbo), new.elbo - old.elbo, jnp.inf)
    remaining = leap.remaining(new.natural, natural, new.residual, jnp.where(leaping, 1.0, new.slowest))
    remaining = jnp.where(old.n_steps >= 1, remaining, jnp.inf)
    remaining = jnp.where(jnp.abs(gain) <= noise, 0.0, remaining)
    new = new._replace(natural=natural, here=target, gain=gain, remaining=remaining)
    taken_back = old._replace(
        natural=natural,
        here=target,
        steps=0.0 * old.steps,
        changes=0.0 * old.changes,
        n_steps=old.n_steps + 1,
        status=jnp.where(old.n_steps + 1 >= settings.max_steps, MAX_STEPS, old.status),
    )
    state = choose(kept, _judged(old, new, rows, settings), choose(failed, taken_back, old))
    return state._replace(
        on_trial=leaping & (state.status == RUNNING),
        longest=leap.trust(old.longest, ahead, leaping, failed),
        status=jnp.where(running & ~sound & ~failed, NON_FINITE, state.status),
    )


def _leaping(old: Ascent, new: Ascent, may: Array) -> tuple[Ascent, Leap, Array]:
    """The lap remembered, the leap that follows from it and the laps before, and which columns leap."""
    residual = new.values - new.here
    rounding = NOISE * jnp.finfo(residual.dtype).eps * norm(new.values)
    # Leaps can lead to a saddle; plain laps leave it, so while a column settles it leaps only if it speeds up.
    leaving = norm(residual) > jnp.maximum(norm(new.residual), 64 * rounding)
    steps, changes = leap.remember(
        new.steps, new.changes, new.here - new.before, residual - new.residual, old.n_steps >= 2
    )
    ahead = leap.extrapolate(new.values, residual, steps, changes, new.longest, DRIFT)
    whole = new.parts.shape[1] == 1  # parts remember their own statistics, which a leap does not move
    leaping = may & whole & (leaving | (old.settled == 0)) & ahead.possible & (old.n_steps >= PLAIN_LAPS)
    new = new._replace(
        before=new.here,
        residual=residual,
        steps=steps,
        changes=changes,
        slowest=jnp.maximum(ahead.slowness, FORGET * old.slowest),
        settled=jnp.where(leaving, 0, old.settled),
        n_steps=old.n_steps + 1,
    )
    return new, ahead, leaping


def _judged(old: Ascent, new: Ascent, rows: Rows, settings: Settings) -> Ascent:
    """The new state with its status."""
    # Gains that shrink tell where the column will end, others at most how far it may come.
    hope = HOPE * jnp.maximum(new.gain, 0.0)
    factor = new.gain / old.gain
    slowing = (factor > 0) & (factor < 1) & jnp.isfinite(old.gain)
    # Of plain laps the gains have a geometric sum (Aitken; Boehning et al. 1994); leaps make them uneven.
    geometric = 2.0 * new.gain * factor / jnp.where(slowing, 1.0 - factor, 1.0)
    left = jnp.where(new.n_steps <= PLAIN_LAPS + 1, geometric, 4.0 * new.remaining)
    hope = jnp.where(slowing, jnp.minimum(left, hope), hope)
    hopeless = (new.n_steps >= 3) & (new.elbo + hope < settings.floor)
    settled = jnp.where(new.remaining <= settings.tol * rows.total_weight, new.settled + 1, 0)
    status = jnp.where(new.n_steps >= settings.max_steps, MAX_STEPS, RUNNING)
    status = jnp.where(hopeless, RETIRED, status)
    return new._replace(settled=settled, status=jnp.where(settled >= SETTLED, CONVERGED, status))
