"""One Gibbs sweep on the kernel: allocations, then hyperparameters, weights and components given them.

Chains are the columns of the kernel's product; what follows it is written for one chain and vectorised once. The state
holds no allocations: a sweep begins by drawing them, and keeps their statistics only. (They themselves are kept where a
split-merge move is to change them, until it has.)
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Bool, Float

from bayesgmm.covariances import Array
from bayesgmm.inference.gibbs.labelled import draw_labels
from bayesgmm.inference.gibbs.split_merge import split_merge
from bayesgmm.inference.gibbs.state import ChainState
from bayesgmm.kernel import drawn_statistics
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture
from bayesgmm.row_blocks import Rows


class Swept(NamedTuple):
    """The state after a sweep, the log-likelihood (C,) of that before it, and whether its move was accepted (C,)."""

    state: ChainState
    log_likelihood: Float[Array, " c"]
    accepted: Bool[Array, " c"]


def sweep(model: FiniteMixture, rows: Rows, state: ChainState, key: Array, moves: bool = False) -> Swept:
    """Allocations, with ``moves`` a split-merge move of them, and everything else."""
    key_allocations, key_rest = jax.random.split(key)
    natural = state.mixture.natural()
    if not moves:
        drawn = drawn_statistics(model.structure, natural, rows, key_allocations)
        after = given_allocations(model, rows, state, drawn.values, key_rest)
        return Swept(after, drawn.log_likelihood, jnp.zeros(drawn.log_likelihood.shape, bool))
    key_move, key_rest = jax.random.split(key_rest)
    drawn = draw_labels(model.structure, natural, rows, key_allocations)
    moved = split_merge(model, rows, drawn, state, key_move)
    between = state._replace(mixture=moved.mixture)
    after = given_allocations(model, rows, between, moved.statistics, key_rest)
    return Swept(after, drawn.log_likelihood, moved.accepted)


def given_allocations(
    model: FiniteMixture, rows: Rows, state: ChainState, statistics: Float[Array, "c k p"], key: Array
) -> ChainState:
    """Everything else given the allocations' statistics."""
    keys = jax.random.split(key, statistics.shape[0])

    def one(state: ChainState, statistics: Array, key: Array) -> ChainState:
        return _update(model, rows.total, state, statistics, key)

    return jax.vmap(one)(state, statistics, keys)


def _update(
    model: FiniteMixture, shared_total: Array, state: ChainState, statistics: Float[Array, "k p"], key: Array
) -> ChainState:
    """Weights (which may reorder the slots), hyperparameters of the components, components.

    Hyperparameters are drawn with the empty components integrated out, and those are then drawn anew from the prior.
    """
    key_weights, key_state, key_components = jax.random.split(key, 3)
    structure, d = model.structure, state.mixture.n_features
    weights = model.weights.draw(key_weights, statistics[:, 0], state.weights)
    mixture = state.mixture.permute(weights.order)
    moments = structure.moments(statistics[weights.order], shared_total, d)
    components = model.components.draw_state(
        key_state, structure, mixture.means, mixture.covariances, moments.counts > 0, state.components
    )
    prior = model.components.at(components)
    means, covariances = prior.draw(key_components, structure, moments, mixture.means)
    drawn = Mixture(structure, weights.log_weights, means, covariances)
    return ChainState(drawn, weights.state, components)


def log_prior(model: FiniteMixture, state: ChainState) -> Float[Array, " c"]:
    """Log prior density (C,) of weights and components given the hyperparameters."""

    def one(state: ChainState) -> Array:
        mixture = state.mixture
        weights = model.weights.at(state.weights).log_prior(mixture.log_weights)
        prior = model.components.at(state.components)
        return weights + prior.log_prior(model.structure, mixture.means, mixture.covariances)

    return jax.vmap(one)(state)
