"""Gibbs sampling by data augmentation: every conditional drawn exactly, chains side by side on the kernel."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from bayesgmm.compiled import compiled
from bayesgmm.covariances import Array
from bayesgmm.float64 import in_float64, to_device
from bayesgmm.inference.checkpoint import Checkpoint
from bayesgmm.inference.chunks import FEWEST, Length, run_chunks
from bayesgmm.inference.clock import Clock
from bayesgmm.inference.gibbs.chain_starts import em_start, first_states, starting_labels
from bayesgmm.inference.gibbs.split_merge import applies
from bayesgmm.inference.gibbs.state import ChainState
from bayesgmm.inference.gibbs.sweep import log_prior, sweep
from bayesgmm.inference.problem import Problem
from bayesgmm.models import FiniteMixture
from bayesgmm.posterior.assemble import assemble
from bayesgmm.posterior.posterior import Posterior
from bayesgmm.row_blocks import Rows, make_rows

CHUNK = 100  # kept draws between two looks from the host
MANY_ROWS = 1000  # from which on split-merge moves are made unless told otherwise


@dataclasses.dataclass(frozen=True)
class Gibbs:
    """Gibbs sampling with allocations drawn (Diebolt & Robert 1994), on any of the weight priors.

    For normal-inverse-Wishart and independent component priors, random scales included; for finite, sparse,
    Dirichlet-process and Pitman-Yor weights; and, where the number of components is random, the telescoping sampler
    (Fruehwirth-Schnatter, Malsiner-Walli & Gruen 2021). A sweep costs little and mixes well where clusters separate,
    badly where they overlap: there NUTS does better, and each checks the other. One chain starts at the EM fit, the
    others far from it.

    Parameters
    ----------
    num_chains : chains, run side by side
    num_warmup : draws a chain that are thrown away first
    num_samples : draws a chain that are kept
    thin : sweeps for each draw
    split_merge : whether every sweep proposes to split a cluster or to merge two (:mod:`.split_merge`); if None, from
        1000 rows on, since few rows find their way one by one, and the moves more than double the time to compile.
        A split needs an empty slot: sparse, Dirichlet-process and Pitman-Yor mixtures and those of a random number of
        components have some, a finite mixture where it has missed a group. Tied covariances allow no moves.
        ``sample_stats`` then holds ``split_merge_accepted``, the share of each draw's moves that were accepted.
    """

    num_chains: int = 4
    num_warmup: int = 500
    num_samples: int = 2000
    thin: int = 1
    split_merge: bool | None = None

    resumes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.split_merge not in (None, True, False):
            raise TypeError(f"Expected split_merge to be True, False or None; got {self.split_merge!r}.")
        for name, least in (("num_chains", 1), ("num_warmup", 0), ("num_samples", FEWEST), ("thin", 1)):
            value = getattr(self, name)
            if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
                raise ValueError(f"Expected {name} to be an integer of at least {least}; got {value!r}.")

    def run(self, problem: Problem) -> Posterior:
        """Sample one problem's posterior (``bayesgmm.fit`` prepares it).

        Interrupted (Ctrl-C) after the warm-up, it returns what was drawn, and says so among the warnings.
        """
        if not np.all(problem.sample_weight == 1):
            raise ValueError(
                "Expected no sample_weight for Gibbs; weights are EM's. Repeat or drop rows instead."
            )
        problem.model.components.check_gibbs()
        checkpoint = None if problem.checkpoint is None else Checkpoint(problem.checkpoint, problem, self)
        clock = Clock()
        start = em_start(problem)
        clock.lap("EM start")
        kept, remarks = _sample(self, problem, start, clock, checkpoint)
        remarks += problem.model.weights.remarks(
            np.exp(kept.state.mixture.log_weights).reshape(-1, _slots(kept))
        )
        kept = _without_unused_slots(kept, start.n_components)
        hyper = _in_user_units(problem, kept.state)
        stats = {"lp": kept.log_prior + kept.log_likelihood}
        if self.moves(problem):
            stats["split_merge_accepted"] = kept.accepted
        return assemble(
            problem, self, start, kept.state.mixture, stats, {}, clock.seconds, hyper=hyper, remarks=remarks
        )

    def moves(self, problem: Problem) -> bool:
        """Whether split-merge moves are made."""
        wanted = problem.observed.n_rows >= MANY_ROWS if self.split_merge is None else bool(self.split_merge)
        return wanted and applies(problem.model)


class Draws(NamedTuple):
    """What is kept of each draw (draws, chains, ...)."""

    state: ChainState
    log_likelihood: Array
    log_prior: Array
    accepted: Array


def _sample(
    engine: Gibbs, problem: Problem, start: Any, clock: Clock, checkpoint: Checkpoint | None
) -> tuple[Draws, tuple[str, ...]]:
    """The draws (chains, draws, ...) in standardised units, on the host, and words on how it went."""
    model, rows, state, key = _begin(engine, problem, start)
    moves = engine.moves(problem)

    def advance(state: ChainState, done: int) -> tuple[ChainState, Draws]:
        return _advance(model, rows, state, key, np.asarray(done), np.asarray(engine.thin), moves)

    saved = None
    if checkpoint is not None:
        saved = checkpoint.load(state, Draws(state, *np.zeros(3)))
    length = Length(engine.num_warmup, engine.num_samples, CHUNK)
    _, kept, remarks = run_chunks(problem, "Gibbs", advance, state, length, clock, checkpoint, saved)
    clock.lap("sampling")
    return kept, remarks


@in_float64
def _begin(engine: Gibbs, problem: Problem, start: Any) -> tuple[FiniteMixture, Rows, ChainState, Array]:
    """Model and rows in standardised units, the chains' first states, and the key."""
    model = jax.tree.map(jnp.asarray, problem.standard_model())
    rows = to_device(make_rows(problem.rows, model.structure))
    labels = starting_labels(problem, start, engine.num_chains)
    state = to_device(first_states(model, problem.rows, labels))
    return model, rows, state, jax.random.key(problem.seed)


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


def _slots(kept: Draws) -> int:
    return kept.state.mixture.n_components


def _without_unused_slots(kept: Draws, least: int) -> Draws:
    """Slots up to the largest number of components seen (and at least as many as the EM fit has)."""
    mixture = kept.state.mixture
    used = max(least, int(np.isfinite(mixture.log_weights).sum(axis=-1).max()))
    if used == mixture.n_components:
        return kept
    order = np.broadcast_to(np.arange(used), (*mixture.log_weights.shape[:-1], used))
    return kept._replace(state=kept.state._replace(mixture=mixture.permute(order)))


def _in_user_units(problem: Problem, state: ChainState) -> dict[str, NDArray]:
    scale, shift = problem.standardisation.scale, problem.standardisation.shift
    components = problem.model.components.state_in_units(
        problem.model.structure, state.components, scale, shift
    )
    return {**state.weights, **components}
