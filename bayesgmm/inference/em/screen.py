"""Screening: which starts are worth climbing on all rows.

Many starts climb on a small sample, in single precision where their covariances allow it; those that the sample
cannot tell from the best go on to eight times as many rows, and so on, until few are left, near their maximum.
A start is left behind only when the paired difference of its log density to the leader's is beyond two standard
errors, and when it has become the same density as a better one.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
from numpy.typing import NDArray

from bayesgmm.covariances import Structure
from bayesgmm.inference.em.climb import climb, columns_of, put_columns
from bayesgmm.inference.em.moves import with_moves
from bayesgmm.inference.em.steps import Climb, Settings
from bayesgmm.inference.problem import Problem
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture
from bayesgmm.row_blocks import Rows, first_blocks, make_rows

LOOK = 20  # evaluations after which starts far behind are given up
GROWTH = 8  # rows of a level over those of the one before
MOVES_WORK = 40_000_000  # rows x features x slots, times rounds of moves, that are not too dear
ENOUGH = 0.5  # nats, in total: what a start may still gain when its level is over
CONDITION = 1e3  # of a component's covariance, up to which single precision can rank starts
SAME = (
    4.0  # summed squared difference of log densities below which two starts are one (two standard deviations)
)

Sound = Callable[[Mixture], NDArray[np.bool_]]


def screened(
    problem: Problem,
    model: FiniteMixture,
    start: Mixture,
    sample: tuple[NDArray[np.float64], NDArray[np.float64]],
    rows: Rows,
    prior: FiniteMixture | None,
    settings: Settings,
    sound: Sound,
    patience: int,
    rng: np.random.Generator,
) -> Mixture:
    """The starts (C, K) that go on to all rows, the best first.

    Parameters
    ----------
    sample : standardised rows (n, D) and their weights, on which the starts were made
    rows : all rows, spread over the blocks
    patience : rounds of moves, from the best on the sample, that may bring nothing
    """
    judge = _Judge(model.structure, *sample, sound)
    state, first = _climb_sample(model, start, sample, prior, settings, sound)
    loose = _loosened(settings, first)
    dear = len(sample[0]) * judge.features.shape[0] * start.n_components
    patience = min(patience, MOVES_WORK // dear)
    state, _ = with_moves(state, [], first, sample[0], prior, loose, sound, patience, rng)
    kept = judge.kept(state, first)
    for used in _levels(rows, len(sample[0])):
        part = first_blocks(model.structure, rows, used)
        state = _climb_level(model, columns_of(state, kept).mixture, part, prior, settings, sound)
        kept = judge.kept(state, part)
        problem.tell("EM", 0, kept.size)
    return columns_of(state, kept).mixture


def _levels(rows: Rows, n_sample: int) -> list[int]:
    """Numbers of blocks, growing, all of them larger than the sample and smaller than the whole."""
    size = rows.blocks.shape[-1]
    out: list[int] = []
    used = int(rows.used) // GROWTH
    while used * size >= 2 * n_sample:
        out.append(used)
        used //= GROWTH
    return out[::-1]


def _climb_sample(
    model, start: Mixture, sample, prior, settings: Settings, sound: Sound
) -> tuple[Climb, Rows]:
    """All starts on the sample: in single precision, then in double the ones it is not fit for."""
    single = make_rows(sample[0], model.structure, sample[1], dtype="float32")
    state = _climb_level(model, start, single, prior, settings, sound)
    condition = _condition(state.mixture)
    doubtful = np.flatnonzero(~(condition < CONDITION))
    if doubtful.size:
        # From the start again where single precision broke down, else from where it led.
        again = _choose(np.isfinite(condition), state.mixture, start).at_draws(doubtful)
        double = make_rows(sample[0], model.structure, sample[1])
        state = put_columns(state, _climb_level(model, again, double, prior, settings, sound), doubtful)
    return state, single


def _climb_level(model, start: Mixture, rows: Rows, prior, settings: Settings, sound: Sound) -> Climb:
    """Climb until little is left to gain, against what so few rows can tell."""
    loose = _loosened(settings, rows)
    margin = float(rows.total_weight) * 0.05  # no start within noise of the leader is lost on the way
    race = [slice(0, start.means.shape[0])]
    state, _ = climb(model.structure, rows, start, prior, loose, race, sound, lambda *_: None, margin)
    return state


def _loosened(settings: Settings, rows: Rows) -> Settings:
    return settings._replace(tol=np.maximum(settings.tol, ENOUGH / _count(rows)), chunk=np.asarray(LOOK))


def _count(rows: Rows) -> int:
    """Rows of positive weight."""
    return int(np.count_nonzero(rows.weights[: int(rows.used)]))


def _choose(mask: NDArray[np.bool_], one: Mixture, other: Mixture) -> Mixture:
    def choose(a: NDArray, b: NDArray) -> NDArray:
        return np.where(mask.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return Mixture(
        one.structure,
        choose(one.log_weights, other.log_weights),
        choose(one.means, other.means),
        choose(one.covariances, other.covariances),
    )


def _condition(mixtures: Mixture) -> NDArray[np.float64]:
    """The largest condition number of a column's covariances (C,); infinite where they are not positive definite."""
    k, d = mixtures.means.shape[-2:]
    dense = mixtures.structure.dense(mixtures.covariances, k, d)
    finite = np.isfinite(dense).all(axis=(-3, -2, -1))
    values = np.linalg.eigvalsh(np.where(finite[:, None, None, None], dense, np.eye(d)))
    with np.errstate(divide="ignore"):
        worst = np.max(values[..., -1] / np.maximum(values[..., 0], 0.0), axis=-1)
    return np.where(finite, worst, np.inf)


class _Judge:
    """Which columns are kept, by their log densities on the sample in double precision."""

    def __init__(
        self, structure: Structure, rows: NDArray[np.float64], weight: NDArray[np.float64], sound: Sound
    ):
        self.features, self.shared = structure.features(rows.T), structure.shared_features(rows.T)
        self.share, self.sound = weight / weight.sum(), sound

    def kept(self, state: Climb, rows: Rows) -> NDArray[np.intp]:
        """Columns within noise of the leader, no two alike, the leader first."""
        finite = np.isfinite(state.objective)
        eligible = finite & self.sound(state.mixture)
        objective = np.where(eligible if eligible.any() else finite, state.objective, -np.inf)
        order = np.argsort(-objective, kind="stable")
        leader, n = int(order[0]), _count(rows)
        densities = {leader: self._log_density(state.mixture, leader)}
        for column in map(int, order[1:]):
            if not np.isfinite(objective[column]):
                break
            here = self._log_density(state.mixture, column)
            gap = (objective[leader] - objective[column]) / float(rows.total_weight)
            noise = np.sqrt(self._mean_square(here - densities[leader]) / n)
            alike = any(n * self._mean_square(here - other) < SAME for other in densities.values())
            if gap <= 2 * noise and not alike:
                densities[column] = here
        return np.array(list(densities), dtype=np.intp)

    def _mean_square(self, difference: NDArray[np.float64]) -> float:
        return float(self.share @ difference**2)

    def _log_density(self, mixtures: Mixture, column: int) -> NDArray[np.float64]:
        """Log density (n,) of the sample, on the host: nothing is compiled for it."""
        eta, shared = jax.tree.map(lambda leaf: leaf[column], mixtures).natural()
        with np.errstate(invalid="ignore"):  # an empty slot has log weight -inf
            logits = eta @ self.features
        top = logits.max(axis=0)
        return top + np.log(np.exp(logits - top).sum(axis=0)) + shared @ self.shared
