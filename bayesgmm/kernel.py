"""The kernel: one fused pass over blocks of rows, for every engine.

A Gaussian component's log density is linear in a table of features of the row, so for natural parameters
``eta`` (C columns of K components: restarts, chains or draws stack into the same product)

    logits = eta . Phi        R = softmax_k(logits)        T = R Phi'        log-likelihood = sum logsumexp

Rows lie features-major in blocks of B, ``(M, D, B)``; features are made block by block, so memory beyond the
data is of the order of one block times C K, never N x K. The number of blocks in use is traced and the number
stored is rounded up, so that a data set of a few more rows compiles nothing new.

Everything here is a pure function of arrays, differentiable; :func:`log_density` has a ``custom_vjp`` whose
backward pass is the same blocked pass (Fisher's identity: the gradient with respect to eta is T).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Float, Int, Shaped

from bayesgmm import tiled_product
from bayesgmm.covariances import Array, Natural, Structure
from bayesgmm.exponential import exp
from bayesgmm.logarithm import log
from bayesgmm.row_blocks import Rows, block_size

FEW = 10  # components up to which a reduction over them is written out


class Statistics(NamedTuple):
    """Sufficient statistics T (C, K, P) and the log-likelihood (C,)."""

    values: Float[Array, "c k p"]
    log_likelihood: Float[Array, " c"]


def _logits(eta: Float[Array, "c k p"], phi: Float[Array, "p b"]) -> Float[Array, "c k b"]:
    c, k, p = eta.shape
    return (eta.reshape(c * k, p) @ phi).reshape(c, k, phi.shape[-1])


def _softmax(
    logits: Float[Array, "c k b"], weights: Float[Array, " b"] | None = None
) -> tuple[Float[Array, "c b"], Float[Array, "c k b"]]:
    """Logsumexp over components, and responsibilities times the rows' weights, from one pass of exponentials."""
    top = _over_components(jnp.maximum, jnp.max, logits)
    top = jnp.where(jnp.isfinite(top), top, 0.0)
    exponentials = exp(logits - top)
    # One division a row, not one a component; and XLA keeps a quotient, but would add up anew for everyone who asks.
    inverse = 1.0 / _over_components(jnp.add, jnp.sum, exponentials)
    share = inverse if weights is None else inverse * weights
    return (top - log(inverse))[:, 0], exponentials * share


def _over_components(
    operation: Callable[[Array, Array], Array], reduction: Callable[..., Array], values: Float[Array, "c k b"]
) -> Float[Array, "c 1 b"]:
    """A reduction; for few components one operation after the other, which runs twice as fast on a processor."""
    if values.shape[1] > FEW:
        return reduction(values, axis=1, keepdims=True)
    return functools.reduce(operation, jnp.split(values, values.shape[1], axis=1))


def _block(rows: Rows, i: Array) -> tuple[Array, Array]:
    take = functools.partial(lax.dynamic_index_in_dim, index=i, keepdims=False)
    return take(rows.blocks), take(rows.weights)


def statistics(
    structure: Structure, natural: Natural, rows: Rows, first: int | Int[Array, ""] = 0
) -> Statistics:
    """The fused pass: responsibilities, their statistics and the log-likelihood, over all rows.

    Parameters
    ----------
    natural : eta (C, K, P) and shared (C, Q).
    first : block to begin with; then ``rows.total`` must be that of the blocks from there to ``rows.used``
    """
    eta, shared = natural
    c, k, p = eta.shape
    narrow = eta.astype(rows.blocks.dtype)

    def body(i: Array, carry: tuple[list[Array], Array]) -> tuple[list[Array], Array]:
        values, log_likelihood = carry
        x, w = _block(rows, i)
        phi = structure.features(x)
        log_sum, responsibilities = _softmax(_logits(narrow, phi), w)
        # The blocks add up in eta's precision, whatever theirs is.
        values = tiled_product.plus(values, responsibilities.reshape(c * k, -1), phi)
        return values, log_likelihood + log_sum @ w

    start = (tiled_product.zero(c * k, p, eta.dtype), jnp.zeros(c, eta.dtype))
    values, log_likelihood = lax.fori_loop(first, rows.used, body, start)
    values = tiled_product.joined(values, c * k).reshape(c, k, p)
    return Statistics(values, log_likelihood + shared @ rows.total)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def total_log_density(structure: Structure, natural: Natural, rows: Rows) -> Float[Array, " c"]:
    """Log-likelihood (C,) of all rows, value and gradient from one pass (Fisher's identity: the gradient is T)."""
    return statistics(structure, natural, rows).log_likelihood


