"""Sums of products ``columns @ phi.T`` over blocks, in the tiles that XLA's matrix product takes on a processor.

It takes columns by eights, so that nine cost as much as sixteen, and up to four at half the price. So a sum is held in
one or two parts: whole eights, and what is left over where that fits into four.
"""

from __future__ import annotations

import jax.numpy as jnp
from jaxtyping import Float

from bayesgmm.covariances import Array

EIGHT, FOUR = 8, 4


def zero(n: int, p: int, dtype: jnp.dtype) -> list[Float[Array, "p _"]]:
    """The sum of no blocks, of ``n`` columns by ``p`` features."""
    left = _left_over(n)
    widths = [n - left] * (n > left) + [FOUR] * (left > 0)
    return [jnp.zeros((p, width), dtype) for width in widths]


def plus(
    total: list[Float[Array, "p _"]], columns: Float[Array, "n b"], phi: Float[Array, "p b"]
) -> list[Float[Array, "p _"]]:
    """The sum and another block's product."""
    n = len(columns)
    whole = n - _left_over(n)
    tiles = [columns[:whole]] if whole else []
    if whole < n:
        tiles.append(jnp.pad(columns[whole:], ((0, FOUR - (n - whole)), (0, 0))))
    return [part + phi @ tile.T for part, tile in zip(total, tiles, strict=True)]


def joined(total: list[Float[Array, "p _"]], n: int) -> Float[Array, "n p"]:
    """The sum as one array."""
    return jnp.concatenate(total, axis=1)[:, :n].T


def _left_over(n: int) -> int:
    """Columns beyond the last whole eight, if they are few."""
    return n % EIGHT if n % EIGHT <= FOUR else 0
