"""How far the posterior strays from the point partition: the credible ball and its bounds."""

from __future__ import annotations

import numbers
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int
from scipy.optimize import linear_sum_assignment

from bayesgmm.posterior.label_draws import as_label_draws, by_size, weighted_quantile
from bayesgmm.posterior.losses import Loss, get_loss, losses_to_draws
from bayesgmm.tables import number, text_table


class Bound(NamedTuple):
    """A partition on the edge of the ball.

    Attributes
    ----------
    labels : (N,), clusters by decreasing size
    distance : from the point partition
    n_tied : distinct draws that would serve as well, this one included
    n_moved : rows that leave their cluster, each cluster of the point partition paired off with the one it shares most
        rows with
    """

    labels: Int[np.ndarray, " N"]
    distance: float
    n_tied: int
    n_moved: int

    @property
    def n_clusters(self) -> int:
        return int(self.labels.max()) + 1


class Ball(NamedTuple):
    """The smallest ball of draws around the point partition that holds the level asked for.

    Attributes
    ----------
    level : asked for; ``coverage`` is what the ball holds, at least that
    radius : in the unit of ``loss``
    horizontal : the draw in the ball farthest from its centre
    upper_vertical : of the draws in the ball with fewest clusters, the farthest
    lower_vertical : of those with most clusters, the farthest
    distances, weights : (S,) distance of every distinct draw, and its probability
    """

    level: float
    coverage: float
    radius: float
    horizontal: Bound
    upper_vertical: Bound
    lower_vertical: Bound
    distances: Float64[np.ndarray, " S"]
    weights: Float64[np.ndarray, " S"]
    loss: Loss

    def __repr__(self) -> str:
        """The ball as a table: its bounds, their clusters and distances."""
        unit = f" ({self.loss.unit})" if self.loss.unit else ""
        edge = {"farthest": self.horizontal, "coarsest": self.upper_vertical, "finest": self.lower_vertical}
        rows = [
            [
                name,
                str(bound.n_clusters),
                number(bound.distance),
                str(bound.n_moved),
                str(n_moved(bound.labels, self.horizontal.labels)),
                "/".join(map(str, np.bincount(bound.labels))),
            ]
            for name, bound in edge.items()
        ]
        header = ["bound", "clusters", f"distance{unit}", "rows moved", "unlike the farthest", "rows"]
        return "\n".join(
            [
                f"{100 * self.level:g} % credible ball: radius {number(self.radius)}{unit}, "
                f"holds {100 * self.coverage:.4g} % of the draws",
                text_table(header, rows),
            ]
        )

    def quantile(self, probability: Any) -> Any:
        """Distance from the centre that so much of the posterior does not exceed."""
        return weighted_quantile(self.distances, self.weights, probability)


def credible_ball(
    labels: Any, draws: Any, *, level: Any = 0.95, loss: Any = "variation_of_information"
) -> Ball:
    """The credible ball around a partition (Wade & Ghahramani 2018, section 4).

    Parameters
    ----------
    labels : (N,) its centre
    draws : (S, N) label draws
    level : probability that the ball must hold, above 0 and at most 1
    loss : the distance, at equal prices a = b = 1

    Raises
    ------
    ValueError
        If the level is outside (0, 1], or the centre is a partition of other rows.
    """
    level = check_level(level)
    draws, loss = as_label_draws(draws), get_loss(loss).symmetric
    distances = losses_to_draws(labels, draws, loss)
    centre = as_label_draws([labels]).labels[0]
    radius = float(weighted_quantile(distances, draws.weights, level))
    inside = distances <= radius + 1e-12 * max(1.0, radius)
    counts = draws.n_clusters
    fewest, most = counts[inside].min(), counts[inside].max()

    def farthest(among: np.ndarray) -> Bound:
        reach = distances[among].max()
        tied = np.flatnonzero(among & (distances >= reach - 1e-12 * max(1.0, reach)))
        found = by_size(draws.labels[tied[0]])
        return Bound(found, float(reach), len(tied), n_moved(found, centre))

    return Ball(
        level=level,
        coverage=float(draws.weights[inside].sum()),
        radius=radius,
        horizontal=farthest(inside),
        upper_vertical=farthest(inside & (counts == fewest)),
        lower_vertical=farthest(inside & (counts == most)),
        distances=distances,
        weights=draws.weights,
        loss=loss,
    )


def n_moved(labels: Int[np.ndarray, " N"], centre: Int[np.ndarray, " N"]) -> int:
    """Rows that change cluster between two partitions, clusters paired off so that as few as possible do."""
    shared = np.zeros((labels.max() + 1, centre.max() + 1), np.intp)
    np.add.at(shared, (labels, centre), 1)
    return int(len(labels) - shared[linear_sum_assignment(shared, maximize=True)].sum())


def check_level(level: Any) -> float:
    """The level as a float; ``ValueError`` unless it is a number above 0 and at most 1."""
    known = isinstance(level, numbers.Real) and not isinstance(level, bool)
    value = float(level) if known else 0.0
    if not 0.0 < value <= 1.0:
        raise ValueError(f"Expected level to be a number above 0 and at most 1; got {level!r}.")
    return value
