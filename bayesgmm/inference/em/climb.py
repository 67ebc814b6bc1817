"""Columns climbing together until each has nothing left to gain.

Columns run in groups of fixed size through one compiled program, whatever their number; those that have stopped,
or cannot catch up with a better start any more, leave the groups.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import jax
import numpy as np
from numpy.typing import NDArray

from bayesgmm.cores import programs_at_once
from bayesgmm.covariances import Structure
from bayesgmm.float64 import in_float64
from bayesgmm.inference.em.steps import (
    CONVERGED,
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
from bayesgmm.row_blocks import Rows

CHUNK_WORK = 100_000_000  # rows x slots of a chunk, at most
GROUPS = {
    20_000: 8,
    200_000: 4,
}  # columns of one program by rows x slots up to which they are worth their padding
SIDE_BY_SIDE = 8  # evaluations between two looks where columns of many rows race one by one
MOST_GROUPS = 2  # that climb at once

_advance_in_float64 = in_float64(advance)


def climb(
    structure: Structure,
    rows: Rows,
    start: Mixture | Climb,
    prior: FiniteMixture | None,
    settings: Settings,
    races: Sequence[slice],
    sound: Callable[[Mixture], NDArray[np.bool_]],
    tell: Callable[[str, int, int], None],
    margin: float = 0.0,
    floor: float = -np.inf,
) -> tuple[Climb, list[list[float]]]:
    """Run every column to its end.

    Parameters
    ----------
    start : mixtures (C, K, ...), on the host, standardised; or states to go on from
    races : columns of each model; within one, a start that cannot overtake the leader is retired
    sound : whether mixtures are free of spikes; only a sound leader retires others
    margin : nats by which a column must be behind, beyond what it may still gain, to be retired
    floor : objective below which no start is of use

    Returns
    -------
    The final state on the host, and the objective at every step of every column.
    """
    if isinstance(start, Mixture):
        start = initial(start, structure.features(np.zeros((start.n_features, 1))).shape[0])
    state = start
    # By what is stored, not used: one program climbs the first blocks and all of them.
    work = rows.weights.size * state.mixture.n_components
    size = next((size for most, size in GROUPS.items() if work <= most), 1)
    most = settings.chunk if size > 1 or state.objective.size == 1 else min(SIDE_BY_SIDE, settings.chunk)
    settings = settings._replace(chunk=np.asarray(np.clip(CHUNK_WORK // (work * size), 4, most)))
    with jax.enable_x64(True):  # on the device once, not once a chunk, and without a copy
        rows = jax.device_put(rows)
    history: list[list[float]] = [[] for _ in range(state.objective.size)]
    immune = np.zeros(state.objective.size, bool)
    with ThreadPoolExecutor(programs_at_once(MOST_GROUPS)) as pool:
        while (running := _running(state, races, sound, immune, floor)).size:
            groups = [running[first : first + size] for first in range(0, running.size, size)]
            run = functools.partial(_run_group, structure, rows, state, size, prior, settings)
            ran = map(run, groups) if len(groups) == 1 else pool.map(run, groups)
            for columns, (part, chunk) in zip(groups, list(ran), strict=True):
                state = put_columns(state, part, columns)
                for column, values in zip(columns, chunk.T, strict=False):
                    history[column].extend(values[np.isfinite(values)])
            for race in races:
                _retire(state, race, sound, margin, floor, immune[race])
            tell("EM", int(np.sum(state.status != RUNNING)), state.status.size)
    return state, history


def columns_of(state: Climb, which: slice | NDArray[np.intp]) -> Climb:
    """Some columns of a state on the host."""
    return jax.tree.map(lambda leaf: leaf[which], state)


def _run_group(structure, rows, state: Climb, size: int, prior, settings, columns: NDArray):
    """One chunk of steps for some columns, padded to ``size`` with columns at rest."""
    group = columns_of(state, np.resize(columns, size))
    group.status[columns.size :] = RETIRED
    return _advance_in_float64(structure, rows, group, prior, settings)


def put_columns(state: Climb, part: Climb, columns: NDArray[np.intp]) -> Climb:
    """The state with some columns replaced by the first of ``part``."""

    def put(whole: NDArray, new: NDArray) -> NDArray:
        whole = np.array(whole)
        whole[columns] = new[: columns.size]
        return whole

    return jax.tree.map(put, state, part)


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
) -> None:
    """Stop columns whose estimated limit, taken generously, lies below what a sound column has reached."""
    objective = np.where(np.isfinite(state.objective[race]), state.objective[race], -np.inf)
    status = state.status[race]
    if not np.any(status == RUNNING):
        return
    leader = max(floor, np.max(np.where(sound(columns_of(state, race).mixture), objective, -np.inf)))
    hope = np.where(np.isfinite(objective), 10.0 * state.remaining[race], 0.0)
    behind = objective + hope + margin < leader
    status[(status == RUNNING) & behind & ~immune] = RETIRED