def _total_log_density_forward(structure: Structure, natural: Natural, rows: Rows):
    found = statistics(structure, natural, rows)
    return found.log_likelihood, (found.values, rows.total)


def _total_log_density_backward(structure: Structure, saved: tuple[Array, Array], cotangent: Array):
    values, total = saved
    return Natural(cotangent[:, None, None] * values, cotangent[:, None] * total), None


total_log_density.defvjp(_total_log_density_forward, _total_log_density_backward)


def memberships(structure: Structure, natural: Natural, rows: Rows) -> Float[Array, "k n"]:
    """Responsibilities averaged over the C columns: (K, M B), padding included."""

    def one(block: tuple[Array, Array]) -> Array:
        _, responsibilities = _softmax(_logits(natural.eta, structure.features(block[0])))
        return jnp.mean(responsibilities, axis=0)

    out = lax.map(one, (rows.blocks, rows.weights))
    return jnp.swapaxes(out, 0, 1).reshape(out.shape[1], -1)


def contingency(
    structure: Structure, natural: Natural, rows: Rows, partition: Int[Array, "m b"]
) -> Float[Array, "c k j"]:
    """Expected rows that each column puts in component k and the given partition in cluster j (one of K)."""

    def body(i: Array, total: Array) -> Array:
        x, w = _block(rows, i)
        _, responsibilities = _softmax(_logits(natural.eta, structure.features(x)), w)
        labels = lax.dynamic_index_in_dim(partition, i, keepdims=False)
        here = jax.nn.one_hot(labels, k, dtype=w.dtype)
        return total + responsibilities @ here

    c, k, _ = natural.eta.shape
    return lax.fori_loop(0, rows.used, body, jnp.zeros((c, k, k), natural.eta.dtype))


def allocation_counts(structure: Structure, natural: Natural, rows: Rows, key: Array) -> Float[Array, "c k"]:
    """Rows in each component when every row's component is drawn from its responsibilities."""
    c, k, _ = natural.eta.shape

    def body(i: Array, total: Array) -> Array:
        x, w = _block(rows, i)
        labels = _drawn(structure, natural, x, jax.random.fold_in(key, i))
        return total + jnp.sum(jax.nn.one_hot(labels, k, axis=1, dtype=w.dtype) * (w > 0), axis=-1)

    return lax.fori_loop(0, rows.used, body, jnp.zeros((c, k), natural.eta.dtype))


def allocations(structure: Structure, natural: Natural, rows: Rows, key: Array) -> Int[Array, "c n"]:
    """Every row's component drawn from its responsibilities under every column: (C, M B), padding included."""

    def one(block: tuple[Array, Array]) -> Array:
        i, x = block
        return _drawn(structure, natural, x, jax.random.fold_in(key, i))

    out = lax.map(one, (jnp.arange(rows.blocks.shape[0]), rows.blocks))
    return jnp.swapaxes(out, 0, 1).reshape(out.shape[1], -1)


def _drawn(structure: Structure, natural: Natural, x: Float[Array, "d b"], key: Array) -> Int[Array, "c b"]:
    """Components of one block's rows under every column."""
    _, probabilities = _softmax(_logits(natural.eta, structure.features(x)))
    return _draw_labels(probabilities, key)


def posterior_probabilities(structure: Structure, natural: Natural, rows: Rows) -> Float[Array, "n c k"]:
    """Responsibilities of every row under every column: (M B, C, K), padding included; for few columns at once."""

    def one(x: Array) -> Array:
        _, responsibilities = _softmax(_logits(natural.eta, structure.features(x)))
        return jnp.moveaxis(responsibilities, -1, 0)

    out = lax.map(one, rows.blocks)
    return out.reshape(-1, *out.shape[2:])


def per_row(
    structure: Structure,
    natural: Natural,
    rows: Rows,
    summary: Callable[[Float[Array, "c b"], Float[Array, "c k b"]], Array],
) -> Shaped[Array, " n"]:
    """One number a row, (M B,), from the rows' log densities (C, B) and responsibilities (C, K, B), block by block."""

    def one(x: Array) -> Array:
        log_sum, responsibilities = _softmax(_logits(natural.eta, structure.features(x)))
        return summary(log_sum + natural.shared @ structure.shared_features(x), responsibilities)

    return lax.map(one, rows.blocks).reshape(-1)


