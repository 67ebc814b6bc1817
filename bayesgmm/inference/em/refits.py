"""One model refitted to many data sets of one shape by one compiled program: for the bootstrap and tests built on it.

Data sets take seats at tables. The program visits the seats of a table in turn, a chunk of steps each, and tables run
side by side where there are cores. Then those that have ended leave, and the next data sets sit down. So there is one
program whatever the number of data sets, they may be drawn as they are needed, memory is that of the seats, and no data
set waits for a slower one. (A batch axis of data sets instead of turns gained a third on the smallest data and lost up
to 4 times where one data set was slow.)
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import numpy as np
from jax import lax
from jaxtyping import Float64
from numpy.typing import NDArray

from bayesgmm.compiled import compiled
from bayesgmm.cores import programs_at_once
from bayesgmm.float64 import in_float64
from bayesgmm.inference.em import steps
from bayesgmm.inference.em.steps import NON_FINITE, RETIRED, RUNNING, Climb, Settings
from bayesgmm.mixture import Mixture
from bayesgmm.models import FiniteMixture
from bayesgmm.row_blocks import Rows, make_rows

SEATS = 64  # at most
TABLES = 8  # each a call of the program
SEATS_BYTES = 2**26  # of all seats' rows; a single one may be larger


class DataSet(NamedTuple):
    """Rows (N, D), their weights (N,), and the mixtures (C, K, ...) from which to climb, all in the same units."""

    rows: Float64[np.ndarray, "N D"]
    sample_weight: Float64[np.ndarray, " N"]
    start: Mixture


class Refits(NamedTuple):
    """The best sound column of every data set, in the order given.

    ``objective`` (S,) is -inf where no column was finite and sound; the mixture (S, K, ...) there means nothing.
    """

    mixture: Mixture
    objective: Float64[np.ndarray, " S"]
    status: NDArray[np.integer]
    n_steps: NDArray[np.integer]


class _Seat(NamedTuple):
    """A data set in the program: its number, its rows in blocks, and where its columns stand."""

    number: int
    rows: Rows
    state: Climb

    @property
    def going(self) -> bool:
        return bool(np.any(self.state.status == RUNNING))


def refit_many(
    data_sets: Iterable[DataSet],
    prior: FiniteMixture | None,
    settings: Settings,
    sound: Callable[[Mixture], NDArray[np.bool_]],
    tell: Callable[[int], None] = lambda ended: None,
) -> Refits:
    """Climb from every data set's starts to their ends.

    Parameters
    ----------
    data_sets : of one shape (N, D), and of one number of starts; drawn as seats become free
    prior : resolved, in the units of the rows; None for maximum likelihood
    settings : of the climb, in the units of the rows
    sound : whether mixtures (S, C, K, ...) are free of spikes
    tell : called with the number of data sets that have ended

    Raises
    ------
    ValueError
        If there are no data sets, or their shapes differ.
    """
    waiting = (_sit_down(number, data) for number, data in enumerate(_alike(data_sets)))
    seated = list(itertools.islice(waiting, 1))
    if not seated:
        raise ValueError("Expected at least one data set; got none.")
    seats = n_seats(seated[0].rows)
    table = max(1, seats // TABLES)
    ended: dict[int, Climb] = {}
    with ThreadPoolExecutor(programs_at_once()) as pool:
        while seated:
            seated += itertools.islice(waiting, seats - len(seated))
            groups = [seated[first : first + table] for first in range(0, len(seated), table)]
            seated = list(
                itertools.chain.from_iterable(
                    pool.map(lambda group: _advance_seated(group, table, prior, settings), groups)
                )
            )
            ended.update({seat.number: seat.state for seat in seated if not seat.going})
            seated = [seat for seat in seated if seat.going] or list(itertools.islice(waiting, 1))
            tell(len(ended))
    return _best(_stack([ended[number] for number in sorted(ended)]), sound)


def n_seats(rows: Rows) -> int:
    """How many data sets of this size are held at once."""
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(rows))
    return int(np.clip(SEATS_BYTES // size, 1, SEATS))


def _alike(data_sets: Iterable[DataSet]) -> Iterator[DataSet]:
    shapes = None
    for data in data_sets:
        own = (data.rows.shape, data.start.means.shape)
        shapes = shapes or own
        if own != shapes:
            raise ValueError(
                f"Expected rows and starts of shapes {shapes}, as in the first data set; got {own}."
            )
        yield data


def _sit_down(number: int, data: DataSet) -> _Seat:
    structure = data.start.structure
    n_statistics = structure.features(data.rows[:1].T).shape[0]
    rows = make_rows(data.rows, structure, data.sample_weight)
    return _Seat(number, rows, steps.initial(data.start, n_statistics))


def _advance_seated(seated: list[_Seat], seats: int, prior: Any, settings: Settings) -> list[_Seat]:
    """One chunk of every seat; empty ones hold a copy that does not move."""
    filled = seated + [seated[-1]] * (seats - len(seated))
    rows, state = _stack([seat.rows for seat in filled]), _stack([seat.state for seat in filled])
    state.status[len(seated) :] = RETIRED
    state = _advance(state.mixture.structure, rows, state, prior, settings)
    return [
        seat._replace(state=jax.tree.map(lambda leaf, i=i: leaf[i], state)) for i, seat in enumerate(seated)
    ]


@in_float64
@compiled
def _advance(structure, rows: Rows, state: Climb, prior, settings: Settings) -> Climb:
    def one(seat: tuple[Rows, Climb]) -> Climb:
        return steps.chunk_of_steps(structure, *seat, prior, settings)[0]

    return lax.map(one, (rows, state))


def _stack(trees: list[Any]) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *trees)


def _best(state: Climb, sound: Callable[[Mixture], NDArray[np.bool_]]) -> Refits:
    """From columns (S, C) the best sound one of each data set."""
    usable = np.isfinite(state.objective) & (state.status != NON_FINITE) & sound(state.mixture)
    objective = np.where(usable, state.objective, -np.inf)
    best = objective.argmax(axis=1)
    chosen = jax.tree.map(lambda leaf: leaf[np.arange(len(best)), best], state)
    return Refits(chosen.mixture, objective.max(axis=1), chosen.status, chosen.n_steps)
