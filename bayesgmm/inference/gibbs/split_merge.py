r"""Split-merge moves: one cluster becomes two, or two become one, however many rows they hold.

A sweep moves rows one by one, so that a cluster which covers two groups of thousands of rows stays as it is for ever.
Here, in the manner of Jain & Neal (2004, 2007), both parts are proposed together; in the manner of reversible jump
(Richardson & Green 1997), through their parameters, so that the allocations of rows add no noise to the acceptance.
The weights of the mixture are integrated out.

Split: a cluster S of parameters :math:`\theta_S`, any of the occupied ones.

1. Halves of S: statistics :math:`s_0, s_1` that depend on S as a whole alone, :func:`.converged` or :func:`.broad`.
2. Parts :math:`\theta_0, \theta_1, w` from g, the conjugate posterior given the halves, in either order.
3. Rows dealt to the parts by their responsibilities; the second part goes to an empty slot, by its probability.

Merge: the reverse, of a cluster and another, rather a near one. Its parameters come from the conjugate posterior h
given S, and w from Beta(1 + n_0, 1 + n_1). Densities of rows given parts cancel but for the mixture's, :math:`f(x) =
w_0 N(x | \theta_0) + w_1 N(x | \theta_1)`, and the odds of the split state over the merged one are

.. math:: \frac{p(z') / B(1 + n_0, 1 + n_1)}{p(z)} \; \frac{p(\theta_0) p(\theta_1) \prod_{n \in S} f(x_n)}
    {g(\theta_0, \theta_1, w)} \; \frac{h(\theta_S)}{p(\theta_S) \prod_{n \in S} N(x_n | \theta_S)} \;
    \frac{q(merge)}{q(split)}.

A conjugate posterior over its prior is a likelihood over an evidence, so that none of these densities has to be
computed. A prior that is not conjugate proposes from one near it, and adds what it exceeds that one by
(:meth:`.ComponentPrior.log_excess`).
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy.special import gammaln, logsumexp
from jaxtyping import Bool, Float, Int

from bayesgmm.covariances import Array, Structure
from bayesgmm.inference.gibbs.halves import broad, converged, moments_of
from bayesgmm.inference.gibbs.labelled import Labelled, second_part
from bayesgmm.inference.gibbs.state import ChainState
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture
from bayesgmm.models.components import ComponentPrior
from bayesgmm.models.weights.dirichlet import draw_log_dirichlet
from bayesgmm.row_blocks import Rows


class Pair(NamedTuple):
    """A cluster to be split (``other`` is an empty slot), or two to be merged into the first's slot."""

    splits: Bool[Array, "*c"]
    keep: Int[Array, "*c"]
    other: Int[Array, "*c"]


class Proposal(NamedTuple):
    """The two parts and the whole: parameters (3, ...), the parts' natural ones (2, P), and the log odds so far."""

    means: Array
    covariances: Array
    eta: Array
    log_odds: Array


class Moved(NamedTuple):
    """Statistics and parameters after the move, and whether it was accepted (C,)."""

    statistics: Float[Array, "*c k p"]
    mixture: Mixture
    accepted: Bool[Array, "*c"]


def applies(model: FiniteMixture) -> bool:
    """Whether there may be a slot to split into, and components share nothing (as tied covariances do)."""
    shares = model.structure.shared_features(np.zeros((1, 1))).shape[0] > 0
    return model.n_components > 1 and not shares


