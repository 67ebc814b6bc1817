"""One Gibbs sweep on the kernel: allocations, then hyperparameters, weights and components given them.

Chains are the columns of the kernel's product; what follows it is written for one chain and vectorised once. The state
holds no allocations: a sweep begins by drawing them, keeps their statistics only, and forgets them.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
from jaxtyping import Float

from bayesgmm.covariances import Array
from bayesgmm.kernel import Rows, drawn_statistics
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture


class ChainState(NamedTuple):
    """Where the chains are: mixtures (C, K, ...), and hyperparameters by name (C, ...).

    Absent components have log weight minus infinity and parameters that stand for nothing.
    """

    mixture: Mixture
    weights: dict[str, Array]
    components: dict[str, Array]


def sweep(
    model: FiniteMixture, rows: Rows, state: ChainState, key: Array
) -> tuple[ChainState, Float[Array, " c"]]:
    """The state after one sweep, and the log-likelihood (C,) of the state before it."""
    key_allocations, key_rest = jax.random.split(key)
    drawn = drawn_statistics(model.structure, state.mixture.natural(), rows, key_allocations)
    return given_allocations(model, rows, state, drawn.values, key_rest), drawn.log_likelihood


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
