"""Screening: which starts are worth climbing on all rows.

Many starts climb on a small sample, in single precision where their covariances allow it; those that the sample
cannot tell from the best go on to eight times as many rows, and so on, until few are left, near their maximum.
A start is left behind only when the paired difference of its log density to the leader's is beyond two standard
errors, and when it has become the same density as a better one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from bayesgmm.covariances import Structure
from bayesgmm.inference.em.climb import (
    Climber,
    Stopped,
    best,
    columns_of,
    interrupted,
    is_interrupted,
    put_columns,
)
from bayesgmm.inference.em.degeneracy import distinct_covariances
from bayesgmm.inference.em.moves import with_moves
from bayesgmm.inference.em.steps import RETIRED, Climb, initial, resumed
from bayesgmm.inference.start import enough_rows
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture
from bayesgmm.row_blocks import Rows, first_blocks, make_rows

TRIAL = 20  # steps before a start may be given up
GROWTH = 8  # rows of a level over those of the one before
NARROW = 512  # rows of a block of the sample at most, so that few blocks are a small sample of it
MISJUDGED = 0.2  # nats a row by which single precision may misjudge a start beyond CONDITION, at most
MOVES_WORK = 40_000_000  # rows x features x slots, times rounds of moves, that are not too dear
ENOUGH = 0.5  # nats, in total: what a start may still gain when its level is over
CONDITION = 1e3  # of a component's covariance, up to which single precision can rank starts
SAME = (
    4.0  # summed squared difference of log densities below which two starts are one (two standard deviations)
)

Sound = Callable[[Mixture], NDArray[np.bool_]]


def screened(
    model: FiniteMixture,
    start: Mixture,
    sample: tuple[NDArray[np.float64], NDArray[np.float64]],
    rows: Rows,
    climber: Climber,
    patience: int,
    rng: np.random.Generator,
) -> Climb:
    """The starts (C, K) that go on to all rows, the best first.

    Parameters
    ----------
    sample : standardised rows (n, D) and their weights
    rows : all rows, spread over the blocks
    patience : rounds of moves, from the best on the sample, that may bring nothing

    Raises ``Stopped`` on Ctrl-C: the best start by then, evaluated on all rows.
    """
    try:
        return _screened(model, start, sample, rows, climber, patience, rng)
    except Stopped as stopped:
        leader = columns_of(stopped.state, np.array([best(stopped.state, climber.sound)]))
        state, history = climber.with_settings(max_steps=0).climb(rows, leader.mixture)
        raise Stopped(interrupted(state), history) from None


def _screened(model, start, sample, rows, climber, patience, rng) -> Climb:
    """:func:`screened`, Ctrl-C aside."""
    judge = _Judge(model.structure, *sample, climber.sound)
    level = _Level(model, climber._replace(tell=lambda _, *done: climber.tell("EM, sample", *done)))
    first = make_rows(sample[0], model.structure, sample[1], dtype="float32", most=NARROW, spread=True)
    state = level.climb_sample(start, sample, first, rows, judge)
    dear = len(sample[0]) * judge.features.shape[0] * start.n_components
    patience = min(patience, MOVES_WORK // dear)
    state, _ = with_moves(_loosened(climber, first), state, [], first, sample[0], patience, rng)
    if is_interrupted(state):
        raise Stopped(state, [])
    kept, before = judge.kept(state, first), first
    for used in _levels(rows, len(sample[0])):
        part = first_blocks(model.structure, rows, used)
        state = level.climb(level.resumed(columns_of(state, kept), before, part), part)
        kept, before = judge.kept(state, part), part
    return level.resumed(columns_of(state, kept), before, rows)


def _levels(rows: Rows, n_sample: int) -> list[int]:
    """Numbers of blocks, growing, all of them larger than the sample and smaller than the whole."""
    size = rows.blocks.shape[-1]
    out: list[int] = []
    used = int(rows.used) // GROWTH
    while used * size >= 2 * n_sample:
        out.append(used)
        used //= GROWTH
    return out[::-1]


class _Level(NamedTuple):
    """How starts climb a part of the rows."""

    model: FiniteMixture
    climber: Climber

    def climb(self, start: Mixture | Climb, rows: Rows) -> Climb:
        """Until little is left to gain, against what so few rows can tell."""
        margin = float(rows.total_weight) * 0.05  # no start within noise of the leader is lost on the way
        return _loosened(self.climber, rows).climb(rows, start, margin=margin)[0]

    def resumed(self, state: Climb, before: Rows, rows: Rows) -> Climb:
        """Columns that climbed some rows, to go on with others."""
        return resumed(state, rows.total_weight, before.total_weight)

    def climb_sample(
        self, start: Mixture, sample: tuple[NDArray, NDArray], single: Rows, whole: Rows, judge: _Judge
    ) -> Climb:
        """On part of the sample, then all of it: in single precision, and in double where that is not fit.

        What is compiled for the whole serves the sample in double precision.
        """
        structure = self.model.structure
        going: Mixture | Climb = start
        few = -(-enough_rows(self.model, start.n_features) // single.blocks.shape[-1])
        if 2 * few <= int(single.used):
            young = first_blocks(structure, single, few)
            state = self.climb(start, young)
            kept = np.union1d(judge.kept(state, young), np.flatnonzero(self._doubtful(state, young)))
            start = start.at_draws(kept)
            going = self._resumed_where_finite(columns_of(state, kept), start, young, single)
        state = self.climb(going, single)
        doubtful = np.flatnonzero(self._doubtful(state, single))
        if doubtful.size:
            double = make_rows(sample[0], structure, sample[1], spread=True, like=whole)
            again = self._resumed_where_finite(
                columns_of(state, doubtful), start.at_draws(doubtful), single, double
            )
            state = put_columns(state, self.climb(again, double), doubtful)
        return state

    def _resumed_where_finite(self, state: Climb, start: Mixture, before: Rows, rows: Rows) -> Climb:
        """Columns resumed; from the start again where single precision broke down."""
        finite = np.flatnonzero(np.isfinite(_condition(state.mixture)) & np.isfinite(state.objective))
        fresh = initial(start, state.here.shape[-1])
        if not finite.size:
            return fresh
        return put_columns(fresh, self.resumed(columns_of(state, finite), before, rows), finite)

    def _doubtful(self, state: Climb, rows: Rows) -> NDArray[np.bool_]:
        """Columns that single precision may have misjudged: ill-conditioned, and not hopeless all the same."""
        trusted = _condition(state.mixture) < CONDITION
        fit = trusted & np.isfinite(state.objective) & self.climber.sound(state.mixture)
        leader = np.max(np.where(fit, state.objective, -np.inf))
        behind = state.objective + MISJUDGED * float(rows.total_weight) < leader
        return ~trusted & ~((state.status == RETIRED) & behind)


def _loosened(climber: Climber, rows: Rows) -> Climber:
    return climber.with_settings(tol=max(float(climber.settings.tol), ENOUGH / _count(rows)), trial=TRIAL)


def _count(rows: Rows) -> int:
    """Rows of positive weight."""
    return int(np.count_nonzero(rows.weights[: int(rows.used)]))


def _condition(mixtures: Mixture) -> NDArray[np.float64]:
    """The largest condition number of a column's covariances (C,); infinite where they are not positive definite."""
    dense = distinct_covariances(mixtures)
    finite = np.isfinite(dense).all(axis=(-3, -2, -1))
    values = np.linalg.eigvalsh(np.where(finite[:, None, None, None], dense, np.eye(dense.shape[-1])))
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
