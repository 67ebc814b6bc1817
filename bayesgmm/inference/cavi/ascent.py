"""Coordinate ascent on the exact ELBO: columns together, rows in parts whose statistics are remembered.

The variational family is q(allocations) q(weights) q(components). Given expected statistics T, the best q of weights
and components is the conjugate posterior, and its expected log densities are natural parameters again: one pass of the
kernel at them gives the best q(allocations), its statistics and its entropy. With the allocations of the last pass

    ELBO = entropy of the allocations + log evidence of the weights given T + log evidence of the components given T

with every constant (Bishop 2006, section 10.2; here in normalisers). The rows lie in parts, and each part's statistics
and entropy are remembered (Hughes & Sudderth 2013): a part is visited, its share of T exchanged, and q follows at once,
so that the ELBO is exact, and cannot fall, after every part. One part is the usual algorithm.
"""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float
from numpy.typing import NDArray

from bayesgmm.compiled import compiled
from bayesgmm.covariances import Array, Natural
from bayesgmm.float64 import in_float64
from bayesgmm.kernel import statistics
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture
from bayesgmm.row_blocks import Rows

CHUNK = 256  # laps between two looks from the host, at most
BATCH = 8  # columns of the programs that look at no rows
SETTLED = 3  # laps in a row whose estimate of what is left must be below tol
NOISE = 16.0  # roundings of the ELBO that a lap may change where it changes nothing
HOPE = 50.0  # laps at the present pace after which a column must have caught up with what it competes with
RUNNING, CONVERGED, MAX_STEPS, NON_FINITE, RETIRED, INTERRUPTED = range(6)


class Ascent(NamedTuple):
    """Where every column stands (leading axis C).

    Attributes
    ----------
    values : (C, K, P) expected statistics T; those of weights and components follow from them
    factor : q of the weights' hyperparameters (C, ...)
    natural : of the next pass; (C, K, P) and (C, Q)
    parts : (C, G, K, P) statistics of each part of the rows
    entropies : (C, G) of the allocations of each part
    elbo, gain, remaining : (C,) in nats; of the last lap; estimated still to come
    settled, n_steps, status : (C,)
    fresh : (C,) whether no lap was made yet, so that ``natural`` is all that is known
    """

    values: Array
    factor: dict[str, Array]
    natural: Natural
    parts: Array
    entropies: Array
    elbo: Array
    gain: Array
    remaining: Array
    settled: Array
    n_steps: Array
    status: Array
    fresh: Array


class Settings(NamedTuple):
    """Traced, so that other values compile nothing. ``floor``: the ELBO below which a hopeless column retires."""

    tol: Array
    max_steps: Array
    reorder: Array
    floor: Array
    chunk: Array = np.asarray(CHUNK)


def initial(natural: Natural, factor: dict[str, Array], n_parts: int) -> Ascent:
    """Host state of columns (C, ...) that are known by the natural parameters of their first pass."""
    c = natural.eta.shape[0]
    return Ascent(
        values=np.zeros(natural.eta.shape),
        factor={name: np.broadcast_to(value, (c, *np.shape(value))) for name, value in factor.items()},
        natural=natural,
        parts=np.zeros((c, n_parts, *natural.eta.shape[1:])),
        entropies=np.zeros((c, n_parts)),
        elbo=np.full(c, -np.inf),
        gain=np.full(c, np.inf),
        remaining=np.full(c, np.inf),
        settled=np.zeros(c, int),
        n_steps=np.zeros(c, int),
        status=np.full(c, RUNNING),
        fresh=np.ones(c, bool),
    )


def naturals(
    model: FiniteMixture,
    total: NDArray[np.float64],
    values: Float[np.ndarray, "c k p"],
    factor: dict[str, Array],
    d: int,
) -> Natural:
    """Expected natural parameters (C, ...) given statistics and one q of the hyperparameters.

    ``total`` is that of the shared features.
    """
    return _in_batches(_jit_naturals, model, total, values, factor, d)


def log_evidences(
    model: FiniteMixture,
    total: NDArray[np.float64],
    values: Float[np.ndarray, "c k p"],
    factor: dict[str, Array],
    d: int,
) -> Float[np.ndarray, " c"]:
    """The ELBO (C,) of certain allocations that have these statistics; no row is touched."""
    return _in_batches(_jit_log_evidences, model, total, values, factor, d)


