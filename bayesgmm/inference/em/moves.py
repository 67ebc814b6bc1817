"""Moves between optima: merge two components, split a third (Ueda, Nakano, Ghahramani & Hinton 2000).

EM rests where no small change helps; a component that straddles two clusters while two others share one is such a
place. From the best fit so far, pairs that share most rows are merged and others split, all candidates climb as
a batch, and the best of them is the next place to move from, until rounds bring nothing.
"""

from __future__ import annotations

import itertools

import jax
import numpy as np
from numpy.typing import NDArray

from bayesgmm.covariances import Structure
from bayesgmm.inference.em.climb import Climber, best, columns_of, interrupted
from bayesgmm.inference.em.steps import Climb
from bayesgmm.inference.start import mixtures_from_responsibilities
from bayesgmm.mixture import Mixture
from bayesgmm.posterior.few_rows import summarised
from bayesgmm.row_blocks import Rows

CANDIDATES = (
    15,
    39,
)  # of a round, at least and at most; with the mixture they come from, whole groups of eight
SHAKEN = 8  # of them
GAIN = 1e-6  # nats a row by which a candidate must be better to be moved to
PARTS = (0.5, 0.25, 0.1)  # of the rows, one of which shakes a mixture
APART = 0.8  # standard deviations by which the halves of a split are moved, each


def with_moves(
    climber: Climber,
    state: Climb,
    history: list[list[float]],
    rows: Rows,
    sample: NDArray[np.float64],
    patience: int,
    rng: np.random.Generator,
) -> tuple[Climb, list[list[float]]]:
    """Columns that have climbed, and those that rounds of moves from the best of them found to be better.

    Parameters
    ----------
    sample : (n, D), standardised rows by which it is judged which components overlap
    patience : rounds in a row that may bring nothing
    """
    failures, quiet, sound = 0, climber._replace(tell=lambda *_: None), climber.sound
    try:
        while failures < patience:
            here = best(state, sound)
            mixture = jax.tree.map(lambda leaf, here=here: leaf[here], state.mixture)
            if not np.isfinite(state.objective[here]) or _n_used(mixture) == 1:
                break
            if failures == 0:
                near = Neighbourhood(mixture, sample, rng)
            needed = state.objective[here] + GAIN * float(rows.total_weight)
            start = jax.tree.map(
                lambda one, more: np.concatenate([one[None], more]), mixture, near.candidates()
            )
            climbed, steps = quiet.climb(rows, start, floor=needed)
            there = best(climbed, sound)
            failures += 1
            if climbed.objective[there] > needed:
                new = columns_of(climbed, np.array([there]))
                state, history, failures = _joined(state, new), [*history, steps[there]], 0
            climber.tell("EM, moves", failures, patience)
    except KeyboardInterrupt:
        return interrupted(state), history
    return state, history


def _joined(state: Climb, more: Climb) -> Climb:
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), state, more)


def _n_used(mixture: Mixture) -> int:
    return int(np.sum(np.isfinite(mixture.log_weights)))


def _n_candidates(n_used: int) -> int:
    return int(np.clip(8 * ((n_used + 1) // 2) - 1, *CANDIDATES))


class Neighbourhood:
    """Mixtures near one, round after round; no split is tried anew before all others have been.

    Parameters
    ----------
    mixture : (K,), on the host; slots of weight zero stay empty
    rows : (n, D), standardised, by which it is judged which components overlap, and which are drawn to shake
    """

    def __init__(self, mixture: Mixture, rows: NDArray[np.float64], rng: np.random.Generator):
        self.mixture, self.rows, self.rng = mixture, rows, rng
        one = jax.tree.map(lambda leaf: np.asarray(leaf)[None], mixture)
        self.responsibilities = summarised(one, rows, lambda _, responsibilities: responsibilities[0])
        self.triples = _triples(mixture, self.responsibilities)
        self.next: list[int] = []  # of the triples, shuffled

    def candidates(self) -> Mixture:
        """The next mixtures (C, K): some split and merged where K allows, the rest shaken."""
        total = _n_candidates(_n_used(self.mixture))
        n_moved = min(total - SHAKEN, len(self.triples))
        if len(self.next) < n_moved:
            self.next += self.rng.permutation(len(self.triples)).tolist()
        now, self.next = self.next[:n_moved], self.next[n_moved:]
        moved = [_split_merged(self.mixture, *self.triples[i], self.rng) for i in now]
        structure, count = self.mixture.structure, total - n_moved
        shaken = _shaken(structure, self.rows, self.responsibilities, count, self.rng)
        return jax.tree.map(
            lambda some, *one: np.concatenate([np.stack(one), some]) if one else some, shaken, *moved
        )


def _triples(mixture: Mixture, responsibilities: NDArray[np.float64]) -> list[tuple[int, int, int]]:
    """Which two to merge and which to split: the K pairs that share most rows, each with every third."""
    used = np.flatnonzero(np.isfinite(mixture.log_weights)).tolist()
    norm = np.sqrt(np.sum(responsibilities**2, axis=1)) + 1e-300
    overlap = (responsibilities @ responsibilities.T) / norm / norm[:, None]
    pairs = sorted(itertools.combinations(used, 2), key=lambda pair: -overlap[pair])[: len(used)]
    return [(i, j, split) for i, j in pairs for split in used if split not in (i, j)]


def _shaken(
    structure: Structure,
    rows: NDArray[np.float64],
    responsibilities: NDArray[np.float64],
    count: int,
    rng: np.random.Generator,
) -> Mixture:
    """One M-step each (count, K) from part of the rows alone."""
    part = rng.random((count, len(rows))) < rng.choice(PARTS, count)[:, None]
    part[np.arange(count), rng.integers(len(rows), size=count)] = True
    return mixtures_from_responsibilities(structure, rows, responsibilities * part[:, None], shrink=True)


def _split_merged(mixture: Mixture, i: int, j: int, split: int, rng: np.random.Generator) -> Mixture:
    """The mixture after merging i with j into i and splitting another into itself and j."""
    structure: Structure = mixture.structure
    k, d = mixture.means.shape
    weights, means = np.exp(mixture.log_weights), mixture.means.copy()
    dense = np.array(structure.dense(mixture.covariances, k, d))
    means[i], dense[i] = _merged(weights[[i, j]], means[[i, j]], dense[[i, j]])
    offset = APART * _direction(dense[split], rng)
    means[j], means[split] = means[split] + offset, means[split] - offset
    dense[split] -= np.outer(offset, offset)
    dense[j] = dense[split]
    weights[i], weights[j] = weights[i] + weights[j], weights[split] / 2
    weights[split] /= 2
    with np.errstate(divide="ignore"):  # an empty slot has log weight -inf
        return Mixture(structure, np.log(weights), means, structure.project(dense))


def _merged(weights: NDArray, means: NDArray, dense: NDArray) -> tuple[NDArray, NDArray]:
    """Mean and covariance of two components taken as one."""
    share = weights / weights.sum()
    mean = share @ means
    away = means - mean
    return mean, np.einsum("k,kij->ij", share, dense + away[:, :, None] * away[:, None, :])


def _direction(covariance: NDArray, rng: np.random.Generator) -> NDArray:
    """One standard deviation along the longest axis of a component or, as often, along one at random."""
    if rng.random() < 0.5:
        values, vectors = np.linalg.eigh(covariance)
        return vectors[:, -1] * np.sqrt(values[-1])
    towards = rng.standard_normal(len(covariance))
    return np.linalg.cholesky(covariance) @ (towards / np.linalg.norm(towards))
