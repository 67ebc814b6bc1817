"""Relabelling by Stephens (2000): the labelling whose mean classification is nearest to every draw's own.

Algorithm 2 there, for the Kullback-Leibler loss: from memberships q (N, K), every draw takes the permutation that
brings its own memberships nearest to q, a linear assignment; then q is their mean; until no draw changes. The loss
never rises. It wants all draws' memberships, where ECR wants one pivot: slower, and without a pivot to depend on.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from bayesgmm.posterior.allocations import responsibilities
from bayesgmm.posterior.relabel import match

MOST_CELLS = 20_000_000  # of the memberships held at once, divided by the rows
MOST_ROUNDS = 100
PIVOTS = 4  # draws that labellings begin at, besides the labels that are there
LEAST = 1e-12  # a membership that no draw has yet costs this much, not infinitely much


def stephens_order(fit: Any) -> Int[np.ndarray, "S K"]:
    """For each draw of a fit the component (S, K) that takes each label, the best of a few starts.

    They are the labels that the draws have, and single draws as pivots. Labels are numbered as the draws have them.
    """
    s, k = fit.draws.log_weights.shape
    same = np.tile(np.arange(k), (s, 1))
    pivots = np.unique(np.linspace(0, s - 1, PIVOTS).astype(int))
    starts = [_mean_memberships(fit, same), *(_memberships_at(fit, draw) for draw in pivots.tolist())]
    order, _ = max((_settled(fit, q) for q in starts), key=lambda found: found[1])
    kept = np.eye(k)[order].sum(axis=0)  # draws in which a label (row) has a component's old number (column)
    return order[:, match(kept[None])[0]]


def _settled(fit: Any, q: Float[np.ndarray, "N K"]) -> tuple[Int[np.ndarray, "S K"], float]:
    """The labelling that a start leads to, and its affinity: Stephens's loss is a constant less this."""
    order = None
    for _ in range(MOST_ROUNDS):
        affinities = _affinities(fit, np.log(np.maximum(q, LEAST)))
        new = match(affinities)
        if order is not None and np.array_equal(new, order):
            break
        order = new
        q = _mean_memberships(fit, order)
    return order, float(np.take_along_axis(affinities, order[:, None, :], axis=1).sum())


def _blocks(fit: Any) -> Any:
    """Pieces (N, S', K) of all draws' memberships, each with the slice of draws that it holds."""
    begin = 0
    for block in responsibilities(fit, max(1, MOST_CELLS // fit.observed.n_rows)):
        yield slice(begin, begin + block.shape[1]), block
        begin += block.shape[1]


def _mean_memberships(fit: Any, order: Int[np.ndarray, "S K"]) -> Float[np.ndarray, "N K"]:
    total = sum(
        np.take_along_axis(block, order[None, draws], axis=2).sum(axis=1) for draws, block in _blocks(fit)
    )
    return total / len(order)


def _memberships_at(fit: Any, draw: int) -> Float[np.ndarray, "N K"]:
    one = dataclasses.replace(fit, draws=fit.draws.at_draws(np.array([draw])))
    return next(block[:, 0] for _, block in _blocks(one))


def _affinities(fit: Any, log_q: Float[np.ndarray, "N K"]) -> Float[np.ndarray, "S K K"]:
    """Sum over rows of p log q, for component and label; the entropy of p is the same whatever label it takes."""
    out = np.empty((len(fit.draws.log_weights), log_q.shape[1], log_q.shape[1]))
    for draws, block in _blocks(fit):
        out[draws] = np.einsum("nsj,nk->sjk", block, log_q, optimize=True)
    return out