def _in_batches(function: Any, model: FiniteMixture, total: Any, values: Any, factor: Any, d: int) -> Any:
    """BATCH columns at a time, the last ones padded, so that one program serves any number."""
    c = len(values)
    factors = {name: np.broadcast_to(value, (BATCH, *np.shape(value))) for name, value in factor.items()}
    padded = values[np.minimum(np.arange(-(-c // BATCH) * BATCH), c - 1)]
    parts = [function(model, total, padded[i : i + BATCH], factors, d) for i in range(0, len(padded), BATCH)]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:c], *parts)


@in_float64
@compiled
def _jit_naturals(model: FiniteMixture, total: Array, values: Array, factor: dict[str, Array], d: int) -> Any:
    return _naturals(model, total, values, factor, d)


@in_float64
@compiled
def _jit_log_evidences(
    model: FiniteMixture, total: Array, values: Array, factor: dict[str, Array], d: int
) -> Any:
    return _weight_evidence(model, values, factor) + _component_evidence(model, total, values, d)


@in_float64
@compiled
def plug_in(
    model: FiniteMixture, total: Array, values: Float[Array, "k p"], factor: dict[str, Array], d: int
) -> Mixture:
    """The mixture at q's mean weights and means, its covariances the inverses of the expected precisions."""
    moments = model.structure.moments(values, total, d)
    means, covariances = model.components.expected_components(model.structure, moments)
    return Mixture(model.structure, model.weights.log_expected(values[:, 0], factor), means, covariances)


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
        state = judged(state, lap(model, rows, state, settings.reorder), rows, settings)
        return i + 1, state, history.at[i].set(jnp.where(running, state.elbo, jnp.nan))

    _, state, history = lax.while_loop(going, body, (0, state, history))
    return state, history


def lap(model: FiniteMixture, rows: Rows, state: Ascent, reorder: Array) -> Ascent:
    """Every part of the rows visited once, and the ELBO after it."""
    d, n_parts = rows.blocks.shape[1], state.parts.shape[1]
    natural_of = functools.partial(_naturals, model, rows.total, d=d)

    def visit(g: Array, state: Ascent) -> Ascent:
        values, entropy = _allocate(model, rows, state.natural, g, n_parts)
        new = state.values - state.parts[:, g] + values
        state = state._replace(
            values=new,
            factor=_refine(model, new, state.factor),
            parts=state.parts.at[:, g].set(values),
            entropies=state.entropies.at[:, g].set(entropy),
        )
        moved = natural_of(new, state.factor)
        return state._replace(natural=_choose(state.fresh, state.natural, moved))

    if n_parts == 1:
        values, entropy = _allocate(model, rows, state.natural, 0, 1)
        state = state._replace(values=values, parts=values[:, None], entropies=entropy[:, None])
        state = state._replace(factor=_refine(model, values, state.factor))
    else:
        state = lax.fori_loop(0, n_parts, visit, state)
        state = state._replace(values=jnp.sum(state.parts, axis=1))  # sums of differences drift
    state, weights = _reordered(model, state, reorder)
    components = _component_evidence(model, rows.total, state.values, d)
    return state._replace(
        natural=natural_of(state.values, state.factor),
        elbo=jnp.sum(state.entropies, axis=1) + weights + components,
        fresh=jnp.zeros_like(state.fresh),
    )


def judged(old: Ascent, new: Ascent, rows: Rows, settings: Settings) -> Ascent:
    """The new state of running columns, with their status; the others as they were."""
    running = old.status == RUNNING
    gain = jnp.where(jnp.isfinite(old.elbo), new.elbo - old.elbo, jnp.inf)
    noise = NOISE * jnp.finfo(new.elbo.dtype).eps * (jnp.abs(new.elbo) + rows.total_weight)
    # Gains that shrink by a steady factor have a geometric sum (Aitken; Boehning et al. 1994).
    factor = gain / old.gain
    steady = (factor > 0) & (factor < 1) & jnp.isfinite(old.gain)
    remaining = jnp.where(steady, gain * factor / jnp.where(steady, 1.0 - factor, 1.0), jnp.inf)
    remaining = jnp.where(jnp.abs(gain) <= noise, 0.0, remaining)
    settled = jnp.where(remaining <= settings.tol * rows.total_weight, old.settled + 1, 0)
    n_steps = old.n_steps + 1
    status = jnp.where(n_steps >= settings.max_steps, MAX_STEPS, RUNNING)
    # Steady gains tell where the column will end, others at most how far it may come.
    hope = jnp.where(steady, jnp.minimum(2.0 * remaining, HOPE * gain), HOPE * jnp.maximum(gain, 0.0))
    hopeless = (n_steps >= 3) & (new.elbo + hope < settings.floor)
    status = jnp.where(hopeless, RETIRED, status)
    status = jnp.where(settled >= SETTLED, CONVERGED, status)
    sound = jnp.isfinite(new.elbo)
    status = jnp.where(sound, status, NON_FINITE)
    judged = new._replace(gain=gain, remaining=remaining, settled=settled, n_steps=n_steps, status=status)
    kept = _choose(running & sound, judged, old)  # a column that fails keeps its last sound state
    return kept._replace(status=jnp.where(running, status, old.status))


def _allocate(
    model: FiniteMixture, rows: Rows, natural: Natural, part: Array | int, n_parts: int
) -> tuple[Array, Array]:
    """Statistics (C, K, P) of the best allocations of one part, and their entropy (C,).

    The entropy is the log-sum over components less the expected log joint; shared features cancel from the two.
    """
    length = -(-rows.used // n_parts)
    first = jnp.minimum(part * length, rows.used)
    here = rows._replace(used=jnp.minimum(first + length, rows.used), total=jnp.zeros_like(rows.total))
    values, log_sum = statistics(model.structure, natural, here, first)
    eta = jnp.where(jnp.isfinite(natural.eta), natural.eta, 0.0)  # an absent slot holds nothing
    return values, log_sum - jnp.sum(values * eta, axis=(-2, -1))


def _naturals(model: FiniteMixture, total: Array, values: Array, factor: dict[str, Array], d: int) -> Natural:
    def one(values: Array, factor: dict[str, Array]) -> Natural:
        moments = model.structure.moments(values, total, d)
        log_weights = model.weights.expected_log(values[:, 0], factor)
        return model.components.expected_natural(model.structure, log_weights, moments)

    return jax.vmap(one)(values, factor)


def _weight_evidence(model: FiniteMixture, values: Array, factor: dict[str, Array]) -> Array:
    return jax.vmap(model.weights.log_evidence)(values[..., 0], factor)


def _component_evidence(model: FiniteMixture, total: Array, values: Array, d: int) -> Array:
    def one(values: Array) -> Array:
        moments = model.structure.moments(values, total, d)
        return model.components.log_evidence(model.structure, moments)

    return jax.vmap(one)(values)


def _refine(model: FiniteMixture, values: Array, factor: dict[str, Array]) -> dict[str, Array]:
    return jax.vmap(model.weights.refine_factor)(values[..., 0], factor)


def _reordered(model: FiniteMixture, state: Ascent, wanted: Array) -> tuple[Ascent, Array]:
    """Slots in the order that their weights' prior prefers, where that raises the ELBO, and the weights' evidence.

    Components do not mind their order.
    """
    counts = state.values[..., 0]
    order = model.weights.preferred_order(counts)
    if order is None:
        return state, _weight_evidence(model, state.values, state.factor)
    both = jnp.stack([counts, jnp.take_along_axis(counts, order, axis=1)])[..., None]
    before, after = jax.vmap(lambda counts: _weight_evidence(model, counts, state.factor))(both)
    better = wanted & (after > before)
    order = jnp.where(better[:, None], order, jnp.arange(counts.shape[1]))
    state = state._replace(
        values=jnp.take_along_axis(state.values, order[..., None], axis=1),
        parts=jnp.take_along_axis(state.parts, order[:, None, :, None], axis=2),
    )
    return state, jnp.where(better, after, before)


def _choose(keep: Array, new: Any, old: Any) -> Any:
    """Columns of one state or of the other."""
    return jax.tree.map(lambda a, b: jnp.where(keep.reshape(-1, *[1] * (a.ndim - 1)), a, b), new, old)
