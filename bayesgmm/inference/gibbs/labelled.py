"""Passes over rows whose allocations are kept, for moves that change many of them at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Bool, Float, Int

from bayesgmm.covariances import Array, Natural, Structure
from bayesgmm.row_blocks import Rows


class Labelled(NamedTuple):
    """Allocations of all rows, block by block (-1 on padding), their statistics, and the log-likelihood before them."""

    labels: Int[Array, "m c b"]
    statistics: Float[Array, "c k p"]
    log_likelihood: Float[Array, " c"]


def draw_labels(structure: Structure, natural: Natural, rows: Rows, key: Array) -> Labelled:
    """Every row's component drawn from its responsibilities under every chain's parameters."""
    eta, shared = natural
    c, k, p = eta.shape

    def body(i: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        labels, values, log_likelihood = carry
        x, w = rows.blocks[i], rows.weights[i]
        phi = structure.features(x)
        logits = (eta.reshape(c * k, p) @ phi).reshape(c, k, -1)
        top = jnp.max(logits, axis=1)
        below = _running_sums(jnp.exp(logits - top[:, None]))
        uniform = jax.random.uniform(jax.random.fold_in(key, i), top.shape, top.dtype)
        # The first sum above the mark; never a component of probability zero, whose sum equals the one before.
        drawn = jnp.argmax(below > (uniform * below[-1])[None], axis=0).astype(labels.dtype)
        drawn = jnp.where(w > 0, drawn, -1)
        one_hot = (drawn[:, None] == jnp.arange(k)[:, None]).astype(eta.dtype)
        values = values + (one_hot.reshape(c * k, -1) @ phi.T).reshape(c, k, p)
        return labels.at[i].set(drawn), values, log_likelihood + (top + jnp.log(below[-1])) @ w

    labels = jnp.full((rows.weights.shape[0], c, rows.weights.shape[1]), -1, jnp.int32)
    start = (labels, jnp.zeros_like(eta), jnp.zeros(c, eta.dtype))
    labels, values, log_likelihood = lax.fori_loop(0, rows.used, body, start)
    return Labelled(labels, values, log_likelihood + shared @ rows.total)


def _running_sums(values: Float[Array, "c k b"]) -> Float[Array, "k c b"]:
    """Sums over the components so far, one after another (a parallel scan is slower here)."""

    def body(total: Array, value: Array) -> tuple[Array, Array]:
        return total + value, total + value

    return lax.scan(body, jnp.zeros_like(values[:, 0]), jnp.moveaxis(values, 1, 0))[1]


def second_part(
    structure: Structure,
    rows: Rows,
    inside: Bool[Array, "m c b"],
    eta: Float[Array, "c 2 p"],
    share: Callable[[Array, Array], Array],
) -> tuple[Float[Array, "c p"], Float[Array, " c"]]:
    """Of some rows divided in two: statistics of the second part, and sum of log(1 + odds) of belonging to it.

    Parameters
    ----------
    inside : which rows are meant
    eta : natural parameters of both parts, weights included; what they share cancels
    share : log odds (C, B) and a block's number to how much of each row goes to the second part
    """
    difference = eta[:, 1] - eta[:, 0]

    def body(i: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        values, total = carry
        phi = structure.features(rows.blocks[i])
        log_odds, here = difference @ phi, inside[i]
        values = values + (share(log_odds, i) * here) @ phi.T
        return values, total + jnp.sum(jax.nn.softplus(log_odds) * here, axis=1)

    start = (jnp.zeros_like(difference), jnp.zeros_like(difference[:, 0]))
    return lax.fori_loop(0, rows.used, body, start)


def random_row(key: Array, rows: Rows, inside: Bool[Array, "m b"]) -> Float[Array, " d"]:
    """One of the rows meant, all alike probable."""
    key_block, key_row = jax.random.split(key)
    block = jax.random.categorical(key_block, jnp.log(jnp.sum(inside, axis=1, dtype=rows.weights.dtype)))
    column = jax.random.categorical(key_row, jnp.log(inside[block].astype(rows.weights.dtype)))
    return rows.blocks[block, :, column]
