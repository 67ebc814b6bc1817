"""From starts to one place: columns climb, then moves change the number of clusters where that raises the ELBO.

Every proposal (:mod:`bayesgmm.inference.cavi.proposals`) climbs on the exact ELBO, gives up when hopeless, and is
accepted only above the ELBO it began from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from numpy.typing import NDArray

from bayesgmm.covariances import Natural
from bayesgmm.inference.cavi.ascent import advance
from bayesgmm.inference.cavi.proposals import proposals
from bayesgmm.inference.cavi.state import (
    CHUNK,
    INTERRUPTED,
    NON_FINITE,
    RUNNING,
    Ascent,
    Settings,
    in_one_part,
    initial,
)
from bayesgmm.models import FiniteMixture
from bayesgmm.row_blocks import Rows

CHUNK_WORK = 50_000_000  # rows x slots of a chunk of laps
# Columns of one program, by rows x slots up to which they are worth their padding.
GROUPS = {5_000: 16, 40_000: 8, 200_000: 4}
PARTS = 8  # of the rows, where
PARTED_WORK = 1_000_000  # rows x slots are so many: then q follows every part, not every lap
PARTED_LAPS = 24  # then leaps do more along what is slow, and those move all rows' statistics at once
GAIN = 1e-2  # nats by which a proposal must be better: far above what rounding and stopping leave

Tell = Callable[[str, int, int], None]


class Place(NamedTuple):
    """One column on the host (no leading axis), the ELBO after every lap that led to it, and the other ends."""

    state: Ascent
    history: list[float]
    ends: NDArray[np.float64]
    moves: tuple[str, ...]


class Task(NamedTuple):
    """What does not change while searching.

    ``factor``: q of the weights' hyperparameters to begin with. ``together``: columns of one program, at most.
    """

    model: FiniteMixture
    rows: Rows
    factor: dict[str, Any]
    tol: float
    max_steps: int
    reorder: bool
    accelerate: bool
    together: int
    tell: Tell
    phase: str = "CAVI"


def search(
    task: Task, start: Natural, sample: NDArray[np.float64], patience: int, rng: np.random.Generator
) -> Place:
    """The best of the starts, then what moves made of it; where interrupted, what was best by then.

    Parameters
    ----------
    start : natural parameters (C, K, P) of the first passes
    sample : standardised rows (n, D) by which splits are proposed
    patience : rounds of moves in a row that may bring nothing
    """
    ends = climbed(task, start, -np.inf)
    elbo = np.array([state.elbo for state, _ in ends])
    if not np.any(np.isfinite(elbo)):
        raise FloatingPointError(
            "No start gave a finite ELBO: the prior or the data are too extreme for double precision. Check scale and "
            "mean_precision of the component prior."
        )
    best = int(np.argmax(np.where(np.isfinite(elbo), elbo, -np.inf)))
    place = Place(*ends[best], elbo, ())
    if any(state.status == INTERRUPTED for state, _ in ends):
        return _interrupted(place)
    failures = 0
    try:
        while failures < patience:
            better = _moved(task, place, sample, rng, deterministic=failures == 0)
            failures = failures + 1 if better is None else 0
            place = better or place
    except KeyboardInterrupt:
        return _interrupted(place)
    return place


def one_lap(task: Task, start: Natural) -> Place:
    """The first start after one pass over all rows: what an interrupted search has to show."""
    (end,) = climbed(task._replace(max_steps=1), _columns(start, np.arange(1)), -np.inf)
    return _interrupted(Place(*end, np.array([end[0].elbo]), ()))


def _interrupted(place: Place) -> Place:
    return place._replace(state=place.state._replace(status=np.asarray(INTERRUPTED)))


def climbed(task: Task, start: Natural, floor: float) -> list[tuple[Ascent, list[float]]]:
    """Every column's last state on the host and its ELBOs; of starts, where interrupted, those that have one."""
    c = start.eta.shape[0]
    size = _group_size(task)
    out = []
    for first in range(0, c, size):
        out += _climb_group(task, _columns(start, np.arange(first, min(first + size, c))), size, floor)
        if floor == -np.inf:
            task.tell(task.phase, min(first + size, c), c)
        if out[-1][0].status == INTERRUPTED:
            break
    return out


def _group_size(task: Task) -> int:
    work = _work(task)
    return min(task.together, next((size for most, size in GROUPS.items() if work <= most), 1))


def _work(task: Task) -> int:
    return int(task.rows.used) * task.rows.blocks.shape[-1] * task.model.n_components


def _climb_group(task: Task, start: Natural, size: int, floor: float) -> list[tuple[Ascent, list[float]]]:
    """Columns (at most ``size``) climbed together, padded with columns at rest."""
    n = start.eta.shape[0]
    parts = PARTS if _work(task) > PARTED_WORK else 1
    state = initial(_columns(start, np.resize(np.arange(n), size)), task.factor, parts)
    state.status[n:] = NON_FINITE
    settings = Settings(
        np.asarray(task.tol),
        np.asarray(task.max_steps),
        np.asarray(task.reorder),
        np.asarray(task.accelerate),
        np.asarray(float(floor)),
        np.asarray(int(np.clip(CHUNK_WORK // (_work(task) * size), 4, CHUNK))),
    )
    history: list[list[float]] = [[] for _ in range(n)]
    try:
        while np.any(state.status == RUNNING):
            if task.accelerate and state.n_steps.max() >= PARTED_LAPS:
                state = in_one_part(state)
            state, chunk = advance(task.model, task.rows, state, settings)
            for column, values in zip(history, chunk.T, strict=False):
                column.extend(values[np.isfinite(values)].tolist())
            if floor == -np.inf:
                task.tell(f"{task.phase} passes", int(state.n_steps.max()), task.max_steps)
    except KeyboardInterrupt:
        if floor > -np.inf or not np.any(np.isfinite(state.elbo)):
            raise
        state = state._replace(status=np.full(size, INTERRUPTED))
    return [(_columns(state, i), history[i]) for i in range(n)]


def _moved(
    task: Task, place: Place, sample: NDArray, rng: np.random.Generator, deterministic: bool
) -> Place | None:
    """The first proposal found to be better, or None. Those without chance in them need not be repeated."""
    state, size = place.state, _group_size(task)
    moves = proposals(task.model, task.rows, state, sample, rng, deterministic)
    for first in range(0, len(moves), size):
        names, starts = zip(*moves[first : first + size], strict=True)
        together = jax.tree.map(lambda *leaves: np.stack(leaves), *starts)
        floor = float(state.elbo) + GAIN + task.tol * float(task.rows.total_weight)
        ends = climbed(task, together, floor)
        task.tell(f"{task.phase} moves", min(first + size, len(moves)), len(moves))
        elbo = [end.elbo if np.isfinite(end.elbo) else -np.inf for end, _ in ends]
        best = int(np.argmax(elbo))
        if elbo[best] > floor:
            end, path = ends[best]
            history = place.history + [value for value in path if value > state.elbo]
            return Place(end, history, place.ends, (*place.moves, names[best]))
    return None


def _columns(tree: Any, which: NDArray[np.intp] | int) -> Any:
    return jax.tree.map(lambda leaf: leaf[which], tree)