def log_density(structure: Structure, natural: Natural, rows: Rows) -> Float[Array, "c n"]:
    """Log density of every row under every column: (C, M B), padding included."""
    pointwise = _log_density(structure, natural.eta, natural.shared, rows.blocks)
    return jnp.swapaxes(pointwise, 0, 1).reshape(natural.eta.shape[0], -1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _log_density(structure: Structure, eta: Array, shared: Array, blocks: Array) -> Float[Array, "m c b"]:
    def one(x: Array) -> Array:
        log_sum, _ = _softmax(_logits(eta, structure.features(x)))
        return log_sum + shared @ structure.shared_features(x)

    return lax.map(one, blocks)


def _log_density_forward(structure: Structure, eta: Array, shared: Array, blocks: Array):
    return _log_density(structure, eta, shared, blocks), (eta, shared, blocks)


def _log_density_backward(structure: Structure, saved: tuple[Array, Array, Array], cotangent: Array):
    """Fisher's identity: the gradient is the statistics, rows weighted by the cotangent."""
    eta, shared, blocks = saved
    c, k, p = eta.shape

    def one(carry: tuple[Array, Array], block: tuple[Array, Array]) -> tuple[tuple[Array, Array], None]:
        x, g = block
        phi = structure.features(x)
        _, responsibilities = _softmax(_logits(eta, phi))
        weighted = (responsibilities * g[:, None, :]).reshape(c * k, -1)
        d_eta, d_shared = carry
        d_eta = d_eta + (weighted @ phi.T).reshape(c, k, p)
        return (d_eta, d_shared + g @ structure.shared_features(x).T), None

    start = (jnp.zeros_like(eta), jnp.zeros_like(shared))
    (d_eta, d_shared), _ = lax.scan(one, start, (blocks, cotangent))
    return d_eta, d_shared, jnp.zeros_like(blocks)


_log_density.defvjp(_log_density_forward, _log_density_backward)


def log_density_of_rows(
    structure: Structure, natural: Natural, x: Float[Array, "n d"]
) -> Float[Array, "c n"]:
    """Log density of device rows (N, D), traced: one block where small, blocked with ``custom_vjp`` where large."""
    n, d = x.shape
    size = block_size(structure, d, n)
    if n <= 4 * size:
        log_sum, _ = _softmax(_logits(natural.eta, structure.features(x.T)))
        return log_sum + natural.shared @ structure.shared_features(x.T)
    stored = -(-n // size)
    padded = jnp.zeros((stored * size, d), x.dtype).at[:n].set(x)
    blocks = jnp.swapaxes(padded.reshape(stored, size, d), 1, 2)
    pointwise = _log_density(structure, natural.eta, natural.shared, blocks)
    return jnp.swapaxes(pointwise, 0, 1).reshape(natural.eta.shape[0], -1)[:, :n]


def drawn_statistics(structure: Structure, natural: Natural, rows: Rows, key: Array) -> Statistics:
    """:func:`statistics` with every row's component drawn from its responsibilities, for Gibbs.

    The log-likelihood is that of the mixture, assignments summed out, as there.
    """
    eta, shared = natural
    c, k, p = eta.shape

    def body(i: Array, carry: tuple[list[Array], Array]) -> tuple[list[Array], Array]:
        values, log_likelihood = carry
        x, w = _block(rows, i)
        phi = structure.features(x)
        log_sum, probabilities = _softmax(_logits(eta, phi))
        labels = _draw_labels(probabilities, jax.random.fold_in(key, i))
        drawn = (labels[:, None] == jnp.arange(k)[:, None]).reshape(c * k, -1) * w
        return tiled_product.plus(values, drawn, phi), log_likelihood + log_sum @ w

    start = (tiled_product.zero(c * k, p, eta.dtype), jnp.zeros(c, eta.dtype))
    values, log_likelihood = lax.fori_loop(0, rows.used, body, start)
    values = tiled_product.joined(values, c * k).reshape(c, k, p)
    return Statistics(values, log_likelihood + shared @ rows.total)


def _draw_labels(probabilities: Float[Array, "c k b"], key: Array) -> Int[Array, "c b"]:
    """A component for every column of a block, by the inverse of the distribution function, component by component."""
    c, k, b = probabilities.shape
    uniform = jax.random.uniform(key, (c, b), probabilities.dtype)

    def body(j: Array, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        below, labels = carry
        below = below + lax.dynamic_index_in_dim(probabilities, j, 1, keepdims=False)
        return below, labels + (uniform >= below)

    # The last component takes what rounding leaves, unless it is absent: then the last that is present does.
    present = jnp.any(probabilities > 0, axis=2)
    last = k - 1 - jnp.argmax(present[:, ::-1], axis=1)
    start = (jnp.zeros_like(uniform), jnp.zeros((c, b), jnp.int32))
    _, labels = lax.fori_loop(0, k, body, start)
    return jnp.minimum(labels, last[:, None].astype(jnp.int32))