def split_merge(model: FiniteMixture, rows: Rows, drawn: Labelled, state: ChainState, key: Array) -> Moved:
    """One move of every chain, given allocations and the parameters that they were drawn by."""
    structure = model.structure
    n_chains = drawn.statistics.shape[0]
    key_how, *rest = jax.random.split(key, 6)
    key_choose, key_halves, key_propose, key_decide = (jax.random.split(k, n_chains) for k in rest[:4])

    def choose(key: Array, statistics: Array) -> Pair:
        return _choose(key, statistics, state.mixture.n_features)

    pairs = jax.vmap(choose)(key_choose, drawn.statistics)

    def whole_of(statistics: Array, pair: Pair) -> Array:
        return statistics[pair.keep] + statistics[pair.other]

    def dealt(log_odds: Array, block: Array) -> Array:
        uniform = jax.random.uniform(jax.random.fold_in(rest[4], block), log_odds.shape, log_odds.dtype)
        return (uniform < jax.nn.sigmoid(log_odds)).astype(log_odds.dtype)

    inside = (drawn.labels == pairs.keep[:, None]) | (drawn.labels == pairs.other[:, None])
    wholes = jax.vmap(whole_of)(drawn.statistics, pairs)
    halves = lax.cond(
        jax.random.bernoulli(key_how),
        lambda: converged(model, rows, inside, wholes, state, key_halves),
        lambda: jax.vmap(broad)(key_halves, wholes),
    )

    propose, decide = jax.vmap(partial(_propose, model)), jax.vmap(partial(_decide, model))
    proposal = propose(key_propose, state, drawn.statistics, pairs, wholes, halves)
    second, log_sums = second_part(structure, rows, inside, proposal.eta, dealt)
    proposal = proposal._replace(log_odds=proposal.log_odds + log_sums)
    return decide(key_decide, state, drawn.statistics, pairs, wholes, proposal, second)


def _choose(key: Array, statistics: Float[Array, "k p"], n_features: int) -> Pair:
    """Split or merge, as a coin falls, of which clusters."""
    key_kind, key_keep, key_other = jax.random.split(key, 3)
    counts = statistics[:, 0]
    keep = jax.random.categorical(key_keep, jnp.where(counts > 0, 0.0, -jnp.inf))
    splits = jax.random.bernoulli(key_kind)
    near = jax.random.categorical(key_other, _log_choice(statistics, keep, n_features))
    return Pair(splits, keep, jnp.where(splits, jnp.argmax(counts == 0), near))


def _log_choice(statistics: Float[Array, "k p"], keep: Array, n_features: int) -> Float[Array, " k"]:
    """Log probability of each cluster to be merged into a given one: by the square of its rank in nearness."""
    counts = statistics[:, 0]
    centres = statistics[:, 1 : 1 + n_features] / jnp.maximum(counts, 1.0)[:, None]
    others = (counts > 0) & (jnp.arange(counts.shape[0]) != keep)
    distance = jnp.where(others, jnp.sum((centres - centres[keep]) ** 2, axis=1), jnp.inf)
    rank = 1.0 + jnp.sum(distance[None] < distance[:, None], axis=1)
    scores = jnp.where(others, -2.0 * jnp.log(rank), -jnp.inf)
    return scores - logsumexp(scores)


def _propose(
    model: FiniteMixture,
    key: Array,
    state: ChainState,
    statistics: Float[Array, "k p"],
    pair: Pair,
    whole: Float[Array, " p"],
    halves: Float[Array, "2 p"],
) -> Proposal:
    """Parts from ``g`` and the whole as it is, or the whole from ``h`` and the parts as they are."""
    key_draw, key_order, key_weights = jax.random.split(key, 3)
    structure, d = model.structure, state.mixture.n_features
    prior = model.components.at(state.components)
    near = prior.conjugate_near()
    halves = jnp.where(jax.random.bernoulli(key_order), halves[::-1], halves)

    three = moments_of(structure, jnp.concatenate([halves, whole[None]]), d)
    new = near.draw(key_draw, structure, three, jnp.zeros((3, d), whole.dtype))
    index = jnp.stack([pair.keep, pair.other])
    now = state.mixture.permute(jnp.append(index, pair.keep))
    is_new = jnp.where(jnp.arange(3) < 2, pair.splits, ~pair.splits)
    means = jnp.where(is_new[:, None], new[0], now.means)
    covariances = structure.where_component(is_new, new[1], now.covariances)
    sizes = 1.0 + jnp.where(pair.splits, halves[:, 0], statistics[index, 0])
    precision = structure.invert(covariances)
    log_weights = jnp.append(draw_log_dirichlet(key_weights, sizes), 0.0)
    eta = structure.natural(log_weights, means, precision).eta[:2]
    log_odds = eta[0] @ whole - _log_proposed(near, structure, eta, halves, d)
    excess = prior.log_excess(structure, means, covariances)
    evidence = near.log_evidence(structure, moments_of(structure, whole[None], d))
    log_odds = log_odds + excess[0] + excess[1] - excess[2] - evidence
    return Proposal(means, covariances, eta, log_odds)


