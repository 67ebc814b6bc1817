"""What a move proposes: two components merged, one deleted, one split into an empty slot.

Hughes & Sudderth (2013), Ueda & Ghahramani (2002). Mergers are ranked by the remembered statistics alone: the evidence
that a merger gains, before the entropy it costs.
"""

from __future__ import annotations

import itertools
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray

from bayesgmm.covariances import Natural
from bayesgmm.inference.cavi.lap import log_evidences, naturals
from bayesgmm.inference.cavi.state import Ascent
from bayesgmm.inference.start import mixtures_from_responsibilities
from bayesgmm.models import FiniteMixture
from bayesgmm.posterior.variational import EMPTY
from bayesgmm.row_blocks import Rows

MERGERS, DELETIONS, SPLITS = 6, 3, 15  # proposals of a round, at most
LLOYD = 5  # steps by which a split is improved


def proposals(
    model: FiniteMixture,
    rows: Rows,
    state: Ascent,
    sample: NDArray[np.float64],
    rng: np.random.Generator,
    deterministic: bool,
) -> list[tuple[str, Natural]]:
    """Kinds of moves from a place (no leading axis), with natural parameters (K, P) of their first passes.

    Parameters
    ----------
    sample : standardised rows (n, D) by which splits are proposed
    deterministic : whether those without chance in them are wanted too
    """
    pairs = _mergers(model, rows, state)
    certain = _merged(model, rows, state, pairs) + _deleted(state) if deterministic else []
    return certain + _split(model, state, pairs, sample, rng)


def occupied(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Slots that hold rows."""
    return np.flatnonzero(values[:, 0] >= EMPTY)


def _mergers(model: FiniteMixture, rows: Rows, state: Ascent) -> list[tuple[int, int]]:
    """The pairs whose merger gains most evidence, best first, from the remembered statistics alone."""
    pairs = list(itertools.combinations(occupied(state.values).tolist(), 2))
    if not pairs:
        return []
    merged = np.stack([_merge(state.values, pair) for pair in pairs])
    gains = log_evidences(model, rows.total, merged, state.factor, rows.blocks.shape[1])
    return [pairs[i] for i in np.argsort(-gains)[:MERGERS]]


def _merge(values: NDArray[np.float64], pair: tuple[int, int]) -> NDArray[np.float64]:
    i, j = pair
    merged = values.copy()
    merged[i] += merged[j]
    merged[j] = 0.0
    return merged


def _merged(
    model: FiniteMixture, rows: Rows, state: Ascent, pairs: list[tuple[int, int]]
) -> list[tuple[str, Natural]]:
    """Natural parameters given the statistics of two slots added up, the second slot empty."""
    if not pairs:
        return []
    values = np.stack([_merge(state.values, pair) for pair in pairs])
    natural = naturals(model, rows.total, values, state.factor, rows.blocks.shape[1])
    return [("merge", _column(natural, i)) for i in range(len(pairs))]


def _deleted(state: Ascent) -> list[tuple[str, Natural]]:
    """The smallest slots in turn without rows: theirs go where they fit next best."""
    used = occupied(state.values)
    smallest = used[np.argsort(state.values[used, 0])][: min(DELETIONS, len(used) - 1)]
    out = []
    for slot in smallest:
        eta = state.natural.eta.copy()
        eta[slot, 0] = -np.inf
        out.append(("delete", Natural(eta, state.natural.shared)))
    return out


def _split(
    model: FiniteMixture,
    state: Ascent,
    pairs: list[tuple[int, int]],
    sample: NDArray[np.float64],
    rng: np.random.Generator,
) -> list[tuple[str, Natural]]:
    """Slots in turn, in random order, with half of their rows given to an empty slot.

    Where no slot is empty, one is made so by the merger that promises most.
    """
    structure = model.structure
    responsibilities = responsibilities_of(model, state.natural, sample)
    free = int(np.argmin(state.values[:, 0]))
    kept = None
    if state.values[free, 0] >= EMPTY:
        if not pairs:
            return []
        kept, free = pairs[0]
    used = [slot for slot in occupied(state.values).tolist() if slot not in (kept, free)]
    chosen = rng.permutation(np.resize(used, SPLITS)) if used else []
    halves = []
    for slot in chosen:
        new = responsibilities.copy()
        if kept is not None:
            new[kept] += new[free]
        half = _half(sample, new[slot], rng)
        new[free] = new[slot] * half
        new[slot] = new[slot] * ~half
        halves.append(new)
    if not halves:
        return []
    mixtures = mixtures_from_responsibilities(structure, sample, np.stack(halves), shrink=True)
    with np.errstate(invalid="ignore"):  # an empty slot has log weight -inf
        natural = mixtures.natural()
    return [("split", _column(natural, i)) for i in range(len(halves))]


def responsibilities_of(
    model: FiniteMixture, natural: Natural, rows: NDArray[np.float64]
) -> NDArray[np.float64]:
    """q(allocations) (K, n) of standardised rows, on the host."""
    logits = natural.eta @ model.structure.features(np.ascontiguousarray(rows.T))
    weights = np.exp(logits - logits.max(axis=0))
    return weights / weights.sum(axis=0)


def _half(
    rows: NDArray[np.float64], weight: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Which rows (n,) of a component are nearer to one of two centres, by k-means++ and a few of Lloyd's steps.

    Distances are, as it falls, in the component's own standard deviations, which finds groups along its narrow
    directions, or in the data's: what sets two groups apart makes the component wide there, and the former hide it.
    """
    share = weight / max(weight.sum(), 1e-300)
    if not np.isfinite(share).all() or np.count_nonzero(share > 1e-6) < 2:
        return np.zeros(len(rows), bool)
    away = rows - share @ rows
    if rng.random() < 0.5:
        values, vectors = np.linalg.eigh((away * share[:, None]).T @ away)
        away = away @ vectors / np.sqrt(np.maximum(values, 1e-9 * values.max() + 1e-300))
    first = away[rng.choice(len(rows), p=share)]
    far = share * ((away - first) ** 2).sum(axis=1)
    second = away[rng.choice(len(rows), p=far / far.sum())] if far.sum() > 0 else first
    for _ in range(LLOYD):
        half = ((away - second) ** 2).sum(axis=1) < ((away - first) ** 2).sum(axis=1)
        if min(share[half].sum(), share[~half].sum()) <= 0:
            break
        first, second = (
            np.average(away[~half], axis=0, weights=share[~half]),
            np.average(away[half], axis=0, weights=share[half]),
        )
    return half


def _column(tree: Any, which: int) -> Any:
    return jax.tree.map(lambda leaf: leaf[which], tree)
