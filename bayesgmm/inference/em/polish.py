"""The last steps, without the floor: what is added to every variance moves a maximum where a component is narrow.

The floor keeps the search away from spikes. Where it is a visible part of a sound component's variance, the fit is
climbed once more with next to none of it, and stays where it was if that ends in a spike.
"""

from __future__ import annotations

import jax
import numpy as np

from bayesgmm.inference.em.climb import Climber, best, columns_of, interrupted, put_columns
from bayesgmm.inference.em.degeneracy import floors_high
from bayesgmm.inference.em.steps import CONVERGED, Climb
from bayesgmm.row_blocks import Rows

VISIBLE = (
    1e4  # a component's least variance over the floor, below which it moves the maximum by what can be seen
)
REST = 1e-6  # of the floor that is left
SAME = 1e-12  # nats a row: what rounding makes of the same maximum reached twice


def polished(
    climber: Climber, state: Climb, history: list[list[float]], rows: Rows
) -> tuple[Climb, list[list[float]]]:
    """Columns that have climbed, the best of them with hardly a floor where that shows; one component always."""
    floor, here = climber.settings.regularisation, np.array([best(state, climber.sound)])
    column = columns_of(state, here)
    mixture = jax.tree.map(lambda leaf: leaf[0], column.mixture)
    shows = np.isfinite(mixture.log_weights).sum() == 1 or floors_high(mixture, floor).min() < VISIBLE
    if not (shows and column.status[0] == CONVERGED and climber.sound(column.mixture)[0]):
        return state, history
    try:
        end, (steps,) = climber.with_settings(regularisation=REST * floor).climb(rows, column.mixture)
    except KeyboardInterrupt:
        return interrupted(state), history
    if not (
        climber.sound(end.mixture)[0] and end.objective[0] > column.objective[0] - SAME * rows.total_weight
    ):
        return state, history
    return put_columns(state, end, here), [steps if i == here[0] else old for i, old in enumerate(history)]