def _log_proposed(
    near: ComponentPrior, structure: Structure, eta: Float[Array, "2 p"], halves: Float[Array, "2 p"], d: int
) -> Float[Array, ""]:
    """Log of ``g`` over the prior of the components, halves in either order."""
    matched = jnp.stack([jnp.sum(eta * halves), jnp.sum(eta * halves[::-1])])
    evidence = near.log_evidence(structure, moments_of(structure, halves, d)) + _log_beta(1.0 + halves[:, 0])
    return logsumexp(matched) - jnp.log(2.0) - evidence


def _log_beta(pair: Float[Array, " 2"]) -> Float[Array, ""]:
    """Log of the Beta function (``betaln`` of jax 0.10 is off by 1e-6 where one argument is just above 8)."""
    logs = gammaln(jnp.append(pair, jnp.sum(pair)))
    return logs[0] + logs[1] - logs[2]


def _decide(
    model: FiniteMixture,
    key: Array,
    state: ChainState,
    statistics: Float[Array, "k p"],
    pair: Pair,
    whole: Float[Array, " p"],
    proposal: Proposal,
    second: Float[Array, " p"],
) -> Moved:
    """Metropolis and Hastings."""
    key_slot, key_accept = jax.random.split(key)
    weights = model.weights.at(state.weights)
    keep, splits = pair.keep, pair.splits
    now = statistics[jnp.stack([keep, pair.other])]
    parts = jnp.where(splits, jnp.stack([whole - second, second]), now)
    joined = statistics.at[pair.other].set(0.0).at[keep].set(whole)
    places = weights.log_splits(joined[:, 0], keep, parts[1, 0])
    slot = jnp.where(splits, jax.random.categorical(key_slot, places), pair.other)
    apart = statistics.at[keep].set(parts[0]).at[slot].set(parts[1])
    n_joined = jnp.sum(joined[:, 0] > 0)
    log_odds = (
        proposal.log_odds
        + logsumexp(places)
        - weights.log_evidence(joined[:, 0], {})
        - _log_beta(1.0 + parts[:, 0])
        + _log_choice(apart, keep, state.mixture.n_features)[slot]
        + jnp.log(n_joined / (n_joined + 1.0))
    )
    # Where no slot is empty, what was to be split is not one cluster, so that nothing above holds.
    is_pair = jnp.where(splits, jnp.any(statistics[:, 0] == 0), keep != pair.other)
    possible = is_pair & jnp.all(parts[:, 0] > 0)
    gain = jnp.where(splits, log_odds, -log_odds)
    accepted = possible & (jnp.log(jax.random.uniform(key_accept, (), whole.dtype)) < gain)
    return Moved(
        jnp.where(accepted, jnp.where(splits, apart, joined), statistics),
        _with_components(state.mixture, proposal, pair, slot, accepted),
        accepted,
    )


def _with_components(
    mixture: Mixture, proposal: Proposal, pair: Pair, slot: Array, accepted: Array
) -> Mixture:
    """The parameters that go with the move, where it was accepted."""

    def changed(values: Array, new: Array) -> Array:
        first = jnp.where(pair.splits, new[0], new[2])
        second = jnp.where(pair.splits, new[1], values[slot])
        return jnp.where(accepted, values.at[pair.keep].set(first).at[slot].set(second), values)

    return Mixture(
        mixture.structure,
        mixture.log_weights,
        changed(mixture.means, proposal.means),
        changed(mixture.covariances, proposal.covariances),
    )
