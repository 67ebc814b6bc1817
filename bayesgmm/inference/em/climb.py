"""Columns climbing together until each has nothing left to gain.

Columns run in groups of fixed size through one compiled program, whatever their number; those that have stopped,
or cannot catch up with a better start any more, leave the groups.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from bayesgmm.cores import programs_at_once
from bayesgmm.covariances import Structure
from bayesgmm.float64 import in_float64
from bayesgmm.inference.em.steps import (
    CONVERGED,
    INTERRUPTED,
    MAX_STEPS,
    RETIRED,
    RUNNING,
    Climb,
    Settings,
    advance,
    initial,
)
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture
from bayesgmm.row_blocks import FEW_ROWS, Rows

CHUNK_WORK = 100_000_000  # rows x slots of a chunk, at most
TOGETHER = 8  # columns of one program where there is room for few rows only; else they climb one by one
FEW_SLOTS = 20  # up to which columns of few rows are worth their padding
LOOK = 8  # evaluations between two looks where columns race
MOST_GROUPS = 2  # that climb at once

_advance_in_float64 = in_float64(advance)


class Climber(NamedTuple):
    """How columns climb.

    Attributes
    ----------
    structure : of the covariances
    prior : in standardised units, where the posterior is climbed
    settings : until when
    sound : whether mixtures are free of spikes; only a sound leader retires others
    tell : called with ("EM", columns at rest, columns) as they go
    """

    structure: Structure
    prior: FiniteMixture | None
    settings: Settings
    sound: Callable[[Mixture], NDArray[np.bool_]]
    tell: Callable[[str, int, int], None]

    def with_settings(self, **changes: Any) -> Climber:
        """The same with some settings changed."""
        changed = {name: np.asarray(value) for name, value in changes.items()}
        return self._replace(settings=self.settings._replace(**changed))

    def climb(
        self,
        rows: Rows,
        start: Mixture | Climb,
        races: Sequence[slice] = (slice(None),),
        margin: float = 0.0,
        floor: float = -np.inf,
    ) -> tuple[Climb, list[list[float]]]:
        """Run every column to its end.

        Parameters
        ----------
        start : mixtures (C, K, ...), on the host, standardised; or states to go on from
        races : columns of each model; within one, a start that cannot overtake the leader is retired
        margin : nats by which a column must be behind, beyond what it may still gain, to be retired
        floor : objective below which no start is of use

        Returns
        -------
        The final state on the host, and the objective at every step of every column. Raises ``Stopped`` where Ctrl-C
        ends the climb and there is something to show.
        """
        structure, sound = self.structure, self.sound
        if isinstance(start, Mixture):
            start = initial(start, structure.features(np.zeros((start.n_features, 1))).shape[0])
        slots = start.mixture.n_components
        size = TOGETHER if rows.weights.size <= FEW_ROWS and slots <= FEW_SLOTS else 1
        work = int(rows.used) * rows.weights.shape[1] * slots
        most = self.settings.chunk if start.objective.size == 1 else min(LOOK, self.settings.chunk)
        settings = self.settings._replace(chunk=np.asarray(np.clip(CHUNK_WORK // (work * size), 4, most)))
        with jax.enable_x64(True):  # on the device once, not once a chunk, and without a copy
            rows = jax.device_put(rows)
        climbing = _Climbing(start, functools.partial(_run_group, structure, rows, self.prior, size), size)
        immune = np.zeros(start.objective.size, bool)
        try:
            while (running := _running(climbing.state, races, sound, immune, floor)).size:
                climbing.go_on(running, settings)
                for race in races:
                    _retire(climbing.state, race, sound, margin, floor, immune[race], int(settings.trial))
                status = climbing.state.status
                self.tell("EM", int(np.sum(status != RUNNING)), status.size)
        except KeyboardInterrupt:
            state = climbing.state
            if not np.any(np.isfinite(state.objective)) and not np.any(state.changes):
                raise  # starts that have climbed nothing, nor a sample, are nothing to show
            climbing.land(best(state, sound), settings)
            raise Stopped(interrupted(climbing.state), climbing.history) from None
        return climbing.state, climbing.history


class Stopped(KeyboardInterrupt):
    """Ctrl-C, with where columns are by then and how they came there."""

    def __init__(self, state: Climb, history: list[list[float]]) -> None:
        super().__init__()
        self.state, self.history = state, history


class _Climbing:
    """Columns on their way, chunk by chunk."""

    def __init__(
        self, state: Climb, run: Callable[[Climb, Settings, NDArray[np.intp]], Any], size: int
    ) -> None:
        self.state, self.run, self.size = state, run, size
        self.history: list[list[float]] = [[] for _ in range(state.objective.size)]

    def go_on(self, columns: NDArray[np.intp], settings: Settings) -> None:
        """A chunk of evaluations of some columns, in groups."""
        groups = [columns[first : first + self.size] for first in range(0, columns.size, self.size)]
        ran = _side_by_side(functools.partial(self.run, self.state, settings), groups)
        for group, (part, chunk) in zip(groups, ran, strict=True):
            self.state = put_columns(self.state, part, group)
            for column, values in zip(group, chunk.T, strict=False):
                self.history[column].extend(values[np.isfinite(values)])

    def land(self, column: int, settings: Settings) -> None:
        """Leave a column where it has been evaluated, not on the way to where it would have been next."""
        while self.state.status[column] == RUNNING:
            self.go_on(np.array([column]), settings._replace(max_steps=np.asarray(0)))


def _side_by_side(run: Callable[[Any], Any], groups: list) -> list:
    if len(groups) == 1:
        return [run(groups[0])]
    with ThreadPoolExecutor(programs_at_once(MOST_GROUPS)) as pool:
        return list(pool.map(run, groups))


def interrupted(state: Climb) -> Climb:
    """A state that goes no further, though there was more to do."""
    over = np.isin(state.status, (RUNNING, CONVERGED, MAX_STEPS))
    return state._replace(status=np.where(over, INTERRUPTED, state.status))


def is_interrupted(state: Climb) -> bool:
    """Whether Ctrl-C ended the climb."""
    return bool(np.any(state.status == INTERRUPTED))


def columns_of(state: Climb, which: slice | NDArray[np.intp]) -> Climb:
    """Some columns of a state on the host."""
    return jax.tree.map(lambda leaf: leaf[which], state)


def best(state: Climb, sound: Callable[[Mixture], NDArray[np.bool_]]) -> int:
    """The highest column that is free of spikes; one that was retired, though a rounding higher, is no end."""
    eligible = np.isfinite(state.objective) & (state.status != RETIRED) & sound(state.mixture)
    return int(np.argmax(np.where(eligible, state.objective, -np.inf)))


def _run_group(structure, rows, prior, size: int, state: Climb, settings: Settings, columns: NDArray):
    """One chunk of steps for some columns, padded to ``size`` with columns at rest."""
    group = columns_of(state, np.resize(columns, size))
    group.status[columns.size :] = RETIRED
    return _advance_in_float64(structure, rows, group, prior, settings)


def put_columns(state: Climb, part: Climb, columns: NDArray[np.intp]) -> Climb:
    """The state with some columns replaced by the first of ``part``."""
    out = jax.tree.map(np.array, state)
    for whole, new in zip(jax.tree.leaves(out), jax.tree.leaves(part), strict=True):
        whole[columns] = new[: columns.size]
    return out


def _running(
    state: Climb, races: Sequence[slice], sound, immune: NDArray[np.bool_], floor: float
) -> NDArray[np.intp]:
    """Columns still to climb. A retired one runs on, for good, if those it was retired for ended below it."""
    for race in races:
        status = state.status[race]
        if not np.any(status == RUNNING) and np.any(status == RETIRED):
            eligible = np.isfinite(state.objective[race]) & sound(columns_of(state, race).mixture)
            objective = np.where(eligible, state.objective[race], -np.inf)
            ended = np.isin(status, (CONVERGED, MAX_STEPS))
            reached = max(floor, np.max(np.where(ended, objective, -np.inf)))
            revived = (status == RETIRED) & (objective > reached)
            status[revived] = RUNNING
            immune[race] |= revived
    return np.flatnonzero(state.status == RUNNING)


def _retire(
    state: Climb,
    race: slice,
    sound: Callable[[Mixture], NDArray[np.bool_]],
    margin: float,
    floor: float,
    immune: NDArray[np.bool_],
    trial: int,
) -> None:
    """Stop columns whose estimated limit, taken generously, lies below what a sound column has reached."""
    objective = np.where(np.isfinite(state.objective[race]), state.objective[race], -np.inf)
    status = state.status[race]
    if not np.any(status == RUNNING):
        return
    leader = max(floor, np.max(np.where(sound(columns_of(state, race).mixture), objective, -np.inf)))
    hope = np.where(np.isfinite(objective), 10.0 * state.remaining[race], 0.0)
    behind = objective + hope + margin < leader
    tried = state.n_steps[race] >= trial
    status[(status == RUNNING) & behind & tried & ~immune] = RETIRED
