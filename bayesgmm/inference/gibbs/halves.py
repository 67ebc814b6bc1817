"""Where a split begins: halves of a cluster, statistics that depend on it as a whole alone."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Bool, Float

from bayesgmm.covariances import Array, Moments, Structure
from bayesgmm.inference.gibbs.labelled import random_row, second_part
from bayesgmm.inference.gibbs.state import ChainState
from bayesgmm.models import FiniteMixture
from bayesgmm.row_blocks import Rows

ALIKE = 1e-9  # added to a variance that is zero where both seeds are the same row
APART = 8.0  # log odds of one seed's row to belong to the other, in the first step
STEPS = 10  # of variational Bayes towards the halves


def broad(key: Array, whole: Float[Array, " p"]) -> Float[Array, "2 p"]:
    """Both halves like the whole, of a random number of rows: parts that overlap, as merges need them."""
    power = jax.random.uniform(key, (), whole.dtype)
    fewer = whole * jnp.maximum(whole[0], 1.0) ** (power - 1.0)
    return jnp.stack([fewer, fewer])


def converged(
    model: FiniteMixture,
    rows: Rows,
    inside: Bool[Array, "m c b"],
    wholes: Float[Array, "c p"],
    state: ChainState,
    keys: Array,
) -> Float[Array, "c 2 p"]:
    """Halves by a few steps of variational Bayes on the rows inside, from two of these taken at random."""
    structure = model.structure

    def first(key: Array, inside: Array) -> Array:
        seeds = jax.vmap(lambda k: random_row(k, rows, inside))(jax.random.split(key))
        return _nearest_seed(structure, seeds)

    def refined(components: dict, halves: Array) -> Array:
        near = model.components.at(components).conjugate_near()
        log_weights = jnp.log1p(halves[:, 0]) - jnp.log(2.0 + jnp.sum(halves[:, 0]))
        moments = moments_of(structure, halves, state.mixture.n_features)
        return near.expected_natural(structure, log_weights, moments).eta

    def step(_: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        second, _ = second_part(
            structure, rows, inside, carry[0], lambda log_odds, _: jax.nn.sigmoid(log_odds)
        )
        halves = jnp.stack([wholes - second, second], axis=1)
        return jax.vmap(refined)(state.components, halves), halves

    eta = jax.vmap(first)(keys, jnp.swapaxes(inside, 0, 1))
    return lax.fori_loop(0, STEPS, step, (eta, jnp.zeros_like(eta)))[1]


def _nearest_seed(structure: Structure, seeds: Float[Array, "2 d"]) -> Float[Array, "2 p"]:
    """Natural parameters of two round components about two rows."""
    d = seeds.shape[1]
    variance = jnp.sum((seeds[0] - seeds[1]) ** 2) / (2.0 * APART) + ALIKE
    covariances = structure.from_dense(variance * jnp.eye(d, dtype=seeds.dtype), 2)
    return structure.natural(jnp.zeros(2, seeds.dtype), seeds, structure.invert(covariances)).eta


def moments_of(structure: Structure, statistics: Float[Array, "k p"], n_features: int) -> Moments:
    """Moments from the statistics of some components, which share nothing."""
    return structure.moments(statistics, jnp.zeros(0, statistics.dtype), n_features)
