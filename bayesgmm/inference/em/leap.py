"""Leaps of accelerated EM, for columns (leading axis C) of statistics (C, K, P).

Anderson's combination of the last statistics (Walker & Ni 2011; on EM, Henderson & Varadhan 2019), cut to a trusted
length, or straight on where residuals grow (as SQUAREM does, Varadhan & Roland 2008).
"""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from bayesgmm.covariances import Array, Natural

MEMORY = 5  # past steps that a leap combines
RIDGE = 1e-12  # of the leap's normal equations, relative
LONGEST = 1024.0  # EM steps that a leap may be long
ONWARD = 0.0  # least cosine between a leap and the EM step


class Leap(NamedTuple):
    """Anderson's extrapolation: where to, whether it may be tried, and how many EM steps long it is."""

    target: Array
    possible: Array
    slowness: Array


def remember(steps: Array, changes: Array, step: Array, change: Array, known: Array) -> tuple[Array, Array]:
    """The histories (C, MEMORY, K, P) with the newest differences in front; zero where a column has none yet."""
    step, change = jnp.where(columns(known, step), step, 0.0), jnp.where(columns(known, change), change, 0.0)
    return (
        jnp.concatenate([step[:, None], steps[:, :-1]], axis=1),
        jnp.concatenate([change[:, None], changes[:, :-1]], axis=1),
    )


def extrapolate(
    values: Array, residual: Array, steps: Array, changes: Array, longest: Array, drift: float = 0.0
) -> Leap:
    """The combination of past steps whose residual, were EM linear, would be least; no longer than trusted.

    Where that leads back (residuals grow: EM is leaving a saddle), straight on along the residual instead.
    ``drift`` is the number of rows that may be missing from a component.
    """
    c, m = steps.shape[:2]
    flat = changes.reshape(c, m, -1)
    gram = flat @ jnp.swapaxes(flat, -1, -2)
    size = jnp.trace(gram, axis1=-2, axis2=-1)[:, None, None]
    ridge = (RIDGE * size + jnp.where(size > 0, 0.0, 1.0)) * jnp.eye(m, dtype=gram.dtype)
    share = jnp.linalg.solve(gram + ridge, flat @ residual.reshape(c, -1, 1))
    beyond = -jnp.sum(share[..., None] * (steps + changes), axis=1)  # what the leap adds to the EM step
    unit = jnp.maximum(norm(residual), 1e-300)
    length = norm(residual + beyond) / unit
    onward = jnp.sum((residual + beyond) * residual, axis=(-2, -1)) > ONWARD * length * unit**2
    shorter = jnp.minimum(1.0, longest / length)
    straight = columns(longest - 1.0, residual) * residual
    beyond = jnp.where(columns(onward, residual), columns(shorter, residual) * beyond, straight)
    # The first feature is 1, so these are counts; a leap must not empty a component.
    room, lost = 0.8 * values[..., 0] + drift, -beyond[..., 0]
    fits = jnp.min(jnp.where(lost > room, room / jnp.where(lost > room, lost, 1.0), 1.0), axis=-1)
    target = values + columns(fits, residual) * beyond
    feasible = fits > 0.05
    length = jnp.where(onward, length, longest)
    return Leap(target, feasible & (size[:, 0, 0] > 0), jnp.maximum(length, 1.0))


def remaining(natural: Natural, stepped: Natural, residual: Array, longer: Array) -> Array:
    """Estimated gain still to come from natural parameters, given what a step makes of them and of the statistics.

    The gradient of the objective in natural parameters is the residual (Fisher's identity; of the ELBO in expected
    natural parameters likewise), so a parabola that ends at the natural parameters stepped to rises by half their
    product. A plain step is too short by as many times as the leap of late was longer: Aitken's estimate (Boehning et
    al. 1994), without waiting for gains to settle.
    """
    step = stepped.eta - natural.eta
    slope = jnp.sum(
        jnp.where(jnp.isfinite(step), step, 0.0) * residual, axis=(-2, -1)
    )  # absent slots are at -inf
    finite = jnp.all(jnp.isfinite(stepped.eta[..., 1:]), axis=(-2, -1))
    return jnp.where(finite, 0.5 * jnp.abs(slope) * longer, jnp.inf)


def trust(longest: Array, leap: Leap, leaping: Array, failed: Array) -> Array:
    """How many EM steps long the next leap may be: more after one that was cut short, less after a failure."""
    longer = jnp.where(leaping & (leap.slowness >= longest), 4 * longest, longest)
    return jnp.clip(jnp.where(failed, longest / 8, longer), 2.0, LONGEST)


def norm(statistics: Array) -> Array:
    """Length of each column's statistics."""
    return jnp.sqrt(jnp.sum(statistics**2, axis=(-2, -1)))


def columns(mask: Array, like: Array) -> Array:
    """A mask of columns, to broadcast against an array of columns."""
    return mask.reshape(-1, *[1] * (like.ndim - 1))
