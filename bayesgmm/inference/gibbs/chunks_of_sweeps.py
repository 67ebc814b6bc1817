"""Chunks of sweeps of all chains, and a longer warm-up where it leaves the chains far apart.

A chain that begins far off may be caught for thousands of sweeps where two clusters share a component and another has
two, or none: rows leave such a place one by one, if at all. Split-merge moves lead out of it soon, but take longer to
compile than all the rest, so they are made where they are needed. They leave the posterior alone: modes of some weight
go on being visited, and chains that disagree are reported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp
from numpy.typing import NDArray

from bayesgmm.compiled import compiled
from bayesgmm.covariances import Array
from bayesgmm.float64 import in_float64
from bayesgmm.inference.checkpoint import Saved
from bayesgmm.inference.gibbs.state import ChainState
from bayesgmm.inference.gibbs.sweep import log_prior, sweep
from bayesgmm.models import FiniteMixture
from bayesgmm.row_blocks import Rows

CHUNK = 100  # draws between two looks from the host
APART = 3.0  # standard deviations between chains' mean log-likelihoods; 50 draws worth 5 differ by so much once in 1e5
MOST = 5  # further warm-ups
LED_OUT = (
    "The warm-up left the chains far apart in log-likelihood, so it was prolonged by sweeps that also split and merge "
    "clusters, and these draws were made by such sweeps."
)


class Draws(NamedTuple):
    """What is kept of each draw (draws, chains, ...)."""

    state: ChainState
    log_likelihood: Array
    log_prior: Array
    accepted: Array


class ChunksOfSweeps:
    """Advances the chains by a chunk at a time.

    Parameters
    ----------
    model, rows, key : in standardised units
    num_warmup, thin : the engine's
    moves : whether split-merge moves are made
    may_move : whether they are made if the warm-up leaves the chains apart, which is then repeated with them
    tell : is told of a longer warm-up's progress
    """

    def __init__(
        self,
        model: FiniteMixture,
        rows: Rows,
        key: Array,
        num_warmup: int,
        thin: int,
        moves: bool,
        may_move: bool,
        tell: Callable[[str, int, int], None],
    ) -> None:
        self.model, self.rows, self.key, self.thin, self.moves = model, rows, key, thin, moves
        self.judged_at = num_warmup // CHUNK * CHUNK if may_move and not moves else 0
        self.tell = tell
        self._told: list[NDArray[np.float64]] = []

    def resume(self, saved: Saved) -> None:
        """Be as after so many steps."""
        self._told = [np.asarray(saved.draws.log_likelihood)[: self.judged_at]]
        if saved.done > self.judged_at > 0:
            self.moves = chains_are_apart(self._told)

    def __call__(self, state: ChainState, done: int) -> tuple[ChainState, Draws]:
        """State and number of steps done, to the state after a chunk and its draws."""
        if done == self.judged_at > 0 and chains_are_apart(self._told):
            state = self._prolonged(state)
        state, draws = self._advanced(state, done)
        if done < self.judged_at:
            self._told.append(np.asarray(draws.log_likelihood))
        return state, draws

    def _prolonged(self, state: ChainState) -> ChainState:
        """The warm-up repeated, with moves, until the chains are together; steps are numbered below 0."""
        self.moves = True
        for last in range(0, -MOST * self.judged_at, -self.judged_at):
            told: list[NDArray[np.float64]] = []
            for number in range(last - self.judged_at, last, CHUNK):
                self.tell("longer warm-up", len(told) * CHUNK - last, self.judged_at - last)
                state, draws = self._advanced(state, number)
                told.append(np.asarray(draws.log_likelihood))
            self.tell("longer warm-up", self.judged_at - last, self.judged_at - last)
            if not chains_are_apart(told):
                break
        return state

    def _advanced(self, state: ChainState, number: int) -> tuple[ChainState, Draws]:
        first, thin = np.asarray(number), np.asarray(self.thin)
        return _advance(self.model, self.rows, state, self.key, first, thin, self.moves)


def chains_are_apart(chunks: list[NDArray[np.float64]]) -> bool:
    """Whether mean log-likelihoods differ by far more than they vary within chains, over the later half of the draws.

    ``chunks`` are (draws, chains) each.
    """
    told = np.concatenate(chunks)
    later = told[len(told) // 2 :]
    within = np.sqrt(later.var(axis=0).mean())
    return bool(np.ptp(later.mean(axis=0)) > APART * within)


@in_float64
@compiled
def _advance(
    model: FiniteMixture, rows: Rows, state: ChainState, key: Array, done: Array, thin: Array, moves: bool
) -> tuple[ChainState, Draws]:
    """CHUNK draws of every chain (draws, chains, ...); one program serves warm-up and sampling.

    A draw is the state that a sweep begins from, since that is what the sweep's log-likelihood belongs to. The key of
    a sweep depends on its number alone.
    """

    def draw(state: ChainState, number: Array) -> tuple[ChainState, Draws]:
        def one(i: Array, carry: tuple) -> tuple:
            before, accepted = carry[0], carry[3]
            swept = sweep(model, rows, before, jax.random.fold_in(key, number * thin + i), moves)
            return swept.state, swept.log_likelihood, before, accepted + swept.accepted / thin

        none = jnp.zeros(state.mixture.log_weights.shape[0], state.mixture.means.dtype)
        start = (state, none, state, none)
        after, log_likelihood, before, accepted = lax.fori_loop(0, thin, one, start)
        return after, Draws(before, log_likelihood, log_prior(model, before), accepted)

    return lax.scan(draw, state, done + jnp.arange(CHUNK))
