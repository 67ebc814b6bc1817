"""Gibbs sampling by data augmentation: every conditional drawn exactly, chains side by side on the kernel."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from bayesgmm.covariances import Array
from bayesgmm.float64 import in_float64, to_device
from bayesgmm.inference.checkpoint import Checkpoint
from bayesgmm.inference.chunks import FEWEST, Length, run_chunks
from bayesgmm.inference.clock import Clock
from bayesgmm.inference.gibbs.chain_starts import em_start, first_states, starting_labels
from bayesgmm.inference.gibbs.chunks_of_sweeps import CHUNK, LED_OUT, ChunksOfSweeps, Draws
from bayesgmm.inference.gibbs.split_merge import applies
from bayesgmm.inference.gibbs.state import ChainState
from bayesgmm.inference.problem import Problem
from bayesgmm.models import FiniteMixture
from bayesgmm.posterior.assemble import assemble
from bayesgmm.posterior.posterior import Posterior
from bayesgmm.row_blocks import Rows, make_rows

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
        1000 rows on, and in finite mixtures of fewer rows where the warm-up leaves the chains far apart, which is then
        repeated with moves: they more than double the time to compile, and few rows mostly find their way one by one.
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
        kept, remarks, moved = _sample(self, problem, start, clock, checkpoint)
        remarks += problem.model.weights.remarks(
            np.exp(kept.state.mixture.log_weights).reshape(-1, _slots(kept))
        )
        kept = _without_unused_slots(kept, start.n_components)
        hyper = _in_user_units(problem, kept.state)
        stats = {"lp": kept.log_prior + kept.log_likelihood}
        if moved:
            stats["split_merge_accepted"] = kept.accepted
        return assemble(
            problem, self, start, kept.state.mixture, stats, {}, clock.seconds, hyper=hyper, remarks=remarks
        )

    def moves(self, problem: Problem) -> bool:
        """Whether split-merge moves are made from the first sweep on."""
        wanted = problem.observed.n_rows >= MANY_ROWS if self.split_merge is None else bool(self.split_merge)
        return wanted and applies(problem.model)

    def may_move(self, problem: Problem) -> bool:
        """Whether moves are made where the warm-up leaves the chains apart.

        Not where slots are to spare: there likelihoods of different numbers of clusters tell little.
        """
        return self.split_merge is None and applies(problem.model) and not problem.model.weights.overfits


def _sample(
    engine: Gibbs, problem: Problem, start: Any, clock: Clock, checkpoint: Checkpoint | None
) -> tuple[Draws, tuple[str, ...], bool]:
    """The draws (chains, draws, ...) in standardised units, on the host, words on how it went, and whether by moves."""
    model, rows, state, key = _begin(engine, problem, start)
    moves, may_move = engine.moves(problem), engine.may_move(problem)
    advance = ChunksOfSweeps(model, rows, key, engine.num_warmup, engine.thin, moves, may_move, problem.tell)
    saved = None
    if checkpoint is not None:
        saved = checkpoint.load(state, Draws(state, *np.zeros(3)))
    if saved is not None:
        advance.resume(saved)
    length = Length(engine.num_warmup, engine.num_samples, CHUNK)
    _, kept, remarks = run_chunks(problem, "Gibbs", advance, state, length, clock, checkpoint, saved)
    clock.lap("sampling")
    led_out = advance.moves and not moves
    return kept, (LED_OUT, *remarks) if led_out else remarks, advance.moves


@in_float64
def _begin(engine: Gibbs, problem: Problem, start: Any) -> tuple[FiniteMixture, Rows, ChainState, Array]:
    """Model and rows in standardised units, the chains' first states, and the key."""
    model = jax.tree.map(jnp.asarray, problem.standard_model())
    rows = to_device(make_rows(problem.rows, model.structure))
    labels = starting_labels(problem, start, engine.num_chains)
    state = to_device(first_states(model, problem.rows, labels))
    return model, rows, state, jax.random.key(problem.seed)


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
