"""Where columns of a coordinate ascent stand, and what they are told."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from bayesgmm.covariances import Array, Natural
from bayesgmm.inference.em.leap import MEMORY, columns

CHUNK = 256  # laps between two looks from the host, at most
RUNNING, CONVERGED, MAX_STEPS, NON_FINITE, RETIRED, INTERRUPTED = range(6)


class Ascent(NamedTuple):
    """Where every column stands (leading axis C).

    Attributes
    ----------
    values : (C, K, P) expected statistics T of the last accepted lap; q of weights and components follows from them
    factor : q of the weights' hyperparameters (C, ...)
    natural : of the next pass; (C, K, P) and (C, Q)
    parts : (C, G, K, P) statistics of each part of the rows
    entropies : (C, G) of the allocations of each part
    elbo, gain, remaining : (C,) in nats; of the last lap; estimated still to come
    here : (C, K, P) statistics from which ``natural`` follows: ``values``, or where a leap led
    before, residual : (C, K, P) the statistics that the last accepted lap began from, and what it added to them
    steps, changes : (C, MEMORY, K, P) the last differences of these two, the latest first, zero where unused
    longest, slowest : (C,) how many laps long the next leap may be, and by how much laps fell short of late
    on_trial : (C,) whether ``here`` is where a leap led
    settled, n_steps, status : (C,)
    """

    values: Array
    factor: dict[str, Array]
    natural: Natural
    parts: Array
    entropies: Array
    elbo: Array
    gain: Array
    remaining: Array
    here: Array
    before: Array
    residual: Array
    steps: Array
    changes: Array
    longest: Array
    slowest: Array
    on_trial: Array
    settled: Array
    n_steps: Array
    status: Array


class Settings(NamedTuple):
    """Traced, so that other values compile nothing. ``floor``: the ELBO below which a hopeless column retires."""

    tol: Array
    max_steps: Array
    reorder: Array
    accelerate: Array
    floor: Array
    chunk: Array = np.asarray(CHUNK)


def initial(natural: Natural, factor: dict[str, Array], n_parts: int) -> Ascent:
    """Host state of columns (C, ...) that are known by the natural parameters of their first pass."""
    c, *shape = natural.eta.shape
    nothing, no_history = np.zeros((c, *shape)), np.zeros((c, MEMORY, *shape))
    return Ascent(
        values=nothing,
        factor={name: np.broadcast_to(value, (c, *np.shape(value))) for name, value in factor.items()},
        natural=natural,
        parts=np.zeros((c, n_parts, *shape)),
        entropies=np.zeros((c, n_parts)),
        elbo=np.full(c, -np.inf),
        gain=np.full(c, np.inf),
        remaining=np.full(c, np.inf),
        here=nothing,
        before=nothing,
        residual=nothing,
        steps=no_history,
        changes=no_history,
        longest=np.full(c, 4.0),
        slowest=np.zeros(c),
        on_trial=np.zeros(c, bool),
        settled=np.zeros(c, int),
        n_steps=np.zeros(c, int),
        status=np.full(c, RUNNING),
    )


def in_one_part(state: Ascent) -> Ascent:
    """The same columns on the host, their rows no longer in parts."""
    return state._replace(parts=state.values[:, None], entropies=state.entropies.sum(axis=1, keepdims=True))


def choose(keep: Array, new: Any, old: Any) -> Any:
    """Columns of one state or of the other."""
    return jax.tree.map(lambda a, b: jnp.where(columns(keep, a), a, b), new, old)
