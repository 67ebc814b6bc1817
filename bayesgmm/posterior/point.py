"""The partition of least expected loss: many searches, from nothing, from the draws and from hierarchical cuts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int
from scipy.cluster.hierarchy import cut_tree, linkage
from scipy.spatial.distance import squareform

from bayesgmm.posterior.label_draws import LabelDraws, as_label_draws, by_size
from bayesgmm.posterior.losses import Loss, expected_of_numbered, get_loss
from bayesgmm.posterior.search import Search
from bayesgmm.posterior.similarity import similarity_of_draws
from bayesgmm.random_state import as_seed

DRAWN_CANDIDATES = 32  # draws whose expected loss is computed
DRAWN_STARTS = 4  # of them, those the search begins from
CUT_ROWS = 1000  # rows of the hierarchical clustering; the others are allocated after them
CUTS = 4  # cuts of each tree that the search begins from
MOST_CUTS = 24  # cuts whose expected loss is computed
SAME = 1e-9  # optima this close are one
ENOUGH = 0.25  # share of the starts that must end at one optimum to make it believable
MOST_SHAKEN = 8  # ends that the search goes on from where they do not
TRIALS = 20  # at one of them, before the next has its turn
LEAST_WORK = 200_000  # numbers looked up for every row

# Expected loss and labels, by where sweeps first came to rest.
Ends = dict[bytes, tuple[float, Int[np.ndarray, " N"]]]


class Point(NamedTuple):
    """The best partition found.

    labels : (N,), clusters by decreasing size
    expected_loss : exact, over all draws
    n_hits, n_starts : searches that ended at this loss, and all that were made
    """

    labels: Int[np.ndarray, " N"]
    expected_loss: float
    n_hits: int
    n_starts: int


def find_point(
    draws: Any,
    loss: Any = "variation_of_information",
    *,
    max_clusters: Any = None,
    n_starts: Any = 16,
    random_state: Any = 0,
) -> Point:
    """Search for the partition of least expected loss (Dahl, Johnson & Mueller 2022).

    Parameters
    ----------
    draws : (S, N) label draws
    max_clusters : at most so many clusters; None allows as many as there are rows
    n_starts : searches from nothing; those from draws and hierarchical cuts come on top

    Raises
    ------
    ValueError
        If ``max_clusters`` or ``n_starts`` is not an integer of at least 1.
    """
    draws, loss = as_label_draws(draws), get_loss(loss)
    check_integers(max_clusters=max_clusters, n_starts=n_starts)
    cap = min(draws.n_rows, int(max_clusters or draws.n_rows))
    rng = np.random.default_rng(as_seed(random_state))
    search = Search(draws, loss, cap)
    keys: list[bytes] = []
    found: Ends = {}
    for start in starts(draws, loss, cap, int(n_starts), rng):
        search.load(start)
        search.allocate(rng.permutation(np.flatnonzero(start < 0)))
        search.sweep(rng)
        keys.append(by_size(search.labels).tobytes())
        if keys[-1] not in found:
            search.rebuild(rng)
            found[keys[-1]] = _end(search)
        if found[keys[-1]][0] <= SAME:
            break  # no loss is below zero
    _shake(search, found, keys, rng)
    best, labels = min(found.values(), key=lambda end: (end[0], end[1].tobytes()))
    return Point(labels, best, _hits(found, keys, best), len(keys))


def _hits(found: Ends, keys: list[bytes], best: float) -> int:
    """Starts that ended at the best loss."""
    return sum(found[key][0] <= best + SAME * max(1.0, best) for key in keys)


def _shake(search: Search, found: Ends, keys: list[bytes], rng: np.random.Generator) -> None:
    """Go on from the best ends while few starts agree on one, for as much work again or a little."""
    most = search.work + max(search.work, LEAST_WORK * search.draws.n_rows)
    while _hits(found, keys, min(end[0] for end in found.values())) < ENOUGH * len(keys):
        for key in sorted(found, key=lambda key: (found[key][0], key))[:MOST_SHAKEN]:
            if search.work > most:
                return
            search.load(found[key][1])
            search.shake(rng, TRIALS)
            found[key] = _end(search)


def _end(search: Search) -> tuple[float, Int[np.ndarray, " N"]]:
    """Where a search stands, its loss computed anew: the search adds steps up, and with them their rounding."""
    labels = by_size(search.labels)
    return expected_of_numbered(labels, search.draws, search.loss), labels


def starts(
    draws: LabelDraws, loss: Loss, cap: int, n_starts: int, rng: np.random.Generator
) -> Iterator[Int[np.ndarray, " N"]]:
    """Partitions to begin at (N,), -1 for rows to be allocated: empty ones, good draws, good cuts."""
    for _ in range(n_starts):
        yield np.full(draws.n_rows, -1)
    spaced = np.unique(np.linspace(0, len(draws.weights) - 1, DRAWN_CANDIDATES).round().astype(int))
    allowed = spaced[draws.n_clusters[spaced] <= cap]
    yield from _best(draws.labels[allowed].astype(np.intp), draws, loss, DRAWN_STARTS)
    rows = np.sort(rng.permutation(draws.n_rows)[:CUT_ROWS])
    for cuts in hierarchical_cuts(draws.of_rows(rows), cap):
        for labels in _best(cuts, draws.of_rows(rows), loss, CUTS):
            start = np.full(draws.n_rows, -1)
            start[rows] = labels
            yield start


def hierarchical_cuts(draws: LabelDraws, cap: int) -> Iterator[Int[np.ndarray, "m N"]]:
    """Cuts (m, N) of the average- and the complete-linkage tree of 1 - similarity, into 1 to ``cap`` clusters."""
    if draws.n_rows == 1:
        return
    apart = squareform(1.0 - similarity_of_draws(draws), checks=False)
    sizes = np.unique(np.geomspace(1, min(cap, draws.n_rows), MOST_CUTS).round().astype(int))
    for method in ("average", "complete"):
        tree = linkage(np.maximum(apart, 0.0), method)
        yield cut_tree(tree, sizes).T.astype(np.intp)


def _best(
    candidates: Int[np.ndarray, "m N"], draws: LabelDraws, loss: Loss, most: int
) -> list[Int[np.ndarray, " N"]]:
    losses = [expected_of_numbered(labels, draws, loss) for labels in candidates]
    return [by_size(candidates[i]) for i in np.argsort(losses, kind="stable")[:most]]


def check_integers(**given: Any) -> None:
    """Raise ``ValueError`` unless every argument given by name is None or an integer of at least 1."""
    for name, value in given.items():
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
        if value is not None and not (whole and value >= 1):
            raise ValueError(f"Expected {name} to be an integer of at least 1; got {value!r}.")
