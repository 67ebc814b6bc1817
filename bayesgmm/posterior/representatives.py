"""Several partitions that stand for the posterior where one does not speak for all of it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Int

from bayesgmm.posterior.label_draws import LabelDraws, as_label_draws, by_size
from bayesgmm.posterior.losses import Loss, distance, get_loss, losses_of_numbered
from bayesgmm.posterior.point import check_integers
from bayesgmm.posterior.search import Search
from bayesgmm.random_state import as_seed
from bayesgmm.tables import number, text_table

MOST_MEDOIDS = 100  # draws that may begin a group, evenly spaced among the distinct ones
MOST_LABELS = 500_000  # draws x rows that the groups are found with, of at least 200 draws
LEAST_DRAWS = 200
MOST_ROUNDS = 10  # of assigning draws and searching each group again
LEAST_WEIGHT = 0.05  # a smaller group speaks for few
LEAST_GAIN = 0.2  # share of the remaining expected loss that one more partition must take away
LEAST_STEP = 0.01  # and share of the largest loss there is: a row or two that waver are no second opinion


class Representatives(NamedTuple):
    """Partitions that together stand for the draws, each for those nearest to it; the largest share first.

    Attributes
    ----------
    labels : (L, N), each with clusters by decreasing size
    weights : (L,) share of the draws that lie nearer to it than to the others
    expected_losses : (L,) mean loss of each over these draws of its own
    path : expected distance from a draw to the nearest of 1, 2, ... partitions, as far as the search went
    distances : (L, L) of the partitions from each other, at equal prices a = b = 1
    loss : what all of these are measured in
    """

    labels: Int[np.ndarray, "L N"]
    weights: Float64[np.ndarray, " L"]
    expected_losses: Float64[np.ndarray, " L"]
    path: tuple[float, ...]
    distances: Float64[np.ndarray, "L L"]
    loss: Loss

    def __repr__(self) -> str:
        """A table: the draws that each stands for, its clusters, and how far it lies from its draws and the others."""
        unit = f" ({self.loss.unit})" if self.loss.unit else ""
        several = len(self.weights) > 1
        rows = [
            [
                str(i),
                f"{100 * self.weights[i]:.3g} %",
                "/".join(map(str, np.bincount(one))),
                number(self.expected_losses[i]),
                *[number(apart) for apart in self.distances[i][: len(self.weights) * several]],
            ]
            for i, one in enumerate(self.labels)
        ]
        header = ["partition", "draws", "rows", f"mean loss{unit}"]
        header += [f"to {i}" for i in range(len(self.weights) * several)]
        stands = (
            "partitions stand for the draws, each for those nearest to it"
            if several
            else "stands for all draws"
        )
        return (
            f"{len(self.weights)} {stands if several else f'partition {stands}'}\n{text_table(header, rows)}"
        )


def find_representatives(
    draws: Any,
    point: Any,
    loss: Any = "variation_of_information",
    *,
    n_representatives: Any = None,
    most: Any = 5,
    max_clusters: Any = None,
    random_state: Any = 0,
) -> Representatives:
    """Partitions that minimise the expected loss of a draw to the nearest of them (Balocchi & Wade 2025).

    Groups begin at the draws farthest from what is there (k-medoids, one added at a time) and then turn: every draw
    goes to its nearest partition, every group's partition is searched for anew.

    Parameters
    ----------
    draws : (S, N) label draws
    point : (N,) the partition of least expected loss, which is the answer for one
    n_representatives : how many; None adds one, up to ``most``, while it takes away a fifth of the remaining expected
        loss, and a hundredth of the loss between one cluster and single rows, and stands for a twentieth of the draws
    max_clusters : at most so many clusters in each; None leaves the search free

    Raises
    ------
    ValueError
        If ``n_representatives``, ``most`` or ``max_clusters`` is not an integer of at least 1.
    """
    check_integers(n_representatives=n_representatives, most=most, max_clusters=max_clusters)
    all_draws, loss, seed = as_label_draws(draws), get_loss(loss), as_seed(random_state)
    draws = _thinned(all_draws)
    cap = min(draws.n_rows, int(max_clusters or draws.n_rows))
    allowed = np.flatnonzero(draws.n_clusters <= cap)
    medoids = allowed[_spaced(len(allowed), MOST_MEDOIDS)]
    to_medoids = [losses_of_numbered(draws.labels[i].astype(np.intp), draws, loss) for i in medoids]
    labels = by_size(as_label_draws([point]).labels[0])[None]
    rng = np.random.default_rng(seed)
    path = [_expected(labels, draws, loss)]
    wanted = min(n_representatives or most, len(draws.weights)) if len(medoids) else 1
    least = 0.0 if n_representatives else _least_step(draws, loss)
    while len(labels) < wanted and path[-1] > least:
        more = _improve(_one_more(labels, draws, loss, medoids, to_medoids), draws, loss, cap, rng)
        path.append(_expected(more, draws, loss))
        if len(more) == len(labels) or (
            n_representatives is None and not _worthwhile(more, draws, loss, path)
        ):
            break
        labels = more
    return _result(labels, all_draws, loss, path)


def _thinned(draws: LabelDraws) -> LabelDraws:
    return draws.of_draws(_spaced(len(draws.weights), max(LEAST_DRAWS, MOST_LABELS // draws.n_rows)))


def _spaced(n: int, most: int) -> Int[np.ndarray, " m"]:
    """At most so many of the numbers below n, evenly spaced."""
    return np.linspace(0, n - 1, min(n, most)).round().astype(np.intp)


def _to_nearest(
    labels: Int[np.ndarray, "L N"], draws: LabelDraws, loss: Loss
) -> tuple[np.ndarray, np.ndarray]:
    losses = np.stack([losses_of_numbered(one, draws, loss) for one in labels])
    return losses.argmin(axis=0), losses.min(axis=0)


def _worthwhile(labels: Int[np.ndarray, "L N"], draws: LabelDraws, loss: Loss, path: list[float]) -> bool:
    nearest, _ = _to_nearest(labels, draws, loss)
    share = np.bincount(nearest, weights=draws.weights, minlength=len(labels))
    step = max(LEAST_GAIN * path[-2], _least_step(draws, loss))
    return bool(share.min() >= LEAST_WEIGHT and path[-2] - path[-1] >= step)


def _least_step(draws: LabelDraws, loss: Loss) -> float:
    everyone = np.arange(draws.n_rows)
    return LEAST_STEP * distance(0 * everyone, everyone, loss)


def _expected(labels: Int[np.ndarray, "L N"], draws: LabelDraws, loss: Loss) -> float:
    return float(draws.weights @ _to_nearest(labels, draws, loss)[1])


def _one_more(labels, draws: LabelDraws, loss: Loss, medoids, to_medoids) -> Int[np.ndarray, "L N"]:
    """The partitions and the draw that, added to them, takes most away."""
    _, present = _to_nearest(labels, draws, loss)
    reached = np.minimum(to_medoids, present) @ draws.weights
    return np.concatenate([labels, by_size(draws.labels[medoids[reached.argmin()]])[None]])


def _improve(
    labels, draws: LabelDraws, loss: Loss, cap: int, rng: np.random.Generator
) -> Int[np.ndarray, "L N"]:
    """Assign and search in turn until nothing gets nearer; groups without draws go."""
    reached = _expected(labels, draws, loss)
    for _ in range(MOST_ROUNDS):
        nearest, _ = _to_nearest(labels, draws, loss)
        found = [
            _descend(labels[group], draws.of_draws(nearest == group), loss, cap, rng)
            for group in np.unique(nearest)
        ]
        candidate = np.unique(np.stack(found), axis=0)
        now = _expected(candidate, draws, loss)
        if now >= reached - 1e-12:
            break
        labels, reached = candidate, now
    return labels


def _descend(
    labels, draws: LabelDraws, loss: Loss, cap: int, rng: np.random.Generator
) -> Int[np.ndarray, " N"]:
    """The partition to which the search leads from this one, over the draws of its group."""
    search = Search(draws, loss, cap)
    search.load(labels)
    search.sweep(rng)
    search.rebuild(rng)
    return by_size(search.labels)


def _result(labels, draws: LabelDraws, loss: Loss, path: list[float]) -> Representatives:
    nearest, losses = _to_nearest(labels, draws, loss)
    weights = np.bincount(nearest, weights=draws.weights, minlength=len(labels))
    held = np.bincount(nearest, weights=draws.weights * losses, minlength=len(labels))
    order = np.argsort(-weights, kind="stable")
    order = order[weights[order] > 0]
    labels, weights, mean = labels[order], weights[order], held[order] / weights[order]
    apart = np.array([[distance(one, other, loss.symmetric) for other in labels] for one in labels])
    return Representatives(labels, weights, mean, tuple(path), apart, loss)
