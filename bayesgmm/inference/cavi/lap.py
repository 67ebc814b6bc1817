"""One lap: every part of the rows visited once, q of weights and components following, and the exact ELBO after it.

The variational family is q(allocations) q(weights) q(components). Given expected statistics T, the best q of weights
and components is the conjugate posterior, and its expected log densities are natural parameters again: one pass of the
kernel at them gives the best q(allocations), its statistics and its entropy. With the allocations of the last pass

    ELBO = entropy of the allocations + log evidence of the weights given T + log evidence of the components given T

with every constant (Bishop 2006, section 10.2; here in normalisers). The rows lie in parts, and each part's statistics
and entropy are remembered (Hughes & Sudderth 2013): a part is visited, its share of T exchanged, and q follows at once,
so that the ELBO is exact, and cannot fall, after every part. One part is the usual algorithm.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Float
from numpy.typing import NDArray

from bayesgmm.compiled import compiled
from bayesgmm.covariances import Array, Natural
from bayesgmm.float64 import in_float64
from bayesgmm.inference.cavi.state import Ascent, choose
from bayesgmm.kernel import statistics
from bayesgmm.models import FiniteMixture
from bayesgmm.row_blocks import Rows

BATCH = 8  # columns of the programs that look at no rows
SLOTTED = ("values", "parts", "here", "before", "residual", "steps", "changes")


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
    return expected_naturals(model, total, values, factor, d)


@in_float64
@compiled
def _jit_log_evidences(
    model: FiniteMixture, total: Array, values: Array, factor: dict[str, Array], d: int
) -> Any:
    return _weight_evidence(model, values, factor) + _component_evidence(model, total, values, d)


def lap(model: FiniteMixture, rows: Rows, state: Ascent, reorder: Array) -> Ascent:
    """Every part of the rows visited once: statistics, q of the hyperparameters, entropies and ELBO after it.

    What the lap began from (``natural``, ``here``) stays, its slots in the order of the new statistics.
    """
    if state.parts.shape[1] == 1:
        values, entropy = _allocate(model, rows, state.natural, 0, 1)
        state = state._replace(values=values, parts=values[:, None], entropies=entropy[:, None])
        state = state._replace(factor=_refine(model, values, state.factor))
    else:
        state = _visited_in_turn(model, rows, state)
    state, weights = _reordered(model, state, reorder)
    components = _component_evidence(model, rows.total, state.values, rows.blocks.shape[1])
    return state._replace(elbo=jnp.sum(state.entropies, axis=1) + weights + components)


def _visited_in_turn(model: FiniteMixture, rows: Rows, state: Ascent) -> Ascent:
    """Every part at the q that the parts before it left; in the first lap all at the first."""
    d, n_parts = rows.blocks.shape[1], state.parts.shape[1]
    fresh = state.n_steps == 0

    def visit(g: Array, carry: Any) -> Any:
        state, natural = carry
        values, entropy = _allocate(model, rows, natural, g, n_parts)
        new = state.values - state.parts[:, g] + values
        state = state._replace(
            values=new,
            factor=_refine(model, new, state.factor),
            parts=state.parts.at[:, g].set(values),
            entropies=state.entropies.at[:, g].set(entropy),
        )
        moved = expected_naturals(model, rows.total, new, state.factor, d)
        return state, choose(fresh, natural, moved)

    state, _ = lax.fori_loop(0, n_parts, visit, (state, state.natural))
    return state._replace(values=jnp.sum(state.parts, axis=1))  # sums of differences drift


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


def expected_naturals(
    model: FiniteMixture, total: Array, values: Array, factor: dict[str, Array], d: int
) -> Natural:
    """Expected natural parameters (C, ...) given statistics (C, K, P), inside a program."""

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
    return _permuted(state, order), jnp.where(better, after, before)


def _permuted(state: Ascent, order: Array) -> Ascent:
    """Slots (C, K) in another order, in all that has slots."""

    def slots(leaf: Array) -> Array:
        at = order.reshape(order.shape[0], *[1] * (leaf.ndim - 3), -1, 1)
        return jnp.take_along_axis(leaf, at, axis=-2)

    own = {name: slots(getattr(state, name)) for name in SLOTTED}
    return state._replace(natural=state.natural._replace(eta=slots(state.natural.eta)), **own)
